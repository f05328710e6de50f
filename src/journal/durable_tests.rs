use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use redb::{ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::super::{Files, contract};
use super::*;

const IDENTITY: Fingerprint = [7; 8];

fn open(directory: &Path, after: u64, options: Options) -> Result<DurableJournal, JournalError> {
    DurableJournal::open(Arc::new(Files::new(directory)), IDENTITY, Seq(after), options)
}

fn opened(directory: &Path) -> DurableJournal {
    open(directory, 0, Options::default()).unwrap()
}

/// The frame of a number: no two are equal.
fn frame(seq: u64) -> Vec<u8> {
    seq.to_le_bytes().repeat(1 + seq as usize % 40)
}

/// Appends frames up to `last` and reads them back.
fn fill(journal: &mut DurableJournal, last: u64) {
    for seq in journal.append_at.0..=last {
        journal.append(frame(seq)).unwrap();
    }
    while journal.next.0 <= last {
        journal.wait();
        while let Some((seq, read)) = journal.next().unwrap() {
            assert_eq!(read, frame(seq.0));
        }
    }
}

/// Reads what a reopened journal holds behind `after`, up to its end or the first error.
fn stored(directory: &Path, after: u64) -> (Vec<u64>, Option<JournalError>) {
    let mut found = Vec::new();
    match open(directory, after, Options::default()) {
        Err(error) => (found, Some(error)),
        Ok(mut journal) => loop {
            match journal.next() {
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error)),
                Ok(Some((seq, read))) => {
                    assert_eq!(read, frame(seq.0));
                    found.push(seq.0);
                }
            }
        },
    }
}

/// A directory with three files: 1 to 4, 5 to 9, 10 to 12.
fn three_files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = opened(directory.path());
    for last in [4, 9, 12] {
        fill(&mut journal, last);
        if last < 12 {
            assert!(journal.roll().unwrap().wait());
        }
    }
    journal.close().unwrap();
    assert_eq!(Files::new(directory.path()).list().unwrap(), [Seq(1), Seq(5), Seq(10)]);
    directory
}

#[test]
fn keeps_the_contract() {
    for durability in [Durability::Synced, Durability::Buffered] {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = open(directory.path(), 41, Options { durability, ..Options::default() }).unwrap();
        contract::check(&mut journal, Seq(42));
    }
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    for durability in [Durability::Synced, Durability::Buffered] {
        let directory = tempfile::tempdir().unwrap();
        for last in [5, 5, 23] {
            let mut journal = open(directory.path(), 0, Options { durability, ..Options::default() }).unwrap();
            fill(&mut journal, last);
            journal.close().unwrap();
        }
        assert_eq!(stored(directory.path(), 0), ((1..=23).collect(), None));
        assert_eq!(stored(directory.path(), 20), (vec![21, 22, 23], None));
        assert_eq!(stored(directory.path(), 23), (vec![], None));
    }
}

#[test]
fn files_are_read_one_after_the_other_from_where_they_are_needed() {
    let directory = three_files();
    for after in 0..=12 {
        assert_eq!(stored(directory.path(), after), ((after + 1..=12).collect(), None));
    }
    let error = open(directory.path(), 13, Options::default()).err().unwrap();
    assert_eq!(error, JournalError::Ends { last: 12, covered: 13 });
}

#[test]
fn whole_files_are_let_go_of() {
    let directory = three_files();
    let mut journal = opened(directory.path());
    while journal.next().unwrap().is_some() {}
    for (below, left) in [(4, 3), (5, 2), (9, 2), (12, 1), (13, 1)] {
        journal.trim(Seq(below)).unwrap();
        let last = journal.append_at.0;
        fill(&mut journal, last);
        // The frame was appended after the order, so the order is done.
        assert_eq!(Files::new(directory.path()).list().unwrap().len(), left, "below {below}");
    }
    drop(journal);
    assert_eq!(stored(directory.path(), 12).0, [13, 14, 15, 16, 17]);
    let error = open(directory.path(), 0, Options::default()).err().unwrap();
    assert!(matches!(error, JournalError::Gap { expected: 1, found: 10, .. }), "{error}");
}

#[test]
fn a_large_file_is_followed_by_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = open(directory.path(), 0, Options { file_bytes_max: 2_000, ..Options::default() }).unwrap();
    for last in 1..=60 {
        fill(&mut journal, last);
    }
    journal.close().unwrap();
    let files = Files::new(directory.path()).list().unwrap();
    assert!((5..=20).contains(&files.len()), "{files:?}");
    assert_eq!(stored(directory.path(), 0), ((1..=60).collect(), None));
}

#[test]
fn a_reader_is_woken() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = opened(directory.path());
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    journal.on_durable(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    fill(&mut journal, 1);
    journal.close().unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 2, "for the frame, and at the end");
}

#[test]
fn what_nobody_reads_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = opened(directory.path());
    for _ in 0..DURABLE_BYTES_MAX / FRAME_BYTES_MAX {
        journal.append(vec![0; FRAME_BYTES_MAX]).unwrap();
    }
    assert!(matches!(journal.append(vec![0]), Err(JournalError::Full { frames: 4, .. })));
    journal.wait();
    journal.next().unwrap().unwrap();
    journal.append(vec![0]).expect("there is room again");
}

/// Changes a file as redb allows it: checksums of pages are right afterwards, ours need not be.
fn edit(directory: &Path, first: u64, edit: impl FnOnce(&redb::WriteTransaction)) {
    let database = redb::Database::open(Files::new(directory).path(Seq(first))).unwrap();
    let write = database.begin_write().unwrap();
    edit(&write);
    write.commit().unwrap();
}

const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");

fn set_about(directory: &Path, first: u64, key: &str, value: &[u8]) {
    edit(directory, first, |write| {
        write.open_table(ABOUT).unwrap().insert(key, value).unwrap();
    });
}

/// What reading a directory says after something was done to it.
fn refusal(harm: impl FnOnce(&Path)) -> (Vec<u64>, String) {
    let directory = three_files();
    harm(directory.path());
    let (found, error) = stored(directory.path(), 0);
    (found, error.expect("the harm is found").to_string())
}

#[test]
fn what_is_not_the_journal_that_was_written_is_refused_with_its_place() {
    let (found, told) = refusal(|directory| {
        edit(directory, 5, |write| {
            let mut frames = write.open_table(FRAMES).unwrap();
            let mut row = frames.get(7).unwrap().unwrap().value().to_vec();
            row[40] ^= 1;
            frames.insert(7, row.as_slice()).unwrap();
        });
    });
    assert_eq!(found, (1..=6).collect::<Vec<_>>());
    assert!(told.contains("05.redb: frame 7 is damaged") && told.contains("inkling repair"), "{told}");

    let (found, told) = refusal(|directory| {
        edit(directory, 5, |write| {
            write.open_table(FRAMES).unwrap().remove(6).unwrap();
        });
    });
    assert_eq!(found, (1..=5).collect::<Vec<_>>());
    assert!(told.contains("05.redb: frame 7 was found where frame 6 belongs"), "{told}");

    let (_, told) = refusal(|directory| {
        edit(directory, 10, |write| {
            write.open_table(FRAMES).unwrap().remove(12).unwrap();
        });
    });
    assert!(told.contains("10.redb") && told.contains("closed with frame 12 and does not hold it"), "{told}");

    let (found, told) = refusal(|directory| Files::new(directory).remove(Seq(5)).unwrap());
    assert_eq!(found, (1..=4).collect::<Vec<_>>());
    assert!(told.contains("10.redb: frame 10 was found where frame 5 belongs"), "{told}");

    let (found, told) = refusal(|directory| {
        edit(directory, 1, |write| {
            write.open_table(FRAMES).unwrap().insert(5, [0; 50].as_slice()).unwrap();
        });
    });
    assert_eq!(found, (1..=4).collect::<Vec<_>>(), "a frame that nobody wrote has no checksum");
    assert!(told.contains("01.redb: frame 5 is damaged"), "{told}");

    let (found, told) = refusal(|directory| set_about(directory, 5, "format", &2_u32.to_le_bytes()));
    assert_eq!(found, (1..=4).collect::<Vec<_>>());
    assert!(told.contains("is of format 2, this version knows format 1") && told.contains("later one"), "{told}");

    let (found, told) = refusal(|directory| set_about(directory, 10, "identity", &[9; 8]));
    assert_eq!(found, Vec::<u64>::new(), "the last file is opened first");
    assert!(told.contains("0909090909090909") && told.contains("0707070707070707"), "{told}");
    assert!(told.contains("identity.key"), "{told}");

    let (_, told) = refusal(|directory| {
        let files = Files::new(directory);
        std::fs::rename(files.path(Seq(10)), files.path(Seq(11))).unwrap();
    });
    assert!(told.contains("11.redb") && told.contains("begins with frame 10"), "{told}");

    let (_, told) = refusal(|directory| {
        std::fs::write(Files::new(directory).path(Seq(10)), b"").unwrap();
    });
    assert!(told.contains("10.redb: cannot be read: it is empty"), "{told}");

    let (_, told) = refusal(|directory| {
        std::fs::write(Files::new(directory).path(Seq(10)), b"not a database at all".repeat(1_000)).unwrap();
    });
    assert!(told.contains("10.redb: cannot be read"), "{told}");
}

#[test]
fn files_of_two_journals_are_not_mixed() {
    let directory = three_files();
    let other = tempfile::tempdir().unwrap();
    let mut journal = open(other.path(), 2, Options::default()).unwrap();
    fill(&mut journal, 4);
    journal.close().unwrap();
    let name = "journal-00000000000000000003.redb";
    std::fs::copy(other.path().join(name), directory.path().join(name)).unwrap();
    let (found, error) = stored(directory.path(), 0);
    assert_eq!(found, [1, 2, 3, 4]);
    let error = error.unwrap().to_string();
    assert!(error.contains("03.redb: begins with frame 3, which the file before it holds too"), "{error}");
}

#[test]
fn a_newest_file_that_is_gone_is_missed() {
    let gone = |directory: &Path, after| {
        let error = open(directory, after, Options::default()).err().unwrap();
        assert!(matches!(&error, JournalError::Lost { file } if file.ends_with("10.redb")), "{error}");
        let reader = Reader::open(Arc::new(Files::new(directory)), IDENTITY, Seq(after));
        assert_eq!(reader.err(), Some(error));
    };
    let directory = three_files();
    let files = Files::new(directory.path());
    files.remove(Seq(10)).unwrap();
    (0..=9).for_each(|after| gone(directory.path(), after));
    // Also when it was the only one.
    files.remove(Seq(5)).unwrap();
    files.remove(Seq(1)).unwrap();
    gone(directory.path(), 9);
}

#[test]
fn a_note_that_a_crash_or_an_earlier_version_kept_from_being_written_is_made_up_for() {
    for note in [None, Some(Seq(5))] {
        let directory = three_files();
        let files = Files::new(directory.path());
        files.note_newest(note).unwrap();
        assert_eq!(stored(directory.path(), 0), ((1..=12).collect(), None));
        assert_eq!(files.newest().unwrap(), Some(Seq(10)));
    }
    let directory = three_files();
    std::fs::write(directory.path().join("journal.newest"), "what").unwrap();
    let told = open(directory.path(), 0, Options::default()).err().unwrap().to_string();
    assert!(told.contains("journal.newest") && told.contains("delete it"), "{told}");
}

#[test]
fn what_was_never_finished_is_not_read() {
    let directory = three_files();
    std::fs::write(directory.path().join("journal-00000000000000000013.redb.new"), b"half a file").unwrap();
    assert_eq!(stored(directory.path(), 0), ((1..=12).collect(), None));
    let mut journal = open(directory.path(), 12, Options::default()).unwrap();
    assert!(journal.roll().unwrap().wait());
    fill(&mut journal, 13);
    journal.close().unwrap();
    assert_eq!(stored(directory.path(), 0), ((1..=13).collect(), None));
}

#[test]
fn looking_changes_nothing() {
    let directory = three_files();
    let bytes = |first| std::fs::read(Files::new(directory.path()).path(Seq(first))).unwrap();
    let before = [1, 5, 10].map(bytes);
    let mut reader = Reader::open(Arc::new(Files::new(directory.path())), IDENTITY, Seq(0)).unwrap();
    let mut count = 0;
    while reader.next_frame().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 12);
    assert!(before == [1, 5, 10].map(bytes));
    let read = redb::ReadOnlyDatabase::open(Files::new(directory.path()).path(Seq(5))).unwrap();
    let about = read.begin_read().unwrap().open_table(ABOUT).unwrap();
    assert_eq!(about.iter().unwrap().count(), 4);
}

/// Files whose disk panics, or refuses to delete, while it is told to.
#[derive(Debug)]
struct Faulty {
    files: Files,
    panics: Arc<AtomicBool>,
    keeps: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FaultyFile(Box<dyn StorageBackend>, Arc<AtomicBool>);

impl StorageBackend for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        assert!(!self.1.swap(false, Ordering::SeqCst), "planted");
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

impl Disk for Faulty {
    fn list(&self) -> io::Result<Vec<Seq>> {
        self.files.list()
    }

    fn open(&self, first: Seq, access: Access) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(FaultyFile(self.files.open(first, access)?, Arc::clone(&self.panics))))
    }

    fn create(&self, first: Seq) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(FaultyFile(self.files.create(first)?, Arc::clone(&self.panics))))
    }

    fn finish(&self, first: Seq) -> io::Result<()> {
        self.files.finish(first)
    }

    fn remove(&self, first: Seq) -> io::Result<()> {
        if self.keeps.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.files.remove(first)
    }

    fn newest(&self) -> io::Result<Option<Seq>> {
        self.files.newest()
    }

    fn note_newest(&self, first: Option<Seq>) -> io::Result<()> {
        self.files.note_newest(first)
    }

    fn name(&self, first: Seq) -> String {
        self.files.name(first)
    }
}

/// A journal on such a disk, and the switches: it panics, it refuses to delete.
fn faulty(directory: &Path, options: Options) -> (DurableJournal, Arc<AtomicBool>, Arc<AtomicBool>) {
    let (panics, keeps) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let disk = Faulty { files: Files::new(directory), panics: Arc::clone(&panics), keeps: Arc::clone(&keeps) };
    (DurableJournal::open(Arc::new(disk), IDENTITY, Seq(0), options).unwrap(), panics, keeps)
}

#[test]
fn who_is_woken_by_a_panic_finds_the_journal_failed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, panics, _) = faulty(directory.path(), Options::default());
    let (wake, woken) = mpsc::channel();
    journal.on_durable(Box::new(move || {
        let _ = wake.send(());
        // What is done only after waking is not done yet when the woken one looks.
        thread::sleep(Duration::from_millis(100));
    }));
    panics.store(true, Ordering::SeqCst);
    journal.append(frame(1)).unwrap();
    woken.recv().unwrap();
    assert!(matches!(journal.next(), Err(JournalError::Poisoned { .. })));
    assert!(journal.close().is_err());
}

#[test]
fn a_file_that_cannot_be_deleted_ends_no_journal() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let tell = |what: &str| {
        assert!(what.contains("old files cannot be deleted"), "{what}");
        TOLD.fetch_add(1, Ordering::SeqCst);
    };
    let directory = three_files();
    let (mut journal, _, keeps) = faulty(directory.path(), Options { tell, ..Options::default() });
    while journal.next().unwrap().is_some() {}
    keeps.store(true, Ordering::SeqCst);
    journal.trim(Seq(12)).unwrap();
    fill(&mut journal, 13);
    assert_eq!((TOLD.load(Ordering::SeqCst), Files::new(directory.path()).list().unwrap().len()), (1, 3));
    keeps.store(false, Ordering::SeqCst);
    journal.trim(Seq(12)).unwrap();
    fill(&mut journal, 14);
    journal.close().unwrap();
    assert_eq!((TOLD.load(Ordering::SeqCst), Files::new(directory.path()).list().unwrap()), (1, vec![Seq(10)]));
}

#[test]
fn a_file_that_cannot_be_written_is_refused_when_the_journal_is_opened() {
    use std::os::unix::fs::PermissionsExt;
    let directory = three_files();
    let last = Files::new(directory.path()).path(Seq(10));
    std::fs::set_permissions(&last, std::fs::Permissions::from_mode(0o400)).unwrap();
    // Root may write everywhere.
    if std::fs::OpenOptions::new().write(true).open(&last).is_err() {
        let refused = open(directory.path(), 12, Options::default()).err().unwrap();
        assert!(matches!(&refused, JournalError::Denied { file, .. } if file.ends_with("10.redb")), "{refused}");
        let mut reader = Reader::open(Arc::new(Files::new(directory.path())), IDENTITY, Seq(11)).unwrap();
        assert_eq!(reader.next_frame().unwrap(), Some((Seq(12), frame(12))));
    }
}

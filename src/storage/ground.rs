//! What the service goes on from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::directory::at;
use super::{Directory, StorageError};
use crate::engine::Engine;
use crate::ids::Seq;
use crate::journal::{Journal, MemoryJournal, Options};
use crate::snapshot::{Fingerprint, Found, Shelf, SnapshotError};

/// Follows a recovery: so many of so many frames are applied.
pub type Watch = Box<dyn FnMut(u64, u64) + Send>;

/// State as of one frame, and the journal behind it.
pub struct Ground {
    /// State that has seen all frames up to `after`.
    pub engine: Engine,
    /// The last frame that it has seen; 0 for none.
    pub after: Seq,
    /// The journal, open behind that frame. What is stored in it is yet to be applied.
    pub journal: Box<dyn Journal>,
    /// Told how far that has come.
    pub watch: Watch,
    /// When and where snapshots are taken; `None` for never.
    pub snapshots: Option<SnapshotPlan>,
    /// Told what an operator should know, at once.
    pub tell: Tell,
}

/// When and where snapshots are taken.
pub struct SnapshotPlan {
    /// Where they stand.
    pub shelf: Shelf,
    /// Of the identity key.
    pub fingerprint: Fingerprint,
    /// Time between the beginnings of two.
    pub interval: Duration,
    /// How many are kept, at least one.
    pub kept: usize,
    /// Told what an operator should know.
    pub tell: Tell,
}

/// Told in one sentence what an operator should know.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Time between two snapshots, unless something else is said.
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(300);
/// How many snapshots are kept, unless something else is said.
pub const SNAPSHOTS_KEPT: usize = 2;

impl Ground {
    /// Nothing; and nothing outlives the process.
    pub fn in_memory() -> Ground {
        let journal = Box::new(MemoryJournal::new());
        let (watch, tell) = (Box::new(|_, _| {}), Arc::new(|_: &str| {}));
        Ground { engine: Engine::new(), after: Seq(0), journal, watch, snapshots: None, tell }
    }

    /// What a data directory holds: the newest sound snapshot, and the journal behind it. `tell` is told of damaged
    /// snapshots and of secrets that others may read now, and of what happens to later snapshots.
    ///
    /// # Errors
    /// When the newest snapshot is of a later format or another identity key, or cannot be read; when the journal's
    /// first frames are missing, or its last file is damaged or foreign. Nothing is set aside then. What else is wrong
    /// with the journal is found when its frames are applied.
    pub fn stored(directory: &Directory, options: Options, watch: Watch, tell: Tell) -> Result<Ground, StorageError> {
        let (shelf, fingerprint) = (directory.shelf(), directory.identity().fingerprint());
        for (path, mode) in directory.open_secrets() {
            let shown = path.display();
            tell(&format!(
                "{shown}: is a secret, and others than its owner may use it (mode {mode:04o}): chmod 600 {shown}"
            ));
        }
        // As large as what they were to become; the directory's lock says that nobody is at work on them.
        shelf.clear_unfinished()?;
        directory.files().clear_unfinished().map_err(at(directory.path()))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(LOAD_THREADS_MAX);
        let found = shelf.newest(fingerprint, threads)?;
        check_base(directory, &found)?;
        let after = found.after();
        let journal = Box::new(directory.journal(after, options)?);
        // Not before: a start that is refused leaves what it found, so that the next one says the same.
        for error in &found.damaged {
            tell(&format!("{error}: it is set aside, and the start goes on from an older one or the journal alone"));
            shelf.set_aside(error)?;
        }
        let engine = found.loaded.map_or_else(Engine::new, |loaded| loaded.engine);
        let (interval, kept) = (SNAPSHOT_INTERVAL, SNAPSHOTS_KEPT);
        let snapshots = Some(SnapshotPlan { shelf, fingerprint, interval, kept, tell: Arc::clone(&tell) });
        Ok(Ground { engine, after, journal, watch, snapshots, tell })
    }
}

/// That there is something to start from. Damaged snapshots without a journal, as in a copy, are not the same as an
/// empty directory; neither is a journal whose beginning is let go.
///
/// # Errors
/// When there is not, with what is damaged.
pub(super) fn check_base(directory: &Directory, found: &Found) -> Result<(), StorageError> {
    let path = directory.path().to_owned();
    let damage = found.damaged.first().map(SnapshotError::to_string);
    match (directory.journal_files()?.first(), damage) {
        (Some(first), damage) if *first > found.after().next() => {
            Err(StorageError::Headless { path, first: first.0, damage })
        }
        (None, Some(damage)) if found.loaded.is_none() => Err(StorageError::NothingSound { path, damage }),
        _ => Ok(()),
    }
}

/// Most threads that read a snapshot: one thread reads the file, and they wait for it.
const LOAD_THREADS_MAX: usize = 16;

impl fmt::Debug for Ground {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ground").field("after", &self.after).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::journal::Disk;
    use crate::snapshot::{Covers, Taking};
    use crate::units::Timestamp;

    /// What a start makes of a directory, and what it tells.
    fn stored(directory: &Directory) -> (Result<Seq, String>, Vec<String>) {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let tell = Arc::new(move |what: &str| heard.lock().unwrap().push(what.to_owned()));
        let ground = Ground::stored(directory, Options::default(), Box::new(|_, _| {}), tell);
        let after = ground.map(|ground| ground.after).map_err(|error| error.to_string());
        let told = told.lock().unwrap().clone();
        (after, told)
    }

    fn names(path: &Path) -> Vec<String> {
        let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_crash_left_half_written_is_gone_after_a_start() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open_or_make(place.path()).unwrap();
        assert_eq!(stored(&directory), (Ok(Seq(0)), Vec::new()));
        let before = names(place.path());
        let left = ["snapshot-00000000000000000007.inkling.tmp", "journal-00000000000000000007.redb.new"];
        let others = ["letter.tmp", "letter.new", "snapshot-7.inkling.tmp"];
        left.iter().chain(&others).for_each(|name| fs::write(place.path().join(name), "half").unwrap());
        assert_eq!(stored(&directory), (Ok(Seq(0)), Vec::new()));
        let mut expected: Vec<_> = before.into_iter().chain(others.map(str::to_owned)).collect();
        expected.sort();
        assert_eq!(names(place.path()), expected);
    }

    #[test]
    fn secrets_that_others_may_read_are_told() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open_or_make(place.path()).unwrap();
        for (name, mode, is_told) in
            [("identity.key", 0o640, true), ("token.key", 0o602, true), ("token.key", 0o400, false)]
        {
            let path = place.path().join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let (after, told) = stored(&directory);
            assert_eq!((after, told.len()), (Ok(Seq(0)), usize::from(is_told)), "{told:?}");
            let words = format!("(mode {mode:04o}): chmod 600 {}", path.display());
            assert!(!is_told || told[0].ends_with(&words), "{told:?}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    /// A directory whose journal begins with frame 5, and whose snapshots cover these frames.
    fn without_beginning(path: &Path, snapshots: &[u64]) -> Directory {
        let directory = Directory::open_or_make(path).unwrap();
        let mut journal = directory.journal(Seq(0), Options::default()).unwrap();
        for seq in 1..=8 {
            journal.append(vec![seq; 100]).unwrap();
            journal.wait();
            journal.next().unwrap().unwrap();
            if seq == 4 {
                assert!(journal.roll().unwrap().wait());
            }
        }
        journal.close().unwrap();
        directory.files().remove(Seq(1)).unwrap();
        for seq in snapshots {
            let fingerprint = directory.identity().fingerprint();
            let covers = Covers { seq: Seq(*seq), fingerprint, at: Timestamp(0) };
            let mut engine = Engine::new();
            let taking = Taking::begin(&mut engine, path, covers, Box::new(|| true), Box::new(|| {}));
            taking.unwrap().unwrap().end(&mut engine).unwrap();
        }
        directory
    }

    #[test]
    fn a_start_that_is_refused_sets_nothing_aside_and_says_the_same_again() {
        // What the snapshots cover, and words of the message: the journal goes on from neither.
        for (snapshots, words) in [(&[][..], "begins with frame 5"), (&[6], "06.inkling is damaged"), (&[2, 6], "5")] {
            let place = tempfile::tempdir().unwrap();
            let directory = without_beginning(place.path(), snapshots);
            snapshots.last().iter().for_each(|seq| fs::write(directory.shelf().path(Seq(**seq)), "ruined").unwrap());
            let before = names(place.path());
            let (refused, told) = stored(&directory);
            let refused = refused.unwrap_err();
            assert!(refused.contains("all up to frame 4") && refused.contains(words), "{refused}");
            assert_eq!((names(place.path()), &told[..]), (before, &[][..]));
            assert_eq!(stored(&directory), (Err(refused), told));
        }
        // With one that is sound the same damage is passed over.
        let place = tempfile::tempdir().unwrap();
        let directory = without_beginning(place.path(), &[5, 6]);
        fs::write(directory.shelf().path(Seq(6)), "ruined").unwrap();
        let (after, told) = stored(&directory);
        assert!(after == Ok(Seq(5)) && told[0].contains("06.inkling is damaged at byte 0"), "{after:?} {told:?}");
        assert!(names(place.path()).contains(&"snapshot-00000000000000000006.inkling.damaged".to_owned()));
    }

    #[test]
    fn a_snapshot_that_the_disk_does_not_give_back_is_not_passed_over() {
        let place = tempfile::tempdir().unwrap();
        let directory = without_beginning(place.path(), &[5]);
        // A directory can be opened and not be read.
        fs::create_dir(directory.shelf().path(Seq(6))).unwrap();
        let before = names(place.path());
        let refused = stored(&directory).0.unwrap_err();
        assert!(refused.contains("06.inkling: cannot be read at byte 0") && refused.contains("mend"), "{refused}");
        assert_eq!(names(place.path()), before);
    }
}

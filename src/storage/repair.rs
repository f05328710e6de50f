//! A damaged journal, cut before the damage: only on request, and what is dropped is kept beside it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory::{at, check_format, make_dir};
use super::ground::check_base;
use super::{Directory, StorageError};
use crate::ids::Seq;
use crate::journal::{Disk, Files, JournalError, Part, cut, missing, survey, sync_directory};

/// Threads that read the newest snapshot.
const SNAPSHOT_THREADS: usize = 2;

/// What a repair would do.
#[derive(Debug)]
pub struct Plan {
    /// Why: the first thing that is wrong.
    pub fault: JournalError,
    /// The last frame that stays; 0 when none does.
    pub last: Seq,
    /// The damaged file, of which the frames up to `last` stay, and all files behind it, which go; none where it is the
    /// newest file that is missing.
    pub files: Vec<Part>,
    /// Files of which a snapshot holds every frame: they go where they are damaged, or where there would be a gap
    /// behind them.
    pub covered: Vec<Part>,
    /// The first frame that no snapshot holds.
    from: Seq,
}

impl Plan {
    /// What has to be done to a directory, if anything. Changes nothing.
    ///
    /// # Errors
    /// When the directory cannot be read, or its damage is of a kind that dropping frames does not mend: another
    /// identity key, a later version's file, a file that this user may not read, or a beginning that is gone.
    pub fn of(directory: &Directory) -> Result<Option<Plan>, StorageError> {
        let (disk, identity) = (directory.files(), directory.identity().fingerprint());
        let newest = directory.shelf().newest(identity, SNAPSHOT_THREADS)?;
        check_base(directory, &newest)?;
        let from = newest.loaded.map_or(Seq(0), |loaded| loaded.covers.seq).next();
        let mut parts = survey(&disk, identity, from)?;
        let begin = parts.first().map_or(from, |part| part.first);
        let mut covered = survey(&disk, identity, Seq(0))?;
        covered.retain(|part| part.first < begin);
        let damaged = parts.iter().position(|part| part.fault.is_some());
        let whole = parts.last().map_or(Seq(from.0 - 1), |part| part.last);
        let mut files = parts.split_off(damaged.unwrap_or(parts.len()));
        let faults = covered.iter().chain(&files).filter_map(|part| part.fault.clone());
        let Some(fault) = faults.into_iter().next().or(missing(&disk)?) else { return Ok(None) };
        let is_whole = |fault: &JournalError| {
            matches!(fault, JournalError::Foreign { .. } | JournalError::Version { .. } | JournalError::Denied { .. })
        };
        if let Some(fault) = covered.iter().chain(&files).filter_map(|part| part.fault.clone()).find(is_whole) {
            return Err(fault.into());
        }
        if let Some(JournalError::Ends { .. }) = files.first().and_then(|part| part.fault.as_ref()) {
            covered.push(files.remove(0));
        }
        let last = match (files.first(), parts.last()) {
            (None, _) => whole,
            (Some(damaged), before) if is_misplaced(damaged) => before.map_or(Seq(from.0 - 1), |part| part.last),
            (Some(damaged), _) => damaged.last,
        };
        let plan = Plan { fault, last, files, covered: Vec::new(), from };
        // Where nothing stays of the file in which a start begins, a gap would be behind those before it.
        let is_emptied = damaged == Some(0) && plan.cut().is_none();
        let goes = is_emptied || covered.iter().any(|part| part.fault.is_some());
        Ok(Some(if goes { Plan { covered, ..plan } } else { plan }))
    }

    /// The first frame of a file that goes.
    pub fn dropped_from(&self, part: &Part) -> Seq {
        if self.cut().is_some_and(|cut| cut.first == part.first) { self.last.next() } else { part.first }
    }

    /// Whether nothing is lost by it: a snapshot holds all that goes.
    pub fn is_harmless(&self) -> bool {
        self.files.is_empty() && !self.covered.is_empty() && !matches!(self.fault, JournalError::Lost { .. })
    }

    /// The damaged file, if some of its frames stay.
    fn cut(&self) -> Option<&Part> {
        self.files.first().filter(|part| part.first.max(self.from) <= self.last)
    }
}

/// What is wrong with a file is its place, not what it holds.
fn is_misplaced(part: &Part) -> bool {
    matches!(part.fault, Some(JournalError::Gap { expected, .. }) if expected < part.first.0)
        || matches!(part.fault, Some(JournalError::Rewound { .. }))
}

/// Does what was planned; where the files are now as they were before.
///
/// A crash in the middle leaves a directory that is still refused, with all it held: the repair can be done again.
///
/// # Errors
/// What the system says. All that was dropped until then is where the copy is.
pub fn repair(directory: &Directory, plan: &Plan) -> Result<PathBuf, StorageError> {
    let files = directory.files();
    let kept = place_of_copies(directory);
    if let Err(error) = keep(directory.path(), &kept, plan, &files) {
        // Nothing was dropped yet.
        let _ = fs::remove_dir_all(&kept);
        return Err(error);
    }
    let removed = |first| files.remove(first).map_err(at(directory.path()));
    // The last one first: what is left is damaged at its end for as long as it takes.
    for part in plan.files.iter().skip(1).rev() {
        removed(part.first)?;
    }
    match (plan.cut(), plan.files.first()) {
        (Some(part), _) => {
            let disk: Arc<dyn Disk> = Arc::new(files.clone());
            cut(&disk, part.first, plan.last, directory.identity().fingerprint())?;
        }
        (None, Some(part)) => removed(part.first)?,
        (None, None) => {}
    }
    plan.covered.iter().rev().try_for_each(|part| removed(part.first))?;
    // Until now a start would have refused what is left.
    let newest = files.list().and_then(|all| files.note_newest(all.last().copied()));
    newest.map_err(at(directory.path()))?;
    Ok(kept)
}

/// Where [`repair`] puts the files as they were: a directory that does not exist yet.
pub fn place_of_copies(directory: &Directory) -> PathBuf {
    let named = |number: u32| directory.path().join(format!("dropped-{number}"));
    (1..).map(named).find(|name| !name.exists()).expect("there are more numbers than directories")
}

/// Refuses a directory that is another user's: what a repair writes there would be out of the service's reach.
///
/// # Errors
/// When it is another's, no data directory, or nothing can be written there.
pub fn check_owner(path: &Path) -> Result<(), StorageError> {
    check_format(path)?;
    let owner = fs::metadata(path).map_err(at(path))?.uid();
    // A file without a name: nothing else says, on every system, whose files this process makes.
    let user = tempfile::tempfile_in(path).and_then(|file| file.metadata()).map_err(at(path))?.uid();
    if user == owner { Ok(()) } else { Err(StorageError::NotOurs { path: path.to_owned(), owner, user }) }
}

/// Copies the files into a directory of their own.
fn keep(path: &Path, kept: &Path, plan: &Plan, files: &Files) -> Result<(), StorageError> {
    make_dir(kept).map_err(at(kept))?;
    for part in plan.covered.iter().chain(&plan.files) {
        let from = files.path(part.first);
        let to = kept.join(from.file_name().expect("a journal file has a name"));
        fs::copy(&from, &to).map_err(at(&to))?;
        fs::File::open(&to).and_then(|file| file.sync_all()).map_err(at(&to))?;
    }
    sync_directory(kept).and_then(|()| sync_directory(path)).map_err(at(kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Options};
    use crate::snapshot::{Covers, Taking};

    fn frame(seq: u64) -> Vec<u8> {
        vec![seq as u8; 3_000]
    }

    /// Files 1 to 4, 5 to 8, 9 to 12.
    fn directory(path: &Path) -> Directory {
        let directory = Directory::open_or_make(path).unwrap();
        let mut journal = directory.journal(Seq(0), Options::default()).unwrap();
        for seq in 1..=12 {
            journal.append(frame(seq)).unwrap();
            journal.wait();
            journal.next().unwrap().unwrap();
            if seq % 4 == 0 && seq < 12 {
                assert!(journal.roll().unwrap().wait());
            }
        }
        journal.close().unwrap();
        directory
    }

    fn frames(directory: &Directory) -> Result<Vec<u64>, JournalError> {
        let mut reader = directory.reader(Seq(0))?;
        let mut found = Vec::new();
        while let Some((seq, read)) = reader.next_frame()? {
            assert_eq!(read, frame(seq.0));
            found.push(seq.0);
        }
        Ok(found)
    }

    /// Damages one frame in the file that holds it.
    fn damage(directory: &Directory, seq: u64) {
        let first = directory.journal_files().unwrap().into_iter().rfind(|first| first.0 <= seq).unwrap();
        let database = redb::Database::open(directory.files().path(first)).unwrap();
        let write = database.begin_write().unwrap();
        {
            let table = redb::TableDefinition::<u64, &[u8]>::new("frames");
            write.open_table(table).unwrap().insert(seq, [0; 64].as_slice()).unwrap();
        }
        write.commit().unwrap();
    }

    #[test]
    fn a_good_journal_needs_none() {
        let path = tempfile::tempdir().unwrap();
        assert!(Plan::of(&directory(path.path())).unwrap().is_none());
    }

    #[test]
    fn what_follows_damage_is_dropped_and_kept_beside() {
        for (damaged, last) in [(1, 0), (2, 1), (5, 4), (7, 6), (12, 11)] {
            let path = tempfile::tempdir().unwrap();
            let directory = directory(path.path());
            damage(&directory, damaged);
            let refused = frames(&directory).unwrap_err();
            let plan = Plan::of(&directory).unwrap().unwrap();
            assert_eq!((plan.last, &plan.fault), (Seq(last), &refused));
            assert_eq!(frames(&directory), Err(refused), "a plan changes nothing");
            let before: Vec<_> =
                plan.files.iter().map(|part| fs::read(directory.files().path(part.first)).unwrap()).collect();
            let kept = repair(&directory, &plan).unwrap();
            assert_eq!(frames(&directory), Ok((1..=last).collect()), "frame {damaged} was damaged");
            assert!(Plan::of(&directory).unwrap().is_none());
            for (part, bytes) in plan.files.iter().zip(before) {
                let name = directory.files().path(part.first);
                assert!(fs::read(kept.join(name.file_name().unwrap())).unwrap() == bytes);
            }
            // The journal goes on behind what is left.
            let mut journal = directory.journal(Seq(last), Options::default()).unwrap();
            journal.append(frame(last + 1)).unwrap();
            journal.wait();
            assert_eq!(journal.next().unwrap().unwrap().0, Seq(last + 1));
        }
    }

    /// A snapshot of all up to a frame.
    fn snapshot(directory: &Directory, seq: u64) {
        let (fingerprint, at) = (directory.identity().fingerprint(), crate::units::Timestamp(0));
        let covers = Covers { seq: Seq(seq), fingerprint, at };
        let mut engine = crate::engine::Engine::new();
        let taking =
            Taking::begin(&mut engine, directory.path(), covers, Box::new(|| true), Box::new(|| {})).unwrap().unwrap();
        taking.end(&mut engine).unwrap();
    }

    #[test]
    fn what_no_snapshot_holds_stays_if_it_can() {
        // Which frame is damaged, what a snapshot covers, the last frame that stays.
        for (damaged, covered, last) in [(2, 4, 12), (2, 6, 12), (7, 6, 6), (7, 5, 6), (10, 6, 9), (12, 12, 12)] {
            let path = tempfile::tempdir().unwrap();
            let directory = directory(path.path());
            snapshot(&directory, covered);
            damage(&directory, damaged);
            if let Some(plan) = Plan::of(&directory).unwrap() {
                assert_eq!(plan.last, Seq(last), "{damaged} {covered}");
                repair(&directory, &plan).unwrap();
            }
            assert!(Plan::of(&directory).unwrap().is_none());
            let mut journal = directory.journal(Seq(covered), Options::default()).unwrap();
            for seq in covered + 1..=last {
                assert_eq!(journal.next().unwrap(), Some((Seq(seq), frame(seq))));
            }
            journal.append(frame(last + 1)).unwrap();
            journal.wait();
            assert_eq!(journal.next().unwrap().unwrap().0, Seq(last + 1));
        }
    }

    #[test]
    fn a_journal_without_its_beginning_is_no_case_for_a_repair() {
        let path = tempfile::tempdir().unwrap();
        let directory = directory(path.path());
        directory.files().remove(Seq(1)).unwrap();
        let refused = Plan::of(&directory).unwrap_err().to_string();
        assert!(refused.contains("begins with frame 5") && refused.contains("backup"), "{refused}");
    }

    #[test]
    fn files_behind_a_gap_are_dropped() {
        let path = tempfile::tempdir().unwrap();
        let directory = directory(path.path());
        directory.files().remove(Seq(5)).unwrap();
        let plan = Plan::of(&directory).unwrap().unwrap();
        assert_eq!((plan.last, plan.files.len()), (Seq(4), 1));
        repair(&directory, &plan).unwrap();
        assert_eq!(frames(&directory), Ok(vec![1, 2, 3, 4]));
    }

    #[test]
    fn a_newest_file_that_is_missing_is_missed_and_given_up_on_request() {
        for covered in [None, Some(6), Some(8)] {
            let path = tempfile::tempdir().unwrap();
            let directory = directory(path.path());
            covered.into_iter().for_each(|seq| snapshot(&directory, seq));
            directory.files().remove(Seq(9)).unwrap();
            let lost = |told: String| assert!(told.contains("09.redb: is missing, and the latest frames"), "{told}");
            let after = Seq(covered.unwrap_or(0));
            lost(frames(&directory).unwrap_err().to_string());
            lost(directory.journal(after, Options::default()).err().unwrap().to_string());
            let plan = Plan::of(&directory).unwrap().unwrap();
            lost(plan.fault.to_string());
            assert_eq!((plan.last, plan.files.len()), (Seq(8), 0), "{covered:?}");
            repair(&directory, &plan).unwrap();
            assert!(Plan::of(&directory).unwrap().is_none());
            assert_eq!(directory.journal(after, Options::default()).unwrap().stored_last(), Seq(8));
        }
    }

    #[test]
    fn a_journal_that_ends_before_its_snapshot_begins_anew_behind_it() {
        // With and without the file that the snapshot's last frames were in.
        for files in [&[Seq(9)][..], &[Seq(5), Seq(9)], &[Seq(5)]] {
            let path = tempfile::tempdir().unwrap();
            let directory = directory(path.path());
            snapshot(&directory, if files.len() == 2 { 6 } else { 15 });
            files.iter().for_each(|first| directory.files().remove(*first).unwrap());
            directory.files().note_newest(None).unwrap();
            let after = directory.shelf().list().unwrap()[0];
            assert!(directory.journal(after, Options::default()).is_err());
            let plan = Plan::of(&directory).unwrap().unwrap();
            assert_eq!((plan.last, plan.files.len()), (after, 0), "nothing that no snapshot holds goes");
            repair(&directory, &plan).unwrap();
            assert!(Plan::of(&directory).unwrap().is_none());
            assert_eq!(directory.journal(after, Options::default()).unwrap().stored_last(), after);
        }
    }

    #[test]
    fn a_file_that_is_no_database_any_more_is_dropped_whole() {
        let path = tempfile::tempdir().unwrap();
        let directory = directory(path.path());
        fs::write(directory.files().path(Seq(5)), b"ruined").unwrap();
        let plan = Plan::of(&directory).unwrap().unwrap();
        assert_eq!((plan.last, plan.files.len()), (Seq(4), 2));
        repair(&directory, &plan).unwrap();
        assert_eq!(frames(&directory), Ok(vec![1, 2, 3, 4]));
    }

    #[test]
    fn a_directory_of_another_user_is_left_to_that_user() {
        let path = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(path.path()).unwrap());
        let count = || fs::read_dir(path.path()).unwrap().count();
        let before = count();
        check_owner(path.path()).unwrap();
        // Only root can give a directory away.
        if std::os::unix::fs::chown(path.path(), Some(54_321), None).is_ok() {
            let refused = check_owner(path.path()).unwrap_err().to_string();
            assert!(refused.contains("belongs to user 54321") && refused.contains("sudo -u '#54321'"), "{refused}");
            assert_eq!(count(), before);
        }
    }
}

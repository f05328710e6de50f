//! A damaged journal, cut before the damage: only on request, and what is dropped is kept beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Directory, StorageError};
use crate::ids::Seq;
use crate::journal::{Disk, JournalError, Part, cut, survey, sync_directory};

/// What a repair would do.
#[derive(Debug)]
pub struct Plan {
    /// Why: the first thing that is wrong.
    pub fault: JournalError,
    /// The last frame that stays; 0 when none does.
    pub last: Seq,
    /// The damaged file, of which the frames up to `last` stay, and all files behind it, which go.
    pub files: Vec<Part>,
}

impl Plan {
    /// What has to be done to a directory, if anything. Changes nothing.
    ///
    /// # Errors
    /// When the directory cannot be read, or its damage is of a kind that dropping frames does not mend: another
    /// identity key, or a later version's file.
    pub fn of(directory: &Directory) -> Result<Option<Plan>, StorageError> {
        let mut parts = survey(&directory.files(), directory.identity().fingerprint())?;
        let Some(at) = parts.iter().position(|part| part.fault.is_some()) else { return Ok(None) };
        let files = parts.split_off(at);
        let damaged = files.first().expect("the damaged one is among them");
        let fault = damaged.fault.clone().expect("it was found by its fault");
        if matches!(fault, JournalError::Foreign { .. } | JournalError::Version { .. }) {
            return Err(fault.into());
        }
        let misplaced = matches!(fault, JournalError::Gap { expected, .. } if expected < damaged.first.0)
            || matches!(fault, JournalError::Rewound { .. });
        let last = match (misplaced, parts.last()) {
            (false, _) => damaged.last,
            (true, before) => before.map_or(Seq(0), |part| part.last),
        };
        Ok(Some(Plan { fault, last, files }))
    }

    /// The damaged file, if some of its frames stay.
    fn cut(&self) -> Option<&Part> {
        self.files.first().filter(|part| part.first <= self.last)
    }
}

/// Does what was planned; where the files are now as they were before.
///
/// A crash in the middle leaves a directory that is still refused, with all it held: the repair can be done again.
///
/// # Errors
/// What the system says. All that was dropped until then is where the copy is.
pub fn repair(directory: &Directory, plan: &Plan) -> Result<PathBuf, StorageError> {
    let files = directory.files();
    let kept = keep(directory.path(), plan, &files)?;
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
    Ok(kept)
}

/// Copies the files into a directory of their own.
fn keep(path: &Path, plan: &Plan, files: &crate::journal::Files) -> Result<PathBuf, StorageError> {
    let free = (1..).map(|number| path.join(format!("dropped-{number}"))).find(|name| !name.exists());
    let kept = free.expect("there are more numbers than directories");
    fs::create_dir(&kept).map_err(at(&kept))?;
    for part in &plan.files {
        let from = files.path(part.first);
        let to = kept.join(from.file_name().expect("a journal file has a name"));
        fs::copy(&from, &to).map_err(at(&to))?;
        fs::File::open(&to).and_then(|file| file.sync_all()).map_err(at(&to))?;
    }
    sync_directory(&kept).and_then(|()| sync_directory(path)).map_err(at(&kept))?;
    Ok(kept)
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> StorageError {
    let path = path.to_owned();
    move |source| StorageError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Options};

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
                journal.roll().unwrap();
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
    fn a_file_that_is_no_database_any_more_is_dropped_whole() {
        let path = tempfile::tempdir().unwrap();
        let directory = directory(path.path());
        fs::write(directory.files().path(Seq(5)), b"ruined").unwrap();
        let plan = Plan::of(&directory).unwrap().unwrap();
        assert_eq!((plan.last, plan.files.len()), (Seq(4), 2));
        repair(&directory, &plan).unwrap();
        assert_eq!(frames(&directory), Ok(vec![1, 2, 3, 4]));
    }
}

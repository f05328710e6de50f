//! The snapshots of one directory: which there are, which serves, which may go.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::read::{Loaded, check, load};
use super::{Covers, Fingerprint, SnapshotError};
use crate::ids::Seq;

const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".inkling";
/// Ends of the names of one that is being written, and of one that was found to be damaged.
pub(super) const TEMPORARY: &str = ".tmp";
const ASIDE: &str = ".damaged";

/// A directory with snapshots.
#[derive(Debug, Clone)]
pub struct Shelf {
    directory: PathBuf,
}

/// What a start found.
#[derive(Debug)]
pub struct Found {
    /// The newest sound snapshot; `None` where there is none.
    pub loaded: Option<Loaded>,
    /// Newer ones that were passed over, newest first. Whoever starts should be told.
    pub damaged: Vec<SnapshotError>,
}

impl Found {
    /// The last frame of the state to go on from; 0 where there is none.
    pub fn after(&self) -> Seq {
        self.loaded.as_ref().map_or(Seq(0), |loaded| loaded.covers.seq)
    }
}

/// Name of the snapshot that covers the frames up to this one.
pub(super) fn file_name(seq: Seq) -> String {
    format!("{PREFIX}{:020}{SUFFIX}", seq.0)
}

fn covered(name: &str) -> Option<Seq> {
    let seq = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok().map(Seq)?;
    (file_name(seq) == name).then_some(seq)
}

/// Makes names of a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), SnapshotError> {
    let synced = File::open(directory).and_then(|file| file.sync_all());
    synced.map_err(|source| failed(directory, "syncing the directory", source))
}

fn failed(path: &Path, doing: &'static str, source: io::Error) -> SnapshotError {
    SnapshotError::Io { path: path.to_owned(), doing, source }
}

impl Shelf {
    /// The snapshots of a directory that exists.
    pub fn new(directory: &Path) -> Shelf {
        Shelf { directory: directory.to_owned() }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of a snapshot.
    pub fn path(&self, seq: Seq) -> PathBuf {
        self.directory.join(file_name(seq))
    }

    /// What the snapshots cover, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Seq>, SnapshotError> {
        let mut found: Vec<Seq> = self.names()?.iter().filter_map(|name| covered(name)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Loads the newest sound snapshot with so many threads.
    ///
    /// # Errors
    /// When a file cannot be read, is of a later format, or of another identity key: to pass such a one over would
    /// lose what it covers. Damaged ones are passed over; when all are, there is none.
    pub fn newest(&self, fingerprint: Fingerprint, threads: usize) -> Result<Found, SnapshotError> {
        let mut found = Found { loaded: None, damaged: Vec::new() };
        for seq in self.list()?.into_iter().rev() {
            match load(&self.path(seq), fingerprint, threads) {
                Ok(loaded) if loaded.covers.seq == seq => {
                    found.loaded = Some(loaded);
                    break;
                }
                Ok(loaded) => {
                    found.damaged.push(SnapshotError::Misnamed { path: loaded.path, found: loaded.covers.seq.0 })
                }
                Err(error @ SnapshotError::Damaged { .. }) => found.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Reads a snapshot and believes its checksums: what it is of.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, of a later format, of another identity key, or not what its name says.
    pub fn check(&self, seq: Seq, fingerprint: Fingerprint) -> Result<Covers, SnapshotError> {
        let path = self.path(seq);
        match check(&path)?.0 {
            covers if covers.fingerprint != fingerprint => Err(SnapshotError::ForeignKey { path }),
            covers if covers.seq != seq => Err(SnapshotError::Misnamed { path, found: covers.seq.0 }),
            covers => Ok(covers),
        }
    }

    /// Deletes what broken-off writing has left. Nobody else may be writing here.
    ///
    /// # Errors
    /// When the directory cannot be read, or a file cannot be deleted.
    pub fn clear_unfinished(&self) -> Result<(), SnapshotError> {
        let is_left = |name: &&String| name.strip_suffix(TEMPORARY).and_then(covered).is_some();
        for path in self.names()?.iter().filter(is_left).map(|name| self.directory.join(name)) {
            fs::remove_file(&path).map_err(|source| failed(&path, "deleting it", source))?;
        }
        Ok(())
    }

    /// Takes a damaged one out of the list. It stays to be looked at, until the next [`keep`](Shelf::keep).
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn set_aside(&self, error: &SnapshotError) -> Result<(), SnapshotError> {
        let (SnapshotError::Damaged { path, .. } | SnapshotError::Misnamed { path, .. }) = error else { return Ok(()) };
        let mut aside = path.clone().into_os_string();
        aside.push(ASIDE);
        fs::rename(path, aside).map_err(|source| failed(path, "renaming it", source))?;
        sync_directory(&self.directory)
    }

    /// Deletes all but the newest so many, at least one, and what broken-off writing and damage have left. The oldest
    /// of them: frames that it covers are needed by no start. `None` as long as there are fewer, so that a damaged one
    /// can be made good by the journal.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub fn keep(&self, newest: usize) -> Result<Option<Seq>, SnapshotError> {
        let all = self.list()?;
        let (old, kept) = all.split_at(all.len().saturating_sub(newest.max(1)));
        let left = |name: &str| [TEMPORARY, ASIDE].into_iter().find_map(|end| name.strip_suffix(end)).and_then(covered);
        let is_left = |name: &&String| left(name).is_some();
        let left = self.names()?.iter().filter(is_left).map(|name| self.directory.join(name)).collect::<Vec<_>>();
        let gone: Vec<PathBuf> = old.iter().map(|seq| self.path(*seq)).chain(left).collect();
        for path in &gone {
            fs::remove_file(path).map_err(|source| failed(path, "deleting it", source))?;
        }
        if !gone.is_empty() {
            sync_directory(&self.directory)?;
        }
        Ok(kept.first().copied().filter(|_| kept.len() >= newest))
    }

    fn names(&self) -> Result<Vec<String>, SnapshotError> {
        let read = |error| failed(&self.directory, "reading the directory", error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(read)? {
            // What is no text is no snapshot's name.
            names.extend(entry.map_err(read)?.file_name().into_string());
        }
        Ok(names)
    }
}

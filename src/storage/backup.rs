//! A copy of a data directory from which a service can start, taken while another works in it.
//!
//! It holds the keys and the newest sound snapshot, whose file never changes; the journal does, and is left out. So it
//! is the state as of that snapshot: what came after it is not in the copy.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StorageError;
use super::directory::{FORMAT, at, check_format, make_dir};
use super::keys::{self, identity_of, token_keys_of};
use crate::ids::Seq;
use crate::journal::sync_directory;
use crate::snapshot::{Covers, Fingerprint, Shelf, SnapshotError, check};

/// How often a snapshot may vanish before it is copied, because newer ones have taken its place.
const TRIES: usize = 5;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// What the snapshot is of.
    pub covers: Covers,
    /// Its size.
    pub bytes: u64,
}

/// Copies a data directory into one that does not exist yet, or is empty. The file that makes it a data directory comes
/// last: a copy that was broken off is none. One that fails is cleared away.
///
/// # Errors
/// When there is no snapshot, none is sound, a file cannot be read or written, or `to` is not empty.
pub fn back_up(from: &Path, to: &Path) -> Result<Backup, StorageError> {
    check_format(from)?;
    let fingerprint = identity_of(from)?.fingerprint();
    let is_new = !to.try_exists().map_err(at(to))?;
    make_dir(to).map_err(at(to))?;
    let mut made = Vec::new();
    let backup = is_free(from, to).and_then(|()| fill(from, to, fingerprint, &mut made));
    if backup.is_err() {
        // What cannot be cleared away is no data directory, and is in the way of the next copy: that one tells.
        made.iter().for_each(|path| drop(fs::remove_file(path)));
        if is_new {
            let _ = fs::remove_dir(to);
        }
    }
    backup
}

/// Whether a copy can stand there.
fn is_free(from: &Path, to: &Path) -> Result<(), StorageError> {
    let real = |path: &Path| fs::canonicalize(path).map_err(at(path));
    if real(to)?.starts_with(real(from)?) {
        return Err(StorageError::Within { path: to.to_owned() });
    }
    let taken = |found: String| Err(StorageError::Taken { path: to.to_owned(), found });
    if to.join(FORMAT).try_exists().map_err(at(to))? {
        return taken(FORMAT.to_owned());
    }
    match fs::read_dir(to).map_err(at(to))?.next() {
        Some(found) => taken(found.map_err(at(to))?.file_name().to_string_lossy().into_owned()),
        None => Ok(()),
    }
}

/// Copies one file after the other, and notes which were made.
fn fill(from: &Path, to: &Path, fingerprint: Fingerprint, made: &mut Vec<PathBuf>) -> Result<Backup, StorageError> {
    let backup = copy_snapshot(from, to, fingerprint, made)?;
    token_keys_of(from)?;
    for file in keys::files(from).into_iter().chain([from.join(FORMAT)]) {
        copy(&file, &to.join(file.file_name().expect("a file that has been listed")), made)?;
        sync_directory(to).map_err(at(to))?;
    }
    Ok(backup)
}

fn copy_snapshot(
    from: &Path,
    to: &Path,
    fingerprint: Fingerprint,
    made: &mut Vec<PathBuf>,
) -> Result<Backup, StorageError> {
    let (shelf, copies) = (Shelf::new(from), Shelf::new(to));
    let mut tried = Vec::new();
    for _ in 0..TRIES {
        let untried = |seq: &&Seq| !tried.contains(*seq);
        let all = shelf.list()?;
        let Some(seq) = all.iter().rev().find(untried).copied() else { break };
        tried.push(seq);
        let copied = copies.path(seq);
        match copy(&shelf.path(seq), &copied, made) {
            // A newer one has taken its place meanwhile.
            Err(StorageError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => continue,
            result => result?,
        }
        match check(&copied) {
            Ok((covers, _)) if covers.fingerprint != fingerprint => {
                return Err(SnapshotError::ForeignKey { path: shelf.path(seq) }.into());
            }
            Ok((covers, _)) if covers.seq != seq => fs::remove_file(&copied).map_err(at(&copied))?,
            Ok((covers, _)) => {
                let bytes = fs::metadata(&copied).map_err(at(&copied))?.len();
                return Ok(Backup { covers, bytes });
            }
            Err(SnapshotError::Damaged { .. }) => fs::remove_file(&copied).map_err(at(&copied))?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(StorageError::NoSnapshot { path: from.to_owned() })
}

/// Copies a file, makes it durable, and lets nobody see more of it than of the first. It is noted as made once it is:
/// one that was there before is another's.
fn copy(from: &Path, to: &Path, made: &mut Vec<PathBuf>) -> Result<(), StorageError> {
    let mut source = File::open(from).map_err(at(from))?;
    let mode = source.metadata().map_err(at(from))?.permissions().mode();
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(mode & 0o777).open(to);
    let mut target = opened.map_err(at(to))?;
    made.push(to.to_owned());
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(at(to))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::Engine;
    use crate::journal::Options;
    use crate::snapshot::Taking;
    use crate::storage::keys::{IDENTITY, TOKEN};
    use crate::storage::{Directory, Ground};
    use crate::units::Timestamp;

    fn snapshot(directory: &Directory, seq: u64) {
        let fingerprint = directory.identity().fingerprint();
        let covers = Covers { seq: Seq(seq), fingerprint, at: Timestamp(0) };
        let mut engine = Engine::new();
        let taking =
            Taking::begin(&mut engine, directory.path(), covers, Box::new(|| true), Box::new(|| {})).unwrap().unwrap();
        taking.end(&mut engine).unwrap();
    }

    #[test]
    fn a_copy_is_a_directory_that_a_service_goes_on_from() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        assert!(back_up(&from, &to).unwrap_err().to_string().contains("is no data directory"));
        // Locked all the while, as by a service.
        let directory = Directory::open_or_make(&from).unwrap();
        let told = back_up(&from, &to).unwrap_err().to_string();
        assert!(told.contains("there is no sound snapshot in it yet"), "{told}");
        snapshot(&directory, 7);
        snapshot(&directory, 9);
        fs::write(directory.shelf().path(Seq(12)), "damaged").unwrap();
        assert!(!to.exists(), "what failed leaves nothing behind");
        // The snapshot is copied by then.
        fs::rename(from.join(TOKEN), from.join("elsewhere")).unwrap();
        fs::create_dir(&to).unwrap();
        let told = back_up(&from, &to).unwrap_err().to_string();
        assert!(told.contains("token.key") && fs::read_dir(&to).unwrap().next().is_none(), "{told}");
        fs::rename(from.join("elsewhere"), from.join(TOKEN)).unwrap();
        fs::remove_dir(&to).unwrap();
        fs::copy(from.join(TOKEN), from.join("token.key.1")).unwrap();
        let backup = back_up(&from, &to).unwrap();
        assert_eq!(backup.covers.seq, Seq(9));
        let copy = Directory::open(&to).unwrap();
        assert_eq!(copy.identity().fingerprint(), directory.identity().fingerprint());
        let keys = copy.token_keys();
        assert_eq!(&keys.current, &directory.token_keys().current);
        assert_eq!(keys.previous, std::slice::from_ref(&keys.current), "former keys are copied, too");
        let key = fs::metadata(to.join(IDENTITY)).unwrap().permissions().mode() & 0o777;
        assert_eq!(key, 0o600, "others cannot read the key");
        let ground = Ground::stored(&copy, Options::default(), Box::new(|_, _| {}), Arc::new(|_| {})).unwrap();
        assert_eq!((ground.after, ground.journal.stored_last()), (Seq(9), Seq(9)));
        drop((ground, copy));
        // A copy that is damaged is refused as it is: started empty, it would be taken for good.
        let other = place.path().join("other");
        back_up(&from, &other).unwrap();
        let image = Shelf::new(&other).path(Seq(9));
        fs::write(&image, "damaged").unwrap();
        let copy = Directory::open(&other).unwrap();
        let ground = Ground::stored(&copy, Options::default(), Box::new(|_, _| {}), Arc::new(|_| {}));
        let told = ground.map(|ground| ground.after).unwrap_err().to_string();
        assert!(told.contains("no journal in it, and no sound snapshot") && image.exists(), "{told}");
        let told = crate::storage::audit(&copy, |_| {}).unwrap_err().to_string();
        assert!(told.contains("no journal in it, and no sound snapshot"), "{told}");
        // Nor does a copy clear away what another one has made meanwhile.
        let mut made = Vec::new();
        assert!(fill(&from, &other, directory.identity().fingerprint(), &mut made).is_err());
        assert!(!made.contains(&image) && image.exists(), "{made:?}");
        let before = fs::read_dir(&to).unwrap().count();
        let told = back_up(&from, &to).unwrap_err().to_string();
        assert!(told.contains("is a data directory already, perhaps an earlier backup"), "{told}");
        fs::remove_file(to.join(FORMAT)).unwrap();
        let told = back_up(&from, &to).unwrap_err().to_string();
        assert!(told.contains("is not empty (") && told.contains("name a directory that does not exist"), "{told}");
        assert_eq!(fs::read_dir(&to).unwrap().count(), before - 1, "what was there stays");
    }
}

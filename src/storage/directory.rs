//! The directory itself: made once, locked by one process at a time.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::keys;
use super::lock::{LOCK, Lock};
use super::secret;
use crate::identity::Identity;
use crate::ids::Seq;
use crate::journal::{Disk, DurableJournal, Files, JournalError, Options, Reader, first_of, io_cause, sync_directory};
use crate::snapshot::{Shelf, SnapshotError};
use crate::token::TokenKeys;

/// Version of what a directory holds beside the journal, and of the names in it.
pub const DIRECTORY_FORMAT: u32 = 1;

pub(super) const FORMAT: &str = "inkling.format";
const FORMAT_WORDS: &str = "inkling data directory, format ";

/// Why a directory cannot be used.
#[derive(Debug, Error)]
pub enum StorageError {
    /// A file or the directory cannot be read or written.
    #[error("{}: cannot be used: {}", path.display(), io_cause(error))]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process works here.
    #[error("{}: is in use{}: stop that process first, or wait for its end", path.display(), by(holder))]
    InUse {
        /// Which directory.
        path: PathBuf,
        /// Number of that process, if it left one.
        holder: String,
    },
    /// There are files in it, and none says that they are Inkling's.
    #[error("{}: is not empty and no data directory of inkling ('{found}' is in it): name another one", path.display())]
    Strange {
        /// Which directory.
        path: PathBuf,
        /// One of the files.
        found: String,
    },
    /// It does not exist, or is something else.
    #[error(
        "{}: is no data directory of inkling ({why}): name the one of a service, `[storage] path` or `serve --data`",
        path.display()
    )]
    Missing {
        /// Which directory.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// A later version made it.
    #[error(
        "{}: is of another format ('{found}'), this version knows format {DIRECTORY_FORMAT}: start the version that \
         made it, or a later one",
        path.display()
    )]
    Version {
        /// Which directory.
        path: PathBuf,
        /// What its format file says.
        found: String,
    },
    /// A secret is gone.
    #[error("{}: is missing: put it back from a backup, as no service starts without it", path.display())]
    NoSecret {
        /// Where it belongs.
        path: PathBuf,
    },
    /// A secret is damaged.
    #[error("{}: is no {what}, or damaged: put it back from a backup", path.display())]
    Secret {
        /// Which file.
        path: PathBuf,
        /// What it should be.
        what: String,
    },
    /// A secret of former tokens is damaged.
    #[error(
        "{}: is no token key, or damaged: put it back from a backup, or delete it, and what it has sealed is refused",
        path.display()
    )]
    FormerSecret {
        /// Which file.
        path: PathBuf,
    },
    /// The journal's beginning is gone, and with it what it goes on from.
    #[error(
        "{}: the journal begins with frame {first}, and no sound snapshot holds all up to frame {}{}: put the missing \
         files back, or restore a backup; no repair can make up for them",
        path.display(), first.saturating_sub(1),
        damage.as_ref().map_or(String::new(), |damage| format!(" ({damage})"))
    )]
    Headless {
        /// Which directory.
        path: PathBuf,
        /// The first frame that is there.
        first: u64,
        /// What is wrong with the newest snapshot, if it is damaged.
        damage: Option<String>,
    },
    /// All that a start could go on from is damaged.
    #[error(
        "{}: there is no journal in it, and no sound snapshot ({damage}): a start would be an empty one; copy the \
         backup again, or another one",
        path.display()
    )]
    NothingSound {
        /// Which directory.
        path: PathBuf,
        /// What is wrong with the newest snapshot.
        damage: String,
    },
    /// A copy would not stand alone.
    #[error(
        "{}: is {what} ('{found}' is in it): name a directory that does not exist yet, or is empty", path.display(),
        what = if found == FORMAT { "a data directory already, perhaps an earlier backup" } else { "not empty" }
    )]
    Taken {
        /// Where the copy was to be.
        path: PathBuf,
        /// One of the files that are there.
        found: String,
    },
    /// A copy would stand in the directory that it is of.
    #[error("{}: stands in the directory that is copied: name one outside of it", path.display())]
    Within {
        /// Where the copy was to be.
        path: PathBuf,
    },
    /// It is another user's.
    #[error(
        "{}: belongs to user {owner}, and what user {user} writes there would be out of its reach: run this as that \
         user, for example with sudo -u '#{owner}'",
        path.display()
    )]
    NotOurs {
        /// Which directory.
        path: PathBuf,
        /// Number of the user whose it is.
        owner: u32,
        /// Number of the user who runs this.
        user: u32,
    },
    /// Nothing in it can be copied while a service works there.
    #[error(
        "{}: there is no sound snapshot in it yet: wait for one (`snapshot_interval`), or stop the service and copy \
         the whole directory",
        path.display()
    )]
    NoSnapshot {
        /// Which directory.
        path: PathBuf,
    },
    /// The journal in it cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A snapshot in it cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

fn by(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(" by process {holder}") }
}

/// Whether it is a data directory, and one that this version knows.
pub(super) fn check_format(path: &Path) -> Result<(), StorageError> {
    let format = path.join(FORMAT);
    let words = match fs::read_to_string(&format) {
        Ok(words) => words,
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound if !path.exists() => "it does not exist",
                io::ErrorKind::NotFound => "it has no file inkling.format",
                io::ErrorKind::NotADirectory => "it is a file",
                _ => return Err(at(&format)(error)),
            };
            return Err(StorageError::Missing { path: path.to_owned(), why });
        }
    };
    let found = words.trim_end();
    if found != format!("{FORMAT_WORDS}{DIRECTORY_FORMAT}") {
        let found = found.chars().take(80).filter(|c| !c.is_control()).collect();
        return Err(StorageError::Version { path: path.to_owned(), found });
    }
    Ok(())
}

/// A directory that nobody else writes to for as long as this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    identity: Identity,
    token_keys: TokenKeys,
    _lock: Lock,
}

impl Directory {
    /// Opens a directory; makes one where there is none, or an empty one.
    ///
    /// # Errors
    /// When another process works in it, when it is something else, or when what it holds is damaged.
    pub fn open_or_make(path: &Path) -> Result<Directory, StorageError> {
        Directory::open_or_make_with(path, Identity::generate_key)
    }

    /// As [`open_or_make`](Directory::open_or_make), with a given secret where one is made: the same users get the same
    /// keys in each such directory.
    ///
    /// # Errors
    /// As [`open_or_make`](Directory::open_or_make).
    pub fn open_or_make_with(path: &Path, key: impl FnOnce() -> [u8; 32]) -> Result<Directory, StorageError> {
        make_dir(path).map_err(at(path))?;
        if !path.join(FORMAT).try_exists().map_err(at(path))? {
            make(path, key)?;
        }
        Directory::open(path)
    }

    /// Opens a directory that exists.
    ///
    /// # Errors
    /// As [`open_or_make`](Directory::open_or_make), and when there is none.
    pub fn open(path: &Path) -> Result<Directory, StorageError> {
        check_format(path)?;
        Directory::locked(path, Lock::alone(path)?)
    }

    /// Opens a directory to look at what is in it: nothing is made or changed, others may look as well, and it may lie
    /// where nothing can be written.
    ///
    /// # Errors
    /// As [`open`](Directory::open).
    pub fn look(path: &Path) -> Result<Directory, StorageError> {
        check_format(path)?;
        Directory::locked(path, Lock::beside(path)?)
    }

    fn locked(path: &Path, lock: Lock) -> Result<Directory, StorageError> {
        let (identity, token_keys) = (keys::identity_of(path)?, keys::token_keys_of(path)?);
        Ok(Directory { path: path.to_owned(), identity, token_keys, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret by which user ids become keys.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The secrets under which tokens are sealed, and were.
    pub fn token_keys(&self) -> &TokenKeys {
        &self.token_keys
    }

    /// Its files of secrets that others than their owner may read, with their modes.
    pub fn open_secrets(&self) -> Vec<(PathBuf, u32)> {
        let modes = keys::files(&self.path).into_iter().filter_map(|path| {
            let mode = fs::metadata(&path).ok()?.permissions().mode() & 0o777;
            Some((path, mode))
        });
        modes.filter(|(_, mode)| mode & 0o077 != 0).collect()
    }

    /// Its snapshots.
    pub fn shelf(&self) -> Shelf {
        Shelf::new(&self.path)
    }

    /// The files of its journal.
    pub fn files(&self) -> Files {
        Files::new(&self.path)
    }

    /// First frames of the files of its journal, ascending.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn journal_files(&self) -> Result<Vec<Seq>, StorageError> {
        self.files().list().map_err(at(&self.path))
    }

    /// Its journal, to go on with behind `after`: see [`DurableJournal::open`].
    ///
    /// # Errors
    /// As there.
    pub fn journal(&self, after: Seq, options: Options) -> Result<DurableJournal, JournalError> {
        DurableJournal::open(Arc::new(self.files()), self.identity.fingerprint(), after, options)
    }

    /// The frames of its journal behind `after`, to look at: no file is changed.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self, after: Seq) -> Result<Reader, JournalError> {
        Reader::open(Arc::new(self.files()), self.identity.fingerprint(), after)
    }
}

/// Makes a directory with those above it, where there is none, so that a crash takes none of them. What is in it is
/// about people: nobody else sees it.
pub(super) fn make_dir(path: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // A directory's own sync does not make its name durable in the one above.
    let above = missing.iter().rev().filter_map(|made| made.parent());
    above.map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above }).try_for_each(sync_directory)
}

/// Makes a directory out of an empty one. The file that says so comes last: what was made before it is made again
/// after a crash.
fn make(path: &Path, key: impl FnOnce() -> [u8; 32]) -> Result<(), StorageError> {
    for entry in fs::read_dir(path).map_err(at(path))? {
        let name = entry.map_err(at(path))?.file_name();
        let name = name.to_string_lossy();
        let is_journal = first_of(&name).is_some();
        let ours = [LOCK, "lost+found"].contains(&&*name) || keys::is_key(&name) || name.ends_with(".new");
        if is_journal || !ours {
            return Err(StorageError::Strange { path: path.to_owned(), found: name.into_owned() });
        }
    }
    let _lock = Lock::alone(path)?;
    keys::make(path, key)?;
    let format = path.join(FORMAT);
    secret::write_words(&format, &format!("{FORMAT_WORDS}{DIRECTORY_FORMAT}\n")).map_err(at(&format))
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> StorageError {
    let path = path.to_owned();
    move |error| StorageError::Io { path: path.clone(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::keys::{IDENTITY, TOKEN};

    fn refused(path: &Path) -> String {
        Directory::open_or_make(path).unwrap_err().to_string()
    }

    #[test]
    fn secrets_are_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let missing = Directory::open(&path).unwrap_err();
        assert!(matches!(missing, StorageError::Missing { .. }), "{missing}");
        let made = Directory::open_or_make(&path).unwrap();
        let (print, token) = (made.identity().fingerprint(), made.token_keys().current.clone());
        drop(made);
        let again = Directory::open(&path).unwrap();
        assert_eq!((again.identity().fingerprint(), again.token_keys().current.clone()), (print, token.clone()));
        let other = Directory::open_or_make(&directory.path().join("c")).unwrap();
        assert_ne!((other.identity().fingerprint(), other.token_keys().current.clone()), (print, token));
    }

    #[test]
    fn nobody_else_sees_what_is_in_it() {
        use crate::journal::Journal;
        use crate::snapshot::{Covers, Taking};

        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("data");
        let directory = Directory::open_or_make(&path).unwrap();
        // As earlier versions left them behind.
        for left in ["journal-00000000000000000001.redb.new", "snapshot-00000000000000000001.inkling.tmp"] {
            fs::write(path.join(left), "").unwrap();
            fs::set_permissions(path.join(left), fs::Permissions::from_mode(0o644)).unwrap();
        }
        directory.journal(Seq(0), Options::default()).unwrap().close().unwrap();
        let covers = Covers { seq: Seq(1), fingerprint: [0; 8], at: crate::units::Timestamp(0) };
        let mut engine = crate::engine::Engine::new();
        let taking = Taking::begin(&mut engine, &path, covers, Box::new(|| true), Box::new(|| {}));
        taking.unwrap().unwrap().end(&mut engine).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        let files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 7, "{files:?}");
        files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
        // A directory that is there already is its owner's business.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        drop(directory);
        drop(Directory::open_or_make(&path).unwrap());
        assert_eq!(mode(&path), 0o750);
    }

    #[test]
    fn one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let one = Directory::open_or_make(directory.path()).unwrap();
        let told = refused(directory.path());
        assert!(told.contains(&format!("is in use by process {}", std::process::id())), "{told}");
        assert!(Directory::look(directory.path()).unwrap_err().to_string().contains("is in use by process"));
        drop(one);
        Directory::open(directory.path()).unwrap();
    }

    #[test]
    fn who_looks_leaves_nothing_behind_and_keeps_out_who_would_write() {
        let directory = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(directory.path()).unwrap());
        // As a backup, which nobody has ever written to.
        fs::remove_file(directory.path().join(LOCK)).unwrap();
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = names();
        let looking = [(); 2].map(|()| Directory::look(directory.path()).unwrap());
        assert_eq!(names(), before);
        let told = refused(directory.path());
        assert!(told.contains("is in use: stop that process first, or wait for its end"), "{told}");
        drop(looking);
        Directory::open(directory.path()).unwrap();
    }

    #[test]
    fn what_is_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("letter.txt"), "dear").unwrap();
        let told = refused(directory.path());
        assert!(told.contains("'letter.txt' is in it") && told.contains("name another one"), "{told}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("journal-00000000000000000001.redb"), "").unwrap();
        assert!(refused(directory.path()).contains("journal-"), "a journal without its directory's format file");
    }

    #[test]
    fn a_directory_that_was_half_made_is_made_whole() {
        let directory = tempfile::tempdir().unwrap();
        let made = Directory::open_or_make(directory.path()).unwrap();
        let print = made.identity().fingerprint();
        drop(made);
        fs::remove_file(directory.path().join(FORMAT)).unwrap();
        fs::remove_file(directory.path().join(TOKEN)).unwrap();
        let made = Directory::open_or_make(directory.path()).unwrap();
        assert_eq!(made.identity().fingerprint(), print, "a key that is there is kept");
    }

    #[test]
    fn lost_and_damaged_parts_are_told() {
        let directory = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(directory.path()).unwrap());
        fs::write(directory.path().join(FORMAT), "inkling data directory, format 2\n").unwrap();
        let told = refused(directory.path());
        assert!(told.contains("'inkling data directory, format 2'") && told.contains("knows format 1"), "{told}");
        fs::write(directory.path().join(FORMAT), "inkling data directory, format 1\n").unwrap();

        let identity = directory.path().join(IDENTITY);
        let text = fs::read_to_string(&identity).unwrap();
        fs::write(&identity, text.replace("format 1", "format 3")).unwrap();
        let told = refused(directory.path());
        assert!(told.contains("identity.key: is no inkling identity key, or damaged"), "{told}");
        fs::remove_file(&identity).unwrap();
        let told = refused(directory.path());
        assert!(told.contains("identity.key: is missing: put it back from a backup"), "{told}");
    }
}

//! Where the files of a journal lie: a directory, or what a test puts in its place to pull the plug.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::newest;
use crate::ids::Seq;

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".redb";
/// A file that is not finished yet; nothing in it was ever acknowledged.
const UNFINISHED: &str = ".new";

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To append; what a crash left unfinished is dropped.
    Append,
    /// To look at, also where nothing may be written; the file stays as it is.
    Read,
}

/// The files of one journal, each known by its first frame.
pub trait Disk: Send + Sync + fmt::Debug {
    /// First frames of all finished files, ascending.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<Seq>>;

    /// A finished file, which must be writable where it is opened to append.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, first: Seq, access: Access) -> io::Result<Box<dyn StorageBackend>>;

    /// An empty file that is not listed before it is [finished](Disk::finish). An unfinished one of before is dropped.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, first: Seq) -> io::Result<Box<dyn StorageBackend>>;

    /// Lists a created file from now on, also after a crash.
    ///
    /// # Errors
    /// What the system says.
    fn finish(&self, first: Seq) -> io::Result<()>;

    /// Deletes a finished file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, first: Seq) -> io::Result<()>;

    /// First frame of the file that is [noted](Disk::note_newest) as the newest; `None` where none is.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where the note is damaged.
    fn newest(&self) -> io::Result<Option<Seq>>;

    /// Notes which finished file is the newest, also after a crash.
    ///
    /// # Errors
    /// What the system says.
    fn note_newest(&self, first: Option<Seq>) -> io::Result<()>;

    /// How messages call a file.
    fn name(&self, first: Seq) -> String;
}

/// Files in a directory that this process alone works in.
#[derive(Debug, Clone)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    /// The journal files of a directory.
    pub fn new(directory: &Path) -> Files {
        Files { directory: directory.to_owned() }
    }

    /// Path of the file that begins with this frame.
    pub fn path(&self, first: Seq) -> PathBuf {
        self.directory.join(file_name(first))
    }

    /// Deletes what a crash has left of files that were being made. Nobody else may be making one.
    ///
    /// # Errors
    /// What the system says.
    pub fn clear_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let is_left = |name: &str| name.strip_suffix(UNFINISHED).and_then(first_of).is_some();
            if entry.file_name().to_str().is_some_and(is_left) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn unfinished(&self, first: Seq) -> PathBuf {
        self.directory.join(file_name(first) + UNFINISHED)
    }
}

/// Names sort as frames do.
fn file_name(first: Seq) -> String {
    format!("{PREFIX}{:020}{SUFFIX}", first.0)
}

/// The first frame of the file of this name, if it is a journal's.
pub fn first_of(name: &str) -> Option<Seq> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let first = digits.parse().ok().map(Seq)?;
    // Only what `file_name` writes: no signs, no other number of digits.
    (file_name(first) == name).then_some(first)
}

/// Makes the names of a directory survive a crash.
///
/// # Errors
/// What the system says.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Disk for Files {
    fn list(&self) -> io::Result<Vec<Seq>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            found.extend(entry?.file_name().to_str().and_then(first_of));
        }
        found.sort_unstable();
        Ok(found)
    }

    fn open(&self, first: Seq, access: Access) -> io::Result<Box<dyn StorageBackend>> {
        let is_written = access == Access::Append;
        let file = OpenOptions::new().read(true).write(is_written).open(self.path(first))?;
        Ok(Box::new(backend(file)?))
    }

    fn create(&self, first: Seq) -> io::Result<Box<dyn StorageBackend>> {
        let unfinished = self.unfinished(first);
        // The mode of one that is left from before would stay as it is.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(unfinished)?;
        Ok(Box::new(backend(file)?))
    }

    fn finish(&self, first: Seq) -> io::Result<()> {
        fs::rename(self.unfinished(first), self.path(first))?;
        sync_directory(&self.directory)
    }

    fn remove(&self, first: Seq) -> io::Result<()> {
        fs::remove_file(self.path(first))?;
        sync_directory(&self.directory)
    }

    fn newest(&self) -> io::Result<Option<Seq>> {
        newest::read(&self.directory)
    }

    fn note_newest(&self, first: Option<Seq>) -> io::Result<()> {
        newest::write(&self.directory, first)
    }

    fn name(&self, first: Seq) -> String {
        self.path(first).display().to_string()
    }
}

fn backend(file: File) -> io::Result<FileBackend> {
    FileBackend::new(file).map_err(|error| io::Error::other(error.to_string()))
}

/// A backend behind a pointer. Without locks: the directory's own keeps other processes out.
#[derive(Debug)]
pub(super) struct Boxed(pub Box<dyn StorageBackend>);

impl StorageBackend for Boxed {
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
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_and_read_by_the_same_rule() {
        assert_eq!(file_name(Seq(7)), "journal-00000000000000000007.redb");
        for first in [0, 1, 12_345, u64::MAX] {
            assert_eq!(first_of(&file_name(Seq(first))), Some(Seq(first)));
        }
        let strangers = ["journal-7.redb", "journal-+0000000000000000007.redb", "snapshot-00000000000000000007", ""];
        for name in strangers.into_iter().chain(["journal-00000000000000000007.redb.new"]) {
            assert_eq!(first_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_file_is_listed_once_it_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path());
        files.create(Seq(5)).unwrap().write(0, b"old").unwrap();
        assert_eq!(files.list().unwrap(), []);
        files.create(Seq(5)).unwrap().write(0, b"x").unwrap();
        files.finish(Seq(5)).unwrap();
        files.create(Seq(1)).unwrap();
        files.finish(Seq(1)).unwrap();
        assert_eq!(files.list().unwrap(), [Seq(1), Seq(5)]);
        assert_eq!(
            files.open(Seq(5), Access::Read).unwrap().len().unwrap(),
            1,
            "what was unfinished before is dropped"
        );
        files.remove(Seq(1)).unwrap();
        assert_eq!(files.list().unwrap(), [Seq(5)]);
    }
}

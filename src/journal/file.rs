//! One file of the journal: a redb database with the frames of one stretch.

use std::io::ErrorKind;
use std::sync::Arc;

use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::disk::{Access, Boxed, Disk};
use super::error::{cause, io_cause};
use super::overlay::Overlay;
use super::{JOURNAL_FORMAT, JournalError, checksum};
use crate::ids::Seq;

/// Frames by their numbers: checksum, then frame.
const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// What the file is.
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const FORMAT: &str = "format";
const FIRST: &str = "first";
const IDENTITY: &str = "identity";
/// Last frame of a file that was closed: written by a commit of its own, see [`JournalFile::close`].
const LAST: &str = "last";

/// Bytes in front of each frame.
const CHECKSUM_BYTES: usize = 32;
/// Memory for pages of one open file.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Tells identity keys apart: what is journaled under one cannot be read under another.
pub type Fingerprint = [u8; 8];

/// An open file.
#[derive(Debug, Clone)]
pub struct JournalFile {
    name: String,
    database: Arc<Database>,
    /// Its size in bytes when it was opened.
    opened_len: u64,
}

impl JournalFile {
    /// Makes a file for the frames from `first` on, and lists it once it is durable.
    ///
    /// # Errors
    /// The cause in words.
    pub fn create(disk: &dyn Disk, first: Seq, identity: Fingerprint) -> Result<JournalFile, String> {
        let file = JournalFile::unfinished(disk, first, identity)?;
        disk.finish(first).and_then(|()| disk.note_newest(Some(first))).map_err(|error| io_cause(&error))?;
        Ok(file)
    }

    /// Makes such a file, durable but not listed yet.
    ///
    /// # Errors
    /// The cause in words.
    pub fn unfinished(disk: &dyn Disk, first: Seq, identity: Fingerprint) -> Result<JournalFile, String> {
        let backend = disk.create(first).map_err(|error| io_cause(&error))?;
        let database = builder(false).create_with_backend(Boxed(backend)).map_err(cause)?;
        let write = database.begin_write().map_err(cause)?;
        {
            let mut about = write.open_table(ABOUT).map_err(cause)?;
            about.insert(FORMAT, JOURNAL_FORMAT.to_le_bytes().as_slice()).map_err(cause)?;
            about.insert(FIRST, first.0.to_le_bytes().as_slice()).map_err(cause)?;
            about.insert(IDENTITY, identity.as_slice()).map_err(cause)?;
            write.open_table(FRAMES).map_err(cause)?;
        }
        write.commit().map_err(cause)?;
        Ok(JournalFile { name: disk.name(first), database: Arc::new(database), opened_len: 0 })
    }

    /// Opens a finished file, and checks all of its pages.
    ///
    /// # Errors
    /// When it is damaged, of a later format, of another identity key, or not the file that its name says.
    pub fn open(
        disk: &dyn Disk,
        first: Seq,
        identity: Fingerprint,
        access: Access,
    ) -> Result<JournalFile, JournalError> {
        let name = disk.name(first);
        let unreadable = |cause| JournalError::Unreadable { file: name.clone(), cause };
        let backend = disk.open(first, access).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                JournalError::Denied { file: name.clone(), cause: io_cause(&error) }
            }
            _ => unreadable(io_cause(&error)),
        })?;
        // An empty file would be taken for a new one.
        let opened_len = backend.len().map_err(|error| unreadable(io_cause(&error)))?;
        if opened_len == 0 {
            return Err(unreadable("it is empty".to_owned()));
        }
        let database = match access {
            Access::Append => builder(true).create_with_backend(Boxed(backend)),
            Access::Read => {
                let overlay = Overlay::new(backend).map_err(|error| unreadable(io_cause(&error)))?;
                builder(true).create_with_backend(overlay)
            }
        };
        let database = Arc::new(database.map_err(|error| unreadable(cause(error)))?);
        let file = JournalFile { name, database, opened_len };
        file.check(first, identity)?;
        Ok(file)
    }

    /// Whether the file is what is expected in its place.
    fn check(&self, first: Seq, identity: Fingerprint) -> Result<(), JournalError> {
        let found = self.about::<4>(FORMAT)?.map(u32::from_le_bytes).ok_or_else(|| self.lacks(FORMAT))?;
        if found != JOURNAL_FORMAT {
            return Err(JournalError::Version { file: self.name.clone(), found });
        }
        let found = self.about::<8>(IDENTITY)?.ok_or_else(|| self.lacks(IDENTITY))?;
        if found != identity {
            let (found, expected) = (shown(found), shown(identity));
            return Err(JournalError::Foreign { file: self.name.clone(), found, expected });
        }
        let found = self.about::<8>(FIRST)?.map(u64::from_le_bytes).ok_or_else(|| self.lacks(FIRST))?;
        if found != first.0 {
            return Err(self.unreadable(format!("it was written as the file that begins with frame {found}")));
        }
        Ok(())
    }

    /// Its size in bytes when it was opened; 0 for a new one.
    pub fn opened_len(&self) -> u64 {
        self.opened_len
    }

    /// The number of its last frame; `None` when it has no frames.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last(&self) -> Result<Option<Seq>, JournalError> {
        let last = || -> Result<_, redb::Error> {
            let frames = self.database.begin_read()?.open_table(FRAMES)?;
            Ok(frames.last()?.map(|(seq, _)| Seq(seq.value())))
        };
        let last = last().map_err(|error| self.unreadable(cause(error)))?;
        let closed = self.about::<8>(LAST)?.map(|bytes| Seq(u64::from_le_bytes(bytes)));
        match closed {
            Some(closed) if last.is_none_or(|last| last < closed) => {
                Err(self.unreadable(format!("it was closed with frame {} and does not hold it", closed.0)))
            }
            _ => Ok(last),
        }
    }

    /// The frames from `from` on.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn frames(&self, from: Seq) -> Result<Frames, JournalError> {
        let range =
            || -> Result<_, redb::Error> { Ok(self.database.begin_read()?.open_table(FRAMES)?.range(from.0..)?) };
        let range = range().map_err(|error| self.unreadable(cause(error)))?;
        Ok(Frames { range, file: self.clone(), expected: from })
    }

    /// Appends frames by one commit; `durability` says whether it waits for the disk.
    ///
    /// # Errors
    /// The cause in words. Nothing is known then about what the disk holds.
    pub fn append(&self, group: &[(Seq, Vec<u8>)], durability: Durability) -> Result<(), String> {
        let mut write = self.database.begin_write().map_err(cause)?;
        write.set_durability(durability).map_err(|error| error.to_string())?;
        {
            let mut frames = write.open_table(FRAMES).map_err(cause)?;
            for (seq, frame) in group {
                let mut row = frames.insert_reserve(seq.0, CHECKSUM_BYTES + frame.len()).map_err(cause)?;
                let (sum, body) = row.as_mut().split_at_mut(CHECKSUM_BYTES);
                sum.copy_from_slice(&checksum(*seq, frame));
                body.copy_from_slice(frame);
            }
        }
        write.commit().map_err(cause)
    }

    /// Ends the file with a commit that says which frame is its last.
    ///
    /// redb keeps the two latest commits and falls back to the earlier one when the later is damaged. As this one
    /// adds no frame, a closed file has all its frames in both: no single damage can take the last ones away unseen.
    ///
    /// # Errors
    /// The cause in words.
    pub fn close(&self) -> Result<(), String> {
        let last = self.last().map_err(|error| error.to_string())?;
        let write = self.database.begin_write().map_err(cause)?;
        if let Some(last) = last {
            let mut about = write.open_table(ABOUT).map_err(cause)?;
            about.insert(LAST, last.0.to_le_bytes().as_slice()).map_err(cause)?;
        }
        write.commit().map_err(cause)
    }

    fn about<const N: usize>(&self, key: &str) -> Result<Option<[u8; N]>, JournalError> {
        let read = || -> Result<_, redb::Error> {
            let about = self.database.begin_read()?.open_table(ABOUT)?;
            let value = about.get(key)?;
            Ok(value.map(|value| value.value().try_into().ok()))
        };
        match read().map_err(|error| self.unreadable(cause(error)))? {
            None => Ok(None),
            Some(Some(bytes)) => Ok(Some(bytes)),
            Some(None) => Err(self.unreadable(format!("its entry '{key}' has a wrong length"))),
        }
    }

    fn lacks(&self, key: &str) -> JournalError {
        self.unreadable(format!("it has no entry '{key}'"))
    }

    fn unreadable(&self, cause: String) -> JournalError {
        JournalError::Unreadable { file: self.name.clone(), cause }
    }
}

fn builder(check: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(check);
    builder
}

/// A fingerprint as messages show it.
pub fn shown(fingerprint: Fingerprint) -> String {
    format!("{:016x}", u64::from_be_bytes(fingerprint))
}

/// Frames of one file in their order, each checked.
pub struct Frames {
    range: redb::Range<'static, u64, &'static [u8]>,
    /// A database that is dropped closes its file, whoever still reads.
    file: JournalFile,
    /// The frame whose turn it is.
    expected: Seq,
}

impl Frames {
    /// The next frame; `None` behind the last.
    ///
    /// # Errors
    /// When the next one is missing or damaged.
    pub fn next(&mut self) -> Result<Option<(Seq, Vec<u8>)>, JournalError> {
        let Some(row) = self.range.next() else { return Ok(None) };
        let (seq, row) = row.map_err(|error| self.file.unreadable(cause(error)))?;
        let (seq, row) = (Seq(seq.value()), row.value());
        if seq != self.expected {
            return Err(JournalError::Gap { file: self.file.name.clone(), expected: self.expected.0, found: seq.0 });
        }
        let damaged = || JournalError::Damaged { file: self.file.name.clone(), seq: seq.0 };
        let (sum, frame) = row.split_at_checked(CHECKSUM_BYTES).ok_or_else(damaged)?;
        if checksum(seq, frame) != sum {
            return Err(damaged());
        }
        self.expected = seq.next();
        Ok(Some((seq, frame.to_vec())))
    }
}

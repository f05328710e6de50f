//! What can be wrong with snapshots.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::layout::FORMAT;
use crate::engine::RestoreError;
use crate::record::RecordError;

/// Why a snapshot was not written or not read.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The system refuses.
    #[error("{}: {doing} failed", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The disk does not give the file back. What is in it may well be whole, so that nobody passes it over unasked.
    #[error(
        "{}: cannot be read at byte {offset} ({error}): mend the disk, or move the file away to start from an older \
         snapshot and the journal",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not what was written. The snapshot before it serves, if there is one.
    #[error("{} is damaged at byte {offset}: {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// The file is of a later version of Inkling.
    #[error(
        "{} has format {found}, this version of Inkling reads up to {FORMAT}: start the version that wrote it, or move \
         the file away to start from an older snapshot and the journal",
        path.display()
    )]
    Future {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file belongs to another identity key.
    #[error(
        "{} was written under another identity key: put back the key that belongs to this data directory, or move the \
         file away to start without it",
        path.display()
    )]
    ForeignKey {
        /// The file.
        path: PathBuf,
    },
    /// The file has another's name.
    #[error("{} covers the frames up to {found}, which its name does not say", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The last frame that it covers.
        found: u64,
    },
    /// The settings do not fit into a snapshot.
    #[error("the settings cannot be written")]
    Settings(#[from] RecordError),
    /// An earlier one of the same engine is being taken.
    #[error("the one before it is not at its end")]
    Unended,
    /// The service ended, or failed, before all was handed out.
    #[error("the snapshot was given up before its end")]
    GivenUp,
    /// The thread that writes the snapshot panicked, or the system gave none.
    #[error("the thread that writes snapshots failed")]
    Thread,
}

/// What is wrong at a place of a file.
#[derive(Debug, Error)]
pub enum Damage {
    /// It is no snapshot, or its first bytes are gone.
    #[error("it does not begin as a snapshot does")]
    NoSnapshot,
    /// The file ends before the snapshot does.
    #[error("it ends too early")]
    Cut,
    /// The disk does not give it back: told as [`SnapshotError::Unreadable`].
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// What stands there is not what was written.
    #[error("its checksum is wrong")]
    Checksum,
    /// More follows than was written.
    #[error("more follows after its end")]
    Trailing,
    /// A chunk that is sound by itself stands at the wrong place or holds the wrong thing.
    #[error("a chunk is out of place")]
    OutOfPlace,
    /// Bytes that are sound cannot be unpacked.
    #[error("a chunk cannot be unpacked")]
    Packed,
    /// Not as many entries as were written.
    #[error("it holds {found} entries, {expected} were written")]
    Count {
        /// Entries found.
        found: u64,
        /// Entries written.
        expected: u64,
    },
    /// The settings cannot be read.
    #[error("its settings cannot be read")]
    Settings(#[from] RecordError),
    /// The entries are no state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

//! The journal: one ordered, durable sequence of frames, and everything that happened is in it.
//!
//! What every implementation gives, and its users rely on:
//!
//! - **Order.** [`next`](Journal::next) returns frames in the order they were appended, each once, with sequence
//!   numbers that count without gaps from the one the journal was opened at.
//! - **Durable before visible.** A frame that `next` has returned survives a crash, as far as the implementation
//!   promises durability at all. What was appended and not returned may survive or not, but only as a whole, and
//!   never behind a lost one.
//! - **Group commit.** `append` only takes the frame and does not wait for the disk; all frames that were taken
//!   while one sync ran are made durable by the next. No linger timer is needed: under load, batches grow.
//! - **Integrity.** Frame and sequence number are checked against a checksum on every read.
//! - **Poison.** After any failed write or sync nothing is known about what the disk holds: every later call
//!   fails with [`JournalError::Poisoned`], the process exits and recovers on start. A sync is never tried again.
//! - **Bounds.** A frame has at most [`FRAME_BYTES_MAX`] bytes; frames taken and not yet returned are bounded too, and
//!   beyond that bound `append` refuses with [`JournalError::Full`] without waiting.
//!
//! **On disk** a journal is a row of redb files in one directory, each named after its first frame
//! (`journal-00000000000000000001.redb`), so that old frames are let go of by deleting files: redb's never shrink.
//!
//! | table of a file | key | value |
//! |---|---|---|
//! | `about` | `format` | [`JOURNAL_FORMAT`], `u32` little-endian |
//! | | `first` | number of its first frame, `u64` little-endian |
//! | | `identity` | fingerprint of the identity key that user ids were hashed with, 8 bytes |
//! | | `last` | number of the last frame when the file was closed, `u64` little-endian; absent before |
//! | `frames` | number, `u64` | BLAKE3 of number (little-endian) and frame, 32 bytes; then the frame |
//!
//! A file ends where the next one begins. One is made under a name that is not read (`….redb.new`) and renamed once it
//! is durable; so each that is found was finished. Beside them stands which of them is the newest (`journal.newest`):
//! one that is lost at the end is missed as one in between is. redb reads without looking at its own checksums, so all
//! pages of a file are checked when it is opened, and each frame when it is read.
//!
//! *Invariants*: frames are opaque bytes; no records, no engine and no protocol buffers here.

mod disk;
mod durable;
mod error;
mod file;
mod memory;
mod newest;
mod overlay;
mod reader;
mod survey;
#[cfg(test)]
pub(crate) mod watched;
mod writer;

pub use disk::{Access, Disk, Files, first_of, sync_directory};
pub use durable::{DURABLE_BYTES_MAX, DURABLE_FRAMES_MAX, Durability, DurableJournal, FILE_BYTES_MAX, Options};
pub use error::{JournalError, io_cause};
pub use file::{Fingerprint, shown};
pub use memory::{MEMORY_BYTES_MAX, MEMORY_FRAMES_MAX, MemoryJournal};
pub use reader::Reader;
pub use survey::{Part, cut, missing, survey};

use std::sync::mpsc::Receiver;

use crate::ids::Seq;

/// Version of the files and of the meaning of what is in them.
pub const JOURNAL_FORMAT: u32 = 1;

/// Largest frame a journal takes, in bytes. Common frames are far smaller; settings alone may need this much.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An ordered, durable sequence of frames. The module says what its implementations must give.
pub trait Journal: Send {
    /// Takes a frame; it is durable once [`next`](Journal::next) returns it.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`] and [`JournalError::Full`] leave the journal as it was.
    fn append(&mut self, frame: Vec<u8>) -> Result<(), JournalError>;

    /// The next durable frame in order, or `None` when all durable ones were returned. Those that were there when the
    /// journal was opened come first. Does not wait for the disk to confirm anything.
    ///
    /// # Errors
    /// When the frame is not what was appended, or not the one whose turn it is.
    fn next(&mut self) -> Result<Option<(Seq, Vec<u8>)>, JournalError>;

    /// Waits until [`next`](Journal::next) has something to say of the frames that were appended; returns at once when
    /// it has, or when all of them were returned.
    fn wait(&mut self);

    /// Has `wake` called, by any thread, whenever [`next`](Journal::next) has got something new to say. Only the first
    /// call counts.
    fn on_durable(&mut self, wake: Box<dyn Fn() + Send + Sync>);

    /// The last frame that was there when the journal was opened; 0 when there was none.
    fn stored_last(&self) -> Seq;

    /// Begins a new file with the next frame that is appended: [`trim`](Journal::trim) lets go of whole files only.
    /// What comes back can be waited with until all that was appended before is safe from a crash.
    ///
    /// # Errors
    /// After a failure.
    fn roll(&mut self) -> Result<Rolled, JournalError>;

    /// Lets go of the frames below `below`: a snapshot covers them. They may stay longer than asked for, also because
    /// they cannot be deleted.
    ///
    /// # Errors
    /// [`JournalError::TrimAhead`] when a frame below it was not returned yet: it would be lost.
    fn trim(&mut self, below: Seq) -> Result<(), JournalError>;

    /// Makes everything durable that was appended, and ends. Every later call fails.
    ///
    /// # Errors
    /// When that failed, or something before it.
    fn close(&mut self) -> Result<(), JournalError>;
}

/// A file that is about to be ended.
#[derive(Debug)]
#[must_use = "it says when the frames before it are safe"]
pub struct Rolled(Option<Receiver<()>>);

impl Rolled {
    /// Waits until it is ended, and all frames in it are safe. `false` when the journal failed before.
    pub fn wait(self) -> bool {
        self.0.is_none_or(|ended| ended.recv().is_ok())
    }
}

/// Checksum of a frame at its place: a frame that moved is as wrong as one that changed.
fn checksum(seq: Seq, frame: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(&seq.0.to_le_bytes()).update(frame).finalize().as_bytes()
}

#[cfg(test)]
pub(crate) mod contract {
    //! What every journal must do, as a test that each implementation runs.

    use super::*;

    /// Appends, reads and trims a fresh journal whose first frame is `first`.
    pub fn check(journal: &mut dyn Journal, first: Seq) {
        assert_eq!(journal.next(), Ok(None), "nothing was appended");
        let frames = [vec![1], Vec::new(), vec![3; 70_000]];
        for frame in &frames {
            journal.append(frame.clone()).unwrap();
        }
        let mut seq = first;
        for frame in frames {
            let ahead = JournalError::TrimAhead { below: seq.next().0, next: seq.0 };
            assert_eq!(journal.trim(seq.next()), Err(ahead));
            journal.wait();
            assert_eq!(journal.next(), Ok(Some((seq, frame))));
            seq = seq.next();
            assert_eq!(journal.trim(seq), Ok(()));
        }
        assert_eq!(journal.next(), Ok(None), "each frame is returned once");
        assert_eq!(journal.trim(first), Ok(()), "trimming again is harmless");
        assert!(journal.roll().unwrap().wait());

        let refused = journal.append(vec![0; FRAME_BYTES_MAX + 1]);
        assert_eq!(refused, Err(JournalError::TooLarge { bytes: FRAME_BYTES_MAX + 1 }));
        journal.append(vec![4]).unwrap();
        journal.wait();
        assert_eq!(journal.next(), Ok(Some((seq, vec![4]))), "a refused frame takes no number");
        journal.wait();
        assert_eq!(journal.next(), Ok(None), "waiting for nothing ends at once");

        assert_eq!(journal.close(), Ok(()));
        assert!(journal.append(vec![5]).is_err() && journal.roll().is_err(), "a closed journal takes nothing");
    }
}

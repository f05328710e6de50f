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
//! *Invariants*: frames are opaque bytes; no records, no engine and no protocol buffers here.

mod memory;

pub use memory::{MEMORY_BYTES_MAX, MEMORY_FRAMES_MAX, MemoryJournal};

use thiserror::Error;

use crate::ids::Seq;

/// Largest frame a journal takes, in bytes. Common frames are far smaller; settings alone may need this much.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An ordered, durable sequence of frames. The module says what its implementations must give.
pub trait Journal: Send {
    /// Takes a frame; it is durable once [`next`](Journal::next) returns it.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`] and [`JournalError::Full`] leave the journal as it was.
    fn append(&mut self, frame: Vec<u8>) -> Result<(), JournalError>;

    /// The next durable frame in order, or `None` when all durable ones were returned.
    ///
    /// # Errors
    /// When the frame is not what was appended, or not the one whose turn it is.
    fn next(&mut self) -> Result<Option<(Seq, Vec<u8>)>, JournalError>;

    /// Lets go of the frames below `seq`: a snapshot covers them. They may stay longer than asked for.
    ///
    /// # Errors
    /// [`JournalError::TrimAhead`] when a frame below `seq` was not returned yet: it would be lost.
    fn trim(&mut self, below: Seq) -> Result<(), JournalError>;
}

/// Why a journal refuses or fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JournalError {
    /// The frame is larger than any journal takes.
    #[error("a frame of {bytes} bytes is refused: at most {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// Size of the frame.
        bytes: usize,
    },
    /// Too much was taken and not yet returned.
    #[error("the journal is full: {frames} frames of {bytes} bytes wait, at most {frames_max} of {bytes_max} may")]
    Full {
        /// Waiting frames.
        frames: usize,
        /// Their bytes.
        bytes: usize,
        /// Most waiting frames.
        frames_max: usize,
        /// Most waiting bytes.
        bytes_max: usize,
    },
    /// The frame that was found is not the one whose turn it is.
    #[error("frame {found} was found where frame {expected} belongs: a part of the journal is missing")]
    Gap {
        /// The frame whose turn it is.
        expected: u64,
        /// The frame that was found.
        found: u64,
    },
    /// The frame is not what was appended.
    #[error("frame {seq} is damaged: its checksum is wrong")]
    Damaged {
        /// Which frame.
        seq: u64,
    },
    /// Frames that nobody has read would be let go.
    #[error("frames below {below} cannot be let go: frame {next} was not read yet")]
    TrimAhead {
        /// Where trimming was to end.
        below: u64,
        /// The next frame to be read.
        next: u64,
    },
    /// A write failed earlier.
    #[error("the journal refuses after a failed write: restart to recover ({cause})")]
    Poisoned {
        /// The first failure.
        cause: String,
    },
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
            assert_eq!(journal.next(), Ok(Some((seq, frame))));
            seq = seq.next();
            assert_eq!(journal.trim(seq), Ok(()));
        }
        assert_eq!(journal.next(), Ok(None), "each frame is returned once");
        assert_eq!(journal.trim(first), Ok(()), "trimming again is harmless");

        let refused = journal.append(vec![0; FRAME_BYTES_MAX + 1]);
        assert_eq!(refused, Err(JournalError::TooLarge { bytes: FRAME_BYTES_MAX + 1 }));
        journal.append(vec![4]).unwrap();
        assert_eq!(journal.next(), Ok(Some((seq, vec![4]))), "a refused frame takes no number");
    }
}

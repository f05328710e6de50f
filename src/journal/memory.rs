//! A journal without a disk: durable for as long as the process lives.

use std::collections::VecDeque;

use super::{FRAME_BYTES_MAX, Journal, JournalError, Rolled, checksum};
use crate::ids::Seq;

/// Most frames that wait to be returned.
pub const MEMORY_FRAMES_MAX: usize = 4_096;
/// Most bytes of the frames that wait to be returned.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How messages call it.
const PLACE: &str = "the journal in memory";

/// Holds frames until they are returned, and no longer: there is nothing to recover from.
///
/// Through it the service takes the same way as with a durable journal: records are encoded, checked and decoded.
#[derive(Debug)]
pub struct MemoryJournal {
    waiting: VecDeque<Stored>,
    /// Sum of the waiting frames' sizes.
    bytes: usize,
    /// The number the next appended frame gets.
    append_at: Seq,
    /// The frame whose turn it is to be returned.
    next: Seq,
    closed: bool,
}

/// A frame with what it is checked against.
#[derive(Debug)]
struct Stored {
    seq: Seq,
    checksum: [u8; 32],
    frame: Vec<u8>,
}

impl Default for MemoryJournal {
    fn default() -> MemoryJournal {
        MemoryJournal { waiting: VecDeque::new(), bytes: 0, append_at: Seq(1), next: Seq(1), closed: false }
    }
}

impl MemoryJournal {
    /// A journal whose first frame will be 1.
    pub fn new() -> MemoryJournal {
        MemoryJournal::default()
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, frame: Vec<u8>) -> Result<(), JournalError> {
        self.roll()?.wait();
        if frame.len() > FRAME_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes: frame.len() });
        }
        if self.waiting.len() == MEMORY_FRAMES_MAX || self.bytes + frame.len() > MEMORY_BYTES_MAX {
            return Err(JournalError::Full {
                frames: self.waiting.len(),
                bytes: self.bytes,
                frames_max: MEMORY_FRAMES_MAX,
                bytes_max: MEMORY_BYTES_MAX,
            });
        }
        self.bytes += frame.len();
        let seq = self.append_at;
        self.waiting.push_back(Stored { seq, checksum: checksum(seq, &frame), frame });
        self.append_at = seq.next();
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Seq, Vec<u8>)>, JournalError> {
        let Some(Stored { seq, checksum: expected, frame }) = self.waiting.front() else { return Ok(None) };
        if *seq != self.next {
            return Err(JournalError::Gap { file: PLACE.to_owned(), expected: self.next.0, found: seq.0 });
        }
        if checksum(*seq, frame) != *expected {
            return Err(JournalError::Damaged { file: PLACE.to_owned(), seq: seq.0 });
        }
        let Stored { seq, frame, .. } = self.waiting.pop_front().expect("the front was just looked at");
        self.bytes -= frame.len();
        self.next = seq.next();
        Ok(Some((seq, frame)))
    }

    fn wait(&mut self) {}

    fn on_durable(&mut self, _wake: Box<dyn Fn() + Send + Sync>) {
        // What is appended can be read at once.
    }

    fn stored_last(&self) -> Seq {
        Seq(0)
    }

    fn roll(&mut self) -> Result<Rolled, JournalError> {
        match self.closed {
            false => Ok(Rolled(None)),
            true => Err(JournalError::Poisoned { cause: "the journal is closed".to_owned() }),
        }
    }

    fn trim(&mut self, below: Seq) -> Result<(), JournalError> {
        // Returned frames are gone already.
        if below > self.next {
            return Err(JournalError::TrimAhead { below: below.0, next: self.next.0 });
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.closed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;

    #[test]
    fn keeps_the_contract() {
        contract::check(&mut MemoryJournal::new(), Seq(1));
    }

    #[test]
    fn refuses_when_nobody_reads() {
        let mut journal = MemoryJournal::new();
        for _ in 0..MEMORY_FRAMES_MAX {
            journal.append(vec![7]).unwrap();
        }
        let full = journal.append(vec![8]).unwrap_err();
        assert_eq!(
            full.to_string(),
            "the journal is full: 4096 frames of 4096 bytes wait, at most 4096 of 67108864 may"
        );
        assert_eq!(journal.next(), Ok(Some((Seq(1), vec![7]))));
        journal.append(vec![8]).expect("there is room again");

        let mut journal = MemoryJournal::new();
        for _ in 0..MEMORY_BYTES_MAX / FRAME_BYTES_MAX {
            journal.append(vec![0; FRAME_BYTES_MAX]).unwrap();
        }
        assert!(matches!(journal.append(vec![0]), Err(JournalError::Full { frames: 4, .. })));
    }

    #[test]
    fn finds_damage_and_gaps() {
        let mut journal = MemoryJournal::new();
        for byte in 1..=3 {
            journal.append(vec![byte; 100]).unwrap();
        }
        journal.waiting[0].frame[50] ^= 1;
        let error = journal.next().unwrap_err();
        assert!(error.to_string().contains("frame 1 is damaged: its checksum is wrong"), "{error}");
        assert_eq!(journal.next(), Err(error), "a damaged frame is never passed over");

        journal.waiting.pop_front();
        let error = journal.next().unwrap_err().to_string();
        assert!(error.contains("frame 2 was found where frame 1 belongs: a part of the journal is missing"), "{error}");
        journal.waiting[0].seq = Seq(1);
        let damaged = JournalError::Damaged { file: PLACE.to_owned(), seq: 1 };
        assert_eq!(journal.next(), Err(damaged), "another frame's place is not its own");
    }
}

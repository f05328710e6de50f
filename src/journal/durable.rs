//! The journal on disk: redb files, one writer thread, group commit.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use super::disk::{Access, Disk};
use super::error::io_cause;
use super::file::{Fingerprint, JournalFile};
use super::reader::{self, Reader};
use super::writer::{Done, Order, Wake, Writer};
use super::{FRAME_BYTES_MAX, Journal, JournalError, Rolled};
use crate::ids::Seq;

/// Most frames that are taken and not returned.
pub const DURABLE_FRAMES_MAX: usize = 65_536;
/// Most bytes of the frames that are taken and not returned.
pub const DURABLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of frames after which a new file is begun. After a kill the last file is read as a whole before the first of
/// its frames: this bounds that, and what is deleted at once.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What an acknowledged frame survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Loss of power: a frame is returned once the disk has confirmed it.
    #[default]
    Synced,
    /// A stop of the service, no crash: the disk is made to confirm once a second. A crash, of the process or the
    /// machine, takes at most the latest second with it, from its end: never one frame out of the middle.
    Buffered,
}

/// How a journal is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What frames survive.
    pub durability: Durability,
    /// Bytes of frames after which a new file is begun.
    pub file_bytes_max: u64,
    /// Told in one sentence what an operator should know.
    pub tell: fn(&str),
}

impl Default for Options {
    fn default() -> Options {
        Options { durability: Durability::Synced, file_bytes_max: FILE_BYTES_MAX, tell: |_| {} }
    }
}

/// A journal on disk.
pub struct DurableJournal {
    /// What was there when it was opened; gone when all of it was returned.
    stored: Option<Reader>,
    stored_last: Seq,
    orders: Option<Sender<Order>>,
    done: Receiver<Done>,
    wake: Wake,
    thread: Option<JoinHandle<()>>,
    /// Durable, and not returned yet.
    ready: VecDeque<(Seq, Vec<u8>)>,
    /// Frames and bytes that were taken since it was opened and are not returned.
    taken: (usize, usize),
    append_at: Seq,
    next: Seq,
    failure: Option<JournalError>,
}

impl DurableJournal {
    /// Opens the journal of a disk behind `after`, the last frame that the state to go on from has seen: the first
    /// frame that is returned is the one after it. A disk without files gets its first one.
    ///
    /// Reads and checks the last file; the others when their frames are asked for.
    ///
    /// # Errors
    /// When frames behind `after` are missing, or the last file is damaged or foreign.
    pub fn open(
        disk: Arc<dyn Disk>,
        identity: Fingerprint,
        after: Seq,
        options: Options,
    ) -> Result<DurableJournal, JournalError> {
        let (first, file, last) = match reader::needed(&*disk, after)?.last() {
            Some(&first) => {
                let file = JournalFile::open(&*disk, first, identity, Access::Append)?;
                // A file without frames goes on where the one before it ended.
                let last = file.last()?.unwrap_or(Seq(first.0.saturating_sub(1)));
                (first, file, last)
            }
            None => {
                let poisoned = |cause| JournalError::Poisoned { cause };
                (after.next(), JournalFile::create(&*disk, after.next(), identity).map_err(poisoned)?, after)
            }
        };
        if last < after {
            return Err(JournalError::Ends { last: last.0, covered: after.0 });
        }
        // A crash may have come between file and note, and an earlier version notes nothing.
        if disk.newest().is_ok_and(|newest| newest != Some(first)) {
            let poisoned = |error| JournalError::Poisoned { cause: io_cause(&error) };
            disk.note_newest(Some(first)).map_err(poisoned)?;
        }
        let stored = Reader::open(Arc::clone(&disk), identity, after)?.with_last(file.clone());
        let Options { durability, file_bytes_max, tell } = options;
        let (orders, inbox) = mpsc::channel();
        let (outbox, done) = mpsc::channel();
        let wake: Wake = Arc::new(OnceLock::new());
        let (at, bytes) = (last.next(), file.opened_len());
        let writer = Writer {
            disk,
            identity,
            durability,
            file_bytes_max,
            file,
            first,
            next: at,
            bytes,
            tell,
            outbox,
            wake: Arc::clone(&wake),
        };
        let thread = thread::Builder::new()
            .name("inkling-journal".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|error| JournalError::Poisoned { cause: format!("no thread for the journal: {error}") })?;
        Ok(DurableJournal {
            stored: (last > after).then_some(stored),
            stored_last: last,
            orders: Some(orders),
            done,
            wake,
            thread: Some(thread),
            ready: VecDeque::new(),
            taken: (0, 0),
            append_at: at,
            next: after.next(),
            failure: None,
        })
    }

    fn order(&mut self, order: Order) -> Result<(), JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        if sent { Ok(()) } else { Err(self.fail()) }
    }

    /// Takes over what the thread says.
    fn take(&mut self, done: Done) {
        match done {
            Ok(group) => self.ready.extend(group),
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// The thread is gone: why.
    fn fail(&mut self) -> JournalError {
        while let Ok(done) = self.done.try_recv() {
            self.take(done);
        }
        let ended = || JournalError::Poisoned { cause: "the journal's thread has ended".to_owned() };
        self.failure.get_or_insert_with(ended).clone()
    }

    /// Frames that are on their way to the disk.
    fn is_underway(&self) -> bool {
        self.taken.0 > self.ready.len()
    }
}

impl Journal for DurableJournal {
    fn append(&mut self, frame: Vec<u8>) -> Result<(), JournalError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes: frame.len() });
        }
        let (frames, bytes) = self.taken;
        if frames == DURABLE_FRAMES_MAX || bytes + frame.len() > DURABLE_BYTES_MAX {
            let (frames_max, bytes_max) = (DURABLE_FRAMES_MAX, DURABLE_BYTES_MAX);
            return Err(JournalError::Full { frames, bytes, frames_max, bytes_max });
        }
        let length = frame.len();
        self.order(Order::Append(self.append_at, frame))?;
        self.taken = (frames + 1, bytes + length);
        self.append_at = self.append_at.next();
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Seq, Vec<u8>)>, JournalError> {
        if let Some(stored) = &mut self.stored {
            if let Some((seq, frame)) = stored.next_frame()? {
                self.next = seq.next();
                if seq == self.stored_last {
                    self.stored = None;
                }
                return Ok(Some((seq, frame)));
            }
            return Err(JournalError::Ends { last: self.next.0.saturating_sub(1), covered: self.stored_last.0 });
        }
        while self.ready.is_empty() {
            match self.done.try_recv() {
                Ok(done) => self.take(done),
                Err(TryRecvError::Empty) if self.failure.is_none() => return Ok(None),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Err(self.fail()),
            }
        }
        let Some((seq, frame)) = self.ready.pop_front() else { return Ok(None) };
        self.taken = (self.taken.0 - 1, self.taken.1 - frame.len());
        self.next = seq.next();
        Ok(Some((seq, frame)))
    }

    fn wait(&mut self) {
        if self.stored.is_none() && self.ready.is_empty() && self.is_underway() {
            // Where the thread is gone, `next` tells why.
            if let Ok(done) = self.done.recv() {
                self.take(done);
            }
        }
    }

    fn on_durable(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        // The first one stays: there is one reader.
        let _ = self.wake.set(wake);
    }

    fn stored_last(&self) -> Seq {
        self.stored_last
    }

    fn roll(&mut self) -> Result<Rolled, JournalError> {
        let (ended, rolled) = mpsc::channel();
        self.order(Order::Roll(ended))?;
        Ok(Rolled(Some(rolled)))
    }

    fn trim(&mut self, below: Seq) -> Result<(), JournalError> {
        if below > self.next {
            return Err(JournalError::TrimAhead { below: below.0, next: self.next.0 });
        }
        self.order(Order::Trim(below))
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread closes the channel without a word.
            let panicked = thread.join().is_err();
            while let Ok(done) = self.done.try_recv() {
                self.take(done);
            }
            if panicked {
                self.fail();
            }
        }
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }
}

impl Drop for DurableJournal {
    fn drop(&mut self) {
        // Who wants to know of a failure has called it before.
        let _ = self.close();
    }
}

#[cfg(test)]
#[path = "durable_tests.rs"]
mod tests;

//! The thread that owns the file that is appended to: it commits whatever has queued since the last commit.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use redb::Durability as Commit;

use super::disk::Disk;
use super::error::io_cause;
use super::file::{Fingerprint, JournalFile};
use super::{Durability, JournalError};
use crate::ids::Seq;

/// Bytes of one commit: bounds how long its first frame waits for the last.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// With [`Durability::Buffered`], the longest time between two syncs.
const SYNC_PAUSE: Duration = Duration::from_secs(1);

/// What the thread is asked to do, in order.
#[derive(Debug)]
pub enum Order {
    /// To make a frame durable.
    Append(Seq, Vec<u8>),
    /// To end the file, begin another, and say so.
    Roll(Sender<()>),
    /// To delete the files that hold nothing from this frame on.
    Trim(Seq),
}

/// Frames that are durable, or the failure after which nothing more will be.
pub type Done = Result<Vec<(Seq, Vec<u8>)>, JournalError>;

/// Called when something was done.
pub type Wake = Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>;

/// The thread's side.
pub struct Writer {
    pub disk: Arc<dyn Disk>,
    pub identity: Fingerprint,
    pub durability: Durability,
    /// Bytes of frames after which a new file is begun.
    pub file_bytes_max: u64,
    pub file: JournalFile,
    /// First frame of `file`.
    pub first: Seq,
    /// The frame that is appended next.
    pub next: Seq,
    /// About how many bytes `file` has.
    pub bytes: u64,
    pub tell: fn(&str),
    pub outbox: Sender<Done>,
    pub wake: Wake,
}

impl Writer {
    /// Works until nobody can give orders any more, or something fails. The file is closed only in the first case.
    pub fn run(self, orders: &Receiver<Order>) {
        // Whoever waits is woken in any case, by a panic as well; and only when the last sender is gone, for who looks
        // before finds nothing and waits for ever.
        let _last = WakeAtEnd(Arc::clone(&self.wake));
        self.work_or_tell(orders);
    }

    fn work_or_tell(mut self, orders: &Receiver<Order>) {
        if let Err(cause) = self.work(orders) {
            let cause = format!("{}: {cause}", self.disk.name(self.first));
            // Nobody may be listening any more.
            let _ = self.outbox.send(Err(JournalError::Poisoned { cause }));
        }
    }

    fn work(&mut self, orders: &Receiver<Order>) -> Result<(), String> {
        // When the first commit was made that no sync has covered yet.
        let mut unsynced: Option<Instant> = None;
        loop {
            let order = match unsynced {
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => orders.recv_timeout(SYNC_PAUSE.saturating_sub(now() - since)),
            };
            let first = match order {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.end(unsynced.is_some()),
            };
            let (group, other) = gather(first, orders);
            let sync = self.durability == Durability::Synced
                || group.is_empty()
                || unsynced.is_some_and(|since| now() - since >= SYNC_PAUSE);
            if !group.is_empty() || unsynced.is_some() {
                let commit = if sync { Commit::Immediate } else { Commit::None };
                self.commit(group, commit)?;
                unsynced = if sync { None } else { unsynced.or_else(|| Some(now())) };
            }
            match other {
                Some(Order::Trim(below)) => self.trim(below),
                Some(Order::Roll(ended)) => {
                    self.roll(unsynced.take().is_some())?;
                    // Nobody may be waiting for it.
                    let _ = ended.send(());
                }
                _ => {}
            }
            if self.bytes >= self.file_bytes_max {
                self.roll(unsynced.take().is_some())?;
            }
        }
    }

    fn commit(&mut self, group: Vec<(Seq, Vec<u8>)>, durability: Commit) -> Result<(), String> {
        self.file.append(&group, durability)?;
        self.bytes += group.iter().map(|(_, frame)| frame.len() as u64).sum::<u64>();
        if let Some((last, _)) = group.last() {
            self.next = last.next();
        }
        if !group.is_empty() {
            // Who asked for them may have gone; the frames are durable all the same.
            let _ = self.outbox.send(Ok(group));
            wake(&self.wake);
        }
        Ok(())
    }

    /// Ends the file. Frames that no sync has covered get a commit of their own: the one that ends a file adds none.
    fn end(&self, is_unsynced: bool) -> Result<(), String> {
        if is_unsynced {
            self.file.append(&[], Commit::Immediate)?;
        }
        self.file.close()
    }

    /// Ends the file and begins another, unless it holds nothing yet.
    fn roll(&mut self, is_unsynced: bool) -> Result<(), String> {
        if self.next == self.first {
            return Ok(());
        }
        self.end(is_unsynced)?;
        self.file = JournalFile::create(&*self.disk, self.next, self.identity)?;
        (self.first, self.bytes) = (self.next, 0);
        Ok(())
    }

    /// Deletes what is not needed. Where that fails no frame is in doubt: it is told; the next order tries again.
    fn trim(&self, below: Seq) {
        let trimmed = self.disk.list().and_then(|files| {
            // A file ends where the next one begins. Oldest first, so that none is missing in between.
            let mut old = files.windows(2).filter(|pair| pair[1] <= below).map(|pair| pair[0]);
            old.try_for_each(|first| self.disk.remove(first))
        });
        if let Err(error) = trimmed {
            (self.tell)(&format!(
                "{}: the journal's old files cannot be deleted: {}; they take room until the next snapshot has them \
                 deleted: mend that",
                self.disk.name(self.first),
                io_cause(&error)
            ));
        }
    }
}

/// Takes frames for as long as there are some, up to the first order of another kind, which is taken as well.
fn gather(first: Option<Order>, orders: &Receiver<Order>) -> (Vec<(Seq, Vec<u8>)>, Option<Order>) {
    let (mut group, mut bytes) = (Vec::new(), 0);
    let mut order = first;
    loop {
        match order {
            Some(Order::Append(seq, frame)) => {
                bytes += frame.len();
                group.push((seq, frame));
            }
            other => return (group, other),
        }
        if bytes >= GROUP_BYTES_MAX {
            return (group, None);
        }
        order = orders.try_recv().ok();
    }
}

/// Wakes whoever waits when the thread ends, however it does.
struct WakeAtEnd(Wake);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        wake(&self.0);
    }
}

fn wake(wake: &Wake) {
    if let Some(wake) = wake.get() {
        wake();
    }
}

#[expect(clippy::disallowed_methods, reason = "says when to sync; no state depends on it")]
fn now() -> Instant {
    Instant::now()
}

//! A journal for tests that shows its frames, and fails or is stuck when told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Journal, JournalError, MemoryJournal, Rolled};
use crate::ids::Seq;

/// In memory.
pub struct Watched {
    inner: MemoryJournal,
    /// All frames that were taken.
    pub frames: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Frames after which it fails.
    frames_max: usize,
    /// Says when the first file is ended; at once where there is none.
    pub ended: Option<Receiver<()>>,
    /// As long as it is set, nothing comes back, and whoever asks waits: a disk that is stuck.
    pub stuck: Arc<AtomicBool>,
    /// Bytes that were taken and did not come back yet.
    unread: usize,
    /// The most that there ever were.
    pub most_unread: Arc<AtomicUsize>,
}

impl Watched {
    /// A journal that takes so many frames.
    pub fn new(frames_max: usize) -> Watched {
        let (stuck, most_unread) = (Arc::default(), Arc::default());
        let (inner, frames) = (MemoryJournal::new(), Arc::default());
        Watched { inner, frames, frames_max, ended: None, stuck, unread: 0, most_unread }
    }
}

impl Journal for Watched {
    fn append(&mut self, frame: Vec<u8>) -> Result<(), JournalError> {
        let mut frames = self.frames.lock().unwrap();
        if frames.len() == self.frames_max {
            return Err(JournalError::Poisoned { cause: "no space left".into() });
        }
        frames.push(frame.clone());
        self.unread += frame.len();
        self.most_unread.fetch_max(self.unread, Relaxed);
        self.inner.append(frame)
    }

    fn next(&mut self) -> Result<Option<(Seq, Vec<u8>)>, JournalError> {
        while self.stuck.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let next = self.inner.next()?;
        self.unread -= next.as_ref().map_or(0, |(_, frame)| frame.len());
        Ok(next)
    }

    fn wait(&mut self) {
        self.inner.wait();
    }

    fn on_durable(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        self.inner.on_durable(wake);
    }

    fn stored_last(&self) -> Seq {
        self.inner.stored_last()
    }

    fn roll(&mut self) -> Result<Rolled, JournalError> {
        let rolled = self.inner.roll()?;
        Ok(self.ended.take().map_or(rolled, |ended| Rolled(Some(ended))))
    }

    fn trim(&mut self, below: Seq) -> Result<(), JournalError> {
        self.inner.trim(below)
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.inner.close()
    }
}

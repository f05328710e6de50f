//! The way to the applier: a queue that is bounded by the number of events waiting in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::engine::{Applied, Engine};
use crate::event::{Event, EventId};
use crate::ids::Seq;
use crate::units::Timestamp;

/// An event on its way to the journal, not stamped yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Occurrence {
    /// When it happened; `None` for when it is stamped.
    pub occurred_at: Option<Timestamp>,
    /// The sender's name for it.
    pub event_id: Option<EventId>,
    /// What happened.
    pub event: Event,
}

/// Why the applier took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// Too many events are waiting, and none of them was done in time.
    #[error("too many events are waiting: send again later")]
    Full,
    /// The applier has stopped or failed. What was sent may or may not be in the journal: send it again with its
    /// event ids.
    #[error("the service no longer takes events")]
    Stopped,
}

/// What a caller wants of the applier. Each job holds the room it takes in the queue until it is answered.
pub(super) enum Job {
    Track {
        events: Vec<Occurrence>,
        answer: oneshot::Sender<Vec<Applied>>,
        room: OwnedSemaphorePermit,
    },
    Ask {
        question: Question,
        room: OwnedSemaphorePermit,
    },
    Tick,
    /// The journal has something new to say.
    Durable,
    /// The snapshot that is being taken has something new to say.
    Snapshot,
}

impl Job {
    /// How many events it brings.
    pub fn events(&self) -> usize {
        match self {
            Job::Track { events, .. } => events.len(),
            Job::Ask { .. } | Job::Tick | Job::Durable | Job::Snapshot => 0,
        }
    }
}

/// A question answers through a channel of its own.
pub(super) type Question = Box<dyn FnOnce(&Engine, Seq) + Send>;

/// The callers' end of the queue.
#[derive(Clone)]
pub struct Queue {
    inbox: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    room_max: u32,
    applied: Arc<AtomicU64>,
    failure: Arc<OnceLock<String>>,
}

/// A new queue for so many events, and the end from which the applier takes its jobs.
pub(super) fn bounded(events_max: usize) -> (Queue, mpsc::UnboundedReceiver<Job>) {
    let (inbox, jobs) = mpsc::unbounded_channel();
    let room_max = events_max.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize)) as u32;
    let room = Arc::new(Semaphore::new(room_max as usize));
    (Queue { inbox, room, room_max, applied: Arc::default(), failure: Arc::default() }, jobs)
}

impl Queue {
    /// Where the applier says why it failed, before the queue ends.
    pub(super) fn failure_cell(&self) -> Arc<OnceLock<String>> {
        Arc::clone(&self.failure)
    }

    /// Why the applier failed, once it has.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Queues events; what became of them comes through the receiver, in their order, once they are durable and
    /// applied.
    ///
    /// Waits for room in the queue, but not longer than `patience` where there is one.
    ///
    /// # Errors
    /// When there was no room in time, or the applier has stopped. The receiver fails when it stops later.
    pub async fn track(
        &self,
        events: Vec<Occurrence>,
        patience: Option<Duration>,
    ) -> Result<oneshot::Receiver<Vec<Applied>>, Refused> {
        let room = self.room(events.len(), patience).await?;
        let (answer, receiver) = oneshot::channel();
        self.inbox.send(Job::Track { events, answer, room }).map_err(|_| Refused::Stopped)?;
        Ok(receiver)
    }

    /// Asks the engine between two batches: the answer knows of all events queued before.
    ///
    /// # Errors
    /// As [`track`](Queue::track).
    pub async fn ask<T: Send + 'static>(
        &self,
        patience: Duration,
        question: impl FnOnce(&Engine, Seq) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let room = self.room(1, Some(patience)).await?;
        let (answer, receiver) = oneshot::channel();
        let question: Question = Box::new(move |engine, seq| {
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(question(engine, seq));
        });
        self.inbox.send(Job::Ask { question, room }).map_err(|_| Refused::Stopped)?;
        receiver.await.map_err(|_| Refused::Stopped)
    }

    /// Lets time pass while no event comes.
    pub fn tick(&self) {
        // A queue that is not empty is stamped anyway. A stopped applier needs no time.
        if self.room.available_permits() == self.room_max as usize {
            let _ = self.inbox.send(Job::Tick);
        }
    }

    /// Wakes the applier for the journal, and keeps it from nothing: not even from ending.
    pub(super) fn waker(&self) -> Box<dyn Fn() + Send + Sync> {
        self.waker_for(|| Job::Durable)
    }

    /// Likewise, for a snapshot.
    pub(super) fn snapshot_waker(&self) -> Box<dyn Fn() + Send + Sync> {
        self.waker_for(|| Job::Snapshot)
    }

    fn waker_for(&self, job: fn() -> Job) -> Box<dyn Fn() + Send + Sync> {
        let inbox = self.inbox.downgrade();
        Box::new(move || {
            // Without anybody who could ask, the applier itself waits for what it needs.
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.send(job());
            }
        })
    }

    /// Where the applier writes what [`applied`](Queue::applied) reads.
    pub(super) fn applied_cell(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.applied)
    }

    /// Journal place of the last frame that scorers can see.
    pub fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::Acquire))
    }

    /// Whether the applier has stopped.
    pub fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Waits until the thread has ended.
    pub async fn ended(&self) {
        self.inbox.closed().await;
    }

    async fn room(&self, count: usize, patience: Option<Duration>) -> Result<OwnedSemaphorePermit, Refused> {
        // A message longer than the whole queue takes all of it.
        let count = u32::try_from(count).unwrap_or(u32::MAX).clamp(1, self.room_max);
        let acquire = Arc::clone(&self.room).acquire_many_owned(count);
        let permit = match patience {
            Some(patience) => tokio::time::timeout(patience, acquire).await.map_err(|_| Refused::Full)?,
            None => tokio::select! {
                permit = acquire => permit,
                () = self.ended() => return Err(Refused::Stopped),
            },
        };
        permit.map_err(|_| Refused::Stopped)
    }
}

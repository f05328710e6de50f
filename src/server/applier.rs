//! The one thread that owns the engine: it takes what was queued, journals it, applies what the journal returns,
//! and answers only then.
//!
//! While one batch is on its way through the journal the next one queues: batches grow with the load by themselves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::clock::ServiceClock;
use super::counters::{Count, Counters};
use super::queue::{self, Job, Occurrence, Question, Queue};
use crate::engine::{Applied, Engine, tick_due};
use crate::event::{Event, Record};
use crate::ids::Seq;
use crate::journal::{Journal, JournalError};
use crate::record::{FrameBuilder, RecordError, decode_frame};
use crate::rejection::Rejection;
use crate::units::Timestamp;

/// Events taken from the queue at once: bounds how long the first of them waits for the last.
const TURN_EVENTS_MAX: usize = 16_384;
/// Bytes that may be in the journal without being applied: well below what a journal in memory holds.
const UNREAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why the applier failed. Nothing more is taken after it; a restart recovers what the journal holds.
#[derive(Debug, Error)]
pub enum ApplierError {
    /// The journal did not take or return a frame.
    #[error("the journal failed after frame {}", after.0)]
    Journal {
        /// Last frame that was applied.
        after: Seq,
        /// What the journal says.
        source: JournalError,
    },
    /// A frame of the journal cannot be read.
    #[error("frame {} of the journal cannot be read", at.0)]
    Frame {
        /// The frame.
        at: Seq,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The journal returned fewer or more records than it was given.
    #[error("the journal returned other records than it was given after frame {}", after.0)]
    Mismatch {
        /// Last frame that was applied.
        after: Seq,
    },
}

/// The thread's side.
struct Applier {
    engine: Engine,
    journal: Box<dyn Journal>,
    clock: Arc<ServiceClock>,
    counters: Arc<Counters>,
    applied: Arc<AtomicU64>,
    builder: FrameBuilder,
    /// `at` of the last record that was stamped.
    stamped: Timestamp,
    /// Last frame that was applied.
    seq: Seq,
    /// Bytes of the frames after it that are in the journal.
    unread: usize,
}

/// Who waits for the end of a turn, in the order of asking.
enum Waiting {
    Track { count: usize, answer: oneshot::Sender<Vec<Applied>>, _room: OwnedSemaphorePermit },
    Ask { question: Question, _room: OwnedSemaphorePermit },
}

/// The records of one turn.
#[derive(Default)]
struct Turn {
    /// For each record that is not applied yet, in order, which outcome it decides; ticks decide none.
    undecided: VecDeque<Option<usize>>,
    /// For each event in its order, what became of it.
    outcomes: Vec<Applied>,
}

/// Starts the thread with a queue for so many events. It ends when all clones of the queue are gone and nothing waits
/// in it, or with an error.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    engine: Engine,
    journal: Box<dyn Journal>,
    clock: Arc<ServiceClock>,
    counters: Arc<Counters>,
    events_max: usize,
) -> std::io::Result<(Queue, JoinHandle<Result<(), ApplierError>>)> {
    let (queue, jobs) = queue::bounded(events_max);
    let applied = queue.applied_cell();
    let (builder, stamped) = (FrameBuilder::new(), engine.now());
    let applier = Applier { engine, journal, clock, counters, applied, builder, stamped, seq: Seq(0), unread: 0 };
    let thread = thread::Builder::new().name("inkling-applier".into()).spawn(move || applier.run(jobs))?;
    Ok((queue, thread))
}

impl Applier {
    fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) -> Result<(), ApplierError> {
        while let Some(first) = jobs.blocking_recv() {
            let mut events = first.events();
            let mut taken = vec![first];
            while events < TURN_EVENTS_MAX {
                let Ok(job) = jobs.try_recv() else { break };
                events += job.events();
                taken.push(job);
            }
            self.turn(taken)?;
        }
        Ok(())
    }

    /// Takes some jobs all the way: into the journal, out of it, into the engine, back to who asked.
    fn turn(&mut self, jobs: Vec<Job>) -> Result<(), ApplierError> {
        let mut turn = Turn::default();
        let mut waiting = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Track { events, answer, room } => {
                    waiting.push(Waiting::Track { count: events.len(), answer, _room: room });
                    events.into_iter().try_for_each(|occurrence| self.enter(occurrence, &mut turn))?;
                }
                Job::Ask { question, room } => waiting.push(Waiting::Ask { question, _room: room }),
                Job::Tick => self.pass_time(self.clock.stamp(self.stamped, None), &mut turn)?,
            }
        }
        self.send_frame()?;
        self.apply(&mut turn)?;
        self.answer(waiting, turn.outcomes);
        Ok(())
    }

    /// Stamps one event and puts it into the frame.
    fn enter(&mut self, occurrence: Occurrence, turn: &mut Turn) -> Result<(), ApplierError> {
        let Occurrence { occurred_at, event_id, event } = occurrence;
        if self.unread > UNREAD_BYTES_MAX {
            self.send_frame()?;
            self.apply(turn)?;
        }
        let at = self.clock.stamp(self.stamped, occurred_at);
        self.pass_time(at, turn)?;
        let record = Record { at, occurred_at: occurred_at.unwrap_or(at), event_id, event };
        match self.push(&record)? {
            Ok(()) => {
                turn.undecided.push_back(Some(turn.outcomes.len()));
                turn.outcomes.push(Applied::Done);
            }
            Err(unfit) => turn.outcomes.push(Applied::Rejected(Rejection::invalid("event", unfit.to_string()))),
        }
        Ok(())
    }

    /// Puts the tick into the frame that is due before a record at `at`, if one is.
    fn pass_time(&mut self, at: Timestamp, turn: &mut Turn) -> Result<(), ApplierError> {
        if let Some(second) = tick_due(self.stamped, at) {
            let tick = Record { at: second, occurred_at: second, event_id: None, event: Event::Tick };
            if self.push(&tick)?.is_ok() {
                turn.undecided.push_back(None);
            }
        }
        self.stamped = at;
        Ok(())
    }

    /// Puts a record into the frame; the frame before it goes to the journal when there is no room. The inner error is
    /// of a record that breaks a limit of the journal.
    fn push(&mut self, record: &Record) -> Result<Result<(), RecordError>, ApplierError> {
        match self.builder.push(record) {
            Ok(true) => return Ok(Ok(())),
            Ok(false) => self.send_frame()?,
            Err(unfit) => return Ok(Err(unfit)),
        }
        match self.builder.push(record) {
            Ok(fits) => {
                debug_assert!(fits, "an empty frame takes every valid record");
                Ok(Ok(()))
            }
            Err(unfit) => Ok(Err(unfit)),
        }
    }

    fn send_frame(&mut self) -> Result<(), ApplierError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let after = self.seq;
        let frame = self.builder.take();
        self.unread += frame.len();
        self.journal.append(frame).map_err(|source| ApplierError::Journal { after, source })
    }

    /// Applies what the journal has made durable, until all of the turn is; then scorers may see it.
    fn apply(&mut self, turn: &mut Turn) -> Result<(), ApplierError> {
        if turn.undecided.is_empty() {
            return Ok(());
        }
        while !turn.undecided.is_empty() {
            let after = self.seq;
            let next = self.journal.next().map_err(|source| ApplierError::Journal { after, source })?;
            let (at, frame) = next.ok_or(ApplierError::Mismatch { after })?;
            for record in decode_frame(&frame).map_err(|source| ApplierError::Frame { at, source })? {
                let place = turn.undecided.pop_front().ok_or(ApplierError::Mismatch { after })?;
                let outcome = self.engine.apply(&record);
                if let Some(place) = place {
                    turn.outcomes[place] = outcome;
                }
            }
            self.seq = at;
            self.unread = self.unread.saturating_sub(frame.len());
            self.counters.count(Count::FramesApplied);
        }
        self.engine.publish();
        self.clock.publish(self.engine.now());
        self.applied.store(self.seq.0, Ordering::Release);
        Ok(())
    }

    /// Answers in the order of asking. Whoever asked may have gone meanwhile.
    fn answer(&self, waiting: Vec<Waiting>, outcomes: Vec<Applied>) {
        let mut outcomes = outcomes.into_iter();
        for job in waiting {
            match job {
                Waiting::Track { count, answer, .. } => {
                    let _ = answer.send(outcomes.by_ref().take(count).collect());
                }
                Waiting::Ask { question, .. } => question(&self.engine, self.seq),
            }
        }
    }
}

#[cfg(test)]
#[path = "applier_tests.rs"]
mod tests;

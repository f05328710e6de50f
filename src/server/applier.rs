//! The one thread that owns the engine: it takes what was queued, journals it, applies it once the journal says that it
//! is durable, and answers only then. What is applied is what was written, not what would be read: the two are the same
//! to the bit (tests of `record`), and to read costs half of what applying does.
//!
//! It does not wait for the disk: while one frame is on its way through the journal the next one fills, so batches grow
//! with the load by themselves. The journal wakes it through the same queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::clock::ServiceClock;
use super::counters::{Count, Counters};
use super::queue::{self, Job, Occurrence, Question, Queue};
use super::snapshots::Snapshots;
use crate::engine::{Applied, Engine, tick_due};
use crate::event::{Event, Record};
use crate::ids::Seq;
use crate::journal::{Journal, JournalError};
use crate::record::{FrameBuilder, RecordError};
use crate::rejection::Rejection;
use crate::storage::{self, Ground, RecoveryError, Tell, Watch};
use crate::units::{Span, Timestamp};

/// Events taken from the queue at once: bounds how long the first of them waits for the last.
const TURN_EVENTS_MAX: usize = 16_384;
/// So much the journal's clock may be ahead of the machine's without a word.
const CLOCK_AHEAD_MAX: Span = Span::minutes(1);
/// Bytes that may be in the journal without being applied: well below what a journal in memory holds. Their records,
/// which are kept meanwhile, take some five times as much.
const UNREAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Frames applied before scorers see them and senders hear of them: bounds how long the first waits for the last.
const APPLY_FRAMES_MAX: usize = 16;

/// Why the applier failed. Nothing more is taken after it; a restart recovers what the journal holds.
#[derive(Debug, Error)]
pub enum ApplierError {
    /// State does not come out of the journal.
    #[error("the state cannot be recovered")]
    Recovery(#[from] RecoveryError),
    /// The journal did not take or return a frame.
    #[error("the journal failed after frame {}", after.0)]
    Journal {
        /// Last frame that was applied.
        after: Seq,
        /// What the journal says.
        source: JournalError,
    },
    /// A record went into no frame.
    #[error("an empty frame has no room for the record after frame {}", after.0)]
    Unframed {
        /// Last frame that was applied.
        after: Seq,
    },
    /// The journal returned other frames than it was given.
    #[error("the journal returned another frame than it was given after frame {}", after.0)]
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
    /// Frames and bytes after it that are in the journal.
    unread: (usize, usize),
    underway: Underway,
    snapshots: Snapshots,
    /// Goals whose weights have memory.
    warmed: usize,
}

/// Who waits, in the order of asking.
enum Waiting {
    Track { count: usize, answer: oneshot::Sender<Vec<Applied>>, _room: OwnedSemaphorePermit },
    Ask { question: Question, _room: OwnedSemaphorePermit },
}

/// What was taken and is not answered.
#[derive(Default)]
struct Underway {
    /// Each record that is not applied yet, in order, and which outcome it decides; ticks decide none.
    undecided: VecDeque<(Record, Option<u64>)>,
    /// Of each frame that is in the journal, how many records it has.
    frames: VecDeque<usize>,
    /// Records of the frame that is being filled.
    gathered: usize,
    /// For each event in its order, what became of it.
    outcomes: VecDeque<Applied>,
    /// Number of the first of the outcomes, counted from the start of the thread.
    first_outcome: u64,
    /// Records that were put into frames, and those of them that were applied, since the start of the thread.
    entered: u64,
    applied: u64,
    /// Who waits until so many records are applied.
    waiting: VecDeque<(u64, Waiting)>,
}

/// Starts the thread with a queue for so many events. It first brings the engine, which has seen all frames up to
/// `ground.after`, to the end of the journal. It ends when all clones of the queue are gone and all is answered, or
/// with an error.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    ground: Ground,
    clock: Arc<ServiceClock>,
    counters: Arc<Counters>,
    events_max: usize,
) -> std::io::Result<(Queue, JoinHandle<Result<(), ApplierError>>)> {
    let (queue, mut jobs) = queue::bounded(events_max);
    let failure = queue.failure_cell();
    let applied = queue.applied_cell();
    let Ground { engine, after, mut journal, mut watch, snapshots, tell } = ground;
    journal.on_durable(queue.waker());
    let applier = Applier {
        stamped: engine.now(),
        engine,
        journal,
        clock,
        applied,
        builder: FrameBuilder::new(),
        seq: after,
        unread: (0, 0),
        underway: Underway::default(),
        warmed: 0,
        snapshots: Snapshots::new(snapshots, after, Arc::clone(&counters), queue.snapshot_waker()),
        counters,
    };
    let run = move || {
        let result = applier.run(&mut watch, &tell, &mut jobs);
        if let Err(error) = &result {
            // Said before the jobs are dropped, by which everybody else hears of it.
            let _ = failure.set(chain(error));
        }
        result
    };
    let thread = thread::Builder::new().name("inkling-applier".into()).spawn(run)?;
    Ok((queue, thread))
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

impl Applier {
    fn run(
        mut self,
        watch: &mut Watch,
        tell: &Tell,
        jobs: &mut mpsc::UnboundedReceiver<Job>,
    ) -> Result<(), ApplierError> {
        self.recover(watch, tell)?;
        while let Some(first) = self.next(jobs)? {
            let mut events = first.events();
            let mut taken = vec![first];
            while events < TURN_EVENTS_MAX {
                let Ok(job) = jobs.try_recv() else { break };
                events += job.events();
                taken.push(job);
            }
            self.turn(taken)?;
            self.snapshot()?;
        }
        // Nobody can ask any more; what was asked is finished.
        while !self.underway.undecided.is_empty() {
            self.send_frame()?;
            self.wait()?;
        }
        let at_end = self.snapshots.end(&mut self.engine, self.seq, &mut *self.journal);
        at_end.and(self.journal.close()).map_err(|source| ApplierError::Journal { after: self.seq, source })
    }

    /// The next job; while a snapshot is being taken, slices of it are handed out until there is one.
    fn next(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>) -> Result<Option<Job>, ApplierError> {
        while self.snapshots.has_work() {
            match jobs.try_recv() {
                Ok(job) => return Ok(Some(job)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => self.snapshot()?,
            }
        }
        Ok(jobs.blocking_recv())
    }

    fn snapshot(&mut self) -> Result<(), ApplierError> {
        let advanced = self.snapshots.advance(&mut self.engine, self.seq, &mut *self.journal);
        advanced.map_err(|source| ApplierError::Journal { after: self.seq, source })
    }

    /// Applies what is in the journal already.
    fn recover(&mut self, watch: &mut Watch, tell: &Tell) -> Result<(), ApplierError> {
        let last = self.journal.stored_last();
        if last > self.seq {
            let (journal, mut at) = (&mut self.journal, self.seq);
            let next = || {
                if at == last {
                    return Ok(None);
                }
                let next = journal.next()?;
                at = next.as_ref().map_or(at, |(seq, _)| *seq);
                Ok(next)
            };
            let first = self.seq;
            let watch = |seq: Seq| watch(seq.0 - first.0, last.0 - first.0);
            self.seq = storage::recover(&mut self.engine, first, next, watch)?.seq;
        }
        self.stamped = self.engine.now();
        let ahead = self.stamped.since(self.clock.now());
        if self.clock.is_wall() && ahead > CLOCK_AHEAD_MAX {
            tell(&format!(
                "the journal's clock is {:.1} hours ahead of this machine's: until that has caught up no time passes, \
                 no window closes and events that state when they occurred may be refused; set this machine's clock \
                 right, or, if the journal's is wrong, restore a backup of before",
                ahead.0 as f64 / 3.6e6
            ));
        }
        self.show();
        Ok(())
    }

    /// Takes some jobs in, and goes on with what the journal has made durable meanwhile.
    fn turn(&mut self, jobs: Vec<Job>) -> Result<(), ApplierError> {
        let mut woken = false;
        for job in jobs {
            let waiting = match job {
                Job::Track { events, answer, room } => {
                    let count = events.len();
                    events.into_iter().try_for_each(|occurrence| self.enter(occurrence))?;
                    Waiting::Track { count, answer, _room: room }
                }
                Job::Ask { question, room } => Waiting::Ask { question, _room: room },
                Job::Tick => {
                    self.pass_time(self.clock.stamp(self.stamped, None))?;
                    continue;
                }
                Job::Durable => {
                    woken = true;
                    continue;
                }
                Job::Snapshot => continue,
            };
            self.underway.waiting.push_back((self.underway.entered, waiting));
        }
        self.advance(woken)
    }

    /// Sends what was gathered if the journal has nothing else to do, applies what is durable, and answers.
    ///
    /// What comes while a sync runs so gathers in one frame, which goes out when the sync is done: before its records
    /// are applied, so that disk and engine work at the same time.
    fn advance(&mut self, mut send: bool) -> Result<(), ApplierError> {
        loop {
            if send || self.unread.0 == 0 {
                self.send_frame()?;
            }
            let applied = self.apply()?;
            self.answer();
            if applied == 0 {
                return Ok(());
            }
            send = true;
        }
    }

    /// Waits for the journal, and applies what it has made durable.
    fn wait(&mut self) -> Result<(), ApplierError> {
        self.journal.wait();
        if self.apply()? == 0 {
            return Err(ApplierError::Mismatch { after: self.seq });
        }
        self.answer();
        Ok(())
    }

    /// Stamps one event and puts it into the frame.
    fn enter(&mut self, occurrence: Occurrence) -> Result<(), ApplierError> {
        let Occurrence { occurred_at, event_id, event } = occurrence;
        while self.unread.1 > UNREAD_BYTES_MAX {
            self.wait()?;
        }
        let at = self.clock.stamp(self.stamped, occurred_at);
        self.pass_time(at)?;
        let record = Record { at, occurred_at: occurred_at.unwrap_or(at), event_id, event };
        let outcome = match self.push(&record)? {
            Ok(()) => {
                self.underway.enter(record, true);
                Applied::Done
            }
            Err(unfit) => Applied::Rejected(Rejection::invalid("event", unfit.to_string())),
        };
        self.underway.outcomes.push_back(outcome);
        Ok(())
    }

    /// Puts the tick into the frame that is due before a record at `at`, if one is.
    fn pass_time(&mut self, at: Timestamp) -> Result<(), ApplierError> {
        if let Some(second) = tick_due(self.stamped, at) {
            let tick = Record { at: second, occurred_at: second, event_id: None, event: Event::Tick };
            if self.push(&tick)?.is_ok() {
                self.underway.enter(tick, false);
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
            Ok(true) => Ok(Ok(())),
            // An empty frame takes every valid record. What is in none must not be applied, let alone acknowledged.
            Ok(false) => Err(ApplierError::Unframed { after: self.seq }),
            Err(unfit) => Ok(Err(unfit)),
        }
    }

    fn send_frame(&mut self) -> Result<(), ApplierError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let after = self.seq;
        let frame = self.builder.take();
        self.underway.frames.push_back(std::mem::take(&mut self.underway.gathered));
        self.unread = (self.unread.0 + 1, self.unread.1 + frame.len());
        self.journal.append(frame).map_err(|source| ApplierError::Journal { after, source })
    }

    /// Applies what the journal has made durable, some frames of it; then scorers may see it. How many frames it was.
    fn apply(&mut self) -> Result<usize, ApplierError> {
        let mut frames = 0;
        while frames < APPLY_FRAMES_MAX {
            let after = self.seq;
            let next = self.journal.next().map_err(|source| ApplierError::Journal { after, source })?;
            let Some((at, frame)) = next else { break };
            let records = self.underway.frames.pop_front().filter(|_| at == after.next());
            for index in 0..records.ok_or(ApplierError::Mismatch { after })? {
                if index % Engine::AHEAD == 0 {
                    // Those behind the frame, if there are any, come next.
                    self.engine.prefetch(self.underway.undecided.iter().map(|(record, _)| record));
                }
                let (record, place) = self.underway.undecided.pop_front().expect("frames count the records");
                let outcome = self.engine.apply(&record);
                self.underway.decide(place, outcome);
            }
            self.seq = at;
            self.unread = (self.unread.0.saturating_sub(1), self.unread.1.saturating_sub(frame.len()));
            self.counters.count(Count::FramesApplied);
            frames += 1;
        }
        if frames > 0 {
            self.show();
        }
        Ok(frames)
    }

    /// Lets scorers see the state as it is.
    fn show(&mut self) {
        let goals = self.engine.catalog().goals().len();
        if goals != self.warmed {
            self.engine.warm();
            self.warmed = goals;
        }
        self.engine.publish();
        self.clock.publish(self.engine.now());
        self.applied.store(self.seq.0, Ordering::Release);
    }

    /// Answers, in the order of asking, whom nothing is left to wait for. Whoever asked may have gone meanwhile.
    fn answer(&mut self) {
        while let Some(job) = self.underway.next_answer() {
            match job {
                Waiting::Track { count, answer, .. } => {
                    let _ = answer.send(self.underway.take_outcomes(count));
                }
                Waiting::Ask { question, .. } => question(&self.engine, self.seq),
            }
        }
    }
}

impl Underway {
    /// A record was put into the frame; the next outcome is its event's, if it is one.
    fn enter(&mut self, record: Record, is_event: bool) {
        let next = self.first_outcome + self.outcomes.len() as u64;
        self.undecided.push_back((record, is_event.then_some(next)));
        self.gathered += 1;
        self.entered += 1;
    }

    /// The first record that was underway is applied.
    fn decide(&mut self, place: Option<u64>, outcome: Applied) {
        self.applied += 1;
        let Some(place) = place else { return };
        // Outcomes leave with the answer, which waits for the record.
        self.outcomes[(place - self.first_outcome) as usize] = outcome;
    }

    /// The next in turn, if all it asked is applied.
    fn next_answer(&mut self) -> Option<Waiting> {
        let due = self.waiting.front().is_some_and(|(until, _)| *until <= self.applied);
        if due { self.waiting.pop_front().map(|(_, job)| job) } else { None }
    }

    fn take_outcomes(&mut self, count: usize) -> Vec<Applied> {
        self.first_outcome += count as u64;
        self.outcomes.drain(..count).collect()
    }
}

#[cfg(test)]
#[path = "applier_tests.rs"]
mod tests;

//! When the service takes snapshots, and what of the journal goes once there are some.

use std::sync::Arc;
use std::time::Instant;

use super::clock;
use super::counters::{Count, Counters};
use crate::engine::Engine;
use crate::ids::Seq;
use crate::journal::{Journal, JournalError};
use crate::snapshot::{Covers, Progress, SnapshotError, Taking, Written};
use crate::storage::SnapshotPlan;

/// The applier's side of snapshots. One that fails is told and counted, and changes nothing else: the journal stays as
/// far back as the oldest that is kept.
pub(super) struct Snapshots {
    plan: Option<SnapshotPlan>,
    taking: Option<Taking>,
    /// The one that is being taken has a slice to hand out.
    has_work: bool,
    /// When the last one was begun.
    begun: Instant,
    /// The last frame that a snapshot covers, or is about to.
    covered: Seq,
    counters: Arc<Counters>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Snapshots {
    /// By a plan, of a state that was read from a snapshot of the frames up to `covered`; `wake` brings the thread that
    /// owns the engine to call [`advance`](Snapshots::advance).
    pub fn new(
        plan: Option<SnapshotPlan>,
        covered: Seq,
        counters: Arc<Counters>,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Snapshots {
        let (taking, has_work, begun) = (None, false, clock::instant());
        Snapshots { plan, taking, has_work, begun, covered, counters, wake: Arc::from(wake) }
    }

    /// Whether [`advance`](Snapshots::advance) has something to do at once.
    pub fn has_work(&self) -> bool {
        self.has_work
    }

    /// Hands out a slice, ends a snapshot that is whole, begins one that is due; `seq` is the last frame that the
    /// engine has seen.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn advance(&mut self, engine: &mut Engine, seq: Seq, journal: &mut dyn Journal) -> Result<(), JournalError> {
        if let Some(taking) = &mut self.taking {
            match taking.step(engine) {
                Progress::Working => self.has_work = true,
                Progress::Waiting => self.has_work = false,
                Progress::Over(outcome) => {
                    (self.taking, self.has_work) = (None, false);
                    self.close(outcome, journal)?;
                }
            }
            return Ok(());
        }
        let is_due = self.plan.as_ref().is_some_and(|plan| self.begun.elapsed() >= plan.interval);
        if is_due && seq > self.covered { self.begin(engine, seq, journal) } else { Ok(()) }
    }

    /// Ends the snapshot that is being taken, and takes one of what came after it.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn end(&mut self, engine: &mut Engine, seq: Seq, journal: &mut dyn Journal) -> Result<(), JournalError> {
        for _ in 0..2 {
            if let Some(taking) = self.taking.take() {
                let outcome = taking.end(engine);
                self.close(outcome, journal)?;
            }
            if seq > self.covered {
                self.begin(engine, seq, journal)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, engine: &mut Engine, seq: Seq, journal: &mut dyn Journal) -> Result<(), JournalError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        // The file that ends here goes as soon as no kept snapshot needs it.
        let rolled = journal.roll()?;
        (self.begun, self.covered) = (clock::instant(), seq);
        let covers = Covers { seq, fingerprint: plan.fingerprint, at: engine.now() };
        let wake = Arc::clone(&self.wake);
        let (behind, wake) = (Box::new(move || rolled.wait()), Box::new(move || wake()));
        match Taking::begin(engine, plan.shelf.directory(), covers, behind, wake) {
            Ok(taking) => {
                self.has_work = taking.is_some();
                self.taking = taking;
            }
            Err(error) => self.failed(&error),
        }
        Ok(())
    }

    fn close(
        &mut self,
        outcome: Result<Written, SnapshotError>,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let oldest = match outcome.and_then(|_| plan.shelf.keep(plan.kept)) {
            Ok(oldest) => oldest,
            Err(error) => {
                self.failed(&error);
                return Ok(());
            }
        };
        self.counters.count(Count::SnapshotsWritten);
        oldest.map_or(Ok(()), |oldest| journal.trim(oldest.next()))
    }

    fn failed(&self, error: &SnapshotError) {
        self.counters.count(Count::SnapshotsFailed);
        let cause = std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"));
        let told = format!(
            "no snapshot was taken: {error}{cause}; the service goes on, and its journal grows until one succeeds: \
             mend that"
        );
        self.plan.iter().for_each(|plan| (plan.tell)(&told));
    }
}

//! When the service takes snapshots, and what of the journal goes once there are some.

use std::sync::Arc;
use std::time::Instant;

use super::applier::chain;
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
    /// The last frame that a snapshot covers.
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
        self.finish(engine, journal)?;
        if seq > self.covered {
            self.begin(engine, seq, journal)?;
            self.finish(engine, journal)?;
        }
        Ok(())
    }

    /// Waits for the end of the snapshot that is being taken, if there is one.
    fn finish(&mut self, engine: &mut Engine, journal: &mut dyn Journal) -> Result<(), JournalError> {
        let Some(taking) = self.taking.take() else { return Ok(()) };
        self.has_work = false;
        let outcome = taking.end(engine);
        self.close(outcome, journal)
    }

    fn begin(&mut self, engine: &mut Engine, seq: Seq, journal: &mut dyn Journal) -> Result<(), JournalError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        // The file that ends here goes as soon as no kept snapshot needs it.
        let rolled = journal.roll()?;
        self.begun = clock::instant();
        let covers = Covers { seq, fingerprint: plan.fingerprint, at: engine.now() };
        let wake = Arc::clone(&self.wake);
        let (behind, wake) = (Box::new(move || rolled.wait()), Box::new(move || wake()));
        match Taking::begin(engine, plan.shelf.directory(), covers, behind, wake) {
            Ok(Some(taking)) => (self.taking, self.has_work) = (Some(taking), true),
            // Never seen: each that ends, however it does, lets go of the engine's image.
            Ok(None) => self.failed(&SnapshotError::Unended),
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
        let covers = match outcome {
            Ok(written) => written.covers,
            Err(error) => {
                self.failed(&error);
                return Ok(());
            }
        };
        self.covered = covers.seq;
        self.counters.count(Count::SnapshotsWritten);
        match plan.shelf.keep(plan.kept) {
            Ok(oldest) => oldest.map_or(Ok(()), |oldest| journal.trim(oldest.next())),
            Err(error) => {
                (plan.tell)(&format!(
                    "a snapshot was taken, but older ones stay: {}; they and the journal behind them take room until \
                     they can be deleted: mend that",
                    chain(&error)
                ));
                Ok(())
            }
        }
    }

    fn failed(&self, error: &SnapshotError) {
        self.counters.count(Count::SnapshotsFailed);
        let told = format!(
            "no snapshot was taken: {}; the service goes on, and its journal grows until one succeeds: mend that",
            chain(error)
        );
        self.plan.iter().for_each(|plan| (plan.tell)(&told));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::journal::MemoryJournal;
    use crate::snapshot::Shelf;

    /// Snapshots that are always due, and what they tell.
    fn bench(directory: &Path) -> (Snapshots, Arc<Mutex<Vec<String>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let plan = SnapshotPlan {
            shelf: Shelf::new(directory),
            fingerprint: [0; 8],
            interval: Duration::ZERO,
            kept: 1,
            tell: Arc::new(move |what: &str| heard.lock().unwrap().push(what.to_owned())),
        };
        (Snapshots::new(Some(plan), Seq(0), Arc::default(), Box::new(|| {})), told)
    }

    /// A journal whose first frames, so many, were read.
    fn journal(frames: usize) -> MemoryJournal {
        let mut journal = MemoryJournal::new();
        for _ in 0..frames {
            journal.append(vec![1]).unwrap();
            journal.wait();
            journal.next().unwrap().unwrap();
        }
        journal
    }

    fn counted(snapshots: &Snapshots, what: Count) -> u64 {
        snapshots.counters.lines().iter().find(|line| line.name == what.name()).unwrap().value
    }

    #[test]
    fn one_that_was_taken_counts_though_older_ones_cannot_be_deleted() {
        let place = tempfile::tempdir().unwrap();
        let (mut snapshots, told) = bench(place.path());
        // No file: it cannot be deleted as one.
        fs::create_dir(Shelf::new(place.path()).path(Seq(1))).unwrap();
        snapshots.end(&mut Engine::new(), Seq(3), &mut journal(3)).unwrap();
        assert!(Shelf::new(place.path()).path(Seq(3)).exists());
        let counts = [Count::SnapshotsWritten, Count::SnapshotsFailed].map(|what| counted(&snapshots, what));
        assert_eq!(counts, [1, 0]);
        let told = told.lock().unwrap();
        assert!(told.len() == 1 && told[0].contains("a snapshot was taken, but older ones stay"), "{told:?}");
        assert!(told[0].contains("01.inkling: deleting it failed: "), "{told:?}");
    }

    #[test]
    fn one_that_failed_is_tried_again_without_a_further_frame() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("gone");
        let (mut snapshots, told) = bench(&path);
        let (mut engine, mut journal) = (Engine::new(), journal(3));
        snapshots.end(&mut engine, Seq(3), &mut journal).unwrap();
        assert_eq!(counted(&snapshots, Count::SnapshotsFailed), 1);
        assert!(told.lock().unwrap()[0].contains("creating it failed: "), "{told:?}");
        fs::create_dir(&path).unwrap();
        snapshots.end(&mut engine, Seq(3), &mut journal).unwrap();
        assert_eq!(counted(&snapshots, Count::SnapshotsWritten), 1);
        assert!(Shelf::new(&path).path(Seq(3)).exists());
        // What is covered needs no other one.
        snapshots.end(&mut engine, Seq(3), &mut journal).unwrap();
        assert_eq!(counted(&snapshots, Count::SnapshotsWritten), 1);
    }

    #[test]
    fn one_that_cannot_begin_is_told() {
        let place = tempfile::tempdir().unwrap();
        let (mut snapshots, told) = bench(place.path());
        let mut engine = Engine::new();
        let covers = Covers { seq: Seq(1), fingerprint: [0; 8], at: engine.now() };
        let taking = Taking::begin(&mut engine, place.path(), covers, Box::new(|| true), Box::new(|| {}));
        let _unended = taking.unwrap().unwrap();
        snapshots.end(&mut engine, Seq(3), &mut journal(3)).unwrap();
        assert_eq!(counted(&snapshots, Count::SnapshotsFailed), 1);
        assert!(told.lock().unwrap()[0].contains("the one before it is not at its end"), "{told:?}");
    }
}

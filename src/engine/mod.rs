//! The engine: state as a fold over records, and scores that only read it.

mod catalog;
mod segments;

use std::sync::Arc;

pub use catalog::{AdvertiserEntry, Catalog, GoalEntry};

use crate::event::Record;
use crate::opportunity::ScoreRequest;
use crate::rejection::Rejection;
use crate::signal::Signals;
use crate::units::Timestamp;

/// The one writer of state.
#[derive(Debug, Default)]
pub struct Engine {}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// State has changed.
    Done,
    /// It was applied before; state is as it was.
    Duplicate,
    /// It was refused and counted; otherwise state is as it was.
    Rejected(Rejection),
}

/// A reader of the engine's state: cheap to clone, never blocks the writer for longer than a copy.
#[derive(Debug, Clone)]
pub struct Scorer {}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new() -> Engine {
        Engine::default()
    }

    /// Folds one record into the state: the only way it changes.
    ///
    /// # Panics
    /// When `record.at` is before the record that came before: the driver's clock must never go back.
    pub fn apply(&mut self, _record: &Record) -> Applied {
        Applied::Done
    }

    /// Lets scorers see all that was applied. Call it before acknowledging.
    pub fn publish(&mut self) {}

    /// A reader of this engine's state.
    pub fn scorer(&self) -> Scorer {
        Scorer {}
    }

    /// The engine's clock: `at` of the last record.
    pub fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    /// Hash of the whole state; equal for equal journals, on every machine.
    pub fn digest(&self) -> Digest {
        Digest(0)
    }
}

/// Hash of the whole state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub u128);

impl Scorer {
    /// Answers a bid request from the state as it is.
    pub fn score(&self, _at: Timestamp, _request: &ScoreRequest) -> Signals {
        Vec::new()
    }

    /// The settings in force and all names and codes.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::default()
    }
}

/// The tick that is due before a record at `at`, after a record at `previous`: at the last whole second in between.
pub fn tick_due(previous: Timestamp, at: Timestamp) -> Option<Timestamp> {
    let second = Timestamp(at.0 / 1_000 * 1_000);
    (second.0 / 1_000 > previous.0 / 1_000).then_some(second)
}

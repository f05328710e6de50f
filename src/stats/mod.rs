//! Counts that fade, distinct counts, and rates and lifts that are sure of themselves only as far as they may be.
//!
//! *Invariants.* Knows numbers, ticks and hashes of whom it counts; no goals, events or settings. Reading at a later
//! tick projects, and never changes.

pub mod beta;
pub mod decay;
pub mod hyperloglog;
pub mod lift;
pub mod normal;
pub mod quality;
pub mod repriced;
pub mod split;
pub mod tilt;

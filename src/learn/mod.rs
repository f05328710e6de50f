//! Online learners of a conversion probability.
//!
//! A learner is two handles on one table: the writer learns, the readers predict, and neither waits for the other.
//!
//! *Invariants.* Sees features as slots and values only; knows no users, goals, actions, times of day or money.
//! Predicting changes nothing. Learning is a fixed sequence of operations: same calls, same bits.

pub mod ftrl;
pub mod mixture;

/// Models that learn side by side from the same examples, mixed by how well each predicts. They share a table: the
/// weights of one feature stand in one cache line.
pub const HEADS: usize = 4;

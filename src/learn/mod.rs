//! Online learners of a conversion probability.
//!
//! A learner is two handles on one table: the writer learns, the readers predict, and neither waits for the other.
//!
//! *Invariants.* Sees features as slots and values only; knows no users, goals, actions, times of day or money.
//! Predicting changes nothing. Learning is a fixed sequence of operations: same calls, same bits.

pub mod ftrl;

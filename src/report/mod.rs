//! Reports for people, made of plain strings and numbers.
//!
//! *Invariants.* Knows no engine and no wire format. It gives text and others print it; only [`progress`] writes, to a
//! terminal's standard error.

pub mod axis;
pub mod chart;
pub mod page;
pub mod progress;
pub mod svg;
pub mod table;

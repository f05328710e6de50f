//! Reports for people, made of plain strings and numbers.
//!
//! *Invariants.* Knows no engine, no wire format and no terminal: it gives text, others print it.

pub mod table;

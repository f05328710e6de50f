//! Markets: made-up ones, of which the truth is known, and recorded ones, of which the prices are.
//!
//! *Invariants.* Same parameters and seed, same market. Knows no service: what it makes goes through the same engine as
//! what was recorded.

pub mod draws;
pub mod equal_spend;
pub mod landscape;
pub mod paired;
pub mod recorded;
pub mod stream;

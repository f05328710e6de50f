//! Made-up markets, of which the truth is known.
//!
//! *Invariants.* Same parameters and seed, same market. Knows no service: what it makes goes through the same engine as
//! what was recorded.

pub mod stream;

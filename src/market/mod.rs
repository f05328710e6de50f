//! Markets: made-up ones, of which the truth is known, and recorded ones, of which the prices are.
//!
//! *Invariants.* Same parameters and seed, same market. Knows no service: what it makes goes through the same engine as
//! what was recorded.

pub mod chain;
pub mod compare;
pub mod draws;
pub mod driven;
pub mod equal_spend;
pub mod filter;
pub mod landscape;
pub mod pacing;
pub mod paired;
pub mod policy;
pub mod prices;
pub mod recorded;
pub mod regret;
pub mod run;
pub mod scenario;
mod scenario_file;
pub mod shading;
pub mod shoppers;
pub mod stream;
pub mod truth;
pub mod tune;
pub mod world;

//! `inkling replay` and the driver behind it: the same probabilities as the service's, labels that do not leak, figures
//! that others would compute alike.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

#[path = "../harness/mod.rs"]
mod harness;
mod log;

mod against;
mod command;
mod leaks;
mod lockstep;
mod warnings;

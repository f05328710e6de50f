//! `inkling replay` and the driver behind it: the same probabilities as the service's, labels that do not leak, figures
//! that others would compute alike.

#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod harness;
mod log;

mod command;
mod leaks;
mod lockstep;

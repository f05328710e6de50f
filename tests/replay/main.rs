//! `inkling replay` and the driver behind it: the same probabilities as the service's, labels that do not leak, figures
//! that others would compute alike.

#[path = "../harness/mod.rs"]
mod harness;
mod log;

mod command;
mod leaks;
mod lockstep;

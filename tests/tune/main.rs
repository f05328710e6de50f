//! `inkling tune`, as a user runs it: what is planted is found, noise is not, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

mod chance;
mod command;
mod log;
mod planted;
mod report;

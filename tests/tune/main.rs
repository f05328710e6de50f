//! `inkling tune`, as a user runs it: what is planted is found, noise is not, and nothing is lost.

mod command;
mod planted;
mod report;

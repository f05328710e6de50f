//! `inkling simulate` and the market behind it: published figures to the unit, and what is said when
//! something is wrong.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

mod command;
mod golden;
mod made_up;

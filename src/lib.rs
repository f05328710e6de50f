//! Inkling: micro conversions in, bid multipliers with reasons out.
//!
//! State is a fold over one ordered journal: [`engine::Engine::apply`] is the only way it changes,
//! [`engine::Scorer::score`] only reads it. Time, chance and settings are arguments. The rooms stand on floors, and a
//! file imports from lower floors and its own folder only; `tests/tidy.rs` holds the table.

pub mod action;
pub mod cli;
pub mod config;
pub mod engine;
pub mod event;
pub mod exposure;
pub mod hash;
pub mod identity;
pub mod ids;
pub mod insight;
pub mod journal;
pub mod journey;
pub mod learn;
pub mod math;
pub mod opportunity;
pub mod pb;
pub mod record;
pub mod rejection;
pub mod server;
pub mod settings;
pub mod signal;
pub mod stats;
pub mod token;
pub mod units;

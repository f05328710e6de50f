//! Inkling: micro conversions in, bid multipliers with reasons out.

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

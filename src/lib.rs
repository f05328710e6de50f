//! Inkling: micro conversions in, bid multipliers with reasons out.
//!
//! State is a fold over one ordered journal: [`engine::Engine::apply`] is the only way it changes,
//! [`engine::Scorer::score`] only reads it. Time, chance and settings are arguments. The rooms stand on floors, and a
//! file imports from lower floors and its own folder only; `tests/tidy` holds the table.

// Floor 0: the vocabulary.
pub mod action;
pub mod event;
pub mod exposure;
pub mod hash;
pub mod ids;
pub mod opportunity;
pub mod rejection;
pub mod settings;
pub mod signal;
pub mod units;

// Floor 1: numbers that are the same on every machine, words for what people write, and work for several threads.
pub mod expression;
pub mod math;
pub mod parallel;
pub mod stats;
pub mod wording;

// Floor 2: learners, which see slots and values only.
pub mod learn;

// Floor 3: state and score.
pub mod engine;

// Floor 4: bytes, files, questions, and the first clock.
pub mod config;
pub mod insight;
pub mod journal;
pub mod journey;
pub mod record;
pub mod stopwatch;

// Floor 5: what comes in and goes out.
pub mod identity;
pub mod report;
pub mod snapshot;
pub mod token;

// Floor 6: recorded logs, and the journal on disk, through the same engine.
pub mod replay;
pub mod storage;

// Floor 7: drivers of the engine: made-up markets, and the service that answers the world.
pub mod market;
pub mod server;

// Floor 8: the command line.
pub mod cli;
pub mod demo;

// Apart: generated from proto/, known to the edges only.
pub mod pb;

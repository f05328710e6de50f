//! `inkling demo`: the main job, with nothing else installed.

use std::path::PathBuf;

use clap::Args;

use crate::demo::{self, Options};
use crate::units::Span;

/// Starts a service on free ports of this machine and plays shoppers and a bidder against it over gRPC
#[derive(Debug, Args)]
pub struct Demo {
    /// Play this journey log (NDJSON, plain, gzip or zstd) instead of made-up shoppers
    #[arg(long, value_name = "FILE")]
    journey: Option<PathBuf>,
    /// With --journey: how long after an impression a conversion counts
    #[arg(long, value_name = "SPAN", default_value = "1d", value_parser = Span::parse, requires = "journey")]
    window: Span,
    /// Keep the service running afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Keep the service's journal here, instead of in a temporary directory that is deleted at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Made-up shoppers
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    shoppers: u32,
    /// Days they are followed
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u64).range(1..=365))]
    days: u64,
    /// Seed of the shoppers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Demo {
    /// Plays and prints.
    ///
    /// # Errors
    /// When the log cannot be read, or the service fails.
    pub fn run(self) -> anyhow::Result<()> {
        demo::run(&Options {
            journey: self.journey,
            window: self.window,
            shoppers: self.shoppers as usize,
            days: self.days,
            seed: self.seed,
            keep: self.keep,
            data: self.data,
        })
    }
}

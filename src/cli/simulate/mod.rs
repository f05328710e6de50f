//! `inkling simulate`: bid policies against market prices, before money is spent.
//!
//! *Invariants.* Knows arguments, tables and JSON; every figure comes from [`crate::market`].

mod auctions;
mod journey;
mod market;
pub mod page;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{print, web, wrong_usage};
use crate::market::paired::{Gain, Verdict};
use crate::replay::Resamples;
use crate::report::table::percent;

/// Plays bid policies against market prices and says which one gets more for the same spend, with 95 % intervals
#[derive(Debug, Args)]
pub struct Simulate {
    /// A made-up market (TOML)
    #[arg(value_name = "SCENARIO", conflicts_with = "journey")]
    scenario: Option<PathBuf>,
    /// Settings of the engine [default: those that fit the scenario, or that the log tells]; of a scenario, the first
    /// goal of the first advertiser is bid for
    #[arg(long, value_name = "FILE", conflicts_with = "auctions")]
    config: Option<PathBuf>,
    #[command(flatten)]
    market: market::Market,
    #[command(flatten)]
    auctions: auctions::Auctions,
    #[command(flatten)]
    journey: journey::Journey,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Also write a report to this file: one HTML page with pictures, for a browser or on paper; one that is there is
    /// replaced
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Seed of all draws: those of policies and markets and the resamples
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Resamples that the intervals come from, 20 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    #[arg(conflicts_with = "scenario")]
    resamples: u32,
}

impl Simulate {
    /// Simulates and prints.
    ///
    /// # Errors
    /// When a file cannot be read, or nothing can be compared.
    pub fn run(self) -> anyhow::Result<()> {
        let resamples = Resamples { count: self.resamples, seed: self.seed };
        self.report.as_deref().map(web::check).transpose()?;
        let report = match (&self.scenario, &self.auctions.auctions, &self.journey.journey) {
            (None, Some(file), _) => self.auctions.run(file, resamples, self.report.is_some())?,
            (None, None, Some(log)) => {
                self.journey.run(log, self.config.as_deref(), resamples, self.report.is_some())?
            }
            (Some(scenario), ..) => {
                let landscape = self.journey.prices.landscape()?;
                let seeds = (self.seed, self.journey.seeds);
                self.market.run(scenario, self.config.as_deref(), seeds, landscape.as_ref(), self.report.is_some())?
            }
            (None, None, None) => wrong_usage(
                "simulate",
                "there is no market to simulate: give a SCENARIO, or --auctions FILE (recorded auctions), or --journey \
                 LOG with --landscape CSV (a recorded log at recorded prices)",
            ),
        };
        if let Some((file, page)) = self.report.as_deref().zip(report.page.as_deref()) {
            web::write(file, page)?;
        }
        let text = if self.json { format!("{:#}\n", report.json) } else { report.text };
        print(&text)?;
        Ok(())
    }
}

/// What is said to people, and the same to programs.
struct Report {
    text: String,
    json: Value,
    /// A page for a browser, where that was asked for.
    page: Option<String>,
}

/// Reads a correlation.
pub fn correlation(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (-1.0..=1.0).contains(number));
    number.ok_or_else(|| "a correlation lies between -1 and 1".to_owned())
}

/// A share from 0, exclusive, to 1.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "a share lies between 0, exclusive, and 1".to_owned())
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "a number above 0 is needed".to_owned())
}

/// The cells of a difference: itself, its interval, in per cent, and what can be said of it.
fn gain_cells(gain: Option<&Gain>) -> [String; 4] {
    let Some(gain) = gain else { return Default::default() };
    let signed = |number: f64, text: String| if number > 0.0 { format!("+{text}") } else { text };
    let range = |range: Option<(f64, f64)>, tell: &dyn Fn(f64) -> String| {
        range.map_or("–".to_owned(), |(low, high)| format!("{} … {}", tell(low), tell(high)))
    };
    let whole = |number: f64| signed(number, format!("{number:.1}"));
    let shares = |share: f64| signed(share, percent(share));
    let verdict = match gain.verdict() {
        Verdict::More => "more",
        Verdict::Fewer => "fewer",
        Verdict::Open => "no winner",
    };
    let share = if gain.share.is_finite() { shares(gain.share) } else { "–".to_owned() };
    [
        whole(gain.hits),
        range(gain.interval, &whole),
        format!("{share} ({})", range(gain.share_interval, &shares)),
        verdict.to_owned(),
    ]
}

fn gain_json(gain: Option<&Gain>) -> Value {
    gain.map_or(Value::Null, |gain| {
        json!({
            "hits": gain.hits,
            "interval": gain.interval,
            "share": gain.share,
            "share_interval": gain.share_interval,
            "detectable_share": gain.detectable,
            "verdict": match gain.verdict() {
                Verdict::More => "more",
                Verdict::Fewer => "fewer",
                Verdict::Open => "no_winner",
            },
        })
    })
}

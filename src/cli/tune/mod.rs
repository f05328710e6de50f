//! `inkling tune SCENARIO|LOG`: better segment weights and bid policy, with what they are sure to gain.
//!
//! *Invariants.* Knows arguments, files, tables and JSON; what is searched and what may be promised is decided in
//! [`crate::market::tune`]. The configuration that is tuned is changed only where it is also named as the output.

mod changes;
mod interrupt;
mod log;
mod made_up;
mod output;
mod page;
mod show;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::prices::Prices;
use super::replay::evaluate_from;
use super::simulate::{correlation, share};
use super::web;
use crate::config::Config;
use crate::market::tune::{Group, Kpi};
use crate::parallel::all_threads;
use crate::replay::EvaluateFrom;
use crate::report::page::Page;
use crate::settings::Settings;
use changes::Change;
use interrupt::Interrupt;
use output::Output;

/// Searches settings that bring more for the same spend, and says what they are sure to gain
///
/// Settings are chosen in some markets (seeds, or days of a log) and judged once in others. What cannot be told from
/// chance there is not written. Ctrl-C ends the search with the best so far, which is then judged; a second one ends
/// the program.
#[derive(Debug, Args)]
pub struct Tune {
    /// A made-up market (TOML), or a recorded journey log (NDJSON, plain, gzip or zstd) with --landscape
    #[arg(value_name = "SCENARIO|LOG")]
    market: PathBuf,
    /// The configuration to be tuned: its first advertiser's segments and first goal
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where the tuned configuration goes, if there is a gain. A file that is there is not replaced, unless it is the
    /// one that is tuned, under the same name
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What is to become more, at the same spend
    #[arg(long, value_enum, default_value_t = KpiName::Conversions)]
    kpi: KpiName,
    /// What is tuned, by comma [default: all]
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "segments_only")]
    only: Vec<GroupName>,
    /// Tune weights of external segments for a bidder that has nothing else: a flat bid times the weights, no learner
    #[arg(long)]
    segments_only: bool,
    /// First of the seeds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Markets that are searched in; of a log, draws of its prices [default: 12, of a log 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    seeds: Option<u32>,
    /// Markets after these, in which what was found is judged; of a log, draws of its prices [default: 20, of a log 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    held_out: Option<u32>,
    /// Most plays of the search, each one market under one candidate; a round that has begun is finished
    /// [default: 400, of a log 150]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    plays_max: Option<u32>,
    /// Gain that must be sure before settings are changed, as a share: the whole interval lies above it
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = gain_min)]
    gain_min: f64,
    /// Markets played at once; the results are the same for any number [default: as many as the machine can]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    #[command(flatten)]
    prices: Prices,
    /// Of a log: where the days that are searched in begin; what comes before only teaches. A date such as 2021-01-01,
    /// or a share of the time between the first and the last opportunity
    #[arg(long, value_name = "ISO|FRACTION", default_value = "0.3")]
    #[arg(value_parser = evaluate_from, requires = "landscape")]
    search_from: EvaluateFrom,
    /// Of a log: where these end, and the days begin in which what was found is judged
    #[arg(long, value_name = "ISO|FRACTION", default_value = "0.6")]
    #[arg(value_parser = evaluate_from, requires = "landscape")]
    held_out_from: EvaluateFrom,
    /// Of a log: share of the auctions that the flat bid wins, at least
    #[arg(long, value_name = "SHARE", default_value = "0.3", value_parser = share, requires = "landscape")]
    win_rate: f64,
    /// Of a log: how far prices go with value, −1 to 1, as in `simulate --journey`
    #[arg(long, value_name = "R", default_value = "0", value_parser = correlation, requires = "landscape")]
    #[arg(allow_negative_numbers = true)]
    correlation: f64,
    /// Of a log: resamples of users and prices that the interval comes from, 20 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    resamples: u32,
    /// Also write a report to this file: one HTML page with pictures; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

/// Names of what is to become more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KpiName {
    /// Conversions to be expected of what was bought
    Conversions,
    /// Their value
    Value,
    /// Conversions that there would not be without the ads
    Incremental,
}

/// Names of what is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GroupName {
    /// Weights of the segments
    Weights,
    /// The multiplier's exponent
    Exponent,
    /// The smallest and the largest multiplier
    Bounds,
    /// Half-lives of learner and goal
    HalfLives,
}

impl KpiName {
    fn kpi(self) -> Kpi {
        match self {
            KpiName::Conversions => Kpi::Conversions,
            KpiName::Value => Kpi::Value,
            KpiName::Incremental => Kpi::Incremental,
        }
    }

    fn words(self) -> &'static str {
        match self {
            KpiName::Conversions => "conversions",
            KpiName::Value => "value",
            KpiName::Incremental => "incremental conversions",
        }
    }
}

/// A share from 0 to 1.
fn gain_min(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share lies between 0 and 1".to_owned())
}

/// What is said to people and to programs, and what is to be written.
struct Told {
    text: String,
    json: Map<String, Value>,
    page: Page,
    /// The settings that were judged and what they change, where that is a gain.
    gain: Option<(Settings, Vec<Change>)>,
    /// How to go on from what was written, where the search ended early.
    onward: Option<String>,
}

impl Tune {
    /// Tunes, writes and prints.
    ///
    /// # Errors
    /// When a file cannot be read or written, or there is nothing to tune.
    pub fn run(self) -> anyhow::Result<()> {
        let output = Output::new(&self.config, &self.out, &self.market)?;
        let (config, text) = read(&self.config)?;
        self.report.as_deref().map(web::check).transpose()?;
        there(&self.market)?;
        let is_log = self.market.extension().is_none_or(|ending| ending != "toml");
        self.check(&config, is_log)?;
        let interrupt = Interrupt::wait();
        let mut told = match is_log {
            true => self.log(&config.settings, &interrupt.stop)?,
            false => self.made_up(&config.settings, &interrupt.stop)?,
        };
        let new = told.gain.as_ref().map(|(judged, changes)| changes::edited(&text, judged, changes)).transpose()?;
        if let Some(new) = &new {
            let mut written = interrupt.hold();
            output.write(&text, new)?;
            *written = Some(self.out.display().to_string());
        }
        let texts = new.as_deref().map(|new| (text.as_str(), new));
        if let Some(report) = &self.report {
            page::written(&mut told.page, texts);
            web::write(report, &told.page.html())?;
        }
        let said = show::with_outcome(&self, told, texts);
        super::print(&said).context("cannot write to standard output")
    }

    /// Refuses settings that the market cannot play.
    fn check(&self, config: &Config, is_log: bool) -> anyhow::Result<()> {
        let goal = config.settings.advertisers.first().and_then(|advertiser| advertiser.goals.first());
        let file = self.config.display();
        let goal = goal.with_context(|| format!("{file}: the first advertiser has no goal to bid for"))?;
        ensure!(
            is_log || goal.converting_action.is_some(),
            "{file}: goal '{}' has no converting_action: purchases of the market are actions, so name one, such as \
             converting_action = \"purchase\"",
            goal.id
        );
        Ok(())
    }

    fn groups(&self) -> Vec<Group> {
        let all = [GroupName::Weights, GroupName::Exponent, GroupName::Bounds, GroupName::HalfLives];
        let named = if self.only.is_empty() { &all[..] } else { &self.only };
        let group = |name: &GroupName| match name {
            GroupName::Weights => Group::Weights,
            GroupName::Exponent => Group::Exponent,
            GroupName::Bounds => Group::Bounds,
            GroupName::HalfLives => Group::HalfLives,
        };
        named.iter().map(group).collect()
    }

    fn threads(&self) -> usize {
        self.threads.map_or_else(all_threads, |threads| threads as usize)
    }
}

/// Refuses a market that is not there before anything is said of what goes with it.
fn there(market: &Path) -> anyhow::Result<()> {
    let file = market.display();
    let found = std::fs::metadata(market).with_context(|| format!("{file}: cannot be opened"))?;
    ensure!(!found.is_dir(), "{file}: is a directory: name a scenario (TOML) or a journey log");
    Ok(())
}

/// A configuration and its text.
fn read(file: &Path) -> anyhow::Result<(Config, String)> {
    Config::load(file)?;
    let text = std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let config = Config::parse(&file.display().to_string(), &text)?;
    Ok((config, text))
}

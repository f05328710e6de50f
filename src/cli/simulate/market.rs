//! `inkling simulate SCENARIO`: a made-up market, of which the truth is known.

use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::{Report, page};
use crate::config::Config;
use crate::market::compare::{Comparison, Contest, Estimate, Row, TUNING_SEEDS};
use crate::market::driven::{BaseBid, settings_of};
use crate::market::equal_spend::EQUAL;
use crate::market::landscape::Landscape;
use crate::market::policy::Policy;
use crate::market::regret::Regret;
use crate::market::run::Tally;
use crate::market::scenario::{Change, Changing, Scenario};
use crate::parallel::all_threads;
use crate::report::progress::Progress;
use crate::report::table::{Align, Table, count, percent};
use crate::settings::Settings;

/// Policies where none are named: all that are known, in the order of the table.
const POLICIES: [(&str, Policy); 13] = [
    ("flat", Policy::Flat),
    ("random", Policy::Random),
    ("segments", Policy::Segments),
    ("truthful", Policy::Truthful),
    ("linear", Policy::Linear),
    ("linear-paced", Policy::LinearPaced),
    ("dual", Policy::Dual),
    ("ortb", Policy::Ortb),
    ("inkling-flat", Policy::Inkling(BaseBid::Flat)),
    ("inkling-context", Policy::Inkling(BaseBid::Context)),
    ("inkling-base-p", Policy::Inkling(BaseBid::Stated)),
    ("filtering", Policy::Filtering),
    ("oracle", Policy::Oracle),
];

/// Arguments of made-up markets. That they do not go with another kind is said outright: what an option *requires* is
/// waived where that conflicts with something else that is given.
#[derive(Debug, Args)]
#[group(conflicts_with_all = ["auctions", "journey"])]
pub struct Market {
    /// Policies to compare, by comma, of flat, random, segments, truthful, linear, linear-paced, dual, ortb,
    /// inkling-flat, inkling-context, inkling-base-p, filtering, oracle [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = policy, requires = "scenario")]
    policies: Vec<Policy>,
    /// Markets played at once; the results are the same for any number [default: as many as the machine can]
    #[arg(long, value_name = "N", requires = "scenario")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
}

fn policy(name: &str) -> Result<Policy, String> {
    let found = POLICIES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy);
    let names = POLICIES.map(|(name, _)| name);
    found.ok_or_else(|| format!("no policy of that name: {}", crate::wording::instead(name, &names)))
}

impl Market {
    /// Plays the scenario in so many markets from this seed on, at these prices if any are given.
    ///
    /// # Errors
    /// When a file cannot be read or says what is not allowed.
    pub(super) fn run(
        &self,
        file: &Path,
        config: Option<&Path>,
        (seed, seeds): (u64, u32),
        landscape: Option<&Landscape>,
        with_page: bool,
    ) -> anyhow::Result<Report> {
        ensure!(seed < TUNING_SEEDS, "--seed must be below 2^40: from there on, levels are tuned");
        ensure!(seeds >= 2, "one market says nothing of chance: give --seeds 2 or more");
        let scenario = Scenario::load(file)?;
        let settings = settings(&scenario, config)?;
        let contest = Contest {
            scenario: &scenario,
            settings: &settings,
            landscape,
            seed,
            seeds,
            policies: match self.policies.is_empty() {
                true => POLICIES.iter().map(|(_, policy)| *policy).collect(),
                false => self.policies.clone(),
            },
            threads: self.threads.map_or_else(all_threads, |threads| threads as usize),
        };
        let progress = Mutex::new(None);
        let extra = if with_page { page::curve_runs(&contest) } else { 0 };
        let comparison = contest.play(&|done, of| {
            let mut progress = progress.lock().expect("whoever shows progress does not panic");
            progress.get_or_insert_with(|| Progress::new((of + extra) as u64)).show(done as u64);
        });
        let played = AtomicUsize::new(comparison.rows.len() * seeds as usize);
        let curves = with_page.then(|| {
            page::curves(&contest, &|| {
                let mut progress = progress.lock().expect("whoever shows progress does not panic");
                let done = played.fetch_add(1, Ordering::Relaxed) + 1;
                progress.iter_mut().for_each(|progress| progress.show(done as u64));
            })
        });
        if let Some(progress) = progress.into_inner().expect("whoever shows progress does not panic") {
            progress.done();
        }
        let words = Words { scenario: &scenario, comparison: &comparison, seed };
        let page = curves.map(|curves| page::page(&words, landscape, &curves));
        Ok(Report { text: words.text()?, json: words.json(), page })
    }
}

fn settings(scenario: &Scenario, config: Option<&Path>) -> anyhow::Result<Settings> {
    let Some(file) = config else { return Ok(settings_of(scenario)) };
    let settings = Config::load(file)?.settings;
    let goal = settings.advertisers.first().and_then(|advertiser| advertiser.goals.first());
    let goal = goal.with_context(|| format!("{}: the first advertiser has no goal to bid for", file.display()))?;
    ensure!(
        goal.converting_action.is_some(),
        "{}: goal '{}' has no converting_action: purchases of the market are actions, so name one, such as \
         converting_action = \"purchase\"",
        file.display(),
        goal.id
    );
    Ok(settings)
}

/// What is said of a market.
pub struct Words<'a> {
    pub scenario: &'a Scenario,
    pub comparison: &'a Comparison,
    seed: u64,
}

/// A share with its sign.
fn signed(share: f64) -> String {
    format!("{}{}", if share > 0.0 { "+" } else { "" }, percent(share))
}

fn range(estimate: &Estimate, tell: impl Fn(f64) -> String) -> String {
    format!("{} ({} … {})", tell(estimate.mean), tell(estimate.low), tell(estimate.high))
}

impl Words<'_> {
    /// Which seeds were played.
    pub fn seeds(&self) -> String {
        let last = self.seed.wrapping_add(u64::from(self.comparison.seeds) - 1);
        format!("seeds {} to {last}", self.seed)
    }

    /// How large the market is.
    pub fn counts(&self) -> String {
        let (scenario, comparison) = (self.scenario, self.comparison);
        let auctions = comparison.rows.first().map_or(0.0, |row| row.mean.auctions);
        format!(
            "{} people, {} auctions in {} days that count, after {} days of learning; means of {} markets",
            count(f64::from(scenario.shoppers)),
            count(auctions),
            scenario.days - scenario.warm_up_days,
            scenario.warm_up_days,
            comparison.seeds
        )
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "{}", self.seeds())?;
        if !self.scenario.question.is_empty() {
            writeln!(text, "{}", self.scenario.question)?;
        }
        writeln!(text, "{}\n", self.counts())?;
        writeln!(text, "{}", self.table())?;
        self.verdicts(&mut text)?;
        self.losses(&mut text)?;
        self.spend(&mut text)?;
        self.segments(&mut text)?;
        self.changes(&mut text)?;
        Ok(text)
    }

    pub fn table(&self) -> Table {
        let right = |name| (name, Align::Right);
        let mut table = Table::new(&[
            ("policy", Align::Left),
            right("won"),
            right("spent"),
            right("conversions"),
            right("expected"),
            right("incremental"),
            right("told ÷ came"),
            right("against its base bid (95 %)"),
        ]);
        for row in &self.comparison.rows {
            let mean = &row.mean;
            let against = match (&row.expected_gain, row.policy == row.policy.base(), row.policy) {
                (_, _, Policy::NoAds) => String::new(),
                (Some(gain), ..) => range(gain, signed),
                (None, true, _) => "is one".to_owned(),
                (None, false, _) => format!("spent {} of it", percent(row.spend_of_base)),
            };
            table.row([
                row.policy.name().to_owned(),
                percent(mean.wins / mean.auctions),
                format!("{:.2}", mean.spend),
                format!("{:.1}", mean.conversions),
                format!("{:.1}", mean.expected),
                row.incremental.as_ref().map_or(String::new(), |estimate| format!("{:.1}", estimate.mean)),
                mean.told_of_won.map_or(String::new(), |ratio| format!("{ratio:.2}")),
                against,
            ]);
        }
        table
    }

    /// What can be said of Inkling's policies: a winner only where the interval leaves no doubt.
    fn verdicts(&self, text: &mut String) -> std::fmt::Result {
        for row in self.comparison.rows.iter().filter(|row| matches!(row.policy, Policy::Inkling(_))) {
            let (name, base) = (row.policy.name(), row.policy.base().name());
            let Some(gain) = &row.expected_gain else {
                writeln!(
                    text,
                    "{name}: not compared, as its spend differs by more than {} from that of {base}",
                    percent(EQUAL)
                )?;
                continue;
            };
            let least = percent(gain.detectable);
            match gain.is_sure() {
                true => {
                    let more = if gain.mean > 0.0 { "more" } else { "fewer" };
                    let share = percent(gain.mean.abs());
                    write!(text, "{name}: {share} {more} conversions to be expected than {base} at the same spend")?;
                }
                false => write!(text, "{name}: no winner against {base} at the same spend")?,
            }
            writeln!(text, "; {least} would be found four times of five")?;
            if let Some(share) = &row.of_filter {
                writeln!(text, "  of what could be known of people it gains {}", range(share, percent))?;
            }
            if let Some(counted) = &row.gain {
                writeln!(text, "  conversions as they came: {}", range(counted, signed))?;
            }
        }
        Ok(())
    }

    fn losses(&self, text: &mut String) -> std::fmt::Result {
        let mut table = Table::new(&[
            ("lost against the filtering oracle", Align::Left),
            ("in all", Align::Right),
            ("overbid", Align::Right),
            ("underbid", Align::Right),
            ("level and pacing", Align::Right),
            ("calibration", Align::Right),
            ("order of people", Align::Right),
        ]);
        for (row, regret) in self.comparison.rows.iter().filter_map(|row| Some((row, row.regret?))) {
            let share = |part: f64| percent(part / regret.surplus);
            let Regret { overbid, underbid, allocation, calibration, estimation, .. } = regret;
            let parts = [overbid + underbid, overbid, underbid, allocation, calibration, estimation];
            table.row([row.policy.name().to_owned()].into_iter().chain(parts.map(share)));
        }
        match table.is_empty() {
            true => Ok(()),
            false => writeln!(text, "\nShares of the surplus that its bids would have gained:\n{table}"),
        }
    }

    /// What multipliers spend against none, in all and on the day of each jump of prices.
    fn spend(&self, text: &mut String) -> std::fmt::Result {
        let is_price = |change: &&Change| matches!(change.what, Changing::Prices(_));
        let jumps: Vec<&Change> = self.scenario.changes.iter().filter(is_price).collect();
        let mut head = vec![("spent ÷ at a multiplier of 1".to_owned(), Align::Left)];
        head.extend(
            ["all days".to_owned()]
                .into_iter()
                .chain(jumps.iter().map(|jump| change_words(jump)))
                .map(|name| (name, Align::Right)),
        );
        let head: Vec<(&str, Align)> = head.iter().map(|(name, align)| (name.as_str(), *align)).collect();
        let mut table = Table::new(&head);
        let ratio = |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.3}"));
        for row in self.comparison.rows.iter().filter(|row| row.mean.spend_of_one.is_some()) {
            let days = jumps.iter().map(|jump| ratio(row.days.get(jump.day as usize).and_then(Tally::spend_of_one)));
            table.row([row.policy.name().to_owned(), ratio(row.mean.spend_of_one)].into_iter().chain(days));
        }
        if table.is_empty() { Ok(()) } else { writeln!(text, "\n{table}") }
    }

    fn segments(&self, text: &mut String) -> std::fmt::Result {
        if self.scenario.segments.is_empty() {
            return Ok(());
        }
        let inkling = self.comparison.rows.iter().find(|row| matches!(row.policy, Policy::Inkling(_)));
        let flat = self.comparison.rows.iter().find(|row| row.policy == Policy::Flat);
        let Some((inkling, flat)) = inkling.zip(flat) else { return Ok(()) };
        let right = |name| (name, Align::Right);
        let mut table = Table::new(&[
            ("segment", Align::Left),
            right("expected a 1,000 shown, flat"),
            right(inkling.policy.name()),
            right("share of spend, flat"),
            right(inkling.policy.name()),
        ]);
        let rate = |tally: &Tally| format!("{:.2}", 1e3 * tally.expected / (tally.wins as f64).max(1.0));
        let spend = |row: &Row, tally: &Tally| {
            let all: f64 = row.days.iter().skip(self.scenario.warm_up_days as usize).map(Tally::spend).sum();
            percent(tally.spend() / all.max(1e-12))
        };
        for (place, segment) in self.scenario.segments.iter().enumerate() {
            let (one, other) = (&flat.segments[place], &inkling.segments[place]);
            table.row([segment.id.to_string(), rate(one), rate(other), spend(flat, one), spend(inkling, other)]);
        }
        writeln!(text, "\n{table}")
    }

    fn changes(&self, text: &mut String) -> std::fmt::Result {
        if self.scenario.changes.is_empty() {
            return Ok(());
        }
        let mut head = vec![("until as good as before", Align::Left)];
        let names: Vec<String> = self.scenario.changes.iter().map(change_words).collect();
        head.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
        let mut table = Table::new(&head);
        for row in self.comparison.rows.iter().filter(|row| matches!(row.policy, Policy::Inkling(_))) {
            let days = row.recovery.iter().map(|days| days.map_or("not seen".to_owned(), |days| format!("{days} d")));
            table.row([row.policy.name().to_owned()].into_iter().chain(days));
        }
        writeln!(text, "\n{table}")
    }

    fn json(&self) -> Value {
        json!({
            "scenario": self.scenario.question,
            "seed": self.seed,
            "seeds": self.comparison.seeds,
            "days": self.scenario.days,
            "warm_up_days": self.scenario.warm_up_days,
            "policies": self.comparison.rows.iter().map(|row| self.row_json(row)).collect::<Vec<_>>(),
        })
    }

    fn row_json(&self, row: &Row) -> Value {
        let key = POLICIES.iter().find(|(_, policy)| *policy == row.policy).map_or("no-ads", |(name, _)| name);
        let mean = &row.mean;
        let named = |names: Vec<String>, tallies: &[Tally]| -> Vec<Value> {
            names
                .into_iter()
                .zip(tallies)
                .map(|(name, tally)| json!({"name": name, "sums": tally_json(tally)}))
                .collect()
        };
        let campaigns = self.scenario.campaigns.iter().map(|campaign| campaign.name.to_string()).collect();
        let segments = self.scenario.segments.iter().map(|segment| segment.id.to_string()).collect();
        json!({
            "policy": key,
            "name": row.policy.name(),
            "auctions": mean.auctions,
            "won": mean.wins,
            "spend": mean.spend,
            "spend_of_flat": row.spend_of_flat,
            "spend_of_base": row.spend_of_base,
            "conversions": mean.conversions,
            "expected_conversions": mean.expected,
            "purchases": mean.purchases,
            "told_of_won": mean.told_of_won,
            "told_of_all": mean.told_of_all,
            "spend_of_multiplier_1": mean.spend_of_one,
            "level_cpm": mean.level / 1e6,
            "base": row.policy.base().name(),
            "gain": row.gain.map(estimate_json),
            "expected_gain": row.expected_gain.map(estimate_json),
            "winner_named": row.expected_gain.is_some_and(|gain| gain.is_sure()),
            "of_filtering_oracle": row.of_filter.map(estimate_json),
            "incremental": row.incremental.map(estimate_json),
            "regret": row.regret.map(regret_json),
            "recovery_days": row.recovery,
            "campaigns": named(campaigns, &row.campaigns),
            "segments": named(segments, &row.segments),
            "days": row.days.iter().map(tally_json).collect::<Vec<_>>(),
        })
    }
}

fn estimate_json(estimate: Estimate) -> Value {
    json!({
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "detectable": estimate.detectable,
    })
}

fn regret_json(regret: Regret) -> Value {
    json!({
        "overbid": regret.overbid,
        "underbid": regret.underbid,
        "allocation": regret.allocation,
        "calibration": regret.calibration,
        "estimation": regret.estimation,
        "surplus": regret.surplus,
    })
}

fn tally_json(tally: &Tally) -> Value {
    json!({
        "auctions": tally.auctions,
        "won": tally.wins,
        "withheld": tally.withheld,
        "spend": tally.spend(),
        "multiplied_spend": tally.multiplied_nanos as f64 / 1e9,
        "spend_at_multiplier_1": tally.nanos_at_one as f64 / 1e9,
        "conversions": tally.conversions,
        "expected_positives": tally.expected,
    })
}

/// A change on schedule.
pub fn change_words(change: &Change) -> String {
    let day = change.day;
    match change.what {
        Changing::Prices(by) => format!("day {day}: prices × {by}"),
        Changing::Level(by) => format!("day {day}: response {by:+}"),
        Changing::Outage(span) => format!("day {day}: no actions for {span}"),
        Changing::Bots { times, span } => format!("day {day}: bots × {times} for {span}"),
    }
}

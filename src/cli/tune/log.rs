//! Tuning on a recorded log at recorded prices.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, bail, ensure};
use serde_json::{Map, json};

use super::show::{self, Judged, Searched};
use super::{KpiName, Told, Tune, changes, page};
use crate::cli::replay::moment;
use crate::cli::simulate::page::won_by_bid;
use crate::market::recorded::{Halves, Market, Worth};
use crate::market::tune::{Ended, Log, Plan, Space, search};
use crate::replay::{EvaluateFrom, Resamples};
use crate::report::progress::Progress;
use crate::report::table::count;
use crate::settings::{Baseline, Settings};

/// Seeds of the prices in which is searched, and judged, where none are stated: users vary more than prices do.
const SEEDS: (u32, u32) = (2, 5);
/// Plays where none are stated: each plays the log several times, until it spends the same.
const PLAYS: u32 = 150;

impl Tune {
    /// Tunes on a log.
    ///
    /// # Errors
    /// When a file cannot be read, or nothing can be told.
    pub(super) fn log(&self, settings: &Settings, stop: &AtomicBool) -> anyhow::Result<Told> {
        ensure!(
            self.kpi != KpiName::Incremental,
            "--kpi incremental: a log does not say who would have converted without the ad. Hold people out at random \
             ([arms] holdout_share) and ask the service's incrementality, or tune in a made-up market, whose truth is \
             known; on a log, --kpi conversions or value"
        );
        ensure!(
            !self.segments_only,
            "--segments-only needs a made-up market: in a log, segments come with the learner"
        );
        let landscape = self.prices.landscape()?.with_context(|| {
            format!("{}: a log has no prices: give --landscape CSV (a scenario ends in .toml)", self.market.display())
        })?;
        let space = Space::new(settings, &self.groups());
        if space.knobs().is_empty() {
            bail!("{}: there is nothing to tune: it has no segments", self.config.display());
        }
        let halves = self.halves(settings)?;
        let worth = self.worth(&halves)?;
        let bid = landscape.least_winning(self.win_rate);
        let market = Market { landscape: &landscape, correlation: self.correlation, bid };
        let (seeds, judged_on) = (self.seeds.unwrap_or(SEEDS.0), self.held_out.unwrap_or(SEEDS.1));
        let searched = Log { recorded: &halves.searched, space: &space, market, seed: self.seed, seeds, worth };
        let (threads, plays_max) = (self.threads(), self.plays_max.unwrap_or(PLAYS) as usize);
        let progress = Mutex::new(Progress::at_most((plays_max + 2 * judged_on as usize) as u64));
        let show = |done: usize| progress.lock().expect("whoever shows progress does not panic").show(done as u64);
        let before = space.start();
        let found = search(&searched, &space, before.clone(), Plan { plays_max, threads }, stop, &show)?;
        let done = AtomicUsize::new(plays_max);
        let judged = match found.best == before {
            true => None,
            false => {
                let held_out = Log { recorded: &halves.held_out, seeds: judged_on, ..searched };
                let resamples = Resamples { count: self.resamples, seed: self.seed };
                let one_more = || show(done.fetch_add(1, Ordering::Relaxed) + 1);
                let verdict = held_out.judge(&before, &found.best, self.gain_min, resamples, threads, &one_more)?;
                Some(Judged { verdict, outcomes: Default::default() })
            }
        };
        progress.lock().expect("whoever shows progress does not panic").done();
        let changed = changes::changes(&space, settings, &before, &found.best);
        let of = Searched { space: &space, settings, found: &found, changed: &changed };
        let (from, cut) = (moment(halves.from.0), moment(halves.from.1));
        let lead = self.log_lead(settings, &halves, bid, (seeds, judged_on));
        let worlds = format!("days from {cut} on");
        let kpi = match worth {
            Worth::One => "impressions that convert",
            Worth::Value => "value of impressions that convert",
        };
        let last = show::verdict(&of, judged.as_ref(), kpi, &worlds);
        let text = format!("{}\n{}{last}", lead.join("\n"), show::search(&of));
        let mut json = Map::new();
        json.insert("log".to_owned(), json!(self.market));
        json.insert("kpi".to_owned(), json!(self.kpi.words()));
        json.insert("searched_on".to_owned(), json!({ "from": from, "to": cut, "seed": self.seed, "seeds": seeds }));
        json.insert("judged_on".to_owned(), json!({ "from": cut, "seed": self.seed, "seeds": judged_on }));
        show::into_json(&mut json, &of, judged.as_ref());
        let title = format!("Tuned on {}", self.market.display());
        let mut page = page::page(&title, &lead, &of, judged.as_ref(), show::last_line(&last));
        let prices = landscape.prices();
        let points = prices.iter().step_by(prices.len().div_ceil(60).max(1));
        page.add(won_by_bid(
            "bid per mille, in the landscape's unit",
            points.map(|price| (f64::from(*price), landscape.win_rate(*price))).collect(),
        ));
        let is_gain = judged.as_ref().is_some_and(|judged| judged.verdict.refused().is_none());
        let onward = (found.ended != Ended::Settled)
            .then(|| format!("on other days (--search-from, --held-out-from): --config {}", self.out.display()));
        Ok(Told { text, json, page, gain: is_gain.then(|| (space.settings(&found.best), changed)), onward })
    }

    /// The log, cut in two.
    fn halves(&self, settings: &Settings) -> anyhow::Result<Halves> {
        // Two of one kind can be compared before the log is read.
        let is_in_order = match (self.search_from, self.held_out_from) {
            (EvaluateFrom::Share(from), EvaluateFrom::Share(cut)) => from < cut,
            (EvaluateFrom::Moment(from), EvaluateFrom::Moment(cut)) => from < cut,
            _ => true,
        };
        let order = "--search-from must lie before --held-out-from";
        ensure!(is_in_order, order);
        let log = std::slice::from_ref(&self.market);
        let halves = Halves::open(log, settings, self.search_from, self.held_out_from)
            .with_context(|| self.market.display().to_string())?;
        ensure!(halves.from.0 < halves.from.1, order);
        Ok(halves)
    }

    /// What hits are counted by, where the log has enough of it in both parts.
    fn worth(&self, halves: &Halves) -> anyhow::Result<Worth> {
        let log = self.market.display();
        let worth = if self.kpi == KpiName::Value { Worth::Value } else { Worth::One };
        for (part, days) in [(&halves.searched, "searched"), (&halves.held_out, "judged")] {
            let (opportunities, converting, _) = part.evaluated();
            ensure!(
                converting > 0,
                "{log}: none of the {} opportunities in the days that are {days} converts: there is nothing to be made \
                 more. Move --search-from or --held-out-from, or mind the goal's name and windows",
                count(opportunities as f64)
            );
            ensure!(
                worth == Worth::One || part.valued() > 0,
                "{log}: none of the {} conversions in the days that are {days} states a value: --kpi conversions, or \
                 put \"value\" into the log's conversions",
                count(converting as f64)
            );
        }
        Ok(worth)
    }

    /// What was searched and judged, in sentences.
    fn log_lead(&self, settings: &Settings, halves: &Halves, bid: u32, (seeds, judged_on): (u32, u32)) -> Vec<String> {
        let (from, cut) = (moment(halves.from.0), moment(halves.from.1));
        let counts = |name: &str, (opportunities, converting, users): (usize, usize, usize)| {
            let [opportunities, converting, users] =
                [opportunities, converting, users].map(|number| count(number as f64));
            format!("{name}: {opportunities} opportunities of {users} users, {converting} convert")
        };
        let mut lead = vec![
            format!(
                "searched on days from {from} to {cut}, judged on days from then on; seed {}, {seeds} and {judged_on} \
                 seeds of prices",
                self.seed
            ),
            counts("searched", halves.searched.evaluated()),
            counts("judged", halves.held_out.evaluated()),
            format!("flat bid of {bid}, times the multiplier, at the flat bid's spend"),
        ];
        let stated = halves.searched.valued() + halves.held_out.valued();
        let converting = halves.searched.evaluated().1 + halves.held_out.evaluated().1;
        if self.kpi == KpiName::Value {
            let [stated, converting] = [stated, converting].map(|number| count(number as f64));
            lead.push(format!(
                "value of each one's first conversion; {stated} of {converting} state one, the rest count 0"
            ));
        }
        if settings.advertisers[0].goals[0].multiplier.baseline != Baseline::Goal {
            lead.push(
                "the base bid of a log is flat: tuned for baseline = \"goal\", which the configuration does not state"
                    .to_owned(),
            );
        }
        lead
    }
}

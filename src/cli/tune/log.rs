//! Tuning on a recorded log at recorded prices.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail, ensure};
use serde_json::{Map, json};

use super::show::{self, Judged, Searched};
use super::{KpiName, Told, Tune, changes, interrupt, page};
use crate::cli::replay::moment;
use crate::cli::simulate::page::won_by_bid;
use crate::market::recorded::{Halves, Market};
use crate::market::tune::{Log, Plan, Space, search};
use crate::replay::Resamples;
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
    pub(super) fn log(&self, settings: &Settings) -> anyhow::Result<Told> {
        ensure!(
            self.kpi == KpiName::Conversions,
            "a log counts impressions that convert: neither their value nor what there would be without them is in it"
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
        let halves = Halves::open(std::slice::from_ref(&self.market), settings, self.search_from, self.held_out_from)?;
        ensure!(halves.from.0 < halves.from.1, "--search-from must lie before --held-out-from");
        let bid = landscape.quantile(self.win_rate);
        let market = Market { landscape: &landscape, correlation: self.correlation, bid };
        let (seeds, judged_on) = (self.seeds.unwrap_or(SEEDS.0), self.held_out.unwrap_or(SEEDS.1));
        let searched = Log { recorded: &halves.searched, space: &space, market, seed: self.seed, seeds };
        let (stop, threads, plays_max) =
            (interrupt::stop_flag(), self.threads(), self.plays_max.unwrap_or(PLAYS) as usize);
        let progress = Mutex::new(Progress::new((plays_max + 2 * judged_on as usize) as u64));
        let show = |done: usize| progress.lock().expect("whoever shows progress does not panic").show(done as u64);
        let before = space.start();
        let found = search(&searched, &space, before.clone(), Plan { plays_max, threads }, &stop, &show)?;
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
        let last = show::verdict(&of, judged.as_ref(), "impressions that convert", &worlds);
        let text = format!("{}\n{}{last}", lead.join("\n"), show::search(&of));
        let mut json = Map::new();
        json.insert("log".to_owned(), json!(self.market));
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
        Ok(Told { text, json, page, gain: is_gain.then(|| (space.settings(&found.best), changed)) })
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
        if settings.advertisers[0].goals[0].multiplier.baseline != Baseline::Goal {
            lead.push(
                "the base bid of a log is flat: tuned for baseline = \"goal\", which the configuration does not state"
                    .to_owned(),
            );
        }
        lead
    }
}

//! Tuning in a made-up market.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{bail, ensure};
use serde_json::{Map, Value, json};

use super::show::{self, Judged, Searched};
use super::{Told, Tune, changes, page};
use crate::market::driven::BaseBid;
use crate::market::policy::Policy;
use crate::market::prices::Prices;
use crate::market::scenario::Scenario;
use crate::market::truth::Truth;
use crate::market::tune::{Audience, Audiences, Ended, Found, MadeUp, Plan, Space, search};
use crate::report::progress::Progress;
use crate::settings::{Baseline, Settings};

/// Seeds in which is searched, and judged, where none are stated.
const SEEDS: (u32, u32) = (12, 20);
/// Plays where none are stated.
const PLAYS: u32 = 400;

/// A search in a made-up market, and what came of it.
struct Tuned {
    space: Space,
    /// Of the scenario's segments, in the order of these; where weights alone are tuned.
    audiences: Audiences,
    found: Found,
    judged: Option<Judged>,
}

impl Tune {
    /// Tunes in a made-up market.
    ///
    /// # Errors
    /// When the scenario cannot be read, or there is nothing to tune.
    pub(super) fn made_up(&self, settings: &Settings, stop: &AtomicBool) -> anyhow::Result<Told> {
        let scenario = Scenario::load(&self.market)?;
        let landscape = self.prices.landscape()?;
        let (truth, prices) = (Truth::new(&scenario), Prices::new(&scenario, landscape.as_ref()));
        let places = externals(&scenario, settings);
        let space = match self.segments_only {
            true => Space::weights(settings, places.iter().copied().flatten().collect()),
            false => Space::new(settings, &self.groups()),
        };
        if space.knobs().is_empty() {
            bail!(
                "{}: there is nothing to tune: its first advertiser has none of the scenario's segments; an entry is \
                 [[advertiser.segment]] with external = \"provider/id\"",
                self.config.display()
            );
        }
        ensure!(self.seed < 1 << 40, "--seed must be below 2^40");
        let market = MadeUp {
            scenario: &scenario,
            truth: &truth,
            prices: &prices,
            space: &space,
            policy: self.policy(settings),
            kpi: self.kpi.kpi(),
            seed: self.seed,
            seeds: self.seeds.unwrap_or(SEEDS.0),
        };
        let tuned = self.tuned(&market, &places, stop)?;
        Ok(self.told(&market, settings, &places, tuned))
    }

    /// Who bids: the base bid is that which the goal's baseline is made for.
    fn policy(&self, settings: &Settings) -> Policy {
        match (self.segments_only, settings.advertisers[0].goals[0].multiplier.baseline) {
            (true, _) => Policy::Segments,
            (_, Baseline::Goal) => Policy::Inkling(BaseBid::Flat),
            (_, Baseline::Context) => Policy::Inkling(BaseBid::Context),
            (_, Baseline::Request) => Policy::Inkling(BaseBid::Stated),
        }
    }

    fn judged_on(&self) -> u32 {
        self.held_out.unwrap_or(SEEDS.1)
    }

    fn tuned(&self, market: &MadeUp<'_>, places: &[Option<usize>], stop: &AtomicBool) -> anyhow::Result<Tuned> {
        let threads = self.threads();
        let of_audiences = if self.segments_only { market.seeds as usize } else { 0 };
        let (all, held_out) = (self.plays_max.unwrap_or(PLAYS) as usize, 2 * self.judged_on() as usize);
        let progress = Mutex::new(Progress::at_most((of_audiences + all + held_out) as u64));
        let show = |done: usize| progress.lock().expect("whoever shows progress does not panic").show(done as u64);
        let done = AtomicUsize::new(0);
        let one_more = |from: usize| show(from + done.fetch_add(1, Ordering::Relaxed) + 1);
        let before = market.space.start();
        let (mut start, mut audiences) = (before.clone(), Audiences::default());
        if self.segments_only {
            audiences = market.audiences(threads, &|| one_more(0));
            let weights = audiences.weights(|segment| places[segment].is_some());
            start = market.space.knobs().iter().zip(weights).map(|(knob, weight)| knob.allowed(weight)).collect();
        }
        let plan = Plan { plays_max: all, threads };
        let Ok(found) = search(market, market.space, start, plan, stop, &|plays| show(of_audiences + plays));
        let judged = (found.best != before).then(|| {
            done.store(0, Ordering::Relaxed);
            let seed = self.seed + u64::from(market.seeds);
            let held_out = MadeUp { seed, seeds: self.judged_on(), ..*market };
            let judged = held_out.judge(&before, &found.best, self.gain_min, threads, &|| one_more(of_audiences + all));
            Judged { verdict: judged.0, outcomes: judged.1 }
        });
        progress.lock().expect("whoever shows progress does not panic").done();
        Ok(Tuned { space: market.space.clone(), audiences, found, judged })
    }

    fn told(&self, market: &MadeUp<'_>, settings: &Settings, places: &[Option<usize>], tuned: Tuned) -> Told {
        let Tuned { space, audiences, found, judged } = tuned;
        let before = space.start();
        let changed = changes::changes(&space, settings, &before, &found.best);
        let (seed, last) = (self.seed, self.seed + u64::from(market.seeds) - 1);
        let held_out = (last + 1, last + u64::from(self.judged_on()));
        let mut lead =
            vec![format!("searched on seeds {seed} to {last}, judged on seeds {} to {}", held_out.0, held_out.1)];
        let question = &market.scenario.question;
        lead.extend((!question.is_empty()).then(|| question.clone()));
        let policy = market.policy.name();
        lead.push(format!("policy: {policy}; {} at the spend of the scenario's budgets", self.kpi.words()));
        let rows = self.segment_rows(market, settings, places, &audiences, &found);
        let of = Searched { space: &space, settings, found: &found, changed: &changed };
        let worlds = format!("seeds {} to {}", held_out.0, held_out.1);
        let verdict = show::verdict(&of, judged.as_ref(), self.kpi.words(), &worlds);
        let text = format!("{}\n{}{}{verdict}", lead.join("\n"), show::segments(&rows), show::search(&of));
        let mut page = page::page("Tuned in a made-up market", &lead, &of, judged.as_ref(), show::last_line(&verdict));
        page::weights(&rows).into_iter().for_each(|part| page.add(part));
        if let Some(judged) = &judged {
            page::markets(&mut page, market.scenario, market.prices.landscape(), &judged.outcomes);
        }
        let is_gain = judged.as_ref().is_some_and(|judged| judged.verdict.refused().is_none());
        let mut json = Map::new();
        json.insert("scenario".to_owned(), json!(market.scenario.question));
        json.insert("policy".to_owned(), json!(market.policy.name()));
        json.insert("kpi".to_owned(), json!(self.kpi.words()));
        json.insert("searched_on".to_owned(), json!({ "seed": seed, "seeds": market.seeds }));
        json.insert("judged_on".to_owned(), json!({ "seed": held_out.0, "seeds": self.judged_on() }));
        json.insert("segments".to_owned(), rows.iter().map(show::Segment::json).collect::<Value>());
        show::into_json(&mut json, &of, judged.as_ref());
        let next = held_out.1 + 1;
        let onward = (found.ended != Ended::Settled)
            .then(|| format!("on seeds that are still unseen: --config {} --seed {next}", self.out.display()));
        Told { text, json, page, gain: is_gain.then(|| (space.settings(&found.best), changed)), onward }
    }

    /// What is said of each segment of the scenario, where weights alone are tuned.
    fn segment_rows(
        &self,
        market: &MadeUp<'_>,
        settings: &Settings,
        places: &[Option<usize>],
        audiences: &Audiences,
        found: &Found,
    ) -> Vec<show::Segment> {
        let knobs: Vec<usize> = places.iter().copied().flatten().collect();
        let row = |(number, audience): (usize, &Audience)| {
            let place = places[number];
            let knob = place.and_then(|place| knobs.iter().position(|knob| *knob == place));
            show::Segment {
                name: market.scenario.segments[number].id.to_string(),
                before: place.map(|place| settings.advertisers[0].externals[place].weight),
                estimate: audience.weight,
                after: knob.map(|knob| found.best[knob]),
                spend: audience.spend,
            }
        };
        audiences.all.iter().enumerate().map(row).collect()
    }
}

/// Of each segment of the scenario, its place among the configuration's external segments.
fn externals(scenario: &Scenario, settings: &Settings) -> Vec<Option<usize>> {
    let externals = &settings.advertisers[0].externals;
    scenario.segments.iter().map(|segment| externals.iter().position(|external| external.id == segment.id)).collect()
}

//! One policy through one market.

use std::collections::BTreeMap;

use super::draws::Draws;
use super::filter::Filter;
use super::pacing::{Pacer, Pacing};
use super::policy::{Player, Policy};
use super::prices::Prices;
use super::scenario::{Attribution, Scenario};
use super::shoppers::{MomentKind, Shoppers};
use super::truth::{Opportunity, Truth};
use super::world::{Happening, Next, World};
use crate::math;
use crate::settings::Settings;

const DAY_MS: u64 = 86_400_000;

/// All that the policies of one seed share.
pub struct Market<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its truths.
    pub truth: &'a Truth,
    /// Its prices.
    pub prices: &'a Prices<'a>,
    /// What the engine is set to.
    pub settings: &'a Settings,
    /// All chance.
    pub draws: Draws,
    /// The people of this seed.
    pub shoppers: Shoppers,
    /// Mean of the context's probability over the opportunities.
    pub mean_p: f64,
}

/// What counted of one policy in one market.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Over all campaigns.
    pub all: Tally,
    /// By day, the warm-up included.
    pub days: Vec<Tally>,
    /// By campaign.
    pub campaigns: Vec<Tally>,
    /// By external segment.
    pub segments: Vec<Tally>,
    /// By the external segments that the person is in, one bit each.
    pub mixes: BTreeMap<u16, Tally>,
    /// By the probability told, see [`told_band`]; of what was won.
    pub told: Vec<Tally>,
    /// Purchases of everybody, whether an ad was shown or not.
    pub purchases: u64,
    /// Every auction that counted, where that was asked for.
    pub auctions: Vec<Held>,
}

/// Sums over some auctions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Auctions.
    pub auctions: u64,
    /// Won.
    pub wins: u64,
    /// Ads that were responded to.
    pub clicks: u64,
    /// Not bid for because the person is held out, and else won.
    pub withheld: u64,
    /// Paid, in nanos of the currency.
    pub nanos: i64,
    /// Of that, where a multiplier counted.
    pub multiplied_nanos: i64,
    /// What those auctions would have cost at a multiplier of 1.
    pub nanos_at_one: i64,
    /// Purchases within the window of an ad, each counted for the latest ad.
    pub conversions: u64,
    /// Ads with a purchase within their window.
    pub positives: u64,
    /// Sum of the true probabilities of the ads shown: positives to be expected.
    pub expected: f64,
    /// The same, less the probabilities of a purchase without the ad.
    pub added: f64,
    /// Sum of the probabilities told for the ads shown.
    pub told: f64,
    /// Sum of the levels of the bids, in micros per mille for a worth of 1.
    pub levels: f64,
    /// Sum of the true probabilities of all auctions, and of those told.
    pub expected_of_all: f64,
    /// See there.
    pub told_of_all: f64,
}

/// One auction, for what was lost by bidding wrongly in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// The best other bid, in micros per mille.
    pub price: i64,
    /// Our bid, the same.
    pub bid: i64,
    /// Relative worth, without the level.
    pub worth: f32,
    /// What the filter knows.
    pub p: f32,
    /// Day of the market.
    pub day: u32,
    /// Whose auction, by number.
    pub campaign: u8,
}

impl Tally {
    /// Spend in units of the currency.
    pub fn spend(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// Spend ÷ what the same auctions would have cost at a multiplier of 1, where multipliers counted.
    pub fn spend_of_one(&self) -> Option<f64> {
        (self.nanos_at_one > 0).then(|| self.multiplied_nanos as f64 / self.nanos_at_one as f64)
    }

    /// Conversions to be expected of the ads shown: as many to each positive ad as came, of the positive ads that the
    /// true probabilities promise. Chance in who responds and buys is taken out, and what several ads to one person
    /// share counts once.
    pub fn expected_conversions(&self) -> f64 {
        if self.positives == 0 { 0.0 } else { self.expected * self.conversions as f64 / self.positives as f64 }
    }

    /// Mean level of the bids, in micros per mille for a worth of 1.
    pub fn level(&self) -> f64 {
        self.levels / self.auctions.max(1) as f64
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Tally) {
        self.auctions += other.auctions;
        self.wins += other.wins;
        self.clicks += other.clicks;
        self.withheld += other.withheld;
        self.nanos += other.nanos;
        self.multiplied_nanos += other.multiplied_nanos;
        self.nanos_at_one += other.nanos_at_one;
        self.conversions += other.conversions;
        self.positives += other.positives;
        self.expected += other.expected;
        self.added += other.added;
        self.told += other.told;
        self.levels += other.levels;
        self.expected_of_all += other.expected_of_all;
        self.told_of_all += other.told_of_all;
    }
}

/// Bands of told probabilities: four to each halving, from 1 down.
pub const TOLD_BANDS: usize = 64;

/// The band of a told probability.
pub fn told_band(p: f64) -> usize {
    ((-4.0 / std::f64::consts::LN_2 * math::ln(p.clamp(1e-12, 1.0))) as usize).min(TOLD_BANDS - 1)
}

/// An ad that was shown, until its label is known.
#[derive(Debug, Clone, Copy)]
struct Impression {
    at_ms: u64,
    /// The ad shown to the same person before.
    before: u32,
    campaign: u8,
    segments: u16,
    counts: bool,
    /// A purchase may count for it.
    can_convert: bool,
    is_positive: bool,
}

const NONE: u32 = u32::MAX;

impl<'a> Market<'a> {
    /// The market of one seed.
    pub fn new(
        scenario: &'a Scenario,
        truth: &'a Truth,
        prices: &'a Prices<'a>,
        settings: &'a Settings,
        seed: u64,
    ) -> Market<'a> {
        let draws = Draws(seed);
        let shoppers = Shoppers::new(scenario, draws);
        let asked = shoppers.moments.iter().filter(|moment| moment.kind == MomentKind::Opportunity);
        let (mut sum, mut count) = (0.0, 0u32);
        // The mean is a scale only: some thousand opportunities tell it well enough.
        for moment in asked.step_by(1 + shoppers.moments.len() / 20_000) {
            let opportunity = truth.opportunity(scenario, draws, *moment, &shoppers.people[moment.person as usize]);
            sum += truth.p_of_context(&opportunity);
            count += 1;
        }
        let mean_p = (sum / f64::from(count.max(1))).max(1e-12);
        Market { scenario, truth, prices, settings, draws, shoppers, mean_p }
    }

    /// Opportunities of a campaign a day, in the mean.
    fn auctions_a_day(&self, campaign: usize) -> f64 {
        let shares: f64 = self.scenario.campaigns.iter().map(|campaign| campaign.share).sum();
        let share = self.scenario.campaigns[campaign].share / shares;
        f64::from(self.scenario.shoppers) * self.scenario.activity.ads * share
    }

    /// Plays a policy. `tuned` is the level of policies that are not paced; `keeps` keeps all auctions.
    pub fn play(&self, policy: Policy, tuned: f64, keeps: bool) -> Outcome {
        let world = World::new(self.scenario, self.truth, &self.shoppers, self.draws);
        let people = self.shoppers.people.len();
        let player = Player::new(policy, &world, people, self.settings, self.mean_p);
        let pacing = policy.pacing(self.scenario.value, self.prices.median(), self.mean_p, tuned);
        let pacers = (0..self.scenario.campaigns.len()).map(|campaign| self.pacer(campaign, pacing)).collect();
        let days = (self.scenario.days + 1) as usize;
        let outcome = Outcome {
            days: vec![Tally::default(); days],
            campaigns: vec![Tally::default(); self.scenario.campaigns.len()],
            told: vec![Tally::default(); TOLD_BANDS],
            ..Outcome::default()
        };
        Run {
            shadow: keeps.then(|| Filter::new(&world, people)),
            market: self,
            world,
            player,
            pacers,
            is_warm: self.scenario.warm_up_days == 0,
            latest: vec![NONE; people],
            impressions: Vec::new(),
            median: self.prices.median(),
            outcome,
        }
        .play()
    }

    fn pacer(&self, campaign: usize, pacing: Pacing) -> Pacer {
        let warm_up = self.scenario.warm_up_days;
        let days = if warm_up == 0 { self.scenario.days } else { warm_up };
        let end_ms = u64::from(days) * DAY_MS;
        let auctions = self.auctions_a_day(campaign) * f64::from(days);
        Pacer::new(self.prices.median(), pacing, self.budget(campaign, days), end_ms, auctions)
    }

    fn budget(&self, campaign: usize, days: u32) -> i64 {
        self.scenario.campaigns[campaign].budget_per_day.0 * i64::from(days) * 1_000
    }
}

/// A policy on its way through a market.
struct Run<'m, 'a> {
    market: &'m Market<'a>,
    world: World<'m>,
    player: Player,
    pacers: Vec<Pacer>,
    is_warm: bool,
    shadow: Option<Filter>,
    /// By person: the ad shown last, as a place in `impressions`.
    latest: Vec<u32>,
    impressions: Vec<Impression>,
    median: f64,
    outcome: Outcome,
}

impl Run<'_, '_> {
    fn play(mut self) -> Outcome {
        let ends = self.market.scenario.end_ms();
        while let Some(next) = self.world.advance() {
            match next {
                Next::Asked(opportunity) => self.bid(&opportunity),
                Next::Happened(now, happening) => {
                    if let Happening::Purchase { person, .. } = happening {
                        self.purchase(now, person);
                    }
                    if now < ends {
                        self.player.happened(&self.world, now, &happening);
                        if let Some(shadow) = &mut self.shadow {
                            shadow.happened(&self.world, now, &happening);
                        }
                    }
                }
            }
        }
        let outcome = &mut self.outcome;
        outcome.segments = vec![Tally::default(); self.market.scenario.segments.len()];
        for (mix, tally) in &outcome.mixes {
            let members = outcome.segments.iter_mut().enumerate().filter(|(place, _)| mix >> place & 1 == 1);
            members.for_each(|(_, segment)| segment.add(tally));
        }
        self.outcome
    }

    /// The warm-up ends: budgets are those of the days that count.
    fn warm(&mut self, now: u64) {
        let scenario = self.market.scenario;
        if self.is_warm || now < scenario.counted_from_ms() {
            return;
        }
        self.is_warm = true;
        let days = scenario.days - scenario.warm_up_days;
        for (campaign, pacer) in self.pacers.iter_mut().enumerate() {
            let auctions = self.market.auctions_a_day(campaign) * f64::from(days);
            pacer.renew(self.market.budget(campaign, days), scenario.end_ms(), auctions);
        }
    }

    fn bid(&mut self, opportunity: &Opportunity) {
        self.warm(opportunity.at_ms);
        let market = self.market;
        let p = self.world.p(opportunity);
        let worth = self.player.worth(&self.world, opportunity, market.mean_p);
        let told = worth.told;
        let pacer = &mut self.pacers[usize::from(opportunity.campaign)];
        let (level, left) = (pacer.level(opportunity.at_ms), pacer.left());
        let (day, prices, median) = ((opportunity.at_ms / DAY_MS) as u32, market.prices, self.median);
        let price = prices.at(self.world.price_score(opportunity), opportunity.at_ms);
        let hold = |worth: f64| {
            let bid = self.player.bid(worth, level, median, |worth| prices.bid(worth, day)).min(left);
            (bid, prices.paid(bid, price))
        };
        let (bid, nanos) = hold(worth.bid);
        let at_one = worth.at_one.map(|worth| hold(worth).1.unwrap_or(0));
        let is_withheld = worth.withheld.is_some_and(|worth| hold(worth).1.is_some());
        pacer.paid(nanos.unwrap_or(0));
        if is_withheld {
            self.player.withheld(opportunity);
        }
        if let Some(shadow) = self.shadow.as_mut().filter(|_| self.is_warm) {
            let p = shadow.p(&self.world, opportunity) as f32;
            let campaign = opportunity.campaign;
            self.outcome.auctions.push(Held { price, bid, worth: worth.bid as f32, p, day, campaign });
        }
        let mut tally = Tally {
            auctions: 1,
            withheld: u64::from(is_withheld),
            multiplied_nanos: at_one.and(nanos).unwrap_or(0),
            nanos_at_one: at_one.unwrap_or(0),
            levels: level,
            expected_of_all: p,
            told_of_all: told.unwrap_or(0.0),
            ..Tally::default()
        };
        if let Some(nanos) = nanos {
            (tally.wins, tally.nanos, tally.expected) = (1, nanos, p);
            tally.added = p - self.world.p_without(opportunity);
            tally.told = told.unwrap_or(0.0);
            tally.clicks = u64::from(self.show(opportunity, bid, nanos));
        }
        if let Some(told) = told.filter(|_| self.is_warm && nanos.is_some()) {
            self.outcome.told[told_band(told)].add(&tally);
        }
        self.count(opportunity.at_ms, (opportunity.campaign, opportunity.segments), &tally);
    }

    /// The ad is shown; whether it is responded to.
    fn show(&mut self, opportunity: &Opportunity, bid: i64, nanos: i64) -> bool {
        let shown = self.world.show(opportunity);
        self.player.shown(&self.world, opportunity, shown, (bid, nanos));
        if let Some(shadow) = &mut self.shadow {
            shadow.shown(&self.world, opportunity, shown.responds);
        }
        let latest = &mut self.latest[opportunity.person as usize];
        self.impressions.push(Impression {
            at_ms: opportunity.at_ms,
            before: *latest,
            campaign: opportunity.campaign,
            segments: opportunity.segments,
            counts: self.is_warm,
            can_convert: shown.responds || self.market.scenario.attribution == Attribution::View,
            is_positive: false,
        });
        *latest = (self.impressions.len() - 1) as u32;
        shown.responds
    }

    /// Someone buys: the latest ad within the window has the conversion, all within it are positive.
    fn purchase(&mut self, now: u64, person: u32) {
        let (window, scenario) = (self.market.scenario.window.0, self.market.scenario);
        if (scenario.counted_from_ms()..=scenario.end_ms() + window).contains(&now) {
            self.outcome.purchases += 1;
        }
        let mut place = self.latest[person as usize];
        let mut is_latest = true;
        while place != NONE {
            let number = place as usize;
            let impression = self.impressions[number];
            if now - impression.at_ms > window {
                break;
            }
            place = impression.before;
            if !impression.can_convert {
                continue;
            }
            self.impressions[number].is_positive = true;
            let tally = Tally {
                conversions: u64::from(is_latest),
                positives: u64::from(!impression.is_positive),
                ..Tally::default()
            };
            if impression.counts {
                self.count(impression.at_ms, (impression.campaign, impression.segments), &tally);
            }
            is_latest = false;
        }
    }

    fn count(&mut self, at_ms: u64, (campaign, segments): (u8, u16), tally: &Tally) {
        let outcome = &mut self.outcome;
        outcome.days[(at_ms / DAY_MS) as usize].add(tally);
        if at_ms < self.market.scenario.counted_from_ms() {
            return;
        }
        outcome.all.add(tally);
        outcome.campaigns[usize::from(campaign)].add(tally);
        outcome.mixes.entry(segments).or_default().add(tally);
    }
}

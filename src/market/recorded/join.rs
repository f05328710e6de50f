//! A recorded journey log at recorded prices: what a flat bid wins, and what Inkling's multiplier on it wins for the
//! same spend.
//!
//! The log says what people did and what each opportunity led to, but has no prices; the landscape has prices but no
//! people. Each opportunity gets a price from the landscape by a draw of its own, the same for all policies. Second
//! price: a bid that is at least the price wins and pays it.
//!
//! Inkling goes through the same engine as production and learns only from what it won: what is lost has no
//! impression, and a conversion that names a lost opportunity does not happen. Conversions that name a user only happen
//! either way. *Hits* are won impressions that convert within their window.
//!
//! Prices may go with value: competitors know something too. `correlation` is that of a Gaussian copula between an
//! opportunity's price and its probability as predicted by a replay of the whole log, in which all is shown: what a
//! competitor with the same knowledge would bid by. Its label would be too much: nobody bids by the future.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use thiserror::Error;

use super::lines::{LINES_MAX, read_lines};
use crate::hash::{self, KeyHasher};
use crate::ids::Id;
use crate::journey::{Discovery, DiscoveryError, JourneyError, Line};
use crate::market::draws::{Draws, Purpose};
use crate::market::equal_spend::{EQUAL, Found};
use crate::market::landscape::Landscape;
use crate::math;
use crate::replay::{EvaluateFrom, Outcome, Played as Replayed, Player, ReplayError, evaluated};
use crate::settings::{Baseline, Settings};
use crate::signal::NEUTRAL;
use crate::stats::normal;
use crate::units::Micros;

/// Plays of the log to find the scale of equal spend, at most.
const PLAYS_MAX: usize = 24;
/// A search ends once the spend is so near; after some plays, once it is equal.
const AIM: f64 = 0.002;
const PLAYS_OF_AIM: usize = 4;

/// Why a log cannot be played at prices.
#[derive(Debug, Error)]
pub enum JoinError {
    /// It cannot be read, or has a bad line: figures of half a log would be believed.
    #[error(transparent)]
    Journey(#[from] JourneyError),
    /// It names more than one engine can hold.
    #[error(transparent)]
    TooMuch(#[from] DiscoveryError),
    /// It has more lines than are kept.
    #[error("the log has more than {LINES_MAX} lines: split it")]
    TooLong,
    /// The engine does not take it.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// It holds no opportunities.
    #[error("the log holds no opportunities: there is nothing to bid for")]
    NoOpportunities,
    /// The engine refused all of them; the reason of most.
    #[error("no opportunity of the log could be scored: {0}")]
    NothingScored(String),
    /// None has an impression.
    #[error("no opportunity of the log has an impression: without one, it is not known what showing the ad led to")]
    NothingShown,
    /// No opportunity was shown and evaluated.
    #[error(
        "no opportunity that was shown and whose window has closed lies in the evaluated part: choose an earlier start \
         or a shorter window"
    )]
    NothingEvaluated,
    /// None that is evaluated converts.
    #[error(
        "none of the {0} opportunities that are evaluated converts: is the window long enough, and do conversions name \
         users, goals and opportunities as the log does?"
    )]
    NothingConverts(usize),
    /// The same of the days that are searched, or judged.
    #[error(
        "no opportunity of the configuration's advertiser that was shown and whose window has closed lies in the days \
         that are {0}: move --search-from or --held-out-from, or shorten the goal's windows"
    )]
    NothingInPart(&'static str),
    /// The flat bid wins nothing that is evaluated.
    #[error("the flat bid spends nothing in the evaluated part: raise it")]
    NothingSpent,
}

/// A log whose outcomes are known.
pub struct Recorded {
    pub(super) settings: Settings,
    /// With their numbers in the log.
    lines: Vec<(u64, Line)>,
    /// Opportunities that were shown, in the order of the log.
    pub(super) shown: Vec<Shown>,
    /// Place in `shown` by the number of the line.
    by_line: HashMap<u64, usize, KeyHasher>,
    /// Users with evaluated opportunities.
    pub(super) users: usize,
    /// Lines that the engine refused, by its reason.
    refused: BTreeMap<String, u64>,
}

/// An opportunity of which it is known what showing it led to.
pub(super) struct Shown {
    /// Hash of its name.
    name: u64,
    pub(super) converts: bool,
    /// What the log says that its first conversion was worth.
    pub(super) value: Option<Micros>,
    /// The user's number among those that are evaluated, where it is.
    pub(super) evaluated: Option<usize>,
    /// The multiplier of an engine that saw all outcomes before; 0 where it would not bid.
    pub(super) taught: f64,
    /// Share of the opportunities with a lower predicted probability.
    rank: f64,
}

/// How the market is made of the landscape, and what is bid.
#[derive(Debug, Clone, Copy)]
pub struct Market<'a> {
    /// Where prices come from.
    pub landscape: &'a Landscape,
    /// The copula's parameter, −1 to 1; 0 for prices that know nothing of value.
    pub correlation: f64,
    /// The flat bid, in the landscape's unit per mille.
    pub bid: u32,
}

/// What one play of the log through the engine brought: by shown opportunity, the multiplier and the probability.
pub(super) struct Played {
    multipliers: Vec<f64>,
    pub(super) probabilities: Vec<f64>,
}

impl Recorded {
    /// Reads a log and finds out what became of its opportunities by a replay in which all is shown, under settings
    /// that may be made of what the log names. The base bid is flat, so all multipliers have the goal's own rate as
    /// baseline; nobody is in a control arm.
    ///
    /// # Errors
    /// When the log cannot be read whole, or nothing of it is evaluated.
    pub fn open(
        paths: &[PathBuf],
        settings: impl FnOnce(&Discovery) -> Settings,
        from: EvaluateFrom,
    ) -> Result<Recorded, JoinError> {
        let (lines, discovery) = read_lines(paths)?;
        let recorded = Recorded::of(lines, flat(settings(&discovery)), from)?;
        match recorded.evaluated() {
            (opportunities, 0, _) => Err(JoinError::NothingConverts(opportunities)),
            _ => Ok(recorded),
        }
    }

    pub(super) fn of(lines: Vec<(u64, Line)>, settings: Settings, from: EvaluateFrom) -> Result<Recorded, JoinError> {
        let mut player = Player::new(settings.clone(), None)?.bid_at_one();
        let mut names: HashMap<u64, u64, KeyHasher> = HashMap::default();
        for (number, line) in &lines {
            if let Line::Opportunity(opportunity) = line {
                names.insert(*number, hash::text(opportunity.id.as_str()));
            }
            player.play(*number, line.clone())?;
        }
        let played = player.finish();
        let evaluated: BTreeSet<u64> = evaluated(&played, from).map(|prediction| prediction.line).collect();
        let mut users: BTreeMap<u32, usize> = BTreeMap::new();
        let (mut shown, mut by_line, mut values) = (Vec::new(), HashMap::default(), Vec::new());
        for prediction in &played.predictions {
            let (Outcome::Shown { converted_at, value, .. }, Some(name)) =
                (prediction.outcome, names.get(&prediction.line))
            else {
                continue;
            };
            let next = users.len();
            let user = evaluated.contains(&prediction.line).then(|| *users.entry(prediction.user).or_insert(next));
            by_line.insert(prediction.line, shown.len());
            values.push(prediction.p);
            let taught = prediction.multiplier;
            let converts = converted_at.is_some();
            shown.push(Shown { name: *name, converts, value, evaluated: user, taught, rank: 0.0 });
        }
        ranks(&values).into_iter().zip(&mut shown).for_each(|(rank, shown)| shown.rank = rank);
        if users.is_empty() {
            return Err(why_nothing(&played, shown.is_empty()));
        }
        Ok(Recorded { settings, lines, shown, by_line, users: users.len(), refused: played.lines.refused })
    }

    /// Lines of the log that the engine refused, by its reason: they are in no figure.
    pub fn refused(&self) -> &BTreeMap<String, u64> {
        &self.refused
    }

    /// Opportunities that are evaluated, those of them that convert, and users they belong to.
    pub fn evaluated(&self) -> (usize, usize, usize) {
        let evaluated = || self.shown.iter().filter(|shown| shown.evaluated.is_some());
        (evaluated().count(), evaluated().filter(|shown| shown.converts).count(), self.users)
    }

    /// Opportunities that teach: those that are not evaluated.
    pub fn learned_from(&self) -> usize {
        self.shown.len() - self.evaluated().0
    }

    /// Searches for the scale at which Inkling spends as much: what its multipliers of one play would have spent at
    /// another scale says which to play next. With another scale it wins, and so learns, something else: hence again.
    /// After some plays less and less of the way is gone, so that it cannot swing between two scales for ever.
    pub(super) fn scaled(
        &self,
        settings: &Settings,
        market: Market<'_>,
        prices: &[u32],
        target: f64,
    ) -> Result<(Found<Played>, Won), JoinError> {
        let bid = f64::from(market.bid);
        let (mut scale, mut best) = (1.0, None::<(Found<Played>, Won)>);
        for number in 1..=PLAYS_MAX {
            let (played, won) = self.play(settings, market.landscape, prices, bid * scale)?;
            let ratio = self.spend(&won, prices) / target;
            let next = self.scale_of(prices, bid, &played.multipliers, target);
            let distance = (ratio - 1.0).abs();
            if best.as_ref().is_none_or(|(best, _)| distance < (best.ratio - 1.0).abs()) {
                best = Some((Found { scale, outcome: played, ratio }, won));
            }
            if distance <= if number < PLAYS_OF_AIM { AIM } else { EQUAL } {
                break;
            }
            let step = 1.0 / (number + 1).saturating_sub(PLAYS_OF_AIM).max(1) as f64;
            scale = math::exp((1.0 - step) * math::ln(scale) + step * math::ln(next));
        }
        Ok(best.expect("there is at least one play"))
    }

    /// Plays the log: each opportunity is scored, `bid` times its multiplier is bid, and only what that wins is shown.
    fn play(
        &self,
        settings: &Settings,
        landscape: &Landscape,
        prices: &[u32],
        bid: f64,
    ) -> Result<(Played, Won), JoinError> {
        let mut player = Player::new(settings.clone(), None)?;
        let mut won = Won(vec![false; self.shown.len()]);
        let mut of_played = Played { multipliers: vec![NEUTRAL; won.0.len()], probabilities: vec![0.0; won.0.len()] };
        let mut costs: HashMap<u64, u32, KeyHasher> = HashMap::default();
        for (number, line) in &self.lines {
            match line {
                Line::Opportunity(_) => {
                    let Some(place) = self.by_line.get(number) else { continue };
                    let before = player.predictions().len();
                    player.play(*number, line.clone())?;
                    let Some(prediction) = player.predictions().get(before) else { continue };
                    of_played.multipliers[*place] = prediction.multiplier;
                    of_played.probabilities[*place] = prediction.p;
                    won.0[*place] = wins(bid * prediction.multiplier, prices[*place]);
                    if won.0[*place] {
                        costs.insert(self.shown[*place].name, prices[*place]);
                    } else {
                        costs.remove(&self.shown[*place].name);
                    }
                }
                Line::Impression(impression) => {
                    if let Some(price) = costs.get(&hash::text(impression.id.as_str())) {
                        let mut impression = impression.clone();
                        impression.cost = Some(landscape.cost_micros(*price));
                        player.play(*number, Line::Impression(impression))?;
                    }
                }
                Line::Conversion(conversion) => {
                    let is_lost = |id: &Id| !costs.contains_key(&hash::text(id.as_str()));
                    if !conversion.id.as_ref().is_some_and(is_lost) {
                        player.play(*number, line.clone())?;
                    }
                }
                Line::Action(_) => player.play(*number, line.clone())?,
            }
        }
        Ok((of_played, won))
    }

    /// The scale at which a flat bid times these multipliers spends the target in the evaluated part, or comes nearest.
    pub(super) fn scale_of(&self, prices: &[u32], bid: f64, multipliers: &[f64], target: f64) -> f64 {
        let is_bid_for = |place: &usize| self.shown[*place].evaluated.is_some() && multipliers[*place] > 0.0;
        let evaluated = (0..self.shown.len()).filter(is_bid_for);
        // From which scale on each is won, and what it costs.
        let from = |place: usize| (f64::from(prices[place]) / (bid * multipliers[place]), f64::from(prices[place]));
        let mut steps: Vec<(f64, f64)> = evaluated.map(from).collect();
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut spent, mut scale) = (0.0, steps.first().map_or(1.0, |step| step.0));
        for (from, price) in steps {
            if spent + price - target > target - spent {
                break;
            }
            spent += price;
            scale = from;
        }
        // A hair more, so that rounding does not lose the last one.
        scale * (1.0 + 1e-12)
    }

    pub(super) fn spend(&self, won: &Won, prices: &[u32]) -> f64 {
        let all = self.shown.iter().zip(&won.0).zip(prices);
        all.filter(|((shown, won), _)| **won && shown.evaluated.is_some()).map(|(_, price)| f64::from(*price)).sum()
    }
}

/// Whether a bid wins at a price; a bid of 0 is none.
fn wins(bid: f64, price: u32) -> bool {
    bid > 0.0 && bid >= f64::from(price)
}

/// Why nothing of a log is evaluated.
fn why_nothing(played: &Replayed, is_nothing_shown: bool) -> JoinError {
    let lines = &played.lines;
    let most = lines.refused.iter().max_by_key(|(_, many)| **many);
    match most.filter(|_| played.predictions.is_empty()) {
        _ if lines.opportunities == 0 => JoinError::NoOpportunities,
        Some((why, _)) => JoinError::NothingScored(why.clone()),
        None if is_nothing_shown => JoinError::NothingShown,
        None => JoinError::NothingEvaluated,
    }
}

/// Which of the shown opportunities a policy wins.
pub(super) struct Won(pub(super) Vec<bool>);

impl Won {
    pub(super) fn of(prices: &[u32], bid: impl Fn(usize) -> f64) -> Won {
        Won(prices.iter().enumerate().map(|(place, price)| wins(bid(place), *price)).collect())
    }
}

impl Market<'_> {
    /// The price of an opportunity in the world of a seed.
    pub(super) fn price(&self, shown: &Shown, seed: u64) -> u32 {
        let u = Draws(seed).uniform(Purpose::Price, shown.name, 0);
        let u = match self.correlation {
            0.0 => u,
            r => {
                let own = (1.0 - r * r).max(0.0).sqrt() * normal::quantile(u);
                normal::cumulative(r * normal::quantile(shown.rank) + own)
            }
        };
        self.landscape.quantile(u)
    }
}

/// The settings for a flat base bid, with everybody treated.
pub(super) fn flat(mut settings: Settings) -> Settings {
    (settings.arms.control_share, settings.arms.holdout_share) = (0.0, 0.0);
    for goal in settings.advertisers.iter_mut().flat_map(|advertiser| &mut advertiser.goals) {
        goal.multiplier.baseline = Baseline::Goal;
    }
    settings
}

/// The middle of the ranks of each number among all, as shares: between 0 and 1, 0.5 in the mean.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |number: &f64| {
        let below = sorted.partition_point(|other| other.total_cmp(number).is_lt());
        let up_to = sorted.partition_point(|other| other.total_cmp(number).is_le());
        (below + up_to) as f64 / 2.0 / sorted.len() as f64
    };
    numbers.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::Discovery;
    use crate::market::paired::{Gain, Pair, Verdict};
    use crate::market::stream::Stream;
    use crate::replay::{Prediction, Resamples};

    fn recorded() -> Recorded {
        let stream = Stream { users: 4_000, days: 20, level: 1.0, ..Stream::default() };
        let lines = stream.make().lines.into_iter().zip(1..).map(|(line, number)| (number, line)).collect::<Vec<_>>();
        let mut discovery = Discovery::default();
        lines.iter().for_each(|(_, line)| discovery.see(line).unwrap());
        Recorded::of(lines, flat(discovery.settings(stream.window())), EvaluateFrom::Share(0.5)).unwrap()
    }

    fn landscape() -> Landscape {
        Landscape::of((1..=200).map(|price| (price, 1)), 10_000).unwrap()
    }

    #[test]
    fn bids_by_what_people_did_convert_more_for_the_same_spend() {
        let (recorded, landscape) = (recorded(), landscape());
        let market = Market { landscape: &landscape, correlation: 0.0, bid: 60 };
        let worlds = recorded.worlds(market, &[1, 2]).unwrap();
        for world in &worlds {
            assert!((world.ratio - 1.0).abs() < 0.02, "{} {}", world.seed, world.ratio);
            let cost = |of: fn(&Pair) -> f64, pairs: &[Pair]| pairs.iter().map(of).sum::<f64>();
            let flat = cost(|pair| pair.base.cost, &world.inkling);
            assert!((cost(|pair| pair.policy.cost, &world.inkling) / flat - world.ratio).abs() < 1e-9);
            assert!((cost(|pair| pair.policy.cost, &world.taught) / flat - 1.0).abs() < 0.01);
            assert!((0.9..1.1).contains(&world.price_of_hits), "prices know nothing: {}", world.price_of_hits);
        }
        let pairs: Vec<Vec<Pair>> = worlds.iter().map(|world| world.inkling.clone()).collect();
        let gain = Gain::of(&pairs, Resamples { count: 200, seed: 1 });
        assert!(gain.share > 0.05 && gain.verdict() != Verdict::Fewer, "{gain:?}");
        assert_eq!(recorded.worlds(market, &[2]).unwrap()[0], worlds[1], "a world depends on its seed alone");
    }

    /// All was shown whatever was bid: counted as if each had been won by its multiplier, those of the keenest would
    /// hardly count, and the others be raised.
    #[test]
    fn multipliers_of_a_log_that_nobody_bid_for_are_1_in_the_mean() {
        let recorded = recorded();
        let play = |mut player: Player| {
            recorded.lines.iter().for_each(|(number, line)| player.play(*number, line.clone()).unwrap());
            player.finish().predictions
        };
        let player = || Player::new(recorded.settings.clone(), None).unwrap();
        let (at_one, at_theirs) = (play(player().bid_at_one()), play(player()));
        let probabilities = |of: &[Prediction]| of.iter().map(|one| one.p.to_bits()).collect::<Vec<_>>();
        assert_eq!(probabilities(&at_one), probabilities(&at_theirs), "what is learned is the same");
        let mean = |of: &[Prediction]| {
            let later = &of[of.len() / 2..];
            later.iter().map(|one| one.multiplier).sum::<f64>() / later.len() as f64
        };
        assert!((mean(&at_one) - 1.0).abs() < 0.02, "{}", mean(&at_one));
        assert!(mean(&at_theirs) > mean(&at_one) + 0.02, "{}", mean(&at_theirs));
    }

    #[test]
    fn prices_go_with_value_as_far_as_is_said() {
        let (recorded, landscape) = (recorded(), landscape());
        let spearman = |correlation: f64| {
            let market = Market { landscape: &landscape, correlation, bid: 60 };
            let prices: Vec<f64> = recorded.shown.iter().map(|shown| f64::from(market.price(shown, 1))).collect();
            let mean = prices.iter().sum::<f64>() / prices.len() as f64;
            assert!((mean / 100.5 - 1.0).abs() < 0.02, "the landscape stays as it is: {mean}");
            let of_prices = ranks(&prices);
            let product = |(price, shown): (&f64, &Shown)| (price - 0.5) * (shown.rank - 0.5);
            of_prices.iter().zip(&recorded.shown).map(product).sum::<f64>() * 12.0 / prices.len() as f64
        };
        // Of a Gaussian copula it is 6 ÷ π · arcsin(r ÷ 2).
        for (r, expected) in [(0.0, 0.0), (0.5, 0.483), (-0.5, -0.483), (1.0, 1.0)] {
            assert!((spearman(r) - expected).abs() < 0.02, "{r}: {}", spearman(r));
        }
        let market = Market { landscape: &landscape, correlation: 0.5, bid: 60 };
        assert!(recorded.worlds(market, &[1]).unwrap()[0].price_of_hits > 1.1);
    }

    #[test]
    fn nothing_to_compare_is_an_error() {
        let (recorded, landscape) = (recorded(), landscape());
        let market = Market { landscape: &landscape, correlation: 0.0, bid: 0 };
        assert!(matches!(recorded.worlds(market, &[1]), Err(JoinError::NothingSpent)));
        let lines = recorded.lines.iter().filter(|(_, line)| !matches!(line, Line::Impression(_))).cloned().collect();
        let none = Recorded::of(lines, recorded.settings.clone(), EvaluateFrom::Share(0.5));
        assert!(matches!(none, Err(JoinError::NothingShown)));
    }
}

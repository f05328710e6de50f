//! Policies side by side: the same markets, equal spend, and how sure the differences are.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::equal_spend::EQUAL;
use super::landscape::Landscape;
use super::policy::Policy;
use super::prices::Prices;
use super::regret::{self, Regret};
use super::run::{Market, Outcome, Tally};
use super::scenario::Scenario;
use super::truth::Truth;
use super::tune::{Audience, audiences};
use crate::parallel::each_in_order;
use crate::settings::Settings;

/// Seeds from here on are for tuning: none of those that are compared.
pub const TUNING_SEEDS: u64 = 1 << 40;
/// Seeds on which policies that are not paced find their level.
const TUNED_ON: u64 = 2;
/// Quantile of the normal distribution that a fifth lies beyond: what is found four times of five.
const POWER: f64 = 0.841_621;

/// What shall be compared.
#[derive(Debug, Clone)]
pub struct Contest<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// What the engine is set to.
    pub settings: &'a Settings,
    /// Prices, where they are not log-normal.
    pub landscape: Option<&'a Landscape>,
    /// First of the seeds.
    pub seed: u64,
    /// How many there are.
    pub seeds: u32,
    /// Who bids. Bases and the filtering oracle are added where a policy needs them.
    pub policies: Vec<Policy>,
    /// Threads; results are the same for any number.
    pub threads: usize,
}

/// A number with its 95 % interval, from the spread over seeds (Student's t).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Best estimate.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The least true value that would be told from 0 four times of five.
    pub detectable: f64,
}

/// One policy, over all seeds.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which.
    pub policy: Policy,
    /// Means over seeds of what counted.
    pub mean: Means,
    /// Spend as a share of the flat bid's.
    pub spend_of_flat: f64,
    /// Spend as a share of its base bid's.
    pub spend_of_base: f64,
    /// Conversions beyond those of its base bid, as a share of these; `None` where the spend is not the same.
    pub gain: Option<Estimate>,
    /// The same of [expected conversions](Tally::expected_conversions), which chance moves less.
    pub expected_gain: Option<Estimate>,
    /// Share of the filtering oracle's gain on the same base bid, in expected conversions. `None` also where that gain
    /// is not known to within half of itself: a share of next to nothing says nothing.
    pub of_filter: Option<Estimate>,
    /// Purchases beyond those without any ad.
    pub incremental: Option<Estimate>,
    /// What was lost against the filtering oracle, by cause.
    pub regret: Option<Regret>,
    /// Days from each change on schedule until the policy was as good as before, relative to the oracle; `None` where
    /// that was not seen.
    pub recovery: Vec<Option<u32>>,
    /// Sums over seeds, by campaign and by segment.
    pub campaigns: Vec<Tally>,
    /// See there.
    pub segments: Vec<Tally>,
    /// Sums over seeds, by day.
    pub days: Vec<Tally>,
    /// Sums over seeds of what was won, by the probability told: see [`super::run::told_band`].
    pub told: Vec<Tally>,
}

/// Means over seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Means {
    /// Auctions.
    pub auctions: f64,
    /// Won.
    pub wins: f64,
    /// Ads that were clicked.
    pub clicks: f64,
    /// Spend in units of the currency.
    pub spend: f64,
    /// Conversions.
    pub conversions: f64,
    /// Conversions to be expected, see [`Tally::expected_conversions`].
    pub expected: f64,
    /// Purchases of everybody.
    pub purchases: f64,
    /// Probability told ÷ ads with a conversion, of what was won.
    pub told_of_won: Option<f64>,
    /// Probability told ÷ true probability, of all auctions.
    pub told_of_all: Option<f64>,
    /// Level of the bids.
    pub level: f64,
    /// Spend ÷ what the same auctions would have cost at a multiplier of 1, where multipliers count.
    pub spend_of_one: Option<f64>,
}

/// All that came of a contest.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// In the order asked, bases and oracles behind.
    pub rows: Vec<Row>,
    /// Seeds played.
    pub seeds: u32,
    /// What the people of each external segment are worth, by what the flat bid was shown.
    pub audiences: Vec<Audience>,
}

impl Estimate {
    /// The mean of something over seeds, from one number a seed.
    pub fn of(numbers: &[f64]) -> Option<Estimate> {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let variance = numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / (count - 1.0);
        let error = (variance / count).sqrt();
        let t = student(numbers.len() - 1)?;
        let whole = mean.is_finite() && error.is_finite();
        let (low, high) = (mean - t * error, mean + t * error);
        whole.then_some(Estimate { mean, low, high, detectable: (t + POWER) * error })
    }

    /// The ratio of two sums over seeds, by the linearised spread of what remains (the delta method).
    pub fn of_ratio(over: &[f64], under: &[f64]) -> Option<Estimate> {
        let sum = |numbers: &[f64]| numbers.iter().sum::<f64>();
        let (ratio, scale) = (sum(over) / sum(under), sum(under) / under.len() as f64);
        let rest: Vec<f64> = over.iter().zip(under).map(|(over, under)| (over - ratio * under) / scale).collect();
        let spread = Estimate::of(&rest)?;
        ratio.is_finite().then_some(Estimate {
            mean: ratio,
            low: ratio + spread.low - spread.mean,
            high: ratio + spread.high - spread.mean,
            detectable: spread.detectable,
        })
    }

    /// Whether it differs from 0: only then may a winner be named.
    pub fn is_sure(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The 97.5 % quantile of Student's t with so many degrees of freedom: tabled, or beyond the table by the first terms
/// of its expansion (Abramowitz and Stegun 26.7.5). `None` without any.
fn student(freedom: usize) -> Option<f64> {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    const NORMAL: f64 = 1.959_964;
    if freedom == 0 {
        return None;
    }
    let of = |freedom: f64| {
        let x = NORMAL;
        let (cube, fifth, seventh) = (x * x * x, x * x * x * x * x, x * x * x * x * x * x * x);
        x + (cube + x) / (4.0 * freedom)
            + (5.0 * fifth + 16.0 * cube + 3.0 * x) / (96.0 * freedom * freedom)
            + (3.0 * seventh + 19.0 * fifth + 17.0 * cube - 15.0 * x) / (384.0 * freedom * freedom * freedom)
    };
    Some(TABLE.get(freedom - 1).copied().unwrap_or_else(|| of(freedom as f64)))
}

impl Contest<'_> {
    /// Plays all policies in the markets of all seeds. `progress` is told how many of how many runs are done.
    pub fn play(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Comparison {
        let (truth, prices) = (Truth::new(self.scenario), Prices::new(self.scenario, self.landscape));
        let policies = self.policies();
        let tuned = self.tune(&truth, &prices, &policies);
        let runs = policies.len() * self.seeds as usize;
        let done = AtomicUsize::new(0);
        let seeds = each_in_order(self.seeds as usize, self.threads, |number| {
            let market = self.market(&truth, &prices, self.seed.wrapping_add(number as u64));
            let outcomes: Vec<Outcome> = policies
                .iter()
                .map(|policy| {
                    let outcome = market.play(*policy, tuned, matches!(policy, Policy::Inkling(_)));
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, runs);
                    outcome
                })
                .collect();
            self.sum_up(&policies, &market, outcomes)
        });
        let rows = (0..policies.len()).map(|place| self.row(&policies, place, &seeds)).collect();
        let flat = policies.iter().position(|policy| *policy == Policy::Flat).expect("it was added");
        let mixes: Vec<_> = seeds.iter().map(|outcomes| &outcomes[flat].0.mixes).collect();
        let audiences = audiences(self.scenario.segments.len(), &mixes).all;
        Comparison { rows, seeds: self.seeds, audiences }
    }

    fn market<'m>(&'m self, truth: &'m Truth, prices: &'m Prices<'m>, seed: u64) -> Market<'m> {
        Market::new(self.scenario, truth, prices, self.settings, seed)
    }

    /// All policies that are needed, those asked first.
    fn policies(&self) -> Vec<Policy> {
        let mut all = self.policies.clone();
        let bases: Vec<Policy> = all.iter().map(|policy| policy.base()).collect();
        for policy in bases.into_iter().chain([Policy::Flat, Policy::Filtering, Policy::NoAds]) {
            if !all.contains(&policy) {
                all.push(policy);
            }
        }
        all
    }

    /// The level for policies that are not paced: what the paced one came to on other seeds, relative to the median.
    fn tune(&self, truth: &Truth, prices: &Prices<'_>, policies: &[Policy]) -> f64 {
        if !policies.contains(&Policy::Linear) {
            return 1.0;
        }
        let level = |seed| {
            let market = self.market(truth, prices, TUNING_SEEDS + seed);
            market.play(Policy::LinearPaced, 1.0, false).all.level() / prices.median()
        };
        (0..TUNED_ON).map(level).sum::<f64>() / TUNED_ON as f64
    }

    /// What was lost is summed up market by market: all auctions are too many to keep.
    fn sum_up(
        &self,
        policies: &[Policy],
        market: &Market<'_>,
        outcomes: Vec<Outcome>,
    ) -> Vec<(Outcome, Option<Regret>)> {
        let oracle = policies.iter().position(|policy| *policy == Policy::Filtering).expect("it is always played");
        // What a campaign of the oracle's pays for one expected conversion at the margin.
        let values: Vec<f64> =
            outcomes[oracle].campaigns.iter().map(|campaign| campaign.level() / market.mean_p).collect();
        let sum_up = |mut outcome: Outcome| {
            let auctions = std::mem::take(&mut outcome.auctions);
            let regret = (!auctions.is_empty()).then(|| regret::split(&auctions, market.prices, &values));
            (outcome, regret)
        };
        outcomes.into_iter().map(sum_up).collect()
    }

    fn row(&self, policies: &[Policy], place: usize, seeds: &[Vec<(Outcome, Option<Regret>)>]) -> Row {
        let policy = policies[place];
        let find = |wanted: Policy| policies.iter().position(|policy| *policy == wanted).expect("it was added");
        let of = |place: usize, figure: &dyn Fn(&Outcome) -> f64| -> Vec<f64> {
            seeds.iter().map(|outcomes| figure(&outcomes[place].0)).collect()
        };
        let mean = |figure: &dyn Fn(&Outcome) -> f64| of(place, figure).iter().sum::<f64>() / seeds.len() as f64;
        let less = |one: Vec<f64>, other: &[f64]| one.iter().zip(other).map(|(one, other)| one - other).collect();
        let share_of = |figure: &dyn Fn(&Outcome) -> f64, base: usize| {
            let base = of(base, figure);
            let more: Vec<f64> = less(of(place, figure), &base);
            Estimate::of_ratio(&more, &base)
        };
        let (base, flat, oracle) = (find(policy.base()), find(Policy::Flat), find(Policy::Filtering));
        let spend_of = |place: usize| of(place, &|outcome| outcome.all.spend()).iter().sum::<f64>();
        let is_equal = |one: usize, other: usize| (spend_of(one) / spend_of(other) - 1.0).abs() <= EQUAL;
        let expected: &dyn Fn(&Outcome) -> f64 = &|outcome| outcome.all.expected_conversions();
        let is_compared = is_equal(place, base) && place != base;
        let of_filter = || {
            let base = of(base, expected);
            let ours: Vec<f64> = less(of(place, expected), &base);
            let theirs: Vec<f64> = less(of(oracle, expected), &base);
            let is_known = Estimate::of_ratio(&theirs, &base).is_some_and(|gain| gain.low > gain.mean / 2.0);
            is_known.then(|| Estimate::of_ratio(&ours, &theirs)).flatten()
        };
        let incremental: Vec<f64> = less(
            of(place, &|outcome| outcome.purchases as f64),
            &of(find(Policy::NoAds), &|outcome| outcome.purchases as f64),
        );
        let regrets: Vec<&Regret> = seeds.iter().filter_map(|outcomes| outcomes[place].1.as_ref()).collect();
        let sum =
            |tallies: &dyn Fn(&Outcome) -> &[Tally]| sums(seeds.iter().map(|outcomes| tallies(&outcomes[place].0)));
        let days = sum(&|outcome| &outcome.days);
        let oracle_days = sums(seeds.iter().map(|outcomes| outcomes[oracle].0.days.as_slice()));
        Row {
            policy,
            mean: means(&mean),
            spend_of_flat: spend_of(place) / spend_of(flat),
            spend_of_base: spend_of(place) / spend_of(base),
            gain: is_compared.then(|| share_of(&|outcome| outcome.all.conversions as f64, base)).flatten(),
            expected_gain: is_compared.then(|| share_of(expected, base)).flatten(),
            of_filter: (is_compared && place != oracle && is_equal(oracle, base)).then(of_filter).flatten(),
            incremental: if policy == Policy::NoAds { None } else { Estimate::of(&incremental) },
            regret: Regret::mean(&regrets),
            recovery: regret::recovery(self.scenario, &days, &oracle_days),
            campaigns: sum(&|outcome| &outcome.campaigns),
            segments: sum(&|outcome| &outcome.segments),
            days,
            told: sum(&|outcome| &outcome.told),
        }
    }
}

/// A figure of an outcome.
type Figure<'f> = &'f dyn Fn(&Outcome) -> f64;

fn means(mean: &dyn Fn(Figure<'_>) -> f64) -> Means {
    let ratio = |over: f64, under: f64| (over > 0.0 && under > 0.0).then(|| over / under);
    Means {
        auctions: mean(&|outcome| outcome.all.auctions as f64),
        wins: mean(&|outcome| outcome.all.wins as f64),
        clicks: mean(&|outcome| outcome.all.clicks as f64),
        spend: mean(&|outcome| outcome.all.spend()),
        conversions: mean(&|outcome| outcome.all.conversions as f64),
        expected: mean(&|outcome| outcome.all.expected_conversions()),
        purchases: mean(&|outcome| outcome.purchases as f64),
        told_of_won: ratio(mean(&|outcome| outcome.all.told), mean(&|outcome| outcome.all.positives as f64)),
        told_of_all: ratio(mean(&|outcome| outcome.all.told_of_all), mean(&|outcome| outcome.all.expected_of_all)),
        level: mean(&|outcome| outcome.all.level()),
        spend_of_one: ratio(
            mean(&|outcome| outcome.all.multiplied_nanos as f64),
            mean(&|outcome| outcome.all.nanos_at_one as f64),
        ),
    }
}

fn sums<'t>(seeds: impl Iterator<Item = &'t [Tally]>) -> Vec<Tally> {
    let mut all: Vec<Tally> = Vec::new();
    for tallies in seeds {
        all.resize(tallies.len(), Tally::default());
        all.iter_mut().zip(tallies).for_each(|(sum, tally)| sum.add(tally));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_student_are_those_of_the_tables() {
        for (freedom, t) in [(1, 12.706), (10, 2.228), (11, 2.201), (19, 2.093), (30, 2.042), (120, 1.980)] {
            assert!((student(freedom).unwrap() - t).abs() < 0.002, "{freedom}: {:?}", student(freedom));
        }
        assert_eq!(student(0), None);
    }

    #[test]
    fn an_estimate_is_as_sure_as_its_spread() {
        let estimate = Estimate::of(&[1.0, 2.0, 3.0]).unwrap();
        // Mean 2, standard error 1 ÷ √3, t = 4.303.
        assert!((estimate.mean - 2.0).abs() < 1e-12 && (estimate.high - 4.484).abs() < 1e-3 && !estimate.is_sure());
        let ratio = Estimate::of_ratio(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((ratio.low - 2.0).abs() < 1e-12 && (ratio.high - 2.0).abs() < 1e-12 && ratio.is_sure());
        assert_eq!(Estimate::of(&[1.0]), None);
        assert_eq!(Estimate::of_ratio(&[1.0, 2.0], &[0.0, 0.0]), None);
    }
}

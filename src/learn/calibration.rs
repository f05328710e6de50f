//! What a probability turned out to be worth: predicted against observed, for cohorts of impressions.
//!
//! Labels that come late bias a learner: what is on its way counts as negative. Two corrections, both of log-odds:
//!
//! *Level.* Impressions stand in cohorts, each a thirty-second of the label window long. A cohort of age k has seen
//! its conversions of up to k cohorts' delay; which share of all these are, F(k), the older cohorts tell (the chain
//! ladder of actuaries: Mack, 1993). So cohorts count before their windows close, and the level follows a shift within
//! days where waiting for closed windows takes weeks: observed ÷ (predicted × F), the latest conversions counting
//! most. Nothing is known, and nothing corrected, until a first cohort has seen a whole window. F corrects the level
//! and what conversions are worth, and nothing else: learned labels never depend on it.
//!
//! *Shape.* At the end of its window an impression counts for the bin of its log-odds: bins whose observed differs
//! from the predicted beyond the level's are shifted, few observations little, the order of probabilities kept (pool
//! adjacent violators).

use std::collections::VecDeque;

use crate::math;
use crate::stats::decay::HalfLife;
use crate::units::{Span, Tick};

/// Cohorts that make up a label window.
pub const COHORTS_PER_WINDOW: usize = 32;
/// Cohorts that are kept: two windows' worth, and the one being filled. What is older has done its part.
const COHORTS_MAX: usize = 2 * COHORTS_PER_WINDOW + 1;
/// Expected conversions that the level's memory holds, and its half-life: a model that learns soon differs from the one
/// that older cohorts were predicted by.
const LEVEL_MEMORY: f64 = 1_000.0;
const LEVEL_HALF_LIFE: Span = Span::days(4);
/// Expected conversions that the prior "as predicted" is worth for the level, and for one bin's shape.
const LEVEL_STRENGTH: f64 = 40.0;
const SHAPE_STRENGTH: f64 = 50.0;
/// Expected conversions that the shape's memory holds.
const SHAPE_MEMORY: f64 = 5_000.0;
/// Most that is corrected, as a factor of the odds, either way.
const FACTOR_MAX: f64 = 2.0;
/// Least that is taken to be left of an impression when its conversion comes.
const LEFT_MIN: f64 = 0.01;
/// Bins of log-odds, each so wide, the first one's middle here.
const BINS: usize = 12;
const BIN_WIDTH: f64 = 0.75;
const FIRST_MIDDLE: f64 = -7.5;

/// A number for each age of a cohort, from 0 to that of a closed window.
type ByAge = [f64; COHORTS_PER_WINDOW + 1];

/// What is added to log-odds: a number for the middle of each bin, and straight lines between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    shifts: [f64; BINS],
}

/// Impressions of one cohort.
#[derive(Debug, Clone, PartialEq)]
struct Cohort {
    /// Sum of the probabilities.
    predicted: f64,
    /// Conversions, by their delay in cohorts.
    positive: [f32; COHORTS_PER_WINDOW],
}

/// Impressions of one bin whose windows have closed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Bin {
    predicted: f64,
    positive: f64,
    count: f64,
}

/// Predicted against observed of one goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrator {
    /// Milliseconds of one cohort.
    cohort_ms: u64,
    /// The oldest first; the last one is being filled.
    cohorts: VecDeque<Cohort>,
    /// Number of the oldest cohort since 1970.
    oldest: u64,
    /// Predicted and observed of cohorts that are no longer kept, fading as newer ones join.
    settled: (f64, f64),
    bins: [Bin; BINS],
    /// Logarithm of the level's factor.
    level: f64,
    curve: Curve,
    /// See [`Calibrator::left`].
    left: f64,
}

impl Default for Curve {
    fn default() -> Curve {
        Curve { shifts: [0.0; BINS] }
    }
}

impl Curve {
    /// What to add to log-odds.
    pub fn shift(&self, logit: f64) -> f64 {
        let place = ((logit - FIRST_MIDDLE) / BIN_WIDTH).clamp(0.0, (BINS - 1) as f64);
        let below = (place as usize).min(BINS - 2);
        let part = place - below as f64;
        self.shifts[below] * (1.0 - part) + self.shifts[below + 1] * part
    }
}

fn bin_of(logit: f64) -> usize {
    (((logit - FIRST_MIDDLE) / BIN_WIDTH + 0.5).clamp(0.0, (BINS - 1) as f64)) as usize
}

impl Default for Cohort {
    fn default() -> Cohort {
        Cohort { predicted: 0.0, positive: [0.0; COHORTS_PER_WINDOW] }
    }
}

impl Cohort {
    /// Conversions of a delay of less than 0, 1, 2 … cohorts.
    fn came(&self) -> ByAge {
        let mut came = [0.0; COHORTS_PER_WINDOW + 1];
        for (age, count) in self.positive.iter().enumerate() {
            came[age + 1] = came[age] + f64::from(*count);
        }
        came
    }
}

impl Calibrator {
    /// A calibrator for labels of this window that corrects nothing yet.
    pub fn new(window: Span) -> Calibrator {
        Calibrator {
            cohort_ms: (window.0 / COHORTS_PER_WINDOW as u64).max(1),
            cohorts: VecDeque::new(),
            oldest: 0,
            settled: (0.0, 0.0),
            bins: [Bin::default(); BINS],
            level: 0.0,
            curve: Curve::default(),
            left: 1.0,
        }
    }

    /// Goes on with labels of this window; where it is another, from the beginning.
    pub fn set_window(&mut self, window: Span) {
        let new = Calibrator::new(window);
        if new.cohort_ms != self.cohort_ms {
            *self = new;
        }
    }

    /// The correction as of the last closed cohort.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// What is left in the mean, when a conversion comes, of the impression that it is of: 2^(−delay ÷ half-life), 0.01
    /// to 1, as of the last closed cohort. A count that fades from the conversion on is larger by 1 ÷ this
    /// than one that fades from the impression on. 1 before a cohort has seen a whole window.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// Counts an impression with its log-odds before correction. `share` is how much it counts, 0 to 1.
    pub fn show(&mut self, shown_ms: u64, logit: f64, share: f64) {
        let number = shown_ms / self.cohort_ms;
        if self.cohorts.is_empty() {
            self.begin(number);
        }
        if let Some(cohort) = self.cohort(number) {
            cohort.predicted += share * math::sigmoid(logit);
        }
    }

    /// The delay of a conversion in cohorts: less than [`COHORTS_PER_WINDOW`].
    pub fn delay(&self, shown_ms: u64, converted_ms: u64) -> u8 {
        (converted_ms.saturating_sub(shown_ms) / self.cohort_ms).min(COHORTS_PER_WINDOW as u64 - 1) as u8
    }

    /// Counts a conversion of an impression at a delay in cohorts (`sign` 1), or takes it back (−1).
    pub fn convert(&mut self, shown_ms: u64, delay: u8, share: f64, sign: f64) {
        let cohort = self.cohort(shown_ms / self.cohort_ms);
        if let Some(count) = cohort.and_then(|cohort| cohort.positive.get_mut(usize::from(delay))) {
            *count += (sign * share) as f32;
        }
    }

    /// Counts an impression whose window has closed.
    pub fn close(&mut self, logit: f64, label: bool, share: f64) {
        let total: f64 = self.bins.iter().map(|bin| bin.predicted).sum();
        if total > SHAPE_MEMORY {
            for bin in &mut self.bins {
                let Bin { predicted, positive, count } = *bin;
                let kept = SHAPE_MEMORY / total;
                *bin = Bin { predicted: predicted * kept, positive: positive * kept, count: count * kept };
            }
        }
        let bin = &mut self.bins[bin_of(logit)];
        bin.predicted += share * math::sigmoid(logit);
        bin.positive += share * f64::from(u8::from(label));
        bin.count += share;
    }

    /// Moves on to the present: cohorts that have filled count from now on. `half_life` is that of counted impressions.
    /// True when the correction has changed.
    pub fn advance(&mut self, now_ms: u64, half_life: HalfLife) -> bool {
        let number = now_ms / self.cohort_ms;
        if self.cohorts.is_empty() || number < self.oldest + self.cohorts.len() as u64 {
            return false;
        }
        self.begin(number);
        let before = (self.curve, self.left);
        let came: Vec<ByAge> = self.cohorts.iter().map(Cohort::came).collect();
        let arrived = self.arrived(&came);
        self.level = arrived.map_or_else(|| self.settled_level(), |arrived| self.level_now(&came, &arrived));
        self.left = arrived.map_or(1.0, |arrived| self.left_now(&arrived, half_life));
        self.curve = self.curve_now();
        (self.curve, self.left) != before
    }

    /// All that it holds, as numbers.
    pub fn numbers(&self, visit: &mut dyn FnMut(f64)) {
        let (predicted, observed) = self.settled;
        let single = [self.cohort_ms as f64, self.oldest as f64, predicted, observed, self.level];
        single.into_iter().for_each(&mut *visit);
        for cohort in &self.cohorts {
            visit(cohort.predicted);
            cohort.positive.iter().for_each(|count| visit(f64::from(*count)));
        }
        self.bins.iter().flat_map(|bin| [bin.predicted, bin.positive, bin.count]).for_each(&mut *visit);
        self.curve.shifts.iter().for_each(|shift| visit(*shift));
        // Before anything is known of it, an image is what it was when it was not told at all.
        if self.left != 1.0 {
            visit(self.left);
        }
    }

    /// The calibrator of the numbers that [`Calibrator::numbers`] told; `None` where none comes to them.
    pub fn from_numbers(numbers: &[f64]) -> Option<Calibrator> {
        let ([cohort_ms, oldest, predicted, observed, level], rest) = numbers.split_first_chunk()?;
        // Without what is left of conversions, that is 1.
        let (rest, left) = match rest.len().checked_sub(4 * BINS)? % (1 + COHORTS_PER_WINDOW) {
            0 => (rest, 1.0),
            _ => rest.split_last().map(|(left, rest)| (rest, *left))?,
        };
        let (rest, tail) = rest.split_at_checked(rest.len().checked_sub(4 * BINS)?)?;
        let (cohorts, []) = rest.as_chunks::<{ 1 + COHORTS_PER_WINDOW }>() else { return None };
        let is_whole = |number: f64| number >= 0.0 && number < (1u64 << 53) as f64 && number.fract() == 0.0;
        let is_sound = is_whole(*cohort_ms)
            && *cohort_ms >= 1.0
            && is_whole(*oldest)
            && cohorts.len() <= COHORTS_MAX
            && (LEFT_MIN..=1.0).contains(&left)
            && numbers.iter().all(|number| number.is_finite());
        let cohort = |numbers: &[f64; 1 + COHORTS_PER_WINDOW]| Cohort {
            predicted: numbers[0],
            positive: std::array::from_fn(|delay| numbers[1 + delay] as f32),
        };
        let (bins, shifts) = tail.split_at(3 * BINS);
        is_sound.then(|| Calibrator {
            cohort_ms: *cohort_ms as u64,
            cohorts: cohorts.iter().map(cohort).collect(),
            oldest: *oldest as u64,
            settled: (*predicted, *observed),
            bins: std::array::from_fn(|bin| {
                let [predicted, positive, count] = std::array::from_fn(|part| bins[3 * bin + part]);
                Bin { predicted, positive, count }
            }),
            level: *level,
            curve: Curve { shifts: std::array::from_fn(|bin| shifts[bin]) },
            left,
        })
    }

    /// Begins cohorts up to a number, and lets go of the oldest.
    fn begin(&mut self, number: u64) {
        let next = self.oldest + self.cohorts.len() as u64;
        if self.cohorts.is_empty() || number >= next + COHORTS_MAX as u64 {
            while let Some(cohort) = self.cohorts.pop_front() {
                self.settle(&cohort);
            }
            self.cohorts.push_back(Cohort::default());
            self.oldest = number;
            return;
        }
        for _ in next..=number {
            if self.cohorts.len() == COHORTS_MAX
                && let Some(cohort) = self.cohorts.pop_front()
            {
                self.settle(&cohort);
                self.oldest += 1;
            }
            self.cohorts.push_back(Cohort::default());
        }
    }

    /// What is left of older cohorts' weight before one that expects so much, one cohort later.
    fn fading(&self, expected: f64) -> f64 {
        let half_lives = self.cohort_ms as f64 / LEVEL_HALF_LIFE.0 as f64;
        math::exp(-expected / LEVEL_MEMORY - std::f64::consts::LN_2 * half_lives)
    }

    fn settle(&mut self, cohort: &Cohort) {
        let kept = self.fading(cohort.predicted);
        let (predicted, observed) = self.settled;
        let came = cohort.came()[COHORTS_PER_WINDOW].max(0.0);
        self.settled = (predicted * kept + cohort.predicted, observed * kept + came);
    }

    /// The cohort of a number, if it is kept. What is ahead of the present, as its sender's clock may be, is of the one
    /// that is being filled: only [`advance`](Calibrator::advance) begins another, and so sees every one that fills.
    fn cohort(&mut self, number: u64) -> Option<&mut Cohort> {
        let newest = (self.oldest + self.cohorts.len() as u64).checked_sub(1)?;
        self.cohorts.get_mut(usize::try_from(number.min(newest).checked_sub(self.oldest)?).ok()?)
    }

    /// Whole cohorts of delay that all impressions of a cohort have behind them.
    fn age(&self, place: usize) -> usize {
        // The cohort before the one being filled ends where that one begins.
        (self.cohorts.len() - 1 - place).saturating_sub(1).min(COHORTS_PER_WINDOW)
    }

    /// F: the share of all conversions that have come within so many cohorts; `None` before a cohort has seen a window.
    /// `came` holds, cohort by cohort, the conversions of a delay of less than 0, 1, 2 … cohorts.
    fn arrived(&self, came: &[ByAge]) -> Option<ByAge> {
        let mut shares = [1.0; COHORTS_PER_WINDOW + 1];
        for age in (0..COHORTS_PER_WINDOW).rev() {
            let (mut earlier, mut later) = (0.0, 0.0);
            for (place, came) in came.iter().enumerate() {
                if self.age(place) > age {
                    earlier += came[age];
                    later += came[age + 1];
                }
            }
            if age == COHORTS_PER_WINDOW - 1 && later <= 0.0 {
                return None;
            }
            let step = if later > 0.0 { (earlier / later).clamp(0.0, 1.0) } else { 1.0 };
            shares[age] = shares[age + 1] * step;
        }
        Some(shares)
    }

    /// Logarithm of observed ÷ expected, the latest conversions counting most.
    fn level_now(&self, came: &[ByAge], arrived: &ByAge) -> f64 {
        let (mut observed, mut expected, mut weight) = (LEVEL_STRENGTH, LEVEL_STRENGTH, 1.0);
        for (place, cohort) in self.cohorts.iter().enumerate().rev() {
            let age = self.age(place);
            let due = cohort.predicted * arrived[age];
            observed += weight * came[place][age].max(0.0);
            expected += weight * due;
            weight *= self.fading(due);
        }
        math::ln((observed + weight * self.settled.1) / (expected + weight * self.settled.0))
    }

    /// Mean of 2^(−delay ÷ half-life) over the delays that F tells.
    fn left_now(&self, arrived: &ByAge, half_life: HalfLife) -> f64 {
        let left = |age: usize| {
            let seconds = (age as f64 + 0.5) * self.cohort_ms as f64 / 1_000.0;
            half_life.factor(Tick(0), Tick(seconds as u32))
        };
        let steps = arrived.windows(2).enumerate();
        let mean = steps.map(|(age, share)| (share[1] - share[0]) * left(age)).sum::<f64>() + arrived[0];
        mean.clamp(LEFT_MIN, 1.0)
    }

    /// The level of the cohorts that are no longer kept, for when none of the kept ones can tell when conversions come.
    fn settled_level(&self) -> f64 {
        math::ln((self.settled.1 + LEVEL_STRENGTH) / (self.settled.0 + LEVEL_STRENGTH))
    }

    fn curve_now(&self) -> Curve {
        let total = |part: fn(&Bin) -> f64| self.bins.iter().map(part).sum::<f64>();
        let overall =
            (total(|bin| bin.positive).max(0.0) + LEVEL_STRENGTH) / (total(|bin| bin.predicted) + LEVEL_STRENGTH);
        let bound = math::ln(FACTOR_MAX);
        let mut shifts: [f64; BINS] = std::array::from_fn(|number| {
            let bin = &self.bins[number];
            let middle = FIRST_MIDDLE + BIN_WIDTH * number as f64;
            let strength = SHAPE_STRENGTH * overall;
            let shape = (bin.positive.max(0.0) + strength) / (bin.predicted + SHAPE_STRENGTH) / overall;
            let mean = if bin.count > 0.0 { bin.predicted / bin.count } else { math::sigmoid(middle) };
            let wanted = (mean * math::exp(self.level) * shape).min(0.5 + mean / 2.0);
            (math::logit(wanted) - math::logit(mean)).clamp(-bound, bound)
        });
        pool(&mut shifts);
        Curve { shifts }
    }
}

/// Makes middles + shifts rise, by pooling neighbours that do not: the order of probabilities stays.
fn pool(shifts: &mut [f64; BINS]) {
    let mut blocks: Vec<(f64, usize)> = Vec::with_capacity(BINS);
    for (number, shift) in shifts.iter().enumerate() {
        blocks.push((BIN_WIDTH * number as f64 + shift, 1));
        while let [.., (before, several), (after, some)] = blocks[..]
            && before > after
        {
            let pooled = (before * several as f64 + after * some as f64) / (several + some) as f64;
            blocks.truncate(blocks.len() - 2);
            blocks.push((pooled, several + some));
        }
    }
    let pooled = blocks.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count));
    shifts.iter_mut().zip(pooled).enumerate().for_each(|(number, (shift, value))| {
        *shift = value - BIN_WIDTH * number as f64;
    });
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;

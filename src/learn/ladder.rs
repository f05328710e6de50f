//! The ladder: what people do on the way to a goal teaches who will reach it, long before enough have.
//!
//! Purchases are few; the steps before them (a view, a cart, a checkout) are many, and come soon. One lane of the
//! weight table learns from these steps, with the goal itself as the last: its label is the worth of the best step
//! that followed an impression, a surrogate in the sense of Athey, Chetty, Imbens and Kang ("The Surrogate Index",
//! 2019; the same idea with what people do after clicks: GDFM, NeurIPS 2022). Its log-odds, centred and times a slope,
//! are what one of the heads starts from: it learns what the steps do not tell. The slope is learned from the goal's
//! own labels, so that steps which have nothing to do with the goal lose their say.

use crate::math;

/// Slope before anything is known of it, and how sure that is, as information (1 ÷ variance).
const SLOPE: f64 = 0.7;
const SLOPE_INFORMATION: f64 = 4.0;
/// Bounds of the slope: steps never speak against a goal, and hardly for more than themselves.
const SLOPE_BOUNDS: (f64, f64) = (0.0, 1.5);
const LEVEL_INFORMATION: f64 = 1.0;
const LEVEL_BOUND: f64 = 4.0;
/// Information of labels beyond which older ones fade, p (1 − p) each: some five hundred conversions.
const INFORMATION_MAX: f64 = 500.0;
/// Impressions over which the mean probability of the lane is taken, the latest counting most.
const MEAN_OVER: f64 = 3_000.0;
const MEAN_FROM: f64 = 20.0;
/// Impressions that led to a step, at which the lane has half its say.
const CLIMBERS_HALF: f64 = 25.0;
/// Impressions that the expected rate of a step is worth.
const RATE_STRENGTH: f64 = 5.0;

/// How the lane's log-odds count for the goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ladder {
    slope: f64,
    level: f64,
    /// Information of slope and level, and what they have in common.
    information: [f64; 3],
    /// Mean probability of the lane, over the latest impressions, and over how many.
    mean: f64,
    seen: f64,
    /// Impressions that led to a step.
    climbers: f64,
}

impl Default for Ladder {
    fn default() -> Ladder {
        Ladder {
            slope: SLOPE,
            level: 0.0,
            information: [SLOPE_INFORMATION, 0.0, LEVEL_INFORMATION],
            mean: 0.0,
            seen: 0.0,
            climbers: 0.0,
        }
    }
}

impl Ladder {
    /// How far the lane counts: 0 until an impression has led to a step.
    pub fn slope(&self) -> f64 {
        self.slope * self.climbers / (self.climbers + CLIMBERS_HALF)
    }

    /// The lane's log-odds, on top of the intercept, where it speaks neither for nor against.
    pub fn centre(&self, intercept: f64) -> f64 {
        if self.seen == 0.0 { 0.0 } else { math::logit(self.mean) - intercept }
    }

    /// Takes note of an impression, whose lane says `logit` on top of the intercept. `share` is how much it counts.
    pub fn show(&mut self, intercept: f64, logit: f64, share: f64) {
        if self.seen == 0.0 {
            (self.mean, self.seen) = (math::sigmoid(intercept), MEAN_FROM);
        }
        self.seen = (self.seen + share).min(MEAN_OVER);
        self.mean += share * (math::sigmoid(intercept + logit) - self.mean) / self.seen;
    }

    /// Takes note that an impression has led to a step.
    pub fn climb(&mut self, share: f64) {
        self.climbers += share;
    }

    /// Learns the slope from an impression whose label is known now: the lane's centred log-odds as of then.
    ///
    /// A Newton step of the logistic regression of the label on them (Laplace's approximation), level beside slope.
    pub fn learn(&mut self, intercept: f64, centred: f64, label: bool, share: f64) {
        let p = math::sigmoid(intercept + self.slope * centred + self.level);
        let (gradient, weight) = ((p - f64::from(u8::from(label))) * share, p * (1.0 - p) * share);
        let [slope, both, level] = &mut self.information;
        *slope += weight * centred * centred;
        *both += weight * centred;
        *level += weight;
        if *level > INFORMATION_MAX {
            let kept = INFORMATION_MAX / *level;
            [slope, both, level].into_iter().for_each(|information| *information *= kept);
        }
        let [slope, both, level] = self.information;
        let determinant = slope * level - both * both;
        if determinant <= 0.0 {
            return;
        }
        let steps = [(level * centred - both) * gradient, (slope - both * centred) * gradient];
        let (least, most) = SLOPE_BOUNDS;
        self.slope = (self.slope - steps[0] / determinant).clamp(least, most);
        self.level = (self.level - steps[1] / determinant).clamp(-LEVEL_BOUND, LEVEL_BOUND);
    }

    /// All that it holds, as numbers.
    pub fn numbers(&self) -> [f64; 8] {
        let [slope, both, level] = self.information;
        [self.slope, self.level, slope, both, level, self.mean, self.seen, self.climbers]
    }

    /// The ladder of the numbers that [`Ladder::numbers`] told; `None` where no ladder comes to them.
    pub fn from_numbers(numbers: [f64; 8]) -> Option<Ladder> {
        let [slope, level, of_slope, both, of_level, mean, seen, climbers] = numbers;
        let is_sound = (SLOPE_BOUNDS.0..=SLOPE_BOUNDS.1).contains(&slope)
            && level.abs() <= LEVEL_BOUND
            && [of_slope, of_level, mean, seen, climbers].iter().all(|number| *number >= 0.0)
            && numbers.iter().all(|number| number.is_finite());
        let information = [of_slope, both, of_level];
        is_sound.then_some(Ladder { slope, level, information, mean, seen, climbers })
    }
}

/// One step of a ladder: impressions that led to it, and how many of those led on to the goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Impressions that led to the step.
    pub reached: f64,
    /// Of these, those that became positive.
    pub positive: f64,
}

/// What the steps of a ladder are worth as labels, 0 to 1, the goal itself being 1: √((ρ − ρ₀) ÷ max ρ).
///
/// ρ is the rate at which a step leads to the goal, ρ₀ that of all impressions: what is no likelier than the rest is
/// worth nothing. Only the order of the lane's log-odds matters, so the best step has the label 1, and the root gives
/// the early, frequent steps their say. Before data, the rates of the steps rise evenly in logarithms from ρ₀ to 1.
pub fn worths(rate: f64, steps: &[Step]) -> impl Iterator<Item = f64> {
    let expected = move |place: usize| {
        let way_to_go = 1.0 - (place + 1) as f64 / (steps.len() + 1) as f64;
        math::exp(way_to_go * math::ln(rate))
    };
    let rates = move |(place, step): (usize, &Step)| {
        let reached = step.reached.max(0.0);
        let positive = step.positive.clamp(0.0, reached);
        (positive + RATE_STRENGTH * expected(place)) / (reached + RATE_STRENGTH)
    };
    let known = steps.iter().enumerate().filter(|(_, step)| step.reached > 0.0);
    let best = known.map(rates).fold(rate, f64::max);
    steps.iter().enumerate().map(rates).map(move |of_step| ((of_step - rate) / best).clamp(0.0, 1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(tells: bool) -> Ladder {
        let mut ladder = Ladder::default();
        for round in 0..20_000u32 {
            let centred = if round % 2 == 0 { 1.0 } else { -1.0 };
            // One in 50 converts; where the lane tells, e² times as many of the one half as of the other.
            let every = if tells { if centred > 0.0 { 28 } else { 208 } } else { 50 };
            ladder.learn(math::logit(0.02), centred, (round / 2) % every == 0, 1.0);
        }
        ladder
    }

    #[test]
    fn the_slope_follows_the_goals_own_labels() {
        assert!((taught(true).slope - 1.0).abs() < 0.15, "{:?}", taught(true));
        assert!(taught(false).slope < 0.15, "{:?}", taught(false));
    }

    #[test]
    fn it_has_no_say_before_anybody_climbs() {
        let mut ladder = Ladder::default();
        assert_eq!((ladder.slope(), ladder.centre(-4.0)), (0.0, 0.0));
        ladder.climb(25.0);
        assert!((ladder.slope() - SLOPE / 2.0).abs() < 1e-12);
        for _ in 0..100_000 {
            ladder.show(-4.0, 2.0, 1.0);
        }
        assert!((ladder.centre(-4.0) - 2.0).abs() < 0.01);
    }

    #[test]
    fn steps_are_worth_what_they_lead_to() {
        let unknown = [Step { reached: 0.0, positive: 0.0 }; 3];
        let prior: Vec<f64> = worths(0.01, &unknown).collect();
        assert!(prior.is_sorted() && prior[0] > 0.0, "{prior:?}");
        let telling = [(1_000.0, 20.0), (300.0, 90.0), (100.0, 60.0)];
        let idle = [(1_000.0, 10.0), (300.0, 3.0), (100.0, 1.0)];
        let of = |steps: [(f64, f64); 3]| -> Vec<f64> {
            worths(0.01, &steps.map(|(reached, positive)| Step { reached, positive })).collect()
        };
        let worth = of(telling);
        assert!(worth[0] < 0.2 && (0.6..0.8).contains(&worth[1]) && worth[2] > 0.98, "{worth:?}");
        let worth = of(idle);
        assert!(worth[0] < 0.3, "{worth:?}");
        for steps in [[(1e300, 1e300); 3], [(1e-300, 1.0); 3], [(-5.0, -7.0); 3]] {
            assert!(of(steps).iter().all(|worth| (0.0..=1.0).contains(worth)), "{steps:?}");
        }
    }
}

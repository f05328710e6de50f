//! FTRL-proximal logistic regression with cached weights and forgetting.
//!
//! McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, algorithm 1. Per coordinate with
//! gradient g: σ = (√(n + g²) − √n) / α, z += g − σ w, n += g², and w = 0 where |z| ≤ λ₁, else
//! −(z − sgn(z) λ₁) / ((β + √n) / α + λ₂). Numbers are stored as f32 and computed as f64.
//!
//! *Forgetting*: when a slot is touched after a gap, n shrinks by the half-life and z with it so that w stays: the
//! weight is believed as before, but moves as fast as if less had been seen.
//!
//! *Delayed labels by retraction*: an impression is learned as negative at once, g = p·x, and its conversion later
//! takes that back as far as it was wrong, g = (p′ − 1 − p)·x with the then current p′. At fixed weights that is −x,
//! and the two sum to (p − 1)·x, the exact gradient of a positive. A retracted conversion adds the difference again.
//!
//! *Heads*: four such models learn side by side. Two see all features but the crosses, two see those too; of each pair
//! one learns at the full rate, for where there is much to learn from, the other at three tenths of it, for where
//! people are few and alike. A [`Mixture`](super::mixture::Mixture) says how far to believe each. Beside them stands
//! the [`ladder`](super::ladder)'s lane: same algorithm, same features but the crosses, other labels.

mod image;
mod slot;

pub use image::ImageFault;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use image::Walk;
use slot::{Known, Lanes, Slot, load};

use super::{HEADS, LADDER, LANES, PerLane};
use crate::exposure::{Feature, SLOT_BITS};
use crate::math;
use crate::settings::Learner as Parameters;
use crate::stats::decay::HalfLife;
use crate::units::Tick;

/// Learning rate of each head, and of the ladder, relative to the parameters' rate. The ladder's labels are many and
/// come soon.
const RATES: Lanes = Lanes { heads: [1.0, 0.3, 1.0, 0.3], ladder: [2.0] };
/// Which heads see crosses: 1 or 0. The ladder does not.
const SEES_CROSSES: [f32; HEADS] = [0.0, 0.0, 1.0, 1.0];
/// Seconds, as a power of two, by which a slot knows when it was last touched: 4.6 hours.
const TOUCH_SHIFT: u32 = 14;
/// Bits of a slot's stamp that hold the time of the last touch: enough for all of [`Tick`].
const TOUCH_BITS: u32 = 32 - TOUCH_SHIFT;
/// Smallest table: the bits of a feature's slot beyond the table's must fit into a stamp beside the time.
pub const TABLE_BITS_MIN: u8 = 10;
/// Largest table: all bits of a feature's slot.
pub const TABLE_BITS_MAX: u8 = SLOT_BITS as u8;
/// Bytes of one slot: a cache line.
pub const SLOT_BYTES: usize = size_of::<Slot>();
const USED: u32 = 1 << 31;
const COLLIDED: u32 = 1 << 30;

#[derive(Debug)]
struct Table {
    slots: Box<[Slot]>,
    bits: u32,
    /// 1 ÷ α.
    inverse_rates: Lanes,
    beta: f32,
    l1: f32,
    l2: f32,
    half_life: HalfLife,
}

/// The writer's handle.
#[derive(Debug)]
pub struct Learner {
    table: Arc<Table>,
    collisions: u64,
    /// While the table is handed out as it was at one moment.
    walk: Option<Box<Walk>>,
}

/// A reader's handle.
#[derive(Debug, Clone)]
pub struct Model {
    table: Arc<Table>,
}

/// What the lanes say of some features, each as far as it is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Σ wᵢ xᵢ, wᵢ summed over the lanes by their weights, added up in the order of the features.
    pub logit: f64,
    /// Σ xᵢ² / (β/α + λ₂ + nᵢ): the spread of the logit under a diagonal Laplace approximation, nᵢ standing in for the
    /// Fisher information. The heads' spreads are averaged by their weights, as they learn from the same examples; the
    /// ladder's is added, by the square of its weight.
    pub variance: f64,
}

/// One feature's part of a prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// wᵢ xᵢ, summed over the lanes by their weights.
    pub contribution: f64,
    /// Another feature has used this slot too, as far as the tag can tell.
    pub collided: bool,
}

impl Table {
    fn new(parameters: &Parameters) -> Table {
        let bits = u32::from(parameters.table_bits.clamp(TABLE_BITS_MIN, TABLE_BITS_MAX));
        let inverse = |rate: f32| 1.0 / (rate * parameters.alpha as f32);
        Table {
            slots: (0..1usize << bits).map(|_| Slot::default()).collect(),
            bits,
            inverse_rates: Lanes { heads: RATES.heads.map(inverse), ladder: RATES.ladder.map(inverse) },
            beta: parameters.beta as f32,
            l1: parameters.l1 as f32,
            l2: parameters.l2 as f32,
            half_life: HalfLife::new(parameters.half_life),
        }
    }

    fn place(&self, feature: Feature) -> usize {
        (feature.slot() & ((1 << self.bits) - 1)) as usize
    }

    fn slot(&self, feature: Feature) -> &Slot {
        &self.slots[self.place(feature)]
    }

    /// The stamp's tag and used flag for a feature.
    fn mark(&self, feature: Feature) -> u32 {
        USED | (feature.slot() >> self.bits) << TOUCH_BITS
    }

    fn is_collided(&self, slot: &Slot, feature: Feature) -> bool {
        let stamp = slot.stamp.load(Relaxed);
        stamp & COLLIDED != 0 || (stamp & USED != 0 && stamp >> TOUCH_BITS != self.mark(feature) >> TOUCH_BITS)
    }

    fn denominator<const N: usize>(&self, inverse_rates: &[f32; N], n: &[f32; N]) -> [f32; N] {
        std::array::from_fn(|lane| (self.beta + n[lane].sqrt()) * inverse_rates[lane] + self.l2)
    }

    /// What is known, with a part of n kept: z shrinks so that w stays.
    fn fade<const N: usize>(&self, inverse_rates: &[f32; N], known: &mut Known<N>, kept: f32) {
        let faded = known.n.map(|n| n * kept);
        let (before, after) = (self.denominator(inverse_rates, &known.n), self.denominator(inverse_rates, &faded));
        known.z = std::array::from_fn(|lane| known.z[lane] * (after[lane] / before[lane]));
        known.n = faded;
    }

    /// One step of each lane along its gradient. Where that is 0 nothing moves.
    fn step<const N: usize>(&self, inverse_rates: &[f32; N], known: &mut Known<N>, g: &[f32; N]) {
        for lane in 0..N {
            let more = known.n[lane] + g[lane] * g[lane];
            let sigma = (more.sqrt() - known.n[lane].sqrt()) * inverse_rates[lane];
            known.z[lane] += g[lane] - sigma * known.w[lane];
            known.n[lane] = more;
        }
        let (z, denominator) = (known.z, self.denominator(inverse_rates, &known.n));
        let beyond: [f32; N] = std::array::from_fn(|lane| -(z[lane] - self.l1.copysign(z[lane])) / denominator[lane]);
        known.w = std::array::from_fn(|lane| if z[lane].abs() <= self.l1 { 0.0 } else { beyond[lane] });
    }

    /// The weight of a feature, summed over the lanes by theirs.
    fn weight(&self, slot: &Slot, belief: &PerLane) -> f64 {
        let heads = load(&slot.w).map(f64::from);
        let [a, b, c, d]: [f64; HEADS] = std::array::from_fn(|head| heads[head] * belief[head]);
        ((a + c) + (b + d)) + f64::from(slot.ladder_number(2)) * belief[LADDER]
    }

    fn predict_beyond(&self, belief: &PerLane, before: Prediction, features: &[Feature]) -> Prediction {
        let prior = |inverse_rate: f32| self.beta * inverse_rate + self.l2;
        let (priors, ladder_prior) = (self.inverse_rates.heads.map(prior), prior(self.inverse_rates.ladder[0]));
        let mut prediction = before;
        let mut spreads = [0.0; LANES];
        for feature in features {
            let slot = self.slot(*feature);
            let x = f64::from(feature.value());
            prediction.logit += self.weight(slot, belief) * x;
            let n = load(&slot.n);
            let heads: [f32; HEADS] = std::array::from_fn(|head| 1.0 / (priors[head] + n[head]));
            let ladder = 1.0 / (ladder_prior + slot.ladder_number(1));
            for head in 0..HEADS {
                spreads[head] += x * x * f64::from(heads[head]);
            }
            spreads[LADDER] += x * x * f64::from(ladder);
        }
        let counted = (0..LANES).map(|lane| match lane {
            LADDER => belief[lane] * belief[lane] * spreads[lane],
            _ => belief[lane] * spreads[lane],
        });
        prediction.variance += counted.sum::<f64>();
        prediction
    }
}

impl Learner {
    /// A learner that has seen nothing: all weights are zero.
    pub fn new(parameters: &Parameters) -> Learner {
        Learner { table: Arc::new(Table::new(parameters)), collisions: 0, walk: None }
    }

    /// A reader of what this learner learns, from now on and as it happens.
    pub fn model(&self) -> Model {
        Model { table: Arc::clone(&self.table) }
    }

    /// Σ wᵢ xᵢ of each lane, in the order of the features.
    pub fn logits(&self, features: &[Feature]) -> PerLane {
        self.logits_beyond([0.0; LANES], features)
    }

    /// The same, on top of what features before them said: sums in the order of all.
    pub fn logits_beyond(&self, before: PerLane, features: &[Feature]) -> PerLane {
        let mut logits = before;
        for feature in features {
            let weights = self.table.slot(*feature).weights();
            let x = f64::from(feature.value());
            for lane in 0..LANES {
                logits[lane] += f64::from(weights[lane]) * x;
            }
        }
        logits
    }

    /// Moves the weights of each lane along its own gradient: coordinate i by gradient × xᵢ; those of gradient 0 stay.
    ///
    /// A gradient is p for a new negative, about −1 for a conversion of what was learned as negative, about +1 for its
    /// retraction; any finite number within ±2 is meant.
    pub fn learn(&mut self, features: &[Feature], gradients: PerLane, tick: Tick) {
        let [a, b, c, d, ladder] = gradients.map(|gradient| gradient as f32);
        let gradients = Lanes { heads: [a, b, c, d], ladder: [ladder] };
        for feature in features {
            self.step(*feature, gradients, tick);
        }
    }

    /// Goes on with other parameters: all weights stay what they are. The size of the table stays too.
    pub fn retune(&mut self, parameters: &Parameters) {
        self.keep_all();
        let old = &*self.table;
        let mut new = Table::new(&Parameters { table_bits: old.bits as u8, ..*parameters });
        let slots = std::mem::take(&mut new.slots);
        for (slot, from) in slots.iter().zip(&old.slots) {
            let (mut heads, mut ladder) = (from.heads(), from.ladder());
            retuned(&mut heads, (old, &old.inverse_rates.heads), (&new, &new.inverse_rates.heads));
            retuned(&mut ladder, (old, &old.inverse_rates.ladder), (&new, &new.inverse_rates.ladder));
            slot.stamp.store(from.stamp.load(Relaxed), Relaxed);
            slot.set_heads(heads);
            slot.set_ladder(ladder);
        }
        new.slots = slots;
        self.table = Arc::new(new);
    }

    /// Writes to each page of the table what stands there, so that the system finds memory for all of it now: 16 MB at
    /// the first example took 40 ms.
    pub fn warm(&mut self) {
        // Every 64th slot begins a page of 4 KB.
        self.table.slots.iter().step_by(64).for_each(|slot| slot.touch());
    }

    /// Updates that met a slot of another feature, as far as the tags can tell.
    pub fn collisions(&self) -> u64 {
        self.collisions
    }

    fn step(&mut self, feature: Feature, gradients: Lanes, tick: Tick) {
        self.keep(feature);
        let table = &*self.table;
        let slot = table.slot(feature);
        let stamp = slot.stamp.load(Relaxed);
        let touch = tick.0 >> TOUCH_SHIFT;
        let mut last = touch;
        let mut collided = false;
        let mut faded = None;
        if stamp & USED != 0 {
            last = stamp & ((1 << TOUCH_BITS) - 1);
            collided = table.is_collided(slot, feature);
            if touch > last {
                let kept = table.half_life.factor(Tick(last << TOUCH_SHIFT), Tick(touch << TOUCH_SHIFT));
                faded = Some(kept as f32);
            }
        }
        let mut g = Lanes {
            heads: gradients.heads.map(|gradient| gradient * feature.value()),
            ladder: gradients.ladder.map(|gradient| gradient * feature.value()),
        };
        if feature.is_cross() {
            g.heads = std::array::from_fn(|head| g.heads[head] * SEES_CROSSES[head]);
            g.ladder = [0.0];
        }
        // Lanes that neither fade nor move, as those that do not see a feature never do, are left alone.
        if faded.is_some() || g.heads != [0.0; HEADS] {
            let mut known = slot.heads();
            faded.iter().for_each(|kept| table.fade(&table.inverse_rates.heads, &mut known, *kept));
            table.step(&table.inverse_rates.heads, &mut known, &g.heads);
            slot.set_heads(known);
        }
        if faded.is_some() || g.ladder != [0.0] {
            let mut known = slot.ladder();
            faded.iter().for_each(|kept| table.fade(&table.inverse_rates.ladder, &mut known, *kept));
            table.step(&table.inverse_rates.ladder, &mut known, &g.ladder);
            slot.set_ladder(known);
        }
        self.collisions += u64::from(collided);
        let flag = if collided { COLLIDED } else { 0 };
        slot.stamp.store(table.mark(feature) | flag | last.max(touch), Relaxed);
    }
}

impl Model {
    /// The prediction of the weights as they are; a learner at work may have moved some of them already.
    ///
    /// `belief` is how far each lane counts: what a mixture says of the heads, and the ladder's slope.
    pub fn predict(&self, belief: &PerLane, features: &[Feature]) -> Prediction {
        self.predict_beyond(belief, Prediction { logit: 0.0, variance: 0.0 }, features)
    }

    /// The same, on top of what features before them said.
    pub fn predict_beyond(&self, belief: &PerLane, before: Prediction, features: &[Feature]) -> Prediction {
        self.table.predict_beyond(belief, before, features)
    }

    /// What each feature contributes, in the order of the features: the parts of [`Prediction::logit`].
    pub fn terms<'a>(&'a self, belief: &'a PerLane, features: &'a [Feature]) -> impl Iterator<Item = Term> + 'a {
        features.iter().map(|feature| {
            let slot = self.table.slot(*feature);
            Term {
                contribution: self.table.weight(slot, belief) * f64::from(feature.value()),
                collided: self.table.is_collided(slot, *feature),
            }
        })
    }
}

/// Takes on other parameters so that the weights stay.
fn retuned<const N: usize>(
    known: &mut Known<N>,
    (old, old_rates): (&Table, &[f32; N]),
    (new, new_rates): (&Table, &[f32; N]),
) {
    let (before, after) = (old.denominator(old_rates, &known.n), new.denominator(new_rates, &known.n));
    known.z = std::array::from_fn(|lane| known.z[lane] * (after[lane] / before[lane]));
}

/// Probability of a logit on top of an intercept.
pub fn probability(intercept: f64, logit: f64) -> f64 {
    math::sigmoid(intercept + logit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;
    use crate::units::Span;
    use proptest::prelude::*;

    const NOW: Tick = Tick(1_700_000_000);
    const EVEN: PerLane = [0.25, 0.25, 0.25, 0.25, 0.0];

    fn feature(name: u64) -> Feature {
        Feature::new(hash::mix(name, 7))
    }

    fn parameters() -> Parameters {
        Parameters { alpha: 0.1, ..Parameters::default() }
    }

    fn learner() -> Learner {
        Learner::new(&parameters())
    }

    fn predict(learner: &Learner, features: &[Feature]) -> Prediction {
        learner.model().predict(&EVEN, features)
    }

    /// Learns labels of two features that convert at different rates and returns the probabilities.
    fn rates(rounds: usize, delayed: bool) -> (f64, f64) {
        let mut learner = learner();
        let intercept = math::logit(0.1);
        for round in 0..rounds {
            for (name, every) in [(1, 2), (2, 20)] {
                let features = [feature(0), feature(name)];
                let p = learner.logits(&features).map(|logit| probability(intercept, logit));
                let positive = round % every == 0;
                if delayed {
                    learner.learn(&features, p, NOW);
                    if positive {
                        learner.learn(&features, [-1.0; LANES], NOW);
                    }
                } else {
                    learner.learn(&features, p.map(|p| p - f64::from(u8::from(positive))), NOW);
                }
            }
        }
        let p = |name| probability(intercept, predict(&learner, &[feature(0), feature(name)]).logit);
        (p(1), p(2))
    }

    #[test]
    fn learns_the_rates_at_once_or_by_retraction() {
        for delayed in [false, true] {
            let (often, rarely) = rates(20_000, delayed);
            assert!((often - 0.5).abs() < 0.06, "{often}, delayed {delayed}");
            assert!((rarely - 0.05).abs() < 0.02, "{rarely}, delayed {delayed}");
        }
    }

    #[test]
    fn first_step_is_the_formula_of_the_paper() {
        let mut learner = learner();
        learner.learn(&[feature(1)], [0.5; LANES], NOW);
        // n = 0.25, z = 0.5, w = −0.5 / ((1 + 0.5) / α + 1), α = 0.1 or 0.03.
        let [fast, slow] = [0.1, 0.03].map(|alpha| -0.5 / (1.5 / alpha + 1.0));
        let expected: f64 = (fast + slow) / 2.0;
        assert!((predict(&learner, &[feature(1)]).logit - expected).abs() < 1e-8);
        let half = feature(1).with_value_code(8);
        assert!((predict(&learner, &[half]).logit - expected / 2.0).abs() < 1e-8);
    }

    #[test]
    fn forgetting_keeps_the_weight_and_frees_it() {
        let parameters = Parameters { half_life: Span::days(1), ..parameters() };
        let mut learner = Learner::new(&parameters);
        for _ in 0..1_000 {
            learner.learn(&[feature(1)], [0.3; LANES], NOW);
        }
        let before = predict(&learner, &[feature(1)]);
        let later = Tick(NOW.0 + 20 * 86_400);
        learner.learn(&[feature(1)], [0.0; LANES], later);
        let after = predict(&learner, &[feature(1)]);
        assert!((after.logit - before.logit).abs() < 1e-3, "{} {}", after.logit, before.logit);
        assert!(after.variance > before.variance * 5.0);
    }

    #[test]
    fn another_feature_in_the_slot_is_noticed() {
        let mut learner = learner();
        let first = Feature::from_parts(5, 0).unwrap();
        let second = Feature::from_parts(5 | 1 << 20, 0).unwrap();
        learner.learn(&[first], [0.1; LANES], NOW);
        let collided = |learner: &Learner, feature| learner.model().terms(&EVEN, &[feature]).next().unwrap().collided;
        assert!(!collided(&learner, first) && collided(&learner, second));
        learner.learn(&[second], [0.1; LANES], NOW);
        assert!(collided(&learner, first) && collided(&learner, second));
        assert_eq!(learner.collisions(), 1);
    }

    #[test]
    fn crosses_are_for_the_heads_that_see_them() {
        let mut learner = learner();
        let cross = Feature::cross(hash::mix(1, 7));
        assert!(cross.is_cross() && !feature(1).is_cross());
        learner.learn(&[cross], [0.5; LANES], NOW);
        let logits = learner.logits(&[cross]);
        assert_eq!(logits.map(|logit| logit < 0.0), [false, false, true, true, false]);
    }

    #[test]
    fn terms_sum_to_the_logit() {
        let mut learner = learner();
        let features: Vec<Feature> = (0..40).map(feature).collect();
        for round in 0..50u8 {
            learner.learn(&features[usize::from(round % 30)..], [f64::from(round) / 100.0 - 0.2; LANES], NOW);
        }
        let sum: f64 = learner.model().terms(&EVEN, &features).map(|term| term.contribution).sum();
        assert_eq!(sum, predict(&learner, &features).logit);
    }

    proptest! {
        #[test]
        fn stays_finite_and_repeats_to_the_bit(
            steps in proptest::collection::vec((0u64..50, 0u8..16, -1.0f64..=1.0, 0u32..u32::MAX), 1..200),
        ) {
            let run = || {
                let mut learner = learner();
                for (name, code, gradient, tick) in &steps {
                    learner.learn(&[feature(*name).with_value_code(*code)], [*gradient; LANES], Tick(*tick));
                }
                let mut image = Vec::new();
                learner.image(&mut |number, bytes| image.push((number, bytes.to_vec())));
                (image, predict(&learner, &(0..50).map(feature).collect::<Vec<_>>()))
            };
            let (image, prediction) = run();
            prop_assert!(prediction.logit.is_finite() && prediction.variance > 0.0);
            prop_assert_eq!((image, prediction), run());
        }
    }
}

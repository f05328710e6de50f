//! Exponential decay on an absolute grid of time.
//!
//! A count is stored as of the last grid point before its last change. The grid has 64 points a half-life and is the
//! same for all counts of that half-life, so that decaying in many small steps gives the same factor as in one, and
//! an addition can be taken back exactly as far as it has faded.

use crate::math;
use crate::units::{Span, Tick};

/// Grid points of one half-life.
const GRID: u64 = 64;

/// 2^(−k/64).
const TABLE: [f64; GRID as usize] = {
    let mut table = [1.0; GRID as usize];
    let mut k = 1;
    while k < GRID as usize {
        table[k] = math::exp(-(k as f64) / GRID as f64 * std::f64::consts::LN_2);
        k += 1;
    }
    table
};

/// How fast something fades. At least a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfLife {
    seconds: u64,
}

impl HalfLife {
    /// The half-life of a span, rounded down to whole seconds, at least one.
    pub const fn new(span: Span) -> HalfLife {
        let seconds = span.whole_seconds();
        HalfLife { seconds: if seconds == 0 { 1 } else { seconds } }
    }

    /// What is left at `to` of 1 that was there at `from`; 1 when `to` is not later.
    pub fn factor(self, from: Tick, to: Tick) -> f64 {
        if to <= from {
            return 1.0;
        }
        let steps = self.grid(to) - self.grid(from);
        if steps == 0 {
            return 1.0;
        }
        let halvings = steps / GRID;
        if halvings > 1_000 {
            return 0.0;
        }
        let power = f64::from_bits((1023 - halvings) << 52);
        TABLE[(steps % GRID) as usize] * power
    }

    fn grid(self, tick: Tick) -> u64 {
        u64::from(tick.0) * GRID / self.seconds
    }
}

/// A count that fades.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Decayed {
    /// The count as of `tick`.
    pub value: f64,
    /// Last change.
    pub tick: Tick,
}

impl Decayed {
    /// The count as seen at a tick.
    pub fn at(&self, tick: Tick, half_life: HalfLife) -> f64 {
        self.value * half_life.factor(self.tick, tick)
    }

    /// Adds what happened at a tick, which may lie before the last change: then it has faded already.
    pub fn add(&mut self, amount: f64, tick: Tick, half_life: HalfLife) {
        if tick >= self.tick {
            self.value = self.at(tick, half_life) + amount;
            self.tick = tick;
        } else {
            self.value += amount * half_life.factor(tick, self.tick);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WEEK: HalfLife = HalfLife { seconds: 7 * 86_400 };

    #[test]
    fn half_is_left_after_a_half_life() {
        let start = Tick(1_700_000_000);
        for (days, left) in [(0, 1.0), (7, 0.5), (14, 0.25), (70, 1.0 / 1024.0)] {
            let factor = WEEK.factor(start, Tick(start.0 + days * 86_400));
            assert!((factor - left).abs() <= left * 0.011, "{days} days: {factor}");
        }
        assert_eq!(HalfLife::new(Span::seconds(1)).factor(Tick(0), Tick(u32::MAX)), 0.0);
    }

    proptest! {
        #[test]
        fn many_small_steps_equal_one(steps in proptest::collection::vec(1u32..5_000, 1..400)) {
            let start = Tick(1_700_000_000);
            let mut stepwise = Decayed { value: 1.0, tick: start };
            for step in &steps {
                stepwise.add(0.0, Tick(stepwise.tick.0 + step), WEEK);
            }
            let once = WEEK.factor(start, stepwise.tick);
            prop_assert!((stepwise.value - once).abs() < 1e-12, "{} {once}", stepwise.value);
        }

        #[test]
        fn order_of_arrival_does_not_matter(
            mut ticks in proptest::collection::vec(1_700_000_000u32..1_702_000_000, 1..50),
        ) {
            let fold = |ticks: &[u32]| {
                let mut count = Decayed::default();
                ticks.iter().for_each(|tick| count.add(1.0, Tick(*tick), WEEK));
                count.at(Tick(1_702_000_000), WEEK)
            };
            let arrived = fold(&ticks);
            ticks.sort_unstable();
            let sorted = fold(&ticks);
            prop_assert!((arrived - sorted).abs() < 1e-9, "{arrived} {sorted}");
        }

        #[test]
        fn what_was_added_can_be_taken_back(first in 0u32..1_000_000, later in 0u32..1_000_000) {
            let mut count = Decayed { value: 3.0, tick: Tick(1_700_000_000) };
            let (added, now) = (Tick(1_700_000_000 + first), Tick(1_700_000_000 + first + later));
            let expected = count.at(now, WEEK);
            count.add(1.0, added, WEEK);
            count.add(0.0, now, WEEK);
            count.add(-1.0, added, WEEK);
            prop_assert!((count.value - expected).abs() < 1e-12);
        }
    }
}

//! What was spent in each arm, from the whole list.

use inkling::engine::{Engine, FACTOR_BOUNDS};
use inkling::exposure::Arm;
use inkling::ids::{GoalCode, Id};
use inkling::units::Span;

use super::fading::{Fading, Sum};
use super::reference::Reference;

/// What was spent this long ago counts half.
const MEMORY: Span = Span::hours(12);

/// One impression whose cost, person and score are known.
pub struct Spent {
    pub advertiser: usize,
    pub goal: Id,
    pub arm: Arm,
    pub cost: i64,
    /// It begins to fade with the first minute after it arrived.
    pub minute: u64,
}

impl Reference {
    /// Once a minute the sums fade. What is not controlled is not remembered.
    pub fn tick_spend(&mut self) {
        let is_controlled = |spent: &Spent| {
            let goal = self.goal(spent.advertiser, &spent.goal);
            goal.is_some_and(|goal| goal.multiplier.spend_control)
        };
        let kept: Vec<bool> = self.spent.iter().map(is_controlled).collect();
        let mut kept = kept.into_iter();
        self.spent.retain(|_| kept.next().unwrap());
        if self.now / 60_000 != self.minute / 60 {
            self.minute = self.now / 1_000;
        }
    }
}

/// Compares the sums of one goal, and checks that its factor is one.
pub fn check(reference: &Reference, engine: &Engine, of: usize, goal: &Id, code: GoalCode) {
    let fading = Fading { now: reference.minute, half_life: MEMORY.whole_seconds(), ahead: 0 };
    let arms = reference.settings.arms.of(reference.of(of));
    let mut sums = [Sum::default(); 2];
    for spent in reference.spent.iter().filter(|one| one.advertiser == of && one.goal == *goal) {
        match spent.arm {
            Arm::Treated => sums[0].add(fading.factors(spent.minute), spent.cost as f64),
            Arm::Control => sums[1].add(fading.factors(spent.minute), spent.cost as f64),
            Arm::Holdout => {}
        }
    }
    let report = engine.spend(code).unwrap();
    let treated_share = 1.0 - arms.control_share - arms.holdout_share;
    fading.check(report.treated, sums[0], || format!("spent on treated people, {goal}"));
    if arms.control_share > 0.0 && treated_share > 0.0 {
        let unscaled = report.control * arms.control_share / treated_share;
        fading.check(unscaled, sums[1], || format!("spent on control, {goal}"));
    } else {
        assert_eq!((report.control, report.ratio), (0.0, None), "nobody to compare with, {goal}");
    }
    let is_known = sums.iter().all(|sum| sum.terms >= 16);
    assert!(report.ratio.is_none() || is_known, "told from too few people: {report:?}");
    // What follows spend times what makes multipliers 1 in the mean, which has the same bounds.
    let (least, most) = (FACTOR_BOUNDS.0 * FACTOR_BOUNDS.0, FACTOR_BOUNDS.1 * FACTOR_BOUNDS.1);
    assert!((least..=most).contains(&report.factor), "{report:?}");
    if let (Some(ratio), Some((low, high))) = (report.ratio, report.interval) {
        assert!(0.0 < low && low <= ratio && ratio <= high && high.is_finite(), "{report:?}");
    }
}

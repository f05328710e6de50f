//! Distinct users and lifts, worked out again from the lists of all deeds, impressions and conversions.

use std::collections::BTreeSet;

use inkling::engine::Engine;
use inkling::ids::{AdvertiserCode, GoalCode, Id};
use inkling::insight;
use inkling::stats::hyperloglog::{EXACT_MAX, STANDARD_ERROR};
use inkling::stats::lift::{Contrast, Lift};

use super::audit::Audit;
use super::fading::{Fading, Sum};
use super::history::position;
use super::outcomes::Shown;

impl Audit<'_> {
    /// Who did what, and as a member of what.
    pub fn users(&self, of: usize, code: AdvertiserCode) {
        let deeds = || self.reference.deeds.iter().filter(move |deed| deed.advertiser == of);
        let segments = self.reference.of(of).segments.iter().map(|one| Some(&one.id));
        for segment in segments.chain([None]) {
            let members = deeds().filter(|deed| segment.is_none_or(|segment| deed.segments.contains(segment)));
            let audience = self.engine.audience(code, segment.map(|segment| self.segment(code, segment))).unwrap();
            near(audience.users, &members.map(|deed| deed.person).collect(), || format!("acted as {segment:?}"));
        }
        for (action, _) in self.engine.audience(code, None).unwrap().actions {
            let name = self.engine.catalog().action_name(code, action).unwrap();
            let did = deeds().filter(|deed| deed.action == *name).map(|deed| deed.person);
            near(self.engine.users_of_action(code, action), &did.collect(), || format!("did {name}"));
        }
    }

    /// Who was shown what, and how much more often that led to something.
    pub fn effects(&self, of: usize, goal: &Id, code: GoalCode, fading: &Fading) {
        let advertiser = AdvertiserCode(of as u16);
        let catalog = self.engine.catalog();
        for report in insight::segment_reports(self.engine, code) {
            let name = report.segment.map(|segment| catalog.segment_name(advertiser, segment).unwrap());
            let is_member = |shown: &Shown| name.is_none_or(|name| shown.segments.contains(name));
            let at = || format!("members of {name:?} for {goal}");
            let reached = self.shown(of, goal).filter(|shown| is_member(shown)).filter_map(|shown| shown.shown_to);
            near(report.users, &reached.collect(), || format!("were shown as {}", at()));
            let Some(segment) = report.segment else {
                assert_eq!(report.lift, None, "everybody beside nobody");
                continue;
            };
            let contrast = self.engine.contrast_of_segment(code, segment).unwrap();
            self.contrast(of, goal, fading, &contrast, is_member, at);
            same(report.lift, lift(&contrast), at);
            let is_external = name.is_some_and(|name| catalog.external(advertiser, name.as_str()).is_some());
            let members = self.engine.audience(advertiser, report.segment).unwrap().users;
            assert_eq!(report.members, (!is_external).then_some(members), "{}", at());
        }
        self.actions(of, goal, code, fading);
    }

    fn actions(&self, of: usize, goal: &Id, code: GoalCode, fading: &Fading) {
        let advertiser = AdvertiserCode(of as u16);
        let effects = insight::actions(self.engine, code);
        let done: BTreeSet<_> = effects.iter().map(|effect| effect.action.action).collect();
        let acted = self.engine.audience(advertiser, None).unwrap().actions;
        assert_eq!(done, acted.iter().map(|(action, _)| *action).collect(), "actions of {goal}");
        let place = |effect: &insight::ActionEffect| match effect.action.position {
            Some(position) => (position.into(), 0.0),
            None => (u32::MAX, -effect.action.count),
        };
        assert!(effects.is_sorted_by(|one, next| place(one).0 < u32::MAX || place(one).1 <= place(next).1 + 1e-6));
        assert!(effects.is_sorted_by_key(|effect| place(effect).0), "not in the order of the ladder: {effects:?}");
        for effect in effects {
            let name = self.engine.catalog().action_name(advertiser, effect.action.action).unwrap();
            let ladder = position(self.reference.of(of), name);
            assert_eq!(effect.action.position.unwrap_or(0), ladder, "{name}");
            let contrast = self.engine.contrast_of_action(code, effect.action.action).unwrap();
            let at = || format!("who had done {name} before {goal}");
            self.contrast(of, goal, fading, &contrast, |shown| shown.done.contains(name), at);
            same(effect.lift, lift(&contrast), at);
            assert_eq!((effect.impressions, effect.positives), (contrast.with.trials, contrast.with.positives));
        }
    }

    fn shown(&self, of: usize, goal: &Id) -> impl Iterator<Item = &Shown> {
        self.reference.impressions.iter().filter(move |shown| shown.advertiser == of && shown.goal == *goal)
    }

    /// Impressions to known people that were learned from: those of a part, and all.
    fn contrast(
        &self,
        of: usize,
        goal: &Id,
        fading: &Fading,
        contrast: &Contrast,
        is_part: impl Fn(&Shown) -> bool,
        at: impl Fn() -> String,
    ) {
        let [mut trials, mut positives, mut all_trials, mut all_positives] = [Sum::default(); 4];
        for shown in self.shown(of, goal).filter(|shown| shown.is_learned && shown.shown_to.is_some()) {
            let (factors, label) = (fading.factors(shown.shown_at / 1_000), f64::from(u8::from(shown.standing > 0)));
            all_trials.add(factors, 1.0);
            all_positives.add(factors, label);
            if is_part(shown) {
                trials.add(factors, 1.0);
                positives.add(factors, label);
            }
        }
        let Contrast { with, without } = contrast;
        fading.check(with.trials, trials, || format!("impressions to {}", at()));
        fading.check(with.positives, positives, || format!("positives of {}", at()));
        fading.check(with.trials + without.trials, all_trials, || format!("impressions beside {}", at()));
        fading.check(with.positives + without.positives, all_positives, || format!("positives beside {}", at()));
    }
}

/// A distinct count beside the set of all that were to be counted.
fn near(count: u64, people: &BTreeSet<u64>, what: impl Fn() -> String) {
    let exact = people.len() as f64;
    let error = if people.len() <= EXACT_MAX { 0.0 } else { 6.0 * STANDARD_ERROR * exact };
    assert!((count as f64 - exact).abs() <= error, "{count}, not {exact} people {}", what());
}

/// Ratio of two rates under half a positive at the common rate, and where 95 % of its normal logarithm lie.
#[expect(clippy::disallowed_methods, reason = "the standard library is the reference here")]
fn lift(contrast: &Contrast) -> Option<[f64; 3]> {
    let groups = [contrast.with, contrast.without];
    let (trials, positives) = (groups[0].trials + groups[1].trials, groups[0].positives + groups[1].positives);
    if groups.iter().any(|group| group.trials < 0.5) || positives <= 0.0 {
        return None;
    }
    let misses = (0.5 * trials / positives - 0.5).max(0.5);
    let [with, without] = groups.map(|group| {
        let (hits, all) = (group.positives.clamp(0.0, group.trials) + 0.5, group.trials + 0.5 + misses);
        (hits / all, (all - hits) / hits / (all + 1.0))
    });
    let factor = (1.96 * (with.1 + without.1).sqrt()).exp();
    let ratio = with.0 / without.0;
    Some([ratio, ratio / factor, ratio * factor])
}

fn same(engine: Option<Lift>, expected: Option<[f64; 3]>, what: impl Fn() -> String) {
    let engine = engine.map(|lift| [lift.ratio, lift.low, lift.high]);
    let near = |(one, other): (f64, f64)| (one - other).abs() <= 1e-9 * other;
    let is_same = match (engine, expected) {
        (Some(engine), Some(expected)) => engine.into_iter().zip(expected).all(near),
        (engine, expected) => engine.is_none() && expected.is_none(),
    };
    assert!(is_same, "{engine:?}, not {expected:?}: lift of {}", what());
}

/// Lifts that can be told in a state, of segments and actions.
pub fn known(engine: &Engine) -> usize {
    let goals = (0..engine.catalog().goals().len()).map(|goal| GoalCode(goal as u16));
    let of = |goal| {
        let segments = insight::segment_reports(engine, goal).into_iter().filter(|report| report.lift.is_some());
        let actions = insight::actions(engine, goal).into_iter().filter(|effect| effect.lift.is_some());
        segments.count() + actions.count()
    };
    goals.map(of).sum()
}

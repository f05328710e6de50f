//! One factor for a campaign that is after several goals.

use super::exploration::Draw;
use super::multiplier::{Factors, LnRatio, factor};
use crate::exposure::Arm;
use crate::math;
use crate::settings::Multiplier;
use crate::signal::{Combined, NEUTRAL, Neutral, Part, Signal, Suppression};

/// One goal of an objective, as it was scored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored<'a> {
    pub signal: &'a Signal,
    pub doubt: Doubt,
    /// What a conversion is worth beside those of the other goals, above 0.
    pub weight: f64,
    pub settings: &'a Multiplier,
}

/// How uncertain a goal's probability is, and what is made of that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Doubt {
    /// Spread of the difference between the log-odds of the probability and of what that is compared with.
    pub variance: f64,
    /// Part of the logarithm of their ratio that is not believed.
    pub doubted: f64,
    /// How the opportunity is explored, where it is.
    pub draw: Option<Draw>,
    /// Why the goal is neutral by itself, whatever arm the person is in.
    pub neutral: Option<Neutral>,
}

impl Scored<'_> {
    /// Why the goal would be neutral if the person were treated.
    fn neutral(&self) -> Option<Neutral> {
        match self.signal.neutral {
            Some(Neutral::ControlArm) => self.doubt.neutral,
            by_itself => by_itself,
        }
    }
}

/// Combines the expected worth of several goals, Σ w p, never their factors: each of those would pay for the same
/// impression again.
///
/// ρ = Σ w q / Σ w b, with b the probability that the base bid pays for and q the goal's own, as far as it is believed,
/// or b again where a rule makes that goal neutral by itself. ln ρ is shrunk by the square of Σ a (1 − p) √Var,
/// a = w q / Σ w q being a goal's share: the delta method with errors of all goals taken to go together, which is the
/// most that their sum can be off by. Exponent, prior variance, spend factor, bounds and draw are those of the goal
/// with the largest weight, the first of equals. With one goal this is that goal's own multiplier.
///
/// `weight` is that of the person's segments. `None` where no goal is given.
pub(super) fn combine(goals: &[Scored<'_>], weight: f64) -> Option<Combined> {
    let lead = goals.iter().rev().max_by(|one, other| one.weight.total_cmp(&other.weight))?;
    let believed = |goal: &Scored<'_>| match goal.neutral() {
        None => goal.signal.p_conversion * math::exp(-goal.doubt.doubted),
        Some(_) => goal.signal.baseline,
    };
    let sum = |of: &dyn Fn(&Scored<'_>) -> f64| goals.iter().map(|goal| goal.weight * of(goal)).sum::<f64>();
    let (worth, baseline) = (sum(&believed), sum(&|goal| goal.signal.baseline));
    let doubt = |goal: &Scored<'_>| match goal.neutral() {
        None => believed(goal) / worth * (1.0 - goal.signal.p_conversion) * goal.doubt.variance.sqrt(),
        Some(_) => 0.0,
    };
    let doubt = sum(&doubt);
    let neutral = goals.iter().all(|goal| goal.neutral().is_some()).then_some(lead.neutral()).flatten();
    let ratio = LnRatio { mean: math::ln(worth) - math::ln(baseline), variance: doubt * doubt };
    let factors = Factors { weight, spend: lead.signal.spend_factor };
    let part = |goal: &Scored<'_>| Part {
        goal: goal.signal.goal,
        weight: goal.weight,
        gain: match goal.neutral() {
            None => goal.weight * (goal.signal.p_conversion - goal.signal.baseline) / baseline,
            Some(_) => 0.0,
        },
    };
    let (treated_multiplier, explored) = match neutral {
        Some(_) => (NEUTRAL, None),
        None => factor(lead.settings, ratio, factors, lead.doubt.draw),
    };
    let is_control = lead.signal.arm == Arm::Control;
    Some(Combined {
        multiplier: if is_control { NEUTRAL } else { treated_multiplier },
        treated_multiplier,
        lead: lead.signal.goal,
        explored: explored.filter(|_| !is_control),
        suppress: suppression(goals),
        expected: sum(&|goal| goal.signal.p_conversion),
        interval: (sum(&|goal| goal.signal.interval.0), sum(&|goal| goal.signal.interval.1)),
        baseline,
        neutral: if is_control { Some(Neutral::ControlArm) } else { neutral },
        arm: lead.signal.arm,
        parts: goals.iter().map(part).collect(),
    })
}

/// Not to bid where no goal is to be bid for. Held out is who would otherwise get an ad for one of them.
fn suppression(goals: &[Scored<'_>]) -> Option<Suppression> {
    let all: Option<Vec<Suppression>> = goals.iter().map(|goal| goal.signal.suppress).collect();
    all.and_then(|all| all.into_iter().max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::multiplier::{Base, multiplier};
    use crate::ids::GoalCode;
    use crate::signal::Readiness;
    use crate::units::Micros;
    use proptest::prelude::*;

    const ALONE: Factors = Factors { weight: 1.0, spend: 1.0 };

    fn signal(goal: u16, p: f64, baseline: f64, neutral: Option<Neutral>) -> Signal {
        Signal {
            goal: GoalCode(goal),
            multiplier: 1.0,
            treated_multiplier: 1.0,
            spend_factor: 1.0,
            explored: None,
            suppress: None,
            p_conversion: p,
            interval: (p * 0.5, p + 0.5 * (1.0 - p)),
            baseline,
            expected_value: Micros(0),
            stage: None,
            segments: Default::default(),
            readiness: Readiness::Ready,
            neutral,
            arm: Arm::Treated,
            logit: 0.0,
            correction: 0.0,
            intercept: 0.0,
            reasons: Vec::new(),
        }
    }

    fn unexplored(variance: f64) -> Doubt {
        Doubt { variance, ..Doubt::default() }
    }

    /// Goals as (probability, baseline, variance, weight).
    fn combined(goals: &[(f64, f64, f64, f64)], settings: &Multiplier) -> Combined {
        let numbered = goals.iter().zip(0..);
        let signals: Vec<Signal> = numbered.map(|((p, base, ..), goal)| signal(goal, *p, *base, None)).collect();
        let scored = signals.iter().zip(goals);
        let scored: Vec<_> = scored
            .map(|(signal, (_, _, variance, weight))| Scored {
                signal,
                doubt: unexplored(*variance),
                weight: *weight,
                settings,
            })
            .collect();
        combine(&scored, 1.0).unwrap()
    }

    #[test]
    fn worths_are_added_up_and_factors_are_not_multiplied() {
        let settings = Multiplier::default();
        let both_double = combined(&[(0.02, 0.01, 0.0, 1.0), (0.2, 0.1, 0.0, 0.2)], &settings);
        assert!((both_double.multiplier - 2.0).abs() < 1e-9, "not 4: {both_double:?}");
        assert!((both_double.expected - 0.06).abs() < 1e-12 && (both_double.baseline - 0.03).abs() < 1e-12);
        let one_doubles = combined(&[(0.02, 0.01, 0.0, 1.0), (0.1, 0.1, 0.0, 0.2)], &settings);
        assert!((one_doubles.multiplier - 4.0 / 3.0).abs() < 1e-9, "0.04 ÷ 0.03: {one_doubles:?}");
        let against = combined(&[(0.02, 0.01, 0.0, 1.0), (0.05, 0.1, 0.0, 0.2)], &settings);
        assert!((against.multiplier - 1.0).abs() < 1e-9, "what one gains the other loses: {against:?}");
        let gains: Vec<f64> = against.parts.iter().map(|part| (part.gain * 1e9).round() / 1e9).collect();
        assert_eq!(gains, [0.333333333, -0.333333333]);
        assert_eq!(combine(&[], 1.0), None);
    }

    #[test]
    fn a_goal_that_is_neutral_changes_nothing_and_all_that_are_make_it_neutral() {
        let settings = Multiplier::default();
        let ready = signal(0, 0.02, 0.01, None);
        let cold = signal(1, 0.3, 0.1, Some(Neutral::Support));
        let scored = |signal, weight| Scored { signal, doubt: unexplored(0.5), weight, settings: &settings };
        let mixed = combine(&[scored(&ready, 1.0), scored(&cold, 0.2)], 1.0).unwrap();
        assert!(mixed.multiplier > 1.0 && mixed.multiplier < 4.0 / 3.0 && mixed.parts[1].gain == 0.0, "{mixed:?}");
        let none = combine(&[scored(&cold, 1.0), scored(&cold, 0.2)], 1.5).unwrap();
        assert_eq!((none.multiplier, none.neutral), (NEUTRAL, Some(Neutral::Support)));
    }

    #[test]
    fn who_is_in_control_is_told_the_same_parts_and_bid_for_at_1() {
        let settings = Multiplier::default();
        let treated = signal(0, 0.02, 0.01, None);
        let control = Signal { arm: Arm::Control, ..signal(0, 0.02, 0.01, Some(Neutral::ControlArm)) };
        let [treated, control] = [&treated, &control].map(|signal| {
            let scored = Scored { signal, doubt: unexplored(0.5), weight: 1.0, settings: &settings };
            combine(&[scored], 1.0).unwrap()
        });
        assert!(control.parts == treated.parts && control.parts[0].gain > 0.9, "{control:?}");
        let told = (control.multiplier, control.treated_multiplier, control.neutral);
        assert_eq!(told, (NEUTRAL, treated.multiplier, Some(Neutral::ControlArm)));
    }

    #[test]
    fn it_is_explored_where_the_weightiest_goal_is() {
        let settings = Multiplier::default();
        let goals = [(0.02, 0.01), (0.1, 0.05)].map(|(p, base)| signal(0, p, base, None));
        let draw = Some(Draw { share: 0.01, normal: 0.4 });
        let combined = |draws: [Option<Draw>; 2]| {
            let scored = |(signal, (draw, weight))| Scored {
                signal,
                doubt: Doubt { draw, ..unexplored(0.3) },
                weight,
                settings: &settings,
            };
            let scored: Vec<_> = goals.iter().zip(draws.into_iter().zip([1.0, 0.2])).map(scored).collect();
            combine(&scored, 1.0).unwrap()
        };
        let (plain, other, lead) = (combined([None; 2]), combined([None, draw]), combined([draw, None]));
        assert_eq!(plain, other);
        let told = lead.explored.unwrap();
        let from_mean = math::ln(plain.multiplier) - told.ln_deviation * told.ln_deviation / 2.0;
        assert!((told.ln_mean - from_mean).abs() < 1e-12 && told.share == 0.01, "{told:?}");
        assert!((math::ln(lead.multiplier) - (told.ln_mean + 0.4 * told.ln_deviation)).abs() < 1e-12, "{lead:?}");
        let (multiplier, treated_multiplier) = (plain.multiplier, plain.treated_multiplier);
        assert_eq!(lead.multiplier, lead.treated_multiplier);
        assert_eq!(Combined { multiplier, treated_multiplier, explored: None, ..lead }, plain, "all else stays");
    }

    #[test]
    fn it_is_suppressed_where_all_goals_are() {
        let settings = Multiplier::default();
        let (just, held) = (Some(Suppression::JustConverted), Some(Suppression::Holdout));
        for (one, other, expected) in
            [(None, None, None), (just, None, None), (just, just, just), (just, held, held), (held, held, held)]
        {
            let signals = [one, other].map(|suppress| Signal { suppress, ..signal(0, 0.02, 0.01, None) });
            let scored = |signal| Scored { signal, doubt: unexplored(0.0), weight: 1.0, settings: &settings };
            assert_eq!(combine(&signals.each_ref().map(scored), 1.0).unwrap().suppress, expected);
        }
    }

    proptest! {
        #[test]
        fn one_goal_alone_is_its_own_multiplier(
            p in 1e-6f64..0.999,
            base in 1e-6f64..0.999,
            (variance, doubted) in (0.0f64..9.0, -3.0f64..3.0),
            weight in 0.001f64..1_000.0,
        ) {
            let settings = Multiplier::default();
            let (own, _) = multiplier(&settings, p, Base { p: base, variance, doubted }, ALONE, None);
            let signal = signal(0, p, base, None);
            let doubt = Doubt { doubted, ..unexplored(variance) };
            let scored = Scored { signal: &signal, doubt, weight, settings: &settings };
            let combined = combine(&[scored], 1.0).unwrap().multiplier;
            prop_assert!((combined / own - 1.0).abs() < 1e-9, "{combined} {own}");
        }

        #[test]
        fn it_stays_between_the_goals_own_and_gains_sum_to_the_ratio(
            goals in proptest::collection::vec((1e-6f64..0.999, 1e-6f64..0.999, 0.0f64..9.0, 0.001f64..1_000.0), 1..6),
        ) {
            let settings = Multiplier { min: 0.01, max: 10.0, ..Multiplier::default() };
            let sure: Vec<_> = goals.iter().map(|(p, base, _, weight)| (*p, *base, 0.0, *weight)).collect();
            let own = sure.iter().map(|(p, base, ..)| {
                multiplier(&settings, *p, Base { p: *base, variance: 0.0, doubted: 0.0 }, ALONE, None).0
            });
            let (least, most) = own.fold((f64::MAX, 0.0f64), |(low, high), one| (low.min(one), high.max(one)));
            let certain = combined(&sure, &settings);
            prop_assert!((least * (1.0 - 1e-9)..=most * (1.0 + 1e-9)).contains(&certain.multiplier), "{certain:?}");
            let doubted = combined(&goals, &settings);
            let [near, far] = [&doubted, &certain].map(|one| math::ln(one.multiplier).abs());
            prop_assert!(near <= far + 1e-9, "doubt brings it nearer to 1: {doubted:?} {certain:?}");
            let gains: f64 = certain.parts.iter().map(|part| part.gain).sum();
            let ratio = certain.expected / certain.baseline;
            prop_assert!((1.0 + gains - ratio).abs() <= 1e-9 * ratio, "{certain:?}");
            let (low, high) = certain.interval;
            prop_assert!(low <= certain.expected && certain.expected <= high, "{certain:?}");
        }
    }
}

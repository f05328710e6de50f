//! Scores: the same bits from equal states, and what they say of the person is what the reference says.

use std::collections::BTreeSet;

use inkling::engine::Engine;
use inkling::exposure::Arm;
use inkling::ids::{AdvertiserCode, Id};
use inkling::math;
use inkling::opportunity::{PrivacyMode, ScoreRequest};
use inkling::settings::{Baseline, MULTIPLIER_BOUNDS, Multiplier};
use inkling::signal::{Explored, NEUTRAL, Neutral, Readiness, Scored, Signal, Suppression};
use inkling::units::{Span, Timestamp};

use super::reference::Reference;
use super::stories::Stories;
use super::trial::dealt;

/// Asks an engine that has published what it applied, and the twin that has done so in lock-step.
pub fn check(reference: &Reference, engine: &Engine, twin: Option<&Engine>, stories: &mut Stories) {
    let at = Timestamp(reference.now);
    for _ in 0..5 {
        let request = stories.request();
        let answer = engine.scorer().score(at, &request);
        let scored = answer[0].as_ref().unwrap();
        if let Some(twin) = twin {
            let theirs = twin.scorer().score(at, &request);
            assert_eq!(answer, theirs, "{request:?}");
            let bits = |signal: &Signal| [signal.logit, signal.multiplier, signal.baseline].map(f64::to_bits);
            let theirs = theirs[0].as_ref().unwrap().signals.iter().map(bits);
            assert!(scored.signals.iter().map(bits).eq(theirs), "{request:?}");
        }
        let of = reference.advertiser(&request.targets[0].advertiser).unwrap();
        check_answer(reference, engine, of, &request, scored);
    }
}

fn check_answer(reference: &Reference, engine: &Engine, of: usize, request: &ScoreRequest, scored: &Scored) {
    let is_full = request.privacy == PrivacyMode::Full;
    let people: Vec<u64> = request.users.iter().filter(|_| is_full).map(|user| reference.root(*user)).collect();
    let with_profile = people.iter().find(|person| reference.histories.contains_key(&(**person, of)));
    let person = with_profile.or(people.first()).copied();
    let exposure = scored.exposure.as_ref().unwrap();
    assert_eq!(exposure.user.map(|user| user.0), person);

    let known = &reference.of(of).externals;
    let named = request.segments.iter().filter(|name| known.iter().any(|known| known.id == **name));
    let externals: Vec<Id> = named.cloned().collect();
    let tick = reference.now / 1_000;
    let mut segments = person.map(|person| reference.rule_segments(of, person, &externals, tick)).unwrap_or_default();
    segments.extend(externals);
    let history = person.map(|person| reference.history(of, person)).unwrap_or_default();
    let life = history.life();
    let catalog = engine.catalog();
    let advertiser = AdvertiserCode(of as u16);
    check_combined(reference, engine, of, request, scored);
    for signal in &scored.signals {
        let name = |code| catalog.segment_name(advertiser, code).unwrap().clone();
        let names: BTreeSet<Id> = signal.segments.iter().map(|code| name(*code)).collect();
        assert_eq!(names, segments, "{request:?}: {life:?}");
        assert_eq!(names.len(), signal.segments.len(), "{:?}", signal.segments);
        let goal = catalog.goal_setting(signal.goal).unwrap();
        let furthest = goal.milestones.iter().rev().find(|milestone| !life.times(milestone).is_empty());
        let stage = signal.stage.map(|action| catalog.action_name(advertiser, action).unwrap());
        assert_eq!(stage, furthest, "{life:?}");
        let is_held = person.is_some_and(|person| reference.quarantined_until(of, person, tick).is_some());
        check_numbers(signal, &goal.multiplier, request.targets[0].base_p, is_held, person);
        let score = scored.exposure.as_ref().unwrap().goals.iter().find(|score| score.goal == signal.goal);
        let parts = scored.combined.iter().flat_map(|combined| &combined.parts);
        if parts.into_iter().all(|part| part.goal != signal.goal) {
            let sealed = (signal.treated_multiplier as f32, signal.explored.is_some());
            assert!(score.is_none_or(|score| (score.multiplier, score.is_explored) == sealed), "{signal:?}");
        }
        let rest = goal.suppress_after_conversion.map(Span::whole_seconds);
        let latest = history.latest_by_goal.get(&goal.id);
        let is_resting = rest.zip(latest).is_some_and(|(rest, latest)| tick.saturating_sub(*latest) <= rest);
        let is_held_out = (signal.arm == Arm::Holdout).then_some(Suppression::Holdout);
        let suppress = if is_resting { Some(Suppression::JustConverted) } else { is_held_out };
        assert_eq!(signal.suppress, suppress, "{history:?}");
        assert_eq!(Some(signal.readiness), engine.goal_readiness(signal.goal));
        let shares = reference.settings.arms.of(reference.of(of));
        assert_eq!(signal.arm, person.map_or(Arm::Treated, |person| dealt(&shares, person)));
    }
}

/// One factor where the campaign's goals were all asked for: its worth is that of the goals, added up.
fn check_combined(reference: &Reference, engine: &Engine, of: usize, request: &ScoreRequest, scored: &Scored) {
    let target = &request.targets[0];
    let campaign = &reference.of(of).campaigns[0];
    let weighed = |(goal, weight): &(Id, f64)| {
        let code = engine.catalog().goal(AdvertiserCode(of as u16), goal.as_str()).unwrap();
        scored.signals.iter().find(|signal| signal.goal == code).map(|signal| (signal, *weight))
    };
    let goals: Option<Vec<_>> = campaign.objective.iter().map(weighed).collect();
    let Some(goals) = goals.filter(|_| target.campaign.is_some()) else {
        assert_eq!(scored.combined, None);
        return;
    };
    let combined = scored.combined.as_ref().unwrap();
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-12 * other.abs();
    let expected: f64 = goals.iter().map(|(signal, weight)| weight * signal.p_conversion).sum();
    let baseline: f64 = goals.iter().map(|(signal, weight)| weight * signal.baseline).sum();
    assert!(near(combined.expected, expected) && near(combined.baseline, baseline), "{combined:?}");
    assert_eq!(combined.neutral.is_some(), goals.iter().all(|(signal, _)| signal.neutral.is_some()), "{combined:?}");
    assert_eq!(combined.suppress.is_some(), goals.iter().all(|(signal, _)| signal.suppress.is_some()), "{combined:?}");
    let heaviest = goals.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let lead = goals.iter().find(|(_, weight)| *weight == heaviest).unwrap().0;
    let Multiplier { min, max, .. } = engine.catalog().goal_setting(lead.goal).unwrap().multiplier;
    let within = (min..=max).contains(&combined.multiplier);
    assert!(if combined.neutral.is_some() { combined.multiplier == NEUTRAL } else { within }, "{combined:?}");
    assert_eq!(combined.explored.is_some(), lead.explored.is_some(), "{combined:?}: {lead:?}");
    assert_eq!(combined.lead, lead.goal);
    // The lead's bid was the combined one; what the others would have asked for was not bid.
    for score in &scored.exposure.as_ref().unwrap().goals {
        let of = combined.parts.iter().any(|part| part.goal == score.goal);
        let is_lead = score.goal == combined.lead;
        let bid = is_lead.then_some(f64::from(combined.treated_multiplier as f32));
        assert!(!of || score.bid() == bid, "{score:?} of {combined:?}");
        assert!(!of || score.is_explored == (is_lead && combined.explored.is_some()), "{score:?} of {combined:?}");
    }
    assert!(combined.neutral.is_some() || combined.multiplier == combined.treated_multiplier, "{combined:?}");
    let gains: f64 = combined.parts.iter().map(|part| part.gain).sum();
    let is_gained = goals.iter().all(|(signal, _)| signal.neutral.is_none());
    assert!(!is_gained || (1.0 + gains - expected / baseline).abs() < 1e-9 * expected / baseline, "{combined:?}");
    assert!(combined.parts.iter().map(|part| part.weight).eq(goals.iter().map(|(_, weight)| *weight)));
}

/// Only who is treated, known and not neutral is explored, and the multiplier is one that may be drawn.
fn check_explored(signal: &Signal, multiplier: &Multiplier, person: Option<u64>) {
    let Some(Explored { share, ln_mean, ln_deviation }) = signal.explored else { return };
    assert!(signal.arm == Arm::Treated && signal.neutral.is_none() && person.is_some(), "{signal:?}");
    assert!(share == multiplier.exploration && ln_deviation > 0.0, "{signal:?}");
    let furthest = (ln_mean - 9.0 * ln_deviation, ln_mean + 9.0 * ln_deviation);
    let bound = |ln: f64| math::exp(ln).clamp(multiplier.min, multiplier.max);
    assert!((bound(furthest.0)..=bound(furthest.1)).contains(&signal.multiplier), "{signal:?}");
}

fn check_numbers(signal: &Signal, multiplier: &Multiplier, base_p: Option<f64>, is_held: bool, person: Option<u64>) {
    let Multiplier { baseline, min, max, .. } = *multiplier;
    let neutral = match signal.readiness {
        _ if signal.arm == Arm::Control => Some(Neutral::ControlArm),
        _ if is_held => Some(Neutral::Quarantined),
        Readiness::Ready if baseline == Baseline::Request && base_p.is_none() => Some(Neutral::NoBaseP),
        Readiness::Ready => None,
        _ => Some(Neutral::Support),
    };
    if baseline == Baseline::Request {
        assert_eq!(signal.baseline, base_p.unwrap_or(signal.p_conversion), "{signal:?}");
    }
    assert_eq!(signal.neutral, neutral, "{signal:?}");
    let is_as_treated = signal.multiplier == signal.treated_multiplier || signal.arm == Arm::Control;
    assert!(is_as_treated && (signal.spend_factor == 1.0 || signal.readiness == Readiness::Ready), "{signal:?}");
    let within = (min.max(MULTIPLIER_BOUNDS.0)..=max.min(MULTIPLIER_BOUNDS.1)).contains(&signal.multiplier);
    assert!(if neutral.is_some() { signal.multiplier == NEUTRAL } else { within }, "{signal:?}");
    check_explored(signal, multiplier, person);
    let (low, high) = signal.interval;
    let is_ordered = 0.0 < low && low <= signal.p_conversion && signal.p_conversion <= high && high < 1.0;
    assert!(is_ordered, "{signal:?}");
    let sum = signal.intercept + signal.reasons.iter().map(|reason| reason.contribution).sum::<f64>();
    let size = signal.intercept.abs() + signal.reasons.iter().map(|reason| reason.contribution.abs()).sum::<f64>();
    assert!((sum - signal.logit).abs() <= 1e-12 * size, "{sum}: {signal:?}");
    assert!(signal.reasons.is_sorted_by(|one, next| one.contribution.abs() >= next.contribution.abs()), "{signal:?}");
    for (place, reason) in signal.reasons.iter().enumerate() {
        assert!(signal.reasons[..place].iter().all(|other| other.about != reason.about), "told twice: {signal:?}");
    }
}

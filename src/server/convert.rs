//! From the vocabulary to the wire, and from errors to gRPC's codes: the one place that knows both.

use tonic::{Code, Status};

use super::counters::CounterLine;
use super::queue::Refused;
use super::words;
use crate::engine::{Applied, ArmPeople, Catalog, ClassCounts, Incrementality, SpendReport};
use crate::exposure::Arm;
use crate::ids::{AdvertiserCode, GoalCode, Id};
use crate::insight;
use crate::opportunity::ScoreRequest;
use crate::pb::v1 as pb;
use crate::rejection::Rejection;
use crate::signal::{Combined, Explored, Neutral, Part, Readiness, Reason, Signal, Suppression};
use crate::stats::lift::Lift;
use crate::units::{Currency, Tick};
use crate::wording::shown;

/// Why a call as a whole fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The settings are not applied yet.
    Starting,
    /// The service is told to stop.
    Draining,
    /// The applier did not take it.
    Refused(Refused),
    /// A list is longer than its limit, or a field that the whole call needs is malformed.
    Invalid(Rejection),
    /// The advertiser is not configured.
    UnknownAdvertiser(String),
    /// The advertiser has no such goal.
    UnknownGoal(String),
}

impl From<Refused> for CallError {
    fn from(refused: Refused) -> CallError {
        CallError::Refused(refused)
    }
}

impl From<Rejection> for CallError {
    fn from(rejection: Rejection) -> CallError {
        CallError::Invalid(rejection)
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Status {
        match error {
            CallError::Starting => Status::new(Code::Unavailable, "the service starts: ask again in a moment"),
            CallError::Draining => {
                Status::new(Code::Unavailable, "the service stops: send what was not answered to another one")
            }
            CallError::Refused(refused @ Refused::Full) => Status::new(Code::ResourceExhausted, refused.to_string()),
            CallError::Refused(refused @ Refused::Stopped) => Status::new(Code::Unavailable, refused.to_string()),
            CallError::Invalid(rejection) => Status::new(Code::InvalidArgument, rejection.to_string()),
            CallError::UnknownAdvertiser(name) => {
                Status::new(Code::NotFound, format!("advertiser '{}' is not configured", shown(&name)))
            }
            CallError::UnknownGoal(name) => {
                Status::new(Code::NotFound, format!("goal '{}' is not configured for this advertiser", shown(&name)))
            }
        }
    }
}

/// A refusal on the wire.
pub fn rejection(rejection: &Rejection) -> pb::Rejection {
    pb::Rejection { code: rejection.label().to_owned(), message: rejection.to_string() }
}

/// The whole answer to a request that is refused as such.
pub fn refused_request(refusal: &Rejection, model_version: u64) -> pb::ScoreResponse {
    pb::ScoreResponse { results: Vec::new(), rejection: Some(rejection(refusal)), model_version }
}

/// The answer to a target that is refused.
pub fn refused_target(refusal: &Rejection) -> pb::TargetResult {
    pb::TargetResult { rejection: Some(rejection(refusal)), ..Default::default() }
}

/// What became of the events of a message: those not accepted one by one.
pub fn track_response(outcomes: impl Iterator<Item = Applied>) -> pb::TrackResponse {
    let mut response = pb::TrackResponse::default();
    for (index, outcome) in outcomes.enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let (status, refusal) = match outcome {
            Applied::Done => {
                response.accepted += 1;
                continue;
            }
            Applied::Duplicate => {
                response.duplicate += 1;
                (pb::event_result::Status::Duplicate, None)
            }
            Applied::Rejected(refusal) => {
                response.rejected += 1;
                (pb::event_result::Status::Rejected, Some(rejection(&refusal)))
            }
        };
        response.results.push(pb::EventResult { index, status: status.into(), rejection: refusal });
    }
    response
}

/// A signal on the wire; `words` adds words to its reasons.
pub fn signal(catalog: &Catalog, request: &ScoreRequest, signal: &Signal, words: bool) -> pb::Signal {
    let advertiser = goal_owner(catalog, signal.goal);
    let reason = |reason: &Reason| pb::Reason {
        code: words::code(catalog, advertiser, request, &reason.about),
        contribution: reason.contribution,
        collided: reason.collided,
        words: if words { words::reason(catalog, advertiser, request, reason) } else { String::new() },
    };
    pb::Signal {
        goal: name(catalog.goal_name(signal.goal)),
        multiplier: signal.multiplier,
        suppress: signal.suppress.is_some(),
        suppress_reason: signal.suppress.map_or(pb::SuppressReason::Unspecified, suppression).into(),
        p_conversion: signal.p_conversion,
        p_low: signal.interval.0,
        p_high: signal.interval.1,
        baseline: signal.baseline,
        expected_value_micros: signal.expected_value.0,
        stage: signal.stage.map(|code| name(catalog.action_name(advertiser, code))).unwrap_or_default(),
        segments: signal.segments.iter().map(|code| name(catalog.segment_name(advertiser, *code))).collect(),
        readiness: Some(readiness(signal.readiness)),
        neutral: signal.neutral.map_or(pb::NeutralReason::Unspecified, neutral).into(),
        arm: dealt_arm(signal.neutral, signal.arm).into(),
        reasons: signal.reasons.iter().map(reason).collect(),
        logit: signal.logit,
        correction: signal.correction,
        spend_factor: signal.spend_factor,
        intercept: signal.intercept,
        explored: signal.explored.map(exploration),
    }
}

/// A combined signal on the wire.
pub fn combined(catalog: &Catalog, combined: &Combined) -> pb::Combined {
    let part = |part: &Part| pb::CombinedPart {
        goal: name(catalog.goal_name(part.goal)),
        weight: part.weight,
        gain: part.gain,
    };
    pb::Combined {
        multiplier: combined.multiplier,
        suppress: combined.suppress.is_some(),
        suppress_reason: combined.suppress.map_or(pb::SuppressReason::Unspecified, suppression).into(),
        expected: combined.expected,
        low: combined.interval.0,
        high: combined.interval.1,
        baseline: combined.baseline,
        neutral: combined.neutral.map_or(pb::NeutralReason::Unspecified, neutral).into(),
        arm: dealt_arm(combined.neutral, combined.arm).into(),
        parts: combined.parts.iter().map(part).collect(),
        explored: combined.explored.map(exploration),
    }
}

fn exploration(explored: Explored) -> pb::Exploration {
    pb::Exploration {
        share: explored.share,
        ln_multiplier_mean: explored.ln_mean,
        ln_multiplier_deviation: explored.ln_deviation,
    }
}

fn goal_owner(catalog: &Catalog, goal: GoalCode) -> AdvertiserCode {
    // A score names only goals of its own catalog; the code after the last one has no names.
    catalog.goals().get(goal.index()).map_or(AdvertiserCode(u16::MAX), |entry| entry.advertiser)
}

fn name(id: Option<&Id>) -> String {
    id.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

fn readiness(readiness: Readiness) -> pb::Readiness {
    use pb::readiness::State;
    let (state, users, needed) = match readiness {
        Readiness::Cold => (State::Cold, 0, 0),
        Readiness::Warming { users, needed } => (State::Warming, users, needed),
        Readiness::Ready => (State::Ready, 0, 0),
        Readiness::Degraded => (State::Degraded, 0, 0),
    };
    pb::Readiness { state: state.into(), users, needed }
}

fn neutral(neutral: Neutral) -> pb::NeutralReason {
    match neutral {
        Neutral::NoConsent => pb::NeutralReason::NoConsent,
        Neutral::ControlArm => pb::NeutralReason::ControlArm,
        Neutral::Support => pb::NeutralReason::Support,
        Neutral::NoBaseP => pb::NeutralReason::NoBaseP,
        Neutral::Quarantined => pb::NeutralReason::Quarantined,
        Neutral::Deadline => pb::NeutralReason::Deadline,
        Neutral::Overload => pb::NeutralReason::Overload,
    }
}

fn suppression(suppression: Suppression) -> pb::SuppressReason {
    match suppression {
        Suppression::JustConverted => pb::SuppressReason::JustConverted,
        Suppression::Holdout => pb::SuppressReason::Holdout,
    }
}

/// The arm of a signal; none where the user was not looked at.
fn dealt_arm(neutral: Option<Neutral>, dealt: Arm) -> pb::Arm {
    match neutral {
        Some(Neutral::NoConsent | Neutral::Deadline) => pb::Arm::Unspecified,
        _ => arm(dealt),
    }
}

fn arm(arm: Arm) -> pb::Arm {
    match arm {
        Arm::Treated => pb::Arm::Treated,
        Arm::Control => pb::Arm::Control,
        Arm::Holdout => pb::Arm::Holdout,
    }
}

fn rate(rate: insight::RateReport) -> pb::Rate {
    pb::Rate { mean: rate.mean, low: rate.low, high: rate.high }
}

fn lift(lift: Lift) -> pb::Lift {
    pb::Lift { ratio: lift.ratio, low: lift.low, high: lift.high }
}

fn milliseconds(tick: Tick) -> u64 {
    u64::from(tick.0) * 1_000
}

/// One goal in figures, on the wire.
pub fn goal_report(report: &insight::GoalReport) -> pb::GoalReport {
    let arms = report.arms.iter().map(|one| pb::ArmReport {
        arm: arm(one.arm).into(),
        impressions: one.impressions,
        positives: one.positives,
        predicted: one.predicted,
    });
    pb::GoalReport {
        impressions: report.impressions,
        clicks: report.clicks,
        conversions: report.conversions,
        organic_conversions: report.organic_conversions,
        value_micros: report.value.0,
        cost_micros: report.cost.0,
        currency: report.currency.to_string(),
        rate: Some(rate(report.rate)),
        baseline: report.baseline,
        readiness: Some(readiness(report.readiness)),
        arms: arms.collect(),
        live_impressions: report.live_impressions as u64,
        incrementality: report.incrementality.as_ref().map(incrementality),
        spend: Some(spend_report(&report.spend)),
        by_multiplier: report.by_multiplier.iter().map(multiplier_report).collect(),
    }
}

fn incrementality(of: &Incrementality) -> pb::Incrementality {
    let people = |people: ArmPeople| pb::ArmPeople {
        converters: people.converters,
        reached: people.reached,
        reached_converters: people.reached_converters,
    };
    pb::Incrementality {
        since_ms: of.since.0,
        treated: Some(people(of.treated)),
        control: Some(people(of.control)),
        holdout: Some(people(of.holdout)),
        treated_share: of.treated_share,
        holdout_share: of.holdout_share,
        everybody: of.everybody.map(lift),
        reached: of.reached.map(lift),
    }
}

fn multiplier_report(of: &ClassCounts) -> pb::MultiplierReport {
    let ClassCounts { from, below, impressions, positives, predicted } = *of;
    pb::MultiplierReport { from, below, impressions, positives, predicted }
}

fn spend_report(report: &SpendReport) -> pb::SpendReport {
    pb::SpendReport {
        treated_micros: report.treated as i64,
        control_micros: report.control as i64,
        ratio: report.ratio,
        ratio_low: report.interval.map(|(low, _)| low),
        ratio_high: report.interval.map(|(_, high)| high),
        factor: report.factor,
    }
}

fn action_report(catalog: &Catalog, advertiser: AdvertiserCode, report: &insight::ActionReport) -> pb::ActionReport {
    pb::ActionReport {
        action: name(catalog.action_name(advertiser, report.action)),
        words: words::action(catalog, advertiser, report.action),
        position: report.position.map(u32::from).unwrap_or_default(),
        count: report.count,
        per_100_sessions: report.per_100_sessions,
        users: report.users,
    }
}

/// What each action tells about a goal, on the wire.
pub fn action_effects(
    catalog: &Catalog,
    advertiser: AdvertiserCode,
    effects: &[insight::ActionEffect],
) -> pb::GetActionsResponse {
    let effect = |effect: &insight::ActionEffect| pb::ActionEffect {
        action: Some(action_report(catalog, advertiser, &effect.action)),
        impressions: effect.impressions,
        positives: effect.positives,
        rate_with: effect.rate_with,
        rate_without: effect.rate_without,
        lift: effect.lift.map(lift),
    };
    pb::GetActionsResponse { actions: effects.iter().map(effect).collect() }
}

/// The segments of an advertiser, on the wire.
pub fn segment_reports(
    catalog: &Catalog,
    advertiser: AdvertiserCode,
    currency: Option<Currency>,
    reports: &[insight::SegmentReport],
) -> pb::GetSegmentsResponse {
    let segment = |report: &insight::SegmentReport| pb::SegmentReport {
        segment: name(report.segment.and_then(|code| catalog.segment_name(advertiser, code))),
        warming_until_ms: report.warming_until.map(milliseconds),
        words: report.segment.map(|code| words::segment(catalog, advertiser, code)).unwrap_or_default(),
        sessions: report.sessions,
        actions: report.actions.iter().map(|action| action_report(catalog, advertiser, action)).collect(),
        impressions: report.impressions,
        clicks: report.clicks,
        conversions: report.conversions,
        rate: Some(rate(report.rate)),
        value_micros: report.value.0,
        cost_micros: report.cost.0,
        users: report.users,
        members: report.members,
        lift: report.lift.map(lift),
    };
    pb::GetSegmentsResponse {
        segments: reports.iter().map(segment).collect(),
        currency: currency.map(|currency| currency.to_string()).unwrap_or_default(),
    }
}

/// How many did what, on the wire.
pub fn funnel(catalog: &Catalog, advertiser: AdvertiserCode, funnel: &insight::Funnel) -> pb::Funnel {
    pb::Funnel {
        sessions: funnel.sessions,
        users: funnel.users as u64,
        actions: funnel.actions.iter().map(|action| action_report(catalog, advertiser, action)).collect(),
    }
}

/// A user's history, on the wire.
pub fn user_report(catalog: &Catalog, advertiser: AdvertiserCode, report: &insight::UserReport) -> pb::UserReport {
    let did = |did: &insight::UserAction| pb::UserAction {
        action: name(catalog.action_name(advertiser, did.action)),
        words: words::action(catalog, advertiser, did.action),
        count: did.count,
        last_ms: milliseconds(did.last),
    };
    pb::UserReport {
        first_seen_ms: milliseconds(report.first_seen),
        last_seen_ms: milliseconds(report.last_seen),
        sessions: report.sessions,
        exposures: report.exposures,
        conversions: report.conversions,
        stage: report.stage.map(|code| name(catalog.action_name(advertiser, code))).unwrap_or_default(),
        segments: report.segments.iter().map(|code| name(catalog.segment_name(advertiser, *code))).collect(),
        actions: report.actions.iter().map(did).collect(),
        linked_ids: u32::try_from(report.linked_ids).unwrap_or(u32::MAX),
        quarantined_until_ms: report.quarantined_until.map(milliseconds),
    }
}

/// A counter on the wire.
pub fn counter(line: &CounterLine) -> pb::Counter {
    let label = line.label.map(|(name, value)| format!("{name}=\"{value}\"")).unwrap_or_default();
    pb::Counter { name: line.name.to_string(), label, value: line.value }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;

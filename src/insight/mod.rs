//! Questions to the engine: what has been learned, in plain structs with codes. The edges turn codes into names.
//!
//! All counts are faded with their half-life up to the engine's clock, so they are fractions. Distinct users do not
//! fade: they are all since the first record, exact up to 256, beyond with a standard error of 1.6 %
//! ([`stats::hyperloglog`](crate::stats::hyperloglog)). Two ids of one person that were linked only afterwards are two.
//!
//! *Invariants.* Reads only. Knows no wire format, no words and no layout of tables.

use crate::engine::profile::ActionHistory;
use crate::engine::{ArmCounts, AudienceCounts, ClassCounts, Engine, Incrementality, SpendReport};
use crate::exposure::Arm;
use crate::ids::{ActionCode, AdvertiserCode, GoalCode, SegmentCode, UserKey};
use crate::settings::RULE_SEGMENTS_MAX;
use crate::signal::Readiness;
use crate::stats::beta::Rate;
use crate::stats::lift::Lift;
use crate::units::{Currency, Micros, Tick};

/// A rate as it is believed, with its 95 % interval; all 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateReport {
    /// Best estimate.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One goal in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalReport {
    /// Impressions.
    pub impressions: f64,
    /// Clicks.
    pub clicks: f64,
    /// Conversions credited to impressions.
    pub conversions: f64,
    /// Conversions without an impression.
    pub organic_conversions: f64,
    /// Value of the credited conversions.
    pub value: Micros,
    /// Cost of the impressions.
    pub cost: Micros,
    /// Currency of both.
    pub currency: Currency,
    /// Credited conversions ÷ impressions.
    pub rate: RateReport,
    /// The probability that the base bid pays for.
    pub baseline: f64,
    /// How far the goal has been learned.
    pub readiness: Readiness,
    /// One for each arm, in the order of [`Arm::ALL`].
    pub arms: Vec<ArmReport>,
    /// The treated arm's impressions by their multiplier, lowest first.
    pub by_multiplier: Vec<ClassCounts>,
    /// Impressions that wait for their label now, would-be ones included.
    pub live_impressions: usize,
    /// What ads do; `None` while nobody is held out.
    pub incrementality: Option<Incrementality>,
    /// What multipliers spend against what would be spent without them.
    pub spend: SpendReport,
}

/// One arm of one goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmReport {
    /// Which arm.
    pub arm: Arm,
    /// Impressions.
    pub impressions: f64,
    /// Impressions with at least one conversion in their window.
    pub positives: f64,
    /// Sum of the probabilities that were answered for these impressions.
    pub predicted: f64,
}

/// One segment in figures for one goal; membership is judged at each event's time.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentReport {
    /// Which segment; `None` for everybody.
    pub segment: Option<SegmentCode>,
    /// Until when the segment may miss members, because its rule looks back to before its acts were kept.
    pub warming_until: Option<Tick>,
    /// Sessions begun by members.
    pub sessions: f64,
    /// What members did, most frequent first.
    pub actions: Vec<ActionReport>,
    /// Impressions shown to members.
    pub impressions: f64,
    /// Clicks of members.
    pub clicks: f64,
    /// Conversions credited to these impressions.
    pub conversions: f64,
    /// Conversions ÷ impressions.
    pub rate: RateReport,
    /// Value of these conversions.
    pub value: Micros,
    /// Cost of these impressions.
    pub cost: Micros,
    /// Distinct people who were shown these impressions.
    pub users: u64,
    /// Distinct people who acted as members; `None` for an external segment, of which only impressions tell.
    pub members: Option<u64>,
    /// How many times as often impressions to members become positive as those to others; `None` for everybody, and
    /// where there are no others, no members or no positives yet.
    pub lift: Option<Lift>,
}

/// One micro conversion in figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionReport {
    /// Which action.
    pub action: ActionCode,
    /// Place on the ladder; `None` for a secondary action.
    pub position: Option<u8>,
    /// How often.
    pub count: f64,
    /// Micro-conversion rate: actions ÷ sessions × 100.
    pub per_100_sessions: f64,
    /// Distinct people who did it; `None` within a segment, where they are not told apart.
    pub users: Option<u64>,
}

/// What an action tells about a goal. Impressions are those that were learned from and whose person is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionEffect {
    /// Who did it, and how often, whether shown anything or not.
    pub action: ActionReport,
    /// Impressions to people who had done it before.
    pub impressions: f64,
    /// Of those, with at least one conversion in their window.
    pub positives: f64,
    /// Positives ÷ impressions; 0 without impressions.
    pub rate_with: f64,
    /// The same of impressions to people who had not done it.
    pub rate_without: f64,
    /// The one rate ÷ the other; `None` while either has no impressions, or none is positive.
    pub lift: Option<Lift>,
}

/// How many did what with one advertiser.
#[derive(Debug, Clone, PartialEq)]
pub struct Funnel {
    /// Sessions.
    pub sessions: f64,
    /// Profiles kept now, of all advertisers.
    pub users: usize,
    /// Milestones in the order of the ladder, then secondary actions, most frequent first.
    pub actions: Vec<ActionReport>,
}

/// A user's history with one advertiser.
#[derive(Debug, Clone, PartialEq)]
pub struct UserReport {
    /// When first seen.
    pub first_seen: Tick,
    /// When last seen.
    pub last_seen: Tick,
    /// Sessions.
    pub sessions: u32,
    /// Impressions shown.
    pub exposures: u32,
    /// Own conversions.
    pub conversions: u32,
    /// Furthest milestone reached.
    pub stage: Option<ActionCode>,
    /// Rule segments the user is in now.
    pub segments: Vec<SegmentCode>,
    /// What the user did, latest first.
    pub actions: Vec<UserAction>,
    /// Ids linked as this person, this one included.
    pub linked_ids: usize,
    /// Until when the user is in quarantine, if at all.
    pub quarantined_until: Option<Tick>,
}

/// What a user did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UserAction {
    /// The action.
    pub action: ActionCode,
    /// How often, faded with the action's half-life.
    pub count: f64,
    /// When last.
    pub last: Tick,
}

/// One counter of the engine, or the size of one of its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// What is counted, in Prometheus' spelling, without the program's prefix: `profiles`, `evictions_total` …
    pub name: &'static str,
    /// Name and value of the one label, such as `("table", "profiles")`.
    pub label: Option<(&'static str, &'static str)>,
    /// Count since the start of the journal, or size now.
    pub value: u64,
}

/// One goal in figures; `None` for a code that is not in force.
pub fn goal_report(engine: &Engine, goal: GoalCode) -> Option<GoalReport> {
    let setting = engine.catalog().goal_setting(goal)?;
    let cell = engine.cell(goal, None)?;
    let arm = |counts: ArmCounts| ArmReport {
        arm: counts.arm,
        impressions: counts.impressions,
        positives: counts.positives,
        predicted: counts.predicted,
    };
    Some(GoalReport {
        impressions: cell.impressions,
        clicks: cell.clicks,
        conversions: cell.conversions,
        organic_conversions: engine.organic(goal),
        value: cell.value,
        cost: cell.cost,
        currency: setting.currency,
        rate: RateReport::of(engine.rate(goal, None)?),
        baseline: engine.baseline(goal)?,
        readiness: engine.goal_readiness(goal)?,
        arms: engine.arms(goal).into_iter().map(arm).collect(),
        by_multiplier: engine.by_multiplier(goal),
        live_impressions: engine.open_impressions(goal),
        incrementality: engine.incrementality(goal),
        spend: engine.spend(goal)?,
    })
}

/// Everybody first, then the rule segments, then the external ones, in the order of their codes.
pub fn segment_reports(engine: &Engine, goal: GoalCode) -> Vec<SegmentReport> {
    let Some(advertiser) = engine.catalog().goals().get(goal.index()).map(|goal| goal.advertiser) else {
        return Vec::new();
    };
    let segments = engine.catalog().segments(advertiser).into_iter().map(Some);
    std::iter::once(None)
        .chain(segments)
        .filter_map(|segment| segment_report(engine, goal, advertiser, segment))
        .collect()
}

fn segment_report(
    engine: &Engine,
    goal: GoalCode,
    advertiser: AdvertiserCode,
    segment: Option<SegmentCode>,
) -> Option<SegmentReport> {
    let cell = engine.cell(goal, segment)?;
    let audience = engine.audience(advertiser, segment)?;
    let mut actions = action_reports(engine, advertiser, &audience);
    actions.sort_by(|one, other| other.count.total_cmp(&one.count));
    if segment.is_some() {
        actions.iter_mut().for_each(|action| action.users = None);
    }
    let acts_as_member = segment.is_none_or(|segment| segment.index() < RULE_SEGMENTS_MAX);
    Some(SegmentReport {
        segment,
        warming_until: segment.and_then(|segment| engine.warming_until(advertiser, segment)),
        sessions: audience.sessions,
        actions,
        impressions: cell.impressions,
        clicks: cell.clicks,
        conversions: cell.conversions,
        rate: RateReport::of(engine.rate(goal, segment)?),
        value: cell.value,
        cost: cell.cost,
        users: engine.users_reached(goal, segment),
        members: acts_as_member.then_some(audience.users),
        lift: segment.and_then(|segment| engine.contrast_of_segment(goal, segment)?.lift()),
    })
}

/// What each action that was ever done tells about a goal: milestones in the order of the ladder, then secondary
/// actions, most frequent first.
pub fn actions(engine: &Engine, goal: GoalCode) -> Vec<ActionEffect> {
    let entry = engine.catalog().goals().get(goal.index());
    let Some(funnel) = entry.and_then(|entry| funnel(engine, entry.advertiser)) else { return Vec::new() };
    let effect = |action: ActionReport| {
        let contrast = engine.contrast_of_action(goal, action.action)?;
        Some(ActionEffect {
            action,
            impressions: contrast.with.trials,
            positives: contrast.with.positives,
            rate_with: contrast.with.rate(),
            rate_without: contrast.without.rate(),
            lift: contrast.lift(),
        })
    };
    funnel.actions.into_iter().filter_map(effect).collect()
}

/// How many did what; `None` for a code that was never given.
pub fn funnel(engine: &Engine, advertiser: AdvertiserCode) -> Option<Funnel> {
    let audience = engine.audience(advertiser, None)?;
    let mut actions = action_reports(engine, advertiser, &audience);
    // Milestones on their way, then the others; of equals the more frequent first.
    let place = |report: &ActionReport| report.position.map_or(u16::MAX, u16::from);
    actions.sort_by(|one, other| place(one).cmp(&place(other)).then(other.count.total_cmp(&one.count)));
    Some(Funnel { sessions: audience.sessions, users: engine.profiles_kept(), actions })
}

fn action_reports(engine: &Engine, advertiser: AdvertiserCode, audience: &AudienceCounts) -> Vec<ActionReport> {
    let per_session = if audience.sessions > 0.0 { 100.0 / audience.sessions } else { 0.0 };
    let report = |(action, count): &(ActionCode, f64)| ActionReport {
        action: *action,
        position: engine.catalog().position(advertiser, *action),
        count: *count,
        per_100_sessions: count * per_session,
        users: Some(engine.users_of_action(advertiser, *action)),
    };
    audience.actions.iter().map(report).collect()
}

/// A user's history; `None` when none is kept.
pub fn user_report(engine: &Engine, advertiser: AdvertiserCode, user: UserKey) -> Option<UserReport> {
    let profile = engine.profile(user, advertiser)?;
    let mut actions: Vec<_> = profile.actions.iter().collect();
    actions.sort_unstable_by_key(|history| (std::cmp::Reverse(history.last), history.action));
    let action = |history: &&ActionHistory| UserAction {
        action: history.action,
        count: engine.count_now(advertiser, history),
        last: history.last,
    };
    let position = |history: &&&ActionHistory| engine.catalog().position(advertiser, history.action);
    let stage = actions.iter().filter(|history| position(history).is_some()).max_by_key(position);
    Some(UserReport {
        first_seen: profile.first_acted,
        last_seen: profile.last_seen(),
        sessions: profile.sessions.into(),
        exposures: profile.shown.into(),
        conversions: profile.conversions.into(),
        stage: stage.map(|history| history.action),
        segments: engine.segments_of(user, advertiser),
        actions: actions.iter().map(action).collect(),
        linked_ids: engine.linked_ids(user).len(),
        quarantined_until: engine.quarantined_until(user, advertiser),
    })
}

/// All counters and table sizes, in a fixed order.
pub fn counters(engine: &Engine) -> Vec<Counter> {
    let events = engine.tally().entries().into_iter().map(|(name, count)| Counter {
        name: "engine_total",
        label: Some(("event", name)),
        value: count,
    });
    let sizes = engine.sizes().into_iter().map(|(name, size)| Counter {
        name: "entries",
        label: Some(("table", name)),
        value: size as u64,
    });
    events.chain(sizes).collect()
}

impl RateReport {
    fn of(rate: Rate) -> RateReport {
        let (low, high) = rate.interval();
        RateReport { mean: rate.mean, low, high }
    }
}

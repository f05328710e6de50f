//! Questions to the engine: what has been learned, in plain structs with codes. The edges turn codes into names.
//!
//! All counts are faded with their half-life up to the engine's clock, so they are fractions.
//!
//! *Invariants.* Reads only. Knows no wire format, no words and no layout of tables.

use crate::engine::Engine;
use crate::exposure::Arm;
use crate::ids::{ActionCode, AdvertiserCode, GoalCode, SegmentCode, UserKey};
use crate::signal::Readiness;
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
    /// Impressions that wait for their label now.
    pub live_impressions: usize,
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
}

/// How many did what with one advertiser.
#[derive(Debug, Clone, PartialEq)]
pub struct Funnel {
    /// Sessions.
    pub sessions: f64,
    /// Profiles kept now.
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

// The bodies below answer "nothing is known" until the engine they ask has its tables.

/// One goal in figures; `None` for a code that is not in force.
pub fn goal_report(_engine: &Engine, _goal: GoalCode) -> Option<GoalReport> {
    None
}

/// Everybody first, then the rule segments, then the external ones, in the order of their codes.
pub fn segment_reports(_engine: &Engine, _goal: GoalCode) -> Vec<SegmentReport> {
    Vec::new()
}

/// How many did what; `None` for a code that is not in force.
pub fn funnel(_engine: &Engine, _advertiser: AdvertiserCode) -> Option<Funnel> {
    None
}

/// A user's history; `None` when none is kept.
pub fn user_report(_engine: &Engine, _advertiser: AdvertiserCode, _user: UserKey) -> Option<UserReport> {
    None
}

/// All counters and table sizes, in a fixed order.
pub fn counters(_engine: &Engine) -> Vec<Counter> {
    Vec::new()
}

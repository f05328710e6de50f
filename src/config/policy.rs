//! What holds for all advertisers: learner, arms, limits, retention, and how a probability becomes a multiplier.

use super::table::Table;
use super::value::Range;
use crate::settings::{
    ALPHA_BOUNDS, Arms, BETA_BOUNDS, Baseline, EXPLORATION_MAX, Guards, Learner, Limits, MULTIPLIER_BOUNDS, Multiplier,
    PENALTY_BOUNDS, Retention, SUPPORT_MAX,
};
use crate::units::Span;

/// Shortest and longest half-life of a statistic.
pub(super) const HALF_LIVES: std::ops::RangeInclusive<Span> = Span::minutes(1)..=Span::days(3_650);

/// Reads `[learner]`.
pub(super) fn read_learner(table: &mut Table<'_>) -> Learner {
    let mut learner = Learner::default();
    table.number("alpha", &mut learner.alpha, Range::Between(ALPHA_BOUNDS.0, ALPHA_BOUNDS.1));
    table.number("beta", &mut learner.beta, Range::Between(BETA_BOUNDS.0, BETA_BOUNDS.1));
    table.number("l1", &mut learner.l1, Range::Between(PENALTY_BOUNDS.0, PENALTY_BOUNDS.1));
    table.number("l2", &mut learner.l2, Range::Between(PENALTY_BOUNDS.0, PENALTY_BOUNDS.1));
    table.span("half_life", &mut learner.half_life, HALF_LIVES);
    table.whole("table_bits", &mut learner.table_bits, 10..=22);
    learner
}

/// Reads `[arms]`.
pub(super) fn read_arms(table: &mut Table<'_>) -> Arms {
    let mut arms = Arms::default();
    table.whole("salt", &mut arms.salt, 0..=i64::MAX as u64);
    table.number("control_share", &mut arms.control_share, Range::Between(0.0, 1.0));
    table.number("holdout_share", &mut arms.holdout_share, Range::Between(0.0, 1.0));
    let sum = arms.control_share + arms.holdout_share;
    if sum > 1.0 {
        table.refuse(format_args!("control_share and holdout_share sum to {sum}: at most 1"));
    }
    arms
}

/// Reads `[limits]`.
pub(super) fn read_limits(table: &mut Table<'_>) -> Limits {
    let mut limits = Limits::default();
    table.whole("profiles_max", &mut limits.profiles_max, 1..=1_000_000_000);
    table.whole("live_impressions_max", &mut limits.live_impressions_max, 1..=100_000_000);
    table.whole("live_per_user_max", &mut limits.live_per_user_max, 1..=512);
    table.whole("conversions_max", &mut limits.conversions_max, 1..=100_000_000);
    table.whole("event_ids_max", &mut limits.event_ids_max, 1..=100_000_000);
    table.whole("linked_ids_max", &mut limits.linked_ids_max, 1..=16);
    table.whole("closings_per_tick", &mut limits.closings_per_tick, 1..=1_000_000);
    table.whole("interests_max", &mut limits.interests_max, 1..=64);
    limits
}

/// Reads `[retention]`.
pub(super) fn read_retention(table: &mut Table<'_>) -> Retention {
    let mut retention = Retention::default();
    table.span("lateness", &mut retention.lateness, Span::ZERO..=Span::days(30));
    table.span("clock_skew", &mut retention.clock_skew, Span::ZERO..=Span::hours(24));
    table.span("retraction", &mut retention.retraction, Span::ZERO..=Span::days(365));
    table.span("token", &mut retention.token, Span::minutes(1)..=Span::days(30));
    table.span("profile", &mut retention.profile, Span::days(1)..=Span::days(3_650));
    retention
}

/// Reads `[guards]`.
pub(super) fn read_guards(table: &mut Table<'_>) -> Guards {
    let mut guards = Guards::default();
    table.whole("actions_per_minute_max", &mut guards.actions_per_minute_max, 0..=60_000);
    table.span("quarantine", &mut guards.quarantine, Span::minutes(1)..=Span::days(30));
    guards
}

/// Reads a multiplier's settings over those that hold where it states none.
pub(super) fn read_multiplier(table: &mut Table<'_>, defaults: Multiplier) -> Multiplier {
    let mut multiplier = defaults;
    let (low, high) = MULTIPLIER_BOUNDS;
    let baselines = [("context", Baseline::Context), ("goal", Baseline::Goal), ("request", Baseline::Request)];
    table.choice("baseline", &mut multiplier.baseline, &baselines);
    table.number("exponent", &mut multiplier.exponent, Range::Between(0.0, 4.0));
    // Whatever is chosen within these ranges, min ≤ 1 ≤ max: the neutral multiplier is always allowed.
    table.number("min", &mut multiplier.min, Range::Between(low, 1.0));
    table.number("max", &mut multiplier.max, Range::Between(1.0, high));
    table.number("prior_variance", &mut multiplier.prior_variance, Range::Above(0.0, 100.0));
    table.whole("support", &mut multiplier.support, 1..=SUPPORT_MAX);
    table.flag("spend_control", &mut multiplier.spend_control);
    table.number("exploration", &mut multiplier.exploration, Range::Between(0.0, EXPLORATION_MAX));
    multiplier
}

//! The limits of a record that its types leave open. Checked before writing and after reading.

use super::fault::Fault;
use super::rule;
use crate::action::ActionKind;
use crate::event::{Converter, Event, Record, Shown};
use crate::exposure::{Exposure, GoalScore};
use crate::opportunity::GOALS_PER_TARGET_MAX;
use crate::settings::{
    ACTIONS_MAX, ADVERTISERS_MAX, ALPHA_BOUNDS, Advertiser, Arms, BETA_BOUNDS, CAMPAIGNS_MAX, EXPLORATION_MAX,
    GOALS_MAX, Goal, KNOWN_EXTERNALS_MAX, Learner, MILESTONES_MAX, MULTIPLIER_BOUNDS, PENALTY_BOUNDS,
    RULE_SEGMENTS_MAX, SUPPRESS_MAX, Settings,
};
use crate::units::{MICROS_MAX, Micros, Money, Span, TIMESTAMP_MAX, Timestamp};

/// Shortest half-life of an action's count.
const ACTION_HALF_LIFE_MIN: Span = Span::minutes(1);

/// Checks all limits of a record.
pub(super) fn check(record: &Record) -> Result<(), Fault> {
    moment("at", record.at)?;
    moment("occurred_at", record.occurred_at)?;
    match &record.event {
        Event::Action(action) => money("value", action.value),
        Event::Impression(impression) => {
            money("cost", impression.cost)?;
            money("bid", impression.bid)?;
            match &impression.of {
                Shown::Scored(exposure) => check_exposure(exposure),
                Shown::Named(unscored) => few("goals", unscored.goals.len(), GOALS_PER_TARGET_MAX),
            }
        }
        Event::GhostImpression(exposure) => check_exposure(exposure),
        Event::Conversion(conversion) => {
            if let Converter::Token { scored_at, .. } = conversion.by {
                moment("scored_at", scored_at)?;
            }
            money("value", conversion.value)
        }
        Event::Configured(settings) => check_settings(settings),
        Event::Click(_) | Event::Retraction(_) | Event::Link(_) | Event::Forget(_) | Event::Tick => Ok(()),
    }
}

fn check_exposure(exposure: &Exposure) -> Result<(), Fault> {
    moment("scored_at", exposure.scored_at)?;
    exposure.goals.iter().try_for_each(check_score)
}

fn check_score(score: &GoalScore) -> Result<(), Fault> {
    let GoalScore { goal: _, logit, p, multiplier, is_explored: _ } = *score;
    within("logit", logit.into(), logit.is_finite(), "a finite number")?;
    within("p", p.into(), (0.0..=1.0).contains(&p), "0 to 1")?;
    factor("multiplier", multiplier.into())
}

fn check_settings(settings: &Settings) -> Result<(), Fault> {
    few("advertisers", settings.advertisers.len(), ADVERTISERS_MAX)?;
    few("goals", settings.advertisers.iter().map(|advertiser| advertiser.goals.len()).sum(), GOALS_MAX)?;
    let Learner { alpha, beta, l1, l2, half_life: _, table_bits } = settings.learner;
    let between = |(low, high): (f64, f64), number: f64| (low..=high).contains(&number);
    within("alpha", alpha, between(ALPHA_BOUNDS, alpha), "0.0001 to 10")?;
    within("beta", beta, between(BETA_BOUNDS, beta), "0.0001 to 1000")?;
    within("l1", l1, between(PENALTY_BOUNDS, l1), "0 to 1000")?;
    within("l2", l2, between(PENALTY_BOUNDS, l2), "0 to 1000")?;
    within("table_bits", table_bits.into(), (10..=22).contains(&table_bits), "10 to 22")?;
    let control_share = settings.arms.control_share;
    within("control_share", control_share, (0.0..=1.0).contains(&control_share), "0 to 1")?;
    check_holdout(settings.arms)?;
    settings.advertisers.iter().try_for_each(|advertiser| {
        check_holdout(settings.arms.of(advertiser))
            .and_then(|()| check_advertiser(advertiser))
            .map_err(|fault| fault.within("advertiser", &advertiser.id))
    })
}

fn check_holdout(Arms { salt: _, control_share, holdout_share }: Arms) -> Result<(), Fault> {
    let room = (0.0..=1.0).contains(&holdout_share) && control_share + holdout_share <= 1.0;
    within("holdout_share", holdout_share, room, "0 to what the control share leaves of 1")
}

fn check_advertiser(advertiser: &Advertiser) -> Result<(), Fault> {
    few("actions", advertiser.actions.len(), ACTIONS_MAX)?;
    few("campaigns", advertiser.campaigns.len(), CAMPAIGNS_MAX)?;
    few("segments", advertiser.segments.len(), RULE_SEGMENTS_MAX)?;
    few("externals", advertiser.externals.len(), KNOWN_EXTERNALS_MAX)?;
    for action in &advertiser.actions {
        let slow = action.half_life >= ACTION_HALF_LIFE_MIN;
        within("half_life in ms", action.half_life.0 as f64, slow, "a minute or more")
            .and_then(|()| match action.kind {
                ActionKind::Milestone { position: 0 } => within("position", 0.0, false, "1 to 255"),
                _ => Ok(()),
            })
            .map_err(|fault| fault.within("action", &action.id))?;
    }
    for goal in &advertiser.goals {
        check_goal(goal).map_err(|fault| fault.within("goal", &goal.id))?;
    }
    for campaign in &advertiser.campaigns {
        few("goals", campaign.goals.len(), GOALS_MAX)
            .and_then(|()| few("objective", campaign.objective.len(), GOALS_MAX))
            .and_then(|()| campaign.objective.iter().try_for_each(|(_, weight)| factor("weight", *weight)))
            .map_err(|fault| fault.within("campaign", &campaign.id))?;
    }
    for segment in &advertiser.segments {
        factor("weight", segment.weight)
            .and_then(|()| rule::check(&segment.rule))
            .map_err(|fault| fault.within("segment", &segment.id))?;
    }
    for external in &advertiser.externals {
        factor("weight", external.weight).map_err(|fault| fault.within("segment", &external.id))?;
    }
    Ok(())
}

fn check_goal(goal: &Goal) -> Result<(), Fault> {
    few("milestones", goal.milestones.len(), MILESTONES_MAX)?;
    amount("value", goal.value)?;
    let rate = goal.prior_rate;
    within("prior_rate", rate, rate > 0.0 && rate < 1.0, "0 to 1 exclusive")?;
    let suppress = goal.suppress_after_conversion.unwrap_or(SUPPRESS_MAX);
    within("suppress_after_conversion in ms", suppress.0 as f64, suppress <= SUPPRESS_MAX, "at most a year")?;
    let multiplier = &goal.multiplier;
    let (lowest, highest) = MULTIPLIER_BOUNDS;
    factor("exponent", multiplier.exponent)?;
    within("min", multiplier.min, (lowest..=highest).contains(&multiplier.min), "0.01 to 10")?;
    within("max", multiplier.max, (multiplier.min..=highest).contains(&multiplier.max), "min to 10")?;
    factor("prior_variance", multiplier.prior_variance)?;
    let share = multiplier.exploration;
    within("exploration", share, (0.0..=EXPLORATION_MAX).contains(&share), "0 to 0.02")
}

fn within(field: &'static str, value: f64, allows: bool, allowed: &'static str) -> Result<(), Fault> {
    if allows { Ok(()) } else { Err(Fault::OutOfRange { field, value, allowed }) }
}

fn factor(field: &'static str, value: f64) -> Result<(), Fault> {
    within(field, value, value >= 0.0 && value.is_finite(), "a finite number of at least 0")
}

fn few(field: &'static str, count: usize, limit: usize) -> Result<(), Fault> {
    if count <= limit { Ok(()) } else { Err(Fault::TooMany { field, count, limit }) }
}

fn moment(field: &'static str, moment: Timestamp) -> Result<(), Fault> {
    within(field, moment.0 as f64, moment <= TIMESTAMP_MAX, "milliseconds since 1970 up to the year 2106")
}

fn amount(field: &'static str, amount: Micros) -> Result<(), Fault> {
    within(field, amount.0 as f64, (Micros(0)..=MICROS_MAX).contains(&amount), "0 to 10^13 micros")
}

fn money(field: &'static str, money: Option<Money>) -> Result<(), Fault> {
    money.map_or(Ok(()), |money| amount(field, money.amount))
}

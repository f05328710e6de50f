//! Settings as protocol buffers.

use super::fault::{Fault, id, ids, narrow, required, text, texts};
use super::{goal, rule};
use crate::action::ActionKind;
use crate::pb::journal as pb;
use crate::settings::{
    ActionSetting, Advertiser, Arms, Campaign, ExternalSegment, Guards, Learner, Limits, Retention, RuleSegment,
    Settings,
};
use crate::units::Span;

pub(super) fn write(settings: &Settings) -> pb::Settings {
    pb::Settings {
        advertisers: settings.advertisers.iter().map(write_advertiser).collect(),
        learner: Some(write_learner(&settings.learner)),
        arms: Some(pb::Arms {
            salt: settings.arms.salt,
            control_share: settings.arms.control_share,
            holdout_share: settings.arms.holdout_share,
        }),
        limits: Some(write_limits(&settings.limits)),
        retention: Some(write_retention(&settings.retention)),
        guards: (settings.guards != Guards::OFF).then(|| write_guards(&settings.guards)),
    }
}

pub(super) fn read(settings: pb::Settings) -> Result<Settings, Fault> {
    let arms = required("arms", settings.arms)?;
    Ok(Settings {
        advertisers: settings.advertisers.into_iter().map(read_advertiser).collect::<Result<_, Fault>>()?,
        learner: read_learner(&required("learner", settings.learner)?)?,
        arms: Arms { salt: arms.salt, control_share: arms.control_share, holdout_share: arms.holdout_share },
        limits: read_limits(&required("limits", settings.limits)?)?,
        retention: read_retention(&required("retention", settings.retention)?),
        guards: settings.guards.as_ref().map_or(Guards::OFF, read_guards),
    })
}

fn write_advertiser(advertiser: &Advertiser) -> pb::Advertiser {
    let segment = |segment: &RuleSegment| pb::RuleSegment {
        id: text(&segment.id),
        rule: Some(rule::write(&segment.rule)),
        weight: segment.weight,
    };
    let external = |segment: &ExternalSegment| pb::ExternalSegment { id: text(&segment.id), weight: segment.weight };
    pb::Advertiser {
        id: text(&advertiser.id),
        actions: advertiser.actions.iter().map(write_action).collect(),
        goals: advertiser.goals.iter().map(goal::write).collect(),
        campaigns: advertiser.campaigns.iter().map(write_campaign).collect(),
        segments: advertiser.segments.iter().map(segment).collect(),
        externals: advertiser.externals.iter().map(external).collect(),
        holdout_share: advertiser.holdout_share,
    }
}

fn read_advertiser(advertiser: pb::Advertiser) -> Result<Advertiser, Fault> {
    let name = id("advertisers", advertiser.id)?;
    let external =
        |segment: pb::ExternalSegment| Ok(ExternalSegment { id: id("externals", segment.id)?, weight: segment.weight });
    let lists = || {
        Ok(Advertiser {
            id: name.clone(),
            actions: list(advertiser.actions, read_action)?,
            goals: list(advertiser.goals, named("goal", |goal| &goal.id, goal::read))?,
            campaigns: list(advertiser.campaigns, named("campaign", |campaign| &campaign.id, read_campaign))?,
            segments: list(advertiser.segments, named("segment", |segment| &segment.id, read_segment))?,
            externals: list(advertiser.externals, external)?,
            holdout_share: advertiser.holdout_share,
        })
    };
    lists().map_err(|fault: Fault| fault.within("advertiser", &name))
}

/// Reads every entry of a list.
fn list<W, T>(entries: Vec<W>, read: impl FnMut(W) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    entries.into_iter().map(read).collect()
}

/// Adds the entry's name to whatever is wrong with it.
fn named<W, T>(
    kind: &'static str,
    name: impl Fn(&W) -> &String,
    read: impl Fn(W) -> Result<T, Fault>,
) -> impl FnMut(W) -> Result<T, Fault> {
    move |entry| {
        let name = name(&entry).clone();
        read(entry).map_err(|fault| fault.within(kind, name))
    }
}

fn write_action(action: &ActionSetting) -> pb::ActionSetting {
    let position = match action.kind {
        ActionKind::Milestone { position } => Some(position.into()),
        ActionKind::Secondary => None,
    };
    pb::ActionSetting { id: text(&action.id), position, half_life_ms: action.half_life.0 }
}

fn read_action(action: pb::ActionSetting) -> Result<ActionSetting, Fault> {
    let kind = match action.position {
        Some(position) => ActionKind::Milestone { position: narrow("position", position)? },
        None => ActionKind::Secondary,
    };
    Ok(ActionSetting { id: id("actions", action.id)?, kind, half_life: Span(action.half_life_ms) })
}

fn write_campaign(campaign: &Campaign) -> pb::Campaign {
    let objective = campaign.objective.iter();
    pb::Campaign {
        id: text(&campaign.id),
        goals: texts(&campaign.goals),
        objective: objective.map(|(goal, weight)| pb::Objective { goal: text(goal), weight: *weight }).collect(),
    }
}

fn read_campaign(campaign: pb::Campaign) -> Result<Campaign, Fault> {
    let weighted = |objective: pb::Objective| Ok((id("objective", objective.goal)?, objective.weight));
    Ok(Campaign {
        id: id("id", campaign.id)?,
        goals: ids("goals", campaign.goals)?,
        objective: list(campaign.objective, weighted)?,
    })
}

fn read_segment(segment: pb::RuleSegment) -> Result<RuleSegment, Fault> {
    Ok(RuleSegment {
        id: id("id", segment.id)?,
        rule: rule::read(required("rule", segment.rule)?)?,
        weight: segment.weight,
    })
}

fn write_learner(learner: &Learner) -> pb::Learner {
    pb::Learner {
        alpha: learner.alpha,
        beta: learner.beta,
        l1: learner.l1,
        l2: learner.l2,
        half_life_ms: learner.half_life.0,
        table_bits: learner.table_bits.into(),
    }
}

fn read_learner(learner: &pb::Learner) -> Result<Learner, Fault> {
    Ok(Learner {
        alpha: learner.alpha,
        beta: learner.beta,
        l1: learner.l1,
        l2: learner.l2,
        half_life: Span(learner.half_life_ms),
        table_bits: narrow("table_bits", learner.table_bits)?,
    })
}

fn write_guards(guards: &Guards) -> pb::Guards {
    pb::Guards { actions_per_minute_max: guards.actions_per_minute_max, quarantine_ms: guards.quarantine.0 }
}

fn read_guards(guards: &pb::Guards) -> Guards {
    Guards { actions_per_minute_max: guards.actions_per_minute_max, quarantine: Span(guards.quarantine_ms) }
}

fn write_limits(limits: &Limits) -> pb::Limits {
    pb::Limits {
        profiles_max: limits.profiles_max as u64,
        live_impressions_max: limits.live_impressions_max as u64,
        live_per_user_max: limits.live_per_user_max as u64,
        conversions_max: limits.conversions_max as u64,
        event_ids_max: limits.event_ids_max as u64,
        linked_ids_max: limits.linked_ids_max as u64,
        closings_per_tick: limits.closings_per_tick as u64,
        interests_max: limits.interests_max as u64,
    }
}

fn read_limits(limits: &pb::Limits) -> Result<Limits, Fault> {
    Ok(Limits {
        profiles_max: narrow("profiles_max", limits.profiles_max)?,
        live_impressions_max: narrow("live_impressions_max", limits.live_impressions_max)?,
        live_per_user_max: narrow("live_per_user_max", limits.live_per_user_max)?,
        conversions_max: narrow("conversions_max", limits.conversions_max)?,
        event_ids_max: narrow("event_ids_max", limits.event_ids_max)?,
        linked_ids_max: narrow("linked_ids_max", limits.linked_ids_max)?,
        closings_per_tick: narrow("closings_per_tick", limits.closings_per_tick)?,
        interests_max: narrow("interests_max", limits.interests_max)?,
    })
}

fn write_retention(retention: &Retention) -> pb::Retention {
    pb::Retention {
        lateness_ms: retention.lateness.0,
        clock_skew_ms: retention.clock_skew.0,
        retraction_ms: retention.retraction.0,
        token_ms: retention.token.0,
        profile_ms: retention.profile.0,
    }
}

fn read_retention(retention: &pb::Retention) -> Retention {
    Retention {
        lateness: Span(retention.lateness_ms),
        clock_skew: Span(retention.clock_skew_ms),
        retraction: Span(retention.retraction_ms),
        token: Span(retention.token_ms),
        profile: Span(retention.profile_ms),
    }
}

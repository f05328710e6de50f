//! One advertiser: its actions, goals, campaigns and segments.

use super::goal::read_goal;
use super::policy::HALF_LIVES;
use super::segment::read_segments;
use super::table::{Names, Table};
use super::value::{Range, Value};
use crate::action::{ActionKind, HALF_LIFE_DEFAULT};
use crate::ids::Id;
use crate::opportunity::GOALS_PER_TARGET_MAX;
use crate::settings::{ACTIONS_MAX, ActionSetting, Advertiser, Arms, CAMPAIGNS_MAX, Campaign, Multiplier};
use crate::wording::instead;

/// Bounds of what a conversion of one goal is worth beside those of the others.
const OBJECTIVE_WEIGHTS: Range = Range::Above(0.0, 1_000.0);

/// Reads one `[[advertiser]]`; `None` if its name is no good.
pub(super) fn read_advertiser(
    mut table: Table<'_>,
    names: &mut Names,
    defaults: Multiplier,
    arms: Arms,
) -> Option<Advertiser> {
    let id = table.identify("advertiser", "id", names);
    let mut advertiser = Advertiser::new(id.clone().unwrap_or_else(|| Id::literal("unnamed")));
    advertiser.holdout_share = read_holdout_share(&mut table, arms);
    read_actions(table.list("action", "advertiser.action"), &mut advertiser);
    let mut goal_names = Names::default();
    for goal in table.list("goal", "advertiser.goal") {
        let goal = read_goal(goal, &advertiser, &mut goal_names, defaults);
        advertiser.goals.extend(goal);
    }
    read_campaigns(table.list("campaign", "advertiser.campaign"), &mut advertiser);
    read_segments(table.list("segment", "advertiser.segment"), &mut advertiser);
    table.finish();
    id.map(|_| advertiser)
}

fn read_holdout_share(table: &mut Table<'_>, arms: Arms) -> Option<f64> {
    let mut share = 0.0;
    let value = table.number("holdout_share", &mut share, Range::Between(0.0, 1.0))?;
    if arms.control_share + share > 1.0 {
        let room = 1.0 - arms.control_share;
        value.refuse(format_args!("control_share in [arms] is {}, which leaves {room}", arms.control_share));
    }
    Some(share)
}

/// Reads the actions that an advertiser adds to the standard ones, or changes.
fn read_actions(tables: Vec<Table<'_>>, advertiser: &mut Advertiser) {
    let mut names = Names::default();
    let mut positions = Vec::new();
    for mut table in tables {
        let id = table.identify("action", "name", &mut names);
        let known = id.as_ref().and_then(|id| advertiser.actions.iter().position(|action| action.id == *id));
        let mut action = match known {
            Some(index) => advertiser.actions[index].clone(),
            None => ActionSetting {
                id: id.clone().unwrap_or_else(|| Id::literal("unnamed")),
                kind: ActionKind::Secondary,
                half_life: HALF_LIFE_DEFAULT,
            },
        };
        let position = read_kind(&mut table, &mut action.kind);
        table.span("half_life", &mut action.half_life, HALF_LIVES);
        match (known, id) {
            (Some(index), _) => advertiser.actions[index] = action.clone(),
            (None, Some(_)) if advertiser.actions.len() == ACTIONS_MAX => {
                table.refuse(format_args!(
                    "an advertiser has at most {ACTIONS_MAX} actions, the standard ones included"
                ));
            }
            (None, Some(_)) => advertiser.actions.push(action.clone()),
            (None, None) => {}
        }
        positions.extend(position.map(|value| (action, value)));
        table.finish();
    }
    check_positions(&positions, advertiser);
}

/// Reads kind and position of an action; answers with the value of the position if it was good.
fn read_kind<'a>(table: &mut Table<'a>, kind: &mut ActionKind) -> Option<Value<'a>> {
    let (mut is_milestone, mut position) = match *kind {
        ActionKind::Milestone { position } => (true, position),
        ActionKind::Secondary => (false, 0),
    };
    table.choice("kind", &mut is_milestone, &[("milestone", true), ("secondary", false)]);
    let value = table.whole("position", &mut position, 1..=u8::MAX);
    if is_milestone && position == 0 && !table.has("position") {
        table.refuse(
            "a milestone needs a position: position = 75 would stand between add_to_cart, 70, and view_cart, 80",
        );
    }
    if let Some(value) = value.as_ref().filter(|_| !is_milestone) {
        value.refuse("only a milestone has a position: add kind = \"milestone\", or leave the position out");
    }
    *kind = match is_milestone {
        // A position that was refused must not raise more complaints about the goals that name the action.
        true => ActionKind::Milestone { position: position.max(1) },
        false => ActionKind::Secondary,
    };
    value.filter(|_| is_milestone)
}

/// Every position is taken once, so that the furthest milestone of a user is always one.
fn check_positions(stated: &[(ActionSetting, Value<'_>)], advertiser: &Advertiser) {
    for (action, value) in stated {
        if let Some(other) = advertiser.actions.iter().find(|other| other.kind == action.kind && other.id != action.id)
        {
            value.refuse(format_args!("this position is taken by '{}': choose a free one", other.id));
        }
    }
}

fn read_campaigns(tables: Vec<Table<'_>>, advertiser: &mut Advertiser) {
    let mut names = Names::default();
    for mut table in tables {
        let id = table.identify("campaign", "name", &mut names);
        let goals = read_campaign_goals(&mut table, advertiser);
        let objective = read_objective(&mut table, &goals);
        if advertiser.campaigns.len() == CAMPAIGNS_MAX {
            table.refuse(format_args!("an advertiser has at most {CAMPAIGNS_MAX} campaigns"));
            return;
        }
        advertiser.campaigns.extend(id.map(|id| Campaign { id, goals, objective }));
        table.finish();
    }
}

/// Reads what a conversion of each goal is worth beside those of the others, in the order of the campaign's goals.
fn read_objective(table: &mut Table<'_>, goals: &[Id]) -> Vec<(Id, f64)> {
    let Some(part) = table.part("objective") else { return Vec::new() };
    let (known, entries): (Vec<&str>, _) = (goals.iter().map(Id::as_str).collect(), part.entries());
    if entries.is_empty() {
        part.refuse("objective is empty: weigh a goal, such as objective = { purchase = 1.0 }, or leave it out");
    }
    let mut weights = Vec::new();
    for (name, value) in &entries {
        let Some(place) = known.iter().position(|goal| goal == name) else {
            value.refuse(format_args!("unknown goal of this campaign: {}", instead(name, &known)));
            continue;
        };
        match value.number() {
            Some(weight) if OBJECTIVE_WEIGHTS.contains(weight) => weights.push((place, weight)),
            Some(_) => value.refuse(format_args!("must be {OBJECTIVE_WEIGHTS}")),
            None => {}
        }
    }
    weights.sort_by_key(|(place, _)| *place);
    weights.into_iter().map(|(place, weight)| (goals[place].clone(), weight)).collect()
}

fn read_campaign_goals(table: &mut Table<'_>, advertiser: &Advertiser) -> Vec<Id> {
    let Some(value) = table.take("goals") else {
        table.refuse("goals is missing: name the goals it bids for, such as goals = [\"purchase\"]");
        return Vec::new();
    };
    let known: Vec<&str> = advertiser.goals.iter().map(|goal| goal.id.as_str()).collect();
    let mut names = Names::default();
    let Some(stated) = value.ids() else { return Vec::new() };
    if value.is_empty_list() || stated.len() > GOALS_PER_TARGET_MAX {
        value.refuse(format_args!("must name 1 to {GOALS_PER_TARGET_MAX} goals"));
    }
    let good = stated.into_iter().filter(|(id, value)| {
        let is_known = known.contains(&id.as_str());
        if !is_known {
            value.refuse_name("goal", &known);
        }
        is_known && names.claim(id, value)
    });
    good.map(|(id, _)| id).collect()
}

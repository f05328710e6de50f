//! One goal: what converts, within which windows, over which milestones, and what it is worth.

use std::ops::RangeInclusive;

use super::policy::{HALF_LIVES, read_multiplier};
use super::table::{Names, Table};
use super::value::{Range, Value};
use crate::action::{ActionKind, standard};
use crate::ids::Id;
use crate::settings::{ActionSetting, Advertiser, Credit, Goal, MILESTONES_MAX, Multiplier, SUPPRESS_MAX};
use crate::units::{Currency, MICROS_MAX, Micros, Span};

/// Shortest and longest wait of an impression for its conversion.
const WINDOWS: RangeInclusive<Span> = Span::minutes(1)..=Span::days(90);
/// Longest time within which a conversion may be said to come too soon.
const CONVERSION_DELAY_MAX: Span = Span::hours(1);
/// Bounds of the rate expected before anything is known: within them its log-odds are a sensible start.
const PRIOR_RATES: Range = Range::Between(0.000_001, 0.9);
/// The standard actions that are milestones of a goal which lists none, as far as they stand below it.
const MILESTONES_DEFAULT: [&str; 3] = ["view_item", "add_to_cart", "begin_checkout"];

/// Reads one `[[advertiser.goal]]`; `None` if its name is no good.
pub(super) fn read_goal(
    mut table: Table<'_>,
    advertiser: &Advertiser,
    names: &mut Names,
    defaults: Multiplier,
) -> Option<Goal> {
    let id = table.identify("goal", "name", names);
    let mut goal = Goal::new(id.clone().unwrap_or_else(|| Id::literal("unnamed")));
    let converting = read_converting_action(&mut table, advertiser);
    goal.converting_action = converting.map(|action| action.id.clone());
    table.span("click_window", &mut goal.click_window, WINDOWS);
    table.span("view_window", &mut goal.view_window, WINDOWS);
    table.span("conversion_delay_min", &mut goal.conversion_delay_min, Span::ZERO..=CONVERSION_DELAY_MAX);
    goal.milestones = read_milestones(&mut table, advertiser, converting);
    read_value(&mut table, &mut goal);
    table.number("prior_rate", &mut goal.prior_rate, PRIOR_RATES);
    table.span("half_life", &mut goal.half_life, HALF_LIVES);
    let credit = [("last_touch", Credit::LastTouch), ("even", Credit::Even)];
    table.choice("credit", &mut goal.credit, &credit);
    read_suppress(&mut table, &mut goal);
    goal.multiplier = defaults;
    if let Some(mut part) = table.part("multiplier") {
        goal.multiplier = read_multiplier(&mut part, defaults);
        part.finish();
    }
    table.finish();
    id.map(|_| goal)
}

fn read_suppress(table: &mut Table<'_>, goal: &mut Goal) {
    let mut rest = Span::ZERO;
    if table.has("suppress_after_conversion") {
        table.span("suppress_after_conversion", &mut rest, Span::seconds(1)..=SUPPRESS_MAX);
        goal.suppress_after_conversion = Some(rest);
    }
}

fn read_value(table: &mut Table<'_>, goal: &mut Goal) {
    let mut units = goal.value.units();
    table.number("value", &mut units, Range::Between(0.0, MICROS_MAX.units()));
    goal.value = Micros::from_units(units).expect("within the range of money");
    let Some(value) = table.take("currency") else { return };
    let Some(text) = value.text() else { return };
    match Currency::parse(text) {
        Some(currency) => goal.currency = currency,
        None => value.refuse("must be three capital letters of ISO 4217, such as \"USD\" or \"EUR\""),
    }
}

fn read_converting_action<'s>(table: &mut Table<'_>, advertiser: &'s Advertiser) -> Option<&'s ActionSetting> {
    let value = table.take("converting_action")?;
    find_action(&value, value.text()?, advertiser)
}

/// The action a value names; reported when there is none.
fn find_action<'s>(value: &Value<'_>, name: &str, advertiser: &'s Advertiser) -> Option<&'s ActionSetting> {
    let action = advertiser.action(name);
    if action.is_none() {
        let known: Vec<&str> = advertiser.actions.iter().map(|action| action.id.as_str()).collect();
        value.refuse_name("action", &known);
    }
    action
}

fn position(action: &ActionSetting) -> Option<u8> {
    match action.kind {
        ActionKind::Milestone { position } => Some(position),
        ActionKind::Secondary => None,
    }
}

/// Reads the milestones, or chooses them: those of [`MILESTONES_DEFAULT`] and all that the configuration has made a
/// milestone or moved, as far as they stand below the converting action. Furthest last.
fn read_milestones(table: &mut Table<'_>, advertiser: &Advertiser, converting: Option<&ActionSetting>) -> Vec<Id> {
    let stated = table.take("milestones");
    let mut milestones: Vec<(u8, Id)> = match &stated {
        Some(value) => check_milestones(value, advertiser, converting),
        None => advertiser
            .actions
            .iter()
            .filter(|action| is_default_milestone(action) && stands_before(action, converting))
            .filter_map(|action| Some((position(action)?, action.id.clone())))
            .collect(),
    };
    if milestones.len() > MILESTONES_MAX {
        let count = milestones.len();
        match stated {
            Some(value) => value.refuse(format_args!("must be at most {MILESTONES_MAX} milestones")),
            None => table.refuse(format_args!(
                "there are {count} milestones before it: list at most {MILESTONES_MAX} of them as milestones = [ … ]"
            )),
        }
    }
    milestones.sort();
    milestones.into_iter().map(|(_, id)| id).collect()
}

fn is_default_milestone(action: &ActionSetting) -> bool {
    let name = action.id.as_str();
    MILESTONES_DEFAULT.contains(&name) || standard(name).is_none_or(|standard| standard.kind != action.kind)
}

/// Whether an action is a step on the way to the converting one; without a place of that on the ladder, all are.
fn stands_before(action: &ActionSetting, converting: Option<&ActionSetting>) -> bool {
    match converting {
        Some(converting) if converting.id == action.id => false,
        Some(converting) => position(converting).is_none_or(|goal| position(action).is_none_or(|step| step < goal)),
        None => true,
    }
}

fn check_milestones(value: &Value<'_>, advertiser: &Advertiser, converting: Option<&ActionSetting>) -> Vec<(u8, Id)> {
    let mut names = Names::default();
    let mut good = Vec::new();
    for (id, value) in value.ids().unwrap_or_default() {
        let Some(action) = find_action(&value, id.as_str(), advertiser) else { continue };
        let Some(step) = position(action) else {
            value.refuse(
                "is a secondary action: give it kind = \"milestone\" and a position in an [[advertiser.action]] first",
            );
            continue;
        };
        match converting {
            Some(goal) if goal.id == id => value.refuse("is the converting action: a milestone is a step before it"),
            Some(goal) if !stands_before(action, converting) => value.refuse(format_args!(
                "stands at position {step}, behind the converting action '{}' at {}: a milestone is a step before it",
                goal.id,
                position(goal).unwrap_or_default(),
            )),
            _ if names.claim(&id, &value) => good.push((step, id)),
            _ => {}
        }
    }
    good
}

//! Audiences of an advertiser: by an expression, ready-made ones, and external ones that requests name.

use super::table::{Names, Table};
use super::value::{Range, Value};
use crate::expression::{READY_MADE, parse, ready_made};
use crate::ids::Id;
use crate::settings::{
    Advertiser, ExternalSegment, KNOWN_EXTERNALS_MAX, RULE_SEGMENTS_MAX, Rule, RuleSegment, is_external_name,
};

/// Weights of one segment. The product of a user's weights is bounded by
/// [`WEIGHT_BOUNDS`](crate::settings::WEIGHT_BOUNDS).
const WEIGHTS: Range = Range::Above(0.0, 10.0);
/// Weight of a segment that states none: it is reported, and leaves the multiplier as it is.
const WEIGHT_DEFAULT: f64 = 1.0;

/// What says who is in a segment; a segment has one of them.
const KINDS: [&str; 3] = ["ready_made", "external", "when"];

/// Reads all `[[advertiser.segment]]` of one advertiser.
pub(super) fn read_segments(tables: Vec<Table<'_>>, advertiser: &mut Advertiser) {
    let mut names = Names::default();
    let mut expressions = Vec::new();
    for mut table in tables {
        expressions.extend(read_segment(&mut table, advertiser, &mut names));
        table.finish();
    }
    for (rule, when) in &expressions {
        know_externals(rule, when, advertiser, &mut names);
    }
}

/// Reads one segment; answers with its rule and the expression that says it, if there is one.
fn read_segment<'a>(
    table: &mut Table<'a>,
    advertiser: &mut Advertiser,
    names: &mut Names,
) -> Option<(Rule, Value<'a>)> {
    table.call("segment", ["ready_made", "external", "name"]);
    let mut weight = WEIGHT_DEFAULT;
    let mut stated: Vec<(&str, Value<'_>)> = KINDS.iter().filter_map(|key| Some((*key, table.take(key)?))).collect();
    let name = table.take("name");
    table.number("weight", &mut weight, WEIGHTS);
    if let [(one, _), (other, _), ..] = &stated[..] {
        table.refuse(format_args!("has {one} and {other}: two segments need two entries"));
        return None;
    }
    match stated.pop() {
        Some(("ready_made", value)) => read_ready_made(table, &value, name, weight, advertiser, names),
        Some(("external", value)) => read_external(table, &value, name, weight, advertiser, names),
        Some((_, value)) => {
            let rule = read_when(table, &value, name, weight, advertiser, names)?;
            return Some((rule, value));
        }
        None => table.refuse(format_args!(
            "says not who is in it: add when = \"did(view_item, 7d)\", or ready_made = {}, or external = \
             \"provider/id\"",
            ready_made_words()
        )),
    }
    None
}

/// The names of the ready-made segments, as alternatives.
fn ready_made_words() -> String {
    READY_MADE.map(|made| format!("\"{}\"", made.name)).join(" or ")
}

fn read_ready_made(
    table: &Table<'_>,
    value: &Value<'_>,
    name: Option<Value<'_>>,
    weight: f64,
    advertiser: &mut Advertiser,
    names: &mut Names,
) {
    let Some(wanted) = value.text() else { return };
    let Some(made) = ready_made(wanted) else {
        value.refuse_name("ready-made segment", &READY_MADE.map(|made| made.name));
        return;
    };
    let (id, named_by) = match &name {
        Some(name) => (name.id(), name),
        None => (Some(Id::literal(made.name)), value),
    };
    let Some(id) = id.filter(|id| names.claim(id, named_by)) else { return };
    add(table, RuleSegment { id, rule: made.rule(), weight }, advertiser);
}

/// Reads a segment by expression; answers with its rule.
fn read_when(
    table: &Table<'_>,
    value: &Value<'_>,
    name: Option<Value<'_>>,
    weight: f64,
    advertiser: &mut Advertiser,
    names: &mut Names,
) -> Option<Rule> {
    let text = value.text();
    let rule = text
        .and_then(|text| parse(text, &advertiser.actions).map_err(|error| value.refuse_expression(text, &error)).ok());
    let Some(name) = name else {
        table.refuse("name is missing: a segment with when needs one");
        return None;
    };
    let id = name.id().filter(|id| names.claim(id, &name))?;
    let rule = rule?;
    add(table, RuleSegment { id, rule: rule.clone(), weight }, advertiser);
    Some(rule)
}

fn add(table: &Table<'_>, segment: RuleSegment, advertiser: &mut Advertiser) {
    if advertiser.segments.len() == RULE_SEGMENTS_MAX {
        table.refuse(format_args!("an advertiser has at most {RULE_SEGMENTS_MAX} segments by rule"));
        return;
    }
    advertiser.segments.push(segment);
}

/// Makes the external segments known that an expression names and no entry does: with weight 1, as an entry without a
/// weight would.
fn know_externals(rule: &Rule, when: &Value<'_>, advertiser: &mut Advertiser, names: &mut Names) {
    for condition in rule.conditions() {
        let Rule::External(id) = condition else { continue };
        if advertiser.externals.iter().any(|known| known.id == *id) || !names.claim(id, when) {
            continue;
        }
        if advertiser.externals.len() == KNOWN_EXTERNALS_MAX {
            when.refuse(format_args!("an advertiser has at most {KNOWN_EXTERNALS_MAX} external segments"));
            return;
        }
        advertiser.externals.push(ExternalSegment { id: id.clone(), weight: WEIGHT_DEFAULT });
    }
}

fn read_external(
    table: &Table<'_>,
    value: &Value<'_>,
    name: Option<Value<'_>>,
    weight: f64,
    advertiser: &mut Advertiser,
    names: &mut Names,
) {
    if let Some(name) = name {
        name.refuse("an external segment goes by the name that requests give it: leave this out");
    }
    let Some(id) = value.id() else { return };
    if !is_external_name(id.as_str()) {
        value.refuse("must be the provider and its segment, such as \"provider/id\"");
        return;
    }
    if !names.claim(&id, value) {
        return;
    }
    if advertiser.externals.len() == KNOWN_EXTERNALS_MAX {
        table.refuse(format_args!("an advertiser has at most {KNOWN_EXTERNALS_MAX} external segments"));
        return;
    }
    advertiser.externals.push(ExternalSegment { id, weight });
}

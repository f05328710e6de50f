//! Audiences of an advertiser: ready-made ones, and external ones that requests name.

use super::policy::NOT_BUILT;
use super::table::{Names, Table};
use super::value::{Range, Value};
use crate::ids::Id;
use crate::settings::{
    Advertiser, ExternalSegment, KNOWN_EXTERNALS_MAX, RULE_SEGMENTS_MAX, RuleSegment, ready_made_segments,
};

/// Weights of one segment. The product of a user's weights is bounded by
/// [`WEIGHT_BOUNDS`](crate::settings::WEIGHT_BOUNDS).
const WEIGHTS: Range = Range::Above(0.0, 10.0);
/// Weight of a segment that states none: it is reported, and leaves the multiplier as it is.
const WEIGHT_DEFAULT: f64 = 1.0;

/// Reads all `[[advertiser.segment]]` of one advertiser.
pub(super) fn read_segments(tables: Vec<Table<'_>>, advertiser: &mut Advertiser) {
    let mut names = Names::default();
    for mut table in tables {
        read_segment(&mut table, advertiser, &mut names);
        table.finish();
    }
}

fn read_segment(table: &mut Table<'_>, advertiser: &mut Advertiser, names: &mut Names) {
    table.call("segment", ["ready_made", "external"]);
    let mut weight = WEIGHT_DEFAULT;
    let (ready_made, external, when) = (table.take("ready_made"), table.take("external"), table.take("when"));
    let name = table.take("name");
    table.number("weight", &mut weight, WEIGHTS);
    match (ready_made, external, when) {
        (_, _, Some(when)) => when.refuse(format_args!(
            "a language for segments {NOT_BUILT}: use ready_made = {}, or external = \"provider/id\"",
            ready_made_words()
        )),
        (Some(ready_made), None, None) => read_ready_made(table, &ready_made, name, weight, advertiser, names),
        (None, Some(external), None) => read_external(table, &external, name, weight, advertiser, names),
        (Some(_), Some(_), None) => table.refuse("has ready_made and external: two segments need two entries"),
        (None, None, None) => table.refuse(format_args!(
            "says not who is in it: add ready_made = {}, or external = \"provider/id\"",
            ready_made_words()
        )),
    }
}

/// The names of the ready-made segments, as alternatives.
fn ready_made_words() -> String {
    let names: Vec<String> = ready_made_segments().iter().map(|(name, _, _)| format!("\"{name}\"")).collect();
    names.join(" or ")
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
    let Some((known, _, rule)) = ready_made_segments().into_iter().find(|(known, _, _)| *known == wanted) else {
        let known: Vec<&str> = ready_made_segments().iter().map(|(known, _, _)| *known).collect();
        value.refuse_name("ready-made segment", &known);
        return;
    };
    let (id, named_by) = match &name {
        Some(name) => (name.id(), name),
        None => (Some(Id::literal(known)), value),
    };
    let Some(id) = id.filter(|id| names.claim(id, named_by)) else { return };
    if advertiser.segments.len() == RULE_SEGMENTS_MAX {
        table.refuse(format_args!("an advertiser has at most {RULE_SEGMENTS_MAX} segments by rule"));
        return;
    }
    advertiser.segments.push(RuleSegment { id, rule, weight });
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
    let (provider, segment) = id.as_str().split_once('/').unwrap_or_default();
    if provider.is_empty() || segment.is_empty() {
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

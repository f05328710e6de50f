//! The JSON of a line: all fields of all kinds in one struct, read in one pass without copying texts.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::line::{Action, Conversion, Impression, Line, LineFault, Opportunity, values};
use crate::ids::Id;
use crate::units::{Micros, Timestamp};

impl Line {
    /// Reads the JSON of one line.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Line, LineFault> {
        if let Some(hint) = other_shape(json.trim_ascii()) {
            let problem = format!("a line is one JSON object, in braces{hint}");
            return Err(LineFault::Json { column: 1, problem });
        }
        let fields: Fields = serde_json::from_slice(json).map_err(|error| fault(&error))?;
        let line = fields.into_line()?;
        line.check()?;
        Ok(line)
    }

    /// Appends the JSON of this line, without a line's end.
    ///
    /// # Errors
    /// When the line breaks a limit, so that it could not be read again. Then nothing is appended.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), LineFault> {
        self.check()?;
        serde_json::to_writer(out, &Fields::of(self)).expect("finite numbers and texts always become JSON");
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Action,
    Opportunity,
    Impression,
    Conversion,
}

impl Kind {
    /// As errors call it.
    fn words(self) -> &'static str {
        match self {
            Kind::Action => "an action",
            Kind::Opportunity => "an opportunity",
            Kind::Impression => "an impression",
            Kind::Conversion => "a conversion",
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    time_ms: u64,
    kind: Kind,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    id: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    user: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    advertiser: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    action: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    goal: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    campaign: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    item: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    category: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explored: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    context: Option<Pairs<'a, Text<'a>>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    numbers: Option<Pairs<'a, f64>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<Text<'a>>>,
}

/// A text that stays where the line's buffer holds it, unless it has escapes. (Within an `Option`, a bare `Cow` would
/// always be copied.)
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object whose keys are data, in the order they stand in.
#[derive(Debug)]
struct Pairs<'a, V>(Vec<(Text<'a>, V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<'a, V>(PhantomData<(&'a str, V)>);
        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Entries<'a, V> {
            type Value = Pairs<'a, V>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of names and values")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// What a line that holds no object of its own probably belongs to, and what to do about it; `None` for an object. The
/// parser would take an array of all fields for one.
fn other_shape(line: &[u8]) -> Option<&'static str> {
    let is_array = line == b"[" || line.starts_with(b"[{");
    match line {
        b"{" => Some(": this one goes on over other lines; `jq -c .` writes each object on a line of its own"),
        [b'{', ..] => None,
        _ if is_array => Some(": this begins an array; `jq -c '.[]'` writes each object on a line of its own"),
        [b'"' | b'[' | b'}' | b']', ..] => Some(""),
        _ if line.contains(&b',') => Some(": this looks like comma-separated values"),
        _ => Some(""),
    }
}

/// What the parser says, with its place as a field: a line is always "line 1" to it.
fn fault(error: &serde_json::Error) -> LineFault {
    if error.is_eof() {
        return LineFault::Cut;
    }
    let mut problem = error.to_string();
    if let Some(place) = problem.rfind(" at line ") {
        problem.truncate(place);
    }
    LineFault::Json { column: error.column(), problem }
}

fn id(field: &'static str, text: Text<'_>) -> Result<Id, LineFault> {
    Id::new(text.0).map_err(|error| LineFault::Id { field, error })
}

fn optional_id(field: &'static str, text: Option<Text<'_>>) -> Result<Option<Id>, LineFault> {
    text.map(|text| id(field, text)).transpose()
}

fn micros(value: Option<f64>) -> Result<Option<Micros>, LineFault> {
    let read = |value| {
        Micros::from_units(value).ok_or_else(|| LineFault::OutOfRange { field: "value", value, allowed: values() })
    };
    value.map(read).transpose()
}

fn pairs<W, V>(
    field: &'static str,
    pairs: Option<Pairs<'_, W>>,
    read: impl Fn(W) -> Result<V, LineFault>,
) -> Result<Vec<(Id, V)>, LineFault> {
    let pairs = pairs.map_or_else(Vec::new, |pairs| pairs.0);
    pairs.into_iter().map(|(name, value)| Ok((id(field, name)?, read(value)?))).collect()
}

/// Takes a field that must be there out of the fields, under its own name.
macro_rules! need {
    ($fields:ident.$field:ident) => {{
        let (kind, field) = ($fields.kind.words(), stringify!($field));
        id(field, $fields.$field.take().ok_or(LineFault::Missing { kind, field })?)?
    }};
}

/// Takes a field that may be there out of the fields, under its own name.
macro_rules! may {
    ($fields:ident.$field:ident) => {
        optional_id(stringify!($field), $fields.$field.take())?
    };
}

impl<'a> Fields<'a> {
    /// The line of these fields; each kind takes its own, and none may be left.
    fn into_line(mut self) -> Result<Line, LineFault> {
        let (kind, fields) = (self.kind, &mut self);
        let time = Timestamp(fields.time_ms);
        let line = match kind {
            Kind::Action => Line::Action(Action {
                time,
                user: need!(fields.user),
                advertiser: need!(fields.advertiser),
                action: need!(fields.action),
                item: may!(fields.item),
                category: may!(fields.category),
                value: micros(fields.value.take())?,
            }),
            Kind::Opportunity => Line::Opportunity(Opportunity {
                time,
                id: need!(fields.id),
                user: need!(fields.user),
                advertiser: need!(fields.advertiser),
                goal: need!(fields.goal),
                campaign: may!(fields.campaign),
                item: may!(fields.item),
                category: may!(fields.category),
                context: pairs("context", fields.context.take(), |value| id("context", value))?,
                numbers: pairs("numbers", fields.numbers.take(), Ok)?,
                segments: fields
                    .segments
                    .take()
                    .unwrap_or_default()
                    .into_iter()
                    .map(segment)
                    .collect::<Result<_, _>>()?,
            }),
            Kind::Impression => Line::Impression(Impression {
                time,
                id: need!(fields.id),
                cost: fields.cost_micros.take().map(Micros),
                is_explored: fields.explored.take().unwrap_or_default(),
            }),
            Kind::Conversion => Line::Conversion(Conversion {
                time,
                user: need!(fields.user),
                advertiser: need!(fields.advertiser),
                goal: need!(fields.goal),
                id: may!(fields.id),
                item: may!(fields.item),
                category: may!(fields.category),
                value: micros(fields.value.take())?,
            }),
        };
        match self.left() {
            Some(field) => Err(LineFault::Foreign { kind: kind.words(), field }),
            None => Ok(line),
        }
    }

    /// A field that was not taken.
    fn left(&self) -> Option<&'static str> {
        let fields = [
            ("id", self.id.is_some()),
            ("user", self.user.is_some()),
            ("advertiser", self.advertiser.is_some()),
            ("action", self.action.is_some()),
            ("goal", self.goal.is_some()),
            ("campaign", self.campaign.is_some()),
            ("item", self.item.is_some()),
            ("category", self.category.is_some()),
            ("value", self.value.is_some()),
            ("cost_micros", self.cost_micros.is_some()),
            ("explored", self.explored.is_some()),
            ("context", self.context.is_some()),
            ("numbers", self.numbers.is_some()),
            ("segments", self.segments.is_some()),
        ];
        fields.into_iter().find_map(|(field, is_left)| is_left.then_some(field))
    }

    /// The fields of a line.
    fn of(line: &'a Line) -> Fields<'a> {
        let of = |kind| Fields { time_ms: line.time().0, kind, ..Fields::default() };
        match line {
            Line::Action(action) => Fields {
                user: text(&action.user),
                advertiser: text(&action.advertiser),
                action: text(&action.action),
                item: optional_text(&action.item),
                category: optional_text(&action.category),
                value: action.value.map(Micros::units),
                ..of(Kind::Action)
            },
            Line::Opportunity(opportunity) => Fields {
                id: text(&opportunity.id),
                user: text(&opportunity.user),
                advertiser: text(&opportunity.advertiser),
                goal: text(&opportunity.goal),
                campaign: optional_text(&opportunity.campaign),
                item: optional_text(&opportunity.item),
                category: optional_text(&opportunity.category),
                context: some_pairs(&opportunity.context, borrow),
                numbers: some_pairs(&opportunity.numbers, |number| *number),
                segments: some(opportunity.segments.iter().map(borrow).collect()),
                ..of(Kind::Opportunity)
            },
            Line::Impression(impression) => Fields {
                id: text(&impression.id),
                cost_micros: impression.cost.map(|cost| cost.0),
                explored: impression.is_explored.then_some(true),
                ..of(Kind::Impression)
            },
            Line::Conversion(conversion) => Fields {
                user: text(&conversion.user),
                advertiser: text(&conversion.advertiser),
                goal: text(&conversion.goal),
                id: optional_text(&conversion.id),
                item: optional_text(&conversion.item),
                category: optional_text(&conversion.category),
                value: conversion.value.map(Micros::units),
                ..of(Kind::Conversion)
            },
        }
    }
}

fn segment(text: Text<'_>) -> Result<Id, LineFault> {
    id("segments", text)
}

fn borrow(id: &Id) -> Text<'_> {
    Text(Cow::Borrowed(id.as_str()))
}

fn text(id: &Id) -> Option<Text<'_>> {
    Some(borrow(id))
}

fn optional_text(id: &Option<Id>) -> Option<Text<'_>> {
    id.as_ref().map(borrow)
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn some_pairs<'a, V, W>(pairs: &'a [(Id, V)], write: impl Fn(&'a V) -> W) -> Option<Pairs<'a, W>> {
    some(pairs.iter().map(|(name, value)| (borrow(name), write(value))).collect()).map(Pairs)
}

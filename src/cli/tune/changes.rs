//! What was changed of the settings: in words, in JSON, and in the configuration's text.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::config::{self, Config, Edit};
use crate::market::tune::{Knob, Space};
use crate::settings::Settings;

/// One number of the settings that tuning changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub knob: Knob,
    /// What it was.
    pub before: f64,
    /// What it is to be.
    pub after: f64,
    edit: Edit,
}

/// What a knob is called.
pub fn name(settings: &Settings, knob: Knob) -> String {
    let advertiser = &settings.advertisers[0];
    let goal = &advertiser.goals[0].id;
    match knob {
        Knob::Rule(place) => format!("weight of {}", advertiser.segments[place].id),
        Knob::External(place) => format!("weight of {}", advertiser.externals[place].id),
        Knob::Exponent => format!("exponent of {goal}"),
        Knob::Min => format!("smallest multiplier of {goal}"),
        Knob::Max => format!("largest multiplier of {goal}"),
        Knob::LearnerHalfLife => "half-life of the learner".to_owned(),
        Knob::GoalHalfLife => format!("half-life of {goal}"),
    }
}

/// A knob's number with its unit.
pub fn number(knob: Knob, number: f64) -> String {
    knob.span(number).map_or_else(|| number.to_string(), |span| span.to_string())
}

/// What differs between two points.
pub fn changes(space: &Space, settings: &Settings, before: &[f64], after: &[f64]) -> Vec<Change> {
    let all = space.knobs().iter().zip(before.iter().zip(after));
    let of = |(knob, (before, after)): (&Knob, (&f64, &f64))| {
        let span = || knob.span(*after).unwrap_or_default();
        let edit = match knob {
            Knob::Rule(place) => Edit::RuleWeight(*place, *after),
            Knob::External(place) => {
                Edit::ExternalWeight(settings.advertisers[0].externals[*place].id.to_string(), *after)
            }
            Knob::Exponent => Edit::Multiplier("exponent", *after),
            Knob::Min => Edit::Multiplier("min", *after),
            Knob::Max => Edit::Multiplier("max", *after),
            Knob::LearnerHalfLife => Edit::LearnerHalfLife(span()),
            Knob::GoalHalfLife => Edit::GoalHalfLife(span()),
        };
        Change { name: name(settings, *knob), knob: *knob, before: *before, after: *after, edit }
    };
    all.filter(|(_, (before, after))| before != after).map(of).collect()
}

/// The configuration's text with all changes. It is read again, and must say just what was judged.
///
/// # Errors
/// When the text cannot be edited so that it does.
pub fn edited(text: &str, judged: &Settings, changes: &[Change]) -> anyhow::Result<String> {
    let edits: Vec<Edit> = changes.iter().map(|change| change.edit.clone()).collect();
    let new = config::edit(text, &edits)?;
    let read = Config::parse("the tuned configuration", &new).context("the configuration cannot be edited")?;
    ensure!(
        read.settings == *judged,
        "the configuration cannot be edited: its parts are not where they were looked for"
    );
    Ok(new)
}

/// The changes for programs.
pub fn json(changes: &[Change]) -> Value {
    let of = |change: &Change| {
        let tell = |number: f64| match change.knob.span(number) {
            Some(span) => json!(span.to_string()),
            None => json!(number),
        };
        json!({ "setting": change.name, "before": tell(change.before), "after": tell(change.after) })
    };
    changes.iter().map(of).collect()
}

//! Puts numbers into a configuration's text; comments, order and everything else stay as they are.

use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use thiserror::Error;

use crate::units::Span;

/// What of a configuration is set: of the first advertiser, and of its first goal.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Weight of a segment by rule, by its place among these.
    RuleWeight(usize, f64),
    /// Weight of an external segment. One without an entry gets one.
    ExternalWeight(String, f64),
    /// One of `exponent`, `min`, `max` of the goal's multiplier.
    Multiplier(&'static str, f64),
    /// The learner's half-life.
    LearnerHalfLife(Span),
    /// The goal's half-life.
    GoalHalfLife(Span),
}

/// Why a text cannot be edited.
#[derive(Debug, Error)]
pub enum EditError {
    /// It is no TOML.
    #[error("the configuration cannot be edited")]
    Syntax(#[from] toml_edit::TomlError),
    /// What shall be set is not there.
    #[error("the configuration has no {what} to put a number into")]
    Missing {
        /// What.
        what: &'static str,
    },
}

/// The text with these numbers.
///
/// # Errors
/// When the text is no configuration that has what is to be set.
pub fn edit(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse()?;
    for edit in edits {
        match edit {
            Edit::RuleWeight(place, weight) => set(rule(&mut document, *place)?, "weight", *weight),
            Edit::ExternalWeight(id, weight) => set_external(&mut document, id, *weight)?,
            Edit::Multiplier(key, number) => set(multiplier(&mut document)?, key, *number),
            Edit::LearnerHalfLife(span) => {
                let learner = document.entry("learner").or_insert_with(|| Item::Table(Table::new()));
                let learner = learner.as_table_like_mut().ok_or(EditError::Missing { what: "[learner]" })?;
                set(learner, "half_life", span.to_string());
            }
            Edit::GoalHalfLife(span) => set(goal(&mut document)?, "half_life", span.to_string()),
        }
    }
    Ok(document.to_string())
}

/// Puts a value in the place of another, with the spaces and the comment around it, or behind all others.
fn set(table: &mut dyn TableLike, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// All tables of a list, in whichever of its two spellings.
fn tables<'a>(parent: &'a mut dyn TableLike, key: &str) -> Vec<&'a mut dyn TableLike> {
    match parent.get_mut(key) {
        Some(Item::ArrayOfTables(tables)) => tables.iter_mut().map(|table| table as &mut dyn TableLike).collect(),
        Some(Item::Value(Value::Array(values))) => {
            let inline = values.iter_mut().filter_map(Value::as_inline_table_mut);
            inline.map(|table| table as &mut dyn TableLike).collect()
        }
        _ => Vec::new(),
    }
}

fn advertiser(document: &mut DocumentMut) -> Result<&mut dyn TableLike, EditError> {
    let first = tables(document.as_table_mut(), "advertiser").into_iter().next();
    first.ok_or(EditError::Missing { what: "advertiser" })
}

fn goal(document: &mut DocumentMut) -> Result<&mut dyn TableLike, EditError> {
    let first = tables(advertiser(document)?, "goal").into_iter().next();
    first.ok_or(EditError::Missing { what: "goal" })
}

fn multiplier(document: &mut DocumentMut) -> Result<&mut dyn TableLike, EditError> {
    let goal = goal(document)?;
    if goal.get("multiplier").is_none() {
        goal.insert("multiplier", Item::Value(Value::InlineTable(InlineTable::new())));
    }
    goal.get_mut("multiplier").and_then(Item::as_table_like_mut).ok_or(EditError::Missing { what: "multiplier" })
}

fn rule(document: &mut DocumentMut, place: usize) -> Result<&mut dyn TableLike, EditError> {
    let segments = tables(advertiser(document)?, "segment").into_iter();
    let mut rules = segments.filter(|table| table.get("external").is_none());
    rules.nth(place).ok_or(EditError::Missing { what: "segment of that place" })
}

fn set_external(document: &mut DocumentMut, id: &str, weight: f64) -> Result<(), EditError> {
    let advertiser = advertiser(document)?;
    let is_it = |table: &dyn TableLike| table.get("external").and_then(Item::as_str) == Some(id);
    if let Some(table) = tables(advertiser, "segment").into_iter().find(|table| is_it(*table)) {
        set(table, "weight", weight);
        return Ok(());
    }
    let segments = advertiser.entry("segment").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    match segments {
        Item::ArrayOfTables(tables) => {
            let mut table = Table::new();
            set(&mut table, "external", id);
            set(&mut table, "weight", weight);
            tables.push(table);
        }
        Item::Value(Value::Array(values)) => {
            let mut table = InlineTable::new();
            set(&mut table, "external", id);
            set(&mut table, "weight", weight);
            values.push(table);
        }
        _ => return Err(EditError::Missing { what: "list of segments" }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_example_keeps_its_comments_and_its_order() {
        let text = std::fs::read_to_string("inkling.example.toml").unwrap();
        let edits = [
            Edit::RuleWeight(0, 1.41),
            Edit::RuleWeight(2, 0.9),
            Edit::ExternalWeight("acxiom/in_market_shoes".to_owned(), 2.0),
            Edit::Multiplier("exponent", 1.5),
            Edit::Multiplier("max", 6.0),
            Edit::LearnerHalfLife(Span::days(15)),
            Edit::GoalHalfLife(Span::hours(36)),
        ];
        let edited = edit(&text, &edits).unwrap();
        let mut settings = Config::parse("example", &text).unwrap().settings;
        let advertiser = &mut settings.advertisers[0];
        (advertiser.segments[0].weight, advertiser.segments[2].weight) = (1.41, 0.9);
        advertiser.externals[0].weight = 2.0;
        (advertiser.goals[0].multiplier.exponent, advertiser.goals[0].multiplier.max) = (1.5, 6.0);
        advertiser.goals[0].half_life = Span::hours(36);
        settings.learner.half_life = Span::days(15);
        assert_eq!(Config::parse("edited", &edited).unwrap().settings, settings, "{edited}");
        // All lines that were there are there, in their order, but for those with a new number.
        let mut lines = edited.lines();
        let gone: Vec<&str> = text.lines().filter(|line| !lines.clone().any(|other| other == *line)).collect();
        assert_eq!(gone, ["multiplier = { max = 4.0 }", "weight = 1.3", "weight = 1.2"]);
        assert!(text.lines().filter(|line| line.starts_with('#')).all(|line| lines.any(|other| other == line)));
        assert_eq!(edit(&text, &[]).unwrap(), text);
    }

    #[test]
    fn numbers_go_where_they_belong_in_either_spelling() {
        let text =
            "advertiser = [{ id = \"a\", goal = [{ name = \"g\" }], segment = [{ external = \"p/x\" }] }] # end\n";
        let edits = [Edit::ExternalWeight("p/y".to_owned(), 2.0), Edit::Multiplier("min", 0.2)];
        let settings = Config::parse("edited", &edit(text, &edits).unwrap()).unwrap().settings;
        assert_eq!(settings.advertisers[0].externals[1].weight, 2.0);
        assert_eq!(settings.advertisers[0].goals[0].multiplier.min, 0.2);
        let text = "[[advertiser]]\nid = \"a\"\n[[advertiser.goal]]\nname = \"g\"\nhalf_life = \"2d\" # short\n";
        let edits = [Edit::GoalHalfLife(Span::days(3)), Edit::ExternalWeight("p/y".to_owned(), 2.0)];
        let edited = edit(text, &edits).unwrap();
        assert!(edited.contains("half_life = \"3d\" # short\n") && edited.contains("external = \"p/y\""), "{edited}");
        assert!(edit("[[advertiser]]\nid = \"a\"\n", &[Edit::Multiplier("max", 2.0)]).is_err());
    }
}

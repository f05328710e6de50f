//! A rule as its canonical expression.

use super::token::is_bare;
use crate::ids::Id;
use crate::settings::Rule;

/// How closely an expression holds together; what is looser than its surroundings stands in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Or,
    And,
    Not,
}

/// The canonical expression of a rule: one text for all rules of one normal form.
pub fn write(rule: &Rule) -> String {
    let mut out = String::new();
    write_into(&mut out, &super::normal(rule), Binding::Or);
    out
}

/// Writes a normal rule.
fn write_into(out: &mut String, rule: &Rule, around: Binding) {
    match rule {
        Rule::All(parts) => join(out, parts, " and ", Binding::And, around),
        Rule::Any(parts) => join(out, parts, " or ", Binding::Or, around),
        Rule::Not(part) => write_negated(out, part),
        Rule::Count { action, window, at_least: 1 } => *out += &format!("did({}, {window})", name(action)),
        Rule::Count { action, window, at_least } => {
            *out += &format!("count({}, {window}) >= {at_least}", name(action));
        }
        Rule::Recency { action, less_than } => *out += &format!("recency({}) < {less_than}", name(action)),
        Rule::Stage(action) => *out += &format!("stage >= {}", name(action)),
        Rule::Sessions(count) => *out += &format!("sessions >= {count}"),
        Rule::External(id) => *out += &format!("external({})", name(id)),
    }
}

/// Writes what holds where a rule does not.
fn write_negated(out: &mut String, rule: &Rule) {
    match rule {
        Rule::Count { action, window, at_least } if *at_least > 1 => {
            *out += &format!("count({}, {window}) < {at_least}", name(action));
        }
        Rule::Recency { action, less_than } => *out += &format!("recency({}) >= {less_than}", name(action)),
        Rule::Stage(action) => *out += &format!("stage < {}", name(action)),
        Rule::Sessions(count) => *out += &format!("sessions < {count}"),
        rule => {
            *out += "not ";
            write_into(out, rule, Binding::Not);
        }
    }
}

fn join(out: &mut String, parts: &[Rule], word: &str, binding: Binding, around: Binding) {
    let is_looser = binding < around;
    *out += if is_looser { "(" } else { "" };
    for (place, part) in parts.iter().enumerate() {
        *out += if place > 0 { word } else { "" };
        write_into(out, part, binding);
    }
    *out += if is_looser { ")" } else { "" };
}

/// A name as it can be read again: in single quotes if it is odd, so that it can stand in a TOML string as it is.
fn name(id: &Id) -> String {
    let name = id.as_str();
    if name.chars().all(is_bare) { name.to_owned() } else { format!("'{}'", name.replace('\'', "''")) }
}

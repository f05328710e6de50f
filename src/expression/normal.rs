//! Rules without detours: the form that parsing gives.

use crate::settings::Rule;

/// A rule that holds for the same users, in normal form: what is joined by nothing is `sessions >= 0` or its negation.
pub fn normal(rule: &Rule) -> Rule {
    match rule {
        Rule::All(parts) => all(parts.iter().map(normal).collect()),
        Rule::Any(parts) => any(parts.iter().map(normal).collect()),
        Rule::Not(part) => not(normal(part)),
        condition => condition.clone(),
    }
}

/// Every part holds; the parts are normal.
pub(super) fn all(parts: Vec<Rule>) -> Rule {
    let flat = parts.into_iter().flat_map(|part| match part {
        Rule::All(inner) => inner,
        part => vec![part],
    });
    joined(flat.collect(), Rule::All, everyone)
}

/// Some part holds; the parts are normal.
pub(super) fn any(parts: Vec<Rule>) -> Rule {
    let flat = parts.into_iter().flat_map(|part| match part {
        Rule::Any(inner) => inner,
        part => vec![part],
    });
    joined(flat.collect(), Rule::Any, || not(everyone()))
}

/// The part, which is normal, does not hold.
pub(super) fn not(part: Rule) -> Rule {
    match part {
        Rule::Not(inner) => *inner,
        part => Rule::Not(Box::new(part)),
    }
}

fn joined(mut parts: Vec<Rule>, join: fn(Vec<Rule>) -> Rule, of_nothing: impl FnOnce() -> Rule) -> Rule {
    match parts.len() {
        0 => of_nothing(),
        1 => parts.remove(0),
        _ => join(parts),
    }
}

fn everyone() -> Rule {
    Rule::Sessions(0)
}

//! The rules of segments as protocol buffers.

use super::fault::{Fault, id, narrow, required, text};
use crate::pb::journal as pb;
use crate::pb::journal::rule::Is;
use crate::settings::{RULE_DEPTH_MAX, RULES_PER_SEGMENT_MAX, Rule, WINDOWED_COUNT_MAX};
use crate::units::Span;

pub(super) fn write(rule: &Rule) -> pb::Rule {
    let is = match rule {
        Rule::All(parts) => Is::All(write_all(parts)),
        Rule::Any(parts) => Is::Any(write_all(parts)),
        Rule::Not(part) => Is::Not(Box::new(write(part))),
        Rule::Count { action, window, at_least } => {
            Is::Count(pb::Count { action: text(action), window_ms: window.0, at_least: (*at_least).into() })
        }
        Rule::Recency { action, less_than } => {
            Is::Recency(pb::Recency { action: text(action), less_than_ms: less_than.0 })
        }
        Rule::Stage(action) => Is::Stage(text(action)),
        Rule::Sessions(count) => Is::Sessions((*count).into()),
        Rule::External(segment) => Is::External(text(segment)),
    };
    pb::Rule { is: Some(is) }
}

/// Reads a rule. The protocol buffer's own limit of 100 nested messages bounds the recursion.
pub(super) fn read(rule: pb::Rule) -> Result<Rule, Fault> {
    Ok(match required("rule", rule.is)? {
        Is::All(rules) => Rule::All(read_all(rules)?),
        Is::Any(rules) => Rule::Any(read_all(rules)?),
        Is::Not(part) => Rule::Not(Box::new(read(*part)?)),
        Is::Count(count) => Rule::Count {
            action: id("action", count.action)?,
            window: Span(count.window_ms),
            at_least: narrow("at_least", count.at_least)?,
        },
        Is::Recency(recency) => {
            Rule::Recency { action: id("action", recency.action)?, less_than: Span(recency.less_than_ms) }
        }
        Is::Stage(action) => Rule::Stage(id("stage", action)?),
        Is::Sessions(count) => Rule::Sessions(narrow("sessions", count)?),
        Is::External(segment) => Rule::External(id("external", segment)?),
    })
}

fn write_all(parts: &[Rule]) -> pb::Rules {
    pb::Rules { parts: parts.iter().map(write).collect() }
}

fn read_all(rules: pb::Rules) -> Result<Vec<Rule>, Fault> {
    rules.parts.into_iter().map(read).collect()
}

/// Checks depth, size and counts; looks no deeper than [`RULE_DEPTH_MAX`].
pub(super) fn check(rule: &Rule) -> Result<(), Fault> {
    let count = check_below(rule, 1)?;
    match count > RULES_PER_SEGMENT_MAX {
        true => Err(Fault::TooMany { field: "rules of the segment", count, limit: RULES_PER_SEGMENT_MAX }),
        false => Ok(()),
    }
}

/// Checks a rule at its depth; how many rules it holds, itself included.
fn check_below(rule: &Rule, depth: usize) -> Result<usize, Fault> {
    if depth > RULE_DEPTH_MAX {
        return Err(Fault::TooMany { field: "nested rules", count: depth, limit: RULE_DEPTH_MAX });
    }
    match rule {
        Rule::All(parts) | Rule::Any(parts) => {
            parts.iter().try_fold(1, |count, part| Ok(count + check_below(part, depth + 1)?))
        }
        Rule::Not(part) => Ok(1 + check_below(part, depth + 1)?),
        Rule::Count { at_least, .. } if !(1..=WINDOWED_COUNT_MAX).contains(at_least) => {
            Err(Fault::OutOfRange { field: "at_least", value: (*at_least).into(), allowed: "1 to 8" })
        }
        Rule::Count { .. } | Rule::Recency { .. } | Rule::Stage(_) | Rule::Sessions(_) | Rule::External(_) => Ok(1),
    }
}

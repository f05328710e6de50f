//! What is wrong with an expression, and where.

use std::ops::Range;

use thiserror::Error;

use super::parse::{EXPRESSION_BYTES_MAX, WINDOWS};
use crate::ids::IdError;
use crate::settings::{RULE_DEPTH_MAX, RULES_PER_SEGMENT_MAX, WINDOWED_COUNT_MAX};
use crate::units::{Span, SpanError};

/// Most characters of an expression that an excerpt shows.
const EXCERPT_MAX: usize = 80;
/// Characters that an excerpt shows before the place it points at, where the line is longer than that.
const EXCERPT_BEFORE: usize = 40;

/// An expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {fault}")]
pub struct ExpressionError {
    /// Characters of the text before the place, and 1: at most one more than the text has.
    pub column: usize,
    /// The offending part in bytes of the text; empty at its end.
    pub part: Range<usize>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is no condition.
    #[error("says not who is in it: write a condition, such as count(view_item, 7d) >= 3")]
    Empty,
    /// The text is longer than any sensible expression.
    #[error("has {bytes} bytes: an expression has at most {EXPRESSION_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A character that the language does not use.
    #[error("'{found}' is not of this language: {remedy}")]
    Symbol {
        /// The character, or those that another language would understand.
        found: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// A quote without its end.
    #[error("this quote is never closed")]
    OpenQuote,
    /// Something else must stand here.
    #[error("expected {expected}, found {found}{}", meant(*nearest))]
    Expected {
        /// What may stand here.
        expected: &'static str,
        /// What stands here.
        found: String,
        /// The word that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A condition that there is not.
    #[error("unknown function '{name}': {instead}")]
    UnknownFunction {
        /// As it was written.
        name: String,
        /// What there is.
        instead: String,
    },
    /// An action that the advertiser has not.
    #[error("unknown action '{name}': {instead}")]
    UnknownAction {
        /// As it was written.
        name: String,
        /// What there is.
        instead: String,
    },
    /// An action that stands alone.
    #[error("'{name}' is an action, not a condition: write did({name}, 7d) or count({name}, 7d) >= 3")]
    BareAction {
        /// The action.
        name: String,
    },
    /// A stage that is no milestone.
    #[error("'{name}' is no milestone: {}the milestones are {milestones}", perhaps(nearest.as_deref()))]
    NoMilestone {
        /// As it was written.
        name: String,
        /// The milestone that was probably meant.
        nearest: Option<String>,
        /// All there are, nearest to the goal last.
        milestones: String,
    },
    /// A name that no identifier can be.
    #[error(transparent)]
    Name(#[from] IdError),
    /// A name that is not of an external segment.
    #[error("'{name}' must be the provider and its segment, such as external(provider/id)")]
    External {
        /// As it was written.
        name: String,
    },
    /// What should be a span of time is none.
    #[error(transparent)]
    Span(#[from] SpanError),
    /// A span of time that the engine does not measure.
    #[error("{span} must be whole seconds, from {} to {}", WINDOWS.start(), WINDOWS.end())]
    Window {
        /// As it was written.
        span: Span,
    },
    /// More occurrences would have to be kept than are.
    #[error("needs the {needed} latest occurrences of an action, of which {WINDOWED_COUNT_MAX} are kept")]
    Occurrences {
        /// How many the comparison needs.
        needed: u64,
    },
    /// More sessions than are counted.
    #[error("needs {needed} sessions to be counted: they are up to {}", u16::MAX)]
    Sessions {
        /// How many the comparison needs.
        needed: u64,
    },
    /// A comparison that is the same for all users.
    #[error("{} holds: compare with a larger number", if *holds { "always" } else { "never" })]
    Constant {
        /// Whether it always holds.
        holds: bool,
    },
    /// Conditions nested too deeply.
    #[error("is nested deeper than {RULE_DEPTH_MAX} levels")]
    TooDeep,
    /// Too many conditions.
    #[error("has more than {RULES_PER_SEGMENT_MAX} conditions, their ands, ors and nots included")]
    TooMany,
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|word| format!(": did you mean '{word}'?")).unwrap_or_default()
}

fn perhaps(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("did you mean '{name}'? ")).unwrap_or_default()
}

impl ExpressionError {
    pub(super) fn new(text: &str, part: Range<usize>, fault: impl Into<Fault>) -> ExpressionError {
        let column = text[..part.start].chars().count() + 1;
        ExpressionError { column, part, fault: fault.into() }
    }

    /// The line of the text in which the place lies, and carets below the offending part: two lines, each after `|`.
    ///
    /// `text` is the expression that was refused. Of a long line, at most 80 characters are shown.
    pub fn excerpt(&self, text: &str) -> String {
        let start = text[..self.part.start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let before = text[start..self.part.start].chars().count();
        let wide = text[self.part.clone()].lines().next().unwrap_or_default().chars().count();
        let skipped = if line.chars().count() <= EXCERPT_MAX { 0 } else { before.saturating_sub(EXCERPT_BEFORE) };
        // A tab or an escape would part the carets from what they point at.
        let shown = line.chars().skip(skipped).take(EXCERPT_MAX).map(|c| if c.is_control() { ' ' } else { c });
        let shown: String = shown.collect();
        let indent = " ".repeat(before - skipped);
        let carets = "^".repeat(wide.clamp(1, EXCERPT_MAX - (before - skipped).min(EXCERPT_MAX - 1)));
        format!("  | {shown}\n  | {indent}{carets}")
    }
}

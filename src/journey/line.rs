//! What one line of a journey log says, and what can be wrong with it.

use thiserror::Error;

use super::LINE_BYTES_MAX;
use crate::ids::{Id, IdError};
use crate::opportunity::{CONTEXT_MAX, EXTERNAL_SEGMENTS_MAX, NUMBERS_MAX};
use crate::units::{MICROS_MAX, Micros, TIMESTAMP_MAX, Timestamp};

/// One line of a journey log.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A user did something with an advertiser.
    Action(Action),
    /// An ad could have been shown.
    Opportunity(Opportunity),
    /// It was shown.
    Impression(Impression),
    /// A goal was reached.
    Conversion(Conversion),
}

/// A user did something with an advertiser.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// When.
    pub time: Timestamp,
    /// Who, as the log names them.
    pub user: Id,
    /// With whom.
    pub advertiser: Id,
    /// What.
    pub action: Id,
    /// On which product.
    pub item: Option<Id>,
    /// In which category.
    pub category: Option<Id>,
    /// What it was worth, in the currency of the goal.
    pub value: Option<Micros>,
}

/// An ad could have been shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Opportunity {
    /// When.
    pub time: Timestamp,
    /// Its name, by which impression and conversion refer to it.
    pub id: Id,
    /// To whom, as the log names them.
    pub user: Id,
    /// For whom.
    pub advertiser: Id,
    /// Towards which goal.
    pub goal: Id,
    /// For which campaign.
    pub campaign: Option<Id>,
    /// Which product.
    pub item: Option<Id>,
    /// Of which category.
    pub category: Option<Id>,
    /// Names and values, each name once, in the order of the log.
    pub context: Vec<(Id, Id)>,
    /// Names and numbers, each name once, in the order of the log; all finite.
    pub numbers: Vec<(Id, f64)>,
    /// External segments of the user, as `provider/id`.
    pub segments: Vec<Id>,
}

/// The ad of an opportunity was shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Impression {
    /// When.
    pub time: Timestamp,
    /// The opportunity's name.
    pub id: Id,
    /// What this one impression cost.
    pub cost: Option<Micros>,
    /// Whether the multiplier that it was won with had been drawn, to explore.
    pub is_explored: bool,
}

/// A goal was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// When.
    pub time: Timestamp,
    /// By whom, as the log names them.
    pub user: Id,
    /// Whose goal.
    pub advertiser: Id,
    /// Which goal.
    pub goal: Id,
    /// Name of the opportunity it joins; without one, all live impressions of user and goal that agree.
    pub id: Option<Id>,
    /// Which product.
    pub item: Option<Id>,
    /// Of which category.
    pub category: Option<Id>,
    /// What it was worth, in the currency of the goal.
    pub value: Option<Micros>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LineFault {
    /// No JSON, or a field of a wrong type or name.
    #[error("{problem}")]
    Json {
        /// Where in the line, in bytes from 1.
        column: usize,
        /// What the parser says.
        problem: String,
    },
    /// The line ends before its object does.
    #[error("the log is cut in the middle of this line")]
    Cut,
    /// A field that lines of this kind need is absent.
    #[error("{kind} needs '{field}'")]
    Missing {
        /// The kind with its article.
        kind: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// A field that lines of this kind do not have.
    #[error("{kind} has no '{field}'")]
    Foreign {
        /// The kind with its article.
        kind: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// A name breaks the rules of [`Id`].
    #[error("{field}: {error}")]
    Id {
        /// Name of the field.
        field: &'static str,
        /// Which rule.
        error: IdError,
    },
    /// A number outside its range.
    #[error("{field} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// What was found.
        value: f64,
        /// The range in words.
        allowed: String,
    },
    /// A list is longer than its limit.
    #[error("{field}: at most {limit} entries, {count} found")]
    TooMany {
        /// Name of the field.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A name stands twice in a list.
    #[error("{field} names '{name}' twice")]
    Twice {
        /// Name of the field.
        field: &'static str,
        /// The name within.
        name: Id,
    },
    /// The line's time lies before that of an earlier line.
    #[error("time_ms is {time_ms}, before {previous_ms} of an earlier line: a log is sorted by time")]
    BackInTime {
        /// Time of the line.
        time_ms: u64,
        /// Latest time so far.
        previous_ms: u64,
    },
    /// The line is longer than [`LINE_BYTES_MAX`].
    #[error("the line has more than {LINE_BYTES_MAX} bytes")]
    TooLong,
}

impl LineFault {
    /// What is wrong, without what differs from line to line: to count faults by.
    pub fn reason(&self) -> String {
        match self {
            LineFault::BackInTime { .. } => "time_ms lies before that of an earlier line".to_owned(),
            LineFault::OutOfRange { field, allowed, .. } => format!("{field} is outside of what is allowed: {allowed}"),
            LineFault::TooMany { field, limit, .. } => format!("{field}: more than {limit} entries"),
            LineFault::Twice { field, .. } => format!("{field}: a name stands twice"),
            fault => fault.to_string(),
        }
    }

    /// Where in the line, in bytes from 1, if the parser knows.
    pub fn column(&self) -> Option<usize> {
        match self {
            LineFault::Json { column, .. } => Some(*column),
            _ => None,
        }
    }
}

impl Line {
    /// When it happened.
    pub fn time(&self) -> Timestamp {
        match self {
            Line::Action(action) => action.time,
            Line::Opportunity(opportunity) => opportunity.time,
            Line::Impression(impression) => impression.time,
            Line::Conversion(conversion) => conversion.time,
        }
    }

    /// Checks what types leave open; before writing and after reading, so that what was written can be read.
    pub(super) fn check(&self) -> Result<(), LineFault> {
        let time_ms = self.time().0;
        within("time_ms", time_ms as f64, self.time() <= TIMESTAMP_MAX, || format!("0 to {}", TIMESTAMP_MAX.0))?;
        match self {
            Line::Action(Action { value, .. }) | Line::Conversion(Conversion { value, .. }) => {
                value.map_or(Ok(()), |value| within("value", value.units(), is_amount(value), values))
            }
            Line::Impression(Impression { cost, .. }) => {
                let costs = || format!("0 to {}", MICROS_MAX.0);
                cost.map_or(Ok(()), |cost| within("cost_micros", cost.0 as f64, is_amount(cost), costs))
            }
            Line::Opportunity(opportunity) => {
                pairs("context", &opportunity.context, CONTEXT_MAX)?;
                pairs("numbers", &opportunity.numbers, NUMBERS_MAX)?;
                few("segments", opportunity.segments.len(), EXTERNAL_SEGMENTS_MAX)?;
                opportunity.numbers.iter().try_for_each(|(_, number)| {
                    within("numbers", *number, number.is_finite(), || "a finite number".to_owned())
                })
            }
        }
    }
}

/// The range of a value in words.
pub(super) fn values() -> String {
    format!("0 to {}", MICROS_MAX.units())
}

fn is_amount(amount: Micros) -> bool {
    (Micros(0)..=MICROS_MAX).contains(&amount)
}

fn within(field: &'static str, value: f64, allows: bool, allowed: impl FnOnce() -> String) -> Result<(), LineFault> {
    if allows { Ok(()) } else { Err(LineFault::OutOfRange { field, value, allowed: allowed() }) }
}

fn few(field: &'static str, count: usize, limit: usize) -> Result<(), LineFault> {
    if count <= limit { Ok(()) } else { Err(LineFault::TooMany { field, count, limit }) }
}

fn pairs<V>(field: &'static str, pairs: &[(Id, V)], limit: usize) -> Result<(), LineFault> {
    few(field, pairs.len(), limit)?;
    for (index, (name, _)) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(LineFault::Twice { field, name: name.clone() });
        }
    }
    Ok(())
}

//! Why one item of a request is refused. An item's refusal never fails its batch.

use thiserror::Error;

use crate::ids::{Id, IdError};
use crate::units::Span;

/// A closed list of refusals: each is counted under its [`Rejection::label`] and told to the sender.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// A field is missing, malformed or out of range.
    #[error("{field}: {problem}")]
    Invalid {
        /// Name of the field on the wire.
        field: &'static str,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// A list is longer than its limit.
    #[error("{field}: at most {limit} entries, {count} given")]
    TooMany {
        /// Name of the field on the wire.
        field: &'static str,
        /// How many came.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The advertiser is not configured.
    #[error("advertiser '{0}' is not configured")]
    UnknownAdvertiser(Id),
    /// The advertiser has no such goal.
    #[error("goal '{goal}' is not configured for advertiser '{advertiser}'")]
    UnknownGoal {
        /// Advertiser named by the item.
        advertiser: Id,
        /// Goal named by the item.
        goal: Id,
    },
    /// The action is neither standard nor configured.
    #[error("action '{action}' is neither a standard action nor one of advertiser '{advertiser}'")]
    UnknownAction {
        /// Advertiser named by the item.
        advertiser: Id,
        /// Action named by the item.
        action: Id,
    },
    /// It happened too long ago.
    #[error("too late: it occurred {age} ago, at most {limit} is accepted")]
    TooLate {
        /// Age at arrival.
        age: Span,
        /// Greatest accepted age.
        limit: Span,
    },
    /// It happens later than now.
    #[error("it occurs {ahead} in the future, at most {limit} of clock difference is accepted")]
    InTheFuture {
        /// How far ahead of the engine's clock.
        ahead: Span,
        /// Greatest accepted difference.
        limit: Span,
    },
    /// An amount in a currency other than the goal's.
    #[error("currency {given} is not the goal's currency {expected}")]
    WrongCurrency {
        /// Currency of the item.
        given: String,
        /// Currency of the goal.
        expected: String,
    },
    /// A token that did not open, by cause.
    #[error("token refused: {0}")]
    Token(TokenRefusal),
    /// No impression, conversion or score of that name is known (any more).
    #[error("{what} is not known, or not known any more")]
    NotFound {
        /// What was named.
        what: &'static str,
    },
    /// Linking would make a group of more ids than one person has.
    #[error("a person has at most {limit} linked ids")]
    LinkFull {
        /// Greatest size of a group.
        limit: usize,
    },
    /// The caller's privacy mode forbids keeping this event.
    #[error("not kept: privacy mode {mode} allows no user-level event")]
    Privacy {
        /// Mode given with the event.
        mode: &'static str,
    },
    /// A table of bounded size has no room.
    #[error("{what} is full: at most {limit}")]
    Full {
        /// Name of the limit.
        what: &'static str,
        /// Its value.
        limit: usize,
    },
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenRefusal {
    /// Not base64url, or too short or too long to be a token.
    #[error("malformed or truncated")]
    Malformed,
    /// The seal does not fit: forged or damaged.
    #[error("forged or damaged")]
    Forged,
    /// Sealed with a key that is not ours.
    #[error("foreign: sealed with an unknown key")]
    Foreign,
    /// Sealed longer ago than accepted, or so far in the future that a clock must be wrong.
    #[error("expired")]
    Expired,
    /// Made by another version of token or features.
    #[error("of another version")]
    Version,
}

impl Rejection {
    /// Refuses a field for what is wrong with it.
    pub fn invalid(field: &'static str, problem: impl Into<String>) -> Rejection {
        Rejection::Invalid { field, problem: problem.into() }
    }

    /// Refuses a malformed identifier.
    pub fn id(field: &'static str, error: IdError) -> Rejection {
        Rejection::invalid(field, error.to_string())
    }

    /// Short fixed name: the label of the counter and the code on the wire.
    pub fn label(&self) -> &'static str {
        match self {
            Rejection::Invalid { .. } => "invalid",
            Rejection::TooMany { .. } => "too_many",
            Rejection::UnknownAdvertiser(_) => "unknown_advertiser",
            Rejection::UnknownGoal { .. } => "unknown_goal",
            Rejection::UnknownAction { .. } => "unknown_action",
            Rejection::TooLate { .. } => "too_late",
            Rejection::InTheFuture { .. } => "in_the_future",
            Rejection::WrongCurrency { .. } => "wrong_currency",
            Rejection::Token(TokenRefusal::Malformed) => "token_malformed",
            Rejection::Token(TokenRefusal::Forged) => "token_forged",
            Rejection::Token(TokenRefusal::Foreign) => "token_foreign",
            Rejection::Token(TokenRefusal::Expired) => "token_expired",
            Rejection::Token(TokenRefusal::Version) => "token_version",
            Rejection::NotFound { .. } => "not_found",
            Rejection::LinkFull { .. } => "link_full",
            Rejection::Privacy { .. } => "privacy",
            Rejection::Full { .. } => "full",
        }
    }
}

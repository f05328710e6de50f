//! The language in which a trader says who is in a segment: text → [`Rule`] and back.
//!
//! ```text
//! count(view_item, 7d) >= 3 and not did(purchase, 30d)
//! ```
//!
//! | condition | holds for a user at a moment |
//! |---|---|
//! | `count(ACTION, SPAN) >= N` | whose N-th latest such action is at most SPAN old |
//! | `did(ACTION, SPAN)` | who did it at least once: `count(ACTION, SPAN) >= 1` |
//! | `recency(ACTION) < SPAN` | whose latest such action is less than SPAN old |
//! | `stage >= MILESTONE` | who ever did this milestone or one of a higher position |
//! | `sessions >= N` | who began at least N sessions |
//! | `external(PROVIDER/ID)` | whom the bid request places in this segment |
//!
//! `count` and `sessions` compare with `>=`, `>`, `<`, `<=` and `==`, `recency` and `stage` with `<` and `>=`. A
//! comparison from above is the negation of one from below: `recency(a) >= 2h` holds for who never did `a`. `not` binds
//! closer than `and`, `and` closer than `or`; parentheses group. Keywords are case-sensitive. A name is a bare word of
//! letters, digits and `_ . : / -`, or stands in quotes, single or double; within, the quote itself is written twice. A
//! span is what [`Span::parse`](crate::units::Span::parse) reads, in whole seconds.
//!
//! Ages are differences of whole seconds since 1970: an action 7 d and 900 ms ago may still be 7 d old. What is dated
//! ahead of the moment, as far as the clock's skew allows, is 0 s old. Late actions count from their own time on. An
//! occurrence beyond the latest is kept only from when a rule first counted so many (see
//! [`WINDOWED_COUNT_MAX`](crate::settings::WINDOWED_COUNT_MAX)): a new rule misses what was before it.
//!
//! Conditions are judged on what the engine keeps of a user. A bid request that names no user is in no segment by rule.
//! Reports judge a user at each act, when no request is there: `external` does not hold for them. Of one request the
//! first [`EXPOSED_SEGMENTS_MAX`](crate::exposure::EXPOSED_SEGMENTS_MAX) known external segments count.
//!
//! A rule is normal when no `All` stands in an `All`, no `Any` in an `Any`, each of them has at least two parts, and
//! nothing is negated twice. [`parse`] gives normal rules, and `parse(write(rule))` is the normal form of `rule`.
//!
//! *Invariants.* Knows no file and no TOML; the actions there are come as an argument. Any text is read or refused with
//! a place within it, in time proportional to its length; no text overflows the stack.

mod fault;
mod normal;
mod parse;
mod ready_made;
mod token;
mod write;

pub use fault::{ExpressionError, Fault};
pub use normal::normal;
pub use parse::{EXPRESSION_BYTES_MAX, WINDOWS, parse};
pub use ready_made::{READY_MADE, ReadyMade, ready_made};
pub use write::write;

#[cfg(doc)]
use crate::settings::Rule;

#[cfg(test)]
mod tests;

//! The question: one bid request, and what could be advertised in it.

use crate::ids::{Id, UserKey};
use crate::rejection::Rejection;

/// Most ids of one person in a request.
pub const USERS_MAX: usize = 16;
/// Most context entries of a request.
pub const CONTEXT_MAX: usize = 64;
/// Most numbers of a request.
pub const NUMBERS_MAX: usize = 64;
/// Most external segments of a request.
pub const EXTERNAL_SEGMENTS_MAX: usize = 256;
/// Most targets of a request.
pub const TARGETS_MAX: usize = 200;
/// Most goals of a target.
pub const GOALS_PER_TARGET_MAX: usize = 32;
/// Most reasons of a signal that can be asked for.
pub const REASONS_MAX: usize = 64;

/// What may be used of a person. Decided before any user key is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PrivacyMode {
    /// History may be read and written.
    #[default]
    Full,
    /// Only the request's own context may be used.
    Context,
    /// Nothing may be used: the answer is neutral.
    Neutral,
}

/// One bid request: what its targets share, and the targets.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRequest {
    /// The bidder's id of this opportunity.
    pub opportunity: Id,
    /// Ids of one person; the first that has a profile counts.
    pub users: Vec<UserKey>,
    /// Names and values: device type, inventory, country …
    pub context: Vec<(Id, Id)>,
    /// Names and numbers: price, position …; all finite.
    pub numbers: Vec<(Id, f64)>,
    /// External segments the user is in, as `provider/id`.
    pub segments: Vec<Id>,
    /// What may be used of the person.
    pub privacy: PrivacyMode,
    /// What could be advertised.
    pub targets: Vec<Target>,
    /// How many reasons each signal shall carry, strongest first; 0 for none.
    pub reasons_max: usize,
}

/// One thing that could be advertised: request × target is the opportunity.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// For whom.
    pub advertiser: Id,
    /// Of which campaign. Looked up only where `goals` is empty.
    pub campaign: Option<Id>,
    /// Of which line item.
    pub line_item: Option<Id>,
    /// With which creative.
    pub creative: Option<Id>,
    /// Which product.
    pub item: Option<Id>,
    /// Of which category.
    pub category: Option<Id>,
    /// Towards which goals; empty asks for those of the campaign, which must then be configured, or, without one, for
    /// all of the advertiser's.
    pub goals: Vec<Id>,
    /// The conversion probability that is in the bidder's base bid already, 0 to 1 exclusive.
    pub base_p: Option<f64>,
}

impl ScoreRequest {
    /// Checks the lists against their limits and the numbers for being numbers.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Rejection> {
        let lists = [
            ("users", self.users.len(), USERS_MAX),
            ("context", self.context.len(), CONTEXT_MAX),
            ("numbers", self.numbers.len(), NUMBERS_MAX),
            ("segments", self.segments.len(), EXTERNAL_SEGMENTS_MAX),
            ("targets", self.targets.len(), TARGETS_MAX),
            ("reasons_max", self.reasons_max, REASONS_MAX),
        ];
        for (field, count, limit) in lists {
            if count > limit {
                return Err(Rejection::TooMany { field, count, limit });
            }
        }
        match self.numbers.iter().find(|(_, number)| !number.is_finite()) {
            Some((name, number)) => Err(Rejection::invalid("numbers", format!("'{name}' is {number}, not a number"))),
            None => Ok(()),
        }
    }
}

impl Target {
    /// Checks the goals against their limit and `base_p` against its range.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Rejection> {
        if self.goals.len() > GOALS_PER_TARGET_MAX {
            return Err(Rejection::TooMany { field: "goals", count: self.goals.len(), limit: GOALS_PER_TARGET_MAX });
        }
        match self.base_p {
            Some(p) if !(p > 0.0 && p < 1.0) => {
                Err(Rejection::invalid("base_p", format!("{p} is no probability between 0 and 1, both exclusive")))
            }
            _ => Ok(()),
        }
    }
}

//! The closed list of what can happen. State is a fold over these.

use crate::exposure::Exposure;
use crate::hash;
use crate::ids::{Id, OpportunityKey, UserKey};
use crate::settings::Settings;
use crate::units::{Money, Timestamp};

/// One entry of the journal: an event with its times.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The engine's clock; never before the record that precedes it.
    pub at: Timestamp,
    /// When it happened, as the sender says.
    pub occurred_at: Timestamp,
    /// The sender's name for this event; a repetition within the engine's window changes nothing.
    pub event_id: Option<EventId>,
    /// What happened.
    pub event: Event,
}

/// The sender's name for an event, and its hash: made where the event comes in or is read, so that the one thread that
/// applies all events reads a number, and no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventId {
    id: Id,
    hash: u64,
}

impl EventId {
    /// The name.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// [`hash::text`] of the name.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

impl From<Id> for EventId {
    fn from(id: Id) -> EventId {
        EventId { hash: hash::text(id.as_str()), id }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A user did something with an advertiser.
    Action(Action),
    /// An ad was rendered.
    Impression(Impression),
    /// An ad would have been shown, had the user not been held out.
    GhostImpression(Box<Exposure>),
    /// An ad was clicked.
    Click(Click),
    /// A goal was reached.
    Conversion(Conversion),
    /// A conversion is taken back: refund or fraud.
    Retraction(Retraction),
    /// Two ids are the same person.
    Link([UserKey; 2]),
    /// A person, with all linked ids and over all advertisers, is to be forgotten.
    Forget(UserKey),
    /// These settings are in force from here on.
    Configured(Box<Settings>),
    /// Time has passed: label windows may close.
    Tick,
}

/// A user did something with an advertiser.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Who.
    pub user: UserKey,
    /// With whom.
    pub advertiser: Id,
    /// What: a standard action or one of the advertiser's own.
    pub action: Id,
    /// On which product.
    pub item: Option<Id>,
    /// In which category.
    pub category: Option<Id>,
    /// What it was worth.
    pub value: Option<Money>,
}

/// An ad was rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Impression {
    /// Of which opportunity.
    pub of: Shown,
    /// What it cost, for this one impression.
    pub cost: Option<Money>,
    /// What was bid for it, in the same currency.
    pub bid: Option<Money>,
}

/// How well an impression is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// With the features the bid was scored on.
    Scored(Box<Exposure>),
    /// By name only. Learned from only while nothing can have leaked into the features.
    Named(Box<Unscored>),
}

/// An impression for which neither a token nor a remembered score exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Unscored {
    /// Which opportunity.
    pub opportunity: OpportunityKey,
    /// To whom.
    pub user: UserKey,
    /// For whom.
    pub advertiser: Id,
    /// Towards which goals; none stands for all. At most
    /// [`GOALS_PER_TARGET_MAX`](crate::opportunity::GOALS_PER_TARGET_MAX).
    pub goals: Vec<Id>,
    /// Advertised product.
    pub item: Option<Id>,
    /// Advertised category.
    pub category: Option<Id>,
}

/// An ad was clicked.
#[derive(Debug, Clone, PartialEq)]
pub enum Click {
    /// The ad of this opportunity, whose impression must have come before. The first click to arrive counts.
    Opportunity(OpportunityKey),
    /// The latest ad of this advertiser that the user was shown.
    User {
        /// Who clicked.
        user: UserKey,
        /// On whose ad.
        advertiser: Id,
    },
}

/// A goal was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// By whom, or through which opportunity.
    pub by: Converter,
    /// Whose goal.
    pub advertiser: Id,
    /// Which goal.
    pub goal: Id,
    /// Bought product.
    pub item: Option<Id>,
    /// Bought category.
    pub category: Option<Id>,
    /// What it was worth; absent, the goal's default value holds.
    pub value: Option<Money>,
    /// Name by which it is recognised when it comes again, and by which it can be retracted.
    pub conversion_id: Option<Id>,
}

/// Which impressions a conversion may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Converter {
    /// All live ones of this user and goal whose item or category agrees.
    User(UserKey),
    /// That of this opportunity only.
    Opportunity {
        /// The opportunity.
        opportunity: OpportunityKey,
        /// The user, where the sender knows: otherwise the impression's.
        user: Option<UserKey>,
    },
    /// The same, as a token says: somebody who was forgotten since it was sealed is nobody.
    Token {
        /// The opportunity.
        opportunity: OpportunityKey,
        /// The user, where the token knows.
        user: Option<UserKey>,
        /// When it was scored.
        scored_at: Timestamp,
    },
}

/// A conversion is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Retraction {
    /// Whose conversion.
    pub advertiser: Id,
    /// The conversion's own id.
    pub conversion_id: Id,
}

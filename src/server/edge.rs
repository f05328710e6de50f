//! From the wire to the vocabulary: privacy first, then keys, tokens and limits. One refusal a wrong item.
//!
//! Raw user ids end here: they are hashed on the spot, and no message of a refusal repeats one.

use std::sync::Arc;

use super::clock::ServiceClock;
use super::counters::{Count, Counters};
use super::queue::Occurrence;
use super::score_memory::ScoreMemory;
use crate::engine::Catalog;
use crate::event::{Action, Click, Conversion, Converter, Event, EventId, Impression, Retraction, Shown, Unscored};
use crate::exposure::Exposure;
use crate::hash::opportunity_key;
use crate::identity::Identity;
use crate::ids::{Id, OpportunityKey, UserKey};
use crate::opportunity::{GOALS_PER_TARGET_MAX, PrivacyMode, USERS_MAX};
use crate::pb::v1 as pb;
use crate::pb::v1::{click, conversion, event::Body, ghost_impression, impression};
use crate::rejection::Rejection;
use crate::token::Tokens;
use crate::units::{Currency, MICROS_MAX, Micros, Money, Span, TIMESTAMP_MAX, Timestamp};
use crate::wording;

/// What turns wire messages into events; shared by all connections.
#[derive(Debug)]
pub struct Edge {
    /// Makes keys of user ids.
    pub identity: Identity,
    /// Seals and opens tokens.
    pub tokens: Tokens,
    /// How long a token is accepted.
    pub token_age_max: Span,
    /// Scores of bidders that carry no token.
    pub memory: ScoreMemory,
    /// Judges the age of tokens.
    pub clock: Arc<ServiceClock>,
    /// Counts what was lost and found.
    pub counters: Arc<Counters>,
}

/// What an event says besides what happened.
struct Circumstances<'a> {
    privacy: PrivacyMode,
    /// The moment at which tokens are judged.
    now: Timestamp,
    catalog: &'a Catalog,
}

impl Edge {
    /// Reads one event.
    ///
    /// # Errors
    /// The first rule that the event breaks.
    pub fn event(&self, catalog: &Catalog, wire: pb::Event) -> Result<Occurrence, Rejection> {
        let privacy = privacy_mode(wire.privacy)?;
        let body = wire.body.ok_or_else(|| Rejection::invalid("body", "an event needs one"))?;
        gate(privacy, &body)?;
        let occurred_at = moment("occurred_at_ms", wire.occurred_at_ms)?;
        let event_id = optional("event_id", wire.event_id)?.map(EventId::from);
        let around = Circumstances { privacy, now: self.clock.at(occurred_at), catalog };
        Ok(Occurrence { occurred_at, event_id, event: self.body(body, &around)? })
    }

    /// The key of a raw user id.
    ///
    /// # Errors
    /// When the id is empty, too long or not printable.
    pub fn user(&self, raw: String) -> Result<UserKey, Rejection> {
        let raw = required("user", raw)?;
        Ok(self.identity.user_key(raw.as_str()))
    }

    /// The keys of a person's raw ids, as far as the privacy mode lets them be touched.
    ///
    /// # Errors
    /// When there are too many, or one is malformed.
    pub fn users(&self, privacy: PrivacyMode, raw: Vec<String>) -> Result<Vec<UserKey>, Rejection> {
        if raw.len() > USERS_MAX {
            return Err(Rejection::TooMany { field: "users", count: raw.len(), limit: USERS_MAX });
        }
        match privacy {
            PrivacyMode::Full => raw.into_iter().map(|id| self.user(id)).collect(),
            PrivacyMode::Context | PrivacyMode::Neutral => Ok(Vec::new()),
        }
    }

    fn body(&self, body: Body, around: &Circumstances<'_>) -> Result<Event, Rejection> {
        Ok(match body {
            Body::Action(action) => Event::Action(self.action(action)?),
            Body::Impression(shown) => {
                let of =
                    shown.of.ok_or_else(|| Rejection::invalid("impression.of", "name a token or an opportunity"))?;
                let cost = money("cost", shown.cost)?;
                Event::Impression(Impression { of: self.shown(of, around)?, cost, bid: bid(cost, shown.bid)? })
            }
            Body::GhostImpression(ghost) => Event::GhostImpression(self.ghost(ghost, around)?),
            Body::Click(click) => Event::Click(self.click(click, around)?),
            Body::Conversion(conversion) => Event::Conversion(self.conversion(conversion, around)?),
            Body::Retraction(retraction) => Event::Retraction(Retraction {
                advertiser: required("advertiser", retraction.advertiser)?,
                conversion_id: required("conversion_id", retraction.conversion_id)?,
            }),
            Body::Link(link) => Event::Link([self.user(link.user)?, self.user(link.other)?]),
        })
    }

    fn action(&self, wire: pb::Action) -> Result<Action, Rejection> {
        Ok(Action {
            user: self.user(wire.user)?,
            advertiser: required("advertiser", wire.advertiser)?,
            action: required("action", wire.action)?,
            item: optional("item", wire.item)?,
            category: optional("category", wire.category)?,
            value: money("value", wire.value)?,
        })
    }

    /// The exposure of an impression: out of its token, out of memory, or by name only.
    fn shown(&self, of: impression::Of, around: &Circumstances<'_>) -> Result<Shown, Rejection> {
        let named = match of {
            impression::Of::Token(token) => return Ok(Shown::Scored(Box::new(self.open(&token, around)?))),
            impression::Of::Opportunity(named) => named,
        };
        let (advertiser, opportunity) = opportunity(named.advertiser, named.opportunity_id)?;
        if let Some(exposure) = self.recall(opportunity, around)? {
            return Ok(Shown::Scored(exposure));
        }
        allowed(around.privacy, true)?;
        if named.goals.len() > GOALS_PER_TARGET_MAX {
            let (count, limit) = (named.goals.len(), GOALS_PER_TARGET_MAX);
            return Err(Rejection::TooMany { field: "goals", count, limit });
        }
        let unscored = Unscored {
            opportunity,
            user: self.user(named.user)?,
            advertiser,
            goals: named.goals.into_iter().map(|goal| required("goals", goal)).collect::<Result<_, _>>()?,
            item: optional("item", named.item)?,
            category: optional("category", named.category)?,
        };
        self.counters.count(Count::ExposuresLost);
        Ok(Shown::Named(Box::new(unscored)))
    }

    fn ghost(&self, wire: pb::GhostImpression, around: &Circumstances<'_>) -> Result<Box<Exposure>, Rejection> {
        match wire.of.ok_or_else(|| Rejection::invalid("ghost_impression.of", "name a token or an opportunity"))? {
            ghost_impression::Of::Token(token) => Ok(Box::new(self.open(&token, around)?)),
            ghost_impression::Of::Opportunity(named) => {
                let (_, opportunity) = opportunity(named.advertiser, named.opportunity_id)?;
                self.recall(opportunity, around)?.ok_or(Rejection::NotFound { what: "the score of this opportunity" })
            }
        }
    }

    fn click(&self, wire: pb::Click, around: &Circumstances<'_>) -> Result<Click, Rejection> {
        Ok(match wire.of.ok_or_else(|| Rejection::invalid("click.of", "name a token, an opportunity or a user"))? {
            click::Of::Token(token) => Click::Opportunity(self.open(&token, around)?.opportunity),
            click::Of::Opportunity(named) => Click::Opportunity(opportunity(named.advertiser, named.opportunity_id)?.1),
            click::Of::User(of) => {
                Click::User { user: self.user(of.user)?, advertiser: required("advertiser", of.advertiser)? }
            }
        })
    }

    fn conversion(&self, wire: pb::Conversion, around: &Circumstances<'_>) -> Result<Conversion, Rejection> {
        let stated = optional("advertiser", wire.advertiser)?;
        let by =
            wire.by.ok_or_else(|| Rejection::invalid("conversion.by", "name a user, a token or an opportunity"))?;
        let (by, known) = match by {
            conversion::By::User(user) => (Converter::User(self.user(user)?), None),
            conversion::By::Token(token) => {
                let exposure = self.open(&token, around)?;
                let advertiser = around.catalog.advertiser_name(exposure.advertiser).cloned();
                let (opportunity, user, scored_at) = (exposure.opportunity, exposure.user, exposure.scored_at);
                (Converter::Token { opportunity, user, scored_at }, advertiser)
            }
            conversion::By::Opportunity(named) => {
                let (advertiser, opportunity) = opportunity(named.advertiser, named.opportunity_id)?;
                let user = if named.user.is_empty() { None } else { Some(self.user(named.user)?) };
                (Converter::Opportunity { opportunity, user }, Some(advertiser))
            }
        };
        Ok(Conversion {
            by,
            advertiser: one_advertiser(stated, known)?,
            goal: required("goal", wire.goal)?,
            item: optional("item", wire.item)?,
            category: optional("category", wire.category)?,
            value: money("value", wire.value)?,
            conversion_id: optional("conversion_id", wire.conversion_id)?,
        })
    }

    fn open(&self, token: &str, around: &Circumstances<'_>) -> Result<Exposure, Rejection> {
        let exposure = self.tokens.open(around.now, self.token_age_max, token).map_err(Rejection::Token)?;
        allowed(around.privacy, exposure.user.is_some())?;
        Ok(exposure)
    }

    fn recall(
        &self,
        opportunity: OpportunityKey,
        around: &Circumstances<'_>,
    ) -> Result<Option<Box<Exposure>>, Rejection> {
        let Some(exposure) = self.memory.recall(opportunity, around.now) else { return Ok(None) };
        allowed(around.privacy, exposure.user.is_some())?;
        self.counters.count(Count::ScoresRecalled);
        Ok(Some(exposure))
    }
}

/// Decides, before any user id is looked at, whether an event may be kept.
///
/// Impressions, ghosts, and what names a token are decided once it is known whether a user stands behind them.
fn gate(privacy: PrivacyMode, body: &Body) -> Result<(), Rejection> {
    let names_user = match body {
        Body::Action(_) | Body::Link(_) => true,
        // An opportunity that is only named may be a known user's: nothing here can tell.
        Body::Click(click) => matches!(click.of, Some(click::Of::User(_) | click::Of::Opportunity(_))),
        Body::Conversion(conversion) => {
            matches!(conversion.by, Some(conversion::By::User(_) | conversion::By::Opportunity(_)))
        }
        Body::Impression(_) | Body::GhostImpression(_) | Body::Retraction(_) => false,
    };
    allowed(privacy, names_user)
}

fn allowed(privacy: PrivacyMode, names_user: bool) -> Result<(), Rejection> {
    match (privacy, names_user) {
        (PrivacyMode::Full, _) | (PrivacyMode::Context, false) => Ok(()),
        (PrivacyMode::Context, true) => Err(Rejection::Privacy { mode: "CONTEXT" }),
        (PrivacyMode::Neutral, _) => Err(Rejection::Privacy { mode: "NEUTRAL" }),
    }
}

/// Reads the privacy mode; absent means full.
///
/// # Errors
/// For a number without meaning: guessing could allow too much.
pub fn privacy_mode(wire: i32) -> Result<PrivacyMode, Rejection> {
    match pb::PrivacyMode::try_from(wire) {
        Ok(pb::PrivacyMode::Unspecified | pb::PrivacyMode::Full) => Ok(PrivacyMode::Full),
        Ok(pb::PrivacyMode::Context) => Ok(PrivacyMode::Context),
        Ok(pb::PrivacyMode::Neutral) => Ok(PrivacyMode::Neutral),
        Err(_) => Err(Rejection::invalid("privacy", format!("{wire} is no mode: 1 FULL, 2 CONTEXT, 3 NEUTRAL"))),
    }
}

/// An identifier that must be there.
///
/// # Errors
/// When it is empty, too long or not printable.
pub fn required(field: &'static str, text: String) -> Result<Id, Rejection> {
    Id::new(text).map_err(|error| Rejection::id(field, error))
}

/// An identifier that may be absent: empty on the wire.
///
/// # Errors
/// When it is too long or not printable.
pub fn optional(field: &'static str, text: String) -> Result<Option<Id>, Rejection> {
    if text.is_empty() { Ok(None) } else { required(field, text).map(Some) }
}

/// A moment; 0 on the wire means that none is stated.
///
/// # Errors
/// When it is beyond what the engine's clock can hold.
pub fn moment(field: &'static str, ms: u64) -> Result<Option<Timestamp>, Rejection> {
    if ms > TIMESTAMP_MAX.0 {
        return Err(Rejection::invalid(field, format!("{ms} ms since 1970 is later than {}", TIMESTAMP_MAX.0)));
    }
    Ok((ms > 0).then_some(Timestamp(ms)))
}

fn money(field: &'static str, wire: Option<pb::Money>) -> Result<Option<Money>, Rejection> {
    let Some(wire) = wire else { return Ok(None) };
    if !(0..=MICROS_MAX.0).contains(&wire.micros) {
        let problem = format!("{} micros is no amount between 0 and {}", wire.micros, MICROS_MAX.0);
        return Err(Rejection::invalid(field, problem));
    }
    let currency = match wire.currency.as_str() {
        "" => None,
        text => Some(Currency::parse(text).ok_or_else(|| {
            let shown = wording::shown(text);
            Rejection::invalid(field, format!("'{shown}' is no currency: three capital letters, such as EUR"))
        })?),
    };
    Ok(Some(Money { amount: Micros(wire.micros), currency }))
}

/// What was bid for an impression of this cost.
fn bid(cost: Option<Money>, wire: Option<pb::Money>) -> Result<Option<Money>, Rejection> {
    let bid = money("bid", wire)?;
    if let (Some(cost), Some(bid)) = (cost, bid) {
        if cost.currency.zip(bid.currency).is_some_and(|(cost, bid)| cost != bid) {
            return Err(Rejection::invalid("bid", "its currency is another than that of cost".to_owned()));
        }
        // Rounding and fees may take a bid that was paid below its cost.
        if bid.amount.0 < cost.amount.0 / 2 {
            let (bid, cost) = (bid.amount.0, cost.amount.0);
            let problem =
                format!("{bid} micros are less than half a cost of {cost}: both are of one impression, not per mille");
            return Err(Rejection::invalid("bid", problem));
        }
    }
    Ok(bid)
}

fn opportunity(advertiser: String, id: String) -> Result<(Id, OpportunityKey), Rejection> {
    let advertiser = required("advertiser", advertiser)?;
    let key = opportunity_key(advertiser.as_str(), required("opportunity_id", id)?.as_str());
    Ok((advertiser, key))
}

/// The advertiser of a conversion: as stated, or as token or opportunity say; both must agree.
fn one_advertiser(stated: Option<Id>, known: Option<Id>) -> Result<Id, Rejection> {
    match (stated, known) {
        (Some(stated), Some(known)) if stated != known => {
            Err(Rejection::invalid("advertiser", format!("'{stated}' is not '{known}', whose opportunity it is")))
        }
        (Some(advertiser), _) | (None, Some(advertiser)) => Ok(advertiser),
        (None, None) => Err(Rejection::invalid("advertiser", "needed, as neither token nor opportunity names one")),
    }
}

#[cfg(test)]
#[path = "edge_tests.rs"]
mod tests;

//! Events as protocol buffers. Each `write` stands beside the `read` that undoes it.

use super::fault::{Fault, id, ids, money, optional_id, optional_text, required, text, texts};
use super::{exposure, settings};
use crate::event::{
    Action, Click, Conversion, Converter, Event, EventId, Impression, Record, Retraction, Shown, Unscored,
};
use crate::ids::{OpportunityKey, UserKey};
use crate::pb::journal as pb;
use crate::pb::journal::record::Event as Written;
use crate::units::{Money, Timestamp};

pub(super) fn write(record: &Record) -> pb::Record {
    let event = match &record.event {
        Event::Action(action) => Written::Action(write_action(action)),
        Event::Impression(impression) => Written::Impression(write_impression(impression)),
        Event::GhostImpression(exposure) => Written::GhostImpression(exposure::write(exposure)),
        Event::Click(click) => Written::Click(write_click(click)),
        Event::Conversion(conversion) => Written::Conversion(write_conversion(conversion)),
        Event::Retraction(retraction) => Written::Retraction(pb::Retraction {
            advertiser: text(&retraction.advertiser),
            conversion_id: text(&retraction.conversion_id),
        }),
        Event::Link([user, other]) => Written::Link(pb::Link { user: user.0, other: other.0 }),
        Event::Forget(user) => Written::Forget(pb::Forget { user: user.0 }),
        Event::Configured(settings) => Written::Configured(settings::write(settings)),
        Event::Tick => Written::Tick(pb::Tick {}),
    };
    pb::Record {
        at_ms: record.at.0,
        occurred_at_ms: record.occurred_at.0,
        event_id: record.event_id.as_ref().map(|id| text(id.id())),
        event: Some(event),
    }
}

pub(super) fn read(record: pb::Record) -> Result<Record, Fault> {
    let event = match required("event", record.event)? {
        Written::Action(action) => Event::Action(read_action(action)?),
        Written::Impression(impression) => Event::Impression(read_impression(impression)?),
        Written::GhostImpression(exposure) => Event::GhostImpression(Box::new(exposure::read(exposure)?)),
        Written::Click(click) => Event::Click(read_click(click)?),
        Written::Conversion(conversion) => Event::Conversion(read_conversion(conversion)?),
        Written::Retraction(retraction) => Event::Retraction(Retraction {
            advertiser: id("advertiser", retraction.advertiser)?,
            conversion_id: id("conversion_id", retraction.conversion_id)?,
        }),
        Written::Link(link) => Event::Link([UserKey(link.user), UserKey(link.other)]),
        Written::Forget(forget) => Event::Forget(UserKey(forget.user)),
        Written::Configured(settings) => Event::Configured(Box::new(settings::read(settings)?)),
        Written::Tick(pb::Tick {}) => Event::Tick,
    };
    Ok(Record {
        at: Timestamp(record.at_ms),
        occurred_at: Timestamp(record.occurred_at_ms),
        event_id: optional_id("event_id", record.event_id)?.map(EventId::from),
        event,
    })
}

fn write_money(money: Option<Money>) -> Option<pb::Money> {
    money.map(|money| pb::Money {
        amount_micros: money.amount.0,
        currency: money.currency.map(|currency| currency.to_string()),
    })
}

fn write_action(action: &Action) -> pb::Action {
    pb::Action {
        user: action.user.0,
        advertiser: text(&action.advertiser),
        action: text(&action.action),
        item: optional_text(&action.item),
        category: optional_text(&action.category),
        value: write_money(action.value),
    }
}

fn read_action(action: pb::Action) -> Result<Action, Fault> {
    Ok(Action {
        user: UserKey(action.user),
        advertiser: id("advertiser", action.advertiser)?,
        action: id("action", action.action)?,
        item: optional_id("item", action.item)?,
        category: optional_id("category", action.category)?,
        value: money("value", action.value)?,
    })
}

fn write_impression(impression: &Impression) -> pb::Impression {
    let of = match &impression.of {
        Shown::Scored(exposure) => pb::impression::Of::Scored(exposure::write(exposure)),
        Shown::Named(unscored) => pb::impression::Of::Named(write_unscored(unscored)),
    };
    pb::Impression { of: Some(of), cost: write_money(impression.cost), bid: write_money(impression.bid) }
}

fn read_impression(impression: pb::Impression) -> Result<Impression, Fault> {
    let of = match required("impression", impression.of)? {
        pb::impression::Of::Scored(exposure) => Shown::Scored(Box::new(exposure::read(exposure)?)),
        pb::impression::Of::Named(unscored) => Shown::Named(Box::new(read_unscored(unscored)?)),
    };
    Ok(Impression { of, cost: money("cost", impression.cost)?, bid: money("bid", impression.bid)? })
}

fn write_unscored(unscored: &Unscored) -> pb::Unscored {
    pb::Unscored {
        opportunity: unscored.opportunity.0,
        user: unscored.user.0,
        advertiser: text(&unscored.advertiser),
        goals: texts(&unscored.goals),
        item: optional_text(&unscored.item),
        category: optional_text(&unscored.category),
    }
}

fn read_unscored(unscored: pb::Unscored) -> Result<Unscored, Fault> {
    Ok(Unscored {
        opportunity: OpportunityKey(unscored.opportunity),
        user: UserKey(unscored.user),
        advertiser: id("advertiser", unscored.advertiser)?,
        goals: ids("goals", unscored.goals)?,
        item: optional_id("item", unscored.item)?,
        category: optional_id("category", unscored.category)?,
    })
}

fn write_click(click: &Click) -> pb::Click {
    let of = match click {
        Click::Opportunity(opportunity) => pb::click::Of::Opportunity(opportunity.0),
        Click::User { user, advertiser } => {
            pb::click::Of::User(pb::UserClick { user: user.0, advertiser: text(advertiser) })
        }
    };
    pb::Click { of: Some(of) }
}

fn read_click(click: pb::Click) -> Result<Click, Fault> {
    Ok(match required("click", click.of)? {
        pb::click::Of::Opportunity(opportunity) => Click::Opportunity(OpportunityKey(opportunity)),
        pb::click::Of::User(click) => {
            Click::User { user: UserKey(click.user), advertiser: id("advertiser", click.advertiser)? }
        }
    })
}

fn write_conversion(conversion: &Conversion) -> pb::Conversion {
    let (opportunity, user, scored_at) = match conversion.by {
        Converter::User(user) => (None, Some(user), None),
        Converter::Opportunity { opportunity, user } => (Some(opportunity), user, None),
        Converter::Token { opportunity, user, scored_at } => (Some(opportunity), user, Some(scored_at)),
    };
    pb::Conversion {
        opportunity: opportunity.map(|opportunity| opportunity.0),
        user: user.map(|user| user.0),
        scored_at_ms: scored_at.map(|moment| moment.0),
        advertiser: text(&conversion.advertiser),
        goal: text(&conversion.goal),
        item: optional_text(&conversion.item),
        category: optional_text(&conversion.category),
        value: write_money(conversion.value),
        conversion_id: optional_text(&conversion.conversion_id),
    }
}

fn read_conversion(conversion: pb::Conversion) -> Result<Conversion, Fault> {
    let user = conversion.user.map(UserKey);
    let by = match (conversion.opportunity.map(OpportunityKey), conversion.scored_at_ms) {
        (Some(opportunity), Some(scored_at)) => Converter::Token { opportunity, user, scored_at: Timestamp(scored_at) },
        (Some(opportunity), None) => Converter::Opportunity { opportunity, user },
        (None, _) => Converter::User(required("user", user)?),
    };
    Ok(Conversion {
        by,
        advertiser: id("advertiser", conversion.advertiser)?,
        goal: id("goal", conversion.goal)?,
        item: optional_id("item", conversion.item)?,
        category: optional_id("category", conversion.category)?,
        value: money("value", conversion.value)?,
        conversion_id: optional_id("conversion_id", conversion.conversion_id)?,
    })
}

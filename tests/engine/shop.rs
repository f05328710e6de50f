//! A shop with one goal and an engine of its own, for tests of the engine.

use inkling::engine::{Applied, Engine};
use inkling::event::{Action, Conversion, Converter, Event, Impression, Record, Shown};
use inkling::exposure::Exposure;
use inkling::expression::READY_MADE;
use inkling::ids::{Id, UserKey};
use inkling::opportunity::{PrivacyMode, ScoreRequest, Target};
use inkling::settings::{Advertiser, Arms, Baseline, Goal, Settings};
use inkling::signal::{Scored, Signal};
use inkling::units::{Micros, Money, Timestamp};

pub const START: u64 = 1_700_000_000_000;
pub const MINUTE: u64 = 60_000;

/// An engine with one advertiser, one goal, and a clock.
pub struct Shop {
    pub engine: Engine,
    pub now: u64,
    opportunities: u64,
}

pub fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub fn settings() -> Settings {
    let mut advertiser = Advertiser::new(id("acme"));
    let mut goal = Goal::new(id("purchase"));
    goal.milestones = ["view_item", "add_to_cart"].map(id).to_vec();
    goal.multiplier.support = 3;
    goal.multiplier.baseline = Baseline::Goal;
    goal.prior_rate = 0.05;
    advertiser.goals.push(goal);
    advertiser.segments = READY_MADE.map(|made| made.segment(1.0)).to_vec();
    let arms = Arms { control_share: 0.0, ..Arms::default() };
    Settings { advertisers: vec![advertiser], arms, ..Settings::default() }
}

impl Shop {
    pub fn new() -> Shop {
        Shop::with(settings())
    }

    pub fn with(settings: Settings) -> Shop {
        let mut shop = Shop { engine: Engine::new(), now: START, opportunities: 0 };
        assert_eq!(shop.apply(Event::Configured(Box::new(settings))), Applied::Done);
        shop
    }

    pub fn apply(&mut self, event: Event) -> Applied {
        self.apply_of(self.now, None, event)
    }

    pub fn apply_of(&mut self, occurred_at: u64, event_id: Option<&str>, event: Event) -> Applied {
        let record = Record {
            at: Timestamp(self.now),
            occurred_at: Timestamp(occurred_at),
            event_id: event_id.map(|name| id(name).into()),
            event,
        };
        let applied = self.engine.apply(&record);
        self.engine.publish();
        applied
    }

    pub fn wait(&mut self, ms: u64) {
        self.now += ms;
        assert_eq!(self.apply(Event::Tick), Applied::Done);
    }

    pub fn act(&mut self, user: u64, action: &str) -> Applied {
        self.apply(act(user, action))
    }

    pub fn request(&mut self, user: u64) -> ScoreRequest {
        self.opportunities += 1;
        ScoreRequest {
            opportunity: id(&format!("o{}", self.opportunities)),
            users: vec![UserKey(user)],
            context: Vec::new(),
            numbers: Vec::new(),
            segments: Vec::new(),
            privacy: PrivacyMode::Full,
            targets: vec![target()],
            reasons_max: 64,
        }
    }

    pub fn score(&mut self, user: u64) -> Scored {
        let request = self.request(user);
        self.answer(&request)
    }

    pub fn answer(&self, request: &ScoreRequest) -> Scored {
        self.engine.scorer().score(Timestamp(self.now), request).remove(0).unwrap()
    }

    pub fn signal(&mut self, user: u64) -> Signal {
        self.score(user).signals.remove(0)
    }

    /// Scores an opportunity and shows it.
    pub fn show(&mut self, user: u64) -> Box<Exposure> {
        let exposure = self.score(user).exposure.unwrap();
        assert_eq!(self.apply(impression(exposure.clone())), Applied::Done);
        exposure
    }

    pub fn credited(&self) -> (f64, f64) {
        let catalog = self.engine.catalog();
        let goal = catalog.goal(catalog.advertiser("acme").unwrap(), "purchase").unwrap();
        (self.engine.cell(goal, None).unwrap().conversions, self.engine.organic(goal))
    }
}

pub fn target() -> Target {
    Target {
        advertiser: id("acme"),
        campaign: None,
        line_item: None,
        creative: None,
        item: None,
        category: None,
        goals: vec![id("purchase")],
        base_p: None,
    }
}

pub fn act(user: u64, action: &str) -> Event {
    Event::Action(Action {
        user: UserKey(user),
        advertiser: id("acme"),
        action: id(action),
        item: None,
        category: None,
        value: None,
    })
}

pub fn impression(exposure: Box<Exposure>) -> Event {
    Event::Impression(Impression { of: Shown::Scored(exposure), cost: None, bid: None })
}

pub fn conversion(user: u64, conversion_id: Option<&str>) -> Event {
    Event::Conversion(Conversion {
        by: Converter::User(UserKey(user)),
        advertiser: id("acme"),
        goal: id("purchase"),
        item: None,
        category: None,
        value: Some(Money { amount: Micros(40_000_000), currency: None }),
        conversion_id: conversion_id.map(id),
    })
}

/// Users with a cart convert half of the time, others hardly ever.
pub fn trained() -> Shop {
    let mut shop = Shop::new();
    for user in 1..=400 {
        shop.act(user, "view_item");
        if user % 2 == 0 {
            shop.act(user, "add_to_cart");
        }
        shop.wait(MINUTE);
        shop.show(user);
        shop.wait(MINUTE);
        if user % 4 == 0 {
            assert_eq!(shop.apply(conversion(user, None)), Applied::Done);
        }
    }
    shop
}

//! A journey log of made-up shoppers: two advertisers, three goals, conversions with and without the name of their
//! opportunity, and everything else a line can hold.

use std::fs;
use std::path::PathBuf;

use inkling::ids::Id;
use inkling::journey::{Action, Conversion, Impression, Line, Opportunity};
use inkling::units::{Micros, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

pub const MINUTE: u64 = 60_000;
const START: u64 = 1_700_000_000_000;

/// Lines in a file of their own, which goes with this.
pub struct Log {
    _directory: TempDir,
    pub path: PathBuf,
}

impl Log {
    /// Writes lines, sorted by their time; those of equal time stay in their order.
    pub fn of(mut lines: Vec<Line>) -> Log {
        lines.sort_by_key(Line::time);
        let mut text = Vec::new();
        for line in &lines {
            line.write(&mut text).unwrap();
            text.push(b'\n');
        }
        Log::text(&text)
    }

    /// Writes a log as it is.
    pub fn text(text: &[u8]) -> Log {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("log.ndjson");
        fs::write(&path, text).unwrap();
        Log { _directory: directory, path }
    }
}

pub fn id(text: impl ToString) -> Id {
    Id::new(text.to_string()).unwrap()
}

pub fn at(minutes: u64) -> Timestamp {
    Timestamp(START + minutes * MINUTE)
}

pub fn action(time: Timestamp, user: u32, action: &str) -> Line {
    let (user, advertiser, action) = (id(format!("user {user}")), id("shop"), id(action));
    Line::Action(Action { time, user, advertiser, action, item: None, category: None, value: None })
}

pub fn opportunity(time: Timestamp, user: u32, name: &str) -> Opportunity {
    Opportunity {
        time,
        id: id(name),
        user: id(format!("user {user}")),
        advertiser: id("shop"),
        goal: id("purchase"),
        campaign: None,
        item: None,
        category: None,
        context: Vec::new(),
        numbers: Vec::new(),
        segments: Vec::new(),
    }
}

pub fn impression(time: Timestamp, name: &str) -> Line {
    Line::Impression(Impression { time, id: id(name), cost: Some(Micros(1_200)), is_explored: false })
}

pub fn conversion(time: Timestamp, user: u32) -> Conversion {
    Conversion {
        time,
        user: id(format!("user {user}")),
        advertiser: id("shop"),
        goal: id("purchase"),
        id: None,
        item: None,
        category: None,
        value: Some(Micros(20_000_000)),
    }
}

/// Some days of shoppers; who puts something into the cart converts more often.
pub fn shoppers(users: u32, seed: u64) -> Vec<Line> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut lines = Vec::new();
    for user in 0..users {
        let mut minute = chance.random_range(0..3 * 1_440);
        for visit in 0..chance.random_range(1..5) {
            visit_shop(&mut lines, &mut chance, user, &format!("{user}/{visit}"), minute);
            minute += chance.random_range(20..1_440);
        }
    }
    lines
}

fn visit_shop(lines: &mut Vec<Line>, chance: &mut StdRng, user: u32, name: &str, minute: u64) {
    let one_of = |chance: &mut StdRng, all: &[&str]| all[chance.random_range(0..all.len())].to_owned();
    let advertiser = id(one_of(chance, &["shop", "shop", "club"]));
    let goal = match advertiser.as_str() {
        "club" => id("join"),
        _ => id(one_of(chance, &["purchase", "sign_up"])),
    };
    let (item, category) = (id(format!("sku{}", chance.random_range(0..30))), id(one_of(chance, &["shoes", "hats"])));
    let has_cart = chance.random_bool(0.4);
    let acts = ["session_start", "view_item", "view_item", "add_to_cart", "wave"];
    for (place, act) in acts.iter().enumerate().filter(|(_, act)| has_cart || **act != "add_to_cart") {
        let Line::Action(act) = action(at(minute), user, act) else { unreachable!("an action is one") };
        let time = Timestamp(act.time.0 + place as u64 * 7_300);
        let (item, category) = (Some(item.clone()), chance.random_bool(0.5).then(|| category.clone()));
        lines.push(Line::Action(inkling::journey::Action {
            time,
            item,
            category,
            advertiser: advertiser.clone(),
            ..act
        }));
    }
    let shown_at = Timestamp(at(minute).0 + chance.random_range(0..5 * MINUTE));
    let device = one_of(chance, &["phone", "desktop", "tv"]);
    lines.push(Line::Opportunity(Opportunity {
        advertiser: advertiser.clone(),
        goal: goal.clone(),
        item: chance.random_bool(0.7).then(|| item.clone()),
        category: chance.random_bool(0.7).then(|| category.clone()),
        context: vec![(id("device"), id(device)), (id("hour of day"), id(minute / 60 % 24))],
        numbers: vec![(id("price"), chance.random_range(0.0..90.0)), (id("below zero"), -chance.random::<f64>())],
        segments: if chance.random_bool(0.2) { vec![id("p/loyal")] } else { Vec::new() },
        ..opportunity(shown_at, user, name)
    }));
    if chance.random_bool(0.95) {
        lines.push(impression(Timestamp(shown_at.0 + chance.random_range(0..2_000)), name));
    }
    let rate = if has_cart { 0.3 } else { 0.08 };
    if chance.random_bool(rate) {
        let is_named = chance.random_bool(0.3);
        lines.push(Line::Conversion(Conversion {
            advertiser,
            goal,
            id: is_named.then(|| id(name)),
            item: chance.random_bool(0.5).then_some(item),
            category: chance.random_bool(0.5).then_some(category),
            ..conversion(Timestamp(shown_at.0 + chance.random_range(1..90 * MINUTE)), user)
        }));
    }
}

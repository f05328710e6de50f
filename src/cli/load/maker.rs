//! Makes up what users do, and bid requests for the same users.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Plan;
use crate::pb::v1;

/// What shoppers do, most often first, with how many of a hundred acts it is.
const ACTS: [(&str, u32); 5] =
    [("view_item", 60), ("page_view", 25), ("add_to_cart", 10), ("begin_checkout", 4), ("purchase", 1)];
/// What is said of an opportunity in words: the name, the beginning of its values, and how many there are.
const CONTEXT: [(&str, &str, u32); 5] = [
    ("device_type", "device", 4),
    ("country", "country", 20),
    ("site", "site", 500),
    ("format", "format", 6),
    ("os", "os", 5),
];
/// What is said of it in numbers, with how many values it has.
const NUMBERS: [(&str, u32); 2] = [("position", 10), ("floor", 300)];
/// Products that are looked at and advertised.
const ITEMS: u32 = 10_000;
/// Line items that bids are for.
const LINE_ITEMS: u32 = 50;

/// Makes messages up for one connection.
pub struct Maker<'a> {
    plan: &'a Plan,
    number: u32,
    made: u64,
    pub dice: StdRng,
}

impl Maker<'_> {
    /// Of the connection with this number.
    pub fn new(plan: &Plan, number: u32) -> Maker<'_> {
        Maker { plan, number, made: 0, dice: StdRng::seed_from_u64(plan.seed ^ (u64::from(number) << 32)) }
    }

    /// A message of events.
    pub fn events(&mut self) -> v1::TrackRequest {
        v1::TrackRequest { events: (0..self.plan.items).map(|_| self.event()).collect() }
    }

    /// A call's bid requests.
    pub fn requests(&mut self) -> Vec<v1::ScoreRequest> {
        (0..self.plan.items).map(|_| self.request()).collect()
    }

    /// A bid request for one target and goal.
    pub fn request(&mut self) -> v1::ScoreRequest {
        let context = CONTEXT.map(|(name, value, values)| v1::ContextEntry {
            name: name.to_owned(),
            value: format!("{value}{}", self.dice.random_range(0..values)),
        });
        let numbers = NUMBERS.map(|(name, values)| v1::NumberEntry {
            name: name.to_owned(),
            value: f64::from(self.dice.random_range(0..values)),
        });
        let target = v1::Target {
            advertiser: self.plan.advertiser.clone(),
            line_item: format!("li{}", self.dice.random_range(0..LINE_ITEMS)),
            item: self.item(),
            goals: vec![self.plan.goal.clone()],
            ..v1::Target::default()
        };
        v1::ScoreRequest {
            opportunity_id: self.id(),
            users: vec![self.user()],
            context: context.into(),
            numbers: numbers.into(),
            targets: vec![target],
            tmax_ms: self.plan.tmax.as_millis() as u32,
            ..v1::ScoreRequest::default()
        }
    }

    fn event(&mut self) -> v1::Event {
        let mut of_hundred = self.dice.random_range(0..100);
        let act = ACTS.iter().find(|(_, share)| {
            let found = of_hundred < *share;
            of_hundred = of_hundred.saturating_sub(*share);
            found
        });
        let action = v1::Action {
            user: self.user(),
            advertiser: self.plan.advertiser.clone(),
            action: act.map_or("view_item", |(name, _)| name).to_owned(),
            item: self.item(),
            ..v1::Action::default()
        };
        v1::Event { event_id: self.id(), body: Some(v1::event::Body::Action(action)), ..v1::Event::default() }
    }

    /// An id that no other event or opportunity of any run has.
    fn id(&mut self) -> String {
        self.made += 1;
        format!("{:x}-{}-{}", self.plan.run, self.number, self.made)
    }

    fn user(&mut self) -> String {
        format!("u{}", self.dice.random_range(0..self.plan.users))
    }

    fn item(&mut self) -> String {
        format!("sku{}", self.dice.random_range(0..ITEMS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_a_hundred() {
        assert_eq!(ACTS.iter().map(|(_, share)| share).sum::<u32>(), 100);
    }
}

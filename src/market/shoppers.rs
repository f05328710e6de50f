//! Who lives in a market, and when something happens to them that no bid causes.

use super::draws::{Draws, Purpose};
use super::scenario::Scenario;
use crate::math;
use crate::stats::normal;

/// Classes of activity; the people of one class are alike in it.
pub const CLASSES: usize = 16;

const DAY_MS: f64 = 86_400_000.0;

/// What a person is and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shopper {
    /// Class of activity, below [`CLASSES`].
    pub class: u8,
    /// A program.
    pub is_bot: bool,
    /// There is a second device.
    pub has_second: bool,
    /// The ids of both devices become linked.
    pub links: bool,
    /// One bit for each external segment.
    pub segments: u16,
}

/// Something that happens at its time, whatever is bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// When, in milliseconds of the market's time.
    pub at_ms: u64,
    /// To whom.
    pub person: u32,
    /// What.
    pub kind: MomentKind,
    /// The how manieth of its kind for this person.
    pub number: u32,
}

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MomentKind {
    /// A visit that no ad led to.
    Visit,
    /// A bid request.
    Opportunity,
}

/// The people of one seed, and all their moments in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shoppers {
    /// By number.
    pub people: Vec<Shopper>,
    /// By time, person and kind.
    pub moments: Vec<Moment>,
}

/// Activity of a class relative to the mean, which is 1: log-normal, each class at the middle of its share.
pub fn activity_of(class: u8, spread: f64) -> f64 {
    let at = |class: usize| math::exp(spread * normal::quantile((class as f64 + 0.5) / CLASSES as f64));
    let mean = (0..CLASSES).map(at).sum::<f64>() / CLASSES as f64;
    at(usize::from(class)) / mean
}

impl Shoppers {
    /// The people of a scenario under a seed.
    pub fn new(scenario: &Scenario, draws: Draws) -> Shoppers {
        let people: Vec<Shopper> = (0..scenario.shoppers).map(|person| shopper(scenario, draws, person)).collect();
        let activities: Vec<f64> =
            (0..CLASSES as u8).map(|class| activity_of(class, scenario.activity.spread)).collect();
        let mut moments = Vec::new();
        for (number, person) in (0..).zip(&people) {
            let activity = activities[usize::from(person.class)];
            let visits = if person.is_bot { scenario.bots.visits } else { scenario.activity.visits * activity };
            // Purchases count for ads for a window more, and come of visits; of programs nobody learns anything then.
            let visits_end = scenario.end_ms() + if person.is_bot { 0 } else { scenario.window.0 };
            let rates = [
                (MomentKind::Visit, Purpose::Visit, visits, visits_end),
                (MomentKind::Opportunity, Purpose::Opportunity, scenario.activity.ads * activity, scenario.end_ms()),
            ];
            for (kind, purpose, per_day, end_ms) in rates {
                arrivals(end_ms, draws, (purpose, number), per_day, |at_ms, place| {
                    moments.push(Moment { at_ms, person: number, kind, number: place });
                });
            }
        }
        moments.sort_unstable();
        Shoppers { people, moments }
    }
}

fn shopper(scenario: &Scenario, draws: Draws, person: u32) -> Shopper {
    let uniform = |number: u64| draws.uniform(Purpose::Membership, u64::from(person), number);
    let segments = (0u32..).zip(&scenario.segments);
    let in_segment = segments.map(|(place, segment)| u16::from(uniform(8 + u64::from(place)) < segment.share) << place);
    Shopper {
        class: (uniform(0) * CLASSES as f64) as u8,
        is_bot: uniform(1) < scenario.bots.share,
        has_second: uniform(2) < scenario.devices.second,
        links: uniform(3) < scenario.devices.linked,
        segments: in_segment.sum(),
    }
}

/// Arrivals at random times, so many a day in the mean.
fn arrivals(
    end_ms: u64,
    draws: Draws,
    (purpose, person): (Purpose, u32),
    per_day: f64,
    mut arrives: impl FnMut(u64, u32),
) {
    if per_day <= 0.0 {
        return;
    }
    let mut at = 0.0;
    for number in 0.. {
        at += draws.wait(purpose, u64::from(person), u64::from(number), DAY_MS / per_day);
        if at >= end_ms as f64 {
            break;
        }
        arrives(at as u64, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::scenario::{Activity, Bots, Devices};

    fn scenario() -> Scenario {
        Scenario {
            shoppers: 4_000,
            days: 20,
            activity: Activity { ads: 0.5, visits: 0.2, spread: 1.0 },
            devices: Devices { second: 0.4, linked: 0.5 },
            bots: Bots { share: 0.05, visits: 10.0 },
            ..Scenario::default()
        }
    }

    #[test]
    fn people_are_as_busy_as_the_scenario_says() {
        let shoppers = Shoppers::new(&scenario(), Draws(3));
        let bots = shoppers.people.iter().filter(|person| person.is_bot).count() as f64;
        assert!((bots / 4_000.0 - 0.05).abs() < 0.015, "{bots}");
        let count = |kind| shoppers.moments.iter().filter(|moment| moment.kind == kind).count() as f64;
        // Classes are drawn, so the mean of activity is off by up to 1.3 ÷ √4,000 a standard error.
        let [ads, visits] = [count(MomentKind::Opportunity), count(MomentKind::Visit)];
        assert!((ads / 40_000.0 - 1.0).abs() < 0.08, "{ads}");
        assert!((visits / (3_800.0 * 4.0 + 200.0 * 200.0) - 1.0).abs() < 0.2, "{visits}");
        assert!(shoppers.moments.is_sorted());
    }

    #[test]
    fn people_go_on_visiting_until_the_last_window_closes() {
        let scenario = scenario();
        let shoppers = Shoppers::new(&scenario, Draws(3));
        let latest = |kind: MomentKind, is_bot: bool| {
            let all = shoppers.moments.iter().filter(|moment| moment.kind == kind);
            let of = all.filter(|moment| shoppers.people[moment.person as usize].is_bot == is_bot);
            of.map(|moment| moment.at_ms).max().unwrap()
        };
        let (end, window) = (scenario.end_ms(), scenario.window.0);
        let last_hour = |until: u64| until - 3_600_000..until;
        assert!(last_hour(end + window).contains(&latest(MomentKind::Visit, false)));
        assert!(last_hour(end).contains(&latest(MomentKind::Visit, true)));
        assert!(last_hour(end).contains(&latest(MomentKind::Opportunity, false)));
    }

    #[test]
    fn activity_has_mean_1_and_a_heavy_tail() {
        let all: Vec<f64> = (0..CLASSES as u8).map(|class| activity_of(class, 1.0)).collect();
        assert!((all.iter().sum::<f64>() / 16.0 - 1.0).abs() < 1e-12 && all[15] > 4.0 && all[0] < 0.15, "{all:?}");
        assert!((0..16).all(|class| (activity_of(class, 0.0) - 1.0).abs() < 1e-12));
    }

    #[test]
    fn another_seed_is_another_market() {
        let of = |seed| Shoppers::new(&scenario(), Draws(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1).moments, of(2).moments);
    }
}

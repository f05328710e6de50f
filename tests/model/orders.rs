//! Joins in any order of arrival: labels, credit and cells are a function of what is known, not of how it came.

use inkling::engine::{ArmCounts, CellCounts, Engine};
use inkling::event::{Click, Conversion, Converter, Event, Impression, Record, Shown};
use inkling::exposure::{Arm, Exposure, FEATURE_SCHEMA, Feature, GoalScore};
use inkling::hash;
use inkling::ids::{AdvertiserCode, GoalCode, Id, OpportunityKey, SegmentCode, UserKey};
use inkling::settings::{Advertiser, ExternalSegment, Goal, Learner, Settings};
use inkling::stats::lift::{Contrast, Group};
use inkling::units::{Micros, Money, Span, Timestamp};

use super::audit::Audit;
use super::dice::Dice;
use super::reference::Reference;
use super::swarm::id;

const NOW: u64 = 1_700_000_000_000;
/// Of each seed.
const SHOPS: u64 = 4;
const ORDERS: u64 = 12;
const GOALS: [&str; 2] = ["purchase", "visit"];

struct Shop {
    settings: Settings,
    /// The events of one run, clicks after the impressions they are of.
    events: Vec<(u64, Event)>,
}

impl Shop {
    fn new(dice: &mut Dice) -> Shop {
        let mut advertiser = Advertiser::new(id("acme"));
        advertiser.goals = GOALS
            .map(|name| Goal {
                click_window: Span::minutes(dice.within(1..=300)),
                view_window: Span::minutes(dice.within(1..=300)),
                ..Goal::new(id(name))
            })
            .to_vec();
        advertiser.externals = vec![ExternalSegment { id: id("p/1"), weight: 1.0 }];
        let learner = Learner { table_bits: 10, ..Learner::default() };
        let settings = Settings { advertisers: vec![advertiser], learner, ..Settings::default() };
        let mut events = Vec::new();
        for number in 0..dice.within(2..=10) {
            let opportunity = hash::opportunity_key("acme", &format!("o{number}"));
            events.push((moment(dice), impression(dice, opportunity)));
            if dice.percent(50) {
                events.push((moment(dice), Event::Click(Click::Opportunity(opportunity))));
            }
        }
        for number in 0..dice.within(2..=10) {
            events.push((moment(dice), conversion(dice, number)));
        }
        Shop { settings, events }
    }

    /// The same events in another order, but no click before its impression: that would be refused.
    fn shuffle(&mut self, dice: &mut Dice) {
        for last in (1..self.events.len()).rev() {
            self.events.swap(last, dice.below(last as u64 + 1) as usize);
        }
        let of = |event: &Event| match event {
            Event::Impression(Impression { of: Shown::Scored(exposure), .. }) => Some(exposure.opportunity),
            _ => None,
        };
        for at in 0..self.events.len() {
            let Event::Click(Click::Opportunity(clicked)) = self.events[at].1 else { continue };
            let shown = self.events.iter().position(|(_, event)| of(event) == Some(clicked)).unwrap();
            if shown > at {
                self.events.swap(at, shown);
            }
        }
    }

    /// What has become of it, audited on the way.
    fn outcome(&self) -> Outcome {
        let (mut engine, mut reference) = (Engine::new(), Reference::default());
        let configured = (NOW, Event::Configured(Box::new(self.settings.clone())));
        for (occurred_at, event) in [configured].iter().chain(&self.events) {
            let (at, occurred_at) = (Timestamp(NOW), Timestamp(*occurred_at));
            let record = Record { at, occurred_at, event_id: None, event: event.clone() };
            let answer = engine.apply(&record);
            reference.apply(&record, &answer);
        }
        Audit { reference: &reference, engine: &engine }.whole();
        assert_eq!((engine.tally().rejected, engine.tally().duplicates), (0, 0), "{:?}", self.events);
        let goals = [0, 1].map(GoalCode);
        let cells = |segment| goals.map(|goal| engine.cell(goal, segment).unwrap());
        Outcome {
            positives: engine.tally().positives,
            cells: [cells(None), cells(Some(SegmentCode(64)))],
            contrasts: goals.map(|goal| engine.contrast_of_segment(goal, SegmentCode(64)).unwrap()),
            organic: goals.map(|goal| engine.organic(goal)),
            arms: goals.map(|goal| engine.arms(goal)),
        }
    }
}

#[derive(Debug)]
struct Outcome {
    positives: u64,
    cells: [[CellCounts; 2]; 2],
    contrasts: [Contrast; 2],
    organic: [f64; 2],
    arms: [Vec<ArmCounts>; 2],
}

impl Outcome {
    fn is_as(&self, other: &Outcome) -> bool {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        let near_cells = |one: &CellCounts, other: &CellCounts| {
            near(one.impressions, other.impressions)
                && near(one.clicks, other.clicks)
                && near(one.conversions, other.conversions)
                && one.value.0.abs_diff(other.value.0) <= 1
        };
        let near_arms = |one: &ArmCounts, other: &ArmCounts| {
            near(one.impressions, other.impressions) && near(one.positives, other.positives)
        };
        let near_groups =
            |one: Group, other: Group| near(one.trials, other.trials) && near(one.positives, other.positives);
        let near_contrasts = |one: &Contrast, other: &Contrast| {
            near_groups(one.with, other.with) && near_groups(one.without, other.without)
        };
        self.positives == other.positives
            && self.contrasts.iter().zip(&other.contrasts).all(|(one, other)| near_contrasts(one, other))
            && self.cells.iter().flatten().zip(other.cells.iter().flatten()).all(|(one, other)| near_cells(one, other))
            && self.organic.iter().zip(&other.organic).all(|(one, other)| near(*one, *other))
            && self.arms.iter().flatten().zip(other.arms.iter().flatten()).all(|(one, other)| near_arms(one, other))
    }
}

/// Within the last five hours, so that nothing is too late; often at the same moment as others.
fn moment(dice: &mut Dice) -> u64 {
    NOW - dice.below(15) * 1_200_000
}

fn name(dice: &mut Dice) -> Option<Id> {
    dice.percent(30).then(|| dice.name(&["shoe", "hat"]))
}

fn impression(dice: &mut Dice, opportunity: OpportunityKey) -> Event {
    let key = |name: Option<Id>| name.map(|name| hash::item_key(name.as_str()));
    let goals = [0, 1].into_iter().filter(|_| dice.percent(70)).collect::<Vec<_>>();
    let goals = if goals.is_empty() { vec![0] } else { goals };
    let score = |goal| GoalScore { goal: GoalCode(goal), logit: -3.0, p: 0.05, multiplier: 1.0, is_explored: false };
    let exposure = Exposure {
        schema: FEATURE_SCHEMA,
        opportunity,
        user: dice.percent(90).then(|| user(dice)),
        advertiser: AdvertiserCode(0),
        line_item: None,
        item: key(name(dice)),
        category: key(name(dice)),
        scored_at: Timestamp(NOW - Span::hours(6).0),
        arm: *dice.pick(&[Arm::Treated, Arm::Control]),
        goals: goals.into_iter().map(score).collect(),
        externals: [SegmentCode(64)].into_iter().filter(|_| dice.percent(50)).collect(),
        features: (0..3).map(|_| Feature::new(dice.roll())).collect(),
    };
    Event::Impression(Impression { of: Shown::Scored(Box::new(exposure)), cost: None, bid: None })
}

fn conversion(dice: &mut Dice, number: u64) -> Event {
    let opportunity = hash::opportunity_key("acme", &format!("o{}", dice.below(8)));
    let by = match dice.below(4) {
        0 => Converter::Opportunity { opportunity, user: None },
        1 => Converter::Opportunity { opportunity, user: Some(user(dice)) },
        _ => Converter::User(user(dice)),
    };
    let value = Some(Money { amount: Micros(dice.within(1_000_000..=9_000_000) as i64), currency: None });
    Event::Conversion(Conversion {
        by,
        advertiser: id("acme"),
        goal: dice.name(&GOALS),
        item: name(dice),
        category: name(dice),
        value,
        conversion_id: Some(id(&format!("c{number}"))),
    })
}

fn user(dice: &mut Dice) -> UserKey {
    UserKey(dice.within(1..=2))
}

#[test]
fn the_order_of_arrival_does_not_matter_to_joins() {
    let (seeds, mut joined) = (super::seeds(), 0);
    for seed in &seeds {
        let mut dice = Dice::new(*seed);
        for _ in 0..SHOPS {
            let mut shop = Shop::new(&mut dice);
            shop.shuffle(&mut dice);
            let first = shop.outcome();
            joined += first.positives;
            for _ in 0..ORDERS {
                shop.shuffle(&mut dice);
                let other = shop.outcome();
                assert!(first.is_as(&other), "INKLING_SEED={seed}: {first:?}\n{other:?}\n{:?}", shop.events);
            }
        }
    }
    assert!(joined >= seeds.len() as u64, "hardly anything was joined: {joined}");
}

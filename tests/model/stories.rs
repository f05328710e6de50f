//! Random events as they would arrive: told in stories, delivered late, early, twice and out of order.

use std::collections::BTreeMap;

use inkling::engine::Scorer;
use inkling::event::{Action, Click, Conversion, Converter, Event, Impression, Record, Retraction, Shown, Unscored};
use inkling::exposure::{Arm, Exposure};
use inkling::hash;
use inkling::ids::{GoalCode, Id, UserKey};
use inkling::opportunity::{PrivacyMode, ScoreRequest, Target};
use inkling::settings::EXPLORATION_MAX;
use inkling::units::{Currency, Micros, Money, Timestamp};

use super::dice::Dice;
use super::swarm::{ACTIONS, ADVERTISERS, EXTERNALS, Story, Swarm, id, reconfigured};

pub const START: u64 = 1_700_000_000_000;
const DAY: u64 = 86_400_000;
const ITEMS: [&str; 7] = ["shoe", "boot", "hat", "sock", "coat", "belt", "scarf"];
const CATEGORIES: [&str; 3] = ["feet", "head", "shoe"];
/// Records that may be sent again.
const RESENT_MAX: usize = 60;

pub struct Stories {
    dice: Dice,
    swarm: Swarm,
    /// The time up to which stories have been told.
    clock: u64,
    /// What is under way: by time of arrival, then order of sending.
    under_way: BTreeMap<(u64, u64), Record>,
    sent: u64,
    opportunities: u64,
    conversions: u64,
    delivered: Vec<Record>,
}

impl Stories {
    pub fn new(mut dice: Dice) -> Stories {
        let swarm = Swarm::new(&mut dice);
        Stories {
            dice,
            swarm,
            clock: START,
            under_way: BTreeMap::new(),
            sent: 0,
            opportunities: 0,
            conversions: 0,
            delivered: Vec::new(),
        }
    }

    /// Lets all goals explore.
    pub fn explore(&mut self) {
        let advertisers = &mut self.swarm.settings.advertisers;
        let goals = advertisers.iter_mut().flat_map(|advertiser| &mut advertiser.goals);
        goals.for_each(|goal| goal.multiplier.exploration = EXPLORATION_MAX);
    }

    /// The record with which everything begins.
    pub fn configured(&self) -> Record {
        let event = Event::Configured(Box::new(self.swarm.settings.clone()));
        Record { at: Timestamp(START), occurred_at: Timestamp(START), event_id: None, event }
    }

    /// The next record to arrive. Exposures are what the scorer gives at the time the story is told.
    pub fn next(&mut self, scorer: &Scorer) -> Record {
        loop {
            if let Some(first) = self.under_way.first_entry()
                && first.key().0 <= self.clock
            {
                let record = first.remove();
                if self.delivered.len() == RESENT_MAX {
                    self.delivered.remove(0);
                }
                self.delivered.push(record.clone());
                return record;
            }
            self.clock += self.dice.below(self.swarm.step_ms);
            self.tell(scorer);
        }
    }

    fn tell(&mut self, scorer: &Scorer) {
        let late = self.dice.percent(self.swarm.late);
        let lateness = self.swarm.settings.retention.lateness.0;
        let began = self.clock - if late { self.dice.below(lateness * 11 / 10) } else { 0 };
        match Story::ALL[self.dice.weighted(&self.swarm.weights)] {
            Story::Browse => self.browse(began),
            Story::Advertise => self.advertise(began, scorer),
            Story::AdvertiseByName => self.advertise_by_name(),
            Story::Convert => {
                let (user, advertiser) = (self.user(), self.advertiser());
                self.convert(began, Converter::User(user), &advertiser);
            }
            Story::Retract => self.retract(),
            Story::Link => {
                let users = [self.user(), self.user()];
                self.send(began, Event::Link(users));
            }
            Story::Forget => {
                let user = self.user();
                self.send(began, Event::Forget(user));
            }
            Story::Reconfigure => {
                self.swarm.settings = reconfigured(&mut self.dice, &self.swarm.settings);
                self.send(self.clock, Event::Configured(Box::new(self.swarm.settings.clone())));
            }
            Story::Nuisance => self.nuisance(scorer),
            Story::Resend => {
                if !self.delivered.is_empty() {
                    let record = self.dice.pick(&self.delivered).clone();
                    self.deliver(record);
                }
            }
            Story::Pause => {
                let most = *self.dice.pick(&[DAY, DAY, DAY, 9 * DAY]);
                self.clock += self.dice.below(most);
            }
        }
    }

    fn browse(&mut self, began: u64) {
        let (user, advertiser) = (self.user(), self.advertiser());
        let mut at = began;
        for _ in 0..self.dice.within(1..=5) {
            let action = self.dice.name(&ACTIONS);
            let value = self.value();
            let (item, category) = (self.item(), self.category());
            let action = Action { user, advertiser: advertiser.clone(), action, item, category, value };
            self.send(at, Event::Action(action));
            // Half of the time on the edge of a session or a rule's window.
            let gap = *self.dice.pick(&[0, 900, 30_000, 300_000, 1_800_000, 1_801_000]);
            at += if self.dice.percent(50) { gap } else { self.dice.below(gap + 1) };
        }
    }

    /// An ad is scored and shown, perhaps clicked, and perhaps something comes of it.
    fn advertise(&mut self, began: u64, scorer: &Scorer) {
        let Some(mut exposure) = self.exposure(scorer) else { return };
        // A story told late was scored then. Now and then the notice claims to be older than the score.
        if self.dice.percent(90) {
            exposure.scored_at = Timestamp(began);
        }
        let cost = self.dice.percent(70).then(|| self.money(100..=9_000));
        let opportunity = exposure.opportunity;
        let advertiser = id(ADVERTISERS[exposure.advertiser.index()]);
        let (user, scored_at) = (exposure.user, exposure.scored_at);
        let bid = cost.map(|cost: Money| Money { amount: Micros(cost.amount.0 * 3 / 2), ..cost });
        // Not every bidder obeys.
        let notice = match exposure.arm == Arm::Holdout && self.dice.percent(85) {
            true => Event::GhostImpression(exposure),
            false => Event::Impression(Impression { of: Shown::Scored(exposure), cost, bid }),
        };
        self.send(began, notice.clone());
        if self.dice.percent(5) {
            self.send(began + 10, notice);
        }
        let mut at = began + self.dice.below(30_000);
        if self.dice.percent(30) {
            let click = match user {
                Some(user) if self.dice.percent(30) => Click::User { user, advertiser: advertiser.clone() },
                _ => Click::Opportunity(opportunity),
            };
            self.send(at, Event::Click(click));
        }
        for _ in 0..*self.dice.pick(&[0, 0, 1, 1, 2, 3]) {
            let gap = *self.dice.pick(&[1_000, 100_000, 3_000_000, DAY, 8 * DAY]);
            at += self.dice.below(gap);
            let by = match (self.dice.below(6), user) {
                (0, user) if self.dice.percent(50) => Converter::Token { opportunity, user, scored_at },
                (0, user) => Converter::Opportunity { opportunity, user },
                (1, _) => Converter::Opportunity { opportunity, user: None },
                (2, _) | (_, None) => Converter::User(self.user()),
                (_, Some(user)) => Converter::User(user),
            };
            self.convert(at, by, &advertiser);
        }
    }

    fn advertise_by_name(&mut self) {
        let shown_at = self.clock - *self.dice.pick(&[0, 500, 59_000, 60_001, 400_000]);
        self.opportunities += 1;
        let advertiser = self.advertiser();
        let unscored = Unscored {
            opportunity: hash::opportunity_key(advertiser.as_str(), &format!("o{}", self.opportunities)),
            user: self.user(),
            goals: if self.dice.percent(20) { Vec::new() } else { self.goals(&advertiser) },
            advertiser,
            item: self.item(),
            category: self.category(),
        };
        let user = unscored.user;
        let (by, advertiser) = (unscored.opportunity, unscored.advertiser.clone());
        let of = Shown::Named(Box::new(unscored));
        self.send(shown_at, Event::Impression(Impression { of, cost: None, bid: None }));
        if self.dice.percent(50) {
            let at = shown_at + self.dice.below(1_000_000);
            self.convert(at, Converter::User(user), &advertiser);
        }
        if self.dice.percent(30) {
            let at = shown_at + self.dice.below(1_000_000);
            self.send(at, Event::Click(Click::Opportunity(by)));
        }
    }

    fn convert(&mut self, at: u64, by: Converter, advertiser: &Id) {
        let goal = self.goals(advertiser)[0].clone();
        let conversion_id = match self.dice.below(10) {
            0..4 => None,
            4 => Some(id(&format!("c{}", self.dice.below(self.conversions + 1)))),
            _ => {
                self.conversions += 1;
                Some(id(&format!("c{}", self.conversions)))
            }
        };
        let (item, category, value) = (self.item(), self.category(), self.value());
        let advertiser = advertiser.clone();
        self.send(at, Event::Conversion(Conversion { by, advertiser, goal, item, category, value, conversion_id }));
    }

    fn retract(&mut self) {
        let back = self.dice.below(12).min(self.conversions);
        let name = match self.dice.below(4) {
            0 => format!("e{}", self.sent.saturating_sub(self.dice.below(30))),
            _ => format!("c{}", self.conversions - back),
        };
        let advertiser = self.advertiser();
        self.send(self.clock, Event::Retraction(Retraction { advertiser, conversion_id: id(&name) }));
    }

    /// What is refused, or counted and nothing else.
    fn nuisance(&mut self, scorer: &Scorer) {
        let (user, advertiser, goal) = (self.user(), self.advertiser(), id("purchase"));
        let action = |advertiser, action| {
            Event::Action(Action { user, advertiser, action, item: None, category: None, value: None })
        };
        let value = Some(Money { amount: Micros(1_000_000), currency: Currency::parse("JPY") });
        let conversion = |advertiser, goal| {
            let by = Converter::User(user);
            Event::Conversion(Conversion {
                by,
                advertiser,
                goal,
                item: None,
                category: None,
                value,
                conversion_id: None,
            })
        };
        let exposure = self.exposure(scorer);
        let shown = |exposure, cost| Event::Impression(Impression { of: Shown::Scored(exposure), cost, bid: None });
        let event = match (self.dice.below(10), exposure) {
            (0, _) => action(id("nobody"), id("view_item")),
            (1, _) => action(advertiser, id("view_itme")),
            (2, _) => conversion(advertiser, goal),
            (3, _) => conversion(advertiser, id("world_peace")),
            (4, _) => Event::Click(Click::Opportunity(hash::opportunity_key("acme", "never"))),
            (5, _) => Event::Click(Click::User { user, advertiser }),
            (6, Some(exposure)) => Event::GhostImpression(exposure),
            (7, Some(mut exposure)) => {
                exposure.schema += 1;
                shown(exposure, None)
            }
            (8, Some(mut exposure)) => {
                exposure.goals.iter_mut().for_each(|score| score.goal = GoalCode(1_000));
                shown(exposure, None)
            }
            (_, Some(exposure)) => shown(exposure, value),
            (_, None) => return,
        };
        self.send(self.clock, event);
    }

    /// A question such as bidders ask.
    pub fn request(&mut self) -> ScoreRequest {
        self.opportunities += 1;
        let advertiser = self.advertiser();
        let goals = if self.dice.percent(30) { Vec::new() } else { self.goals(&advertiser) };
        ScoreRequest {
            opportunity: id(&format!("o{}", self.opportunities)),
            users: (0..self.dice.within(1..=2)).map(|_| self.user()).collect(),
            context: vec![(id("device"), self.dice.name(&["phone", "desktop"]))],
            numbers: vec![(id("price"), self.dice.below(50) as f64)],
            segments: (0..self.dice.below(3)).map(|_| self.dice.name(&EXTERNALS)).collect(),
            privacy: *self.dice.pick(&[PrivacyMode::Full, PrivacyMode::Full, PrivacyMode::Full, PrivacyMode::Context]),
            targets: vec![Target {
                campaign: self.dice.percent(40).then(|| id("spring")),
                line_item: None,
                creative: None,
                item: self.item(),
                category: self.category(),
                base_p: self.dice.percent(50).then(|| *self.dice.pick(&[0.001, 0.02, 0.5])),
                goals,
                advertiser,
            }],
            reasons_max: 64,
        }
    }

    fn exposure(&mut self, scorer: &Scorer) -> Option<Box<Exposure>> {
        let request = self.request();
        let mut answers = scorer.score(Timestamp(self.clock), &request);
        answers.remove(0).ok().and_then(|scored| scored.exposure)
    }

    fn user(&mut self) -> UserKey {
        UserKey(1 + self.dice.below(self.swarm.users))
    }

    fn advertiser(&mut self) -> Id {
        let advertisers = &self.swarm.settings.advertisers;
        advertisers[self.dice.below(advertisers.len() as u64) as usize].id.clone()
    }

    /// One or two goals of an advertiser, now and then the same twice.
    fn goals(&mut self, advertiser: &Id) -> Vec<Id> {
        let known = self.swarm.settings.advertisers.iter().find(|known| known.id == *advertiser).unwrap();
        (0..self.dice.within(1..=2)).map(|_| self.dice.pick(&known.goals).id.clone()).collect()
    }

    fn item(&mut self) -> Option<Id> {
        self.dice.percent(60).then(|| self.dice.name(&ITEMS))
    }

    fn category(&mut self) -> Option<Id> {
        self.dice.percent(40).then(|| self.dice.name(&CATEGORIES))
    }

    /// Within a factor of nine, so that no value is cut off as an outlier.
    fn value(&mut self) -> Option<Money> {
        self.dice.percent(60).then(|| self.money(1_000_000..=9_000_000))
    }

    fn money(&mut self, micros: std::ops::RangeInclusive<u64>) -> Money {
        let currency = *self.dice.pick(&[None, None, None, Some(Currency::USD)]);
        Money { amount: Micros(self.dice.within(micros) as i64), currency }
    }

    /// Sends an event on its way: most arrive when they happen, some before their elders.
    fn send(&mut self, occurred_at: u64, event: Event) {
        let ahead = if self.dice.percent(self.swarm.ahead) { self.dice.below(400_000) } else { 0 };
        let number = if self.dice.percent(2) { self.dice.below(self.sent + 1) } else { self.sent };
        let event_id = self.dice.percent(self.swarm.named).then(|| id(&format!("e{number}")).into());
        let occurred_at = Timestamp(occurred_at.max(START - 30 * DAY) + ahead);
        self.deliver(Record { at: Timestamp(0), occurred_at, event_id, event });
    }

    fn deliver(&mut self, record: Record) {
        let ahead = record.occurred_at.0.saturating_sub(self.clock);
        let wait = match self.dice.below(10) {
            0..6 if self.dice.percent(self.swarm.ahead) => 0,
            0..6 => ahead,
            6..9 => ahead + self.dice.below(4 * self.swarm.step_ms),
            _ => ahead + self.dice.below(3_600_000),
        };
        let at = self.clock + wait;
        self.sent += 1;
        self.under_way.insert((at, self.sent), Record { at: Timestamp(at), ..record });
    }
}

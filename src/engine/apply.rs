//! Folding one record into the state.

use std::sync::Arc;

use super::Engine;
use super::spend::SpendControl;
use super::statistics::AdvertiserStatistics;
use crate::event::{Event, EventId, Record};
use crate::hash;
use crate::ids::{AdvertiserCode, GoalCode, Id};
use crate::learn::calibration::Calibrator;
use crate::learn::ftrl::Learner;
use crate::rejection::Rejection;
use crate::settings::Settings;
use crate::units::{Span, Timestamp};

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// State has changed.
    Done,
    /// It was applied before; state is as it was.
    Duplicate,
    /// It was refused and counted; otherwise state is as it was.
    Rejected(Rejection),
}

/// Why a record changes nothing.
#[derive(Debug)]
pub(super) enum Refused {
    Duplicate,
    Rejected(Rejection),
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Refused {
        Refused::Rejected(rejection)
    }
}

/// Key of an event id: an advertiser's own, where the event names one, so that two may number alike; and its kind's,
/// as senders name a click like its impression, and a retraction like its conversion. Actions and conversions are of
/// one kind: whoever tells a purchase both ways under one id means one.
pub(super) fn event_key(id: &EventId, event: &Event) -> u64 {
    let (advertiser, kind) = match event {
        Event::Action(action) => (hash::text(action.advertiser.as_str()), 0),
        Event::Conversion(conversion) => (hash::text(conversion.advertiser.as_str()), 0),
        Event::Retraction(retraction) => (hash::text(retraction.advertiser.as_str()), 1),
        Event::Impression(_) => (0, 2),
        Event::GhostImpression(_) => (0, 3),
        Event::Click(_) => (0, 4),
        Event::Link(_) => (0, 5),
        _ => (0, 0),
    };
    let id = hash::mix(advertiser, id.hash());
    if kind == 0 { id } else { hash::mix(id, kind) }
}

impl Engine {
    /// Folds one record into the state: the only way it changes.
    ///
    /// # Panics
    /// When `record.at` is before the record that came before: the driver's clock must never go back.
    pub fn apply(&mut self, record: &Record) -> Applied {
        assert!(record.at >= self.now, "the clock went back from {} to {} ms", self.now.0, record.at.0);
        self.now = record.at;
        self.tally.records += 1;
        let event_id = record.event_id.as_ref().map(|id| event_key(id, &record.event));
        // Nearly all are new and taken: noted first, they are looked up once.
        let is_new = event_id.is_none_or(|id| self.recent.is_new(id));
        let result = if is_new { self.take(record) } else { Err(Refused::Duplicate) };
        if event_id.is_some() && is_new {
            match result {
                Ok(()) => self.recent.bound(self.limits().event_ids_max),
                Err(_) => self.recent.take_back(),
            }
        }
        match result {
            Ok(()) => Applied::Done,
            Err(Refused::Duplicate) => {
                self.tally.duplicates += 1;
                Applied::Duplicate
            }
            Err(Refused::Rejected(rejection)) => {
                self.tally.rejected += 1;
                Applied::Rejected(rejection)
            }
        }
    }

    fn take(&mut self, record: &Record) -> Result<(), Refused> {
        let occurred_at = record.occurred_at;
        match &record.event {
            Event::Action(action) => self.act(action, occurred_at, record.event_id.as_ref().map(EventId::id)),
            Event::Impression(impression) => self.show(impression, occurred_at),
            Event::GhostImpression(exposure) => self.would_show(exposure, occurred_at),
            Event::Click(click) => self.click(click, occurred_at),
            Event::Conversion(conversion) => self.convert(conversion, occurred_at),
            Event::Retraction(retraction) => self.retract(retraction),
            Event::Link(users) => self.link(*users, occurred_at),
            Event::Forget(user) => {
                self.forget(*user);
                Ok(())
            }
            Event::Configured(settings) => self.configure(settings),
            Event::Tick => {
                self.tick();
                Ok(())
            }
        }
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), Refused> {
        self.catalog.check(settings)?;
        let before = Arc::clone(&self.catalog);
        Arc::make_mut(&mut self.catalog).configure(settings.clone(), self.now.tick());
        self.advertisers.resize_with(self.catalog.advertisers().len(), AdvertiserStatistics::default);
        if settings.learner != before.settings().learner {
            self.goals.iter_mut().for_each(|goal| goal.learner.retune(&settings.learner));
        }
        self.move_steps(&before);
        for goal in &self.catalog.goals()[self.goals.len()..] {
            self.goals.push(super::GoalState {
                advertiser: goal.advertiser,
                statistics: Default::default(),
                learner: Learner::new(&settings.learner),
                mixture: Default::default(),
                centre: Default::default(),
                ladder: Default::default(),
                calibrator: Calibrator::new(Span::ZERO),
                spend: SpendControl::new(self.now.tick()),
                intercept: None,
                level: Default::default(),
                latest: super::Latest::default(),
                trial: None,
            });
        }
        for (goal, entry) in self.goals.iter_mut().zip(self.catalog.goals()) {
            if let Some(in_force) = &entry.in_force {
                goal.calibrator.set_window(in_force.setting.window());
            }
            if let Some(advertiser) = self.catalog.in_force(entry.advertiser) {
                goal.spend.deal(advertiser.arms);
            }
        }
        self.begin_trials();
        self.changed();
        Ok(())
    }

    /// Closes label windows, and lets go of what is kept no longer: each at most `closings_per_tick` a tick.
    fn tick(&mut self) {
        let most = self.limits().closings_per_tick;
        for _ in 0..most {
            let Some(id) = self.impressions.next_climb(self.now) else { break };
            self.climb(id);
        }
        for _ in 0..most {
            let Some(id) = self.impressions.due(self.now) else { break };
            self.impression_due(id);
        }
        for _ in 0..most {
            let Some(id) = self.conversions.due(self.now) else { break };
            self.conversions.remove(id);
        }
        let mut is_changed = false;
        for (goal, entry) in self.goals.iter_mut().zip(self.catalog.goals()) {
            let half_life = entry.in_force.as_ref().map_or(AdvertiserStatistics::half_life(), |goal| goal.half_life);
            is_changed |= goal.calibrator.advance(self.now.0, half_life);
            is_changed |= match entry.in_force.as_ref().is_some_and(|goal| goal.setting.multiplier.spend_control) {
                true => goal.spend.advance(self.now.tick()),
                // Not learned meanwhile, an old factor would be out of date when the control is switched on again.
                false => goal.spend.stop(self.now.tick()) | goal.centre.forget_factor(),
            };
        }
        if is_changed {
            self.changed();
        }
        self.forgotten.expire(self.now - self.retention().token);
        self.guards.expire(self.now.tick());
        let unseen_since = (self.now - self.retention().profile).tick();
        self.profiles.prepare(self.now.tick());
        for _ in 0..most {
            if !self.profiles.evict_before(unseen_since) {
                break;
            }
            self.tally.profiles_expired += 1;
        }
    }

    /// The code of an advertiser.
    pub(super) fn advertiser(&self, name: &Id) -> Result<AdvertiserCode, Rejection> {
        self.catalog.advertiser(name.as_str()).ok_or_else(|| Rejection::UnknownAdvertiser(name.clone()))
    }

    /// The code of an advertiser's goal.
    pub(super) fn goal(&self, advertiser: AdvertiserCode, name: &Id) -> Result<GoalCode, Rejection> {
        self.catalog.goal(advertiser, name.as_str()).ok_or_else(|| Rejection::UnknownGoal {
            advertiser: self.catalog.advertisers()[advertiser.index()].id.clone(),
            goal: name.clone(),
        })
    }

    /// Refuses what happened too long ago, or too far ahead.
    pub(super) fn check_time(&self, occurred_at: Timestamp, lateness: Span) -> Result<(), Rejection> {
        let skew = self.retention().clock_skew;
        let (age, ahead) = (self.now.since(occurred_at), occurred_at.since(self.now));
        if age > lateness {
            return Err(Rejection::TooLate { age, limit: lateness });
        }
        if ahead > skew {
            return Err(Rejection::InTheFuture { ahead, limit: skew });
        }
        Ok(())
    }
}

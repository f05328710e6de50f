//! The engine: state as a fold over records, and scores that only read it.
//!
//! [`Engine::apply`] is the only way state changes, and [`Engine`] is not `Clone`: there is one writer. [`Scorer`]s are
//! its readers, as many as wanted. They see profiles, weights, linked ids and the quarantine as they change, and
//! everything else (settings, intercepts, baselines, readiness) as of the last [`Engine::publish`].
//!
//! *Invariants.* No I/O, no clock, no chance: time comes with the record or the request. Equal records in equal order
//! give equal state, whatever the frames they came in, the readers beside them, and the machine. The order of hash maps
//! never reaches state or answer. A reader holds a map's guard only to copy, never two at once. Knows no wire format.

mod action_set;
mod acts;
mod apply;
mod arms;
mod bytes;
mod catalog;
mod cause;
mod centre;
mod climb;
mod clock;
mod combine;
mod conversions;
mod due;
mod entries;
mod explain;
mod exploration;
mod features;
mod fifo;
mod forgotten;
mod ghosts;
mod guards;
mod hours;
mod id_set;
mod image;
mod impressions;
mod index;
pub mod interest;
mod just_converted;
mod kept;
mod labels;
mod latest;
mod lesson;
mod multiplier;
mod names;
mod outcomes;
mod packed;
mod parted;
mod paths;
mod people;
mod prefetch;
pub mod profile;
mod profiles;
mod questions;
mod recent;
mod restore;
mod score;
mod segments;
mod shards;
mod spend;
mod statistics;
mod statistics_image;
mod table;
mod tally;
mod trial;

use std::sync::Arc;

pub use apply::Applied;
pub use catalog::{AdvertiserEntry, Catalog, GoalEntry};
pub use clock::tick_due;
pub use entries::{Entries, Entry, Kind, NoEntry};
pub use features::{CONTEXT_USED_MAX, NUMBERS_USED_MAX, SEGMENTS_USED_MAX};
pub use image::{Digest, DigestSum};
pub use questions::{ArmCounts, AudienceCounts, CellCounts, ClassCounts};
pub use restore::{RestoreError, Restoring};
pub use score::Scorer;
pub use shards::ProfileWalk;
pub use spend::{FACTOR_BOUNDS, SpendReport};
pub use tally::Tally;
pub use trial::{ArmPeople, Incrementality};

use arc_swap::ArcSwap;

use centre::Centre;
use conversions::Conversions;
use forgotten::Forgotten;
use guards::Guards;
use image::Imaging;
use impressions::Impressions;
use latest::Latest;
use paths::Paths;
use people::People;
use profiles::Profiles;
use recent::RecentEvents;
use score::{GoalView, Published, Shared};
use spend::SpendControl;
use statistics::{AdvertiserStatistics, GoalStatistics, Outcome};
use trial::Trial;

use crate::ids::{AdvertiserCode, GoalCode};
use crate::learn::calibration::Calibrator;
use crate::learn::ftrl::Learner;
use crate::learn::ladder::Ladder;
use crate::learn::lanes;
use crate::learn::level::Level;
use crate::learn::mixture::Mixture;
use crate::math;
use crate::settings::{Limits, Retention};
use crate::signal::Readiness;
use crate::stats::beta::{Rate, STRENGTH};
use crate::units::{Tick, Timestamp};

/// The one writer of state.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    /// `at` of the last record.
    now: Timestamp,
    catalog: Arc<Catalog>,
    people: People,
    profiles: Profiles,
    paths: Paths,
    impressions: Impressions,
    conversions: Conversions,
    recent: RecentEvents,
    forgotten: Forgotten,
    guards: Guards,
    /// By advertiser code.
    advertisers: Vec<AdvertiserStatistics>,
    /// By goal code.
    goals: Vec<GoalState>,
    /// Impressions and positives of all goals of all advertisers.
    everything: Outcome,
    tally: Tally,
    /// When something that is published changed last: scorers see it as of then.
    changed_at: Tick,
    /// Scorers have not seen that yet.
    is_unpublished: bool,
    /// While an image is being taken.
    imaging: Option<Imaging>,
}

/// What is learned of one goal.
#[derive(Debug)]
struct GoalState {
    advertiser: AdvertiserCode,
    statistics: GoalStatistics,
    learner: Learner,
    /// How far each head of the learner is believed.
    mixture: Mixture,
    /// What multipliers are measured from.
    centre: Centre,
    /// How far the steps on the way are believed.
    ladder: Ladder,
    /// Predicted against observed.
    calibrator: Calibrator,
    /// Keeps what multipliers spend at what would be spent without them.
    spend: SpendControl,
    /// Log-odds that the weights add to: the parent's rate when the first impression was learned.
    intercept: Option<f64>,
    /// What is added to the intercept, but for the ladder's lane, which has a centre of its own.
    level: Level,
    /// The latest impressions that were learned, to be looked at again.
    latest: Latest,
    /// Who is held out, and what comes of it; `None` while nobody is.
    trial: Option<Box<Trial>>,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::over(Profiles::default())
    }
}

impl Engine {
    /// An engine that has seen nothing but these profiles.
    fn over(profiles: Profiles) -> Engine {
        let (people, guards) = (People::default(), Guards::default());
        let shared = Shared {
            profiles: Arc::clone(profiles.shared()),
            roots: Arc::clone(people.roots()),
            quarantine: Arc::clone(guards.quarantine()),
            published: ArcSwap::default(),
        };
        Engine {
            shared: Arc::new(shared),
            now: Timestamp(0),
            catalog: Arc::default(),
            people,
            profiles,
            paths: Paths::default(),
            impressions: Impressions::default(),
            conversions: Conversions::default(),
            recent: RecentEvents::default(),
            forgotten: Forgotten::default(),
            guards,
            advertisers: Vec::new(),
            goals: Vec::new(),
            everything: Outcome::default(),
            tally: Tally::default(),
            changed_at: Tick(0),
            is_unpublished: false,
            imaging: None,
        }
    }

    /// An engine that has seen nothing. It knows nobody until a `Configured` record names advertisers.
    pub fn new() -> Engine {
        Engine::default()
    }

    /// A reader of this engine's state.
    pub fn scorer(&self) -> Scorer {
        Scorer { shared: Arc::clone(&self.shared) }
    }

    /// The engine's clock: `at` of the last record.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The settings in force and all names and codes, as of the last record.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What was counted since the first record.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Has the system find memory for all tables of weights now rather than at the first example of each goal, as a
    /// service should before it says that it is ready. State stays what it is.
    pub fn warm(&mut self) {
        self.goals.iter_mut().for_each(|goal| goal.learner.warm());
    }

    /// Lets scorers see all that was applied. Call it before acknowledging; when nothing of it has changed, it is free.
    ///
    /// What scorers see is as of the latest change, so it does not depend on when or how often this is called.
    pub fn publish(&mut self) {
        if !std::mem::take(&mut self.is_unpublished) {
            return;
        }
        let tick = self.changed_at;
        let goals = (0..self.goals.len()).map(|goal| self.goal_view(GoalCode(goal as u16), tick)).collect();
        let (catalog, paths) = (Arc::clone(&self.catalog), self.paths.supported().clone());
        self.shared.published.store(Arc::new(Published { catalog, paths, goals }));
    }

    /// Notes that scorers do not see all of the state any more.
    fn changed(&mut self) {
        (self.changed_at, self.is_unpublished) = (self.now.tick(), true);
    }

    fn goal_view(&self, code: GoalCode, tick: Tick) -> GoalView {
        let goal = &self.goals[code.index()];
        let intercept = self.intercept(code, tick);
        let slope = goal.mixture.ladder(goal.ladder.slope());
        let mut view = GoalView {
            model: goal.learner.model(),
            belief: lanes(*goal.mixture.weights(), slope),
            intercept: intercept + goal.level.value() - slope * goal.ladder.centre(intercept),
            correction: goal.calibrator.curve(),
            baseline: goal.centre.p().unwrap_or_else(|| self.parent_rate(code, tick).mean),
            gap: goal.centre.gap(),
            readiness: self.readiness(code),
            spend_factor: 1.0,
            value: 0.0,
        };
        if let Some(in_force) = self.catalog.goal_in_force(code) {
            let half_life = in_force.half_life;
            let statistics = &goal.statistics;
            if in_force.setting.multiplier.spend_control {
                view.spend_factor = goal.spend.factor() * goal.centre.factor();
            }
            view.value = statistics.mean_value(in_force.setting.value.0, tick, half_life)
                * statistics.credit_per_positive(tick, half_life, goal.calibrator.left());
        }
        view
    }

    /// Log-odds that a goal's weights add to: those of its parent until the first impression is learned.
    fn intercept(&self, code: GoalCode, tick: Tick) -> f64 {
        let parent = || math::logit(self.parent_rate(code, tick).mean);
        self.goals[code.index()].intercept.unwrap_or_else(parent)
    }

    /// Rate of positives one level above a goal: everything, then the advertiser.
    fn parent_rate(&self, code: GoalCode, tick: Tick) -> Rate {
        let goal = &self.goals[code.index()];
        let prior = self.catalog.goal_in_force(code).map_or(0.01, |in_force| in_force.setting.prior_rate);
        let half_life = AdvertiserStatistics::half_life();
        let everything = self.everything.rate(Rate::prior(prior, STRENGTH), tick, half_life);
        self.advertisers[goal.advertiser.index()].outcome.rate(everything, tick, half_life)
    }

    /// How far a goal is learned: as far as itself or the best supported milestone below it.
    fn readiness(&self, code: GoalCode) -> Readiness {
        let goal = &self.goals[code.index()];
        let Some(in_force) = self.catalog.goal_in_force(code) else { return Readiness::Cold };
        let advertiser = &self.advertisers[goal.advertiser.index()];
        let milestones = in_force.milestones.iter().map(|milestone| advertiser.support(*milestone));
        let users = milestones.chain([goal.statistics.support.users()]).max().unwrap_or(0);
        match (users, in_force.setting.multiplier.support) {
            (users, needed) if users >= needed => Readiness::Ready,
            (0, _) => Readiness::Cold,
            (users, needed) => Readiness::Warming { users, needed },
        }
    }

    fn limits(&self) -> Limits {
        self.catalog.settings().limits
    }

    fn retention(&self) -> Retention {
        self.catalog.settings().retention
    }
}

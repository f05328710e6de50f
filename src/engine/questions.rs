//! What the engine can be asked about its statistics: plain counts as of now, with names left to the asker.

use super::Engine;
use super::profile::{ActionHistory, Profile};
use super::profiles::ProfileKey;
use super::spend::SpendReport;
use super::statistics::{AdvertiserStatistics, Audience, Cell, MULTIPLIER_CLASSES, Outcome, Watched};
use crate::action::HALF_LIFE_DEFAULT;
use crate::exposure::Arm;
use crate::ids::{ActionCode, AdvertiserCode, GoalCode, SegmentCode, UserKey};
use crate::signal::Readiness;
use crate::stats::beta::{Rate, STRENGTH};
use crate::stats::decay::HalfLife;
use crate::stats::hyperloglog::Distinct;
use crate::stats::lift::Contrast;
use crate::units::{Micros, Tick};

/// Sessions and actions of one audience, decayed to now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AudienceCounts {
    /// Sessions begun by members.
    pub sessions: f64,
    /// Actions done by members, those that were done at all, in the order of their codes.
    pub actions: Vec<(ActionCode, f64)>,
    /// Distinct members who acted, ever. Not decayed.
    pub users: u64,
}

/// What impressions to one audience led to, decayed to now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CellCounts {
    /// Impressions to members.
    pub impressions: f64,
    /// Of those, clicked.
    pub clicks: f64,
    /// Conversions credited to those.
    pub conversions: f64,
    /// Value of these.
    pub value: Micros,
    /// Cost of the impressions.
    pub cost: Micros,
}

/// Predicted against observed of one arm, decayed to now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmCounts {
    /// Which arm.
    pub arm: Arm,
    /// Impressions whose score is known.
    pub impressions: f64,
    /// Of those, with a conversion so far.
    pub positives: f64,
    /// Sum of the probabilities that were answered.
    pub predicted: f64,
}

/// Predicted against observed of the treated arm's impressions whose multiplier was of one class, decayed to now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassCounts {
    /// The multiplier was at least this …
    pub from: f64,
    /// … and below this; `None` for the last class.
    pub below: Option<f64>,
    /// Impressions whose score is known.
    pub impressions: f64,
    /// Of those, with a conversion so far.
    pub positives: f64,
    /// Sum of the probabilities that were answered.
    pub predicted: f64,
}

impl Engine {
    /// What an audience does; everyone for no segment. `None` for an unknown advertiser.
    pub fn audience(&self, advertiser: AdvertiserCode, segment: Option<SegmentCode>) -> Option<AudienceCounts> {
        let statistics = self.advertisers.get(advertiser.index())?;
        let audience = match segment {
            Some(segment) => statistics.segments.get(segment.index()),
            None => Some(&statistics.everyone),
        };
        Some(audience.map(|audience| self.audience_counts(audience)).unwrap_or_default())
    }

    fn audience_counts(&self, audience: &Audience) -> AudienceCounts {
        let (tick, half_life) = (self.now.tick(), AdvertiserStatistics::half_life());
        let counts = audience.actions.iter().map(|count| count.at(tick, half_life));
        let coded = (1..=u8::MAX).map(ActionCode).zip(counts).filter(|(_, count)| *count > 0.0);
        AudienceCounts {
            sessions: audience.sessions.at(tick, half_life),
            actions: coded.collect(),
            users: audience.users.count(),
        }
    }

    /// Distinct people who ever did an action; 0 where it is not known.
    pub fn users_of_action(&self, advertiser: AdvertiserCode, action: ActionCode) -> u64 {
        let users = self.advertisers.get(advertiser.index()).map(|statistics| &statistics.users);
        users.zip(action.index().checked_sub(1)).and_then(|(users, place)| users.get(place)).map_or(0, Distinct::count)
    }

    /// What impressions to an audience led to; to everyone for no segment. `None` for an unknown goal.
    pub fn cell(&self, goal: GoalCode, segment: Option<SegmentCode>) -> Option<CellCounts> {
        let statistics = &self.goals.get(goal.index())?.statistics;
        let cell = match segment {
            Some(segment) => statistics.cell(segment),
            None => Some(&statistics.everyone),
        };
        Some(cell.map(|cell| self.cell_counts(goal, cell)).unwrap_or_default())
    }

    fn cell_counts(&self, goal: GoalCode, cell: &Cell) -> CellCounts {
        let tick = self.now.tick();
        let Some(half_life) = self.catalog.goal_in_force(goal).map(|goal| goal.half_life) else {
            return CellCounts::default();
        };
        CellCounts {
            impressions: cell.impressions.at(tick, half_life),
            clicks: cell.clicks.at(tick, half_life),
            conversions: cell.conversions.at(tick, half_life),
            value: Micros(cell.value.at(tick, half_life) as i64),
            cost: Micros(cell.cost.at(tick, half_life) as i64),
        }
    }

    /// Distinct people who were ever shown an impression as members of a segment; anyone for no segment. 0 where it is
    /// not known.
    pub fn users_reached(&self, goal: GoalCode, segment: Option<SegmentCode>) -> u64 {
        let statistics = self.goals.get(goal.index()).map(|goal| &goal.statistics);
        let cell = statistics.and_then(|statistics| match segment {
            Some(segment) => statistics.cell(segment),
            None => Some(&statistics.everyone),
        });
        cell.map_or(0, |cell| cell.users.count())
    }

    /// Labels of impressions to a segment's members against those to other people, decayed to now. Of impressions that
    /// were learned from and whose person is known. `None` for an unknown goal.
    pub fn contrast_of_segment(&self, goal: GoalCode, segment: SegmentCode) -> Option<Contrast> {
        let statistics = &self.goals.get(goal.index())?.statistics;
        let labels = statistics.cell(segment).map(|cell| cell.labels).unwrap_or_default();
        self.contrast(goal, &labels)
    }

    /// The same of people who had done an action before they were shown the impression, against all others.
    pub fn contrast_of_action(&self, goal: GoalCode, action: ActionCode) -> Option<Contrast> {
        let done = &self.goals.get(goal.index())?.statistics.done;
        let labels = action.index().checked_sub(1).and_then(|place| done.get(place)).copied().unwrap_or_default();
        self.contrast(goal, &labels)
    }

    fn contrast(&self, goal: GoalCode, part: &Outcome) -> Option<Contrast> {
        let half_life = self.catalog.goal_in_force(goal)?.half_life;
        let whole = &self.goals.get(goal.index())?.statistics.everyone.labels;
        let group = |outcome: &Outcome| outcome.group(self.now.tick(), half_life);
        Some(Contrast::of(group(part), group(whole)))
    }

    /// Credited conversions for each impression of an audience: a segment's rate under the goal's, the goal's under
    /// its advertiser's. `None` for an unknown goal.
    pub fn rate(&self, goal: GoalCode, segment: Option<SegmentCode>) -> Option<Rate> {
        let of = |cell: CellCounts, parent: Rate| parent.below(cell.conversions, cell.impressions, STRENGTH);
        let whole = of(self.cell(goal, None)?, self.parent_rate(goal, self.now.tick()));
        match segment {
            Some(_) => Some(of(self.cell(goal, segment)?, whole)),
            None => Some(whole),
        }
    }

    /// Conversions of a goal that no impression led to, decayed to now.
    pub fn organic(&self, goal: GoalCode) -> f64 {
        let half_life = self.catalog.goal_in_force(goal).map(|goal| goal.half_life);
        let organic = self.goals.get(goal.index()).map(|goal| goal.statistics.organic);
        half_life.zip(organic).map_or(0.0, |(half_life, organic)| organic.at(self.now.tick(), half_life))
    }

    /// Predicted against observed, arm by arm.
    pub fn arms(&self, goal: GoalCode) -> Vec<ArmCounts> {
        let Some(half_life) = self.catalog.goal_in_force(goal).map(|goal| goal.half_life) else { return Vec::new() };
        let (statistics, tick) = (&self.goals[goal.index()].statistics, self.now.tick());
        let counts = |arm: Arm| {
            let cell = statistics.arms[usize::from(arm.number())];
            ArmCounts {
                arm,
                impressions: cell.outcome.impressions.at(tick, half_life),
                positives: cell.outcome.positives.at(tick, half_life),
                predicted: cell.predicted.at(tick, half_life),
            }
        };
        Arm::ALL.map(counts).to_vec()
    }

    /// Predicted against observed of the treated arm, by class of the multiplier, lowest first: whoever wins most where
    /// too much was predicted sees it here (the winner's curse).
    pub fn by_multiplier(&self, goal: GoalCode) -> Vec<ClassCounts> {
        let Some(half_life) = self.catalog.goal_in_force(goal).map(|goal| goal.half_life) else { return Vec::new() };
        let (watched, tick) = (&self.goals[goal.index()].statistics.by_multiplier, self.now.tick());
        let from = std::iter::once(0.0).chain(MULTIPLIER_CLASSES);
        let below = MULTIPLIER_CLASSES.into_iter().map(Some).chain([None]);
        let counts = |((from, below), watched): ((f64, Option<f64>), &Watched)| ClassCounts {
            from,
            below,
            impressions: watched.outcome.impressions.at(tick, half_life),
            positives: watched.outcome.positives.at(tick, half_life),
            predicted: watched.predicted.at(tick, half_life),
        };
        from.zip(below).zip(watched).map(counts).collect()
    }

    /// What multipliers spend against what would be spent without them. `None` for an unknown goal.
    pub fn spend(&self, goal: GoalCode) -> Option<SpendReport> {
        let state = self.goals.get(goal.index())?;
        let SpendReport { treated, control, ratio, interval, .. } = state.spend.report();
        let factor = self.goal_view(goal, self.now.tick()).spend_factor;
        Some(SpendReport { treated, control, ratio, interval, factor })
    }

    /// Probability that a flat base bid pays for. `None` for an unknown goal.
    pub fn baseline(&self, goal: GoalCode) -> Option<f64> {
        (goal.index() < self.goals.len()).then(|| self.goal_view(goal, self.now.tick()).baseline)
    }

    /// How far a goal is learned. `None` for an unknown goal.
    pub fn goal_readiness(&self, goal: GoalCode) -> Option<Readiness> {
        (goal.index() < self.goals.len()).then(|| self.readiness(goal))
    }

    /// Updates of a goal's weights that met another feature's slot.
    pub fn collisions(&self, goal: GoalCode) -> u64 {
        self.goals.get(goal.index()).map_or(0, |goal| goal.learner.collisions())
    }

    /// A copy of what one person did with an advertiser.
    pub fn profile(&self, user: UserKey, advertiser: AdvertiserCode) -> Option<Profile> {
        self.profiles.get(ProfileKey::of(self.people.root(user), advertiser))
    }

    /// Visits what one person did with an advertiser, action by action.
    pub fn each_act(&self, user: UserKey, advertiser: AdvertiserCode, visit: impl FnMut(&ActionHistory)) {
        let key = ProfileKey::of(self.people.root(user), advertiser);
        if let Some(profile) = self.profiles.get(key) {
            profile.actions.iter().for_each(visit);
        }
    }

    /// All ids of a person, the smallest first; the id alone when it is not linked.
    pub fn linked_ids(&self, user: UserKey) -> Vec<UserKey> {
        self.people.members(self.people.root(user))
    }

    /// Rule segments a person is in now.
    pub fn segments_of(&self, user: UserKey, advertiser: AdvertiserCode) -> Vec<SegmentCode> {
        let profile = self.profile(user, advertiser).unwrap_or_default();
        let rules = |in_force| super::segments::RuleSegments::of(in_force, &profile, &[], self.now.tick());
        self.catalog.in_force(advertiser).map(|in_force| rules(in_force).codes().collect()).unwrap_or_default()
    }

    /// The last second in which a rule segment may miss members, because its rule looks back to before its acts were
    /// kept; `None` once that has passed, and for segments that do not look back.
    pub fn warming_until(&self, advertiser: AdvertiserCode, segment: SegmentCode) -> Option<Tick> {
        self.catalog.warming_until(advertiser, segment).filter(|until| *until >= self.now.tick())
    }

    /// Decayed count of an act in a profile of this advertiser, as of now.
    pub fn count_now(&self, advertiser: AdvertiserCode, history: &ActionHistory) -> f64 {
        let half_life = self.catalog.action_in_force(advertiser, history.action).map(|known| known.half_life);
        let half_life = half_life.unwrap_or(HalfLife::new(HALF_LIFE_DEFAULT));
        f64::from(history.count_at(self.now.tick(), half_life))
    }

    /// Impressions of a goal whose label window is open.
    pub fn open_impressions(&self, goal: GoalCode) -> usize {
        self.impressions.open(goal)
    }

    /// The ids of each person who has several, in no order.
    pub fn linked(&self) -> impl Iterator<Item = &[UserKey]> {
        self.people.linked()
    }

    /// Profiles that are kept, of all advertisers.
    pub fn profiles_kept(&self) -> usize {
        self.profiles.len()
    }

    /// Entries of the tables that grow and shrink: profiles, impressions and conversions that are kept, people in
    /// quarantine, and ids that were forgotten, as long as tokens of before are accepted.
    pub fn sizes(&self) -> [(&'static str, usize); 5] {
        [
            ("profiles", self.profiles.len()),
            ("live_impressions", self.impressions.len()),
            ("kept_conversions", self.conversions.len()),
            ("quarantined", self.guards.len()),
            ("forgotten", self.forgotten.len()),
        ]
    }
}

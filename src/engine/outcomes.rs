//! What comes of a bid: impressions, clicks, conversions, retractions.

use std::sync::Arc;

use arrayvec::ArrayVec;
use smallvec::{Array, SmallVec};

use super::Engine;
use super::action_set::ActionSet;
use super::apply::Refused;
use super::arms;
use super::conversions::{Conversion, ConversionKey, CreditedTo};
use super::features::{Asked, FeatureSet, History, Surroundings};
use super::impressions::{Impression, ImpressionId};
use super::labels::Seen;
use super::lesson::Lesson;
use super::profiles::ProfileKey;
use super::segments::RuleSegments;
use super::spend::Paid;
use super::statistics::{Memberships, Outcome, multiplier_class, person};
use crate::event::{Click, Conversion as ConversionEvent, Converter, Impression as ImpressionEvent, Retraction};
use crate::event::{Shown, Unscored};
use crate::exposure::{Arm, Exposure, FEATURE_SCHEMA, Feature, GoalScore, sort_into};
use crate::hash;
use crate::ids::{AdvertiserCode, GoalCode, Id, ItemKey, OpportunityKey, SegmentCode, UserKey};
use crate::opportunity::GOALS_PER_TARGET_MAX;
use crate::rejection::{Rejection, TokenRefusal};
use crate::units::{Money, Span, Timestamp};

/// An impression without a score is learned from only when its notice is at most this old.
const UNSCORED_AGE_MAX: Span = Span::seconds(60);

/// An impression as the engine takes it, of whichever kind of notice.
pub(super) struct Notice {
    pub opportunity: OpportunityKey,
    pub advertiser: AdvertiserCode,
    pub user: Option<UserKey>,
    pub item: Option<ItemKey>,
    pub category: Option<ItemKey>,
    pub arm: Arm,
    pub externals: SmallVec<[SegmentCode; 2]>,
    /// `None` when nothing may be learned from it.
    pub features: Option<Arc<[Feature]>>,
    /// Goals that are in force, each once, with what was answered, where anything was.
    pub goals: SmallVec<[(GoalCode, Option<GoalScore>); 4]>,
    /// It was not shown, because the person is held out.
    pub is_ghost: bool,
}

/// What the person was in and had done when an impression was shown; nothing of somebody unknown.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    rules: RuleSegments,
    done: ActionSet,
}

/// What an impression has counted for.
pub(super) struct Learned {
    /// Class of the multiplier, where the score is known.
    pub answered: Option<u8>,
    pub lesson: Lesson,
}

/// A goal as it was reached, before it is checked.
pub(super) struct Reached<'a> {
    pub advertiser: AdvertiserCode,
    pub goal: GoalCode,
    pub user: Option<UserKey>,
    pub opportunity: Option<OpportunityKey>,
    pub occurred_at: Timestamp,
    pub item: Option<ItemKey>,
    pub category: Option<ItemKey>,
    pub value: Option<Money>,
    pub conversion_id: Option<&'a Id>,
}

impl Engine {
    pub(super) fn show(&mut self, event: &ImpressionEvent, stated_at: Timestamp) -> Result<(), Refused> {
        let (notice, shown_at) = match &event.of {
            // Nothing is shown before it is scored. A notice that says so would let a conversion count that the
            // features have seen already.
            Shown::Scored(exposure) => (self.notice_of_exposure(exposure)?, stated_at.max(exposure.scored_at)),
            Shown::Named(unscored) => (self.notice_of_unscored(unscored, stated_at)?, stated_at),
        };
        self.check_time(shown_at, self.retention().token)?;
        for (goal, _) in &notice.goals {
            self.check_currency(*goal, event.cost)?;
        }
        if self.impressions.is_shown(notice.opportunity) {
            return Err(Refused::Duplicate);
        }
        let key = notice.user.map(|user| ProfileKey::of(user, notice.advertiser));
        if key.is_some_and(|key| self.guards.quarantine().holds(key, shown_at.tick()).is_some()) {
            self.tally.impressions_quarantined += 1;
            return Ok(());
        }
        let before = self.show_to_person(&notice, shown_at);
        self.tally.impressions += 1;
        self.tally.impressions_unlearned += u64::from(notice.features.is_none());
        for &(goal, answered) in &notice.goals {
            self.count_impression(&notice, goal, answered, &before, event, shown_at);
            let of_user = |user| self.impressions.waiting(user, goal, notice.item, notice.category);
            let share = Lesson::share(notice.user.map_or(0, of_user));
            let seen = Seen { shown_at, share, arm: notice.arm, answered };
            let lesson = self.learn_negative(goal, notice.features.as_deref(), seen);
            let class = answered.map(|answered| multiplier_class(&answered));
            let learned = Learned { answered: class, lesson };
            self.keep_impression(&notice, goal, learned, &before, shown_at);
            notice.user.iter().for_each(|root| self.reach(goal, *root, shown_at));
        }
        if notice.user.is_some() {
            self.bound_profiles();
        }
        self.changed();
        Ok(())
    }

    pub(super) fn notice_of_exposure(&self, exposure: &Exposure) -> Result<Notice, Refused> {
        if exposure.schema != FEATURE_SCHEMA {
            return Err(Rejection::Token(TokenRefusal::Version).into());
        }
        let is_known = |score: &&GoalScore| {
            let goal = self.catalog.goals().get(score.goal.index());
            goal.is_some_and(|goal| goal.advertiser == exposure.advertiser && goal.in_force.is_some())
        };
        // Of somebody who was forgotten since, the ad was shown to nobody, and nothing is learned of it.
        let is_forgotten = exposure.user.is_some_and(|user| self.forgotten.covers(user, exposure.scored_at));
        let scores = exposure.goals.iter().filter(is_known).map(|score| (score.goal, Some(*score)));
        let goals: SmallVec<_> = once_each(scores, |(goal, _)| *goal);
        if goals.is_empty() {
            return Err(Rejection::NotFound { what: "goal of the exposure" }.into());
        }
        Ok(Notice {
            opportunity: exposure.opportunity,
            advertiser: exposure.advertiser,
            user: exposure.user.filter(|_| !is_forgotten).map(|user| self.people.root(user)),
            item: exposure.item,
            category: exposure.category,
            arm: exposure.arm,
            externals: once_each(exposure.externals.iter().copied().filter(|_| !is_forgotten), |segment| *segment),
            features: (!is_forgotten).then(|| Arc::from(exposure.features.as_slice())),
            goals,
            is_ghost: false,
        })
    }

    /// An impression that nobody remembers the score of: its features are those of now, and so may only be learned
    /// from while they cannot know what came after it was shown.
    fn notice_of_unscored(&self, unscored: &Unscored, shown_at: Timestamp) -> Result<Notice, Refused> {
        let advertiser = self.advertiser(&unscored.advertiser)?;
        let in_force = self.catalog.in_force(advertiser).expect("found by name, so in force");
        let named = unscored.goals.iter().map(|goal| self.goal(advertiser, goal)).collect::<Result<Vec<_>, _>>()?;
        let goals = if named.is_empty() { &in_force.goals } else { &named };
        let goals = once_each(goals.iter().take(GOALS_PER_TARGET_MAX).map(|goal| (*goal, None)), |(goal, _)| *goal);
        if goals.is_empty() {
            return Err(Rejection::NotFound { what: "goal of the impression" }.into());
        }
        let root = self.people.root(unscored.user);
        let mut notice = Notice {
            opportunity: unscored.opportunity,
            advertiser,
            user: Some(root),
            item: unscored.item.as_ref().map(|item| hash::item_key(item.as_str())),
            category: unscored.category.as_ref().map(|category| hash::item_key(category.as_str())),
            arm: arms::arm(&in_force.arms, root),
            externals: SmallVec::new(),
            features: None,
            goals,
            is_ghost: false,
        };
        if self.now.since(shown_at) > UNSCORED_AGE_MAX {
            return Ok(notice);
        }
        let profile = self.profiles.get(ProfileKey::of(root, advertiser)).unwrap_or_default();
        if profile.last_seen() < shown_at.tick() {
            let rules = RuleSegments::of(in_force, &profile, &[], shown_at.tick());
            let segments: SmallVec<[SegmentCode; 8]> = rules.codes().collect();
            let paths = (self.paths.supported(), advertiser);
            let history = History { profile: &profile, in_force, segments: &segments, paths };
            let (item, category) = (notice.item, notice.category);
            let surroundings = Surroundings::default();
            let asked = Asked { at: shown_at, surroundings: &surroundings, item, category, base_p: None };
            let mut features = ArrayVec::new();
            sort_into(&mut features, &FeatureSet::build(&asked, Some(history)).features);
            notice.features = Some(Arc::from(features.as_slice()));
        }
        Ok(notice)
    }

    /// Notes it in the person's history. Gives rule segments and actions as known until now, judged at the time it was
    /// shown.
    fn show_to_person(&mut self, notice: &Notice, shown_at: Timestamp) -> Before {
        let Some(root) = notice.user else { return Before::default() };
        let in_force = self.catalog.in_force(notice.advertiser).expect("notices name goals in force");
        let tick = shown_at.tick();
        self.profiles.update(ProfileKey::of(root, notice.advertiser), |profile| {
            let rules = RuleSegments::of(in_force, profile, &notice.externals, tick);
            let done = profile.done_before(tick);
            profile.show(tick, notice.item, notice.category);
            Before { rules, done }
        })
    }

    pub(super) fn keep_impression(
        &mut self,
        notice: &Notice,
        goal: GoalCode,
        learned: Learned,
        before: &Before,
        shown_at: Timestamp,
    ) {
        let window = self.catalog.goal_in_force(goal).expect("notices name goals in force").setting.window();
        let is_learned = notice.features.is_some();
        let id = self.impressions.insert(Impression {
            opportunity: notice.opportunity,
            goal,
            user: notice.user,
            shown_at,
            clicked_at: None,
            arm: notice.arm,
            answered: learned.answered,
            lesson: learned.lesson,
            item: notice.item,
            category: notice.category,
            segments: before.rules,
            externals: notice.externals.as_slice().into(),
            done: before.done.clone(),
            features: notice.features.clone(),
            standing: 0,
            steps: 0,
            is_climbed: !is_learned,
            awaits_climb: false,
            is_closed: false,
            is_ghost: notice.is_ghost,
            deadline: shown_at + window,
        });
        if is_learned {
            self.goals[goal.index()].latest.push(id);
        }
        self.join_impression(id);
        self.bound_impressions(notice.user, goal);
    }

    pub(super) fn click(&mut self, click: &Click, occurred_at: Timestamp) -> Result<(), Refused> {
        self.check_time(occurred_at, self.lateness())?;
        let opportunity = match click {
            Click::Opportunity(opportunity) => *opportunity,
            Click::User { user, advertiser } => self.latest_shown(*user, advertiser, occurred_at)?,
        };
        let ids = self.impressions.of_opportunity(opportunity);
        let first = ids.first().and_then(|id| self.impressions.get(*id)).filter(|first| !first.is_ghost);
        let Some(first) = first else {
            return Err(Rejection::NotFound { what: "impression of the click" }.into());
        };
        if first.clicked_at.is_some() {
            return Err(Refused::Duplicate);
        }
        let (user, advertiser) = (first.user, self.goals[first.goal.index()].advertiser);
        if user.is_some_and(|root| self.is_held(advertiser, root, occurred_at.tick())) {
            self.tally.clicks_quarantined += 1;
            return Ok(());
        }
        ids.iter().for_each(|id| self.note_click(*id, occurred_at));
        if let Some(root) = user {
            self.note_click_act(advertiser, root, occurred_at.tick());
        }
        self.tally.clicks += 1;
        Ok(())
    }

    /// The opportunity that an advertiser showed a user last, before a moment.
    fn latest_shown(&self, user: UserKey, advertiser: &Id, before: Timestamp) -> Result<OpportunityKey, Rejection> {
        let root = self.people.root(user);
        let advertiser = self.advertiser(advertiser)?;
        let goals = &self.catalog.in_force(advertiser).expect("found by name, so in force").goals;
        let ids = goals.iter().flat_map(|goal| self.impressions.of_user(root, *goal));
        let real = |id: ImpressionId| self.impressions.get(id).filter(|one| !one.is_ghost);
        let shown = |id: ImpressionId| real(id).map(|one| (one.shown_at, id, one.opportunity));
        let latest = ids.filter_map(shown).filter(|(shown_at, ..)| *shown_at <= before).max();
        latest.map(|(.., opportunity)| opportunity).ok_or(Rejection::NotFound { what: "impression of the click" })
    }

    pub(super) fn convert(&mut self, event: &ConversionEvent, occurred_at: Timestamp) -> Result<(), Refused> {
        let advertiser = self.advertiser(&event.advertiser)?;
        let (opportunity, user) = match event.by {
            Converter::User(user) => (None, Some(user)),
            Converter::Opportunity { opportunity, user } => (Some(opportunity), user),
            Converter::Token { opportunity, user, scored_at } => {
                (Some(opportunity), user.filter(|user| !self.forgotten.covers(*user, scored_at)))
            }
        };
        let goal = self.goal(advertiser, &event.goal)?;
        let shown_to = || {
            let ids = self.impressions.of_opportunity(opportunity?);
            ids.iter().find_map(|id| self.impressions.get(*id)?.user)
        };
        let user = user.map(|user| self.people.root(user)).or_else(shown_to);
        let conversion = self.check_conversion(Reached {
            advertiser,
            goal,
            user,
            opportunity,
            occurred_at,
            item: event.item.as_ref().map(|item| hash::item_key(item.as_str())),
            category: event.category.as_ref().map(|category| hash::item_key(category.as_str())),
            value: event.value,
            conversion_id: event.conversion_id.as_ref(),
        })?;
        if user.is_some_and(|root| self.is_held(advertiser, root, occurred_at.tick())) {
            self.tally.conversions_quarantined += 1;
            return Ok(());
        }
        self.note_conversion(conversion);
        Ok(())
    }

    /// Checks a conversion, changing nothing.
    pub(super) fn check_conversion(&self, reached: Reached<'_>) -> Result<Conversion, Refused> {
        let in_force = self.catalog.goal_in_force(reached.goal).expect("found by name, so in force");
        let retention = self.retention();
        self.check_time(reached.occurred_at, in_force.setting.window() + retention.lateness)?;
        self.check_currency(reached.goal, reached.value)?;
        let advertiser = &self.catalog.advertisers()[reached.advertiser.index()].id;
        let key = reached.conversion_id.map(|id| conversion_key(advertiser, reached.goal, id));
        if key.is_some_and(|key| self.conversions.find(key).is_some()) {
            return Err(Refused::Duplicate);
        }
        let statistics = &self.goals[reached.goal.index()].statistics;
        let value = reached.value.map_or(in_force.setting.value.0, |money| money.amount.0);
        Ok(Conversion {
            advertiser: reached.advertiser,
            goal: reached.goal,
            user: reached.user,
            opportunity: reached.opportunity,
            occurred_at: reached.occurred_at,
            item: reached.item,
            category: reached.category,
            value: statistics.winsorise(
                value,
                in_force.setting.value.0,
                reached.occurred_at.tick(),
                in_force.half_life,
            ),
            key,
            joined: SmallVec::new(),
            credit: CreditedTo::Nobody,
            shares: SmallVec::new(),
            deadline: reached.occurred_at + retention.retraction,
        })
    }

    /// Takes a checked conversion, unless it came too soon: the user's history, the impressions it joins, the credit.
    pub(super) fn note_conversion(&mut self, conversion: Conversion) {
        let (goal, tick) = (conversion.goal, conversion.occurred_at.tick());
        if let Some(shown) = self.shown_too_soon(&conversion) {
            let person = conversion.user.or(shown.user);
            self.tally.conversions_quarantined += 1;
            if let Some(root) = person {
                self.hold(conversion.advertiser, root, tick);
            }
            return;
        }
        let needed = self.catalog.goal_in_force(goal).map_or(0, |goal| goal.setting.multiplier.support) as usize;
        if let Some(root) = conversion.user {
            let key = ProfileKey::of(root, conversion.advertiser);
            self.profiles.update(key, |profile| profile.convert(tick));
            self.bound_profiles();
            self.goals[goal.index()].statistics.support.note(root.0, needed);
        }
        let id = self.conversions.insert(conversion);
        self.join_conversion(id);
        self.count_trial_conversion(id);
        self.note_just_converted(id);
        self.tally.conversions += 1;
        while self.conversions.len() > self.limits().conversions_max {
            let Some(oldest) = self.conversions.due(Timestamp(u64::MAX)) else { break };
            self.conversions.remove(oldest);
            self.tally.conversions_evicted += 1;
        }
        self.changed();
    }

    pub(super) fn retract(&mut self, event: &Retraction) -> Result<(), Refused> {
        let advertiser = self.advertiser(&event.advertiser)?;
        let goals = &self.catalog.in_force(advertiser).expect("found by name, so in force").goals;
        let key = |goal: &GoalCode| conversion_key(&event.advertiser, *goal, &event.conversion_id);
        let ids: Vec<_> = goals.iter().filter_map(|goal| self.conversions.find(key(goal))).collect();
        if ids.is_empty() {
            return Err(Rejection::NotFound { what: "conversion to retract" }.into());
        }
        for id in ids {
            self.take_back(id);
        }
        self.tally.retractions += 1;
        Ok(())
    }

    /// Refuses money in another currency than the goal's.
    fn check_currency(&self, goal: GoalCode, money: Option<Money>) -> Result<(), Rejection> {
        let expected = self.catalog.goal_in_force(goal).expect("found by name, so in force").setting.currency;
        match money.and_then(|money| money.currency).filter(|given| *given != expected) {
            Some(given) => Err(Rejection::WrongCurrency { given: given.to_string(), expected: expected.to_string() }),
            None => Ok(()),
        }
    }

    fn count_impression(
        &mut self,
        notice: &Notice,
        goal: GoalCode,
        answered: Option<GoalScore>,
        before: &Before,
        event: &ImpressionEvent,
        shown_at: Timestamp,
    ) {
        let half_life = self.catalog.goal_in_force(goal).expect("notices name goals in force").half_life;
        let tick = shown_at.tick();
        let statistics = &mut self.goals[goal.index()].statistics;
        let of = Memberships { rules: before.rules, externals: &notice.externals };
        let person = notice.user.map(person);
        statistics.each(of, |cell| {
            cell.impressions.add(1.0, tick, half_life);
            cell.cost.add(event.cost.map_or(0.0, micros), tick, half_life);
            person.into_iter().for_each(|person| cell.users.insert(person));
        });
        if notice.user.is_some() && notice.features.is_some() {
            let change = |labels: &mut Outcome| labels.impressions.add(1.0, tick, half_life);
            statistics.label(of, &before.done, change);
        }
        if let (Some(answered), Some(_)) = (answered, &notice.features) {
            statistics.watch(notice.arm, multiplier_class(&answered), |watched| {
                watched.outcome.impressions.add(1.0, tick, half_life);
                watched.predicted.add(f64::from(answered.p), tick, half_life);
            });
        }
        let multiplier = answered.and_then(|answered| answered.bid());
        if let (Some(multiplier), Some(user), Some(cost)) = (multiplier, notice.user, event.cost) {
            let paid = Paid { cost: micros(cost), bid: event.bid.map(micros) };
            self.goals[goal.index()].spend.spend(notice.arm, user, paid, multiplier, self.now.tick());
        }
    }
}

fn micros(money: Money) -> f64 {
    money.amount.0 as f64
}

/// Without what repeats an earlier key: an impression counts once for a goal or segment, however often it is named.
fn once_each<A: Array, K: PartialEq>(all: impl Iterator<Item = A::Item>, key: impl Fn(&A::Item) -> K) -> SmallVec<A> {
    let mut kept = SmallVec::<A>::new();
    for one in all {
        if !kept.iter().any(|known| key(known) == key(&one)) {
            kept.push(one);
        }
    }
    kept
}

/// The key of a sender's conversion id. One purchase may reach several goals under one id.
fn conversion_key(advertiser: &Id, goal: GoalCode, id: &Id) -> ConversionKey {
    let name = hash::mix(hash::text(advertiser.as_str()), hash::text(id.as_str()));
    ConversionKey(hash::mix(name, u64::from(goal.0)))
}

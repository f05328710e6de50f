//! Label and credit: two things.
//!
//! The *label* of an impression is whether at least one conversion of the goal joined it: learned as negative at once,
//! corrected when the first conversion joins, and again when the last one standing is retracted; where windows are
//! short it is learned when they close. The *credit* for a conversion goes to one impression, to all in equal parts, or
//! to none, and sums to the conversions. Both are functions of which impressions, clicks and conversions are known, not
//! of the order in which they arrived, as long as the impression is kept: until its window has closed and `lateness`
//! has passed. Of several clicks the first to arrive counts.

use smallvec::SmallVec;

use super::Engine;
use super::centre::Centre;
use super::climb::steps_of;
use super::conversions::{Conversion, ConversionId, CreditedTo, Share};
use super::impressions::{Impression, ImpressionId};
use super::lesson::Lesson;
use super::profiles::ProfileKey;
use super::statistics::{AdvertiserStatistics, Memberships, Outcome, Watched};
use crate::exposure::{Arm, Feature, GoalScore, of_context};
use crate::ids::{GoalCode, ItemKey, UserKey};
use crate::learn::ftrl::probability;
use crate::learn::{HEADS, LADDER, PerLane, heads, lanes};
use crate::math;
use crate::settings::Credit;
use crate::units::{Span, Timestamp};

/// Where the label is known so soon, waiting for it costs nothing.
const WAIT_WINDOW: Span = Span::minutes(15);
/// Where more impressions than this are positive, negatives that are taken back later would swing the weights: unless
/// the window is longer than a day, and nothing would be learned meanwhile, labels wait.
const WAIT_RATE: f64 = 0.15;
const WAIT_WINDOW_MAX: Span = Span::days(1);
/// Impressions looked at again after a label has changed.
const LOOKS_MAX: usize = 16;
/// The first of them whose probability has moved by less ends the look, unlearned. Single conversions hardly move
/// others; and impressions whose conversions are yet to come must not be held down again and again.
const LOOK_WORTH: f64 = 0.1;

/// How an impression that is learned was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub shown_at: Timestamp,
    /// How much it counts among those of one label.
    pub share: f32,
    pub arm: Arm,
    pub answered: Option<GoalScore>,
}

impl Engine {
    /// Learns an impression as negative, with the current weights' probability as the gradient, or puts that off until
    /// its label is known.
    pub(super) fn learn_negative(
        &mut self,
        goal: GoalCode,
        features: Option<&[Feature]>,
        Seen { shown_at, share, arm, answered }: Seen,
    ) -> Lesson {
        let Some(features) = features else { return Lesson::default() };
        let (now, shown) = (self.now.tick(), shown_at.tick());
        let (waits, first) = (self.waits_for_label(goal), self.intercept(goal, now));
        let in_force = self.catalog.goal_in_force(goal).expect("notices name goals in force");
        let half_life = in_force.half_life;
        // Else the factor is no part of what was answered, and would run away.
        let is_evened_out = in_force.setting.multiplier.spend_control;
        let state = &mut self.goals[goal.index()];
        state.intercept = Some(first);
        let intercept = first + state.level.value();
        let (slope, centre) = (state.ladder.slope(), state.ladder.centre(first));
        let (context, of_person) = features.split_at(of_context(features).len());
        let alone = state.learner.logits(context);
        let lanes = state.learner.logits_beyond(alone, of_person);
        let centred = lanes[LADDER] - centre;
        let logits = heads(&lanes, slope * centred);
        let logit = intercept + state.mixture.mean(&logits);
        let curve = state.calibrator.curve();
        let corrected = |logit: f64| math::sigmoid(logit + curve.shift(logit));
        let weight = Centre::weight(arm, answered);
        state.centre.add(corrected(logit), weight);
        if !of_person.is_empty() {
            if let Some(multiplier) = answered.and_then(|answered| answered.bid()).filter(|_| is_evened_out) {
                state.centre.add_multiplier(multiplier / state.spend.factor(), weight);
            }
            let alone = intercept + state.mixture.mean(&heads(&alone, slope * (alone[LADDER] - centre)));
            state.centre.add_person(corrected(logit), corrected(alone + state.centre.gap()), weight);
        }
        let mut pulls = [0.0; HEADS];
        if !waits {
            pulls = logits.map(|logit| probability(intercept, logit));
            state.learner.learn(features, scaled(pulls, share), now);
            state.mixture.learn(intercept, &logits, false, share.into());
            state.level.learn(logit, false);
        }
        state.ladder.show(first, lanes[LADDER], share.into());
        state.calibrator.show(shown_at.0, logit, share.into());
        state.statistics.outcome.impressions.add(1.0, shown, half_life);
        let wide = AdvertiserStatistics::half_life();
        self.advertisers[state.advertiser.index()].outcome.impressions.add(1.0, shown, wide);
        self.everything.impressions.add(1.0, shown, wide);
        Lesson {
            logits: logits.map(|logit| logit as f32),
            logit: logit as f32,
            centred: centred as f32,
            pulls: pulls.map(|pull| pull as f32),
            share,
            waits,
            counted_delay: None,
        }
    }

    /// Whether impressions of a goal are learned only when their labels are known.
    fn waits_for_label(&self, goal: GoalCode) -> bool {
        let now = self.now.tick();
        let in_force = self.catalog.goal_in_force(goal).expect("notices name goals in force");
        let window = in_force.setting.window();
        let outcome = &self.goals[goal.index()].statistics.outcome;
        let rate = || outcome.rate(self.parent_rate(goal, now), now, in_force.half_life).mean;
        window <= WAIT_WINDOW || (window <= WAIT_WINDOW_MAX && rate() > WAIT_RATE)
    }

    /// Joins an impression to the conversions that are known already.
    ///
    /// Credit is settled for what has joined, and for nothing else: a conversion may be credited to an impression
    /// that was let go since, and stays so until it has a new one.
    pub(super) fn join_impression(&mut self, id: ImpressionId) {
        let Some(impression) = self.impressions.get(id) else { return };
        let is_ghost = impression.is_ghost;
        for conversion in self.conversions.candidates(impression) {
            // The ad was not shown: whatever the conversion is credited to stays.
            if self.join(id, conversion) && !is_ghost {
                self.credit(conversion);
            }
        }
    }

    /// Joins a new conversion to the impressions that are known already.
    pub(super) fn join_conversion(&mut self, id: ConversionId) {
        let Some(conversion) = self.conversions.get(id) else { return };
        for impression in self.impressions_about(conversion) {
            self.join(impression, id);
        }
        self.credit(id);
    }

    /// Impressions that a conversion may be about.
    fn impressions_about(&self, conversion: &Conversion) -> SmallVec<[ImpressionId; 2]> {
        match (conversion.opportunity, conversion.user) {
            (Some(opportunity), _) => self.impressions.of_opportunity(opportunity),
            (None, Some(user)) => self.impressions.of_user(user, conversion.goal),
            (None, None) => SmallVec::new(),
        }
    }

    /// The impression after which a new conversion came sooner than a person's does. One that is known before the
    /// impression it came too soon after only does not join that.
    pub(super) fn shown_too_soon(&self, conversion: &Conversion) -> Option<&Impression> {
        let setting = &self.catalog.goal_in_force(conversion.goal)?.setting;
        if setting.conversion_delay_min == Span::ZERO {
            return None;
        }
        let impressions = self.impressions_about(conversion);
        let mut impressions = impressions.iter().filter_map(|id| self.impressions.get(*id));
        impressions.find(|impression| conversion.came_too_soon(impression, setting))
    }

    /// Joins whatever of one user and goal belongs together and is not joined yet: after two ids were linked.
    pub(super) fn join_all(&mut self, user: UserKey, goal: GoalCode) {
        for impression in self.impressions.of_user(user, goal) {
            self.join_impression(impression);
        }
    }

    /// Joins the two if they belong together; false where they do not, or were joined before.
    fn join(&mut self, impression_id: ImpressionId, conversion_id: ConversionId) -> bool {
        let (Some(impression), Some(conversion)) =
            (self.impressions.get_mut(impression_id), self.conversions.get_mut(conversion_id))
        else {
            return false;
        };
        let goal = impression.goal;
        let Some(in_force) = self.catalog.goal_in_force(goal) else { return false };
        let setting = &in_force.setting;
        if conversion.joined.contains(&impression_id) || !conversion.matches(impression, setting) {
            return false;
        }
        conversion.joined.push(impression_id);
        impression.standing = impression.standing.saturating_add(1);
        let released = conversion.deadline.max(impression.deadline);
        let (is_first, is_closed) = (impression.standing == 1, impression.is_closed);
        if is_first && !impression.is_ghost {
            self.tally.positives += 1;
        }
        if is_first {
            let converted_at = conversion.occurred_at;
            self.relabel(impression_id, converted_at, 1.0);
        }
        if is_closed {
            self.impressions.set_deadline(impression_id, released);
        }
        true
    }

    /// Makes an impression's label positive (`sign` 1), by a conversion of some time, or takes that back (−1).
    fn relabel(&mut self, id: ImpressionId, converted_at: Timestamp, sign: f64) {
        let Some(impression) = self.impressions.get_mut(id) else { return };
        let Some(in_force) = self.catalog.goal_in_force(impression.goal) else { return };
        // Counted as of the impression, so that numerator and denominator of a rate fade alike.
        let (shown, half_life) = (impression.shown_at.tick(), in_force.half_life);
        let goal = impression.goal;
        let state = &mut self.goals[goal.index()];
        if impression.is_ghost {
            let change = |watched: &mut Watched| watched.outcome.positives.add(sign, shown, half_life);
            state.statistics.watch(impression.arm, 0, change);
        }
        if impression.features.is_none() {
            return;
        }
        state.statistics.outcome.positives.add(sign, shown, half_life);
        let (share, lesson) = (impression.lesson.share.into(), &mut impression.lesson);
        let own = || state.calibrator.delay(impression.shown_at.0, converted_at.0);
        let delay = lesson.counted_delay.take().unwrap_or_else(own);
        lesson.counted_delay = Some(delay).filter(|_| sign > 0.0);
        state.calibrator.convert(impression.shown_at.0, delay, share, sign);
        if !lesson.waits {
            state.level.correct(sign);
        }
        if sign > 0.0 && !lesson.waits {
            // A second example: what the heads are mixed by is p ÷ (1 + p), hardly another order where p is small.
            let intercept = state.intercept.unwrap_or_default() + state.level.value();
            state.mixture.learn(intercept, &lesson.logits.map(f64::from), true, share);
        }
        for action in steps_of(impression.steps, &in_force.milestones) {
            state.statistics.step_mut(action).positives.add(sign, shown, half_life);
        }
        if impression.user.is_some() {
            let change = |labels: &mut Outcome| labels.positives.add(sign, shown, half_life);
            state.statistics.label(impression.memberships(), &impression.done, change);
        }
        if let Some(class) = impression.answered {
            let change = |watched: &mut Watched| watched.outcome.positives.add(sign, shown, half_life);
            state.statistics.watch(impression.arm, class, change);
        }
        let wide = AdvertiserStatistics::half_life();
        self.advertisers[state.advertiser.index()].outcome.positives.add(sign, shown, wide);
        self.everything.positives.add(sign, shown, wide);
        self.changed();
        self.look_again(id, 0.0);
        for _ in 0..LOOKS_MAX {
            let Some(other) = self.goals[goal.index()].latest.next() else { break };
            if self.look_again(other, LOOK_WORTH) == Looked::Little {
                break;
            }
        }
    }

    /// Learns what an impression's label asks for under the current weights, p − y, less what was learned of it
    /// before, head by head; where no head's step is as large as `worth`, it learns nothing.
    ///
    /// While the weights stay, this is −1 for a first conversion, +1 for its retraction, and 0 for any other. When many
    /// conversions come at once, the weights do not stay: p rises for impressions that did not convert too. Those then
    /// pull back, as they would have, had they come in between (the stochastic average gradient of Schmidt, Le Roux and
    /// Bach, 2017, keeps the last gradient of each example for the same purpose).
    fn look_again(&mut self, id: ImpressionId, worth: f64) -> Looked {
        let now = self.now.tick();
        let Some(impression) = self.impressions.get_mut(id) else { return Looked::Gone };
        let learned = impression.features.as_ref().filter(|_| !impression.lesson.waits);
        let Some(features) = learned else { return Looked::Gone };
        let state = &mut self.goals[impression.goal.index()];
        let label = if impression.standing > 0 { 1.0 } else { 0.0 };
        let (first, lesson) = (state.intercept.unwrap_or_default(), &mut impression.lesson);
        let lanes = state.learner.logits(features);
        let word = state.ladder.slope() * (lanes[LADDER] - state.ladder.centre(first));
        let intercept = first + state.level.value();
        let p = heads(&lanes, word).map(|logit| probability(intercept, logit));
        let steps: [f64; HEADS] = std::array::from_fn(|head| p[head] - label - f64::from(lesson.pulls[head]));
        if steps.iter().all(|step| step.abs() < worth) {
            return Looked::Little;
        }
        state.learner.learn(features, scaled(steps, lesson.share), now);
        lesson.pulls.iter_mut().zip(steps).for_each(|(pull, step)| *pull += step as f32);
        Looked::Learned
    }

    /// Gives the credit for a conversion to the joined impression that was touched last, to all that are joined, or to
    /// none.
    fn credit(&mut self, id: ConversionId) {
        let Some(conversion) = self.conversions.get(id) else { return };
        let Some(in_force) = self.catalog.goal_in_force(conversion.goal) else { return };
        let shares = match in_force.setting.credit {
            Credit::LastTouch => self.last_touch(conversion).into_iter().collect(),
            Credit::Even => self.even_shares(conversion),
        };
        let credit = if shares.is_empty() { CreditedTo::Organic } else { CreditedTo::Impressions };
        if credit == conversion.credit && shares == conversion.shares {
            return;
        }
        self.count_credit(id, -1.0);
        let conversion = self.conversions.get_mut(id).expect("looked up above");
        (conversion.credit, conversion.shares) = (credit, shares);
        self.count_credit(id, 1.0);
    }

    /// All credit to the kept impression that was touched last.
    fn last_touch(&self, conversion: &Conversion) -> Option<Share> {
        let touched = |id: &ImpressionId| {
            let impression = self.impressions.get(*id).filter(|impression| !impression.is_ghost)?;
            let clicked_at = impression.clicked_at.filter(|at| *at <= conversion.occurred_at);
            // Of two touched at the same moment, not the one that arrived later: that would be chance.
            Some((clicked_at.unwrap_or(impression.shown_at), impression.opportunity, *id))
        };
        let (.., last) = conversion.joined.iter().filter_map(touched).max()?;
        self.impressions.get(last).map(|impression| impression.share(last))
    }

    /// A part for each joined impression: for those let go since, too, if they had one.
    fn even_shares(&self, conversion: &Conversion) -> SmallVec<[Share; 1]> {
        let share = |id: &ImpressionId| {
            let known = conversion.shares.iter().find(|share| share.impression == *id);
            let kept = || self.impressions.get(*id).filter(|impression| !impression.is_ghost);
            known.cloned().or_else(|| kept().map(|impression| impression.share(*id)))
        };
        conversion.joined.iter().filter_map(share).collect()
    }

    /// Adds a conversion to what it is credited to, or takes it away.
    fn count_credit(&mut self, id: ConversionId, sign: f64) {
        let Some(conversion) = self.conversions.get(id) else { return };
        let Some(in_force) = self.catalog.goal_in_force(conversion.goal) else { return };
        let (tick, half_life) = (conversion.occurred_at.tick(), in_force.half_life);
        let statistics = &mut self.goals[conversion.goal.index()].statistics;
        match conversion.credit {
            CreditedTo::Nobody => {}
            CreditedTo::Organic => statistics.organic.add(sign, tick, half_life),
            CreditedTo::Impressions => {
                let part = sign / conversion.shares.len() as f64;
                let value = part * conversion.value as f64;
                for share in &conversion.shares {
                    statistics.each(share.memberships(), |cell| {
                        cell.conversions.add(part, tick, half_life);
                        cell.value.add(value, tick, half_life);
                    });
                }
            }
        }
    }

    /// Takes a conversion back: its credit, the labels that no other conversion holds, the user's own count.
    pub(super) fn take_back(&mut self, id: ConversionId) {
        let Some(conversion) = self.conversions.get(id).cloned() else { return };
        self.count_credit(id, -1.0);
        self.uncount_trial_conversion(id);
        self.correct_just_converted(id);
        for impression_id in &conversion.joined {
            let Some(impression) = self.impressions.get_mut(*impression_id) else { continue };
            impression.standing = impression.standing.saturating_sub(1);
            if impression.standing == 0 {
                self.relabel(*impression_id, conversion.occurred_at, -1.0);
            }
        }
        if let Some(root) = conversion.user {
            let key = ProfileKey::of(root, conversion.advertiser);
            self.profiles.update_existing(key, super::profile::Profile::retract);
        }
        self.conversions.remove(id);
        self.changed();
    }

    /// Notes the first click on an impression: its window may widen, and it may now be the last touch.
    pub(super) fn note_click(&mut self, id: ImpressionId, occurred_at: Timestamp) {
        let Some(impression) = self.impressions.get_mut(id) else { return };
        impression.clicked_at = Some(occurred_at.max(impression.shown_at));
        let impression = self.impressions.get(id).expect("changed just above");
        if let Some(in_force) = self.catalog.goal_in_force(impression.goal) {
            let statistics = &mut self.goals[impression.goal.index()].statistics;
            statistics.each(impression.memberships(), |cell| {
                cell.clicks.add(1.0, occurred_at.tick(), in_force.half_life);
            });
        }
        let touched = self.conversions.candidates(impression);
        self.join_impression(id);
        for conversion in touched {
            if self.conversions.get(conversion).is_some_and(|one| one.joined.contains(&id)) {
                self.credit(conversion);
            }
        }
    }

    /// Closes the label window of an impression, or lets go of it when that was done before.
    pub(super) fn impression_due(&mut self, id: ImpressionId) {
        let Some(impression) = self.impressions.get(id) else { return };
        if impression.is_closed {
            self.impressions.remove(id);
            return;
        }
        // Conversions may still come late, or, where some have, be retracted.
        let joined = self.conversions.candidates(impression).into_iter().filter_map(|id| self.conversions.get(id));
        let retractable = joined.filter(|one| one.joined.contains(&id)).map(|one| one.deadline).max();
        let late = impression.deadline + self.lateness();
        self.close(id);
        self.impressions.set_deadline(id, retractable.map_or(late, |deadline| deadline.max(late)));
    }

    /// Closes a label window. Now that the label is known, it shows how far to believe the ladder, and how right the
    /// whole is. What has waited for the label is learned.
    fn close(&mut self, id: ImpressionId) {
        self.climb(id);
        let Some(impression) = self.impressions.close(id) else { return };
        let label = impression.standing > 0;
        match label {
            _ if impression.is_ghost => {}
            true => self.tally.closed_positive += 1,
            false => self.tally.closed_negative += 1,
        }
        if impression.features.is_none() {
            return;
        }
        let (state, lesson) = (&mut self.goals[impression.goal.index()], &impression.lesson);
        let (first, share) = (state.intercept.unwrap_or_default(), lesson.share.into());
        state.ladder.learn(first, lesson.centred.into(), label, share);
        state.calibrator.close(lesson.logit.into(), label, share);
        if lesson.waits {
            let intercept = first + state.level.value();
            state.mixture.learn(intercept, &lesson.logits.map(f64::from), label, share);
            state.level.learn(lesson.logit.into(), label);
            self.impressions.get_mut(id).expect("closed just above").lesson.waits = false;
            self.look_again(id, 0.0);
        }
        self.changed();
    }

    /// Closes and drops impressions beyond the limits: those of the user shown first, those due first of all.
    pub(super) fn bound_impressions(&mut self, user: Option<UserKey>, goal: GoalCode) {
        if let Some(user) = user {
            self.bound_impressions_of(user, goal);
        }
        while self.impressions.len() > self.limits().live_impressions_max {
            let Some(id) = self.impressions.due(Timestamp(u64::MAX)) else { break };
            self.evict_impression(id);
        }
    }

    /// Closes and drops impressions of one user and goal beyond the limit, those shown first.
    pub(super) fn bound_impressions_of(&mut self, user: UserKey, goal: GoalCode) {
        let count = self.impressions.count_of_user(user, goal);
        let beyond = count.saturating_sub(self.limits().live_per_user_max);
        if beyond > 0 {
            let mut ids = self.impressions.of_user(user, goal);
            ids.sort_by_key(|id| self.impressions.get(*id).map(|impression| impression.shown_at));
            ids.iter().take(beyond).for_each(|id| self.evict_impression(*id));
        }
    }

    fn evict_impression(&mut self, id: ImpressionId) {
        self.close(id);
        self.impressions.remove(id);
        self.tally.impressions_evicted += 1;
    }
}

/// What a second look at an impression came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// It is not kept any more, or was never learned.
    Gone,
    /// The weights have hardly moved since it was learned.
    Little,
    /// It was learned again.
    Learned,
}

/// Gradients of the heads, times a share, for a learner; the ladder's lane stays.
fn scaled(gradients: [f64; HEADS], share: f32) -> PerLane {
    lanes(gradients.map(|gradient| gradient * f64::from(share)), 0.0)
}

impl Impression {
    /// Whether what was done with an item and category can have come of it: the item decides where both have one, else
    /// the category where both have one.
    pub fn agrees(&self, item: Option<ItemKey>, category: Option<ItemKey>) -> bool {
        match (item, self.item, category, self.category) {
            (Some(theirs), Some(ours), _, _) | (_, _, Some(theirs), Some(ours)) => theirs == ours,
            _ => true,
        }
    }

    /// Its part in the credit for a conversion.
    fn share(&self, id: ImpressionId) -> Share {
        Share { impression: id, segments: self.segments, externals: self.externals.clone() }
    }

    /// The audiences it counts for.
    pub fn memberships(&self) -> Memberships<'_> {
        Memberships { rules: self.segments, externals: &self.externals }
    }
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;

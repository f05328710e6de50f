//! What people do, and who they are: actions, links, forgetting.

use super::Engine;
use super::apply::Refused;
use super::conversions::Conversion;
use super::outcomes::Reached;
use super::paths::Noted;
use super::people::LINKED_MAX;
use super::profile::Act;
use super::profiles::ProfileKey;
use super::segments::RuleSegments;
use super::statistics::person;
use crate::event::Action;
use crate::hash;
use crate::ids::{AdvertiserCode, GoalCode, Id, UserKey};
use crate::rejection::Rejection;
use crate::stats::decay::HalfLife;
use crate::units::{Span, Tick, Timestamp};

/// The standard action that a click on an ad counts as.
const CLICK_ACTION: &str = "ad_click";

impl Engine {
    pub(super) fn act(
        &mut self,
        action: &Action,
        occurred_at: Timestamp,
        event_id: Option<&Id>,
    ) -> Result<(), Refused> {
        let advertiser = self.advertiser(&action.advertiser)?;
        let code = self.catalog.action(advertiser, action.action.as_str()).ok_or_else(|| Rejection::UnknownAction {
            advertiser: action.advertiser.clone(),
            action: action.action.clone(),
        })?;
        let in_force = self.catalog.action_in_force(advertiser, code).expect("found by name, so in force");
        self.check_time(occurred_at, self.retention().lateness)?;
        let act = Act {
            action: code,
            in_force,
            tick: occurred_at.tick(),
            item: action.item.as_ref().map(|item| hash::item_key(item.as_str())),
            category: action.category.as_ref().map(|category| hash::item_key(category.as_str())),
        };
        let root = self.people.root(action.user);
        let conversions = match in_force.converts {
            true => self.conversions_by_action(action, root, &act, occurred_at, event_id)?,
            false => Vec::new(),
        };
        if self.is_quarantined_act(advertiser, root, act.tick) {
            self.tally.actions_quarantined += 1;
            return Ok(());
        }
        conversions.into_iter().for_each(|conversion| self.note_conversion(conversion));
        self.tally.actions += 1;
        if in_force.position.is_some() {
            self.step(advertiser, root, &act, occurred_at);
        }
        self.note_act(advertiser, root, act);
        Ok(())
    }

    /// An action that some goals name as theirs is their conversion. Refused as a whole, or taken as a whole.
    fn conversions_by_action(
        &self,
        action: &Action,
        root: UserKey,
        act: &Act,
        occurred_at: Timestamp,
        event_id: Option<&Id>,
    ) -> Result<Vec<Conversion>, Refused> {
        let advertiser = self.advertiser(&action.advertiser)?;
        let goals = &self.catalog.in_force(advertiser).expect("the advertiser is in force").goals;
        let is_reached = |goal: &&GoalCode| {
            self.catalog.goal_in_force(**goal).is_some_and(|goal| goal.converting_action == Some(act.action))
        };
        let reached: Vec<GoalCode> = goals.iter().filter(is_reached).copied().collect();
        let mut conversions = Vec::with_capacity(reached.len());
        for goal in reached {
            conversions.push(self.check_conversion(Reached {
                advertiser,
                goal,
                user: Some(root),
                opportunity: None,
                occurred_at,
                item: act.item,
                category: act.category,
                value: action.value,
                conversion_id: event_id,
            })?);
        }
        Ok(conversions)
    }

    /// Counts a click on an ad as an action of the user.
    pub(super) fn note_click_act(&mut self, advertiser: AdvertiserCode, root: UserKey, tick: Tick) {
        if let Some(action) = self.catalog.action(advertiser, CLICK_ACTION) {
            let in_force = self.catalog.action_in_force(advertiser, action).expect("found by name, so in force");
            self.note_act(advertiser, root, Act { action, in_force, tick, item: None, category: None });
        }
    }

    fn note_act(&mut self, advertiser: AdvertiserCode, root: UserKey, act: Act) {
        let in_force = self.catalog.in_force(advertiser).expect("the advertiser is in force");
        let interests_max = self.catalog.settings().limits.interests_max;
        let (rules, begins_session, path) = self.profiles.update(ProfileKey::of(root, advertiser), |profile| {
            // Membership before the act: an audience is judged by what it does next, not by what made it.
            let rules = RuleSegments::of(in_force, profile, &[], act.tick);
            let begins_session = profile.act(act, interests_max);
            // A late act has lengthened no path.
            (rules, begins_session, (act.tick >= profile.last_acted).then_some(profile.path))
        });
        let statistics = &mut self.advertisers[advertiser.index()];
        statistics.act(act.action, begins_session, rules, act.tick, person(root));
        if act.in_force.position.is_some() && statistics.support_mut(act.action).note(root.0, in_force.support) {
            self.changed();
        }
        if let Some([first, second, third, ..]) = path {
            self.note_paths(advertiser, root, [third, second, first]);
        }
        self.bound_profiles();
    }

    /// Notes who has walked the last two and the last three actions.
    fn note_paths(&mut self, advertiser: AdvertiserCode, root: UserKey, [third, second, first]: [u8; 3]) {
        for (is_longer, path) in [(second != 0, [0, second, first]), (third != 0, [third, second, first])] {
            let noted = if is_longer { self.paths.note(advertiser, path, root) } else { Noted::Quietly };
            match noted {
                Noted::Quietly => {}
                Noted::Supported => self.changed(),
                Noted::Untracked => self.tally.paths_untracked += 1,
            }
        }
    }

    /// Gives up the longest unseen profiles beyond the limit.
    pub(super) fn bound_profiles(&mut self) {
        self.profiles.prepare_for(self.limits().profiles_max);
        while self.profiles.len() > self.limits().profiles_max {
            if !self.profiles.evict_before(Tick(u32::MAX)) {
                return;
            }
            self.tally.profiles_evicted += 1;
        }
    }

    pub(super) fn link(&mut self, [one, other]: [UserKey; 2], occurred_at: Timestamp) -> Result<(), Refused> {
        self.check_time(occurred_at, self.lateness())?;
        let (one, other) = (self.people.root(one), self.people.root(other));
        if one == other {
            return Err(Refused::Duplicate);
        }
        let limit = self.limits().linked_ids_max;
        if self.people.members(one).len() + self.people.members(other).len() > limit {
            return Err(Rejection::LinkFull { limit }.into());
        }
        if !self.people.has_room() {
            return Err(Rejection::Full { what: "linked ids", limit: LINKED_MAX }.into());
        }
        // Which of two ids becomes the person's decides the arm. Nothing that an ad does may move that, as it would if
        // it were the one that acted first: only who was shown an ad can have clicked it.
        let (root, other) = (one.min(other), one.max(other));
        for advertiser in 0..self.advertisers.len() {
            self.merge_profiles(AdvertiserCode(advertiser as u16), root, other);
            self.advertisers[advertiser].support.iter_mut().for_each(|support| support.rename(other.0, root.0));
        }
        for goal in 0..self.goals.len() {
            let code = GoalCode(goal as u16);
            self.merge_participants(code, root, other);
            self.impressions.move_user(other, root, code);
            self.conversions.move_user(other, root, code);
            self.goals[goal].statistics.support.rename(other.0, root.0);
            self.join_all(root, code);
            self.bound_impressions_of(root, code);
        }
        self.people.join(root, other);
        self.tally.links += 1;
        self.changed();
        Ok(())
    }

    fn merge_profiles(&mut self, advertiser: AdvertiserCode, root: UserKey, other: UserKey) {
        self.guards.merge(ProfileKey::of(other, advertiser), ProfileKey::of(root, advertiser));
        let Some(theirs) = self.profiles.remove(ProfileKey::of(other, advertiser)) else { return };
        let in_force = self.catalog.in_force(advertiser);
        let known = |action| in_force.and_then(|in_force| in_force.action(action));
        let half_life =
            |action| known(action).map_or(HalfLife::new(crate::action::HALF_LIFE_DEFAULT), |known| known.half_life);
        let occurrences = |action| known(action).map_or(0, |known| known.occurrences);
        let interests_max = self.catalog.settings().limits.interests_max;
        self.profiles.update(ProfileKey::of(root, advertiser), |ours| {
            ours.merge(theirs, half_life, occurrences, interests_max);
        });
    }

    /// Removes a person's profiles, waiting impressions, conversions and links. Counts, distinct ones
    /// too, and weights stay. Tokens sealed before count as those of nobody.
    pub(super) fn forget(&mut self, user: UserKey) {
        let root = self.people.root(user);
        for (code, statistics) in self.advertisers.iter_mut().enumerate() {
            let key = ProfileKey::of(root, AdvertiserCode(code as u16));
            self.profiles.remove(key);
            self.guards.forget(key);
            statistics.support.iter_mut().for_each(|support| support.forget(root.0));
        }
        for (goal, state) in self.goals.iter_mut().enumerate() {
            let code = GoalCode(goal as u16);
            for id in self.impressions.of_user(root, code) {
                self.impressions.remove(id);
            }
            for id in self.conversions.of_user(root, code) {
                self.conversions.remove(id);
            }
            state.statistics.support.forget(root.0);
        }
        self.forget_participant(root);
        for member in self.people.members(root) {
            self.forgotten.insert(member, self.now);
        }
        self.people.forget(root);
        self.tally.forgotten += 1;
    }

    /// How old an action, a click or a link may be.
    pub(super) fn lateness(&self) -> Span {
        self.retention().lateness
    }
}

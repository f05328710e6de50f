//! What is kept of impressions and conversions, for how long, and what of it is joined.

use inkling::settings::Credit;

use super::outcomes::{Reached, Shown, belongs};
use super::reference::Reference;

impl Reference {
    pub fn kept(&self) -> impl Iterator<Item = usize> {
        (0..self.impressions.len()).filter(|one| self.impressions[*one].is_kept)
    }

    pub fn kept_of(&self, opportunity: u64) -> Vec<usize> {
        self.kept().filter(|one| self.impressions[*one].opportunity == opportunity).collect()
    }

    pub fn kept_conversions(&self) -> impl Iterator<Item = usize> {
        (0..self.conversions.len()).filter(|one| self.conversions[*one].is_kept)
    }

    /// Joins an impression to all that is its own. Credit is settled where something has joined, and nowhere else.
    pub fn join_impression(&mut self, shown: usize) {
        for conversion in self.kept_conversions().collect::<Vec<_>>() {
            if self.join(shown, conversion) && !self.impressions[shown].is_ghost {
                self.settle_credit(conversion);
            }
        }
    }

    /// A click may have made an impression the last touch of what it has joined.
    pub fn touch(&mut self, shown: usize) {
        self.join_impression(shown);
        for conversion in self.kept_conversions().collect::<Vec<_>>() {
            if self.conversions[conversion].joined.contains(&shown) {
                self.settle_credit(conversion);
            }
        }
    }

    pub fn join_all(&mut self) {
        for shown in self.kept().collect::<Vec<_>>() {
            self.join_impression(shown);
        }
    }

    /// Joins the two if they belong together and are not joined yet.
    pub fn join(&mut self, shown: usize, conversion: usize) -> bool {
        let (one, other) = (&self.impressions[shown], &self.conversions[conversion]);
        let goal = self.goal(other.advertiser, &other.goal).unwrap();
        if other.joined.contains(&shown) || !belongs(goal, other, one) {
            return false;
        }
        let until = other.deadline;
        self.conversions[conversion].joined.insert(shown);
        let one = &mut self.impressions[shown];
        one.standing += 1;
        if one.is_closed {
            one.deadline = one.deadline.max(until);
        }
        if one.standing == 1 && !one.is_ghost {
            self.count("positives");
        }
        true
    }

    /// All credit to the impression that was touched last before the conversion, of those that are kept; of two
    /// touched at the same moment, to that of the larger key. Or equal credit to all, those let go since included.
    pub fn settle_credit(&mut self, conversion: usize) {
        let reached = &self.conversions[conversion];
        let touched = |shown: &Shown| {
            let click = shown.clicked_at.map(|(counts_from, _)| counts_from).filter(|at| *at <= reached.at);
            click.unwrap_or(shown.shown_at)
        };
        let is_credited = |one: &usize| self.impressions[*one].is_kept && !self.impressions[*one].is_ghost;
        let kept = reached.joined.iter().copied().filter(is_credited);
        let last = kept.max_by_key(|one| (touched(&self.impressions[*one]), self.impressions[*one].opportunity));
        let credit = match self.goal(reached.advertiser, &reached.goal).unwrap().credit {
            Credit::LastTouch => last.into_iter().collect(),
            Credit::Even => {
                let had_some = |one: &usize| is_credited(one) || reached.credit.contains(one);
                reached.joined.iter().copied().filter(had_some).collect()
            }
        };
        self.conversions[conversion].credit = credit;
    }

    pub fn tick_outcomes(&mut self, most: usize) {
        for _ in 0..most {
            let first = self.kept().min_by_key(|one| (self.impressions[*one].deadline, *one));
            let Some(due) = first.filter(|one| self.impressions[*one].deadline < self.now) else { break };
            if self.impressions[due].is_closed {
                self.impressions[due].is_kept = false;
                continue;
            }
            self.close(due);
            // It waits for what may come late, and as long as what it led to may be taken back.
            let holds = self.kept_conversions().map(|one| &self.conversions[one]);
            let retractable = holds.filter(|one| one.joined.contains(&due)).map(|one| one.deadline).max();
            let late = self.impressions[due].deadline + self.settings.retention.lateness.0;
            self.impressions[due].deadline = late.max(retractable.unwrap_or(0));
        }
        for _ in 0..most {
            let first = self.kept_conversions().min_by_key(|one| (self.conversions[*one].deadline, *one));
            let Some(due) = first.filter(|one| self.conversions[*one].deadline < self.now) else { break };
            self.conversions[due].is_kept = false;
        }
    }

    fn close(&mut self, shown: usize) {
        if !self.impressions[shown].is_closed {
            self.impressions[shown].is_closed = true;
            let Shown { standing, is_ghost, .. } = self.impressions[shown];
            match is_ghost {
                true => {}
                false => self.count(if standing > 0 { "closed_positive" } else { "closed_negative" }),
            }
        }
    }

    fn evict(&mut self, shown: usize) {
        self.close(shown);
        self.impressions[shown].is_kept = false;
        self.count("impressions_evicted");
    }

    /// Beyond the limits, of a person's those shown first give way, of all those due first.
    pub fn bound_impressions(&mut self, new: usize) {
        let Shown { advertiser, user, ref goal, .. } = self.impressions[new];
        if let Some(person) = user {
            self.bound_person_and_goal(person, advertiser, &goal.clone());
        }
        while self.kept().count() > self.settings.limits.live_impressions_max {
            let due = self.kept().min_by_key(|one| (self.impressions[*one].deadline, *one)).unwrap();
            self.evict(due);
        }
    }

    pub fn bound_person(&mut self, person: u64) {
        let goals: Vec<_> = self.goals().into_iter().map(|(of, goal)| (of, goal.id.clone())).collect();
        for (of, goal) in goals {
            self.bound_person_and_goal(person, of, &goal);
        }
    }

    fn bound_person_and_goal(&mut self, person: u64, of: usize, goal: &inkling::ids::Id) {
        let most = self.settings.limits.live_per_user_max;
        let is_theirs = |shown: &Shown| shown.user == Some(person) && shown.advertiser == of && shown.goal == *goal;
        let mut theirs: Vec<usize> = self.kept().filter(|one| is_theirs(&self.impressions[*one])).collect();
        theirs.sort_by_key(|one| (self.impressions[*one].shown_at, *one));
        let beyond = theirs.len().saturating_sub(most);
        theirs[..beyond].iter().for_each(|one| self.evict(*one));
    }

    /// What was one id's is another's, once they are the same person's.
    pub fn rename(&mut self, from: u64, to: u64) {
        let change = |user: &mut Option<u64>| {
            if *user == Some(from) {
                *user = Some(to);
            }
        };
        self.impressions.iter_mut().filter(|one| one.is_kept).for_each(|one| change(&mut one.user));
        self.conversions.iter_mut().filter(|one| one.is_kept).for_each(|one| change(&mut one.user));
    }

    pub fn drop_person(&mut self, person: u64) {
        let is_theirs = |user: Option<u64>| user == Some(person);
        let kept = |one: &&mut Shown| is_theirs(one.user);
        self.impressions.iter_mut().filter(kept).for_each(|one| one.is_kept = false);
        let kept = |one: &&mut Reached| is_theirs(one.user);
        self.conversions.iter_mut().filter(kept).for_each(|one| one.is_kept = false);
    }
}

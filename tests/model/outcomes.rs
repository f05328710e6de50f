//! Impressions, clicks, conversions and what belongs to what: the reference's second half.

use std::collections::BTreeSet;

use inkling::event::{Click, Conversion, Converter, Impression, Shown as Notice};
use inkling::exposure::{Arm, Exposure, FEATURE_SCHEMA};
use inkling::ids::{Id, SegmentCode, UserKey};
use inkling::settings::{Goal, RULE_SEGMENTS_MAX};
use inkling::units::{Money, Timestamp};

use super::history::{Act, Entry};
use super::reference::{Reference, item_key};
use super::spend::Spent;

/// An impression without a score teaches only if its notice is at most this old.
const FRESH_MS: u64 = 60_000;

/// One opportunity that was shown, for one goal.
#[derive(Debug, Clone)]
pub struct Shown {
    pub opportunity: u64,
    pub advertiser: usize,
    pub goal: Id,
    pub user: Option<u64>,
    pub shown_at: u64,
    /// When the click counts from, and when it was.
    pub clicked_at: Option<(u64, u64)>,
    pub item: Option<u32>,
    pub category: Option<u32>,
    pub segments: BTreeSet<Id>,
    /// The id under which the person was known when it was shown.
    pub shown_to: Option<u64>,
    /// Actions the person had done before, and not since.
    pub done: BTreeSet<Id>,
    pub cost: i64,
    /// Arm, probability and multiplier that were answered, where the score is known.
    pub answered: Option<(Arm, f32, f32)>,
    pub is_learned: bool,
    /// Conversions that joined it and stand, as long as it was kept.
    pub standing: usize,
    pub is_kept: bool,
    pub is_closed: bool,
    /// It was not shown, as the person was held out.
    pub is_ghost: bool,
    pub deadline: u64,
}

/// A goal that was reached.
#[derive(Debug, Clone)]
pub struct Reached {
    pub advertiser: usize,
    pub goal: Id,
    pub user: Option<u64>,
    pub opportunity: Option<u64>,
    pub at: u64,
    pub item: Option<u32>,
    pub category: Option<u32>,
    pub value: Option<i64>,
    pub conversion_id: Option<Id>,
    pub joined: BTreeSet<usize>,
    /// Impressions that share the credit: the one that was touched last, or all.
    pub credit: BTreeSet<usize>,
    pub is_kept: bool,
    pub is_retracted: bool,
    pub deadline: u64,
}

impl Reached {
    pub fn new(
        advertiser: usize,
        goal: Id,
        user: Option<u64>,
        at: u64,
        value: Option<i64>,
        (item, category): (Option<u32>, Option<u32>),
    ) -> Reached {
        Reached {
            advertiser,
            goal,
            user,
            opportunity: None,
            at,
            item,
            category,
            value,
            conversion_id: None,
            joined: BTreeSet::new(),
            credit: BTreeSet::new(),
            is_kept: true,
            is_retracted: false,
            deadline: 0,
        }
    }
}

/// Whether a conversion is one of an impression's.
pub fn belongs(goal: &Goal, reached: &Reached, shown: &Shown) -> bool {
    let is_clicked = shown.clicked_at.is_some_and(|(counts_from, _)| counts_from <= reached.at);
    let window = if is_clicked { goal.click_window.max(goal.view_window) } else { goal.view_window };
    let from = shown.shown_at + goal.conversion_delay_min.0.max(1);
    (from..=shown.shown_at + window.0).contains(&reached.at) && belongs_to(reached, shown)
}

/// The same, whenever they were.
pub fn belongs_to(reached: &Reached, shown: &Shown) -> bool {
    let same_goal = (shown.advertiser, &shown.goal) == (reached.advertiser, &reached.goal);
    if let Some(opportunity) = reached.opportunity {
        return same_goal && opportunity == shown.opportunity;
    }
    let agrees = if reached.item.is_some() && shown.item.is_some() {
        reached.item == shown.item
    } else if reached.category.is_some() && shown.category.is_some() {
        reached.category == shown.category
    } else {
        true
    };
    same_goal && agrees && reached.user.is_some() && reached.user == shown.user
}

/// Nothing is shown before it is scored, whatever a notice says.
fn shown_at(impression: &Impression, stated_at: u64) -> u64 {
    match &impression.of {
        Notice::Scored(exposure) => stated_at.max(exposure.scored_at.0),
        Notice::Named(_) => stated_at,
    }
}

impl Reference {
    pub fn objections_to_money(&self, of: usize, goal: &Id, money: Option<Money>) -> Option<&'static str> {
        let currency = self.goal(of, goal).unwrap().currency;
        money.and_then(|money| money.currency).filter(|given| *given != currency).map(|_| "wrong_currency")
    }

    pub fn objections_to_impression(&self, impression: &Impression, stated_at: u64) -> Vec<&'static str> {
        let at = shown_at(impression, stated_at);
        let (of, goals, opportunity) = match &impression.of {
            Notice::Scored(exposure) => {
                if exposure.schema != FEATURE_SCHEMA {
                    return vec!["token_version"];
                }
                let all = self.goals();
                let goals = exposure.goals.iter().filter_map(|score| all.get(score.goal.index()));
                let of = exposure.advertiser.index();
                let goals: Vec<Id> = goals.filter(|(whose, _)| *whose == of).map(|(_, goal)| goal.id.clone()).collect();
                (of, goals, exposure.opportunity.0)
            }
            Notice::Named(unscored) => match self.advertiser(&unscored.advertiser) {
                None => return vec!["unknown_advertiser"],
                Some(of) if unscored.goals.iter().any(|goal| self.goal(of, goal).is_none()) => {
                    return vec!["unknown_goal"];
                }
                Some(of) => (of, self.goals_named(of, &unscored.goals), unscored.opportunity.0),
            },
        };
        if goals.is_empty() {
            return vec!["not_found"];
        }
        let mut against = self.objections_to_time(at, self.settings.retention.token.0);
        against.extend(goals.iter().filter_map(|goal| self.objections_to_money(of, goal, impression.cost)));
        if !self.kept_of(opportunity).is_empty() {
            against.push("duplicate");
        }
        against
    }

    pub fn objections_to_conversion(&self, conversion: &Conversion, at: u64) -> Vec<&'static str> {
        let Some(of) = self.advertiser(&conversion.advertiser) else { return vec!["unknown_advertiser"] };
        let Some(goal) = self.goal(of, &conversion.goal) else { return vec!["unknown_goal"] };
        let mut against = self.objections_to_time(at, goal.window().0 + self.settings.retention.lateness.0);
        against.extend(self.objections_to_money(of, &conversion.goal, conversion.value));
        let id = conversion.conversion_id.as_ref();
        if id.is_some_and(|id| !self.kept_under(of, Some(&conversion.goal), id).is_empty()) {
            against.push("duplicate");
        }
        against
    }

    pub fn objections_to_ghost(&self, exposure: &Exposure, stated_at: u64) -> Vec<&'static str> {
        if exposure.arm != Arm::Holdout {
            return vec!["invalid"];
        }
        let of = Notice::Scored(Box::new(exposure.clone()));
        self.objections_to_impression(&Impression { of, cost: None, bid: None }, stated_at)
    }

    /// What would have been shown is one that nobody saw: it teaches nothing, and nobody remembers it.
    pub fn would_show(&mut self, exposure: &Exposure, stated_at: u64) {
        let of = Notice::Scored(Box::new(exposure.clone()));
        self.take_notice(&Impression { of, cost: None, bid: None }, stated_at, true);
    }

    pub fn show(&mut self, impression: &Impression, stated_at: u64) {
        self.take_notice(impression, stated_at, false);
    }

    fn take_notice(&mut self, impression: &Impression, stated_at: u64, is_ghost: bool) {
        let at = shown_at(impression, stated_at);
        let cost = impression.cost.map_or(0, |cost| cost.amount.0);
        let (mut shown, goals) = match &impression.of {
            Notice::Scored(exposure) => {
                let of = exposure.advertiser.index();
                // Who was forgotten since does not come back with an old token, and nothing is learned of it.
                let is_forgotten = exposure.user.is_some_and(|user| self.is_forgotten_since(user, exposure.scored_at));
                let external = |code: &SegmentCode| self.of(of).externals[code.index() - RULE_SEGMENTS_MAX].id.clone();
                let known = exposure.externals.iter().filter(|_| !is_forgotten);
                let externals: Vec<Id> = known.map(external).collect();
                let all = self.goals();
                let named =
                    |code: usize| all.get(code).filter(|(whose, _)| *whose == of).map(|(_, goal)| goal.id.clone());
                let goals: Vec<_> = exposure
                    .goals
                    .iter()
                    .filter_map(|score| {
                        named(score.goal.index()).map(|goal| (goal, Some((exposure.arm, score.p, score.multiplier))))
                    })
                    .collect();
                let user = exposure.user.filter(|_| !is_forgotten).map(|user| self.root(user));
                let keys = (exposure.item.map(|key| key.0), exposure.category.map(|key| key.0));
                let mut shown = self.shown(of, exposure.opportunity.0, user, at, keys, &externals);
                shown.is_learned = !is_forgotten;
                (shown, goals)
            }
            Notice::Named(unscored) => {
                let of = self.advertiser(&unscored.advertiser).unwrap();
                let user = self.root(unscored.user);
                let keys = (item_key(&unscored.item), item_key(&unscored.category));
                let mut shown = self.shown(of, unscored.opportunity.0, Some(user), at, keys, &[]);
                // Features made now must not know what came after.
                let unseen_since = self.history(of, user).last_seen < at / 1_000;
                shown.is_learned = self.now.saturating_sub(at) <= FRESH_MS && unseen_since;
                let goals = self.goals_named(of, &unscored.goals).into_iter();
                (shown, goals.map(|goal| (goal, None)).collect())
            }
        };
        if shown.user.is_some_and(|person| self.quarantined_until(shown.advertiser, person, at / 1_000).is_some()) {
            return self.count("impressions_quarantined");
        }
        if is_ghost {
            (shown.is_ghost, shown.is_learned, shown.shown_to) = (true, false, None);
        }
        self.count(if shown.is_ghost { "ghost_impressions" } else { "impressions" });
        if !shown.is_learned && !shown.is_ghost {
            self.count("impressions_unlearned");
        }
        let mut seen = BTreeSet::new();
        for (goal, answered) in goals {
            if seen.insert(goal.clone()) {
                let deadline = at + self.goal(shown.advertiser, &goal).unwrap().window().0;
                if let Some(person) = shown.user {
                    self.reach_person(shown.advertiser, &goal, person, at);
                }
                // Of 0, another goal led what was bid.
                let bid = answered.filter(|(.., multiplier)| *multiplier > 0.0);
                if let (Some((arm, ..)), Some(_), false) = (bid, shown.user, shown.is_ghost) {
                    let (advertiser, goal, minute) = (shown.advertiser, goal.clone(), self.minute);
                    self.spent.push(Spent { advertiser, goal, arm, cost, minute });
                }
                self.impressions.push(Shown { goal, answered, cost, deadline, ..shown.clone() });
                let new = self.impressions.len() - 1;
                self.join_impression(new);
                self.bound_impressions(new);
            }
        }
        if let Some(person) = shown.user.filter(|_| !shown.is_ghost) {
            self.remember(shown.advertiser, person, Entry::Shown(at / 1_000));
        }
    }

    /// Whether somebody who was scored at a moment was forgotten since.
    fn is_forgotten_since(&self, user: UserKey, scored_at: Timestamp) -> bool {
        self.forgotten.get(&user.0).is_some_and(|at| scored_at.0 <= *at)
    }

    /// The goals of a notice by name: all where it names none.
    fn goals_named(&self, of: usize, named: &[Id]) -> Vec<Id> {
        let all = self.of(of).goals.iter().map(|goal| goal.id.clone());
        if named.is_empty() { all.collect() } else { named.to_vec() }
    }

    fn shown(
        &self,
        advertiser: usize,
        opportunity: u64,
        user: Option<u64>,
        shown_at: u64,
        (item, category): (Option<u32>, Option<u32>),
        externals: &[Id],
    ) -> Shown {
        let member = |person| self.rule_segments(advertiser, person, externals, shown_at / 1_000);
        let mut segments = user.map(member).unwrap_or_default();
        segments.extend(externals.iter().cloned());
        let done = |person| self.done_before(advertiser, person, shown_at / 1_000);
        Shown {
            opportunity,
            advertiser,
            goal: Id::literal("to be said"),
            user,
            shown_at,
            clicked_at: None,
            item,
            category,
            segments,
            shown_to: user,
            done: user.map(done).unwrap_or_default(),
            cost: 0,
            answered: None,
            is_learned: true,
            standing: 0,
            is_kept: true,
            is_closed: false,
            is_ghost: false,
            deadline: 0,
        }
    }

    /// Actions of a person, all of whose occurrences lie before a time.
    fn done_before(&self, advertiser: usize, person: u64, tick: u64) -> BTreeSet<Id> {
        let history = self.history(advertiser, person);
        let life = history.life();
        let is_before = |act: &&&Act| life.times(&act.action)[0] < tick;
        life.acts.iter().filter(is_before).map(|act| act.action.clone()).collect()
    }

    /// Impressions that a click may mean, or why there are none.
    pub fn clicked(&self, click: &Click, at: u64) -> Result<Vec<usize>, &'static str> {
        let opportunity = match click {
            Click::Opportunity(opportunity) => opportunity.0,
            Click::User { user, advertiser } => {
                let of = self.advertiser(advertiser).ok_or("unknown_advertiser")?;
                let person = self.root(*user);
                let is_theirs = |shown: &Shown| shown.user == Some(person) && !shown.is_ghost;
                let of_person = self.kept().filter(|one| is_theirs(&self.impressions[*one]));
                let before = of_person.filter(|one| self.impressions[*one].shown_at <= at);
                let latest = before
                    .filter(|one| self.impressions[*one].advertiser == of)
                    .max_by_key(|one| (self.impressions[*one].shown_at, *one));
                self.impressions[latest.ok_or("not_found")?].opportunity
            }
        };
        let shown = self.kept_of(opportunity);
        let is_real = shown.first().is_some_and(|first| !self.impressions[*first].is_ghost);
        if is_real { Ok(shown) } else { Err("not_found") }
    }

    pub fn click(&mut self, click: &Click, at: u64) {
        let shown = self.clicked(click, at).unwrap();
        let Shown { advertiser, user, .. } = self.impressions[shown[0]];
        if user.is_some_and(|person| self.is_held(advertiser, person, at / 1_000)) {
            return self.count("clicks_quarantined");
        }
        for one in &shown {
            let counts_from = at.max(self.impressions[*one].shown_at);
            self.impressions[*one].clicked_at = Some((counts_from, at));
            self.touch(*one);
        }
        self.count("clicks");
        if let Some(person) = user {
            let act = Act { tick: at / 1_000, action: Id::literal("ad_click"), item: None, category: None };
            self.do_act(advertiser, person, act);
        }
    }

    pub fn convert(&mut self, conversion: &Conversion, at: u64) {
        let of = self.advertiser(&conversion.advertiser).unwrap();
        let (opportunity, user) = match conversion.by {
            Converter::User(user) => (None, Some(self.root(user))),
            Converter::Opportunity { opportunity, user } => {
                let shown_to = || self.kept_of(opportunity.0).iter().find_map(|one| self.impressions[*one].user);
                (Some(opportunity.0), user.map(|user| self.root(user)).or_else(shown_to))
            }
            Converter::Token { opportunity, user, scored_at } => {
                let shown_to = || self.kept_of(opportunity.0).iter().find_map(|one| self.impressions[*one].user);
                let user = user.filter(|user| !self.is_forgotten_since(*user, scored_at));
                (Some(opportunity.0), user.map(|user| self.root(user)).or_else(shown_to))
            }
        };
        if user.is_some_and(|person| self.is_held(of, person, at / 1_000)) {
            return self.count("conversions_quarantined");
        }
        let value = conversion.value.map(|money| money.amount.0);
        let keys = (item_key(&conversion.item), item_key(&conversion.category));
        let reached = Reached::new(of, conversion.goal.clone(), user, at, value, keys);
        self.reach(reached, opportunity, conversion.conversion_id.as_ref());
    }

    pub fn reach(&mut self, reached: Reached, opportunity: Option<u64>, conversion_id: Option<&Id>) {
        let goal = self.goal(reached.advertiser, &reached.goal).unwrap();
        let (default, enough) = (goal.value.0, goal.multiplier.support as usize);
        let suppresses = goal.suppress_after_conversion.is_some();
        let reached = Reached { opportunity, ..reached };
        if let Some(person) = self.came_too_soon(&reached) {
            self.count("conversions_quarantined");
            if person > 0 {
                self.hold(reached.advertiser, person, reached.at / 1_000);
            }
            return;
        }
        if let Some(person) = reached.user {
            self.remember(reached.advertiser, person, Entry::Converted(reached.at / 1_000));
            self.note_support(reached.advertiser, format!("goal {}", reached.goal), person, enough);
            let history = self.histories.get_mut(&(person, reached.advertiser)).filter(|_| suppresses);
            history.into_iter().for_each(|history| history.note_goal(&reached.goal, reached.at / 1_000));
        }
        let deadline = reached.at + self.settings.retention.retraction.0;
        let value = reached.value.or(Some(default));
        let conversion_id = conversion_id.cloned();
        self.conversions.push(Reached { opportunity, conversion_id, value, deadline, ..reached });
        let new = self.conversions.len() - 1;
        for shown in self.kept().collect::<Vec<_>>() {
            self.join(shown, new);
        }
        self.settle_credit(new);
        self.count_in_trial(new);
        self.count("conversions");
        let most = self.settings.limits.conversions_max;
        while self.kept_conversions().count() > most {
            let oldest = self.kept_conversions().min_by_key(|one| (self.conversions[*one].deadline, *one)).unwrap();
            self.conversions[oldest].is_kept = false;
            self.count("conversions_evicted");
        }
    }

    /// Kept conversions of an id, of one goal or of any.
    pub fn kept_under(&self, of: usize, goal: Option<&Id>, conversion_id: &Id) -> Vec<usize> {
        let is_meant = |one: &usize| {
            let kept = &self.conversions[*one];
            let named = kept.advertiser == of && kept.conversion_id.as_ref() == Some(conversion_id);
            named && goal.is_none_or(|goal| kept.goal == *goal)
        };
        self.kept_conversions().filter(is_meant).collect()
    }

    pub fn take_back(&mut self, conversion: usize) {
        let Reached { advertiser, user, joined, goal, .. } = self.conversions[conversion].clone();
        self.conversions[conversion].is_kept = false;
        self.conversions[conversion].is_retracted = true;
        self.take_out_of_trial(conversion);
        for shown in joined.into_iter().filter(|one| self.impressions[*one].is_kept).collect::<Vec<_>>() {
            self.impressions[shown].standing -= 1;
        }
        let is_another = |one: &Reached| (one.advertiser, &one.goal, one.user) == (advertiser, &goal, user);
        let others = self.kept_conversions().map(|one| &self.conversions[one]).filter(|one| is_another(one));
        let latest = others.map(|one| one.at / 1_000).max();
        if let Some(history) = user.and_then(|person| self.histories.get_mut(&(person, advertiser))) {
            match (latest, history.latest_by_goal.get_mut(&goal)) {
                (Some(tick), Some(known)) => *known = tick,
                _ => history.latest_by_goal.retain(|known, _| *known != goal),
            }
            history.push(Entry::Retracted);
        }
    }
}

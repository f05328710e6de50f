//! The slow and obvious engine: every event ever taken, in plain lists, and rules that read like the blueprint.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use inkling::engine::Applied;
use inkling::event::{Action, Click, Event, EventId, Record};
use inkling::hash;
use inkling::ids::{Id, UserKey};
use inkling::settings::{Advertiser, Goal, Settings};

use super::guards::Known;
use super::history::{Act, Entry, History, Life, position};
use super::outcomes::{Reached, Shown};
use super::spend::Spent;
use super::trial::Trial;

/// Distinct users are told apart up to this number.
const SUPPORT_MAX: usize = 1_000;

/// What somebody did, as audiences count it.
pub struct Deed {
    pub advertiser: usize,
    /// The id under which the person was known then.
    pub person: u64,
    pub tick: u64,
    pub action: Id,
    pub begins_session: bool,
    /// Rule segments the person was in before.
    pub segments: BTreeSet<Id>,
}

/// Who reached something.
#[derive(Default)]
pub struct Support {
    people: BTreeSet<u64>,
    forgotten: usize,
}

impl Support {
    fn note(&mut self, person: u64, enough: usize) {
        if self.users() < enough.min(SUPPORT_MAX) {
            self.people.insert(person);
        }
    }

    pub fn users(&self) -> usize {
        self.people.len() + self.forgotten
    }
}

#[derive(Default)]
pub struct Reference {
    pub settings: Settings,
    /// In milliseconds, as everything that ends in `at`.
    pub now: u64,
    /// Linked ids, by the one under which the person is known.
    pub groups: BTreeMap<u64, BTreeSet<u64>>,
    /// By the person's id and the advertiser's place in the settings.
    pub histories: BTreeMap<(u64, usize), History>,
    pub deeds: Vec<Deed>,
    pub impressions: Vec<Shown>,
    pub conversions: Vec<Reached>,
    /// By advertiser and the name of an action or, with a mark, of a goal.
    pub support: BTreeMap<(usize, String), Support>,
    /// What was spent since arms were dealt, where it can be told to whom and at which multiplier.
    pub spent: Vec<Spent>,
    /// When the sums of that faded last, in seconds.
    pub minute: u64,
    /// Until when somebody is in quarantine, in seconds.
    pub quarantine: BTreeMap<Known, u64>,
    /// When was last looked at who may leave, in seconds.
    pub looked: u64,
    /// Event ids by the advertiser that the event names, if it names one.
    recent: VecDeque<Name>,
    /// Ids that were forgotten, and when last.
    pub forgotten: BTreeMap<u64, u64>,
    /// Experiments by advertiser and goal.
    pub trials: BTreeMap<(usize, Id), Trial>,
    pub tally: BTreeMap<&'static str, u64>,
    /// Something was taken that lay ahead of the clock.
    pub saw_ahead: bool,
}

impl Reference {
    /// What may be said against a record; nothing where it must be taken.
    pub fn objections(&self, record: &Record) -> Vec<&'static str> {
        if name(record).is_some_and(|name| self.recent.contains(&name)) {
            return vec!["duplicate"];
        }
        let at = record.occurred_at.0;
        match &record.event {
            Event::Action(action) => self.objections_to_action(action, at, record.event_id.as_ref().map(EventId::id)),
            Event::Impression(impression) => self.objections_to_impression(impression, at),
            Event::Click(click) => self.objections_to_click(click, at),
            Event::Conversion(conversion) => self.objections_to_conversion(conversion, at),
            Event::Retraction(retraction) => match self.advertiser(&retraction.advertiser) {
                None => vec!["unknown_advertiser"],
                Some(of) => match self.kept_under(of, None, &retraction.conversion_id).is_empty() {
                    true => vec!["not_found"],
                    false => Vec::new(),
                },
            },
            Event::Link([one, other]) => {
                let mut against = self.objections_to_time(at, self.settings.retention.lateness.0);
                let (one, other) = (self.root(*one), self.root(*other));
                if one == other {
                    against.push("duplicate");
                } else if self.members(one).len() + self.members(other).len() > self.settings.limits.linked_ids_max {
                    against.push("link_full");
                }
                against
            }
            Event::GhostImpression(exposure) => self.objections_to_ghost(exposure, at),
            Event::Forget(_) | Event::Configured(_) | Event::Tick => Vec::new(),
        }
    }

    pub fn objections_to_time(&self, at: u64, lateness: u64) -> Vec<&'static str> {
        let mut against = Vec::new();
        if at + lateness < self.now {
            against.push("too_late");
        }
        if at > self.now + self.settings.retention.clock_skew.0 {
            against.push("in_the_future");
        }
        against
    }

    fn objections_to_action(&self, action: &Action, at: u64, event_id: Option<&Id>) -> Vec<&'static str> {
        let Some(of) = self.advertiser(&action.advertiser) else { return vec!["unknown_advertiser"] };
        if self.settings.advertisers[of].action(action.action.as_str()).is_none() {
            return vec!["unknown_action"];
        }
        let mut against = self.objections_to_time(at, self.settings.retention.lateness.0);
        for goal in self.reached_by(of, &action.action) {
            against.extend(self.objections_to_money(of, &goal, action.value));
            if event_id.is_some_and(|id| !self.kept_under(of, Some(&goal), id).is_empty()) {
                against.push("duplicate");
            }
        }
        against
    }

    fn objections_to_click(&self, click: &Click, at: u64) -> Vec<&'static str> {
        let mut against = self.objections_to_time(at, self.settings.retention.lateness.0);
        match self.clicked(click, at) {
            Err(objection) => against.push(objection),
            Ok(shown) if self.impressions[shown[0]].clicked_at.is_some() => against.push("duplicate"),
            Ok(_) => {}
        }
        against
    }

    /// Follows the engine: checks its answer, then takes what it took.
    pub fn apply(&mut self, record: &Record, answer: &Applied) {
        self.now = record.at.0;
        self.count("records");
        let against = self.objections(record);
        let answered = match answer {
            Applied::Done => None,
            Applied::Duplicate => Some("duplicate"),
            Applied::Rejected(rejection) => Some(rejection.label()),
        };
        match answered {
            Some(objection) => {
                assert!(against.contains(&objection), "{objection}, but {against:?}: {record:?}");
                self.count(if objection == "duplicate" { "duplicates" } else { "rejected" });
            }
            None => {
                assert!(against.is_empty(), "taken in spite of {against:?}: {record:?}");
                self.take(record);
                self.saw_ahead |= record.occurred_at > record.at;
                self.recent.extend(name(record));
                while record.event_id.is_some() && self.recent.len() > self.settings.limits.event_ids_max {
                    self.recent.pop_front();
                }
            }
        }
    }

    fn take(&mut self, record: &Record) {
        let at = record.occurred_at.0;
        match &record.event {
            Event::Action(action) => self.act(action, at, record.event_id.as_ref().map(EventId::id)),
            Event::Impression(impression) => self.show(impression, at),
            Event::GhostImpression(exposure) => self.would_show(exposure, at),
            Event::Click(click) => self.click(click, at),
            Event::Conversion(conversion) => self.convert(conversion, at),
            Event::Retraction(retraction) => {
                let of = self.advertiser(&retraction.advertiser).unwrap();
                for one in self.kept_under(of, None, &retraction.conversion_id) {
                    self.take_back(one);
                }
                self.count("retractions");
            }
            Event::Link([one, other]) => self.link(self.root(*one), self.root(*other)),
            Event::Forget(user) => self.forget(self.root(*user)),
            Event::Configured(settings) => {
                let before = std::mem::take(&mut self.spent);
                let arms = |settings: &Settings, of: usize| settings.arms.of(&settings.advertisers[of]);
                let is_dealt_as_before = |of| arms(settings, of) == arms(&self.settings, of);
                self.spent = before.into_iter().filter(|spent| is_dealt_as_before(spent.advertiser)).collect();
                self.settings = (**settings).clone();
                if self.minute == 0 {
                    self.minute = self.now / 1_000;
                }
                self.begin_trials();
            }
            Event::Tick => self.tick(),
        }
    }

    fn act(&mut self, action: &Action, at: u64, event_id: Option<&Id>) {
        let of = self.advertiser(&action.advertiser).unwrap();
        let person = self.root(action.user);
        if self.is_quarantined_act(of, person, at / 1_000) {
            return self.count("actions_quarantined");
        }
        for goal in self.reached_by(of, &action.action) {
            let value = action.value.map(|money| money.amount.0);
            let keys = (item_key(&action.item), item_key(&action.category));
            self.reach(Reached::new(of, goal, Some(person), at, value, keys), None, event_id);
        }
        self.count("actions");
        let (item, category) = (action.item.clone(), action.category.clone());
        self.do_act(of, person, Act { tick: at / 1_000, action: action.action.clone(), item, category });
    }

    /// An act as the person's history and the audiences take it.
    pub fn do_act(&mut self, of: usize, person: u64, act: Act) {
        let segments = self.rule_segments(of, person, &[], act.tick);
        let begins_session = self.history(of, person).life().begins_session(act.tick);
        let advertiser = &self.settings.advertisers[of];
        if position(advertiser, &act.action) > 0 {
            let enough = advertiser.goals.iter().map(|goal| goal.multiplier.support as usize).max().unwrap_or(0);
            self.note_support(of, act.action.to_string(), person, enough);
        }
        let (tick, action) = (act.tick, act.action.clone());
        self.deeds.push(Deed { advertiser: of, person, tick, action, begins_session, segments });
        self.remember(of, person, Entry::Act(act));
    }

    pub fn note_support(&mut self, of: usize, what: String, person: u64, enough: usize) {
        self.support.entry((of, what)).or_default().note(person, enough);
    }

    /// Adds to a history; the longest unseen beyond the limit give way.
    pub fn remember(&mut self, of: usize, person: u64, entry: Entry) {
        self.histories.entry((person, of)).or_default().push(entry);
        while self.histories.len() > self.settings.limits.profiles_max {
            let longest = self.longest_unseen().unwrap();
            self.histories.remove(&longest);
            self.count("profiles_evicted");
        }
    }

    /// Of those last seen at the same time, the one whose key's hash is smallest.
    fn longest_unseen(&self) -> Option<(u64, usize)> {
        let age = |(key, history): (&(u64, usize), &History)| (history.last_seen, hash::mix(key.0, key.1 as u64), *key);
        self.histories.iter().map(age).min().map(|(.., key)| key)
    }

    fn link(&mut self, one: u64, other: u64) {
        let (root, other) = (one.min(other), one.max(other));
        for of in 0..self.settings.advertisers.len() {
            if let Some(theirs) = self.histories.remove(&(other, of)) {
                self.histories.entry((root, of)).or_default().push(Entry::Linked(theirs));
            }
        }
        for support in self.support.values_mut() {
            if support.people.remove(&other) {
                support.people.insert(root);
            }
        }
        self.link_in_trials(root, other);
        self.rename(other, root);
        self.link_guards(other, root);
        let members = self.members(root).into_iter().chain(self.members(other)).collect();
        self.groups.remove(&other);
        self.groups.insert(root, members);
        self.join_all();
        self.bound_person(root);
        self.count("links");
    }

    fn forget(&mut self, person: u64) {
        self.histories.retain(|(known, _), _| *known != person);
        for support in self.support.values_mut() {
            support.forgotten += usize::from(support.people.remove(&person));
        }
        self.drop_person(person);
        self.forget_in_trials(person);
        self.forget_guards(person);
        let now = self.now;
        self.forgotten.extend(self.members(person).into_iter().map(|member| (member, now)));
        self.groups.remove(&person);
        self.count("forgotten");
    }

    /// Each of the three tables lets go of so many at most; the rest wait for the next tick.
    fn tick(&mut self) {
        let most = self.settings.limits.closings_per_tick;
        self.tick_outcomes(most);
        self.tick_spend();
        self.tick_guards();
        let accepted_since = self.now.saturating_sub(self.settings.retention.token.0);
        self.forgotten.retain(|_, forgotten_at| *forgotten_at >= accepted_since);
        let unseen_since = self.now.saturating_sub(self.settings.retention.profile.0) / 1_000;
        for _ in 0..most {
            let Some(longest) = self.longest_unseen() else { break };
            if self.histories[&longest].last_seen >= unseen_since {
                break;
            }
            self.histories.remove(&longest);
            self.count("profiles_expired");
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// The id under which a person is known: the group's smallest.
    pub fn root(&self, user: UserKey) -> u64 {
        let group = self.groups.iter().find(|(_, members)| members.contains(&user.0));
        group.map_or(user.0, |(root, _)| *root)
    }

    pub fn members(&self, root: u64) -> BTreeSet<u64> {
        self.groups.get(&root).cloned().unwrap_or_else(|| BTreeSet::from([root]))
    }

    pub fn advertiser(&self, name: &Id) -> Option<usize> {
        self.settings.advertisers.iter().position(|known| known.id == *name)
    }

    pub fn of(&self, advertiser: usize) -> &Advertiser {
        &self.settings.advertisers[advertiser]
    }

    pub fn goal(&self, advertiser: usize, name: &Id) -> Option<&Goal> {
        self.of(advertiser).goals.iter().find(|known| known.id == *name)
    }

    /// Goals by their codes: given in the order in which the first settings name them.
    pub fn goals(&self) -> Vec<(usize, &Goal)> {
        let all = self.settings.advertisers.iter().enumerate();
        all.flat_map(|(of, advertiser)| advertiser.goals.iter().map(move |goal| (of, goal))).collect()
    }

    fn reached_by(&self, of: usize, action: &Id) -> Vec<Id> {
        let goals = self.of(of).goals.iter().filter(|goal| goal.converting_action.as_ref() == Some(action));
        goals.map(|goal| goal.id.clone()).collect()
    }

    /// A copy of a history, empty where none is kept.
    pub fn history(&self, of: usize, person: u64) -> History {
        self.histories.get(&(person, of)).cloned().unwrap_or_default()
    }

    pub fn rule_segments(&self, of: usize, person: u64, externals: &[Id], tick: u64) -> BTreeSet<Id> {
        let history = self.history(of, person);
        self.segments_of(of, &history.life(), externals, tick)
    }

    pub fn segments_of(&self, of: usize, life: &Life<'_>, externals: &[Id], tick: u64) -> BTreeSet<Id> {
        let advertiser = self.of(of);
        let is_in = |rule| life.is_member(rule, advertiser, externals, tick);
        advertiser.segments.iter().filter(|one| is_in(&one.rule)).map(|one| one.id.clone()).collect()
    }
}

/// Advertiser, kind and id.
type Name = (Option<Id>, &'static str, Id);

/// By which an event is known when it comes again: two advertisers may number alike, and so may kinds of events.
fn name(record: &Record) -> Option<Name> {
    let (advertiser, kind) = match &record.event {
        Event::Action(action) => (Some(action.advertiser.clone()), "act"),
        Event::Conversion(conversion) => (Some(conversion.advertiser.clone()), "act"),
        Event::Retraction(retraction) => (Some(retraction.advertiser.clone()), "retraction"),
        Event::Impression(_) => (None, "impression"),
        Event::GhostImpression(_) => (None, "ghost"),
        Event::Click(_) => (None, "click"),
        Event::Link(_) => (None, "link"),
        _ => (None, "other"),
    };
    record.event_id.as_ref().map(|id| (advertiser, kind, id.id().clone()))
}

pub fn item_key(name: &Option<Id>) -> Option<u32> {
    name.as_ref().map(|name| hash::item_key(name.as_str()).0)
}

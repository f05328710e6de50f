//! What one person did with one advertiser, as the whole list; all else is worked out from it again and again.

use std::collections::BTreeMap;

use inkling::action::ActionKind;
use inkling::engine::profile::category_interest;
use inkling::hash;
use inkling::ids::Id;
use inkling::settings::{Advertiser, Rule};

/// A pause of more than so many seconds ends a session.
const SESSION_GAP: u64 = 1_800;

#[derive(Debug, Clone)]
pub struct Act {
    /// Whole seconds, as all times here.
    pub tick: u64,
    pub action: Id,
    pub item: Option<Id>,
    pub category: Option<Id>,
}

#[derive(Debug, Clone)]
pub enum Entry {
    Act(Act),
    Shown(u64),
    Converted(u64),
    /// A conversion was taken back.
    Retracted,
    /// All that another id of the same person did until they were linked.
    Linked(History),
}

/// In the order of arrival.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub entries: Vec<Entry>,
    /// Worked out whenever an entry is added.
    pub last_seen: u64,
    /// Latest conversion of each goal that suppresses.
    pub latest_by_goal: BTreeMap<Id, u64>,
}

/// What a history comes to.
#[derive(Debug, Default)]
pub struct Life<'a> {
    pub acts: Vec<&'a Act>,
    pub sessions: u64,
    pub session_actions: u64,
    /// Latest actions, the last first.
    pub path: Vec<&'a Id>,
    /// 0 for never, as with the others.
    pub last_acted: u64,
    /// Times of the acts since another id was linked, and of the latest act before that.
    since_link: Vec<u64>,
    before_link: u64,
    pub last_shown: u64,
    pub last_converted: u64,
    pub shown: u64,
    pub conversions: u64,
}

/// What is known of an item or a category.
#[derive(Debug, Default)]
pub struct Touched<'a> {
    pub acts: Vec<&'a Act>,
    pub last: u64,
}

impl History {
    pub fn push(&mut self, entry: Entry) {
        if let Entry::Linked(other) = &entry {
            other.latest_by_goal.iter().for_each(|(goal, tick)| self.note_goal(goal, *tick));
        }
        self.entries.push(entry);
        let life = self.life();
        self.last_seen = life.last_acted.max(life.last_shown).max(life.last_converted);
    }

    pub fn note_goal(&mut self, goal: &Id, tick: u64) {
        let latest = self.latest_by_goal.entry(goal.clone()).or_default();
        *latest = tick.max(*latest);
    }

    pub fn life(&self) -> Life<'_> {
        let mut life = Life::default();
        self.entries.iter().for_each(|entry| life.add(entry));
        life
    }
}

impl<'a> Life<'a> {
    /// Whether an act at this time would begin a session. A late one never does.
    pub fn begins_session(&self, tick: u64) -> bool {
        self.acts.is_empty() || tick > self.last_acted + SESSION_GAP
    }

    fn add(&mut self, entry: &'a Entry) {
        match entry {
            Entry::Act(act) => self.act(act),
            Entry::Shown(tick) => {
                self.shown += 1;
                self.last_shown = self.last_shown.max(*tick);
            }
            Entry::Converted(tick) => {
                self.conversions += 1;
                self.last_converted = self.last_converted.max(*tick);
            }
            Entry::Retracted => {
                self.conversions = self.conversions.saturating_sub(1);
                self.last_converted = if self.conversions == 0 { 0 } else { self.last_converted };
            }
            Entry::Linked(other) => self.link(other.life()),
        }
    }

    fn act(&mut self, act: &'a Act) {
        let is_late = !self.acts.is_empty() && act.tick < self.last_acted;
        if self.begins_session(act.tick) {
            self.sessions += 1;
            self.session_actions = 0;
        }
        if !is_late {
            self.session_actions += 1;
            self.path.insert(0, &act.action);
            self.path.truncate(8);
        }
        self.last_acted = self.last_acted.max(act.tick);
        self.since_link.push(act.tick);
        self.acts.push(act);
    }

    /// Acts in the minute of the latest beyond the first; all from before a link count as one.
    pub fn more_in_minute(&self) -> u64 {
        let is_latest = |tick: &&u64| **tick > 0 && **tick / 60 == self.last_acted / 60;
        let all = self.since_link.iter().filter(is_latest).count() + usize::from(is_latest(&&self.before_link));
        all.saturating_sub(1) as u64
    }

    /// Two lives add up; the path is that of the one who acted last, for a path knows no times.
    fn link(&mut self, other: Life<'a>) {
        if other.last_acted > self.last_acted {
            self.path = other.path;
            self.session_actions = other.session_actions;
        }
        self.acts.extend(other.acts);
        self.sessions += other.sessions;
        self.shown += other.shown;
        self.conversions += other.conversions;
        self.last_acted = self.last_acted.max(other.last_acted);
        self.since_link.clear();
        self.before_link = self.last_acted;
        self.last_shown = self.last_shown.max(other.last_shown);
        self.last_converted = self.last_converted.max(other.last_converted);
    }

    pub fn first_acted(&self) -> Option<u64> {
        self.acts.iter().map(|act| act.tick).min()
    }

    /// Times of an action, latest first.
    pub fn times(&self, action: &Id) -> Vec<u64> {
        let mut times: Vec<u64> = self.acts.iter().filter(|act| act.action == *action).map(|act| act.tick).collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        times
    }

    /// Items and categories by the key under which a profile keeps them.
    pub fn touched(&self) -> BTreeMap<u32, Touched<'a>> {
        let mut touched: BTreeMap<u32, Touched<'a>> = BTreeMap::new();
        for act in &self.acts {
            let item = act.item.as_ref().map(|item| hash::item_key(item.as_str()));
            let category = act.category.as_ref().map(|one| category_interest(hash::item_key(one.as_str())));
            for key in [item, category].into_iter().flatten() {
                let one = touched.entry(key.0).or_default();
                one.acts.push(act);
                one.last = one.last.max(act.tick);
            }
        }
        touched
    }

    /// Whether this is the life of a member, at a time. What is known to lie ahead of that time counts as just done.
    pub fn is_member(&self, rule: &Rule, of: &Advertiser, externals: &[Id], at: u64) -> bool {
        let holds = |rule: &Rule| self.is_member(rule, of, externals, at);
        match rule {
            Rule::All(parts) => parts.iter().all(holds),
            Rule::Any(parts) => parts.iter().any(holds),
            Rule::Not(part) => !holds(part),
            Rule::Count { action, window, at_least } => {
                let within = |act: &&&Act| act.action == *action && act.tick + window.whole_seconds() >= at;
                self.acts.iter().filter(within).count() >= usize::from(*at_least)
            }
            Rule::Recency { action, less_than } => self
                .acts
                .iter()
                .any(|act| act.action == *action && at.saturating_sub(act.tick) < less_than.whole_seconds()),
            Rule::Stage(action) => {
                let least = position(of, action);
                least > 0 && self.acts.iter().any(|act| position(of, &act.action) >= least)
            }
            Rule::Sessions(at_least) => self.sessions >= u64::from(*at_least),
            Rule::External(segment) => externals.contains(segment),
        }
    }
}

/// Place on the ladder, 0 beside it.
pub fn position(of: &Advertiser, action: &Id) -> u8 {
    match of.action(action.as_str()).map(|known| known.kind) {
        Some(ActionKind::Milestone { position }) => position,
        _ => 0,
    }
}

/// How often a rule needs to know an action at most.
pub fn counted(rule: &Rule, action: &Id) -> u8 {
    match rule {
        Rule::All(parts) | Rule::Any(parts) => parts.iter().map(|part| counted(part, action)).max().unwrap_or(0),
        Rule::Not(part) => counted(part, action),
        Rule::Count { action: named, at_least, .. } if named == action => *at_least,
        _ => 0,
    }
}

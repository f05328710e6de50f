//! From the journal to a journey log: what happened, in the open format that `replay` and the market read.
//!
//! What a journey log has no word for is left out and counted: clicks, retractions, links, ghost impressions, settings,
//! ticks, impressions without a user. So is what changed nothing when it came: events that were refused, or came again.
//! A scored impression becomes an opportunity and an impression for each of its goals, named by its key and the goal;
//! its context holds the features that it was scored on, opened, by their slots. Users are keys. The events of a person
//! who was forgotten are left out up to that moment, later ones too where they go by a token of before, as are those of
//! all ids linked to theirs.

use std::collections::{BTreeSet, HashMap};

use thiserror::Error;

use super::RecoveryError;
use super::recovery::check_clock;
use crate::engine::{Applied, Engine};
use crate::event::{Action, Conversion, Converter, Event, Impression, Record, Shown};
use crate::exposure::{Exposure, GoalScore};
use crate::hash::item_key;
use crate::ids::{Id, ItemKey, OpportunityKey, Seq, UserKey};
use crate::journal::{JournalError, Reader};
use crate::journey::{self, JourneyError, JourneyWriter, Line};
use crate::record::decode_frame;
use crate::settings::Settings;
use crate::units::Timestamp;

/// Names of items and categories that are remembered, to name those of impressions; later ones stay hashes.
const ITEMS_MAX: usize = 1_000_000;

/// What is to be exported.
#[derive(Debug, Clone)]
pub struct Selection {
    /// From this moment on.
    pub from: Timestamp,
    /// Before this moment.
    pub to: Timestamp,
    /// Of this advertiser alone.
    pub advertiser: Option<Id>,
}

/// What was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Lines.
    pub lines: u64,
    /// Records for which a journey log has no word.
    pub wordless: u64,
    /// Records of people who were forgotten later.
    pub forgotten: u64,
    /// Records that changed nothing when they came: refused, or known already.
    pub refused: u64,
}

/// Why a journal cannot be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] RecoveryError),
    /// The log cannot be written.
    #[error(transparent)]
    Journey(#[from] JourneyError),
    /// No settings in the journal know the advertiser.
    #[error("the journal knows no advertiser '{name}': it knows {}", if known.is_empty() { "none" } else { known })]
    Advertiser {
        /// Who was asked for.
        name: Id,
        /// Who is known, one after the other.
        known: String,
    },
}

/// Writes what is selected of a journal. `open` gives its frames, twice; `engine` has seen those before them, if any,
/// and is brought to the journal's end.
///
/// Lines stand at the time at which the service got to know of them, as the engine's clock has it.
///
/// # Errors
/// When the journal is damaged, knows nothing of the advertiser, or the log cannot be written.
pub fn export(
    engine: Engine,
    open: impl Fn() -> Result<Reader, JournalError>,
    writer: &mut JourneyWriter,
    selection: &Selection,
) -> Result<Exported, ExportError> {
    let mut forgetting = Forgetting::linked(engine.linked());
    let mut known: BTreeSet<Id> = names(engine.catalog().settings()).collect();
    let began = engine.now();
    each(&open, began, |number, record| {
        forgetting.see(number, &record);
        if let Event::Configured(settings) = &record.event {
            known.extend(names(settings));
        }
        Ok::<_, ExportError>(())
    })?;
    if let Some(name) = selection.advertiser.clone().filter(|name| !known.contains(name)) {
        let known = known.iter().map(Id::as_str).collect::<Vec<_>>().join(", ");
        return Err(ExportError::Advertiser { name, known });
    }
    let mut exporter = Exporter { engine, items: HashMap::new(), done: Exported::default() };
    each(&open, began, |number, record| {
        let applied = exporter.engine.apply(&record);
        exporter.remember(&record.event);
        if record.at < selection.from || record.at >= selection.to {
            return Ok(());
        }
        if applied != Applied::Done {
            exporter.done.refused += 1;
            return Ok(());
        }
        if user(&record.event).is_some_and(|(user, known_at)| forgetting.is_forgotten(user, number, known_at)) {
            exporter.done.forgotten += 1;
            return Ok(());
        }
        exporter.write(&record, selection, writer)
    })?;
    exporter.done.lines = writer.lines();
    Ok(exporter.done)
}

fn names(settings: &Settings) -> impl Iterator<Item = Id> {
    settings.advertisers.iter().map(|advertiser| advertiser.id.clone())
}

/// Visits all records with their numbers from 0. None may be from before `began`, or from before an earlier one.
fn each<E: From<RecoveryError>>(
    open: &impl Fn() -> Result<Reader, JournalError>,
    began: Timestamp,
    mut visit: impl FnMut(u64, Record) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |after| move |source| RecoveryError::Journal { after, source };
    let mut reader = open().map_err(failed(Seq(0)))?;
    let (mut after, mut number, mut before) = (Seq(0), 0, began);
    while let Some((at, frame)) = reader.next_frame().map_err(failed(after))? {
        let records = decode_frame(&frame).map_err(|source| RecoveryError::Frame { at, source })?;
        check_clock(before, at, &records)?;
        before = records.last().map_or(before, |last| last.at);
        for record in records {
            visit(number, record)?;
            number += 1;
        }
        after = at;
    }
    Ok(())
}

/// Who is forgotten, and as of which record.
#[derive(Default)]
struct Forgetting {
    /// The number of the latest record that forgets, and its time.
    until: HashMap<UserKey, (u64, Timestamp)>,
    /// Linked ids: the group of each, and the ids of each group.
    groups: HashMap<UserKey, u64>,
    members: HashMap<u64, Vec<UserKey>>,
}

impl Forgetting {
    /// Nobody yet, of people whose ids are linked in these groups.
    fn linked<'a>(linked: impl Iterator<Item = &'a [UserKey]>) -> Forgetting {
        let mut known = Forgetting::default();
        for members in linked {
            let Some(first) = members.first() else { continue };
            known.groups.extend(members.iter().map(|member| (*member, first.0)));
            known.members.insert(first.0, members.to_vec());
        }
        known
    }

    fn see(&mut self, number: u64, record: &Record) {
        match &record.event {
            Event::Link(pair) => {
                let [one, other] = pair.map(|user| self.group(user));
                if one != other {
                    let moved = self.members.remove(&other).unwrap_or_default();
                    moved.iter().for_each(|user| {
                        self.groups.insert(*user, one);
                    });
                    self.members.entry(one).or_default().extend(moved);
                }
            }
            Event::Forget(user) => {
                let group = self.group(*user);
                for member in self.members.remove(&group).unwrap_or_default() {
                    self.groups.remove(&member);
                    self.until.insert(member, (number, record.at));
                }
            }
            _ => {}
        }
    }

    fn group(&mut self, user: UserKey) -> u64 {
        let group = *self.groups.entry(user).or_insert(user.0);
        self.members.entry(group).or_insert_with(|| vec![user]);
        group
    }

    /// Whether a record is of somebody whom a later one forgets, or goes by what was known of them before.
    fn is_forgotten(&self, user: UserKey, number: u64, known_at: Option<Timestamp>) -> bool {
        let is_before = |(until, at): &(u64, Timestamp)| number < *until || known_at.is_some_and(|known| known <= *at);
        self.until.get(&user).is_some_and(is_before)
    }
}

/// Whom an event is of; and where a token says so, since when.
fn user(event: &Event) -> Option<(UserKey, Option<Timestamp>)> {
    match event {
        Event::Action(action) => Some((action.user, None)),
        Event::Impression(Impression { of: Shown::Scored(exposure), .. }) => {
            exposure.user.map(|user| (user, Some(exposure.scored_at)))
        }
        Event::Impression(Impression { of: Shown::Named(unscored), .. }) => Some((unscored.user, None)),
        Event::Conversion(conversion) => match conversion.by {
            Converter::User(user) => Some((user, None)),
            Converter::Opportunity { user, .. } => user.map(|user| (user, None)),
            Converter::Token { user, scored_at, .. } => user.map(|user| (user, Some(scored_at))),
        },
        _ => None,
    }
}

struct Exporter {
    engine: Engine,
    items: HashMap<ItemKey, Id>,
    done: Exported,
}

impl Exporter {
    /// Keeps the names of items, which impressions have as hashes only.
    fn remember(&mut self, event: &Event) {
        let names = match event {
            Event::Action(action) => [&action.item, &action.category],
            Event::Conversion(conversion) => [&conversion.item, &conversion.category],
            _ => return,
        };
        for name in names.into_iter().flatten() {
            if self.items.len() < ITEMS_MAX {
                self.items.entry(item_key(name.as_str())).or_insert_with(|| name.clone());
            }
        }
    }

    fn write(&mut self, record: &Record, selection: &Selection, writer: &mut JourneyWriter) -> Result<(), ExportError> {
        let lines = match &record.event {
            Event::Action(action) => vec![self.action(record.at, action)],
            Event::Impression(shown) => self.impression(record.at, shown),
            Event::Conversion(conversion) => self.conversion(record.at, conversion).into_iter().collect(),
            _ => Vec::new(),
        };
        if lines.is_empty() {
            self.done.wordless += 1;
        }
        let wanted = |advertiser: &Id| selection.advertiser.as_ref().is_none_or(|wanted| wanted == advertiser);
        for (advertiser, line) in lines {
            if wanted(&advertiser) {
                writer.write(&line)?;
            }
        }
        Ok(())
    }

    fn action(&self, time: Timestamp, action: &Action) -> (Id, Line) {
        let line = Line::Action(journey::Action {
            time,
            user: name_of(action.user),
            advertiser: action.advertiser.clone(),
            action: action.action.clone(),
            item: action.item.clone(),
            category: action.category.clone(),
            value: action.value.map(|value| value.amount),
        });
        (action.advertiser.clone(), line)
    }

    fn impression(&self, time: Timestamp, shown: &Impression) -> Vec<(Id, Line)> {
        let catalog = self.engine.catalog();
        let cost = shown.cost.map(|cost| cost.amount);
        let (blank, goals) = match &shown.of {
            Shown::Scored(exposure) => {
                let Some(blank) = self.scored(time, exposure) else { return Vec::new() };
                let named = |score: &GoalScore| Some((catalog.goal_name(score.goal)?.clone(), score.is_explored));
                (blank, exposure.goals.iter().filter_map(named).collect())
            }
            Shown::Named(named) => {
                let all = catalog.settings().advertisers.iter().filter(|one| one.id == named.advertiser);
                let goals: Vec<Id> = match named.goals.is_empty() {
                    true => all.flat_map(|one| &one.goals).map(|goal| goal.id.clone()).collect(),
                    false => named.goals.clone(),
                };
                let goals: Vec<(Id, bool)> = goals.into_iter().map(|goal| (goal, false)).collect();
                let (item, category) = (named.item.clone(), named.category.clone());
                (blank(time, named.opportunity, named.user, named.advertiser.clone(), item, category), goals)
            }
        };
        let (key, mut lines) = (blank.id.clone(), Vec::new());
        for (goal, is_explored) in goals {
            let Some(id) = of_goal(&key, &goal) else { continue };
            let line = journey::Opportunity { id: id.clone(), goal, ..blank.clone() };
            lines.push((line.advertiser.clone(), Line::Opportunity(line)));
            let shown = journey::Impression { time, id, cost, is_explored };
            lines.push((blank.advertiser.clone(), Line::Impression(shown)));
        }
        lines
    }

    /// The opportunity of an exposure, without its goal; `None` when nobody knows whose it was.
    fn scored(&self, time: Timestamp, exposure: &Exposure) -> Option<journey::Opportunity> {
        let catalog = self.engine.catalog();
        let advertiser = catalog.advertiser_name(exposure.advertiser)?.clone();
        let item = |key: Option<ItemKey>| key.and_then(|key| self.item(key));
        let (item, category) = (item(exposure.item), item(exposure.category));
        let context = exposure.features.iter().filter_map(|feature| {
            let name = Id::new(format!("slot_{:06x}", feature.slot())).ok()?;
            Some((name, Id::new(feature.value().to_string()).ok()?))
        });
        Some(journey::Opportunity {
            context: context.collect(),
            segments: exposure
                .externals
                .iter()
                .filter_map(|code| catalog.segment_name(exposure.advertiser, *code).cloned())
                .collect(),
            ..blank(time, exposure.opportunity, exposure.user?, advertiser, item, category)
        })
    }

    fn conversion(&self, time: Timestamp, conversion: &Conversion) -> Option<(Id, Line)> {
        let (user, id) = match conversion.by {
            Converter::User(user) => (user, None),
            Converter::Opportunity { opportunity, user } | Converter::Token { opportunity, user, .. } => {
                (user?, of_goal(&key(opportunity), &conversion.goal))
            }
        };
        let line = Line::Conversion(journey::Conversion {
            time,
            user: name_of(user),
            advertiser: conversion.advertiser.clone(),
            goal: conversion.goal.clone(),
            id,
            item: conversion.item.clone(),
            category: conversion.category.clone(),
            value: conversion.value.map(|value| value.amount),
        });
        Some((conversion.advertiser.clone(), line))
    }

    fn item(&self, key: ItemKey) -> Option<Id> {
        self.items.get(&key).cloned().or_else(|| Id::new(format!("#{:08x}", key.0)).ok())
    }
}

fn blank(
    time: Timestamp,
    opportunity: OpportunityKey,
    user: UserKey,
    advertiser: Id,
    item: Option<Id>,
    category: Option<Id>,
) -> journey::Opportunity {
    journey::Opportunity {
        time,
        id: key(opportunity),
        user: name_of(user),
        advertiser,
        goal: Id::literal("unknown"),
        campaign: None,
        item,
        category,
        context: Vec::new(),
        numbers: Vec::new(),
        segments: Vec::new(),
    }
}

fn key(opportunity: OpportunityKey) -> Id {
    Id::new(format!("{:016x}", opportunity.0)).expect("sixteen digits are an identifier")
}

/// One opportunity has one goal in a journey log. `None` when the name would be too long.
fn of_goal(opportunity: &Id, goal: &Id) -> Option<Id> {
    Id::new(format!("{opportunity}:{goal}")).ok()
}

fn name_of(user: UserKey) -> Id {
    Id::new(format!("{:016x}", user.0)).expect("sixteen digits are an identifier")
}

//! The state out of the entries of an image.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::bytes::{Fault, Read, Reader};
use super::catalog::{AdvertiserEntry, Catalog};
use super::centre::Centre;
use super::conversions::{Conversion, ConversionId};
use super::entries::{Entries, Entry, Kind, NoEntry};
use super::impressions::{Impression, ImpressionId, Impressions};
use super::latest::Latest;
use super::packed::Packed;
use super::profiles::{HOUR_S, ProfileKey, Profiles};
use super::shards::Shards;
use super::spend::SpendControl;
use super::statistics::{AdvertiserStatistics, GoalStatistics};
use super::trial::{Participant, Trial};
use super::{Engine, GoalState};
use crate::ids::{AdvertiserCode, GoalCode, UserKey};
use crate::learn::calibration::Calibrator;
use crate::learn::ftrl::{ImageFault, Learner, TABLE_BITS_MAX, TABLE_BITS_MIN};
use crate::learn::ladder::Ladder;
use crate::learn::level::Level;
use crate::learn::mixture::Mixture;
use crate::settings::{Learner as Parameters, Settings};
use crate::units::Tick;

/// Most numbers of a calibrator.
const CALIBRATOR_NUMBERS_MAX: usize = 1 << 16;

/// Why entries are no image of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// An entry says what no state comes to.
    #[error("{kind:?} {number} of the image, at its byte {offset}: {what}")]
    Entry {
        /// Part of the state.
        kind: Kind,
        /// Which entry of the kind.
        number: u64,
        /// Where in its bytes.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// Bytes are no entries.
    #[error(transparent)]
    NoEntry(#[from] NoEntry),
    /// An entry that every image has is not there.
    #[error("the image has no {kind:?} {number}")]
    Missing {
        /// Part of the state.
        kind: Kind,
        /// Which entry of the kind.
        number: u64,
    },
    /// The weights of a goal are none.
    #[error("the image's goal {goal}: {source}")]
    Weights {
        /// Its code.
        goal: usize,
        /// What is wrong.
        source: ImageFault,
    },
    /// The settings are not those of the image.
    #[error("the settings beside the image are not those that it was taken under")]
    Settings,
}

/// Takes entries of an image, from as many threads as wanted and in any order, and makes an engine of them.
#[derive(Debug, Default)]
pub struct Restoring {
    shards: Arc<Shards>,
    parts: Mutex<Parts>,
}

/// What waits until all entries are there.
#[derive(Debug, Default)]
struct Parts {
    /// Profiles by the hour they were last seen in.
    hours: BTreeMap<u32, Vec<ProfileKey>>,
    /// Boxed as they are kept: to sort them then moves little.
    impressions: Vec<(ImpressionId, Box<Impression>)>,
    conversions: Vec<(ConversionId, Conversion)>,
    others: Vec<(Kind, u64, Box<[u8]>)>,
}

impl Restoring {
    /// One that has taken nothing.
    pub fn new() -> Restoring {
        Restoring::default()
    }

    /// Takes the entries of one piece.
    ///
    /// # Errors
    /// The first entry that says what no state comes to, as far as it shows by itself.
    pub fn take(&self, piece: &[u8]) -> Result<(), RestoreError> {
        let mut parts = Parts::default();
        // A walk hands out neighbours one after the other.
        let mut neighbours = Vec::new();
        let place = |neighbours: &mut Vec<_>| {
            self.shards.place(neighbours).map_err(|key| wrong(Kind::Profile, key.number(), TWICE))
        };
        for entry in Entries::read(piece) {
            let entry = entry?;
            take(entry, &mut parts, &mut neighbours).map_err(|fault| wrong(entry.kind, entry.number, fault))?;
            if let [.., (before, _), (last, _)] = neighbours[..]
                && !Shards::are_neighbours(before, last)
            {
                let last = neighbours.pop();
                place(&mut neighbours)?;
                neighbours.extend(last);
            }
        }
        place(&mut neighbours)?;
        let mut all = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        for (hour, mut keys) in parts.hours {
            all.hours.entry(hour).or_default().append(&mut keys);
        }
        all.impressions.append(&mut parts.impressions);
        all.conversions.append(&mut parts.conversions);
        all.others.append(&mut parts.others);
        Ok(())
    }

    /// The engine that the entries are the image of, under the settings that were in force.
    ///
    /// # Errors
    /// When entries are missing, come twice, or do not fit each other or the settings.
    pub fn finish(self, settings: Settings) -> Result<Engine, RestoreError> {
        let mut parts = self.parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let hours = std::mem::take(&mut parts.hours).into_iter().collect();
        let mut engine = Engine::over(Profiles::restored(self.shards, hours));
        parts.others.sort_unstable();
        // People take part in several experiments under one number: their table tells.
        let is_twice = |pair: &&[(Kind, u64, Box<[u8]>)]| {
            (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1) && pair[0].0 != Kind::Participant
        };
        if let Some([(kind, number, _), ..]) = parts.others.windows(2).find(is_twice) {
            return Err(wrong(*kind, *number, TWICE));
        }
        let others = Others(&parts.others);
        engine.restore_clock(&others)?;
        engine.restore_names(&others, settings)?;
        engine.restore_goals(&others)?;
        engine.restore_people(&others)?;
        engine.restore_tables(&others, parts.impressions, parts.conversions)?;
        // Scorers see the state as of its last change.
        engine.is_unpublished = true;
        engine.publish();
        Ok(engine)
    }
}

/// Takes an entry: a profile to the others that are to be placed.
fn take(
    Entry { kind, number, bytes }: Entry<'_>,
    parts: &mut Parts,
    profiles: &mut Vec<(ProfileKey, Packed)>,
) -> Read<()> {
    match kind {
        Kind::Profile => {
            let (packed, last_seen) = Packed::from_bytes(bytes)?;
            let key = ProfileKey::from_number(number);
            profiles.push((key, packed));
            parts.hours.entry(last_seen.0 / HOUR_S).or_default().push(key);
        }
        Kind::Impression => parts.impressions.push((number, Box::new(Impression::read(Reader::new(bytes))?))),
        Kind::Conversion => parts.conversions.push((number, Conversion::read(Reader::new(bytes))?)),
        _ => parts.others.push((kind, number, bytes.into())),
    }
    Ok(())
}

/// Impressions or conversions that an engine counts in its life, as far as an image is believed: a million a second for
/// 140,000 years.
const NUMBERS_MAX: u64 = 1 << 62;

const TWICE: Fault = Fault { offset: 0, what: "it comes twice" };

fn wrong(kind: Kind, number: u64, fault: Fault) -> RestoreError {
    RestoreError::Entry { kind, number, offset: fault.offset, what: fault.what }
}

/// Entries in the order of kind and number.
struct Others<'a>(&'a [(Kind, u64, Box<[u8]>)]);

impl<'a> Others<'a> {
    fn of(&self, kind: Kind) -> &'a [(Kind, u64, Box<[u8]>)] {
        let from = self.0.partition_point(|entry| entry.0 < kind);
        let to = self.0.partition_point(|entry| entry.0 <= kind);
        &self.0[from..to]
    }

    /// Reads each entry of a kind, in the order of their numbers.
    fn each(&self, kind: Kind, mut read: impl FnMut(u64, Reader<'a>) -> Read<()>) -> Result<(), RestoreError> {
        let mut all = self.of(kind).iter();
        all.try_for_each(|(_, number, bytes)| {
            read(*number, Reader::new(bytes)).map_err(|fault| wrong(kind, *number, fault))
        })
    }

    /// Reads the entries of a kind that are numbered from 0 without gaps.
    fn list<T>(&self, kind: Kind, mut read: impl FnMut(Reader<'a>) -> Read<T>) -> Result<Vec<T>, RestoreError> {
        let mut list = Vec::new();
        for (_, number, bytes) in self.of(kind).iter().filter(|(_, number, _)| *number != u64::MAX) {
            if list.len() as u64 != *number {
                return Err(RestoreError::Missing { kind, number: list.len() as u64 });
            }
            list.push(read(Reader::new(bytes)).map_err(|fault| wrong(kind, *number, fault))?);
        }
        Ok(list)
    }

    /// The entry of a number.
    fn one<T>(
        &self,
        kind: Kind,
        number: u64,
        read: impl FnOnce(&mut Reader<'a>) -> Read<T>,
    ) -> Result<T, RestoreError> {
        let found = self.of(kind).iter().find(|entry| entry.1 == number);
        let (_, _, bytes) = found.ok_or(RestoreError::Missing { kind, number })?;
        let mut bytes = Reader::new(bytes);
        let value = read(&mut bytes).and_then(|value| bytes.end().map(|()| value));
        value.map_err(|fault| wrong(kind, number, fault))
    }
}

impl Engine {
    fn restore_clock(&mut self, others: &Others<'_>) -> Result<(), RestoreError> {
        (self.now, self.changed_at) = others.one(Kind::Clock, 0, |bytes| Ok((bytes.moment()?, bytes.tick()?)))?;
        let mut counts = self.tally.all_mut();
        others.each(Kind::Tally, |place, mut bytes| {
            let fault = bytes.fault("there is no such count");
            let place = usize::try_from(place).map_err(|_| fault)?;
            *counts.get_mut(place).ok_or(fault)?.1 = bytes.long()?;
            bytes.end()
        })
    }

    fn restore_names(&mut self, others: &Others<'_>, settings: Settings) -> Result<(), RestoreError> {
        let entries = others.list(Kind::Names, AdvertiserEntry::read)?;
        let goals = others.list(Kind::Goal, |mut bytes| bytes.short().map(AdvertiserCode))?;
        let catalog = Catalog::restored(entries, goals.into_iter(), settings);
        self.catalog = Arc::new(catalog.ok_or(RestoreError::Settings)?);
        Ok(())
    }

    fn restore_goals(&mut self, others: &Others<'_>) -> Result<(), RestoreError> {
        self.everything = others.one(Kind::Advertiser, u64::MAX, Reader::outcome)?;
        self.advertisers = others.list(Kind::Advertiser, AdvertiserStatistics::read)?;
        if self.advertisers.len() != self.catalog.advertisers().len() {
            let number = self.advertisers.len() as u64;
            return Err(RestoreError::Missing { kind: Kind::Advertiser, number });
        }
        let parameters = self.catalog.settings().learner;
        let mut weights = others.of(Kind::Weights);
        let goals = others.list(Kind::Goal, Ok)?;
        for (code, bytes) in goals.into_iter().enumerate() {
            let (own, rest) = weights.split_at(weights.partition_point(|entry| entry.1 >> 32 <= code as u64));
            weights = rest;
            self.goals.push(read_goal(code, bytes, &parameters, own)?);
        }
        let stray = |(kind, number, _): &(Kind, u64, _)| wrong(*kind, *number, fault("there is no such goal"));
        weights.first().map_or(Ok(()), |entry| Err(stray(entry)))
    }

    fn restore_people(&mut self, others: &Others<'_>) -> Result<(), RestoreError> {
        others.each(Kind::Group, |number, bytes| self.people.restore(UserKey(number), bytes))?;
        others.each(Kind::Path, |number, bytes| self.paths.restore(number, bytes))?;
        others.list(Kind::RecentEvents, |bytes| self.recent.restore(bytes))?;
        others.list(Kind::Forgotten, |bytes| self.forgotten.restore(bytes))?;
        others.each(Kind::Forgotten, |number, bytes| self.forgotten.restore_short(number, bytes))?;
        others
            .each(Kind::Quarantine, |number, bytes| self.guards.restore_held(ProfileKey::from_number(number), bytes))?;
        let goals = self.goals.len();
        let goal = |number: u64| {
            let code = usize::try_from(number).ok().filter(|code| *code < goals);
            code.map(|code| GoalCode(code as u16)).ok_or(fault("there is no such goal"))
        };
        others.each(Kind::Bids, |number, bytes| self.goals[goal(number)?.index()].spend.read_bids(bytes))?;
        others.each(Kind::Trial, |number, bytes| {
            let code = goal(number)?;
            let shares = self.trial_shares(code).ok_or(fault("nobody is held out from this goal"))?;
            let trial = Trial::read(code, shares, bytes)?;
            self.goals[code.index()].trial = Some(Box::new(trial));
            Ok(())
        })?;
        for code in 0..self.goals.len() {
            if self.goals[code].trial.is_none() && self.trial_shares(GoalCode(code as u16)).is_some() {
                return Err(RestoreError::Missing { kind: Kind::Trial, number: code as u64 });
            }
        }
        others.each(Kind::Participant, |root, bytes| {
            let person = Participant::read(bytes)?;
            let goal = self.goals.get_mut(person.goal().index()).and_then(|goal| goal.trial.as_mut());
            let people = &mut goal.ok_or(fault("it is in no experiment"))?.people;
            people.insert(root, person).map_or(Ok(()), |_| Err(TWICE))
        })
    }

    fn restore_tables(
        &mut self,
        others: &Others<'_>,
        impressions: Vec<(ImpressionId, Box<Impression>)>,
        conversions: Vec<(ConversionId, Conversion)>,
    ) -> Result<(), RestoreError> {
        let next = |bytes: &mut Reader<'_>| Ok((bytes.long()?, bytes.long()?, bytes.tick()?));
        let (next_impression, next_conversion, looked): (_, _, Tick) = others.one(Kind::Next, 0, next)?;
        self.guards.restore_looked(looked);
        if next_impression.max(next_conversion) > NUMBERS_MAX {
            return Err(wrong(Kind::Next, 0, fault("so many numbers were never given")));
        }
        let (goals, advertisers) = (self.goals.len(), self.advertisers.len());
        for (id, impression) in &impressions {
            if *id >= next_impression || impression.goal.index() >= goals {
                return Err(wrong(Kind::Impression, *id, fault("its goal or its own number was not given yet")));
            }
        }
        for (id, conversion) in &conversions {
            let is_known = conversion.goal.index() < goals && conversion.advertiser.index() < advertisers;
            if *id >= next_conversion || !is_known {
                return Err(wrong(Kind::Conversion, *id, fault("its goal or its own number was not given yet")));
            }
        }
        let counts = (impressions.len(), conversions.len());
        self.impressions = Impressions::restored(impressions, next_impression);
        self.conversions.restore(conversions, next_conversion);
        match (self.impressions.len(), self.conversions.len()) == counts {
            true => Ok(()),
            false => Err(wrong(Kind::Next, 0, fault("an impression or a conversion comes twice"))),
        }
    }
}

fn fault(what: &'static str) -> Fault {
    Fault { offset: 0, what }
}

fn read_goal(
    code: usize,
    bytes: Reader<'_>,
    parameters: &Parameters,
    weights: &[(Kind, u64, Box<[u8]>)],
) -> Result<GoalState, RestoreError> {
    let pieces = weights.iter().map(|(_, number, bytes)| (*number as u32, &bytes[..]));
    let learner = |bits: u8, collisions| {
        Learner::from_image(&Parameters { table_bits: bits, ..*parameters }, collisions, pieces)
            .map_err(|source| RestoreError::Weights { goal: code, source })
    };
    let read = |mut bytes: Reader<'_>| {
        let bytes = &mut bytes;
        let advertiser = AdvertiserCode(bytes.short()?);
        let fault = bytes.fault("no table has so many weights");
        let (bits, collisions) = (bytes.byte()?, bytes.long()?);
        if !(TABLE_BITS_MIN..=TABLE_BITS_MAX).contains(&bits) {
            return Err(fault);
        }
        let learner = match learner(bits, collisions) {
            Ok(learner) => learner,
            Err(error) => return Ok(Err(error)),
        };
        let unsound = |bytes: &Reader<'_>| bytes.fault("no learner comes to these numbers");
        let state = GoalState {
            advertiser,
            learner,
            statistics: GoalStatistics::read(bytes)?,
            intercept: bytes.option(Reader::number)?,
            level: Level::from_numbers(bytes.numbers()?).ok_or(unsound(bytes))?,
            centre: Centre::read(bytes)?,
            mixture: Mixture::from_weights(bytes.numbers()?).ok_or(unsound(bytes))?,
            ladder: Ladder::from_numbers(bytes.numbers()?).ok_or(unsound(bytes))?,
            calibrator: {
                let numbers = bytes.list(CALIBRATOR_NUMBERS_MAX, Reader::number)?;
                Calibrator::from_numbers(&numbers).ok_or(unsound(bytes))?
            },
            spend: SpendControl::read(bytes)?,
            latest: Latest::read(bytes)?,
            trial: None,
        };
        bytes.end().map(|()| Ok(state))
    };
    read(bytes).map_err(|fault| wrong(Kind::Goal, code as u64, fault))?
}

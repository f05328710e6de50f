//! The state in canonical bytes, and their digest.
//!
//! Each part of the state is a set of entries: a kind, a number, and little-endian bytes. The digest is the sum of the
//! entries' hashes (the first 16 bytes of BLAKE3), so that the order in which a hash map hands them out is of no
//! account. What can be derived from other entries (indexes, queues of what to give up) has none. The same entries make
//! the state again: see [`Restoring`](super::Restoring).
//!
//! An image can be taken while records go on being applied, and says what was when it began: the short parts are copied
//! at once, the long ones (profiles, impressions, conversions, weights, groups, people of experiments, event ids, the
//! forgotten) bit by bit, by [`Engine::image_slice`] between records and by a [`ProfileWalk`] beside them. What changes
//! before its turn is put aside first.

use std::fmt;

use super::bytes::Bytes;
use super::entries::{Entries, Entry, Kind};
use super::shards::ProfileWalk;
use super::table::{Key, Row, Table};
use super::{Engine, GoalState};
use crate::settings::Settings;

/// Hash of the whole state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The sum of entries' hashes, which becomes a [`Digest`].
#[derive(Debug, Clone, Copy, Default)]
pub struct DigestSum(u128);

impl DigestSum {
    /// Adds an entry.
    pub fn add(&mut self, entry: Entry<'_>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[entry.kind as u8]).update(&entry.number.to_le_bytes()).update(entry.bytes);
        let hash: [u8; 16] = hasher.finalize().as_bytes()[..16].try_into().expect("16 of 32 bytes");
        self.0 = self.0.wrapping_add(u128::from_le_bytes(hash));
    }

    /// Adds the settings in force, which are no entry.
    pub fn add_settings(&mut self, settings: &Settings) {
        // Their Debug form holds every field, and every number in its shortest exact form.
        self.add(Entry { kind: Kind::Settings, number: 0, bytes: format!("{settings:?}").as_bytes() });
    }

    /// The digest of all that was added.
    pub fn digest(self) -> Digest {
        Digest(self.0)
    }
}

/// An image that is being taken.
#[derive(Debug, Default)]
pub(super) struct Imaging {
    /// What was put aside of tables that are gone since.
    aside: Entries,
}

impl Engine {
    /// Hash of the whole state: equal for equal journals, on every machine, whatever reads beside them.
    ///
    /// Reads every entry: seconds for millions of profiles.
    pub fn digest(&self) -> Digest {
        let mut sum = DigestSum::default();
        sum.add_settings(self.catalog.settings());
        self.image(&mut |entry| sum.add(entry));
        sum.digest()
    }

    /// Visits all entries of the state as it is now, in no order. The settings are none of them.
    pub fn image(&self, visit: &mut dyn FnMut(Entry<'_>)) {
        let mut lists = Entries::default();
        self.image_lists(&mut lists);
        Entries::read(lists.as_bytes()).map(|entry| entry.expect("written just above")).for_each(&mut *visit);
        let mut table = |kind, number, bytes: &[u8]| visit(Entry { kind, number, bytes });
        self.recent.image(&mut table);
        self.forgotten.image(&mut table);
        self.people.groups.image(&mut table);
        self.impressions.kept.image(&mut table);
        self.conversions.kept.image(&mut table);
        for (code, goal) in self.goals.iter().enumerate() {
            goal.trial.iter().for_each(|trial| trial.people.image(&mut table));
            goal.learner.image(&mut |piece, bytes| table(Kind::Weights, weights_number(code, piece), bytes));
        }
        self.profiles.image(&mut table);
    }

    /// Begins an image of the state as it is now, and appends its short parts. `None`, and nothing appended, while
    /// another [`ProfileWalk`] is not at its end.
    ///
    /// Takes as long as the short parts are: about a millisecond for each megabyte. Counts of distinct users have up to
    /// 4 KiB each.
    pub fn begin_image(&mut self, into: &mut Entries) -> Option<ProfileWalk> {
        let walk = self.profiles.walk()?;
        self.image_lists(into);
        self.recent.begin_walk();
        self.forgotten.begin_walk();
        self.people.groups.begin_walk();
        self.impressions.kept.begin_walk();
        self.conversions.kept.begin_walk();
        for goal in &mut self.goals {
            goal.trial.iter_mut().for_each(|trial| trial.people.begin_walk());
            goal.learner.begin_walk();
        }
        self.imaging = Some(Imaging::default());
        Some(walk)
    }

    /// Appends about `most` bytes more of the image that was begun; true when all is, but for what the [`ProfileWalk`]
    /// hands out. A slice of 128 KiB takes about a tenth of a millisecond.
    pub fn image_slice(&mut self, most: usize, into: &mut Entries) -> bool {
        let Some(imaging) = &mut self.imaging else { return true };
        into.append(&mut imaging.aside);
        let enough = into.len().saturating_add(most);
        let room = |into: &Entries| enough - into.len().min(enough);
        // Weights first: of nothing else so much has to be put aside for one example.
        let is_done = self.goals.iter_mut().enumerate().all(|(code, goal)| goal.image_slice(code, enough, into))
            && self.recent.walk(room(into), into)
            && self.forgotten.walk(room(into), into)
            && self.people.groups.walk(room(into), into)
            && self.impressions.kept.walk(room(into), into)
            && self.conversions.kept.walk(room(into), into);
        if is_done {
            self.imaging = None;
        }
        is_done
    }

    /// Gives up the image that was begun.
    pub fn stop_image(&mut self) {
        self.recent.stop_walk();
        self.forgotten.stop_walk();
        self.people.groups.stop_walk();
        self.impressions.kept.stop_walk();
        self.conversions.kept.stop_walk();
        for goal in &mut self.goals {
            goal.trial.iter_mut().for_each(|trial| trial.people.stop_walk());
            goal.learner.stop_walk();
        }
        self.imaging = None;
    }

    /// To be called before a table is dropped.
    pub(super) fn keep_table<K: Key, V: Row>(&mut self, table: &mut Table<K, V>) {
        if let Some(imaging) = &mut self.imaging {
            table.walk(usize::MAX, &mut imaging.aside);
        }
    }

    /// Appends the parts that are copied at once.
    fn image_lists(&self, into: &mut Entries) {
        into.push(Kind::Clock, 0, |bytes| {
            bytes.long(self.now.0);
            bytes.word(self.changed_at.0);
        });
        into.push(Kind::Next, 0, |bytes| {
            bytes.long(self.impressions.next());
            bytes.long(self.conversions.next());
            bytes.word(self.guards.looked().0);
        });
        for (code, entry) in self.catalog.advertisers().iter().enumerate() {
            into.push(Kind::Names, code as u64, |bytes| entry.write(bytes));
        }
        let mut copy = |kind, number, copied: &[u8]| into.push(kind, number, |bytes| bytes.extend_from_slice(copied));
        self.paths.image(&mut |number, bytes| copy(Kind::Path, number, bytes));
        self.forgotten.image_short(&mut copy);
        self.guards.image(&mut copy);
        into.push(Kind::Advertiser, u64::MAX, |bytes| bytes.outcome(&self.everything));
        for (code, statistics) in self.advertisers.iter().enumerate() {
            into.push(Kind::Advertiser, code as u64, |bytes| statistics.write(bytes));
        }
        for (code, goal) in self.goals.iter().enumerate() {
            into.push(Kind::Goal, code as u64, |bytes| goal.write(bytes));
            if goal.spend.has_bids() {
                into.push(Kind::Bids, code as u64, |bytes| goal.spend.write_bids(bytes));
            }
            if let Some(trial) = &goal.trial {
                into.push(Kind::Trial, code as u64, |bytes| trial.write(bytes));
            }
        }
        for (place, (_, count)) in self.tally.entries().into_iter().enumerate() {
            into.push(Kind::Tally, place as u64, |bytes| bytes.long(count));
        }
    }
}

/// The number of a piece of a goal's weights.
fn weights_number(goal: usize, piece: u32) -> u64 {
    (goal as u64) << 32 | u64::from(piece)
}

impl GoalState {
    /// Appends canonical bytes of all but the weights and the people of its experiment.
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.short(self.advertiser.0);
        bytes.byte(self.learner.table_bits());
        bytes.long(self.learner.collisions());
        self.statistics.write(bytes);
        bytes.option(self.intercept, Bytes::number);
        self.level.numbers().into_iter().for_each(|number| bytes.number(number));
        self.centre.write(bytes);
        self.mixture.weights().iter().for_each(|weight| bytes.number(*weight));
        self.ladder.numbers().into_iter().for_each(|number| bytes.number(number));
        let mut numbers = Vec::new();
        self.calibrator.numbers(&mut |number| numbers.push(number));
        bytes.list(&numbers, |bytes, number| bytes.number(*number));
        self.spend.write(bytes);
        self.latest.write(bytes);
    }

    fn image_slice(&mut self, code: usize, enough: usize, into: &mut Entries) -> bool {
        let room = |into: &Entries| enough - into.len().min(enough);
        let mut is_done = self.trial.as_mut().is_none_or(|trial| trial.people.walk(room(into), into));
        if is_done {
            let pieces = room(into) / WEIGHTS_BYTES + usize::from(room(into) > 0);
            is_done = self.learner.walk(pieces, &mut |piece, bytes| {
                into.push(Kind::Weights, weights_number(code, piece), |into| into.extend_from_slice(bytes));
            });
        }
        is_done
    }
}

/// About what one piece of weights takes.
const WEIGHTS_BYTES: usize = 4_096;

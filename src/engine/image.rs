//! The state in canonical bytes, and their digest.
//!
//! Each part of the state is a set of entries: a kind, a number, and little-endian bytes. The digest is the sum of the
//! entries' hashes (the first 16 bytes of BLAKE3), so that the order in which a hash map hands them out is of no
//! account. What can be derived from other entries (indexes, queues of what to give up) has none.

use std::fmt;

use super::Engine;
use super::statistics::{Audience, Cell, GoalStatistics, Outcome, Support};
use crate::stats::decay::Decayed;
use crate::stats::hyperloglog::Distinct;

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

/// Part of the state an entry belongs to. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Clock = 1,
    Settings = 2,
    Names = 3,
    Profile = 4,
    Group = 5,
    Impression = 6,
    Conversion = 7,
    RecentEvents = 8,
    Advertiser = 9,
    Goal = 10,
    Weights = 11,
    Tally = 12,
    Forgotten = 13,
    Kept = 14,
    Path = 15,
    Trial = 16,
    Guard = 17,
}

/// Adds up the hashes of entries.
struct Sum(u128);

impl Sum {
    fn add(&mut self, kind: Kind, number: u64, bytes: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[kind as u8]).update(&number.to_le_bytes()).update(bytes);
        let hash: [u8; 16] = hasher.finalize().as_bytes()[..16].try_into().expect("16 of 32 bytes");
        self.0 = self.0.wrapping_add(u128::from_le_bytes(hash));
    }
}

impl Engine {
    /// Hash of the whole state: equal for equal journals, on every machine, whatever reads beside them.
    ///
    /// Reads every entry: seconds for millions of profiles.
    pub fn digest(&self) -> Digest {
        let mut sum = Sum(0);
        sum.add(Kind::Clock, 0, &self.now.0.to_le_bytes());
        self.digest_names(&mut sum);
        self.profiles.each(&mut |key, profile| {
            let mut bytes = Vec::with_capacity(128);
            profile.image(&mut bytes);
            sum.add(Kind::Profile, key, &bytes);
        });
        for (root, members) in self.people.groups() {
            let bytes: Vec<u8> = members.iter().flat_map(|member| member.0.to_le_bytes()).collect();
            sum.add(Kind::Group, root.0, &bytes);
        }
        self.paths.image(&mut |number, bytes| sum.add(Kind::Path, number, bytes));
        self.impressions.image(&mut |id, bytes| sum.add(Kind::Impression, id, bytes));
        self.conversions.image(&mut |id, bytes| sum.add(Kind::Conversion, id, bytes));
        let recent: Vec<u8> = self.recent.iter().flat_map(u64::to_le_bytes).collect();
        sum.add(Kind::RecentEvents, 0, &recent);
        for (place, (at, user)) in self.forgotten.iter().enumerate() {
            sum.add(Kind::Forgotten, place as u64, &[at.0.to_le_bytes(), user.0.to_le_bytes()].concat());
        }
        self.guards.image(&mut |number, bytes| sum.add(Kind::Guard, number, bytes));
        self.digest_statistics(&mut sum);
        for (place, (_, count)) in self.tally.entries().into_iter().enumerate() {
            sum.add(Kind::Tally, place as u64, &count.to_le_bytes());
        }
        Digest(sum.0)
    }

    fn digest_names(&self, sum: &mut Sum) {
        // The settings' Debug form holds every field, and every number in its shortest exact form.
        sum.add(Kind::Settings, 0, format!("{:?}", self.catalog.settings()).as_bytes());
        for (code, entry) in self.catalog.advertisers().iter().enumerate() {
            let dictionaries = [&entry.actions, &entry.segments, &entry.externals, &entry.goals];
            sum.add(Kind::Names, code as u64, entry.id.as_str().as_bytes());
            sum.add(Kind::Kept, code as u64, &entry.kept.image());
            for (which, names) in dictionaries.into_iter().enumerate() {
                for (number, name) in names.all().iter().enumerate() {
                    let number = (code as u64) << 32 | (which as u64 + 1) << 24 | number as u64;
                    sum.add(Kind::Names, number, name.as_str().as_bytes());
                }
            }
        }
    }

    fn digest_statistics(&self, sum: &mut Sum) {
        let mut bytes = Vec::new();
        bytes.outcome(&self.everything);
        sum.add(Kind::Advertiser, u64::MAX, &bytes);
        for (code, statistics) in self.advertisers.iter().enumerate() {
            bytes.clear();
            bytes.audience(&statistics.everyone);
            bytes.list(&statistics.segments, Bytes::audience);
            bytes.outcome(&statistics.outcome);
            bytes.list(&statistics.users, Bytes::users);
            bytes.list(&statistics.support, Bytes::support);
            sum.add(Kind::Advertiser, code as u64, &bytes);
        }
        for (code, goal) in self.goals.iter().enumerate() {
            bytes.clear();
            bytes.goal(&goal.statistics);
            bytes.number(goal.intercept.unwrap_or(f64::NAN));
            goal.level.numbers().into_iter().for_each(|number| bytes.number(number));
            goal.gap.counts().into_iter().for_each(|count| bytes.count(count));
            goal.mixture.weights().iter().for_each(|weight| bytes.number(*weight));
            goal.ladder.numbers().into_iter().for_each(|number| bytes.number(number));
            goal.calibrator.numbers(&mut |number| bytes.number(number));
            goal.spend.numbers(&mut |number| bytes.number(number));
            goal.latest.words().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
            bytes.extend_from_slice(&goal.learner.collisions().to_le_bytes());
            bytes.extend_from_slice(&goal.advertiser.0.to_le_bytes());
            sum.add(Kind::Goal, code as u64, &bytes);
            let number = (code as u64) << 32;
            if let Some(trial) = &goal.trial {
                let number = |root| crate::hash::mix(root, code as u64);
                trial.image(&mut |root, bytes| sum.add(Kind::Trial, number(root), bytes));
            }
            goal.learner.image(&mut |piece, bytes| sum.add(Kind::Weights, number | u64::from(piece), bytes));
        }
    }
}

/// Writing statistics in canonical bytes.
trait Bytes {
    fn number(&mut self, number: f64);
    fn count(&mut self, count: &Decayed);
    fn outcome(&mut self, outcome: &Outcome);
    fn cell(&mut self, cell: &Cell);
    fn users(&mut self, users: &Distinct);
    fn audience(&mut self, audience: &Audience);
    fn support(&mut self, support: &Support);
    fn goal(&mut self, goal: &GoalStatistics);
    fn list<T>(&mut self, list: &[T], write: fn(&mut Self, &T));
}

impl Bytes for Vec<u8> {
    fn number(&mut self, number: f64) {
        self.extend_from_slice(&number.to_bits().to_le_bytes());
    }

    fn count(&mut self, count: &Decayed) {
        self.number(count.value);
        self.extend_from_slice(&count.tick.0.to_le_bytes());
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.count(&outcome.impressions);
        self.count(&outcome.positives);
    }

    fn cell(&mut self, cell: &Cell) {
        for count in [&cell.impressions, &cell.clicks, &cell.conversions, &cell.value, &cell.cost] {
            self.count(count);
        }
        self.users(&cell.users);
        self.outcome(&cell.labels);
    }

    fn users(&mut self, users: &Distinct) {
        users.image(self);
    }

    fn audience(&mut self, audience: &Audience) {
        self.count(&audience.sessions);
        self.list(&audience.actions, Bytes::count);
        self.users(&audience.users);
    }

    fn support(&mut self, support: &Support) {
        self.list(support.ids(), |bytes, id| bytes.extend_from_slice(&id.to_le_bytes()));
    }

    fn goal(&mut self, goal: &GoalStatistics) {
        self.cell(&goal.everyone);
        self.list(&goal.segments, Bytes::cell);
        for (segment, cell) in &goal.externals {
            self.extend_from_slice(&segment.0.to_le_bytes());
            self.cell(cell);
        }
        self.list(&goal.done, Bytes::outcome);
        self.list(&goal.steps, Bytes::outcome);
        self.count(&goal.organic);
        self.outcome(&goal.outcome);
        for watched in goal.arms.iter().chain(&goal.by_multiplier) {
            self.outcome(&watched.outcome);
            self.count(&watched.predicted);
        }
        self.count(&goal.predicted);
        self.support(&goal.support);
    }

    fn list<T>(&mut self, list: &[T], write: fn(&mut Self, &T)) {
        self.extend_from_slice(&(list.len() as u32).to_le_bytes());
        list.iter().for_each(|item| write(self, item));
    }
}

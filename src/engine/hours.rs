//! Profiles by the hour they were last seen in.
//!
//! An hour is a list, not a set: whoever is seen again in a later hour is put on its list and stays on the earlier one,
//! and who reads an entry asks the profile whether it still holds. So a change of hours costs one step at the end of a
//! list, where a set wants two searches in memory that lies anywhere, and a profile costs 8 to 16 bytes, where a set
//! takes 10 to 20. Entries that hold no more are swept out bit by bit once they are as many as there are profiles.
//! Those of somebody who was forgotten may stay until their hour is read: in memory alone, hashed, with nothing behind
//! them.

use std::collections::BTreeMap;

use super::profiles::ProfileKey;

/// Lists of an hour: of one, and of no more, is looked for somebody who is to be taken off.
const PARTS: usize = 64;
/// Entries looked at when one is added and there are too many: of two, one would go where every other one holds.
const SWEPT_AT_ONCE: usize = 4;
/// Entries that are never too many.
const FEW: usize = if cfg!(test) { 16 } else { 8_192 };

/// Profiles seen in one hour; some were seen elsewhere since, or are gone. In no order.
#[derive(Debug)]
pub(super) struct Hour {
    parts: Box<[Vec<ProfileKey>; PARTS]>,
    len: usize,
}

/// All hours.
#[derive(Debug, Default)]
pub(super) struct Hours {
    hours: BTreeMap<u32, Hour>,
    /// Entries of all of them.
    entries: usize,
    sweep: Sweep,
}

/// The next entry that is swept out if it does not hold.
#[derive(Debug, Default, Clone, Copy)]
struct Sweep {
    hour: u32,
    part: usize,
    place: usize,
}

impl Default for Hour {
    fn default() -> Hour {
        Hour { parts: Box::new([const { Vec::new() }; PARTS]), len: 0 }
    }
}

impl Hour {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes any entry out.
    pub fn pop(&mut self) -> Option<ProfileKey> {
        let part = self.parts.iter_mut().find(|part| !part.is_empty())?;
        let key = part.pop();
        if part.is_empty() {
            // All of them at once would take long to give back.
            *part = Vec::new();
        }
        self.len -= 1;
        key
    }

    fn push(&mut self, key: ProfileKey) {
        let part = &mut self.parts[part(key)];
        if part.len() == part.capacity() {
            // By a sixteenth: lists that double stand half empty, all at the same time.
            part.reserve_exact(part.len() / 16 + 4);
        }
        part.push(key);
        self.len += 1;
    }

    /// Takes all entries of a profile out; how many they were.
    fn remove(&mut self, key: ProfileKey) -> usize {
        let part = &mut self.parts[part(key)];
        let before = part.len();
        part.retain(|other| *other != key);
        self.len -= before - part.len();
        before - part.len()
    }
}

impl Hours {
    /// Entries of all hours, those that hold no more among them.
    pub fn entries(&self) -> usize {
        self.entries
    }

    pub fn push(&mut self, hour: u32, key: ProfileKey) {
        self.hours.entry(hour).or_default().push(key);
        self.entries += 1;
    }

    /// Takes a profile off the list of an hour.
    pub fn remove(&mut self, hour: u32, key: ProfileKey) {
        let Some(list) = self.hours.get_mut(&hour) else { return };
        self.entries -= list.remove(key);
        if list.len == 0 {
            self.hours.remove(&hour);
        }
    }

    /// The earliest hour.
    pub fn first(&self) -> Option<u32> {
        self.hours.first_key_value().map(|(hour, _)| *hour)
    }

    /// Entries of the longest among so many of the earliest hours.
    pub fn longest(&self, of: usize) -> usize {
        self.hours.values().take(of).map(Hour::len).max().unwrap_or(0)
    }

    /// Takes the earliest hour out.
    pub fn pop_first(&mut self) -> Option<(u32, Hour)> {
        let (hour, list) = self.hours.pop_first()?;
        self.entries -= list.len;
        Some((hour, list))
    }

    /// Where there are more than two entries for each of so many profiles, looks at some, and drops those that hold no
    /// more: `seen_in` says in which hour a profile was seen last. An entry that stands twice, as of somebody who was
    /// forgotten and came back, holds twice, until they are seen in another hour.
    pub fn sweep_if_many(&mut self, profiles: usize, seen_in: impl Fn(ProfileKey) -> Option<u32>) {
        if self.entries <= 2 * profiles + FEW {
            return;
        }
        for _ in 0..SWEPT_AT_ONCE {
            self.sweep_one(&seen_in);
        }
    }

    /// Looks at one entry, or goes on to the next list.
    fn sweep_one(&mut self, seen_in: impl Fn(ProfileKey) -> Option<u32>) {
        let at = self.sweep;
        let Some((&hour, list)) = self.hours.range_mut(at.hour..).next() else {
            self.sweep = Sweep::default();
            return;
        };
        let at = if hour == at.hour { at } else { Sweep { hour, ..Sweep::default() } };
        let part = &mut list.parts[at.part];
        self.sweep = match part.get(at.place) {
            Some(key) if seen_in(*key) == Some(hour) => Sweep { place: at.place + 1, ..at },
            Some(_) => {
                part.swap_remove(at.place);
                list.len -= 1;
                self.entries -= 1;
                at
            }
            None => {
                if part.len() < part.capacity() / 2 {
                    part.shrink_to_fit();
                }
                if at.part + 1 < PARTS {
                    Sweep { part: at.part + 1, place: 0, ..at }
                } else {
                    Sweep { hour: hour + 1, ..Sweep::default() }
                }
            }
        };
        if list.len == 0 {
            self.hours.remove(&hour);
        }
    }
}

impl FromIterator<(u32, Vec<ProfileKey>)> for Hours {
    fn from_iter<T: IntoIterator<Item = (u32, Vec<ProfileKey>)>>(hours: T) -> Hours {
        let mut all = Hours::default();
        for (hour, keys) in hours {
            // Found room for all at once, no list is moved again and again.
            let mut lengths = [0; PARTS];
            keys.iter().for_each(|key| lengths[part(*key)] += 1);
            let list = all.hours.entry(hour).or_default();
            list.parts.iter_mut().zip(lengths).for_each(|(part, length)| part.reserve_exact(length));
            keys.into_iter().for_each(|key| all.push(hour, key));
        }
        all
    }
}

/// Which list of an hour a profile is on: by bits that neither choose its map nor its place there.
fn part(key: ProfileKey) -> usize {
    (key.number() >> 20) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AdvertiserCode, UserKey};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(user: u64) -> ProfileKey {
        ProfileKey::of(UserKey(user), AdvertiserCode(0))
    }

    #[test]
    fn entries_that_hold_no_more_are_swept_out() {
        const USERS: u64 = 4_000;
        let (mut hours, mut seen) = (Hours::default(), BTreeMap::new());
        for hour in 1..200 {
            for user in 0..USERS {
                seen.insert(key(user), hour);
                hours.push(hour, key(user));
                hours.sweep_if_many(USERS as usize, |key| seen.get(&key).copied());
                assert!(hours.entries() <= 2 * USERS as usize + FEW + 1, "{} entries", hours.entries());
            }
        }
        let last = std::iter::from_fn(|| hours.pop_first()).last();
        assert_eq!(last.map(|(hour, list)| (hour, list.len())), Some((199, USERS as usize)));
    }

    proptest! {
        /// Whoever comes, goes and is swept out: everybody is on the list of the hour they were seen in.
        #[test]
        fn everybody_is_on_the_list_of_their_hour(
            steps in proptest::collection::vec((0u64..30, 1u32..12, 0u8..5), 1..400),
        ) {
            let (mut hours, mut seen) = (Hours::default(), BTreeMap::new());
            for (user, hour, what) in steps {
                match what {
                    0 => {
                        if let Some(hour) = seen.remove(&key(user)) {
                            hours.remove(hour, key(user));
                        }
                    }
                    1 => (0..hour).for_each(|_| hours.sweep_one(|key| seen.get(&key).copied())),
                    _ => {
                        seen.insert(key(user), hour);
                        hours.push(hour, key(user));
                    }
                }
            }
            let entries = hours.entries();
            let mut listed = BTreeSet::new();
            let mut count = 0;
            while let Some((hour, mut list)) = hours.pop_first() {
                prop_assert!(list.len() > 0, "empty hours go");
                while let Some(key) = list.pop() {
                    listed.insert((hour, key));
                    count += 1;
                }
                prop_assert_eq!(list.len(), 0);
            }
            prop_assert_eq!((count, hours.entries()), (entries, 0));
            prop_assert!(seen.iter().all(|(key, hour)| listed.contains(&(*hour, *key))));
        }
    }
}

//! Numbers of impressions and conversions, by what they are looked for by.
//!
//! Most keys have one number. Lists for all of them would take twice the memory, so only keys with several have one.

use std::hash::Hash;

use smallvec::{SmallVec, smallvec};

use super::parted::PartedMap;

/// The numbers of one key, ascending.
pub(super) type Numbers = SmallVec<[u64; 2]>;

/// Stands for "several": no impression and no conversion ever has this number.
const SEVERAL: u64 = u64::MAX;

/// Numbers by key.
#[derive(Debug)]
pub(super) struct Index<K> {
    /// The number of a key, or [`SEVERAL`].
    first: PartedMap<K, u64>,
    /// Those of keys that have several.
    several: PartedMap<K, Numbers>,
}

impl<K> Default for Index<K> {
    fn default() -> Index<K> {
        Index { first: PartedMap::default(), several: PartedMap::default() }
    }
}

impl<K: Copy + Eq + Hash> Index<K> {
    /// The numbers of a key.
    pub fn get(&self, key: K) -> Numbers {
        match self.first.get(&key) {
            None => Numbers::new(),
            Some(&SEVERAL) => self.several.get(&key).cloned().unwrap_or_default(),
            Some(&number) => smallvec![number],
        }
    }

    /// How many numbers a key has.
    pub fn count(&self, key: K) -> usize {
        match self.first.get(&key) {
            None => 0,
            Some(&SEVERAL) => self.several.get(&key).map_or(0, |several| several.len()),
            Some(_) => 1,
        }
    }

    /// Whether a key has any number.
    pub fn contains(&self, key: K) -> bool {
        self.first.get(&key).is_some()
    }

    /// Adds a number that the key does not have yet.
    pub fn insert(&mut self, key: K, number: u64) {
        debug_assert_ne!(number, SEVERAL);
        let Some(first) = self.first.get_mut(&key) else {
            self.first.insert(key, number);
            return;
        };
        let before = std::mem::replace(first, SEVERAL);
        let numbers = self.several.get_or_insert(key, Numbers::new());
        if before != SEVERAL {
            numbers.push(before);
        }
        let place = numbers.partition_point(|other| *other < number);
        numbers.insert(place, number);
    }

    /// Takes a number out.
    pub fn remove(&mut self, key: K, number: u64) {
        let Some(first) = self.first.get_mut(&key) else { return };
        if *first == number {
            self.first.remove(&key);
        } else if *first == SEVERAL
            && let Some(numbers) = self.several.get_mut(&key)
        {
            numbers.retain(|other| *other != number);
            if let [last] = numbers[..] {
                *first = last;
                self.several.remove(&key);
            }
        }
    }

    /// Moves all numbers of a key to another; those that were moved.
    pub fn rename(&mut self, from: K, to: K) -> Numbers {
        let moved = self.take(from);
        let mut all = self.take(to);
        all.extend_from_slice(&moved);
        all.sort_unstable();
        match all[..] {
            [] => {}
            [number] => drop(self.first.insert(to, number)),
            [..] => {
                self.first.insert(to, SEVERAL);
                self.several.insert(to, all);
            }
        }
        moved
    }

    fn take(&mut self, key: K) -> Numbers {
        match self.first.remove(&key) {
            None => Numbers::new(),
            Some(SEVERAL) => self.several.remove(&key).unwrap_or_default(),
            Some(number) => smallvec![number],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        /// Each number is under one key at most, as those of a person and goal are.
        #[test]
        fn is_a_map_of_sets(steps in proptest::collection::vec((0u64..6, 0u64..6, 0u8..6), 0..200)) {
            let (mut index, mut plain) = (Index::<u64>::default(), BTreeMap::<u64, BTreeSet<u64>>::new());
            for (number, (key, other, what)) in (0u64..).zip(steps) {
                let known = plain.entry(key).or_default();
                match what {
                    0 if key != other => {
                        let moved = std::mem::take(known);
                        prop_assert_eq!(index.rename(key, other).into_vec(), moved.iter().copied().collect::<Vec<_>>());
                        plain.entry(other).or_default().extend(moved);
                    }
                    1 | 2 => {
                        let gone = known.iter().nth(other as usize).copied().unwrap_or(number);
                        index.remove(key, gone);
                        known.remove(&gone);
                    }
                    _ => {
                        // Not always the highest of all.
                        let number = number ^ 3;
                        known.insert(number);
                        index.insert(key, number);
                    }
                }
                for key in 0..6 {
                    let known: Vec<u64> = plain.get(&key).into_iter().flatten().copied().collect();
                    prop_assert_eq!(index.get(key).into_vec(), known.clone());
                    prop_assert_eq!((index.contains(key), index.count(key)), (!known.is_empty(), known.len()));
                    prop_assert_eq!(index.several.get(&key).is_some(), known.len() > 1);
                }
            }
        }
    }
}

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

    /// Takes all numbers of a key out.
    pub fn take(&mut self, key: K) -> Numbers {
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
        #[test]
        fn is_a_map_of_sets(steps in proptest::collection::vec((0u64..6, 0u64..6, 0u8..6), 0..200)) {
            let (mut index, mut plain) = (Index::<u64>::default(), BTreeMap::<u64, BTreeSet<u64>>::new());
            for (key, number, what) in steps {
                let known = plain.entry(key).or_default();
                match what {
                    0 => {
                        let taken = index.take(key).into_vec();
                        prop_assert_eq!(taken, std::mem::take(known).into_iter().collect::<Vec<_>>());
                    }
                    1 | 2 => {
                        index.remove(key, number);
                        known.remove(&number);
                    }
                    _ if known.insert(number) => index.insert(key, number),
                    _ => {}
                }
                prop_assert_eq!(index.get(key).into_vec(), known.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(index.contains(key), !known.is_empty());
                let several = plain.values().filter(|numbers| numbers.len() > 1).count();
                prop_assert_eq!((0..6).filter(|key| index.several.get(key).is_some()).count(), several);
            }
        }
    }
}

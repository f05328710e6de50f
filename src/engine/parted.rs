//! A map that grows in small steps.
//!
//! A hash map moves all its entries when it grows: 12 ms for 30,000 of them on fresh memory, seconds for millions, and
//! the writer stands still meanwhile. In parts, which grow one at a time as chance fills them, no step moves more than
//! one part.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use crate::hash::KeyHasher;

/// Parts of a map: one step of the growth of 10 million entries moves 40,000 of them.
const PARTS: usize = 256;

/// A hash map in parts.
#[derive(Debug)]
pub(super) struct PartedMap<K, V> {
    parts: Box<[HashMap<K, V, KeyHasher>]>,
}

impl<K, V> Default for PartedMap<K, V> {
    fn default() -> PartedMap<K, V> {
        PartedMap { parts: (0..PARTS).map(|_| HashMap::default()).collect() }
    }
}

impl<K: Eq + Hash, V> PartedMap<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.parts[part(key)].get(key)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.parts[part(key)].get_mut(key)
    }

    /// The value of a key, a new one if there is none.
    pub fn get_or_insert(&mut self, key: K, new: V) -> &mut V {
        self.parts[part(&key)].entry(key).or_insert(new)
    }

    /// Gives a key its value; the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.parts[part(&key)].insert(key, value)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let part = &mut self.parts[part(key)];
        let removed = part.remove(key)?;
        // What most have left gives its room back.
        if part.len() < part.capacity() / 4 {
            part.shrink_to_fit();
        }
        Some(removed)
    }

    /// Changes the value of a key, and takes it out where `change` says that nothing is left of it.
    pub fn change_or_remove(&mut self, key: &K, change: impl FnOnce(&mut V) -> bool) {
        if self.get_mut(key).is_some_and(change) {
            self.remove(key);
        }
    }

    /// All entries, in no order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flatten()
    }
}

/// Bits of the hash that neither choose the place in a part nor tell its entries apart there.
fn part(key: &impl Hash) -> usize {
    (KeyHasher::default().hash_one(key) >> 40) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_map(steps in proptest::collection::vec((0u64..50, 0u32..100, 0u8..4), 0..200)) {
            let (mut parted, mut plain) = (PartedMap::<u64, u32>::default(), HashMap::new());
            for (key, value, what) in steps {
                match what {
                    0 => prop_assert_eq!(parted.insert(key, value), plain.insert(key, value)),
                    1 => prop_assert_eq!(parted.remove(&key), plain.remove(&key)),
                    2 => prop_assert_eq!(*parted.get_or_insert(key, value), *plain.entry(key).or_insert(value)),
                    _ => {
                        parted.change_or_remove(&key, |kept| *kept < value);
                        if plain.get(&key).is_some_and(|kept| *kept < value) {
                            plain.remove(&key);
                        }
                    }
                }
                prop_assert_eq!(parted.get(&key), plain.get(&key));
            }
            let mut entries: Vec<_> = parted.iter().map(|(key, value)| (*key, *value)).collect();
            entries.sort_unstable();
            let mut expected: Vec<_> = plain.into_iter().collect();
            expected.sort_unstable();
            prop_assert_eq!(entries, expected);
        }
    }

    #[test]
    fn keys_in_a_row_spread_over_the_parts() {
        let mut counts = [0; PARTS];
        (0..256_000u64).for_each(|key| counts[part(&key)] += 1);
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "1,000 each, ± 6 deviations: {counts:?}");
    }
}

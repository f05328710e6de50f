//! A table of the writer's that can be handed out bit by bit, as it was at one moment, while it goes on changing.
//!
//! It is split into many small maps. A walk hands out map after map; before an entry of a map that the walk has not
//! come to changes for the first time, what it was is put aside, and the walk then passes it by. So nothing is copied
//! at once, and a change costs a set entry more while a walk goes on. Small maps also grow one by one: a single one
//! would now and then move all its entries.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::bytes::Bytes;
use super::entries::{Entries, Kind};
use crate::hash::KeyHasher;
use crate::ids::UserKey;

/// Key of an entry: the number of its canonical entry.
pub(super) trait Key: Copy + Eq + Hash {
    fn number(self) -> u64;
}

/// What an entry holds.
pub(super) trait Row {
    /// Appends its canonical bytes.
    fn write(&self, bytes: &mut Vec<u8>);
}

/// Keys with what is known of each.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    kind: Kind,
    maps: Box<[HashMap<K, V, KeyHasher>]>,
    len: usize,
    walk: Option<Box<Walk<K>>>,
}

#[derive(Debug)]
struct Walk<K> {
    /// The next map to be handed out.
    next: usize,
    /// Keys that it passes by: what they were is put aside, or they are new.
    passed: HashSet<K, KeyHasher>,
    /// What was put aside and not handed out yet.
    aside: Entries,
}

impl Key for u64 {
    fn number(self) -> u64 {
        self
    }
}

impl Key for UserKey {
    fn number(self) -> u64 {
        self.0
    }
}

impl Row for Vec<UserKey> {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.list(self, |bytes, user| bytes.long(user.0));
    }
}

impl<K: Key, V: Row> Table<K, V> {
    /// An empty table of so many maps, a power of two.
    pub fn new(kind: Kind, maps: usize) -> Table<K, V> {
        debug_assert!(maps.is_power_of_two());
        Table { kind, maps: (0..maps).map(|_| HashMap::default()).collect(), len: 0, walk: None }
    }

    fn place(&self, key: K) -> usize {
        key.number() as usize & (self.maps.len() - 1)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, key: K) -> Option<&V> {
        self.maps[self.place(key)].get(&key)
    }

    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.place(key);
        self.keep(place, key);
        self.maps[place].get_mut(&key)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.place(key);
        self.keep(place, key);
        match self.maps[place].entry(key) {
            Place::Occupied(mut entry) => Some(entry.insert(value)),
            Place::Vacant(entry) => {
                entry.insert(value);
                self.len += 1;
                None
            }
        }
    }

    pub fn remove(&mut self, key: K) -> Option<V> {
        let place = self.place(key);
        self.keep(place, key);
        let map = &mut self.maps[place];
        let removed = map.remove(&key)?;
        self.len -= 1;
        // What most have left gives its room back.
        if map.len() < map.capacity() / 4 {
            map.shrink_to_fit();
        }
        Some(removed)
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.maps.iter().flatten().map(|(key, value)| (*key, value))
    }

    /// All canonical entries, in no order.
    pub fn image(&self, visit: &mut dyn FnMut(Kind, u64, &[u8])) {
        let mut bytes = Vec::new();
        for (key, value) in self.iter() {
            bytes.clear();
            value.write(&mut bytes);
            visit(self.kind, key.number(), &bytes);
        }
    }

    /// Begins to hand out the table as it is now. A walk that was going on ends.
    pub fn begin_walk(&mut self) {
        self.walk = Some(Box::new(Walk { next: 0, passed: HashSet::default(), aside: Entries::default() }));
    }

    /// Hands out what was put aside, and maps until about `most` bytes more are; true when that was all.
    pub fn walk(&mut self, most: usize, into: &mut Entries) -> bool {
        let Some(walk) = &mut self.walk else { return true };
        into.append(&mut walk.aside);
        let enough = into.len().saturating_add(most);
        while walk.next < self.maps.len() && into.len() < enough {
            for (key, value) in &self.maps[walk.next] {
                if walk.passed.is_empty() || !walk.passed.contains(key) {
                    into.push(self.kind, key.number(), |bytes| value.write(bytes));
                }
            }
            walk.next += 1;
        }
        if walk.next == self.maps.len() {
            self.walk = None;
        }
        self.walk.is_none()
    }

    /// Ends a walk before its end.
    pub fn stop_walk(&mut self) {
        self.walk = None;
    }

    /// To be called before an entry changes, comes or goes.
    fn keep(&mut self, place: usize, key: K) {
        let Some(walk) = &mut self.walk else { return };
        if place >= walk.next
            && walk.passed.insert(key)
            && let Some(value) = self.maps[place].get(&key)
        {
            walk.aside.push(self.kind, key.number(), |bytes| value.write(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Row for u64 {
        fn write(&self, bytes: &mut Vec<u8>) {
            bytes.long(*self);
        }
    }

    fn change(table: &mut Table<u64, u64>, (what, key, value): (u8, u64, u64)) {
        match what {
            0 => drop(table.insert(key, value)),
            1 => drop(table.remove(key)),
            _ => table.get_mut(key).into_iter().for_each(|kept| *kept += value),
        }
    }

    proptest! {
        /// What a walk hands out is what was when it began, each entry once, whatever happens meanwhile.
        #[test]
        fn a_walk_hands_out_what_was(
            before in proptest::collection::vec((0u8..3, 0u64..40, 0u64..100), 0..80),
            meanwhile in proptest::collection::vec((0u8..3, 0u64..40, 0u64..100), 0..80),
            most in 1usize..200,
            pause in 1usize..10,
        ) {
            let mut table = Table::new(Kind::Group, 16);
            before.into_iter().for_each(|one| change(&mut table, one));
            let then: BTreeMap<u64, u64> = table.iter().map(|(key, value)| (key, *value)).collect();
            prop_assert_eq!(then.len(), table.len());
            table.begin_walk();
            let mut entries = Entries::default();
            for piece in meanwhile.chunks(pause) {
                piece.iter().for_each(|one| change(&mut table, *one));
                table.walk(most, &mut entries);
            }
            while !table.walk(most, &mut entries) {}
            let walked: Vec<_> = Entries::read(entries.as_bytes()).map(Result::unwrap).collect();
            let count = walked.len();
            let walked: BTreeMap<u64, u64> = walked
                .into_iter()
                .map(|entry| (entry.number, u64::from_le_bytes(entry.bytes.try_into().unwrap())))
                .collect();
            prop_assert_eq!((walked.len(), walked), (count, then));
        }
    }
}

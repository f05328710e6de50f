//! A set of numbers that costs one wait for memory a look: event ids are looked up for every event, among a million.
//!
//! Each number stands at the first free place from its own on. A place is the number itself, so what is looked at
//! stands in one line of memory or the next, where a map of the standard library has its tags in another one.

/// Parts of the set: a step of its growth moves one of them, so that the writer never stands still for all.
const PARTS: usize = 256;
/// Fewest places of a part that holds anything.
const PLACES_MIN: usize = 8;
/// No number stands here. The number 0 counts as 1.
const FREE: u64 = 0;

/// Numbers that are well mixed already.
#[derive(Debug)]
pub(super) struct IdSet {
    parts: Box<[Part]>,
}

/// Numbers with the same upper bits.
#[derive(Debug, Clone, Default)]
struct Part {
    /// None, or a power of two of them. At least three of eight are free.
    places: Box<[u64]>,
    len: usize,
}

impl Default for IdSet {
    fn default() -> IdSet {
        IdSet { parts: vec![Part::default(); PARTS].into() }
    }
}

impl IdSet {
    /// Adds a number; whether it was not there.
    pub fn insert(&mut self, id: u64) -> bool {
        let id = id.max(1);
        let part = &mut self.parts[part(id)];
        part.make_room();
        let place = part.find(id);
        let is_new = part.places[place] == FREE;
        part.places[place] = id;
        part.len += usize::from(is_new);
        is_new
    }

    /// Takes a number out; whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let id = id.max(1);
        self.parts[part(id)].remove(id)
    }

    /// Reads what stands at the places of numbers: one wait for memory each, all at once.
    pub fn look(&self, ids: impl Iterator<Item = u64>) -> u64 {
        ids.map(|id| self.parts[part(id)].first(id)).fold(0, |sum, at_place| sum ^ at_place)
    }
}

impl Part {
    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    fn first(&self, id: u64) -> u64 {
        self.places.get(id as usize & self.mask()).copied().unwrap_or(FREE)
    }

    /// Where a number stands, or else where it would. There is a free place.
    fn find(&self, id: u64) -> usize {
        let mask = self.mask();
        let mut place = id as usize & mask;
        while self.places[place] != FREE && self.places[place] != id {
            place = (place + 1) & mask;
        }
        place
    }

    /// Sees to it that one more fits.
    fn make_room(&mut self) {
        if (self.len + 1) * 8 > self.places.len() * 5 {
            self.resize((2 * self.places.len()).max(PLACES_MIN));
        }
    }

    fn resize(&mut self, places: usize) {
        let old = std::mem::replace(&mut self.places, vec![FREE; places].into());
        for id in old.iter().copied().filter(|id| *id != FREE) {
            let place = self.find(id);
            self.places[place] = id;
        }
    }

    fn remove(&mut self, id: u64) -> bool {
        if self.len == 0 {
            return false;
        }
        let mut gap = self.find(id);
        if self.places[gap] == FREE {
            return false;
        }
        // Whoever stands behind the gap because its own place was taken moves up, so that a search meets no gap.
        let mask = self.mask();
        let mut place = (gap + 1) & mask;
        while self.places[place] != FREE {
            let own = self.places[place] as usize & mask;
            if place.wrapping_sub(own) & mask >= place.wrapping_sub(gap) & mask {
                self.places[gap] = self.places[place];
                gap = place;
            }
            place = (place + 1) & mask;
        }
        self.places[gap] = FREE;
        self.len -= 1;
        // What most have left gives its room back.
        if self.places.len() > PLACES_MIN && self.len * 8 < self.places.len() {
            self.resize(self.places.len() / 2);
        }
        true
    }
}

fn part(id: u64) -> usize {
    (id >> 32) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        /// Numbers in a row, in few parts: most stand elsewhere than at their own place.
        #[test]
        fn is_a_set(steps in proptest::collection::vec((0u64..2, 0u64..40, 0u8..5), 0..400)) {
            let (mut ours, mut plain) = (IdSet::default(), HashSet::new());
            for (upper, id, what) in steps {
                let id = (upper << 32) | (id / 3 * 16 + id % 3);
                match what {
                    0..3 => prop_assert_eq!(ours.insert(id), plain.insert(id.max(1))),
                    _ => prop_assert_eq!(ours.remove(id), plain.remove(&id.max(1))),
                }
                prop_assert_eq!(ours.parts.iter().map(|part| part.len).sum::<usize>(), plain.len());
            }
            for upper in 0..2 {
                for id in (0..300).map(|id| upper << 32 | id) {
                    let known = ours.parts[part(id)].places.contains(&id.max(1));
                    prop_assert_eq!(known, plain.contains(&id.max(1)));
                }
            }
        }
    }

    #[test]
    fn room_follows_what_it_holds() {
        let mut ids = IdSet::default();
        assert!(!ids.remove(7));
        assert_eq!(ids.look([1, 2, 3].into_iter()), 0);
        let id = |number: u64| crate::hash::mix(number, 1);
        (0..120_000).for_each(|number| assert!(ids.insert(id(number))));
        let places = |ids: &IdSet| ids.parts.iter().map(|part| part.places.len()).sum::<usize>();
        assert_eq!(places(&ids), 256 * 1_024, "469 in each: half as many or twice as many would be 7 deviations off");
        assert_eq!(ids.look([id(5)].into_iter()), ids.parts[part(id(5))].first(id(5)));
        (0..120_000).for_each(|number| assert!(ids.remove(id(number))));
        assert_eq!(places(&ids), 256 * PLACES_MIN);
    }
}

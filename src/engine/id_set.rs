//! A set of numbers that costs one wait for memory a look: event ids are looked up for every event, among a million.
//!
//! Each number stands in the line of memory that it chooses, and where that is full in the next. Lines are compared as
//! a whole, since a search that ends anywhere in a line is one that processors guess wrong: of what an id cost among a
//! million, two thirds was that.

/// Parts of the set: a step of its growth moves one of them, so that the writer never stands still for all.
const PARTS: usize = 256;
/// Places of a line: as many as memory is read at once.
const LINE_PLACES: usize = 8;
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
    /// None, or a power of two of them. At least three of eight places are free, so there is always a line that is not
    /// full. Where a line is not full, no number stands behind it that would rather stand in it or before it.
    lines: Box<[Line]>,
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
struct Line([u64; LINE_PLACES]);

impl Default for IdSet {
    fn default() -> IdSet {
        IdSet { parts: vec![Part::default(); PARTS].into() }
    }
}

impl IdSet {
    /// Adds a number; whether it was not there.
    pub fn insert(&mut self, id: u64) -> bool {
        let id = id.max(1);
        self.parts[part(id)].insert(id)
    }

    /// Takes a number out; whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let id = id.max(1);
        self.parts[part(id)].remove(id)
    }

    /// Reads the lines of numbers: one wait for memory each, all at once.
    pub fn look(&self, ids: impl Iterator<Item = u64>) -> u64 {
        ids.map(|id| self.parts[part(id)].first(id)).fold(0, |sum, in_line| sum ^ in_line)
    }
}

impl Line {
    const FREE: Line = Line([FREE; LINE_PLACES]);

    /// The first place where a number stands; of one that stands nowhere, `LINE_PLACES` or more.
    fn place(&self, id: u64) -> usize {
        let mut places = 0u32;
        for (place, found) in self.0.iter().enumerate() {
            places |= u32::from(*found == id) << place;
        }
        places.trailing_zeros() as usize
    }
}

impl Part {
    /// The line that a number chooses. There are lines.
    fn own(&self, id: u64) -> usize {
        id as usize & (self.lines.len() - 1)
    }

    fn after(&self, line: usize) -> usize {
        (line + 1) & (self.lines.len() - 1)
    }

    fn first(&self, id: u64) -> u64 {
        if self.lines.is_empty() { FREE } else { self.lines[self.own(id)].0[0] }
    }

    fn insert(&mut self, id: u64) -> bool {
        self.make_room();
        let mut line = self.own(id);
        loop {
            if self.lines[line].place(id) < LINE_PLACES {
                return false;
            }
            let free = self.lines[line].place(FREE);
            if free < LINE_PLACES {
                self.lines[line].0[free] = id;
                self.len += 1;
                return true;
            }
            line = self.after(line);
        }
    }

    /// Sees to it that one more fits.
    fn make_room(&mut self) {
        if (self.len + 1) * 8 > self.lines.len() * LINE_PLACES * 5 {
            self.resize((2 * self.lines.len()).max(1));
        }
    }

    fn resize(&mut self, lines: usize) {
        let old = std::mem::replace(self, Part { lines: vec![Line::FREE; lines].into(), len: 0 });
        for id in old.lines.iter().flat_map(|line| line.0).filter(|id| *id != FREE) {
            self.insert(id);
        }
    }

    fn remove(&mut self, id: u64) -> bool {
        if self.len == 0 {
            return false;
        }
        let mut line = self.own(id);
        let place = loop {
            let place = self.lines[line].place(id);
            if place < LINE_PLACES {
                break place;
            }
            if self.lines[line].place(FREE) < LINE_PLACES {
                return false;
            }
            line = self.after(line);
        };
        let was_full = self.lines[line].place(FREE) >= LINE_PLACES;
        self.lines[line].0[place] = FREE;
        if was_full {
            self.move_up(line, place);
        }
        self.len -= 1;
        // What most have left gives its room back.
        if self.lines.len() > 1 && self.len < self.lines.len() {
            self.resize(self.lines.len() / 2);
        }
        true
    }

    /// Fills a gap of a line that was full with a number that stands behind it for want of room, and the gap that this
    /// leaves in a line that was full too.
    fn move_up(&mut self, mut gap_line: usize, mut gap: usize) {
        let mask = self.lines.len() - 1;
        let mut line = self.after(gap_line);
        loop {
            let was_full = self.lines[line].place(FREE) >= LINE_PLACES;
            // Whoever has come at least as far from its own line as the gap is away may stand there.
            let away = line.wrapping_sub(gap_line) & mask;
            let comes_from = |id: u64| line.wrapping_sub(id as usize) & mask;
            let moved = self.lines[line].0.iter().position(|id| *id != FREE && comes_from(*id) >= away);
            if let Some(place) = moved {
                self.lines[gap_line].0[gap] = std::mem::replace(&mut self.lines[line].0[place], FREE);
                (gap_line, gap) = (line, place);
            }
            if !was_full {
                return;
            }
            line = self.after(line);
        }
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
        /// Numbers of two parts that choose three lines of each: many stand behind their own.
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
            let mut known: Vec<u64> = ours.parts.iter().flat_map(|part| &part.lines).flat_map(|line| line.0).collect();
            known.retain(|id| *id != FREE);
            known.sort_unstable();
            let mut expected: Vec<u64> = plain.iter().copied().collect();
            expected.sort_unstable();
            prop_assert_eq!(known, expected);
            // Each is found where it stands: looked for again, none is new.
            prop_assert!(plain.iter().all(|id| !ours.insert(*id)));
        }
    }

    #[test]
    fn room_follows_what_it_holds() {
        let mut ids = IdSet::default();
        assert!(!ids.remove(7));
        assert_eq!(ids.look([1, 2, 3].into_iter()), 0);
        let id = |number: u64| crate::hash::mix(number, 1);
        (0..120_000).for_each(|number| assert!(ids.insert(id(number))));
        let lines = |ids: &IdSet| ids.parts.iter().map(|part| part.lines.len()).sum::<usize>();
        assert_eq!(lines(&ids), 256 * 128, "469 in each: half as many or twice as many would be 7 deviations off");
        assert_eq!(ids.look([id(5)].into_iter()), ids.parts[part(id(5))].first(id(5)));
        (0..120_000).for_each(|number| assert!(ids.remove(id(number))));
        assert_eq!(lines(&ids), 256);
    }
}

//! What falls due when, in the order of time.
//!
//! Nearly all of it comes in the order in which it will fall due. A tree of small nodes then leaves each half empty; in
//! long runs, one after the other, each entry takes its own 16 bytes and hardly more.

use std::collections::VecDeque;

use crate::units::Timestamp;

/// Entries of a run: one in the middle is inserted by moving at most half of them, 4 KB.
const RUN: usize = 512;

/// A number, and when it falls due.
type Entry = (Timestamp, u64);

/// Numbers by when they fall due, those of one moment by themselves.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Ascending from run to run and in each; none is empty.
    runs: VecDeque<VecDeque<Entry>>,
}

impl Due {
    /// The earliest.
    pub fn first(&self) -> Option<Entry> {
        self.runs.front()?.front().copied()
    }

    /// Takes the earliest out.
    pub fn pop_first(&mut self) -> Option<Entry> {
        let run = self.runs.front_mut()?;
        let first = run.pop_front();
        if run.is_empty() {
            self.runs.pop_front();
        }
        first
    }

    /// Adds an entry that is not there yet.
    pub fn insert(&mut self, entry: Entry) {
        let mut place = self.run(entry);
        if self.runs.get(place).and_then(VecDeque::front).is_none_or(|first| entry < *first) {
            return self.insert_between(place, entry);
        }
        if self.runs[place].len() == RUN {
            let rest = self.runs[place].split_off(RUN / 2);
            // Whatever comes mostly in order does not come here again.
            self.runs[place].shrink_to_fit();
            let is_in_rest = rest.front().is_some_and(|first| *first < entry);
            self.runs.insert(place + 1, rest);
            place += usize::from(is_in_rest);
        }
        let run = &mut self.runs[place];
        let within = run.partition_point(|other| *other < entry);
        run.insert(within, entry);
    }

    /// Adds an entry that lies before the run at a place, and behind the one before that.
    fn insert_between(&mut self, place: usize, entry: Entry) {
        let has_room = |run: &&mut VecDeque<Entry>| run.len() < RUN;
        if let Some(before) = place.checked_sub(1).and_then(|before| self.runs.get_mut(before)).filter(has_room) {
            before.push_back(entry);
        } else if let Some(behind) = self.runs.get_mut(place).filter(has_room) {
            behind.push_front(entry);
        } else {
            self.runs.insert(place, VecDeque::from([entry]));
        }
    }

    /// Takes an entry out, if it is there.
    pub fn remove(&mut self, entry: Entry) {
        let place = self.run(entry);
        let Some(run) = self.runs.get_mut(place) else { return };
        let Ok(within) = run.binary_search(&entry) else { return };
        run.remove(within);
        if run.len() < RUN / 4 {
            self.merge(place);
        }
    }

    /// Makes one run of two neighbours of which little is left.
    fn merge(&mut self, place: usize) {
        let is_short = |run: &VecDeque<Entry>| run.len() < RUN / 4;
        let before = place.saturating_sub(1);
        for place in [place, before] {
            if self.runs[place].is_empty() {
                self.runs.remove(place);
                return;
            }
            if self.runs.get(place + 1).is_some_and(is_short)
                && is_short(&self.runs[place])
                && let Some(mut next) = self.runs.remove(place + 1)
            {
                self.runs[place].append(&mut next);
                self.runs[place].shrink_to(RUN / 2);
                return;
            }
        }
    }

    /// The first run that does not end before an entry; as many as there are where all do.
    fn run(&self, entry: Entry) -> usize {
        self.runs.partition_point(|run| run.back().is_some_and(|last| *last < entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check(due: &Due, plain: &BTreeSet<Entry>) {
        assert!(due.runs.iter().all(|run| (1..=RUN).contains(&run.len())));
        assert!(due.runs.iter().flatten().eq(plain.iter()));
    }

    proptest! {
        /// Mostly in order, and in any.
        #[test]
        fn is_a_set(
            steps in proptest::collection::vec((0u64..3_000, 0u64..4, 0u8..8), 0..3_000),
            in_order in 0u64..20,
        ) {
            let (mut due, mut plain) = (Due::default(), BTreeSet::new());
            for (now, (time, number, what)) in (0u64..).zip(steps) {
                let entry = (Timestamp(time + now * in_order), number);
                match what {
                    0 => prop_assert_eq!(due.pop_first(), plain.pop_first()),
                    1 => {
                        let entry = plain.range(entry..).next().copied().unwrap_or(entry);
                        plain.remove(&entry);
                        due.remove(entry);
                    }
                    _ if plain.insert(entry) => due.insert(entry),
                    _ => {}
                }
                prop_assert_eq!(due.first(), plain.first().copied());
            }
            check(&due, &plain);
        }
    }

    fn numbered(numbers: std::ops::Range<u64>, time: impl Fn(u64) -> u64) -> impl Iterator<Item = Entry> {
        numbers.map(move |number| (Timestamp(time(number)), number))
    }

    #[test]
    fn runs_are_full_where_nearly_all_comes_in_order() {
        let runs_of = |entries: &mut dyn Iterator<Item = Entry>| {
            let mut due = Due::default();
            entries.for_each(|entry| due.insert(entry));
            check(&due, &due.runs.iter().flatten().copied().collect());
            due.runs.len()
        };
        let full = 100_000usize.div_ceil(RUN);
        assert_eq!(runs_of(&mut numbered(0..100_000, |number| number / 3)), full);
        // Two windows, of which one ends before the other begins.
        let two = runs_of(&mut numbered(0..100_000, |number| number + number % 2 * 1_000_000));
        assert!(two <= full + full / 20, "{two} of {full}");
        // One in a hundred comes late.
        let late =
            runs_of(&mut numbered(0..100_000, |number| 10_000 + number - if number % 100 == 0 { 9_999 } else { 0 }));
        assert!(late <= 2 * full + 2, "{late} of {full}");
    }

    #[test]
    fn runs_of_which_little_is_left_become_one() {
        let mut due = Due::default();
        numbered(0..100_000, |number| number).for_each(|entry| due.insert(entry));
        numbered(0..100_000, |number| number).filter(|(_, number)| number % 50 > 0).for_each(|entry| due.remove(entry));
        check(&due, &numbered(0..100_000, |number| number).filter(|(_, number)| number % 50 == 0).collect());
        assert!(due.runs.len() <= 2_000 / (RUN / 8), "{} runs of 2,000 entries", due.runs.len());
        numbered(0..100_000, |number| number).for_each(|entry| due.remove(entry));
        assert_eq!((due.first(), due.runs.len()), (None, 0));
    }
}

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
        let place = self.run(entry);
        let is_last = place == self.runs.len();
        match self.runs.get_mut(place.min(self.runs.len().saturating_sub(1))) {
            Some(run) if run.len() < RUN => {
                let within = if is_last { run.len() } else { run.partition_point(|other| *other < entry) };
                run.insert(within, entry);
            }
            // Whatever comes last begins a run of its own: the one before it stays full.
            _ if is_last => {
                let mut run = VecDeque::with_capacity(RUN);
                run.push_back(entry);
                self.runs.push_back(run);
            }
            Some(run) => {
                let mut rest = VecDeque::with_capacity(RUN);
                rest.extend(run.drain(RUN / 2..));
                let half = if rest.front().is_some_and(|first| *first < entry) { &mut rest } else { run };
                let within = half.partition_point(|other| *other < entry);
                half.insert(within, entry);
                self.runs.insert(place + 1, rest);
            }
            None => unreachable!("without any run, the entry is the last"),
        }
    }

    /// Takes an entry out, if it is there.
    pub fn remove(&mut self, entry: Entry) {
        let place = self.run(entry);
        let Some(run) = self.runs.get_mut(place) else { return };
        if let Ok(within) = run.binary_search(&entry) {
            run.remove(within);
            if run.is_empty() {
                self.runs.remove(place);
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

    #[test]
    fn runs_are_full_where_all_comes_in_order() {
        let mut due = Due::default();
        (0..10_000).for_each(|number| due.insert((Timestamp(number / 3), number)));
        assert_eq!(due.runs.len(), 10_000usize.div_ceil(RUN));
        check(&due, &(0..10_000).map(|number| (Timestamp(number / 3), number)).collect());
        (0..10_000).for_each(|number| due.remove((Timestamp(number / 3), number)));
        assert_eq!((due.first(), due.runs.len()), (None, 0));
    }
}

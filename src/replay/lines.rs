//! Lines of a log, and what became of them.

use std::collections::BTreeMap;

use super::joins::Joins;
use crate::journey::LineFault;
use crate::units::Span;

/// Reasons that are told apart, at most; the rest count as "other".
const REASONS_MAX: usize = 32;
/// A line that stands ahead of fewer lines than this is no jump: a log may be out of order here and there.
const AHEAD_OF_MIN: u64 = 3;

/// Lines of a log, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Actions.
    pub actions: u64,
    /// Opportunities.
    pub opportunities: u64,
    /// Impressions.
    pub impressions: u64,
    /// Conversions.
    pub conversions: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// Impressions of opportunities that the log has not held before them, or that were shown before.
    pub lost_impressions: u64,
    /// Conversions that name an opportunity which does not wait for them, or not of this goal.
    pub lost_conversions: u64,
    /// Opportunities that have the name of an earlier one which still waits.
    pub repeated_opportunities: u64,
    /// What the engine refused, by its reason.
    pub refused: BTreeMap<String, u64>,
    /// Why lines could not be read.
    pub faults: Faults,
    /// What became of conversions, converting actions among them.
    pub joins: Joins,
}

impl LineCounts {
    /// All lines.
    pub fn total(&self) -> u64 {
        self.actions + self.opportunities + self.impressions + self.conversions + self.bad
    }
}

/// Counts one more of a reason.
pub(super) fn count(reasons: &mut BTreeMap<String, u64>, why: &str) {
    let why = if reasons.len() < REASONS_MAX || reasons.contains_key(why) { why } else { "other" };
    *reasons.entry(why.to_owned()).or_default() += 1;
}

/// Why lines could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// By reason.
    pub by_reason: BTreeMap<String, u64>,
    /// Those that lie before an earlier line.
    pub back_in_time: u64,
    /// The latest line that could be read, with the bad ones after it.
    latest: Ahead,
    /// The one that lies ahead of most lines.
    worst: Ahead,
}

/// A line that lies ahead of lines after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Its number, over all files, from 1.
    pub line: u64,
    /// How far it lies ahead of the first of them.
    pub by: Span,
    /// How many they are.
    pub of: u64,
}

impl Faults {
    /// Notes a line that could be read.
    pub fn note_good(&mut self, line: u64) {
        self.latest = Ahead { line, ..Ahead::default() };
    }

    /// Counts a line that could not.
    pub fn note(&mut self, fault: &LineFault) {
        count(&mut self.by_reason, &fault.reason());
        if let LineFault::BackInTime { time_ms, previous_ms } = fault {
            self.back_in_time += 1;
            if self.latest.of == 0 {
                self.latest.by = Span(previous_ms - time_ms);
            }
            self.latest.of += 1;
            if self.latest.of > self.worst.of {
                self.worst = self.latest;
            }
        }
    }

    /// The one line that makes most of the lines bad that lie before an earlier one: its time may be wrong.
    pub fn jump(&self) -> Option<Ahead> {
        (self.worst.of >= AHEAD_OF_MIN && 2 * self.worst.of > self.back_in_time).then_some(self.worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_ahead_of_most_others_is_told() {
        let back = |time_ms| LineFault::BackInTime { time_ms, previous_ms: 1_000 };
        let mut faults = Faults::default();
        faults.note_good(3);
        faults.note(&back(990));
        faults.note_good(5);
        faults.note(&back(995));
        assert_eq!(faults.jump(), None, "two lines in disorder are no jump");
        faults.note_good(7);
        (0..9).for_each(|n| faults.note(&back(100 + n)));
        faults.note(&LineFault::TooLong);
        assert_eq!(faults.jump(), Some(Ahead { line: 7, by: Span(900), of: 9 }));
        faults.note_good(20);
        (0..9).for_each(|_| faults.note(&back(500)));
        assert_eq!(faults.jump(), None, "no single line is at fault");
        assert_eq!(faults.by_reason.values().copied().collect::<Vec<_>>(), [1, 20]);
    }

    #[test]
    fn reasons_are_bounded() {
        let mut reasons = BTreeMap::new();
        (0..REASONS_MAX + 5).for_each(|n| count(&mut reasons, &format!("{n:02}")));
        assert_eq!((reasons.len(), reasons["other"]), (REASONS_MAX + 1, 5));
    }
}

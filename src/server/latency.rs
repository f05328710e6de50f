//! How long calls took, counted by upper bounds, as alerts ask for it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::counters::CounterLine;

/// Upper bounds in µs, and how the report spells them: from what a score takes by itself to what no auction waits for.
const BOUNDS: [(u64, &str); 15] = [
    (10, "10"),
    (25, "25"),
    (50, "50"),
    (100, "100"),
    (250, "250"),
    (500, "500"),
    (1_000, "1000"),
    (2_500, "2500"),
    (5_000, "5000"),
    (10_000, "10000"),
    (25_000, "25000"),
    (50_000, "50000"),
    (100_000, "100000"),
    (250_000, "250000"),
    (1_000_000, "1000000"),
];

/// Times of calls since the start.
#[derive(Debug, Default)]
pub struct Latency {
    /// How many took at most the bound of their place, and more than the one before.
    within: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    sum_micros: AtomicU64,
}

/// Names of a histogram's three series.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Calls that took at most as long as the label `le` says.
    pub bucket: &'static str,
    /// Their times in all, in µs.
    pub sum: &'static str,
    /// All calls.
    pub count: &'static str,
}

impl Latency {
    /// Counts a call.
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // A time above a bound by less than a microsecond is above it.
        let place = BOUNDS.partition_point(|(bound, _)| Duration::from_micros(*bound) < took);
        self.within.get(place).unwrap_or(&self.beyond).fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    /// The lines of the report: as Prometheus has it, each bound counts what is below it too.
    pub fn lines(&self, names: Names) -> Vec<CounterLine> {
        let line = |name: &'static str, label, value| CounterLine { name: name.into(), label, value };
        let mut count = 0;
        let mut lines = Vec::with_capacity(BOUNDS.len() + 3);
        for ((_, bound), cell) in BOUNDS.iter().zip(&self.within) {
            count += cell.load(Relaxed);
            lines.push(line(names.bucket, Some(("le", *bound)), count));
        }
        count += self.beyond.load(Relaxed);
        lines.push(line(names.bucket, Some(("le", "+Inf")), count));
        lines.push(line(names.sum, None, self.sum_micros.load(Relaxed)));
        lines.push(line(names.count, None, count));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_counts_what_is_below_it_too() {
        let latency = Latency::default();
        let took = [Duration::from_nanos(1), Duration::from_micros(10), Duration::from_nanos(10_001)];
        took.into_iter().chain([Duration::from_secs(1), Duration::from_secs(2)]).for_each(|took| latency.note(took));
        let lines = latency.lines(Names { bucket: "b", sum: "s", count: "c" });
        let value = |label: &str| lines.iter().find(|line| line.label == Some(("le", label))).unwrap().value;
        assert_eq!(["10", "25", "100000", "1000000", "+Inf"].map(value), [2, 3, 3, 4, 5]);
        let [.., sum, count] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((&*sum.name, sum.value, &*count.name, count.value), ("s", 3_000_020, "c", 5));
        assert!(BOUNDS.is_sorted() && BOUNDS.iter().all(|(bound, text)| bound.to_string() == *text));
    }
}

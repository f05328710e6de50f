//! What the service takes for the time: the only place in it that reads the wall clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::config::Clock;
use crate::units::{TIMESTAMP_MAX, Timestamp};

/// The engine's clock as scores and tokens see it.
#[derive(Debug)]
pub struct ServiceClock {
    kind: Clock,
    /// `at` of the latest record that scorers can see, in milliseconds.
    published: AtomicU64,
}

impl ServiceClock {
    /// A clock that has seen no record.
    pub fn new(kind: Clock) -> ServiceClock {
        ServiceClock { kind, published: AtomicU64::new(0) }
    }

    /// Whether time passes while no event comes.
    pub fn is_wall(&self) -> bool {
        self.kind == Clock::Wall
    }

    /// Now: by the wall, or by the latest event.
    pub fn now(&self) -> Timestamp {
        match self.kind {
            Clock::Wall => wall(),
            Clock::Events => Timestamp(self.published.load(Ordering::Relaxed)),
        }
    }

    /// When a request or an event that states `stated` is to be judged: on the events' clock its own word counts.
    ///
    /// Never before the latest event there, so that an event cannot make itself older than what is known already.
    pub fn at(&self, stated: Option<Timestamp>) -> Timestamp {
        match (self.kind, stated) {
            (Clock::Events, Some(stated)) => stated.max(self.now()),
            _ => self.now(),
        }
    }

    /// The time stamp of a record that follows one at `previous`: non-decreasing.
    pub fn stamp(&self, previous: Timestamp, occurred_at: Option<Timestamp>) -> Timestamp {
        match self.kind {
            Clock::Wall => wall().max(previous),
            Clock::Events => occurred_at.unwrap_or(previous).max(previous),
        }
    }

    /// Tells scorers how far the records have come.
    pub fn publish(&self, at: Timestamp) {
        self.published.store(at.0, Ordering::Relaxed);
    }
}

/// A moment to measure the time a call takes.
#[expect(clippy::disallowed_methods, reason = "deadlines of calls; no state depends on them")]
pub fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place where wall time becomes an argument")]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).min(TIMESTAMP_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_never_go_back() {
        let far = TIMESTAMP_MAX;
        assert_eq!(ServiceClock::new(Clock::Wall).stamp(far, Some(Timestamp(5))), far);
        let events = ServiceClock::new(Clock::Events);
        assert_eq!(events.stamp(Timestamp(7), Some(Timestamp(5))), Timestamp(7));
        assert_eq!(events.stamp(Timestamp(7), Some(Timestamp(9))), Timestamp(9));
        assert_eq!(events.stamp(Timestamp(7), None), Timestamp(7));
    }

    #[test]
    fn only_the_events_clock_believes_the_sender() {
        let events = ServiceClock::new(Clock::Events);
        events.publish(Timestamp(100));
        assert_eq!(events.at(None), Timestamp(100));
        assert_eq!(events.at(Some(Timestamp(150))), Timestamp(150));
        assert_eq!(events.at(Some(Timestamp(50))), Timestamp(100));
        let wall = ServiceClock::new(Clock::Wall);
        assert!(wall.at(Some(Timestamp(50))) > Timestamp(1_700_000_000_000));
        assert!(wall.is_wall() && !events.is_wall());
    }
}

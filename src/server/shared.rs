//! What all connections share: the reader of the engine, the way to the applier, the edge, and where the service
//! stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::clock::ServiceClock;
use super::convert::CallError;
use super::counters::{Count, CounterLine, Counters};
use super::edge::Edge;
use super::queue::{Queue, Refused};
use crate::config::ServerConfig;
use crate::engine::{Engine, Scorer};
use crate::insight;

/// How long a call waits for room in the queue before it is told to come again.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// How long a look at the counters waits for the engine's.
const COUNTERS_PATIENCE: Duration = Duration::from_secs(1);

/// Where the service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Journal and settings are not applied yet.
    Starting,
    /// All is well.
    Ready,
    /// The journal has failed: bids are answered from memory, nothing else is done.
    Degraded,
    /// Told to stop, or failed: what is in progress is finished as far as possible.
    Stopping,
}

impl Stage {
    /// All, with the names that metrics know them by.
    const NAMED: [(Stage, &'static str); 4] = [
        (Stage::Starting, "starting"),
        (Stage::Ready, "ready"),
        (Stage::Degraded, "degraded"),
        (Stage::Stopping, "stopping"),
    ];
}

/// What all connections share.
pub struct Shared {
    /// Reads the engine.
    pub scorer: Scorer,
    /// The way to the applier.
    pub queue: Queue,
    /// From the wire to the vocabulary.
    pub edge: Edge,
    /// What the service takes for the time.
    pub clock: Arc<ServiceClock>,
    /// What the service counts.
    pub counters: Arc<Counters>,
    /// Limits.
    pub limits: ServerConfig,
    stage: AtomicU8,
    /// Tells streams to end.
    stop: watch::Receiver<bool>,
}

/// The parts that [`Shared`] is made of.
pub struct Parts {
    /// Reads the engine.
    pub scorer: Scorer,
    /// The way to the applier.
    pub queue: Queue,
    /// From the wire to the vocabulary; its clock and counters become the service's.
    pub edge: Edge,
    /// Limits.
    pub limits: ServerConfig,
    /// Turns true when the service is to stop.
    pub stop: watch::Receiver<bool>,
}

impl Shared {
    /// A service that starts.
    pub fn new(parts: Parts) -> Shared {
        let Parts { scorer, queue, edge, limits, stop } = parts;
        let (clock, counters) = (Arc::clone(&edge.clock), Arc::clone(&edge.counters));
        Shared { scorer, queue, edge, clock, counters, limits, stage: AtomicU8::new(Stage::Starting as u8), stop }
    }

    /// Where the service stands.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            2 => Stage::Degraded,
            _ => Stage::Stopping,
        }
    }

    /// Says where the service stands.
    pub fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    /// Lets a call in. Connections that are open when the service is told to stop may finish what they sent.
    ///
    /// # Errors
    /// While the settings are not applied.
    pub fn admit(&self) -> Result<(), CallError> {
        match self.stage() {
            Stage::Starting => Err(self.counted(CallError::Starting)),
            Stage::Ready | Stage::Degraded | Stage::Stopping => Ok(()),
        }
    }

    /// Waits until the service is told to stop.
    pub async fn stopped(&self) {
        // Whoever could tell is gone: that is the end as well.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    /// Counts a failed call under its cause.
    pub fn counted(&self, error: CallError) -> CallError {
        match &error {
            CallError::Refused(Refused::Full) => self.counters.count(Count::QueueFull),
            CallError::Starting | CallError::Draining | CallError::Refused(Refused::Stopped) => {
                self.counters.count(Count::Unavailable);
            }
            CallError::Invalid(_) | CallError::UnknownAdvertiser(_) | CallError::UnknownGoal(_) => {}
        }
        error
    }

    /// Which version this is and where it stands: 1 for what holds, 0 for what does not.
    fn standing(&self) -> impl Iterator<Item = CounterLine> {
        let version = Some(("version", env!("CARGO_PKG_VERSION")));
        let build = CounterLine { name: "inkling_build_info".into(), label: version, value: 1 };
        let now = self.stage();
        let stages = Stage::NAMED.map(|(stage, name)| CounterLine {
            name: "inkling_stage".into(),
            label: Some(("stage", name)),
            value: u64::from(stage == now),
        });
        [build].into_iter().chain(stages)
    }

    /// All counters: the service's own, then the engine's, if it answers in time. Under load, in a recovery or after a
    /// failure it does not; then the service's own are needed most.
    pub async fn counter_lines(&self) -> Vec<CounterLine> {
        let mut lines = self.counters.lines();
        lines.extend(self.standing());
        let question = |engine: &Engine, _| (insight::counters(engine), engine.now());
        if let Ok(Ok((counters, now))) = timeout(COUNTERS_PATIENCE, self.queue.ask(PATIENCE, question)).await {
            lines.extend(counters.into_iter().map(CounterLine::from));
            if self.clock.is_wall() {
                let value = now.since(self.clock.now()).0;
                lines.push(CounterLine { name: "inkling_clock_ahead_ms".into(), label: None, value });
            }
        }
        lines
    }
}

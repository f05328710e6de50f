//! How long something takes, by the clock and in CPU time.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Runs from when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "measures how long things take; no state depends on it")]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// CPU time that all threads of this process have used since it started, user's and system's.
pub fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    // Neither is ever negative on this clock.
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_as_cpu_time() {
        let (started, before) = (Stopwatch::start(), cpu_time());
        let mut work = 0u64;
        while cpu_time() < before + Duration::from_millis(5) {
            work = std::hint::black_box(work + 1);
        }
        assert!(work > 0 && cpu_time() >= before + Duration::from_millis(5));
        // Other tests work beside: at most all cores do, for as long as this took.
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        assert!(cpu_time() - before <= started.elapsed() * cores + Duration::from_millis(50));
    }
}

//! Where connections come in. What the system refuses, as when file descriptors are used up, is counted and told.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use super::clock;
use super::counters::{Count, Counters};
use crate::storage::Tell;

/// Pause after a refusal.
const PAUSE: Duration = Duration::from_millis(50);
/// Time without refusals after which the next one is told again.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// One port.
pub struct Door {
    listener: TcpListener,
    refusals: Refusals,
}

/// What the system refused there.
struct Refusals {
    counters: Arc<Counters>,
    tell: Tell,
    last: Option<Instant>,
}

impl Door {
    /// The door of a listener.
    pub fn new(listener: TcpListener, counters: Arc<Counters>, tell: Tell) -> Door {
        Door { listener, refusals: Refusals { counters, tell, last: None } }
    }

    /// Waits for the next connection, however often the system refuses.
    pub async fn next(&mut self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((socket, _)) => return socket,
                Err(error) => {
                    self.refusals.add(&error, clock::instant());
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Refusals {
    fn add(&mut self, error: &io::Error, now: Instant) {
        self.counters.count(Count::AcceptsFailed);
        // A client that left before it was let in is its own business.
        if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted) {
            return;
        }
        let last = self.last.replace(now);
        if last.is_none_or(|last| now.saturating_duration_since(last) >= TOLD_AGAIN_AFTER) {
            (self.tell)(&format!(
                "a connection cannot be accepted: {error}; others wait until it can: where file descriptors are used \
                 up, raise their limit (`ulimit -n`, LimitNOFILE) or lower `[server] connections_max`"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn each_refusal_is_counted_and_the_first_of_a_run_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let tell: Tell = Arc::new(move |what: &str| heard.lock().unwrap().push(what.to_owned()));
        let mut refusals = Refusals { counters: Arc::default(), tell, last: None };
        let begin = clock::instant();
        let used_up = || io::Error::from_raw_os_error(24);
        // Seconds, what the system says, sentences told until then.
        let cases = [
            (0, ErrorKind::ConnectionAborted.into(), 0),
            (1, used_up(), 1),
            (50, used_up(), 1),
            (100, used_up(), 1),
            (161, used_up(), 2),
        ];
        for (seconds, error, sentences) in cases {
            refusals.add(&error, begin + Duration::from_secs(seconds));
            assert_eq!(told.lock().unwrap().len(), sentences, "after {seconds} s");
        }
        assert!(told.lock().unwrap()[0].contains("Too many open files"), "{told:?}");
        let lines = refusals.counters.lines();
        assert_eq!(lines.iter().find(|line| line.name == "inkling_accepts_failed_total").unwrap().value, 5);
    }
}

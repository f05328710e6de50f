//! One journey log out of several files, parsed ahead of the engine on a thread of its own.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crate::journey::{JourneyError, JourneyReader, Line};
use crate::stopwatch::Stopwatch;
use crate::units::Timestamp;

/// Lines that go from parser to engine at once.
const BATCH_LINES: usize = 512;
/// Batches that may wait between the two.
const BATCHES_AHEAD: usize = 16;

/// Lines in their order, the bad ones among them.
#[derive(Default)]
pub struct Batch {
    /// Number of the line over all files, from 1, and what it says.
    pub lines: Vec<(u64, Result<Line, JourneyError>)>,
    /// Bytes read so far, over all files.
    pub bytes_read: u64,
}

/// The parser at work.
pub struct Source<'scope> {
    batches: Receiver<Batch>,
    parser: ScopedJoinHandle<'scope, Duration>,
}

/// Bytes of all files together; 0 for pipes.
pub fn bytes_total(paths: &[PathBuf]) -> u64 {
    paths.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum()
}

impl<'scope> Source<'scope> {
    /// Starts to read the files, one after the other.
    pub fn start(scope: &'scope Scope<'scope, '_>, paths: &'scope [PathBuf]) -> Source<'scope> {
        let (send, batches) = sync_channel(BATCHES_AHEAD);
        let parser = scope.spawn(move || {
            let mut busy = Duration::ZERO;
            let mut lines = Lines::new(paths);
            loop {
                let started = Stopwatch::start();
                let batch = lines.batch();
                busy += started.elapsed();
                if batch.lines.is_empty() || send.send(batch).is_err() {
                    return busy;
                }
            }
        });
        Source { batches, parser }
    }

    /// The next lines; `None` at the end.
    pub fn next(&mut self) -> Option<Batch> {
        self.batches.recv().ok()
    }

    /// Ends reading, and says how long the parser was busy. A parser that panicked has read a part of the log only:
    /// its panic goes on here.
    pub fn finish(self) -> Duration {
        drop(self.batches);
        self.parser.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// The lines of several files, one after the other.
struct Lines<'a> {
    rest: std::slice::Iter<'a, PathBuf>,
    reader: Option<JourneyReader>,
    /// Bytes of the files before.
    bytes_before: u64,
    lines_before: u64,
    line: u64,
    latest: Timestamp,
}

impl Lines<'_> {
    fn new(paths: &[PathBuf]) -> Lines<'_> {
        Lines { rest: paths.iter(), reader: None, bytes_before: 0, lines_before: 0, line: 0, latest: Timestamp(0) }
    }

    fn batch(&mut self) -> Batch {
        let mut lines = Vec::with_capacity(BATCH_LINES);
        while lines.len() < BATCH_LINES {
            match self.next() {
                Some(line) => lines.push(line),
                None => break,
            }
        }
        let bytes_read = self.bytes_before + self.reader.as_ref().map_or(0, JourneyReader::bytes_read);
        Batch { lines, bytes_read }
    }

    /// The next line. A file that cannot be opened or read any further ends the log: the others stay unread.
    fn next(&mut self) -> Option<(u64, Result<Line, JourneyError>)> {
        loop {
            let Some(reader) = &mut self.reader else {
                let path: &Path = self.rest.next()?;
                match JourneyReader::open_after(path, self.latest) {
                    Ok(reader) => self.reader = Some(reader),
                    Err(error) => return Some((self.line, Err(self.give_up(error)))),
                }
                continue;
            };
            match reader.next() {
                Some(Ok((number, line))) => {
                    self.line = self.lines_before + number;
                    self.latest = line.time();
                    return Some((self.line, Ok(line)));
                }
                Some(Err(JourneyError::Line { path, line, fault })) => {
                    self.line = self.lines_before + line;
                    return Some((self.line, Err(JourneyError::Line { path, line, fault })));
                }
                Some(Err(error)) => return Some((self.line, Err(self.give_up(error)))),
                None => {
                    self.bytes_before += reader.bytes_read();
                    self.lines_before = self.line;
                    self.reader = None;
                }
            }
        }
    }

    fn give_up(&mut self, error: JourneyError) -> JourneyError {
        self.rest = [].iter();
        self.reader = None;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "planted")]
    fn a_parser_that_panics_is_no_end_of_the_log() {
        std::thread::scope(|scope| {
            let (send, batches) = sync_channel(1);
            let parser = scope.spawn(move || -> Duration {
                let _open_until_then = send;
                panic!("planted")
            });
            let mut source = Source { batches, parser };
            assert!(source.next().is_none());
            source.finish()
        });
    }
}

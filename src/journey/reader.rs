//! Reads a journey log line by line, whatever it is packed in.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::packed::{clearer, unpack};
use super::{BYTE_ORDER_MARK, JourneyError, LINE_BYTES_MAX, Line, LineFault};
use crate::units::Timestamp;

/// Streams the lines of a log with their numbers, from 1.
///
/// A bad line is an error value; the next call goes on with the line after it. An error of reading ends the log.
pub struct JourneyReader {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
    /// The line being read; reused from line to line.
    buffer: Vec<u8>,
    line: u64,
    /// Time of the latest good line.
    previous: Timestamp,
    has_ended: bool,
}

impl JourneyReader {
    /// Opens a log: plain, gzip or zstd, as its first bytes tell.
    ///
    /// # Errors
    /// When the file cannot be opened or its first bytes cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<JourneyReader, JourneyError> {
        JourneyReader::open_after(path, Timestamp(0))
    }

    /// Opens a log that goes on where another ended: a line from before that moment is a bad one.
    ///
    /// # Errors
    /// As [`JourneyReader::open`].
    pub fn open_after(path: impl AsRef<Path>, previous: Timestamp) -> Result<JourneyReader, JourneyError> {
        let path = path.as_ref().to_owned();
        let bytes_read = Arc::new(AtomicU64::new(0));
        match unpack(&path, Arc::clone(&bytes_read)) {
            Ok((input, bytes_total)) => Ok(JourneyReader {
                path,
                input,
                bytes_read,
                bytes_total,
                buffer: Vec::new(),
                line: 0,
                previous,
                has_ended: false,
            }),
            Err(source) => Err(JourneyError::Open { path, source }),
        }
    }

    /// Bytes of the file read so far, compressed as they are, including what was read ahead.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Size of the file when it was opened; 0 for a pipe.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Fills the buffer with the next line; `None` at the end of the log.
    fn fill(&mut self) -> io::Result<Option<Result<(), LineFault>>> {
        self.buffer.clear();
        let room = LINE_BYTES_MAX as u64 + 1;
        let bytes = self.input.by_ref().take(room).read_until(b'\n', &mut self.buffer)?;
        if bytes == 0 {
            return Ok(None);
        }
        self.line += 1;
        if self.line == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        }
        if self.buffer.len() > LINE_BYTES_MAX {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Err(LineFault::TooLong)));
        }
        Ok(Some(Ok(())))
    }

    /// The line in the buffer, which must not lie before an earlier one.
    fn parse(&mut self) -> Result<Line, LineFault> {
        let line = Line::parse(&self.buffer)?;
        if line.time() < self.previous {
            return Err(LineFault::BackInTime { time_ms: line.time().0, previous_ms: self.previous.0 });
        }
        self.previous = line.time();
        Ok(line)
    }
}

impl Iterator for JourneyReader {
    type Item = Result<(u64, Line), JourneyError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_ended {
            let parsed = match self.fill() {
                Ok(Some(Ok(()))) if self.buffer.trim_ascii().is_empty() => continue,
                Ok(Some(filled)) => filled.and_then(|()| self.parse()),
                Ok(None) => break,
                Err(source) => {
                    self.has_ended = true;
                    let source = clearer(source);
                    return Some(Err(JourneyError::Read { path: self.path.clone(), line: self.line, source }));
                }
            };
            let line = self.line;
            return Some(match parsed {
                Ok(parsed) => Ok((line, parsed)),
                Err(fault) => Err(JourneyError::Line { path: self.path.clone(), line, fault }),
            });
        }
        self.has_ended = true;
        None
    }
}

//! All lines of a recorded log at once.

use std::path::PathBuf;

use super::join::JoinError;
use crate::journey::{Discovery, JourneyReader, Line};
use crate::units::Timestamp;

/// Most lines of a log: all are kept, some 300 bytes each.
pub const LINES_MAX: usize = 5_000_000;

/// Reads a log: its lines with their numbers, and what they name.
///
/// # Errors
/// When it cannot be read whole.
pub(super) fn read_lines(paths: &[PathBuf]) -> Result<(Vec<(u64, Line)>, Discovery), JoinError> {
    let (mut lines, mut discovery, mut number) = (Vec::new(), Discovery::default(), 0);
    let mut latest = Timestamp(0);
    for path in paths {
        let before = number;
        for read in JourneyReader::open_after(path, latest)? {
            let (line_number, line) = read?;
            if lines.len() == LINES_MAX {
                return Err(JoinError::TooLong);
            }
            discovery.see(&line)?;
            (number, latest) = (before + line_number, line.time());
            lines.push((number, line));
        }
    }
    Ok((lines, discovery))
}

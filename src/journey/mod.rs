//! The journey log: recorded actions, opportunities, impressions and conversions as text, one JSON object a line.
//!
//! ```json
//! {"time_ms":1,"kind":"action","user":"u","advertiser":"a","action":"view_item","item":"sku","value":22.0}
//! {"time_ms":2,"kind":"opportunity","id":"o1","user":"u","advertiser":"a","goal":"purchase","item":"sku"}
//! {"time_ms":2,"kind":"impression","id":"o1","cost_micros":1200}
//! {"time_ms":9,"kind":"conversion","user":"u","advertiser":"a","goal":"purchase","id":"o1","value":40.0}
//! ```
//!
//! Plain, gzip or zstd. Lines are sorted by time; those of equal time keep their order. Blank lines are passed over.
//! An unknown field, or one that its kind does not have, makes a line bad: a misspelt `catgory` would otherwise
//! silently cost what the category teaches. A bad line is told with its place, and reading goes on behind it.
//!
//! *Invariants*: knows no engine, no user keys (names stay as they stand in the log) and no clock.

mod discover;
mod json;
mod line;
mod packed;
mod reader;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use discover::{Discovery, DiscoveryError};
pub use line::{Action, Conversion, Impression, Line, LineFault, Opportunity};
pub use packed::{clearer, is_standard_input, unpack};
pub use reader::JourneyReader;
pub use writer::JourneyWriter;

/// What some editors on Windows put before a text in UTF-8. It is no part of it.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Longest line in bytes, without its end. A longer one is a bad line and is passed over without being kept.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What is wrong with a log, and where.
#[derive(Debug, Error)]
pub enum JourneyError {
    /// The file cannot be opened or created.
    #[error("{}: cannot be opened", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Reading ends here: the disk failed, or a compressed stream is damaged or cut.
    #[error("{}: cannot be read beyond line {line}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Last line that was read, from 1.
        line: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// Writing failed.
    #[error("{}: line {line} cannot be written", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Line that was to be written, from 1.
        line: u64,
        /// What the system says.
        source: io::Error,
    },
    /// One line is bad. Reading goes on behind it; writing refuses it and can go on.
    #[error("{}: {fault}", place(path, *line, fault))]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        fault: LineFault,
    },
}

/// Where a bad line stands, as editors understand it: file, line and, where the parser knows it, column.
fn place(path: &Path, line: u64, fault: &LineFault) -> String {
    match fault.column() {
        Some(column) => format!("{}:{line}:{column}", path.display()),
        None => format!("{}:{line}", path.display()),
    }
}

#[cfg(test)]
mod tests;

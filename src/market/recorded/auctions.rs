//! Auctions as they were recorded: what they would have cost, what was thought of them, and what came of them.
//!
//! Text, plain, gzip or zstd, one auction a line: `click market_price pctr` and, where there is one, the time slot,
//! separated by spaces or tabs. `click` is 1 or 0. `market_price` is the highest bid of the others, in the file's
//! unit per mille: whoever bids more wins and pays it (second price). `pctr` is a probability of the click as another
//! model gave it.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::journey::{clearer, unpack};
use crate::wording;

/// Most auctions of one file: all are kept, 16 bytes each.
pub const AUCTIONS_MAX: usize = 20_000_000;
/// Largest market price, in the file's unit.
pub const PRICE_MAX: u32 = 1_000_000;
/// Longest line in bytes.
const LINE_BYTES_MAX: usize = 1_024;

/// One recorded auction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auction {
    /// Predicted probability of a click, 0 to 1.
    pub pctr: f64,
    /// Highest bid of the others, at most [`PRICE_MAX`].
    pub price: u32,
    /// Time slot, such as the hour; 0 where the file has none.
    pub slot: u16,
    /// Whether the ad was clicked.
    pub clicked: bool,
}

/// What is wrong with a file of auctions, and where.
#[derive(Debug, Error)]
pub enum AuctionsError {
    /// It cannot be opened.
    #[error("{}: cannot be opened", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The disk failed, or a compressed stream is damaged or cut.
    #[error("{}: cannot be read beyond line {line}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Last line that was read, from 1.
        line: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// A line is no auction.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// It holds more than are kept.
    #[error("{}:{line}: more than {AUCTIONS_MAX} auctions: split the file", path.display())]
    TooMany {
        /// Which file.
        path: PathBuf,
        /// The first line beyond.
        line: u64,
    },
    /// It holds none.
    #[error("{}: holds no auctions", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

/// Reads a file of auctions. The first line that is none ends it: figures of half a file would be believed.
///
/// # Errors
/// With file and line.
pub fn read_auctions(path: &Path) -> Result<Vec<Auction>, AuctionsError> {
    let opened = unpack(path, Arc::default());
    let (input, _) = opened.map_err(|source| AuctionsError::Open { path: path.to_owned(), source })?;
    parse(input, path)
}

fn parse(mut input: impl BufRead, path: &Path) -> Result<Vec<Auction>, AuctionsError> {
    let (mut auctions, mut line, mut buffer) = (Vec::new(), 0, Vec::new());
    loop {
        buffer.clear();
        let read = input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut buffer);
        match read.map_err(clearer) {
            Ok(0) if auctions.is_empty() => return Err(AuctionsError::Empty { path: path.to_owned() }),
            Ok(0) => return Ok(auctions),
            Ok(_) => line += 1,
            Err(source) => return Err(AuctionsError::Read { path: path.to_owned(), line, source }),
        }
        let bad = |what| AuctionsError::Line { path: path.to_owned(), line, what };
        if buffer.len() > LINE_BYTES_MAX {
            return Err(bad(format!("the line has more than {LINE_BYTES_MAX} bytes")));
        }
        let text = str::from_utf8(&buffer).map_err(|_| bad("not UTF-8".to_owned()))?;
        if text.trim_ascii().is_empty() {
            continue;
        }
        if auctions.len() == AUCTIONS_MAX {
            return Err(AuctionsError::TooMany { path: path.to_owned(), line });
        }
        auctions.push(auction(text).map_err(bad)?);
    }
}

/// The auction of a line.
fn auction(line: &str) -> Result<Auction, String> {
    let mut fields = line.split_ascii_whitespace();
    let mut next = |name: &str| fields.next().ok_or_else(|| format!("{name} is missing"));
    let clicked = match next("click")? {
        "0" => false,
        "1" => true,
        other => return Err(format!("click is '{}', allowed is 0 or 1", wording::shown(other))),
    };
    let price = next("market_price")?;
    let price = price.parse().ok().filter(|number| *number <= PRICE_MAX).ok_or_else(|| {
        format!("market_price is '{}', allowed is a whole number from 0 to {PRICE_MAX}", wording::shown(price))
    })?;
    let pctr = next("pctr")?;
    let pctr = pctr
        .parse()
        .ok()
        .filter(|p| (0.0..=1.0).contains(p))
        .ok_or_else(|| format!("pctr is '{}', allowed is a probability from 0 to 1", wording::shown(pctr)))?;
    let slot = match fields.next() {
        None => 0,
        Some(slot) => slot.parse().map_err(|_| {
            format!("the time slot is '{}', allowed is a whole number from 0 to {}", wording::shown(slot), u16::MAX)
        })?,
    };
    match fields.next() {
        None => Ok(Auction { pctr, price, slot, clicked }),
        Some(_) => Err("more than four fields: click, market_price, pctr, time slot".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Auction>, String> {
        parse(text, Path::new("a.txt")).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_apart_by_spaces_or_tabs() {
        let read = read(b"0 70 0.0021\n\n1\t6\t1\t13\r\n").unwrap();
        let first = Auction { pctr: 0.0021, price: 70, slot: 0, clicked: false };
        assert_eq!(read, [first, Auction { pctr: 1.0, price: 6, slot: 13, clicked: true }]);
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let long = format!("0 1 0.1 1\n{}", "1".repeat(2_000));
        let cases: [(&[u8], &str); 10] = [
            (b"\n", "a.txt: holds no auctions"),
            (b"0 1 0.1\n2 1 0.1\n", "a.txt:2: click is '2', allowed is 0 or 1"),
            (b"0 -1 0.1", "a.txt:1: market_price is '-1', allowed is a whole number from 0 to 1000000"),
            (b"0 1000001 0.1", "a.txt:1: market_price is '1000001', allowed is a whole number from 0 to 1000000"),
            (b"0 1 NaN", "a.txt:1: pctr is 'NaN', allowed is a probability from 0 to 1"),
            (b"0 1", "a.txt:1: pctr is missing"),
            (b"0 1 0.1 x", "a.txt:1: the time slot is 'x', allowed is a whole number from 0 to 65535"),
            (b"0 1 0.1 1 1", "a.txt:1: more than four fields: click, market_price, pctr, time slot"),
            (b"0 1 \xff", "a.txt:1: not UTF-8"),
            (long.as_bytes(), "a.txt:2: the line has more than 1024 bytes"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Err(expected.to_owned()));
        }
        assert!(matches!(read_auctions(Path::new("no/such/file")), Err(AuctionsError::Open { .. })));
    }
}

//! Which file of a journal is its newest: noted beside the files, so that one that is lost at their end is missed.
//!
//! ```text
//! inkling journal: the newest file begins with frame 12
//! 9c41d0e2b7a8f615                 the first 8 bytes of the BLAKE3 hash of the line above: tells a damaged note
//! ```
//!
//! It is written when a file is begun, after the file has its name and before the first frame goes into it: a note that
//! a crash has kept from being written is one file behind, and no frame was acknowledged in that file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::disk::sync_directory;
use crate::ids::Seq;

/// Name of the note.
pub const NEWEST: &str = "journal.newest";
const WORDS: &str = "inkling journal: the newest file begins with frame ";

fn text(first: Seq) -> String {
    let line = format!("{WORDS}{}", first.0);
    let hash = blake3::hash(line.as_bytes());
    let check = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    format!("{line}\n{:016x}\n", u64::from_be_bytes(*check))
}

/// First frame of the file that is noted as the newest; `None` where none is.
///
/// # Errors
/// What the system says; `InvalidData` where the note is damaged.
pub fn read(directory: &Path) -> io::Result<Option<Seq>> {
    let found = match fs::read(directory.join(NEWEST)) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let number = std::str::from_utf8(&found).ok().and_then(|found| found.lines().next()?.strip_prefix(WORDS));
    let first = number.and_then(|number| number.parse().ok()).map(Seq).filter(|first| text(*first).as_bytes() == found);
    first.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
}

/// Notes a file as the newest, or that there is none, so that it survives a crash.
///
/// # Errors
/// What the system says.
pub fn write(directory: &Path, first: Option<Seq>) -> io::Result<()> {
    let path = directory.join(NEWEST);
    match first {
        Some(first) => {
            let unfinished = directory.join(format!("{NEWEST}.new"));
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(text(first).as_bytes()).and_then(|()| file.sync_all())?;
            fs::rename(unfinished, path)?;
        }
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_damage_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(read(path).unwrap(), None);
        for first in [1, 12, u64::MAX] {
            write(path, Some(Seq(first))).unwrap();
            assert_eq!(read(path).unwrap(), Some(Seq(first)));
        }
        let good = fs::read(path.join(NEWEST)).unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                fs::write(path.join(NEWEST), bad).unwrap();
                assert_eq!(read(path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{at} {bit}");
            }
            fs::write(path.join(NEWEST), &good[..at]).unwrap();
            assert!(read(path).is_err(), "cut at {at}");
        }
        write(path, None).unwrap();
        write(path, None).unwrap();
        assert_eq!(read(path).unwrap(), None);
    }
}

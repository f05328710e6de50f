//! What of a journal is good: every file read to its end or to the first thing that is wrong with it.

use std::sync::Arc;

use redb::Durability as Commit;

use super::JournalError;
use super::disk::{Access, Disk};
use super::error::io_cause;
use super::file::{Fingerprint, JournalFile};
use super::reader::{listed, lost};
use crate::ids::Seq;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its first frame, by its name.
    pub first: Seq,
    /// How messages call it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its last good frame; below the first that was looked at when there is none.
    pub last: Seq,
    /// Bytes of the good frames.
    pub frame_bytes: u64,
    /// What is wrong with it, or with its place behind the file before it.
    pub fault: Option<JournalError>,
}

/// Looks at all files that hold frames from one on, and at these frames alone; changes nothing.
///
/// # Errors
/// When the list of files cannot be read.
pub fn survey(disk: &dyn Disk, identity: Fingerprint, from: Seq) -> Result<Vec<Part>, JournalError> {
    let mut parts: Vec<Part> = Vec::new();
    let files = listed(disk)?;
    let begin = files.iter().rposition(|first| *first <= from).unwrap_or(0);
    for first in &files[begin..] {
        let before = parts.last().map(|part| part.last);
        parts.push(part(disk, (*first, from), identity, before));
    }
    Ok(parts)
}

/// That the newest file is gone, if so.
///
/// # Errors
/// When the list of files, or the note which is the newest, cannot be read.
pub fn missing(disk: &dyn Disk) -> Result<Option<JournalError>, JournalError> {
    lost(disk, &listed(disk)?)
}

fn part(disk: &dyn Disk, (first, from): (Seq, Seq), identity: Fingerprint, before: Option<Seq>) -> Part {
    let bytes = disk.open(first, Access::Read).and_then(|backend| backend.len()).unwrap_or(0);
    let mut part = Part {
        first,
        name: disk.name(first),
        bytes,
        last: Seq(first.max(from).0.saturating_sub(1)),
        frame_bytes: 0,
        fault: None,
    };
    part.fault = match before.map(Seq::next) {
        Some(expected) if expected < first => {
            Some(JournalError::Gap { file: part.name.clone(), expected: expected.0, found: first.0 })
        }
        Some(expected) if expected > first => Some(JournalError::Rewound { file: part.name.clone(), first: first.0 }),
        _ => read(disk, identity, from, &mut part).err(),
    };
    part
}

fn read(disk: &dyn Disk, identity: Fingerprint, from: Seq, part: &mut Part) -> Result<(), JournalError> {
    let file = JournalFile::open(disk, part.first, identity, Access::Read)?;
    let mut frames = file.frames(part.first.max(from))?;
    while let Some((seq, frame)) = frames.next()? {
        part.last = seq;
        part.frame_bytes += frame.len() as u64;
    }
    match file.last()? {
        // No later file goes on from here, or it would be in the place of this one.
        last if last.unwrap_or(Seq(part.first.0.saturating_sub(1))).next() < from => {
            let last = last.map_or(part.first.0.saturating_sub(1), |last| last.0);
            Err(JournalError::Ends { last, covered: from.0.saturating_sub(1) })
        }
        _ => Ok(()),
    }
}

/// Puts a file with the frames up to `last` alone in the place of the file that begins with `first`, at one stroke.
///
/// # Errors
/// When the frames cannot be read or written; the file is then as it was.
pub fn cut(disk: &Arc<dyn Disk>, first: Seq, last: Seq, identity: Fingerprint) -> Result<(), JournalError> {
    let unreadable = |cause| JournalError::Unreadable { file: disk.name(first), cause };
    let file = JournalFile::open(&**disk, first, identity, Access::Read)?;
    let mut frames = file.frames(first)?;
    let fresh = JournalFile::unfinished(&**disk, first, identity).map_err(unreadable)?;
    while let Some((seq, frame)) = frames.next()? {
        fresh.append(&[(seq, frame)], Commit::None).map_err(unreadable)?;
        if seq == last {
            break;
        }
    }
    fresh.close().map_err(unreadable)?;
    disk.finish(first).map_err(|error| unreadable(io_cause(&error)))
}

//! The frames that are on disk, file by file, without changing any.

use std::collections::VecDeque;
use std::sync::Arc;

use super::JournalError;
use super::disk::{Access, Disk};
use super::error::io_cause;
use super::file::{Fingerprint, Frames, JournalFile};
use crate::ids::Seq;

/// Reads a journal from one frame on.
pub struct Reader {
    disk: Arc<dyn Disk>,
    identity: Fingerprint,
    /// First frames of the files that are not begun yet.
    files: VecDeque<Seq>,
    /// The last of them, where it is open already.
    last: Option<JournalFile>,
    current: Option<Frames>,
    /// The frame whose turn it is.
    next: Seq,
    /// Whether a file was begun: the first one may hold earlier frames, any other may not.
    begun: bool,
}

/// First frames of the files that are needed to read on behind `after`, ascending.
///
/// # Errors
/// When the directory cannot be read, or what it holds begins too late.
pub(super) fn needed(disk: &dyn Disk, after: Seq) -> Result<Vec<Seq>, JournalError> {
    let all = listed(disk)?;
    if let Some(lost) = lost(disk, &all)? {
        return Err(lost);
    }
    match (all.iter().rposition(|first| *first <= after.next()), all.first()) {
        (Some(begin), _) => Ok(all[begin..].to_vec()),
        (None, Some(first)) => {
            Err(JournalError::Gap { file: disk.name(*first), expected: after.next().0, found: first.0 })
        }
        (None, None) => Ok(Vec::new()),
    }
}

/// First frames of all files, ascending.
pub(super) fn listed(disk: &dyn Disk) -> Result<Vec<Seq>, JournalError> {
    disk.list().map_err(|error| {
        let file = "the list of journal files".to_owned();
        JournalError::Unreadable { file, cause: io_cause(&error) }
    })
}

/// That the newest file is not among those that are listed, if so.
///
/// # Errors
/// When it is not to be had which one is the newest.
pub(super) fn lost(disk: &dyn Disk, all: &[Seq]) -> Result<Option<JournalError>, JournalError> {
    let newest = disk.newest().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => JournalError::Note { cause: error.to_string() },
        _ => JournalError::Unreadable { file: "journal.newest".to_owned(), cause: io_cause(&error) },
    })?;
    let lost = newest.filter(|newest| all.last().is_none_or(|last| last < newest));
    Ok(lost.map(|newest| JournalError::Lost { file: disk.name(newest) }))
}

impl Reader {
    /// Reads the frames behind `after`.
    ///
    /// # Errors
    /// When the directory cannot be read, or what it holds begins too late.
    pub fn open(disk: Arc<dyn Disk>, identity: Fingerprint, after: Seq) -> Result<Reader, JournalError> {
        let files = needed(&*disk, after)?.into();
        Ok(Reader { disk, identity, files, last: None, current: None, next: after.next(), begun: false })
    }

    /// Takes the last file as it is open, to append to it.
    pub(super) fn with_last(self, last: JournalFile) -> Reader {
        Reader { last: Some(last), ..self }
    }

    /// The next frame; `None` behind the last.
    ///
    /// # Errors
    /// When the next frame is missing or damaged, or its file is not what it should be. No later frame is returned
    /// then: nothing is passed over.
    pub fn next_frame(&mut self) -> Result<Option<(Seq, Vec<u8>)>, JournalError> {
        loop {
            if let Some(frames) = &mut self.current
                && let Some((seq, frame)) = frames.next()?
            {
                self.next = seq.next();
                return Ok(Some((seq, frame)));
            }
            self.current = None;
            let Some(&first) = self.files.front() else { return Ok(None) };
            self.current = Some(self.file(first)?.frames(self.next)?);
            self.files.pop_front();
            self.begun = true;
        }
    }

    /// Opens the file that begins with `first`, if it goes on where the one before it ended.
    fn file(&self, first: Seq) -> Result<JournalFile, JournalError> {
        if first > self.next {
            let (expected, found) = (self.next.0, first.0);
            return Err(JournalError::Gap { file: self.disk.name(first), expected, found });
        }
        if first < self.next && self.begun {
            return Err(JournalError::Rewound { file: self.disk.name(first), first: first.0 });
        }
        let is_last = self.files.len() == 1;
        let file = match &self.last {
            Some(last) if is_last => last.clone(),
            _ => JournalFile::open(&*self.disk, first, self.identity, Access::Read)?,
        };
        // A file that another one follows ends where that one begins.
        let last = if is_last { file.last()?.map_or(first.0.saturating_sub(1), |last| last.0) } else { u64::MAX };
        if last < self.next.0.saturating_sub(1) {
            return Err(JournalError::Ends { last, covered: self.next.0 - 1 });
        }
        Ok(file)
    }
}

//! Records as bytes: the content of a journal's frames, by `proto/inkling/journal/v1/journal.proto`.
//!
//! | bytes of a frame | content |
//! |---|---|
//! | 1 | [`FRAME_FORMAT`] |
//! | 2 | number of records, little-endian, at most [`FRAME_RECORDS_MAX`] |
//! | the rest | the records, each preceded by its length as a varint |
//!
//! What is written is checked by the same rules as what is read: a frame that was written can be read. Reading
//! believes nothing: whatever the bytes are, the result is records within all limits, or an error with its place.
//! Unknown fields are skipped; a change that an old reader must not skip raises the format number.
//!
//! *Invariants*: knows no files, no sequence numbers and no checksums (the journal's), no engine, and not whether
//! `at` climbs from record to record (the driver's clock) or settings name each other rightly (the configuration's).

#[cfg(test)]
pub(crate) mod arbitrary;
mod bounds;
mod event;
mod exposure;
mod fault;
mod goal;
mod rule;
#[cfg(test)]
mod samples;
mod settings;

use prost::Message;

pub use fault::{Fault, RecordError};

use crate::event::{Event, Record};
use crate::pb::journal as pb;

/// Version of the frame's layout and of the meaning of its fields.
pub const FRAME_FORMAT: u8 = 1;
/// Largest frame in bytes: below the 64 KiB that message systems carry well.
pub const GATHERED_BYTES_MAX: usize = 60 * 1024;
/// Most records of a frame.
pub const FRAME_RECORDS_MAX: usize = 4_096;
/// Largest frame of a single [`Event::Configured`], which alone may exceed [`GATHERED_BYTES_MAX`].
pub const CONFIGURED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Format and number of records.
const HEAD_BYTES: usize = 3;

/// Gathers records until a frame is full.
#[derive(Debug)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    records: usize,
}

impl Default for FrameBuilder {
    fn default() -> FrameBuilder {
        FrameBuilder { bytes: vec![0; HEAD_BYTES], records: 0 }
    }
}

impl FrameBuilder {
    /// A frame without records.
    pub fn new() -> FrameBuilder {
        FrameBuilder::default()
    }

    /// Adds a record; `false` when it does not fit any more: [`take`](FrameBuilder::take) the frame, push it again.
    ///
    /// An empty frame takes every valid record. Settings too large for a common frame get one of their own.
    ///
    /// # Errors
    /// When the record breaks a limit, so that it could not be read again. The frame stays as it is.
    pub fn push(&mut self, record: &Record) -> Result<bool, RecordError> {
        let at = |fault| RecordError::Record { index: self.records, fault };
        bounds::check(record).map_err(at)?;
        let written = event::write(record);
        let length = written.encoded_len();
        let bytes = self.bytes.len() + prost::length_delimiter_len(length) + length;
        let bytes_max = if self.is_empty() { frame_bytes_max(record) } else { GATHERED_BYTES_MAX };
        if self.is_empty() && bytes > bytes_max {
            return Err(at(Fault::TooLarge { bytes, limit: bytes_max }));
        }
        if bytes > bytes_max || self.records == FRAME_RECORDS_MAX {
            return Ok(false);
        }
        written.encode_length_delimited(&mut self.bytes).expect("a vector grows as needed");
        self.records += 1;
        Ok(true)
    }

    /// Whether no record was added since the last frame was taken.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Records gathered so far.
    pub fn len(&self) -> usize {
        self.records
    }

    /// The finished frame; the builder is empty again.
    pub fn take(&mut self) -> Vec<u8> {
        let FrameBuilder { mut bytes, records } = std::mem::take(self);
        bytes[0] = FRAME_FORMAT;
        bytes[1..HEAD_BYTES].copy_from_slice(&(records as u16).to_le_bytes());
        bytes
    }
}

/// How large a frame may be in which this record is the first.
fn frame_bytes_max(first: &Record) -> usize {
    match first.event {
        Event::Configured(_) => CONFIGURED_BYTES_MAX,
        _ => GATHERED_BYTES_MAX,
    }
}

/// Writes records into one frame.
///
/// # Errors
/// When a record breaks a limit, or not all of them fit.
pub fn encode_frame(records: &[Record]) -> Result<Vec<u8>, RecordError> {
    let mut frame = FrameBuilder::new();
    for record in records {
        if !frame.push(record)? {
            return Err(RecordError::Full { index: frame.len(), bytes_max: GATHERED_BYTES_MAX });
        }
    }
    Ok(frame.take())
}

/// Reads the records of a frame.
///
/// # Errors
/// When the bytes are not a frame of this format with valid records; says which record and what is wrong with it.
pub fn decode_frame(frame: &[u8]) -> Result<Vec<Record>, RecordError> {
    let (head, mut rest) = frame.split_first_chunk::<HEAD_BYTES>().ok_or(RecordError::NoHead { bytes: frame.len() })?;
    if head[0] != FRAME_FORMAT {
        return Err(RecordError::Format { found: head[0] });
    }
    let count = usize::from(u16::from_le_bytes([head[1], head[2]]));
    if count > FRAME_RECORDS_MAX {
        return Err(RecordError::TooMany { count });
    }
    let bytes_max = if count == 1 { CONFIGURED_BYTES_MAX } else { GATHERED_BYTES_MAX };
    if frame.len() > bytes_max {
        return Err(RecordError::TooLarge { bytes: frame.len(), count, limit: bytes_max });
    }
    let mut records = Vec::with_capacity(count);
    for index in 0..count {
        records.push(read_record(&mut rest).map_err(|fault| RecordError::Record { index, fault })?);
    }
    if !rest.is_empty() {
        return Err(RecordError::Trailing { bytes: rest.len(), count });
    }
    if let Some(first) = records.first().filter(|first| frame.len() > frame_bytes_max(first)) {
        return Err(RecordError::TooLarge { bytes: frame.len(), count, limit: frame_bytes_max(first) });
    }
    Ok(records)
}

/// Reads one record and moves behind it.
fn read_record(rest: &mut &[u8]) -> Result<Record, Fault> {
    let record = pb::Record::decode_length_delimited(rest)?;
    let record = event::read(record)?;
    bounds::check(&record)?;
    Ok(record)
}

#[cfg(test)]
mod tests;

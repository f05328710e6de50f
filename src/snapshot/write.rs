//! Writing one snapshot file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::layout::{CHUNK_BYTES_MAX, Checksum, ChunkHead, Content, Head};
use super::shelf::{TEMPORARY, file_name, sync_directory};
use super::{Covers, SnapshotError};
use crate::engine::{Digest, DigestSum, Entries};
use crate::event::{Event, Record};
use crate::record::encode_frame;
use crate::settings::Settings;

/// Level of zstd: 1 makes files a sixth smaller, and reading them takes a fifth more of the processor.
const LEVEL: i32 = -3;

/// A snapshot that is being written, under a temporary name. Whoever drops it before its end gives it up.
pub struct SnapshotWriter {
    file: File,
    directory: PathBuf,
    temporary: PathBuf,
    covers: Covers,
    head: Checksum,
    chunks: u32,
    entries: u64,
    bytes: u64,
    sum: DigestSum,
    packer: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
    is_finished: bool,
}

/// A snapshot that is whole and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// What it is of.
    pub covers: Covers,
    /// Its size.
    pub bytes: u64,
    /// Entries of the image.
    pub entries: u64,
    /// Digest of the state that it holds.
    pub digest: Digest,
}

impl SnapshotWriter {
    /// Begins a snapshot in a directory.
    ///
    /// # Errors
    /// When the file cannot be written, or the settings do not fit.
    pub fn create(directory: &Path, covers: Covers, settings: &Settings) -> Result<SnapshotWriter, SnapshotError> {
        let temporary = directory.join(format!("{}{TEMPORARY}", file_name(covers.seq)));
        let failed = |source| SnapshotError::Io { path: temporary.clone(), doing: "creating it", source };
        // Its mode would stay as it is if there was one from before.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(failed)?;
        let packer = zstd::bulk::Compressor::new(LEVEL).map_err(failed)?;
        let (head, bytes) = Head::new(covers);
        let mut sum = DigestSum::default();
        sum.add_settings(settings);
        let mut writer = SnapshotWriter {
            file,
            directory: directory.to_owned(),
            temporary,
            covers,
            head: head.checksum,
            chunks: 0,
            entries: 0,
            bytes: 0,
            sum,
            packer,
            packed: Vec::new(),
            is_finished: false,
        };
        writer.write(&bytes)?;
        let event = Event::Configured(Box::new(settings.clone()));
        let record = Record { at: covers.at, occurred_at: covers.at, event_id: None, event };
        writer.chunk(Content::Settings, &encode_frame(&[record])?)?;
        Ok(writer)
    }

    /// Adds entries.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn push(&mut self, entries: &Entries) -> Result<(), SnapshotError> {
        if entries.is_empty() {
            return Ok(());
        }
        for entry in Entries::read(entries.as_bytes()) {
            self.sum.add(entry.expect("entries hold entries"));
            self.entries += 1;
        }
        self.chunk(Content::Entries, entries.as_bytes())
    }

    /// Makes the snapshot whole and durable, and gives it its name if `behind` then says so.
    ///
    /// # Errors
    /// When anything of that fails: then there is no snapshot of that name, or one from before.
    pub fn finish(mut self, behind: impl FnOnce() -> bool) -> Result<Written, SnapshotError> {
        let digest = self.sum.digest();
        let end = [&self.entries.to_le_bytes()[..], &digest.0.to_le_bytes()].concat();
        self.chunk(Content::End, &end)?;
        self.file.sync_all().map_err(|source| self.failed("syncing it", source))?;
        if !behind() {
            return Err(SnapshotError::GivenUp);
        }
        let path = self.directory.join(file_name(self.covers.seq));
        fs::rename(&self.temporary, &path).map_err(|source| self.failed("renaming it", source))?;
        self.is_finished = true;
        sync_directory(&self.directory)?;
        Ok(Written { path, covers: self.covers, bytes: self.bytes, entries: self.entries, digest })
    }

    fn chunk(&mut self, content: Content, bytes: &[u8]) -> Result<(), SnapshotError> {
        if bytes.len() > CHUNK_BYTES_MAX {
            let source = io::Error::other(format!("a chunk of {} bytes, at most {CHUNK_BYTES_MAX}", bytes.len()));
            return Err(self.failed("packing it", source));
        }
        let mut packed = std::mem::take(&mut self.packed);
        packed.resize(zstd::zstd_safe::compress_bound(bytes.len()), 0);
        let length = self.packer.compress_to_buffer(bytes, &mut packed[..]);
        let length = length.map_err(|source| self.failed("packing it", source))?;
        let head = ChunkHead::new(&self.head, content, self.chunks, bytes.len() as u32, &packed[..length]);
        self.write(&head.to_bytes())?;
        self.write(&packed[..length])?;
        self.packed = packed;
        self.chunks += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| self.failed("writing it", source))
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> SnapshotError {
        SnapshotError::Io { path: self.temporary.clone(), doing, source }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // What stays behind is cleared away at the next start.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

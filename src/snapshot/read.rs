//! Reading one snapshot file: one thread reads, several check, unpack and place.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::layout::{
    CHUNK_BYTES_MAX, CHUNK_HEAD_BYTES, Checksum, ChunkHead, Content, END_BYTES, FORMAT, HEAD_BYTES, Head,
};
use super::{Covers, Damage, Fingerprint, SnapshotError};
use crate::engine::{Digest, Engine, Entries, Restoring};
use crate::event::Event;
use crate::record::decode_frame;
use crate::settings::Settings;

/// Chunks that wait for each thread.
const WAITING: usize = 2;

/// A state that was read.
#[derive(Debug)]
pub struct Loaded {
    /// It goes on from here.
    pub engine: Engine,
    /// What the snapshot is of.
    pub covers: Covers,
    /// What the digest was when it was written.
    pub digest: Digest,
    /// The file.
    pub path: PathBuf,
}

/// What is wrong, and where in the file.
type Fault = (u64, Damage);

/// A chunk as it stands in the file.
struct Chunk {
    offset: u64,
    head: ChunkHead,
    stored: Vec<u8>,
}

/// Reads a snapshot with so many threads, at least one.
///
/// # Errors
/// When the file cannot be read, is damaged, of a later format, or of another identity key.
pub fn load(path: &Path, fingerprint: Fingerprint, threads: usize) -> Result<Loaded, SnapshotError> {
    let (mut input, head) = open(path)?;
    if head.covers.fingerprint != fingerprint {
        return Err(SnapshotError::ForeignKey { path: path.to_owned() });
    }
    let damaged = |fault| wrong(path, fault);
    let (engine, digest) = restore(&mut input, &head.checksum, threads.max(1)).map_err(damaged)?;
    Ok(Loaded { engine, covers: head.covers, digest, path: path.to_owned() })
}

/// Reads a snapshot and believes its checksums: what it is of, and the digest of the state that it holds. No engine is
/// made of it.
///
/// # Errors
/// As [`load`], but for what only an engine finds.
pub fn check(path: &Path) -> Result<(Covers, Digest), SnapshotError> {
    let damaged = |fault| wrong(path, fault);
    let (mut input, head) = open(path)?;
    let mut entries = 0;
    for place in 0.. {
        let chunk = input.chunk(place).map_err(damaged)?;
        let bytes = unpack(&head.checksum, &chunk).map_err(damaged)?;
        match chunk.head.content {
            Content::Settings => {}
            Content::Entries => entries += Entries::read(&bytes).count() as u64,
            Content::End => {
                let digest =
                    read_end(&bytes, Content::End, entries).map_err(|damage| damaged((chunk.offset, damage)))?;
                input.end().map_err(damaged)?;
                return Ok((head.covers, digest));
            }
        }
    }
    Err(damaged((input.offset, Damage::Cut)))
}

/// What is wrong with a file: it is damaged, or its disk does not give it back.
fn wrong(path: &Path, (offset, damage): Fault) -> SnapshotError {
    let path = path.to_owned();
    match damage {
        Damage::Unreadable(error) => SnapshotError::Unreadable { path, offset, error },
        damage => SnapshotError::Damaged { path, offset, damage },
    }
}

/// The format that a file says it is of.
///
/// # Errors
/// When the file cannot be read, its head is damaged, or it is of a later format.
pub fn format_of(path: &Path) -> Result<u32, SnapshotError> {
    open(path).map(|(_, head)| head.format)
}

/// Opens a file and reads its head.
fn open(path: &Path) -> Result<(Input, Head), SnapshotError> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) =
        opened.map_err(|source| SnapshotError::Io { path: path.to_owned(), doing: "opening it", source })?;
    let mut input = Input { file: BufReader::with_capacity(1 << 20, file), offset: 0, length };
    let head = input.take::<HEAD_BYTES>().and_then(|bytes| Head::read(&bytes).map_err(|damage| (0, damage)));
    let head = head.map_err(|fault| wrong(path, fault))?;
    if head.format > FORMAT {
        return Err(SnapshotError::Future { path: path.to_owned(), found: head.format });
    }
    Ok((input, head))
}

fn restore(input: &mut Input, file: &Checksum, threads: usize) -> Result<(Engine, Digest), Fault> {
    let first = input.chunk(0)?;
    let settings = read_settings(&unpack(file, &first)?).map_err(|damage| (first.offset, damage))?;
    if first.head.content != Content::Settings {
        return Err((first.offset, Damage::OutOfPlace));
    }
    let (restoring, entries, failure) = (Restoring::new(), AtomicU64::new(0), Mutex::new(None));
    let place = |chunk: Chunk| {
        let taken = unpack(file, &chunk).and_then(|bytes| {
            entries.fetch_add(Entries::read(&bytes).count() as u64, Relaxed);
            restoring.take(&bytes).map_err(|error| (chunk.offset, error.into()))
        });
        taken.unwrap_or_else(|fault| note(&failure, fault));
    };
    let (sender, receiver) = sync_channel(WAITING * threads);
    let receiver = Mutex::new(receiver);
    let end = thread::scope(|scope| {
        // Dropped at the end of this block: then the threads end.
        let sender = sender;
        let work = || {
            while let Some(chunk) = next(&receiver) {
                place(chunk);
            }
        };
        let named = |number| thread::Builder::new().name(format!("inkling-load-{number}"));
        let crew = (0..threads).filter(|number| named(*number).spawn_scoped(scope, work).is_ok()).count();
        // Behind the settings, up to the first chunk that holds no entries.
        for number in 1.. {
            let chunk = match input.chunk(number) {
                Ok(chunk) => chunk,
                Err(fault) => {
                    note(&failure, fault);
                    return None;
                }
            };
            match chunk.head.content {
                // Where the system gives no thread, this one does the work.
                Content::Entries if crew == 0 => place(chunk),
                Content::Entries => sender.send(chunk).expect("the receiver lives as long as this function"),
                Content::Settings | Content::End => return Some(chunk),
            }
        }
        None
    });
    if let Some(fault) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(fault);
    }
    let end = end.ok_or((input.offset, Damage::Cut))?;
    let digest = read_end(&unpack(file, &end)?, end.head.content, entries.into_inner());
    let digest = digest.map_err(|damage| (end.offset, damage))?;
    input.end()?;
    let engine = restoring.finish(settings).map_err(|error| (0, error.into()))?;
    Ok((engine, digest))
}

fn next(receiver: &Mutex<Receiver<Chunk>>) -> Option<Chunk> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Keeps the fault that stands first in the file.
fn note(failure: &Mutex<Option<Fault>>, fault: Fault) {
    let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
    if first.as_ref().is_none_or(|(offset, _)| fault.0 < *offset) {
        *first = Some(fault);
    }
}

fn unpack(file: &Checksum, chunk: &Chunk) -> Result<Vec<u8>, Fault> {
    let at = |damage| (chunk.offset, damage);
    if chunk.head.checksum_of(file, &chunk.stored) != chunk.head.checksum {
        return Err(at(Damage::Checksum));
    }
    let length = chunk.head.bytes as usize;
    let bytes = zstd::bulk::decompress(&chunk.stored, length).map_err(|_| at(Damage::Packed))?;
    if bytes.len() == length { Ok(bytes) } else { Err(at(Damage::Packed)) }
}

fn read_settings(frame: &[u8]) -> Result<Settings, Damage> {
    match decode_frame(frame)?.pop().map(|record| record.event) {
        Some(Event::Configured(settings)) => Ok(*settings),
        _ => Err(Damage::OutOfPlace),
    }
}

fn read_end(bytes: &[u8], content: Content, found: u64) -> Result<Digest, Damage> {
    let bytes: &[u8; END_BYTES] = bytes.try_into().map_err(|_| Damage::OutOfPlace)?;
    if content != Content::End {
        return Err(Damage::OutOfPlace);
    }
    let expected = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    if found != expected {
        return Err(Damage::Count { found, expected });
    }
    Ok(Digest(u128::from_le_bytes(bytes[8..].try_into().expect("sixteen bytes"))))
}

/// The file, front to back.
struct Input {
    file: BufReader<File>,
    offset: u64,
    length: u64,
}

impl Input {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).map(|()| bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Damage::Cut,
            _ => Damage::Unreadable(error),
        };
        self.file.read_exact(bytes).map_err(|error| (self.offset, cut(error)))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// The end, and nothing beyond it.
    fn end(&self) -> Result<(), Fault> {
        if self.offset == self.length { Ok(()) } else { Err((self.offset, Damage::Trailing)) }
    }

    /// The next chunk, at its place.
    fn chunk(&mut self, place: u32) -> Result<Chunk, Fault> {
        let offset = self.offset;
        let head = ChunkHead::read(&self.take::<CHUNK_HEAD_BYTES>()?).map_err(|damage| (offset, damage))?;
        // What a damaged head asks for is not believed beyond what the file has.
        if u64::from(head.stored) > self.length - self.offset.min(self.length) {
            return Err((offset, Damage::Cut));
        }
        if head.bytes as usize > CHUNK_BYTES_MAX || head.place != place {
            return Err((offset, Damage::OutOfPlace));
        }
        let mut stored = vec![0; head.stored as usize];
        self.fill(&mut stored)?;
        Ok(Chunk { offset, head, stored })
    }
}

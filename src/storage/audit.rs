//! Whether all of a directory is what was written, and what a start would make of it.
//!
//! A start reads the newest sound snapshot and the journal behind it. There may be more: older snapshots, the journal
//! below the newest one, damaged snapshots that a start passes over. What is damaged of these keeps no service from
//! starting, and yet it is missing when something else breaks.

use thiserror::Error;

use super::ground::check_base;
use super::{Directory, Recovered, RecoveryError, StorageError, recover};
use crate::engine::{Digest, Engine};
use crate::ids::Seq;
use crate::snapshot::{self, Loaded, SnapshotError};
use crate::units::Timestamp;

/// Threads that read a snapshot.
const THREADS: usize = 2;

/// What is in a directory.
#[derive(Debug)]
pub struct Audit {
    /// Journal files.
    pub files: usize,
    /// Snapshots, sound or not.
    pub snapshots: usize,
    /// The last frame before those that were read.
    pub after: Seq,
    /// Frames and records that were read.
    pub read: Recovered,
    /// The snapshot that a start goes on from.
    pub start: Option<Seq>,
    /// State as a start would have it: its last frame.
    pub seq: Seq,
    /// The engine's clock.
    pub now: Timestamp,
    /// Its digest.
    pub digest: Digest,
    /// Digest of what the earliest beginning and the journal behind it give. An engine of another version has written
    /// the snapshot where it is another one.
    pub from_earliest: Digest,
    /// What is damaged and not needed by a start.
    pub faults: Vec<AuditError>,
}

/// What is wrong with a directory.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The directory, a snapshot or the journal.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The journal, or what is in it.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// A snapshot that no start uses.
    #[error("{0}: a start passes it over; move it away, or leave it to the next snapshots to replace it")]
    Passed(SnapshotError),
}

/// Reads all of a directory. `watch` is told of each frame of the longest way through it.
///
/// # Errors
/// For what keeps a service from starting.
pub fn audit(directory: &Directory, mut watch: impl FnMut(Seq)) -> Result<Audit, AuditError> {
    let (shelf, fingerprint) = (directory.shelf(), directory.identity().fingerprint());
    let files = directory.journal_files()?;
    let snapshots = shelf.list().map_err(StorageError::from)?;
    let found = shelf.newest(fingerprint, THREADS).map_err(StorageError::from)?;
    check_base(directory, &found)?;
    let mut faults: Vec<AuditError> = found.damaged.into_iter().map(AuditError::Passed).collect();
    let start = found.loaded.as_ref().map(|loaded| loaded.covers.seq);
    let mut sound = Vec::new();
    for seq in snapshots.iter().filter(|seq| start.is_some_and(|start| **seq < start)) {
        match shelf.check(*seq, fingerprint) {
            Ok(_) => sound.push(*seq),
            Err(error) => faults.push(AuditError::Passed(error)),
        }
    }
    let earliest = beginning(&files, &sound);
    let (mut engine, after) = state(found.loaded);
    let is_all = earliest.is_none_or(|earliest| earliest == after);
    let mut ignore = |_| {};
    let told: &mut dyn FnMut(Seq) = if is_all { &mut watch } else { &mut ignore };
    let read = through(directory, &mut engine, after, told)?;
    let (seq, now, digest) = (read.seq, engine.now(), engine.digest());
    let (files, snapshots) = (files.len(), snapshots.len());
    let audit =
        Audit { files, snapshots, after, read, start, seq, now, digest, from_earliest: digest, faults: Vec::new() };
    drop(engine);
    let Some(earliest) = earliest.filter(|_| !is_all) else { return Ok(Audit { faults, ..audit }) };
    // Not before the other engine is gone: two may be more than a machine that serves one has memory for.
    match through_all(directory, earliest, &mut watch) {
        Ok((read, from_earliest)) => Ok(Audit { after: earliest, read, from_earliest, faults, ..audit }),
        Err(fault) => {
            faults.push(fault);
            Ok(Audit { faults, ..audit })
        }
    }
}

/// The last frame that the earliest state has seen from which the journal can be read on: none, or, where the journal's
/// beginning is let go, those of the oldest of these snapshots that it goes on from.
fn beginning(files: &[Seq], snapshots: &[Seq]) -> Option<Seq> {
    let first = *files.first()?;
    if first <= Seq(1) { Some(Seq(0)) } else { snapshots.iter().copied().find(|seq| seq.next() >= first) }
}

/// Reads the journal behind a snapshot, or from its first frame; and the digest of the state in the end.
fn through_all(
    directory: &Directory,
    after: Seq,
    watch: &mut dyn FnMut(Seq),
) -> Result<(Recovered, Digest), AuditError> {
    let mut engine = match after {
        Seq(0) => Engine::new(),
        seq => {
            let (path, fingerprint) = (directory.shelf().path(seq), directory.identity().fingerprint());
            snapshot::load(&path, fingerprint, THREADS).map_err(AuditError::Passed)?.engine
        }
    };
    let read = through(directory, &mut engine, after, watch)?;
    Ok((read, engine.digest()))
}

fn through(
    directory: &Directory,
    engine: &mut Engine,
    after: Seq,
    watch: &mut dyn FnMut(Seq),
) -> Result<Recovered, AuditError> {
    let mut reader = directory.reader(after).map_err(|source| RecoveryError::Journal { after, source })?;
    Ok(recover(engine, after, || reader.next_frame(), watch)?)
}

fn state(loaded: Option<Loaded>) -> (Engine, Seq) {
    loaded.map_or_else(|| (Engine::new(), Seq(0)), |loaded| (loaded.engine, loaded.covers.seq))
}

/// The earliest state from which the journal can be read on, and the last frame that it has seen: nothing, or, where
/// the journal's beginning is let go, the oldest sound snapshot that it goes on from.
///
/// # Errors
/// When the directory or a snapshot cannot be read.
pub fn earliest(directory: &Directory) -> Result<(Engine, Seq), StorageError> {
    let (shelf, files) = (directory.shelf(), directory.journal_files()?);
    let mut snapshots = shelf.list()?;
    while let Some(seq) = beginning(&files, &snapshots).filter(|seq| *seq > Seq(0)) {
        match snapshot::load(&shelf.path(seq), directory.identity().fingerprint(), THREADS) {
            Ok(loaded) if loaded.covers.seq == seq => return Ok((loaded.engine, seq)),
            Ok(_) | Err(SnapshotError::Damaged { .. }) => snapshots.retain(|other| *other > seq),
            Err(error) => return Err(error.into()),
        }
    }
    // Where there should be one and is none, the journal itself says what is missing.
    Ok((Engine::new(), Seq(0)))
}

//! Taking a snapshot of an engine at work.
//!
//! The thread that owns the engine hands out slices between records; a thread of the snapshot's own walks the profiles,
//! and packs, checks and writes everything. Neither waits for the other: when the file is behind, there is no slice.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::thread;

use super::write::{SnapshotWriter, Written};
use super::{Covers, SnapshotError};
use crate::engine::{Engine, Entries, ProfileWalk};
use crate::settings::Settings;

/// Bytes of one slice: about a tenth of a millisecond.
const SLICE_BYTES: usize = 128 << 10;
/// Room for what is copied when a snapshot begins: one that grew would be moved to new memory again and again.
const LISTS_BYTES: usize = 1 << 20;
/// Slices that wait to be written.
const SLICES_WAITING: usize = 8;
/// Bytes of profiles in one chunk of the file.
const CHUNK_BYTES: usize = 1 << 20;

/// A snapshot that is being taken.
#[derive(Debug)]
pub struct Taking {
    /// `None` once all slices are handed out.
    slices: Option<SyncSender<Slice>>,
    /// A slice that the file had no room for.
    held: Option<Slice>,
    outcome: Receiver<Result<Written, SnapshotError>>,
}

/// How far a snapshot is.
#[derive(Debug)]
pub enum Progress {
    /// There is more to hand out: come again soon.
    Working,
    /// The file is behind, or being finished: come again when woken.
    Waiting,
    /// It is whole and durable, or there is none.
    Over(Result<Written, SnapshotError>),
}

/// Called by the thread that writes whenever there is something new for [`Taking::step`].
pub type Wake = Box<dyn Fn() + Send>;

/// Asked by the thread that writes, once the file is durable and before it gets its name: waits until the journal holds
/// for good what the snapshot covers. `false` gives the snapshot up.
pub type Behind = Box<dyn FnOnce() -> bool + Send>;

/// A part of what the engine's own thread hands out.
#[derive(Debug)]
struct Slice {
    entries: Entries,
    /// Without this one there is no snapshot: who hands slices out may go before.
    is_last: bool,
}

/// What the thread works on.
struct Work {
    directory: PathBuf,
    covers: Covers,
    settings: Settings,
    lists: Entries,
    walk: ProfileWalk,
    slices: Receiver<Slice>,
}

impl Taking {
    /// Begins a snapshot of the state as it is now, for which there may be a file once `behind` says so: a snapshot of
    /// frames that a crash takes from the journal would leave a hole behind it. `None` while an earlier one is not at
    /// its end.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(
        engine: &mut Engine,
        directory: &Path,
        covers: Covers,
        behind: Behind,
        wake: Wake,
    ) -> Result<Option<Taking>, SnapshotError> {
        let mut lists = Entries::with_room(LISTS_BYTES);
        let Some(walk) = engine.begin_image(&mut lists) else { return Ok(None) };
        let (sender, slices) = sync_channel(SLICES_WAITING);
        let settings = engine.catalog().settings().clone();
        let work = Work { directory: directory.to_owned(), covers, settings, lists, walk, slices };
        let (tell, outcome) = channel();
        let run = move || {
            // Who asked may have gone.
            let _ = tell.send(work.run(behind, &wake));
            wake();
        };
        match thread::Builder::new().name("inkling-snapshot".into()).spawn(run) {
            Ok(_) => Ok(Some(Taking { slices: Some(sender), held: None, outcome })),
            Err(source) => {
                engine.stop_image();
                Err(SnapshotError::Io { path: directory.to_owned(), doing: "starting a thread for a snapshot", source })
            }
        }
    }

    /// Hands out a slice, if there is room for one.
    pub fn step(&mut self, engine: &mut Engine) -> Progress {
        match self.outcome.try_recv() {
            Err(TryRecvError::Empty) => {}
            over => {
                engine.stop_image();
                return Progress::Over(over.unwrap_or(Err(SnapshotError::Thread)));
            }
        }
        let Some(slices) = &self.slices else { return Progress::Waiting };
        let slice = self.held.take().unwrap_or_else(|| next_slice(engine));
        let is_last = slice.is_last;
        match slices.try_send(slice) {
            Ok(()) if is_last => {
                self.slices = None;
                Progress::Waiting
            }
            Ok(()) => Progress::Working,
            Err(TrySendError::Full(slice)) => {
                self.held = Some(slice);
                Progress::Waiting
            }
            // The thread has failed, and is about to say so.
            Err(TrySendError::Disconnected(_)) => Progress::Waiting,
        }
    }

    /// Hands out the rest, as fast as it is written, and waits until the snapshot is whole and durable.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self, engine: &mut Engine) -> Result<Written, SnapshotError> {
        if let Some(slices) = self.slices.take() {
            let mut is_open = true;
            while is_open {
                let slice = self.held.take().unwrap_or_else(|| next_slice(engine));
                is_open = !slice.is_last;
                // If the thread has failed, it says why below.
                is_open &= slices.send(slice).is_ok();
            }
        }
        let outcome = self.outcome.recv();
        engine.stop_image();
        outcome.unwrap_or(Err(SnapshotError::Thread))
    }
}

fn next_slice(engine: &mut Engine) -> Slice {
    // An entry may end a little behind the slice.
    let mut slice = Slice { entries: Entries::with_room(SLICE_BYTES * 3 / 2), is_last: false };
    slice.is_last = engine.image_slice(SLICE_BYTES, &mut slice.entries);
    slice
}

impl Work {
    fn run(mut self, behind: Behind, wake: &Wake) -> Result<Written, SnapshotError> {
        let mut writer = SnapshotWriter::create(&self.directory, self.covers, &self.settings)?;
        writer.push(&self.lists)?;
        // Filled under the locks of maps, each of which may end a little behind the chunk.
        let mut profiles = Entries::with_memory(CHUNK_BYTES * 3 / 2);
        let mut is_walking = true;
        let mut is_open = true;
        while is_walking || is_open {
            // Slices come first: they are in the way of the thread that owns the engine.
            let slice = match is_walking {
                true => self.slices.try_recv(),
                false => self.slices.recv().map_err(TryRecvError::from),
            };
            match slice {
                Ok(slice) => {
                    writer.push(&slice.entries)?;
                    is_open = !slice.is_last;
                    wake();
                    continue;
                }
                Err(TryRecvError::Disconnected) if is_open => return Err(SnapshotError::GivenUp),
                Err(_) => {}
            }
            if is_walking {
                is_walking = self.walk.step(&mut profiles);
            }
            if profiles.len() >= CHUNK_BYTES || !is_walking {
                writer.push(&profiles)?;
                profiles.clear();
            }
        }
        writer.finish(behind)
    }
}

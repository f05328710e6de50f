//! What the service goes on from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Directory, StorageError};
use crate::engine::Engine;
use crate::ids::Seq;
use crate::journal::{Journal, MemoryJournal, Options};
use crate::snapshot::{Fingerprint, Found, Shelf};

/// Follows a recovery: so many of so many frames are applied.
pub type Watch = Box<dyn FnMut(u64, u64) + Send>;

/// State as of one frame, and the journal behind it.
pub struct Ground {
    /// State that has seen all frames up to `after`.
    pub engine: Engine,
    /// The last frame that it has seen; 0 for none.
    pub after: Seq,
    /// The journal, open behind that frame. What is stored in it is yet to be applied.
    pub journal: Box<dyn Journal>,
    /// Told how far that has come.
    pub watch: Watch,
    /// When and where snapshots are taken; `None` for never.
    pub snapshots: Option<SnapshotPlan>,
    /// Told what an operator should know, at once.
    pub tell: Tell,
}

/// When and where snapshots are taken.
pub struct SnapshotPlan {
    /// Where they stand.
    pub shelf: Shelf,
    /// Of the identity key.
    pub fingerprint: Fingerprint,
    /// Time between the beginnings of two.
    pub interval: Duration,
    /// How many are kept, at least one.
    pub kept: usize,
    /// Told what an operator should know.
    pub tell: Tell,
}

/// Told in one sentence what an operator should know.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Time between two snapshots, unless something else is said.
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(300);
/// How many snapshots are kept, unless something else is said.
pub const SNAPSHOTS_KEPT: usize = 2;

impl Ground {
    /// Nothing; and nothing outlives the process.
    pub fn in_memory() -> Ground {
        let journal = Box::new(MemoryJournal::new());
        let (watch, tell) = (Box::new(|_, _| {}), Arc::new(|_: &str| {}));
        Ground { engine: Engine::new(), after: Seq(0), journal, watch, snapshots: None, tell }
    }

    /// What a data directory holds: the newest sound snapshot, and the journal behind it. `tell` is told of damaged
    /// snapshots now, and of what happens to later ones.
    ///
    /// # Errors
    /// When the newest snapshot is of a later format or another identity key, or cannot be read; when the journal's
    /// first frames are missing, or its last file is damaged or foreign. What else is wrong with the journal is found
    /// when its frames are applied.
    pub fn stored(directory: &Directory, options: Options, watch: Watch, tell: Tell) -> Result<Ground, StorageError> {
        let (shelf, fingerprint) = (directory.shelf(), directory.identity().fingerprint());
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(LOAD_THREADS_MAX);
        let found = shelf.newest(fingerprint, threads)?;
        check_base(directory, &found)?;
        for error in &found.damaged {
            tell(&format!("{error}: it is set aside, and the start goes on from an older one or the journal alone"));
            shelf.set_aside(error)?;
        }
        let (engine, after) = match found.loaded {
            Some(loaded) => (loaded.engine, loaded.covers.seq),
            None => (Engine::new(), Seq(0)),
        };
        let journal = Box::new(directory.journal(after, options)?);
        let (interval, kept) = (SNAPSHOT_INTERVAL, SNAPSHOTS_KEPT);
        let snapshots = Some(SnapshotPlan { shelf, fingerprint, interval, kept, tell: Arc::clone(&tell) });
        Ok(Ground { engine, after, journal, watch, snapshots, tell })
    }
}

/// That there is something to start from. Damaged snapshots without a journal, as in a copy, are not the same as an
/// empty directory.
///
/// # Errors
/// When there is not, with what is damaged.
pub(super) fn check_base(directory: &Directory, found: &Found) -> Result<(), StorageError> {
    let (None, Some(error)) = (&found.loaded, found.damaged.first()) else { return Ok(()) };
    match directory.journal_files()?.first() {
        Some(_) => Ok(()),
        None => Err(StorageError::NothingSound { path: directory.path().to_owned(), damage: error.to_string() }),
    }
}

/// Most threads that read a snapshot: one thread reads the file, and they wait for it.
const LOAD_THREADS_MAX: usize = 16;

impl fmt::Debug for Ground {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ground").field("after", &self.after).finish_non_exhaustive()
    }
}

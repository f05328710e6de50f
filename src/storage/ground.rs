//! What the service goes on from.

use std::fmt;

use super::Directory;
use crate::engine::Engine;
use crate::ids::Seq;
use crate::journal::{Journal, JournalError, MemoryJournal, Options};

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
}

impl Ground {
    /// Nothing; and nothing outlives the process.
    pub fn in_memory() -> Ground {
        let journal = Box::new(MemoryJournal::new());
        Ground { engine: Engine::new(), after: Seq(0), journal, watch: Box::new(|_, _| {}) }
    }

    /// What a data directory holds.
    ///
    /// # Errors
    /// When the journal's first frames are missing, or its last file is damaged or foreign. What else is wrong with it
    /// is found when its frames are applied.
    pub fn stored(directory: &Directory, options: Options, watch: Watch) -> Result<Ground, JournalError> {
        let (engine, after) = (Engine::new(), Seq(0));
        let journal = Box::new(directory.journal(after, options)?);
        Ok(Ground { engine, after, journal, watch })
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ground").field("after", &self.after).finish_non_exhaustive()
    }
}

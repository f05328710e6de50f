//! The data directory: what of the service outlives the process, and how state comes out of it again.
//!
//! | file | what |
//! |---|---|
//! | `inkling.format` | that this is such a directory, and of which format; written last when one is made |
//! | `inkling.lock` | locked by the one process that works here; holds its number |
//! | `identity.key` | the secret by which user ids become keys: readable by its owner only, never changed |
//! | `token.key` | the secret under which tokens are sealed, so that they outlive a restart |
//! | `token.key.1` … `.4` | former ones, the latest first, whose tokens are still opened |
//! | `journal-<first frame>.redb` | the journal: see [`crate::journal`] |
//! | `journal.newest` | which of its files is the newest |
//! | `snapshot-<last frame>.inkling` | the state up to that frame: see [`crate::snapshot`] |
//!
//! State is what an engine becomes that is given the journal's frames in their order ([`recover`]); a snapshot spares
//! those up to its last one.
//!
//! *Invariants.* Knows files and the engine; no sockets, no configuration and no command line. Nothing here changes a
//! frame; only [`repair`], on request, drops some, and keeps what it drops.

mod audit;
mod backup;
mod directory;
mod export;
mod ground;
mod keys;
mod lock;
mod recovery;
mod repair;
mod secret;

pub use audit::{Audit, AuditError, audit, earliest};
pub use backup::{Backup, back_up};
pub use directory::{Directory, StorageError};
pub use export::{ExportError, Exported, Selection, export};
pub use ground::{Ground, SNAPSHOT_INTERVAL, SNAPSHOTS_KEPT, SnapshotPlan, Tell, Watch};
pub use keys::{Rotated, rotate_token_key};
pub use recovery::{Recovered, RecoveryError, recover};
pub use repair::{Plan, check_owner, place_of_copies, repair};

//! Snapshots: the whole state in one file, from which a start goes on instead of from the first record.
//!
//! `snapshot-<seq>.inkling` covers the frames up to `seq`. Numbers are little-endian.
//!
//! | bytes of a file | content |
//! |---|---|
//! | 8 | `INKLSNAP` |
//! | 4 | [`FORMAT`] |
//! | 8 | sequence number of the last frame that is covered |
//! | 8 | fingerprint of the identity key: under another key nobody would be found again |
//! | 8 | the engine's clock, in milliseconds since 1970 |
//! | 16 | checksum of the above |
//! | the rest | chunks; the last one is an end, and nothing follows it |
//!
//! | bytes of a chunk | content |
//! |---|---|
//! | 1 | 1 settings, 2 entries of the [image](crate::engine::Entries), 3 end |
//! | 4 | place among the chunks, from 0 |
//! | 4 | bytes as they were, at most [`CHUNK_BYTES_MAX`] |
//! | 4 | bytes as they are stored, compressed by zstd |
//! | 16 | checksum over the file's checksum, the above and the stored bytes |
//! | as many | the stored bytes |
//!
//! Settings are a frame of one `Configured` record. An end holds the number of entries (8) and the digest of the state
//! (16). Checksums are the first 16 bytes of BLAKE3: a flipped bit, a cut, a chunk that moved or comes from another
//! file are all found.
//!
//! A file comes to be under a temporary name, is synced, waits until the journal holds what it covers, gets its name,
//! and the directory is synced: whatever has the name is whole and goes before no frame of the journal, or the disk has
//! failed. A damaged file is passed over for the one before, and told. One of a later
//! format or of another identity key is refused, because to pass it over would be to lose what it covers: that is the
//! operator's choice.
//!
//! *Invariants*: knows files and the engine's image; no journal, no clock, no service. What it reads is believed only
//! as far as checksums and the engine's own checks go: no file makes it panic.

mod fault;
mod layout;
mod read;
mod shelf;
mod taking;
#[cfg(test)]
mod tests;
mod write;

pub use fault::{Damage, SnapshotError};
pub use layout::{CHUNK_BYTES_MAX, FORMAT};
pub use read::{Loaded, check, format_of, load};
pub use shelf::{Found, Shelf};
pub use taking::{Behind, Progress, Taking, Wake};
pub use write::{SnapshotWriter, Written};

use crate::ids::Seq;
use crate::units::Timestamp;

/// Fingerprint of an identity key.
pub type Fingerprint = [u8; 8];

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covers {
    /// The last frame that is in it.
    pub seq: Seq,
    /// Of the key that its users' keys were made with.
    pub fingerprint: Fingerprint,
    /// The engine's clock.
    pub at: Timestamp,
}

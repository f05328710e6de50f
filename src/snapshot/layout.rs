//! The bytes of heads, as the module describes them.

use super::{Covers, Damage};
use crate::ids::Seq;
use crate::units::Timestamp;

/// Version of the format. Files of this version and of the one before are read.
pub const FORMAT: u32 = 2;
/// Most bytes of one chunk before it is packed. Common ones have one or two megabytes; one with the counts of very many
/// segments may need more.
pub const CHUNK_BYTES_MAX: usize = 1 << 30;

pub(super) const MAGIC: [u8; 8] = *b"INKLSNAP";
pub(super) const HEAD_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 16;
pub(super) const CHUNK_HEAD_BYTES: usize = 1 + 4 + 4 + 4 + 16;
/// The content of an end: number of entries and digest.
pub(super) const END_BYTES: usize = 8 + 16;

pub(super) type Checksum = [u8; 16];

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Settings = 1,
    Entries = 2,
    End = 3,
}

/// What stands before the bytes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkHead {
    pub content: Content,
    pub place: u32,
    pub bytes: u32,
    pub stored: u32,
    pub checksum: Checksum,
}

/// What a file's head says, before its version is looked at.
pub(super) struct Head {
    pub format: u32,
    pub covers: Covers,
    pub checksum: Checksum,
}

fn checksum(parts: &[&[u8]]) -> Checksum {
    let mut hasher = blake3::Hasher::new();
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    hasher.finalize().as_bytes()[..16].try_into().expect("16 of 32 bytes")
}

impl Head {
    pub fn new(covers: Covers) -> (Head, [u8; HEAD_BYTES]) {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..20].copy_from_slice(&covers.seq.0.to_le_bytes());
        bytes[20..28].copy_from_slice(&covers.fingerprint);
        bytes[28..36].copy_from_slice(&covers.at.0.to_le_bytes());
        let checksum = checksum(&[&bytes[..36]]);
        bytes[36..].copy_from_slice(&checksum);
        (Head { format: FORMAT, covers, checksum }, bytes)
    }

    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Result<Head, Damage> {
        if bytes[..8] != MAGIC {
            return Err(Damage::NoSnapshot);
        }
        let part = |from: usize| -> [u8; 8] { bytes[from..from + 8].try_into().expect("eight bytes") };
        let checksum = checksum(&[&bytes[..36]]);
        if bytes[36..] != checksum {
            return Err(Damage::Checksum);
        }
        Ok(Head {
            format: u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes")),
            covers: Covers {
                seq: Seq(u64::from_le_bytes(part(12))),
                fingerprint: part(20),
                at: Timestamp(u64::from_le_bytes(part(28))),
            },
            checksum,
        })
    }
}

impl ChunkHead {
    /// The head of a chunk; its checksum depends on the stored bytes.
    pub fn new(file: &Checksum, content: Content, place: u32, bytes: u32, stored: &[u8]) -> ChunkHead {
        let mut head = ChunkHead { content, place, bytes, stored: stored.len() as u32, checksum: [0; 16] };
        head.checksum = head.checksum_of(file, stored);
        head
    }

    pub fn checksum_of(&self, file: &Checksum, stored: &[u8]) -> Checksum {
        checksum(&[file, &self.to_bytes()[..CHUNK_HEAD_BYTES - 16], stored])
    }

    pub fn to_bytes(self) -> [u8; CHUNK_HEAD_BYTES] {
        let mut bytes = [0; CHUNK_HEAD_BYTES];
        bytes[0] = self.content as u8;
        bytes[1..5].copy_from_slice(&self.place.to_le_bytes());
        bytes[5..9].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[9..13].copy_from_slice(&self.stored.to_le_bytes());
        bytes[13..].copy_from_slice(&self.checksum);
        bytes
    }

    pub fn read(bytes: &[u8; CHUNK_HEAD_BYTES]) -> Result<ChunkHead, Damage> {
        let word = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four bytes"));
        let content = match bytes[0] {
            1 => Content::Settings,
            2 => Content::Entries,
            3 => Content::End,
            _ => return Err(Damage::Checksum),
        };
        let checksum = bytes[13..].try_into().expect("sixteen bytes");
        Ok(ChunkHead { content, place: word(1), bytes: word(5), stored: word(9), checksum })
    }
}

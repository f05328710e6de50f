//! Where the service keeps what must outlive it, and how surely. Nothing here shapes state or score.

use std::path::PathBuf;

use super::table::Table;
use crate::units::Span;

/// Settings of the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// The data directory; a relative path begins where the service is started.
    pub path: PathBuf,
    /// What an acknowledged event survives.
    pub durability: Durability,
    /// Time between the beginnings of two snapshots.
    pub snapshot_interval: Span,
    /// How many snapshots are kept.
    pub snapshots_kept: usize,
}

/// What an acknowledged event survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Loss of power: it is acknowledged once the disk has confirmed it.
    #[default]
    Synced,
    /// A stop of the service. A crash takes what was acknowledged in the latest second.
    Buffered,
}

impl Default for StorageConfig {
    fn default() -> StorageConfig {
        StorageConfig {
            path: PathBuf::from("inkling-data"),
            durability: Durability::Synced,
            snapshot_interval: Span::minutes(5),
            snapshots_kept: 2,
        }
    }
}

impl StorageConfig {
    /// Reads `[storage]`.
    pub(super) fn read(table: &mut Table<'_>) -> StorageConfig {
        let mut storage = StorageConfig::default();
        if let Some(value) = table.take("path")
            && let Some(path) = value.text()
        {
            match path {
                "" => value.refuse("must name a directory"),
                path => storage.path = PathBuf::from(path),
            }
        }
        let choices = [("synced", Durability::Synced), ("buffered", Durability::Buffered)];
        table.choice("durability", &mut storage.durability, &choices);
        let intervals = Span(100)..=Span::hours(24);
        table.span("snapshot_interval", &mut storage.snapshot_interval, intervals);
        table.whole("snapshots_kept", &mut storage.snapshots_kept, 1..=100);
        storage
    }
}

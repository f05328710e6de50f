//! What the commands share that work on a data directory.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::config::{Durability, StorageConfig};
use crate::journal::{self, Options};
use crate::report::progress::Progress;
use crate::storage::{Directory, Ground, Tell};

/// What a service goes on from, with a line on the terminal that says how far the journal is applied.
pub fn ground(directory: &Directory, storage: &StorageConfig) -> anyhow::Result<Ground> {
    let durability = match storage.durability {
        Durability::Synced => journal::Durability::Synced,
        Durability::Buffered => journal::Durability::Buffered,
    };
    let mut progress: Option<Progress> = None;
    let watch = move |done, total| {
        let shown = progress.get_or_insert_with(|| Progress::new(total));
        shown.show(done);
        if done == total {
            shown.done();
        }
    };
    let options = Options { durability, tell: say, ..Options::default() };
    let ground = Ground::stored(directory, options, Box::new(watch), teller());
    let mut ground = ground.context("the state cannot be recovered")?;
    if let Some(plan) = &mut ground.snapshots {
        (plan.interval, plan.kept) = (Duration::from_millis(storage.snapshot_interval.0), storage.snapshots_kept);
    }
    Ok(ground)
}

/// Tells the operator on standard error, at once. A service whose words nobody can read any more works on.
pub fn teller() -> Tell {
    Arc::new(say)
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "inkling: {what}");
}

/// Where and how surely events are kept, in words.
pub fn kept(storage: &StorageConfig) -> String {
    let how = match storage.durability {
        Durability::Synced => "synced",
        Durability::Buffered => "buffered: a crash takes the latest second",
    };
    format!("its journal in {} ({how})", storage.path.display())
}

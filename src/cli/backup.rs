//! `inkling backup DIR TO`: a copy from which a service can start.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::words;
use crate::storage::back_up;

/// Copies the keys and the newest sound snapshot of a data directory, also while a service works there
///
/// The copy is a data directory: `inkling serve --data TO` goes on from it. It holds the state as of the snapshot;
/// what came after is not in it. For a copy of everything stop the service first, and copy the whole directory.
#[derive(Debug, Args)]
pub struct Backup {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Where to: a directory that does not exist, or is empty
    #[arg(value_name = "TO")]
    to: PathBuf,
}

impl Backup {
    /// Copies and says what.
    ///
    /// # Errors
    /// When there is nothing to copy, or it cannot be.
    pub fn run(self) -> anyhow::Result<()> {
        let backup = back_up(&self.directory, &self.to)?;
        let text = format!(
            "{}: state at frame {}, clock {} ms, {} bytes, checked\n",
            self.to.display(),
            backup.covers.seq.0,
            backup.covers.at.0,
            words::count(backup.bytes as usize),
        );
        super::print(&text).context("cannot write to standard output")
    }
}

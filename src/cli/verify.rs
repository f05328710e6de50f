//! `inkling verify DIR`: reads the whole journal and says whether it is what was written.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::words;
use crate::ids::Seq;
use crate::report::progress::Progress;
use crate::storage::{Directory, audit};

/// Reads the whole journal and all snapshots of a data directory, and changes nothing: every page, frame and record
///
/// Prints the digest of the state that a start would have, which `GetState` tells of a running service, too. Exit code
/// 1 and the place when something is damaged or missing, and whether a service would start all the same. Not while a
/// service works in the directory: its files change.
#[derive(Debug, Args)]
pub struct Verify {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Verify {
    /// Reads and prints.
    ///
    /// # Errors
    /// What is wrong: the first thing that keeps a service from starting, or all that does not.
    pub fn run(self) -> anyhow::Result<()> {
        let directory = Directory::look(&self.directory)?;
        let files = directory.journal_files()?;
        let shown = self.directory.display();
        let mut progress = Progress::new(files.len() as u64);
        let begun = |seq: Seq| files.partition_point(|first| *first <= seq) as u64;
        let audited = audit(&directory, |seq| progress.show(begun(seq).saturating_sub(1)));
        progress.done();
        let audit = audited.with_context(|| format!("{shown}: `inkling serve` would not start"))?;
        let mut text = String::new();
        if audit.faults.is_empty() {
            text += &format!(
                "{shown} is whole: {}, {}, {}{}\n",
                words::several(audit.files, "journal file"),
                match audit.read.frames {
                    0 => "no frames".to_owned(),
                    _ => format!("frames {} to {}", audit.after.0 + 1, audit.read.seq.0),
                },
                words::several(audit.read.records as usize, "record"),
                if audit.snapshots == 0 {
                    String::new()
                } else {
                    format!(", {}", words::several(audit.snapshots, "snapshot"))
                },
            );
        }
        text += &format!("state at frame {}: clock {} ms, digest {}\n", audit.seq.0, audit.now.0, audit.digest);
        if audit.from_earliest != audit.digest {
            text += &format!(
                "the journal from frame {} on gives {}: another version of inkling wrote the snapshot\n",
                audit.after.0 + 1,
                audit.from_earliest
            );
        }
        super::print(&text).context("cannot write to standard output")?;
        if audit.faults.is_empty() {
            return Ok(());
        }
        let from = audit.start.map_or("the journal's beginning".to_owned(), |seq| format!("the snapshot at {}", seq.0));
        let mut told = format!(
            "{shown}: damaged; `inkling serve` would start all the same, from {from}, with the state at frame {}",
            audit.seq.0
        );
        for fault in &audit.faults {
            told += &format!("\n  {}", chain(fault));
        }
        bail!(told)
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        told += &format!(": {cause}");
        next = cause.source();
    }
    told
}

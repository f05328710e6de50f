//! `inkling verify DIR`: reads the whole journal and says whether it is what was written.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::words;
use crate::engine::Engine;
use crate::ids::Seq;
use crate::report::progress::Progress;
use crate::snapshot;
use crate::storage::{Directory, recover};

/// Reads the whole journal and all snapshots of a data directory, and changes nothing: every page, frame and record
///
/// Prints the digest of the state that comes out of it, which `GetState` tells of a running service, too. Exit code 1
/// and the place when something is damaged or missing. Not while a service works in the directory: its files change.
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
    /// The first thing that is wrong.
    pub fn run(self) -> anyhow::Result<()> {
        let directory = Directory::open(&self.directory)?;
        let files = directory.journal_files()?;
        let about = format!("{}: not verified", self.directory.display());
        let (mut engine, after) = start(&directory, &files).context(about.clone())?;
        let mut reader = directory.reader(after).context(about.clone())?;
        let mut progress = Progress::new(files.len() as u64);
        let begun = |seq: Seq| files.partition_point(|first| *first <= seq) as u64;
        let recovered = recover(&mut engine, after, || reader.next_frame(), |seq| progress.show(begun(seq) - 1));
        progress.done();
        let recovered = recovered.context(about)?;
        let text = format!(
            "{} is whole: {}, frames {} to {}, {}\nstate at frame {}: clock {} ms, digest {:032x}\n",
            self.directory.display(),
            words::several(files.len(), "journal file"),
            after.0 + 1,
            recovered.seq.0,
            words::several(recovered.records as usize, "record"),
            recovered.seq.0,
            engine.now().0,
            engine.digest().0,
        );
        super::print(&text).context("cannot write to standard output")
    }
}

/// State before the first frame of the journal: nothing, or, where the journal's beginning is let go, the oldest
/// snapshot. All snapshots are checked.
fn start(directory: &Directory, files: &[Seq]) -> anyhow::Result<(Engine, Seq)> {
    let shelf = directory.shelf();
    let all = shelf.list()?;
    for seq in &all {
        snapshot::check(&shelf.path(*seq))?;
    }
    match (files.first(), all.first()) {
        (None | Some(Seq(1)), None) | (Some(Seq(1)), Some(_)) => Ok((Engine::new(), Seq(0))),
        (_, Some(oldest)) => {
            let loaded = snapshot::load(&shelf.path(*oldest), directory.identity().fingerprint(), 2)?;
            Ok((loaded.engine, loaded.covers.seq))
        }
        // The journal itself says what is missing.
        (Some(_), None) => Ok((Engine::new(), Seq(0))),
    }
}

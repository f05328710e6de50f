//! `inkling verify DIR`: reads the whole journal and says whether it is what was written.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::words;
use crate::engine::Engine;
use crate::ids::Seq;
use crate::report::progress::Progress;
use crate::storage::{Directory, recover};

/// Reads the whole journal of a data directory, and changes nothing: every page, every frame, every record
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
        let mut reader = directory.reader(Seq(0)).context(about.clone())?;
        let mut progress = Progress::new(files.len() as u64);
        let mut engine = Engine::new();
        let begun = |seq: Seq| files.partition_point(|first| *first <= seq) as u64;
        let recovered = recover(&mut engine, Seq(0), || reader.next(), |seq| progress.show(begun(seq) - 1));
        progress.done();
        let recovered = recovered.context(about)?;
        let text = format!(
            "{} is whole: {}, frames 1 to {}, {}\nstate at frame {}: clock {} ms, digest {:032x}\n",
            self.directory.display(),
            words::several(files.len(), "journal file"),
            recovered.seq.0,
            words::several(recovered.records as usize, "record"),
            recovered.seq.0,
            engine.now().0,
            engine.digest().0,
        );
        super::print(&text).context("cannot write to standard output")
    }
}

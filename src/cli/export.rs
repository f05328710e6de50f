//! `inkling export DIR LOG`: the journal as a journey log.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use clap::Args;

use super::words;
use crate::ids::Id;
use crate::journal::{io_cause, sync_directory};
use crate::journey::JourneyWriter;
use crate::storage::{Directory, Selection, earliest, export};
use crate::units::Timestamp;

/// Writes the journal of a data directory as a journey log, which `inkling replay` reads
///
/// Users are keys. Impressions carry the features they were scored on in the place of their context: to replay with
/// other features, the bidder's own request log is needed. People who were forgotten are left out. Where the journal's
/// beginning is let go, the log begins behind the oldest snapshot. Goals with a converting action need the service's
/// configuration to be replayed: `inkling replay LOG --config FILE`.
#[derive(Debug, Args)]
pub struct Export {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The log to write: gzip when its name ends in .gz, zstd when in .zst
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Only from this moment on: a date such as 2026-06-01 or a moment such as 2026-06-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// Only before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
    /// Only of this advertiser
    #[arg(long, value_name = "NAME", value_parser = name)]
    advertiser: Option<Id>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || "is neither a date such as 2026-06-01 nor a moment such as 2026-06-01T12:00:00Z".to_owned();
    super::replay::read_moment(text).ok_or_else(wrong)
}

/// The directory of a log; refuses a place where no new log can be.
fn place(log: &Path) -> anyhow::Result<&Path> {
    let shown = log.display();
    ensure!(!log.exists(), "{shown}: is there already: a log is written to a new file only, name another one");
    let parent = log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(parent.is_dir(), "{shown}: the directory is not there: make it, or name another one");
    Ok(parent)
}

fn name(text: &str) -> Result<Id, String> {
    Id::new(text).map_err(|error| error.to_string())
}

impl Export {
    /// Reads, writes, and prints what was left out.
    ///
    /// # Errors
    /// When the journal is damaged, the advertiser is unknown, or the log cannot be written: then there is no log.
    pub fn run(self) -> anyhow::Result<()> {
        let selection = Selection {
            from: self.from.unwrap_or_default(),
            to: self.to.unwrap_or(Timestamp(u64::MAX)),
            advertiser: self.advertiser,
        };
        ensure!(selection.from <= selection.to, "--from is later than --to: nothing lies between them");
        let parent = place(&self.log)?;
        let failed = |error: &io::Error| anyhow!("{}: cannot be written: {}", self.log.display(), io_cause(error));
        // Half a log would be taken for a whole one. Nobody else may read it, and an error deletes it.
        let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(parent);
        let unfinished = unfinished.map_err(|error| failed(&error))?;
        let mut writer = JourneyWriter::into_file(unfinished.reopen().map_err(|error| failed(&error))?, &self.log)?;
        let directory = Directory::look(&self.directory)?;
        let (engine, after) = earliest(&directory)?;
        let exported = export(engine, || directory.reader(after), &mut writer, &selection);
        let finished = exported.map_err(anyhow::Error::from).and_then(|exported| {
            writer.finish()?;
            unfinished.persist_noclobber(&self.log).map_err(|kept| failed(&kept.error))?;
            sync_directory(parent).map_err(|error| failed(&error))?;
            Ok(exported)
        });
        let exported = finished.with_context(|| format!("{}: not exported", self.directory.display()))?;
        let text = format!(
            "{}: {}; left out: {} that a journey log has no word for, {} that changed nothing when they came, {} \
             of people who were forgotten\n",
            self.log.display(),
            words::several(exported.lines as usize, "line"),
            words::several(exported.wordless as usize, "record"),
            words::count(exported.refused as usize),
            words::count(exported.forgotten as usize),
        );
        super::print(&text).context("cannot write to standard output")
    }
}

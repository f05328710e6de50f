//! `inkling export DIR LOG`: the journal as a journey log.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;

use super::words;
use crate::ids::Id;
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

/// Refuses a place where no new log can be.
fn free(log: &Path) -> anyhow::Result<()> {
    let shown = log.display();
    ensure!(!log.exists(), "{shown}: is there already: a log is written to a new file only, name another one");
    let parent = log.parent().filter(|parent| !parent.as_os_str().is_empty());
    ensure!(parent.is_none_or(Path::is_dir), "{shown}: the directory is not there: make it, or name another one");
    Ok(())
}

/// Where a log stands until it is whole: half a log would be taken for a whole one. The ending says how it is packed.
fn unfinished(log: &Path) -> PathBuf {
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    log.with_file_name(format!(".unfinished-{name}"))
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
        let directory = Directory::look(&self.directory)?;
        let (engine, after) = earliest(&directory)?;
        let selection = Selection {
            from: self.from.unwrap_or_default(),
            to: self.to.unwrap_or(Timestamp(u64::MAX)),
            advertiser: self.advertiser,
        };
        ensure!(selection.from <= selection.to, "--from is later than --to: nothing lies between them");
        free(&self.log)?;
        let unfinished = unfinished(&self.log);
        let mut writer = JourneyWriter::create(&unfinished)?;
        let exported = export(engine, || directory.reader(after), &mut writer, &selection);
        let finished = exported.map_err(anyhow::Error::from).and_then(|exported| {
            writer.finish()?;
            std::fs::rename(&unfinished, &self.log)?;
            Ok(exported)
        });
        if finished.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
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

//! `inkling inspect DIR`: what is in a data directory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::words;
use crate::event::{Event, Record};
use crate::ids::Seq;
use crate::journal::{JournalError, missing, shown, survey};
use crate::record::decode_frame;
use crate::report::table::{Align, Table};
use crate::snapshot::format_of;
use crate::storage::Directory;

/// Shows what is in a data directory: its journal files and snapshots, whether each is whole, and what the records say
///
/// Changes nothing; not while a service works there. Users are keys, their ids are not in the journal. Exit code 1
/// where something is damaged or missing.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Show the records of this frame, one a line
    #[arg(long, value_name = "N")]
    frame: Option<u64>,
}

impl Inspect {
    /// Reads and prints.
    ///
    /// # Errors
    /// When the directory cannot be read, something in it is damaged, or the frame that was asked for is not there.
    pub fn run(self) -> anyhow::Result<()> {
        let directory = Directory::look(&self.directory)?;
        let (text, is_whole) = match self.frame {
            Some(frame) => (records(&directory, frame)?, true),
            None => overview(&directory)?,
        };
        super::print(&text).context("cannot write to standard output")?;
        if !is_whole {
            bail!("{}: damaged; `inkling verify` says what a start would do with it", self.directory.display());
        }
        Ok(())
    }
}

fn records(directory: &Directory, number: u64) -> anyhow::Result<String> {
    let shown = directory.path().display();
    if let Some(first) = directory.journal_files()?.first().filter(|first| first.0 > number) {
        bail!("{shown}: there is no frame {number}: the journal begins with frame {}", first.0);
    }
    let mut reader = directory.reader(Seq(number.saturating_sub(1)))?;
    match reader.next_frame() {
        Err(error) if !matches!(error, JournalError::Ends { .. }) => Err(error.into()),
        Ok(Some((Seq(seq), frame))) if seq == number => {
            let records = decode_frame(&frame).with_context(|| format!("frame {number}"))?;
            Ok(records.iter().map(|record| format!("{record:?}\n")).collect())
        }
        _ => bail!("{shown}: there is no frame {number}"),
    }
}

/// What there is, and whether all of it is whole.
fn overview(directory: &Directory) -> anyhow::Result<(String, bool)> {
    let identity = directory.identity().fingerprint();
    let parts = survey(&directory.files(), identity, Seq(0))?;
    let missing = missing(&directory.files())?;
    let mut table = Table::new(&[
        ("JOURNAL FILE", Align::Left),
        ("frames", Align::Right),
        ("to", Align::Right),
        ("records' bytes", Align::Right),
        ("file", Align::Right),
        ("", Align::Left),
    ]);
    for part in &parts {
        let count = (part.last.0 + 1).saturating_sub(part.first.0);
        let name = directory.files().path(part.first);
        table.row([
            name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            words::count(count as usize),
            words::count(part.last.0 as usize),
            words::count(part.frame_bytes as usize),
            words::count(part.bytes as usize),
            part.fault.as_ref().map_or_else(|| "whole".to_owned(), ToString::to_string),
        ]);
    }
    let mut text = format!("{}: identity key {}\n{table}", directory.path().display(), shown(identity));
    missing.iter().for_each(|missing| text += &format!("{missing}\n"));
    let (snapshots, are_sound) = snapshots(directory)?;
    text += &snapshots;
    let is_journal_whole = missing.is_none() && parts.iter().all(|part| part.fault.is_none());
    if is_journal_whole && let Some(first) = parts.first() {
        text += &kinds(directory, first.first)?;
    }
    Ok((text, is_journal_whole && are_sound))
}

/// A table of the snapshots, where there are some, and whether all are sound.
fn snapshots(directory: &Directory) -> anyhow::Result<(String, bool)> {
    let (shelf, identity) = (directory.shelf(), directory.identity().fingerprint());
    let all = shelf.list()?;
    if all.is_empty() {
        return Ok((String::new(), true));
    }
    let mut table = Table::new(&[
        ("SNAPSHOT", Align::Left),
        ("to frame", Align::Right),
        ("format", Align::Right),
        ("file", Align::Right),
        ("", Align::Left),
    ]);
    let mut are_sound = true;
    for seq in all {
        let path = shelf.path(seq);
        let checked = shelf.check(seq, identity);
        are_sound &= checked.is_ok();
        table.row([
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            words::count(seq.0 as usize),
            format_of(&path).map_or_else(|_| "?".to_owned(), |format| format.to_string()),
            std::fs::metadata(&path).map_or_else(|_| "?".to_owned(), |of| words::count(of.len() as usize)),
            checked.map_or_else(|error| error.to_string(), |_| "sound".to_owned()),
        ]);
    }
    Ok((table.to_string(), are_sound))
}

/// What the records of a whole journal say, in one line.
fn kinds(directory: &Directory, first: Seq) -> anyhow::Result<String> {
    let mut reader = directory.reader(Seq(first.0.saturating_sub(1)))?;
    let (mut counts, mut span) = (BTreeMap::<&str, usize>::new(), None);
    while let Some((seq, frame)) = reader.next_frame()? {
        for record in decode_frame(&frame).with_context(|| format!("frame {}", seq.0))? {
            *counts.entry(kind(&record)).or_default() += 1;
            let (from, _) = span.unwrap_or((record.at, record.at));
            span = Some((from, record.at));
        }
    }
    let told: Vec<String> = counts.into_iter().map(|(kind, count)| format!("{} {kind}", words::count(count))).collect();
    Ok(span.map_or_else(String::new, |(from, to)| {
        format!("records from {} to {} ms: {}\n", from.0, to.0, told.join(", "))
    }))
}

fn kind(record: &Record) -> &'static str {
    match record.event {
        Event::Action(_) => "actions",
        Event::Impression(_) => "impressions",
        Event::GhostImpression(_) => "ghost impressions",
        Event::Click(_) => "clicks",
        Event::Conversion(_) => "conversions",
        Event::Retraction(_) => "retractions",
        Event::Link(_) => "links",
        Event::Forget(_) => "forgotten users",
        Event::Configured(_) => "settings",
        Event::Tick => "ticks",
    }
}

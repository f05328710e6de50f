//! `inkling repair DIR`: cuts a damaged journal before the damage.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::words;
use crate::storage::{Directory, Plan, repair};

/// Says what is wrong with a journal and what a repair would drop; does it with --drop, and keeps a copy
///
/// A service refuses a damaged journal. Restoring a backup loses what came after it, cutting the journal loses what
/// comes after the damage: acknowledged events in either case. Without --drop nothing is changed, and the exit code
/// is 1 if something is wrong.
#[derive(Debug, Args)]
pub struct Repair {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Drop the damaged part and all behind it; the files as they were stay in DIR/dropped-N
    #[arg(long)]
    drop: bool,
}

impl Repair {
    /// Looks, says, and does it if told to.
    ///
    /// # Errors
    /// When something is wrong and was not to be dropped, or the disk fails.
    pub fn run(self) -> anyhow::Result<()> {
        let open = if self.drop { Directory::open } else { Directory::look };
        let directory = open(&self.directory)?;
        let shown = self.directory.display();
        let Some(plan) = Plan::of(&directory)? else {
            return super::print(&format!("{shown}: nothing is wrong with the journal, nothing was changed\n"))
                .context("cannot write to standard output");
        };
        let mut text = format!("{}\n", plan.fault);
        match plan.last.0 {
            0 => text += "no frame can stay; would be dropped:\n",
            last => writeln!(text, "frames up to {last} can stay; would be dropped:").expect("a String takes all"),
        }
        if plan.covered.is_empty() && plan.files.is_empty() {
            text += "  nothing but the note that there was another file: what was in it is lost\n";
        }
        for part in &plan.covered {
            writeln!(text, "  {}: a snapshot holds all of it", part.name).expect("a String takes all");
        }
        for part in &plan.files {
            let from = plan.dropped_from(part);
            writeln!(text, "  {}: all from frame {} on, of {}", part.name, from.0, words::bytes(part.bytes as usize))
                .expect("a String takes all");
        }
        if self.drop {
            let kept = repair(&directory, &plan)?;
            let done = format!("dropped; the files as they were are in {}\n", kept.display());
            text = text.replace("would be dropped:", "dropped:") + &done;
        }
        super::print(&text).context("cannot write to standard output")?;
        if !self.drop {
            let cost = if plan.is_harmless() { "no event is lost by it" } else { "acknowledged events among them" };
            bail!("{shown}: nothing was changed; --drop does it, {cost}");
        }
        Ok(())
    }
}

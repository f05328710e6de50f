//! `inkling repair DIR`: cuts a damaged journal before the damage.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::words;
use crate::storage::{Directory, Plan, check_owner, place_of_copies, repair};

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
        if self.drop {
            check_owner(&self.directory)?;
        }
        let open = if self.drop { Directory::open } else { Directory::look };
        let directory = open(&self.directory)?;
        let shown = self.directory.display();
        let Some(plan) = Plan::of(&directory)? else {
            return said(&format!("{shown}: nothing is wrong with the journal, nothing was changed\n"));
        };
        if !self.drop {
            said(&told(&plan, "would be dropped:"))?;
            let cost = if plan.is_harmless() { "no event is lost by it" } else { "acknowledged events among them" };
            bail!("{shown}: nothing was changed; --drop does it, {cost}");
        }
        // Said before it is done: whatever happens then, it is known what was meant, and where the copies are.
        let copies = place_of_copies(&directory);
        said(&format!("{}the files as they are are copied to {} first\n", told(&plan, "dropping:"), copies.display()))?;
        let kept = repair(&directory, &plan)?;
        said(&format!("dropped; the files as they were are in {}\n", kept.display()))
    }
}

fn said(text: &str) -> anyhow::Result<()> {
    super::print(text).context("cannot write to standard output")
}

/// What is wrong, and, under a heading, what goes.
fn told(plan: &Plan, heading: &str) -> String {
    let mut text = format!("{}\n", plan.fault);
    match plan.last.0 {
        0 => writeln!(text, "no frame can stay; {heading}"),
        last => writeln!(text, "frames up to {last} can stay; {heading}"),
    }
    .expect("a String takes all");
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
    text
}

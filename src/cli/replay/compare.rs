//! Two sets of predictions for one log: of two configurations, or of a replay and another model.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Replay, json, show, with_window};
use crate::cli::print;
use crate::config::Config;
use crate::ids::Id;
use crate::replay::{self, Rival};
use crate::report::table::count;
use crate::units::Span;

/// Plays the log under two configurations.
///
/// # Errors
/// When a file cannot be read, or the two answer different questions.
pub fn configurations(of: &Replay, a: &PathBuf, b: &PathBuf) -> anyhow::Result<()> {
    if let Some((goal, of_a, of_b)) = different_window(of, a, b)? {
        bail!(
            "goal '{goal}' counts conversions for {of_a} in {} and for {of_b} in {}: figures of different labels \
             cannot be compared: state one --window for both",
            a.display(),
            b.display()
        );
    }
    let names = [a, b].map(|file| file.display().to_string());
    let (a, b) = (of.replay(Some(a))?, of.replay(Some(b))?);
    let compared = replay::compare(&a.played, &b.played, of.scope(), of.draws());
    if let Some((line, many)) = compared.different {
        bail!(
            "the opportunity on line {line} is positive under one configuration only, as are {many} in all: \
             figures of different labels cannot be compared: give the goals the same converting_action, windows \
             and names in both"
        );
    }
    let text = match of.json {
        true => format!("{:#}\n", json::comparison(of, &a, &b, &compared)),
        false => show::comparison(of, names, &[&a, &b], &compared),
    };
    print(&text).context("cannot write to standard output")?;
    a.check()?;
    b.check()
}

/// A goal of both configurations whose label windows differ, and these.
fn different_window(of: &Replay, a: &Path, b: &Path) -> anyhow::Result<Option<(Id, Span, Span)>> {
    let settings = |file| anyhow::Ok(with_window(Config::load(file)?.settings, of.window));
    let (a, b) = (settings(a)?, settings(b)?);
    for of_a in &a.advertisers {
        let Some(of_b) = b.advertisers.iter().find(|of_b| of_b.id == of_a.id) else { continue };
        for goal in &of_a.goals {
            let other = of_b.goals.iter().find(|other| other.id == goal.id);
            if let Some(other) = other.filter(|other| other.view_window != goal.view_window) {
                return Ok(Some((goal.id.clone(), goal.view_window, other.view_window)));
            }
        }
    }
    Ok(None)
}

/// Plays the log and compares with another model's predictions.
///
/// # Errors
/// When a file cannot be read, or the other model predicted none of what is evaluated.
pub fn rival(of: &Replay, file: &Path) -> anyhow::Result<()> {
    let place = || file.display().to_string();
    let rival = Rival::read(BufReader::new(File::open(file).with_context(place)?)).with_context(place)?;
    let told = of.replay(of.config.as_ref())?;
    let compared = replay::compare_with_rival(&told.played, &rival, of.scope(), of.draws());
    if compared.opportunities == 0 {
        told.check()?;
        bail!(
            "{}: holds no prediction for any of the {} opportunities that are evaluated: its columns are to name them \
             as the log does",
            place(),
            count(compared.alone[0] as f64)
        );
    }
    let text = match of.json {
        true => format!("{:#}\n", json::against(of, &told, &compared)),
        false => show::comparison(of, ["Inkling".to_owned(), place()], &[&told], &compared),
    };
    print(&text).context("cannot write to standard output")?;
    told.check()
}

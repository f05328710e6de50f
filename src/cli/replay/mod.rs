//! `inkling replay LOG…`: a recorded log through the engine, and how good its predictions were.
//!
//! *Invariants.* Knows arguments, tables and JSON; every figure comes from [`crate::replay`].

mod compare;
mod json;
mod page;
mod show;
mod warnings;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::config::Config;
use crate::journey::{JourneyError, is_standard_input};
use crate::replay::{
    self, BadLines, EvaluateFrom, Evaluation, OpenWindows, Played, PredictionFile, Resamples, Scope, Times, Watcher,
    bytes_total,
};
use crate::report::progress::Progress;
use crate::settings::Settings;
use crate::stopwatch::Stopwatch;
use crate::units::{Span, Timestamp};

/// Bad lines that are shown; all are counted.
const BAD_LINES_SHOWN: u64 = 5;
/// Label window where neither a configuration nor the command line states one.
pub(super) const WINDOW_DEFAULT: Span = Span::days(1);

/// Plays a journey log through the engine, scoring each opportunity before anything later is known, and says how good
/// the predictions were, with 95 % intervals
///
/// Without a configuration, advertisers, goals, actions and their ladder are taken from the log.
#[derive(Debug, Args)]
pub struct Replay {
    /// Journey logs (NDJSON, plain, gzip or zstd); several are read one after the other, as one log
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Take the settings from this configuration instead of from the log
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    config: Option<PathBuf>,
    /// How long after an impression a conversion counts, for all goals [default: the configuration's, else 1d]
    #[arg(long, value_name = "SPAN", value_parser = window)]
    window: Option<Span>,
    /// Where the evaluated part begins: a date such as 2021-01-01, or a share of the time between the first and the
    /// last opportunity
    #[arg(long, value_name = "ISO|FRACTION", default_value = "0.5", value_parser = evaluate_from)]
    evaluate_from: EvaluateFrom,
    /// Whether opportunities are evaluated whose window was open when the log ended
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Open::Auto)]
    open_windows: Open,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Also write a report to this file: one HTML page with pictures, for a browser or on paper; one that is there is
    /// replaced
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    report: Option<PathBuf>,
    /// Write each prediction and its outcome to this file, as comma-separated values; one that is there is replaced
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    predictions: Option<PathBuf>,
    /// Play the log under two configurations and compare them, opportunity by opportunity (not with --config or
    /// --predictions)
    #[arg(long, num_args = 2, value_names = ["A.toml", "B.toml"])]
    compare: Option<Vec<PathBuf>>,
    /// Compare with what another model predicted, opportunity by opportunity: comma-separated values with the columns
    /// id and p, as --predictions writes them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["compare", "report"])]
    against: Option<PathBuf>,
    /// Stop at the first line that cannot be read, instead of counting such lines
    #[arg(long)]
    strict: bool,
    /// Resamples of the users that the intervals come from, 20 to 100000; at most 200 for each slice
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    resamples: u32,
    /// Seed of the resamples
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// What is done with windows that were open when the log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Open {
    /// Count those of goals whose conversions all name their opportunities, if so few conversions can be missing that
    /// the log must hold all of its opportunities'; leave out the others
    Auto,
    /// Leave all out
    LeaveOut,
    /// Count all, as negative where no conversion is in the log: for logs that hold all conversions of their
    /// opportunities
    Count,
}

/// One replay with all that is said of it.
struct Told {
    played: Played,
    times: Times,
    /// Time it took to find the settings in the log; none with a configuration.
    discovery: Option<std::time::Duration>,
    evaluation: Evaluation,
}

impl Replay {
    /// Replays and prints.
    ///
    /// # Errors
    /// When a file cannot be read or written, or nothing can be evaluated.
    pub fn run(self) -> anyhow::Result<()> {
        self.check_files()?;
        self.report.as_deref().map(super::web::check).transpose()?;
        match (&self.compare, &self.against) {
            (Some(configs), _) => compare::configurations(&self, &configs[0], &configs[1]),
            (None, Some(file)) => compare::rival(&self, file),
            (None, None) => {
                let told = self.replay(self.config.as_ref())?;
                let text = match self.json {
                    true => format!("{:#}\n", json::report(&self, &told)),
                    false => show::report(&self, &told),
                };
                if let Some(file) = &self.report {
                    super::web::write(file, &page::page(&self, &told))?;
                }
                super::print(&text).context("cannot write to standard output")?;
                told.check()
            }
        }
    }

    /// Refuses what would read a log in part, twice, or not at all, or write over it.
    fn check_files(&self) -> anyhow::Result<()> {
        let logs: Vec<PathBuf> = self.logs.iter().map(|log| canonical(log)).collect();
        for (place, log) in logs.iter().enumerate() {
            let name = self.logs[place].display();
            if logs[..place].contains(log) {
                bail!("{name}: given twice: each part of a log is read once");
            }
            let is_pipe = is_standard_input(&self.logs[place])
                || log.metadata().is_ok_and(|file| !file.is_file() && !file.is_dir());
            if self.config.is_none() && is_pipe {
                bail!(
                    "{name}: is no file: a pipe is read once, so the settings cannot be found in it first: add --config"
                );
            }
        }
        self.check_predictions(&logs)
    }

    /// Refuses to write predictions over what is read, or into the report.
    fn check_predictions(&self, logs: &[PathBuf]) -> anyhow::Result<()> {
        let Some(file) = &self.predictions else { return Ok(()) };
        let is = |other: &Option<PathBuf>| other.as_deref().map(canonical).as_ref() == Some(&canonical(file));
        let what = match () {
            () if logs.contains(&canonical(file)) => "a log",
            () if is(&self.config) => "the configuration",
            () if is(&self.report) => "the report",
            () if is(&self.against) => "what is compared with",
            () => return Ok(()),
        };
        bail!("{}: is {what}: write the predictions to another file", file.display())
    }

    fn replay(&self, config: Option<&PathBuf>) -> anyhow::Result<Told> {
        let bad_lines = if self.strict { BadLines::Refused } else { BadLines::Counted };
        let mut watch = Watch::new(bytes_total(&self.logs));
        let (settings, discovery) = match config {
            Some(file) => (with_window(Config::load(file)?.settings, self.window), None),
            None => {
                let started = Stopwatch::start();
                let window = self.window.unwrap_or(WINDOW_DEFAULT);
                let settings = replay::discover(&self.logs, window, bad_lines, &mut watch)?;
                (settings, Some(started.elapsed()))
            }
        };
        let file = self.predictions.as_deref().map(PredictionFile::create).transpose()?;
        let played = replay::play(&self.logs, settings, file, bad_lines, &mut watch);
        watch.progress.done();
        let (mut played, times) = played?;
        let evaluation = Evaluation::of(&played, self.scope(), self.draws());
        if let Some(file) = played.file.take() {
            file.write(&played, self.scope())?;
        }
        Ok(Told { played, times, discovery, evaluation })
    }

    fn scope(&self) -> Scope {
        let open = match self.open_windows {
            Open::Auto => OpenWindows::AsTheLogTells,
            Open::LeaveOut => OpenWindows::LeftOut,
            Open::Count => OpenWindows::Counted,
        };
        Scope { from: self.evaluate_from, open }
    }

    fn draws(&self) -> Resamples {
        Resamples { count: self.resamples, seed: self.seed }
    }
}

impl Told {
    /// Lines a second, from the first to the last.
    fn lines_per_second(&self) -> f64 {
        self.played.lines.total() as f64 / self.times.whole.as_secs_f64().max(1e-9)
    }

    /// A replay that evaluated nothing has failed at what it was asked for.
    fn check(&self) -> anyhow::Result<()> {
        let (lines, evaluation) = (&self.played.lines, &self.evaluation);
        if 2 * lines.bad > lines.total() {
            bail!(
                "{} of {} lines are bad, so these figures are those of a small part: see the bad lines above; where \
                 they lie before an earlier line, that one's time is wrong",
                lines.bad,
                lines.total()
            );
        }
        if evaluation.evaluated.quality.opportunities > 0.0 {
            return match warnings::why_none_is_positive(self) {
                Some(why) if evaluation.all.quality.positives == 0.0 => bail!("{why}"),
                _ => Ok(()),
            };
        }
        if lines.opportunities == 0 {
            bail!("the log holds no opportunities: there is nothing to predict");
        }
        if self.played.predictions.is_empty() {
            bail!("no opportunity of the log could be scored: see the refusals above");
        }
        if evaluation.all.quality.opportunities == 0.0 {
            bail!(
                "no opportunity of the log has an impression: without one, it is not known what showing the ad led to"
            );
        }
        bail!(
            "no opportunity lies in the evaluated part, from {} on with windows that closed before the log ended: \
             choose an earlier --evaluate-from or a shorter --window; or --open-windows count, if the log holds all \
             conversions of its opportunities",
            moment(evaluation.from)
        )
    }
}

/// Shows how far the log is read, and the first bad lines.
struct Watch {
    progress: Progress,
    bad_lines: u64,
}

impl Watch {
    fn new(total: u64) -> Watch {
        Watch { progress: Progress::new(total), bad_lines: 0 }
    }
}

impl Watcher for Watch {
    fn read(&mut self, bytes: u64) {
        self.progress.show(bytes);
    }

    fn bad_line(&mut self, error: &JourneyError) {
        self.bad_lines += 1;
        if self.bad_lines <= BAD_LINES_SHOWN {
            self.progress.done();
            let _ = writeln!(std::io::stderr(), "bad line: {error}");
        }
    }
}

/// The one name of a file, whatever way leads to it; as it stands, where nothing is there yet.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Settings with the command line's label window for all goals, where it states one.
pub(super) fn with_window(mut settings: Settings, window: Option<Span>) -> Settings {
    if let Some(window) = window {
        for goal in settings.advertisers.iter_mut().flat_map(|advertiser| &mut advertiser.goals) {
            (goal.click_window, goal.view_window) = (window, window);
        }
    }
    settings
}

/// Reads a label window: as long as a configuration may make it.
pub(super) fn window(text: &str) -> Result<Span, String> {
    match Span::parse(text) {
        Ok(span) if (Span::minutes(1)..=Span::days(90)).contains(&span) => Ok(span),
        Ok(_) => Err("a label window lies between 1m and 90d".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a date, a moment, or a share from 0 to 1.
pub(super) fn evaluate_from(text: &str) -> Result<EvaluateFrom, String> {
    if let Ok(share) = text.parse::<f64>() {
        return match share {
            0.0..=1.0 => Ok(EvaluateFrom::Share(share)),
            _ => Err("a share lies between 0 and 1".to_owned()),
        };
    }
    read_moment(text).map(EvaluateFrom::Moment).ok_or_else(|| {
        "is neither a share such as 0.5, nor a date such as 2021-01-01, nor a moment such as 2021-01-01T12:00:00Z"
            .to_owned()
    })
}

/// Reads a date or a moment, in UTC where it does not say.
pub(super) fn read_moment(text: &str) -> Option<Timestamp> {
    let utc = |moment: jiff::civil::DateTime| moment.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp());
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| utc(text.parse::<jiff::civil::DateTime>().ok()?))?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp)
}

/// A moment as a date, with the time of day where it is not midnight; UTC.
pub(super) fn moment(at: Timestamp) -> String {
    let known = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let Some(moment) = known else { return format!("{} ms", at.0) };
    let text = moment.to_string();
    text.strip_suffix("T00:00:00Z").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evaluated_part_begins_at_a_share_a_date_or_a_moment() {
        let at = |ms| Ok(EvaluateFrom::Moment(Timestamp(ms)));
        assert_eq!(evaluate_from("0.5"), Ok(EvaluateFrom::Share(0.5)));
        assert_eq!(evaluate_from("0"), Ok(EvaluateFrom::Share(0.0)));
        assert_eq!(evaluate_from("2021-01-01"), at(1_609_459_200_000));
        assert_eq!(evaluate_from("2021-01-01T12:00:00"), at(1_609_502_400_000));
        assert_eq!(evaluate_from("2021-01-01T12:00:00.5+02:00"), at(1_609_495_200_500));
        for wrong in ["1.5", "-0.1", "NaN", "yesterday", "2021-13-01", "1969-01-01", ""] {
            assert!(evaluate_from(wrong).is_err(), "{wrong}");
        }
        assert_eq!(moment(Timestamp(1_609_459_200_000)), "2021-01-01");
        assert_eq!(moment(Timestamp(1_609_502_400_000)), "2021-01-01T12:00:00Z");
        assert_eq!(moment(Timestamp(u64::MAX)), "18446744073709551615 ms");
    }
}

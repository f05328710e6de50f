//! What a replay says to people: tables.

use std::fmt::Write;

use super::warnings::warnings;
use super::{Replay, Told, moment};
use crate::replay::{Comparison, Joined, OfGoal, Part, SLICE_RESAMPLES, Slice};
use crate::report::table::{Align, Table, count, percent};

/// Days that are shown, the latest; all are in the JSON.
const DAYS_SHOWN: usize = 31;

/// The figures in the order they are shown, with what they are called.
pub const FIGURES: [&str; 7] =
    ["log loss", "normalised entropy", "AUC", "PR-AUC", "Brier", "predicted ÷ observed", "lift of the top tenth"];

/// One replay.
pub fn report(of: &Replay, told: &Told) -> String {
    let mut out = head(of, told);
    let evaluation = &told.evaluation;
    if evaluation.evaluated.quality.opportunities == 0.0 {
        out.push_str(&warnings(told));
        return out;
    }
    out.push_str(&figures(told));
    out.push_str(&reliability(told));
    let resamples = of.resamples.min(SLICE_RESAMPLES);
    let _ = writeln!(out, "\nSLICES of the evaluated part; their intervals come from {resamples} resamples");
    out.push_str(&goals(&evaluation.goals));
    out.push_str(&slices("SEGMENTS, opportunities of their members", "segment", &evaluation.segments));
    out.push_str(&slices("CONTEXT, the commonest values", "value", &evaluation.contexts));
    out.push_str(&days(told));
    out.push_str(&warnings(told));
    out
}

/// Two sets of predictions by their names, with the replays that made one or both.
pub fn comparison(of: &Replay, [name_a, name_b]: [String; 2], told: &[&Told], compared: &Comparison) -> String {
    let mut out = head(of, told[0]);
    let _ = writeln!(out, "\nCOMPARED on what both evaluate: A is {name_a}, B is {name_b}");
    let mut table = Table::new(&[
        ("", Align::Left),
        ("A", Align::Right),
        ("B", Align::Right),
        ("B − A", Align::Right),
        ("95 % interval", Align::Right),
        ("", Align::Left),
    ]);
    let Comparison { opportunities, positives, users, .. } = compared;
    for (what, many) in [("opportunities", *opportunities), ("positives", *positives), ("users", u64::from(*users))] {
        let many = count(many as f64);
        table.row([what.to_owned(), many.clone(), many]);
    }
    for (name, one) in FIGURES.iter().zip(&compared.differences) {
        let verdict = match one.interval {
            Some((low, high)) if low > 0.0 || high < 0.0 => "differs",
            Some(_) => "no difference can be told",
            None => "",
        };
        table.row([
            (*name).to_owned(),
            number(one.a),
            number(one.b),
            number(one.b - one.a),
            range(one.interval),
            verdict.to_owned(),
        ]);
    }
    let _ = write!(out, "{table}");
    for (name, alone) in ["A", "B"].into_iter().zip(compared.alone).filter(|(_, alone)| *alone > 0) {
        let _ = writeln!(out, "  {} opportunities are evaluated by {name} alone, and left out", count(alone as f64));
    }
    for (name, told) in ["A", "B"].into_iter().zip(told) {
        let warnings = warnings(told);
        if !warnings.is_empty() {
            let _ = write!(out, "\n{name}:{warnings}");
        }
    }
    out
}

/// What was played.
pub fn counts(told: &Told) -> String {
    let lines = &told.played.lines;
    format!(
        "LOG: {} lines{}: {} actions, {} opportunities, {} impressions, {} conversions; {} users with opportunities",
        count(lines.total() as f64),
        if lines.bad > 0 { format!(", {} of them bad", count(lines.bad as f64)) } else { String::new() },
        count(lines.actions as f64),
        count(lines.opportunities as f64),
        count(lines.impressions as f64),
        count(lines.conversions as f64),
        count(f64::from(told.played.users)),
    )
}

/// What became of the conversions.
pub fn joins(told: &Told) -> String {
    let joins = told.played.lines.joins.counts();
    let of = |is: &dyn Fn(Joined) -> bool| {
        count(joins.iter().filter(|(joined, _)| is(**joined)).map(|(_, many)| many).sum::<u64>() as f64)
    };
    format!(
        "CONVERSIONS: {} made an opportunity positive, {} joined one that was positive already, {} fell outside every \
         window, {} joined nothing",
        of(&|joined| joined == Joined::First),
        of(&|joined| joined == Joined::Again),
        of(&|joined| matches!(joined, Joined::Outside | Joined::TooLate)),
        of(&Joined::is_nothing),
    )
}

fn head(of: &Replay, told: &Told) -> String {
    let times = &told.times;
    let mut out = format!("seed {}, {} resamples of the users\n\n", of.seed, count(f64::from(of.resamples)));
    let _ = writeln!(out, "{}\n{}", counts(told), joins(told));
    let share = times.parsing.as_secs_f64() / times.whole.as_secs_f64().max(1e-9);
    let _ = writeln!(
        out,
        "  {} lines a second: {:.2} s, the parser busy for {} of it on a thread of its own",
        count(told.lines_per_second()),
        times.whole.as_secs_f64(),
        percent(share),
    );
    if let Some(discovery) = told.discovery {
        let _ = writeln!(out, "  before that, {:.2} s to find the settings in the log", discovery.as_secs_f64());
    }
    out
}

/// The figures of the evaluated part and of all, with their intervals.
pub fn figures_table(told: &Told) -> Table {
    let evaluation = &told.evaluation;
    let mut table = Table::new(&[
        ("", Align::Left),
        ("evaluated", Align::Right),
        ("95 % interval", Align::Right),
        ("all", Align::Right),
        ("95 % interval", Align::Right),
    ]);
    let parts = [&evaluation.evaluated, &evaluation.all];
    let counts = |what: &str, of: fn(&Part) -> f64| {
        let [evaluated, all] = parts.map(|part| count(of(part)));
        [what.to_owned(), evaluated, String::new(), all]
    };
    table.row(counts("opportunities", |part| part.quality.opportunities));
    table.row(counts("positives", |part| part.quality.positives));
    table.row(counts("users", |part| f64::from(part.users)));
    for (place, name) in FIGURES.iter().enumerate() {
        let [evaluated, all] = parts.map(|part| number(part.quality.figures()[place].1));
        let [of_evaluated, of_all] = parts.map(|part| range(part.intervals[place]));
        table.row([(*name).to_owned(), evaluated, of_evaluated, all, of_all]);
    }
    table
}

fn figures(told: &Told) -> String {
    let evaluation = &told.evaluation;
    let table = figures_table(told);
    let mut out = format!("\nQUALITY, evaluated from {} on\n{table}", moment(evaluation.from));
    let rate = match evaluation.constant.is_of_whole_log {
        true => "rate of the whole log, as no window had closed by then",
        false => "rate known by then",
    };
    let _ = writeln!(out, "  log loss of always saying the {rate}: {}", number(evaluation.constant.log_loss));
    if evaluation.goals.len() > 1 {
        out.push_str(
            "  AUC and normalised entropy compare across goals here: that their rates differ passes for skill. See \
             GOALS for each by itself; the rate that is always said is each goal's own\n",
        );
    }
    out.push_str(&open_windows(told));
    if evaluation.not_shown > 0 {
        let _ =
            writeln!(out, "  {} opportunities without an impression are left out", count(evaluation.not_shown as f64));
    }
    out
}

fn open_windows(told: &Told) -> String {
    let evaluation = &told.evaluation;
    let rule = match evaluation.evaluated_open {
        0 => ", and are not evaluated".to_owned(),
        many => format!(
            "; {} of them are evaluated, to which {:.1} conversions are still to be expected",
            count(many as f64),
            evaluation.missing
        ),
    };
    format!("  {} windows were open when the log ended{rule}\n", count(evaluation.open as f64))
}

fn reliability(told: &Told) -> String {
    let mut table = Table::new(&[
        ("p", Align::Left),
        ("opportunities", Align::Right),
        ("predicted", Align::Right),
        ("observed", Align::Right),
    ]);
    for band in &told.evaluation.reliability {
        table.row([
            format!("{} … {}", percent(band.range.0), percent(band.range.1)),
            count(band.opportunities as f64),
            percent(band.predicted),
            percent(band.positives as f64 / band.opportunities as f64),
        ]);
    }
    if table.is_empty() { String::new() } else { format!("\nRELIABILITY, evaluated part\n{table}") }
}

/// A table of slices, one line each.
fn slices(head: &str, of: &str, slices: &[Slice]) -> String {
    let rows = slices.iter().map(|slice| (slice.name.as_str(), slice.value.clone(), &slice.part));
    parts(head, of, rows)
}

fn goals(goals: &[OfGoal]) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("goal", Align::Left),
        ("opportunities", Align::Right),
        ("positives", Align::Right),
        ("log loss", Align::Right),
        ("95 % interval", Align::Right),
        ("of its bare rate", Align::Right),
        ("normalised entropy", Align::Right),
        ("AUC", Align::Right),
        ("predicted ÷ observed", Align::Right),
        ("95 % interval", Align::Right),
    ]);
    for OfGoal { slice: Slice { name, value, part }, constant } in goals {
        let quality = &part.quality;
        table.row([
            name.clone(),
            value.clone(),
            count(quality.opportunities),
            count(quality.positives),
            number(quality.log_loss),
            range(part.intervals[0]),
            number(constant.log_loss),
            number(quality.normalized_entropy),
            number(quality.auc),
            number(quality.calibration),
            range(part.intervals[5]),
        ]);
    }
    if table.is_empty() { String::new() } else { format!("\nGOALS\n{table}") }
}

fn days(told: &Told) -> String {
    let days = &told.evaluation.days;
    let skipped = days.len().saturating_sub(DAYS_SHOWN);
    let mut out = parts("DAYS", "day (UTC)", days.iter().skip(skipped).map(|(day, part)| ("", moment(*day), part)));
    if skipped > 0 {
        let _ = writeln!(out, "  {} earlier days are in --json", count(skipped as f64));
    }
    out
}

fn parts<'a>(head: &str, of: &str, rows: impl Iterator<Item = (&'a str, String, &'a Part)>) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        (of, Align::Left),
        ("opportunities", Align::Right),
        ("positives", Align::Right),
        ("log loss", Align::Right),
        ("95 % interval", Align::Right),
        ("AUC", Align::Right),
        ("predicted ÷ observed", Align::Right),
        ("95 % interval", Align::Right),
    ]);
    for (name, value, part) in rows {
        let quality = &part.quality;
        table.row([
            name.to_owned(),
            value,
            count(quality.opportunities),
            count(quality.positives),
            number(quality.log_loss),
            range(part.intervals[0]),
            number(quality.auc),
            number(quality.calibration),
            range(part.intervals[5]),
        ]);
    }
    if table.is_empty() { String::new() } else { format!("\n{head}\n{table}") }
}

fn number(figure: f64) -> String {
    if figure.is_finite() { format!("{figure:.5}") } else { "–".to_owned() }
}

fn range(interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(|| "–".to_owned(), |(low, high)| format!("{low:.5} … {high:.5}"))
}

//! What tuning says: to people and to programs.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use similar::{ChangeTag, TextDiff};

use super::changes::{self, Change};
use super::{Told, Tune};
use crate::market::compare::Estimate;
use crate::market::run::Outcome;
use crate::market::tune::{Ended, Found, Group, Knob, Space, Verdict, Why};
use crate::report::table::{Align, Table, count, percent};
use crate::settings::Settings;

/// A search, with what it changed.
pub struct Searched<'a> {
    pub space: &'a Space,
    pub settings: &'a Settings,
    pub found: &'a Found,
    pub changed: &'a [Change],
}

/// What was found, in worlds that it was not chosen on.
pub struct Judged {
    pub verdict: Verdict,
    /// What both settings came to, by market; empty for a log.
    pub outcomes: [Vec<Outcome>; 2],
}

/// What is said of an external segment.
pub struct Segment {
    pub name: String,
    /// Its weight in the configuration, where it has an entry.
    pub before: Option<f64>,
    /// What its people are worth, with its interval.
    pub estimate: Option<(f64, f64, f64)>,
    pub after: Option<f64>,
    /// Its share of the spend.
    pub spend: f64,
}

impl Segment {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "segment": self.name,
            "weight_before": self.before,
            "worth": self.estimate.map(|(mean, low, high)| json!({ "mean": mean, "low": low, "high": high })),
            "weight_after": self.after,
            "share_of_spend": self.spend,
        })
    }
}

/// A share with its sign.
pub fn signed(share: f64) -> String {
    format!("{}{}", if share > 0.0 { "+" } else { "" }, percent(share))
}

fn range(estimate: &Estimate) -> String {
    format!("{} ({} … {})", signed(estimate.mean), signed(estimate.low), signed(estimate.high))
}

/// The table of segments; empty without any.
pub fn segments(rows: &[Segment]) -> String {
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("segment", Align::Left),
        right("share of spend"),
        right("worth beside others"),
        right("95 % interval"),
        right("weight"),
        right("tuned"),
        ("", Align::Left),
    ]);
    for row in rows {
        let remark = match (row.before, row.estimate) {
            (None, _) => "has no entry in the configuration",
            (_, None) => "too few of its people were met",
            (_, Some((_, low, high))) if low <= 1.0 && high >= 1.0 => "cannot be told from 1",
            _ => "",
        };
        table.row([
            row.name.clone(),
            percent(row.spend),
            row.estimate.map_or("–".to_owned(), |(mean, ..)| format!("{mean:.3}")),
            row.estimate.map_or("–".to_owned(), |(_, low, high)| format!("{low:.3} … {high:.3}")),
            row.before.map_or("–".to_owned(), |weight| weight.to_string()),
            row.after.map_or("–".to_owned(), |weight| weight.to_string()),
            remark.to_owned(),
        ]);
    }
    if table.is_empty() { String::new() } else { format!("\nSEGMENTS\n{table}") }
}

/// How the search went.
pub fn search(of: &Searched<'_>) -> String {
    let found = of.found;
    let ended = match found.ended {
        Ended::Settled => "until no step was better",
        Ended::OutOfPlays => "until it had no plays left (--plays-max)",
        Ended::Stopped => "until it was stopped",
    };
    let mut out = format!("\nSEARCH: {} plays, {ended}\n", count(found.plays as f64));
    let mut before = found.start.clone();
    for step in &found.steps {
        let changes = changes::changes(of.space, of.settings, &before, &step.point);
        let words: Vec<String> = changes.iter().map(words).collect();
        let _ = writeln!(out, "  {}: {}", words.join(", "), signed(step.better.share));
        before.clone_from(&step.point);
    }
    out
}

fn words(change: &Change) -> String {
    let Change { name, knob, before, after, .. } = change;
    format!("{name} {} → {}", changes::number(*knob, *before), changes::number(*knob, *after))
}

/// What may be promised.
pub fn verdict(of: &Searched<'_>, judged: Option<&Judged>, kpi: &str, worlds: &str) -> String {
    let mut out = weights_words(of, judged);
    let Some(Judged { verdict, .. }) = judged else {
        let _ = writeln!(out, "\nNO GAIN: no other setting was better by more than chance");
        return out;
    };
    let Verdict { kpi: (before, after), spend, .. } = verdict;
    let _ = writeln!(out, "\nJUDGED on {worlds}, which nothing was chosen on");
    let mut table = Table::new(&[("setting", Align::Left), ("before", Align::Right), ("after", Align::Right)]);
    for Change { name, knob, before, after, .. } in of.changed {
        table.row([name.clone(), changes::number(*knob, *before), changes::number(*knob, *after)]);
    }
    let _ = write!(out, "{table}");
    let gain = verdict.gain.as_ref().map_or("–".to_owned(), range);
    let _ = writeln!(
        out,
        "  {} in the mean: {before:.2} → {after:.2}, {gain}; spend {} of that before",
        kpi,
        percent(*spend)
    );
    if let Some(came) = &verdict.came {
        let _ = writeln!(out, "  counted as they came: {}", range(came));
    }
    out.push_str(noise_words(of, verdict));
    let last = match verdict.refused() {
        None => format!("GAIN: {gain} more {} for the same spend are to be expected, 95 % interval", kpi),
        Some(Why::Noise) => {
            let least = verdict.gain.map_or(String::new(), |gain| {
                format!("; a gain of {} would be found four times of five", percent(gain.detectable))
            });
            format!("NO GAIN: what was found cannot be told from chance{least}")
        }
        Some(Why::Small) => {
            let least = percent(verdict.gain_min);
            format!("NO GAIN worth a change: {gain}, where more than {least} must be sure (--gain-min)")
        }
        Some(Why::Unequal) => "NO GAIN: what was found spends something else, and is not compared".to_owned(),
    };
    let _ = writeln!(out, "\n{last}");
    out
}

/// What a smaller exponent says where it gains: it knows nothing more, it only believes the learner less.
fn noise_words(of: &Searched<'_>, verdict: &Verdict) -> &'static str {
    let is_smaller = of.changed.iter().any(|change| change.knob == Knob::Exponent && change.after < change.before);
    match verdict.gain {
        Some(gain) if is_smaller && gain.low > 0.0 => {
            "  the multipliers carry noise here: part of what the learner tells people apart by is chance, which a \
             smaller exponent keeps out of the bids\n"
        }
        _ => "",
    }
}

/// What it comes to, in one line.
pub fn last_line(words: &str) -> &str {
    words.lines().rfind(|line| !line.is_empty()).unwrap_or_default()
}

/// What is said of the weights beside the model: they stay where no other ones were found, or those that were cannot be
/// told from them.
fn weights_words(of: &Searched<'_>, judged: Option<&Judged>) -> String {
    let knobs = of.space.knobs();
    let weights: Vec<usize> = (0..knobs.len()).filter(|place| knobs[*place].group() == Group::Weights).collect();
    if weights.is_empty() || of.found.ended == Ended::Stopped {
        return String::new();
    }
    let start = of.space.start();
    let stay = match weights.iter().all(|place| start[*place] == 1.0) {
        true => "segment weights of 1 are right",
        false => "segment weights stay",
    };
    if weights.iter().all(|place| start[*place] == of.found.best[*place]) {
        return format!("  {stay}: no other weight was better by more than chance\n");
    }
    let is_of_weights = of.changed.iter().all(|change| change.knob.group() == Group::Weights);
    match judged.map(|judged| (judged.verdict.refused(), judged.verdict.gain)) {
        Some((Some(Why::Noise), Some(gain))) if is_of_weights => {
            format!("  {stay}: others would bring {} at most, which may be nothing\n", signed(gain.high))
        }
        _ => String::new(),
    }
}

/// The rest of what programs are told.
pub fn into_json(json: &mut Map<String, Value>, of: &Searched<'_>, judged: Option<&Judged>) {
    let ended = match of.found.ended {
        Ended::Settled => "settled",
        Ended::OutOfPlays => "out_of_plays",
        Ended::Stopped => "stopped",
    };
    let estimate = |estimate: Option<Estimate>| {
        estimate.map(|of| json!({ "mean": of.mean, "low": of.low, "high": of.high, "detectable": of.detectable }))
    };
    let refused = |why: Option<Why>| match why {
        None => Value::Null,
        Some(Why::Noise) => json!("noise"),
        Some(Why::Small) => json!("small"),
        Some(Why::Unequal) => json!("unequal_spend"),
    };
    let judged_json = judged.map(|Judged { verdict, .. }| {
        json!({
            "gain": estimate(verdict.gain),
            "counted_gain": estimate(verdict.came),
            "before": verdict.kpi.0,
            "after": verdict.kpi.1,
            "spend_ratio": verdict.spend,
            "refused": refused(verdict.refused()),
        })
    });
    json.insert("search".to_owned(), json!({ "plays": of.found.plays, "ended": ended, "steps": of.found.steps.len() }));
    json.insert("changes".to_owned(), changes::json(of.changed));
    json.insert("judged".to_owned(), json!(judged_json));
    json.insert("is_gain".to_owned(), json!(judged.is_some_and(|judged| judged.verdict.refused().is_none())));
}

/// All that is said, with what became of the output: the old text and the new one, where it was written.
pub fn with_outcome(of: &Tune, told: Told, texts: Option<(&str, &str)>) -> String {
    let Told { mut text, mut json, onward, .. } = told;
    if of.json {
        json.insert("written".to_owned(), json!(texts.map(|_| &of.out)));
        return format!("{:#}\n", Value::Object(json));
    }
    match texts {
        Some((old, new)) => {
            let _ = write!(text, "written to {}:\n{}", of.out.display(), diff(old, new));
            if let Some(onward) = onward {
                let _ = writeln!(text, "the search had not come to its end; to go on from there, {onward}");
            }
            text.push('\n');
        }
        None => {
            let _ = writeln!(text, "nothing was written: {} stays as it is", of.config.display());
        }
    }
    text
}

/// The lines that differ, each with its number.
pub fn diff(old: &str, new: &str) -> String {
    let mut out = String::new();
    for change in TextDiff::from_lines(old, new).iter_all_changes() {
        let (sign, number) = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => ('-', change.old_index()),
            ChangeTag::Insert => ('+', change.new_index()),
        };
        let number = number.map_or(0, |index| index + 1);
        let _ = writeln!(out, "  {number:>4} {sign} {}", change.value().trim_end());
    }
    out
}

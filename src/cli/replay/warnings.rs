//! What a reader must know before believing the figures of a replay.

use super::{Told, json};
use crate::cli::words;
use crate::engine::{CONTEXT_USED_MAX, NUMBERS_USED_MAX, SEGMENTS_USED_MAX};
use crate::ids::Id;
use crate::replay::{Joined, LineCounts, MISSING_MAX};
use crate::report::table::{count, percent};
use crate::units::{Span, Timestamp};
use crate::wording::nearest;

/// From this share of bad lines on, the figures are those of another log.
const BAD_SHARE: f64 = 0.03;
/// Reasons for bad lines that are shown, the commonest; all are in the JSON.
const REASONS_SHOWN: usize = 4;
/// From this share of conversions that join nothing on, this is told.
const NOTHING_SHARE: f64 = 0.5;
/// Goals without opportunities that are named.
const GOALS_NAMED: usize = 5;
/// Names without a feature that are shown, those of most opportunities; all are in the JSON.
const UNUSED_SHOWN: usize = 6;
/// A log from before this, in 1973, has its times in seconds.
const MILLISECONDS_FROM: Timestamp = Timestamp(100_000_000_000);

/// All of it, under its heading; empty where there is nothing.
pub fn warnings(told: &Told) -> String {
    let of = [bad_lines, times, conversions, windows, lost, unused, leaks];
    let lines: Vec<String> = of.into_iter().flat_map(|of| of(told)).map(|line| format!("  {line}\n")).collect();
    if lines.is_empty() { String::new() } else { format!("\nTO BE SEEN TO\n{}", lines.concat()) }
}

/// Why no opportunity of the log is positive, where it should hold some that are.
pub fn why_none_is_positive(told: &Told) -> Option<String> {
    let lines = &told.played.lines;
    let joins = lines.joins.counts();
    if let Some((joined, _)) = joins.iter().max_by_key(|(_, many)| **many) {
        let all = words::several(joins.values().sum::<u64>() as usize, "conversion");
        let named = without_opportunities(told).into_iter().next();
        let cause = named.filter(|_| *joined == Joined::UnknownGoal).unwrap_or_else(|| why(*joined).to_owned());
        return Some(format!("no opportunity became positive, though the log holds {all}: {cause}"));
    }
    let back = lines.faults.back_in_time;
    (back > 0).then(|| {
        format!(
            "no opportunity became positive: lines that count as bad because they lie before an earlier one, {} in \
             all, may hold the conversions: sort the log by time_ms",
            count(back as f64)
        )
    })
}

fn bad_lines(told: &Told) -> Vec<String> {
    let LineCounts { bad, faults, .. } = &told.played.lines;
    if *bad == 0 {
        return Vec::new();
    }
    let share = *bad as f64 / told.played.lines.total() as f64;
    let of_all = if share > BAD_SHARE {
        format!(", {} of the log: the figures are those of the rest", percent(share))
    } else {
        String::new()
    };
    let mut out = vec![format!("{} lines could not be read{of_all}", count(*bad as f64))];
    let mut reasons: Vec<(&String, &u64)> = faults.by_reason.iter().collect();
    reasons.sort_by_key(|(why, many)| (std::cmp::Reverse(**many), *why));
    out.extend(reasons.iter().take(REASONS_SHOWN).map(|(why, many)| format!("  {}: {why}", count(**many as f64))));
    if faults.by_reason.keys().any(|why| why.starts_with("time_ms is outside")) {
        out.push("time_ms is in milliseconds since 1970: are some in microseconds?".to_owned());
    }
    match faults.jump() {
        Some(ahead) => out.push(format!(
            "line {} lies {} ahead of the {} bad lines after it: either its time is wrong, or the log is not sorted by \
             time_ms",
            ahead.line,
            roughly(ahead.by),
            count(ahead.of as f64)
        )),
        None if 2 * faults.back_in_time > *bad => {
            out.push("most of these lie before an earlier line: sort the log by time_ms".to_owned());
        }
        None => {}
    }
    out
}

fn times(told: &Told) -> Vec<String> {
    let began_at = told.played.began_at;
    let is_early = told.played.lines.total() > told.played.lines.bad && began_at < MILLISECONDS_FROM;
    let warning = || {
        format!(
            "the log begins at {} by its times: time_ms is in milliseconds since 1970, and these look like seconds, by \
             which every window is a thousand times too long",
            super::moment(began_at)
        )
    };
    is_early.then(warning).into_iter().collect()
}

fn conversions(told: &Told) -> Vec<String> {
    let lines = &told.played.lines;
    let joins = lines.joins.counts();
    let all: u64 = joins.values().sum();
    if all == 0 && lines.opportunities > 0 {
        let remedy = match told.discovery {
            Some(_) => ": where an action is the goal's conversion, pass --config with its converting_action",
            None => "",
        };
        return vec![format!("the log holds no conversions: all opportunities count as negative{remedy}")];
    }
    let mut out = without_opportunities(told);
    let nothing: u64 = joins.iter().filter(|(joined, _)| joined.is_nothing()).map(|(_, many)| many).sum();
    if nothing as f64 > NOTHING_SHARE * all as f64 {
        out.push(format!("{} of {} conversions joined nothing:", count(nothing as f64), count(all as f64)));
        let of_nothing = joins.iter().filter(|(joined, _)| joined.is_nothing());
        out.extend(of_nothing.map(|(joined, many)| format!("  {}: {}", count(*many as f64), why(*joined))));
    }
    out
}

/// Goals that only conversions name, with what was probably meant.
fn without_opportunities(told: &Told) -> Vec<String> {
    let joins = &told.played.lines.joins;
    let told = |(advertiser, goal, many): (&Id, &Id, u64)| {
        let meant = nearest(goal.as_str(), joins.with_opportunities(advertiser).map(Id::as_str));
        let meant = meant.map(|name| format!(": did you mean '{name}'?")).unwrap_or_default();
        let many = words::several(many as usize, "conversion");
        format!("goal '{goal}' of advertiser '{advertiser}' has {many} and no opportunities{meant}")
    };
    joins.without_opportunities().filter(|(.., many)| *many > 0).take(GOALS_NAMED).map(told).collect()
}

/// Why conversions did not make an opportunity positive.
fn why(joined: Joined) -> &'static str {
    match joined {
        Joined::First | Joined::Again => "they joined one",
        Joined::Outside | Joined::TooLate => {
            "they came outside of the label window, or the ad was not shown: is the --window long enough?"
        }
        Joined::OtherProduct => "their item or category is another than that of their user's opportunities",
        Joined::UnknownOpportunity => {
            "their id names no opportunity of their goal before them: it is that of the opportunity, not of an order"
        }
        Joined::UnknownUser => {
            "their users had no opportunity of their goal before them: are users named alike in both, case included?"
        }
        Joined::UnknownGoal => "their goal has no opportunities, or is not configured",
    }
}

fn windows(told: &Told) -> Vec<String> {
    let evaluation = &told.evaluation;
    let (missing, positives) = (evaluation.missing, evaluation.evaluated.quality.positives);
    let mut out = Vec::new();
    if missing > MISSING_MAX * positives {
        out.push(format!(
            "{} evaluated opportunities had an open window when the log ended; some {missing:.0} conversions are still \
             to be expected to them, beside {} positives: unless the log holds these too, pass --open-windows \
             leave-out",
            count(evaluation.evaluated_open as f64),
            count(positives)
        ));
    }
    if evaluation.given_up > 0 {
        out.push(format!(
            "{} opportunities are left out, because too many waited for their outcome: shorten --window, or split the \
             log by users",
            count(evaluation.given_up as f64)
        ));
    }
    out
}

fn lost(told: &Told) -> Vec<String> {
    let LineCounts { lost_impressions, repeated_opportunities, refused, .. } = &told.played.lines;
    let mut out = Vec::new();
    for (many, what) in [
        (*lost_impressions, "impressions name an opportunity that did not come before them, or was shown already"),
        (*repeated_opportunities, "opportunities have the name of an earlier one that still waits"),
    ] {
        if many > 0 {
            out.push(format!("{} {what}", count(many as f64)));
        }
    }
    out.extend(refused.iter().map(|(why, many)| format!("{} refused by the engine: {why}", count(*many as f64))));
    out
}

fn unused(told: &Told) -> Vec<String> {
    let names = told.played.unused.names();
    if names.is_empty() {
        return Vec::new();
    }
    let shown = names.iter().take(UNUSED_SHOWN);
    let mut shown: Vec<String> = shown.map(|(kind, name, _)| format!("{} {name}", json::kind(*kind))).collect();
    if names.len() > UNUSED_SHOWN {
        shown.push(format!("{} more", names.len() - UNUSED_SHOWN));
    }
    vec![format!(
        "the first {CONTEXT_USED_MAX} context entries, {NUMBERS_USED_MAX} numbers and {SEGMENTS_USED_MAX} segments of \
         an opportunity are looked at: put first what matters; not used, at least at times, are {}",
        shown.join(", ")
    )]
}

fn leaks(told: &Told) -> Vec<String> {
    let suspects = told.evaluation.suspects.iter().map(|suspect| {
        format!(
            "LEAK? {} alone explains {} of what there is to know about the labels: was it known when the ad was \
             offered?",
            format!("{} {}", json::kind(suspect.kind), suspect.name).trim_end(),
            percent(suspect.explained),
        )
    });
    let too_good = told.evaluation.is_too_good.then(|| {
        "LEAK? These predictions are better than what is known when an ad is offered makes them: look for what was \
         written into the log afterwards."
            .to_owned()
    });
    suspects.chain(too_good).collect()
}

/// A span in its largest unit, rounded down.
fn roughly(span: Span) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.into_iter().find(|(unit, _)| span.0 >= *unit) {
        Some((unit, name)) => format!("{}{name}", span.0 / unit),
        None => format!("{} ms", span.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        for (span, told) in [(Span::days(2), "2d"), (Span(7_300_000), "2h"), (Span(61_000), "1m"), (Span(9), "9 ms")] {
            assert_eq!(roughly(span), told);
        }
    }
}

//! What a replay says to programs: one JSON object. What cannot be told is null.

use serde_json::{Map, Value, json};

use super::{Replay, Told, moment};
use crate::replay::{Comparison, Joined, Joins, Kind, OfGoal, Part, Slice, Suspect};
use crate::stats::quality::Band;

/// One replay.
pub fn report(of: &Replay, told: &Told) -> Value {
    let Value::Object(mut report) = figures(told) else { return Value::Null };
    report.insert("logs".to_owned(), json!(of.logs));
    report.insert("seed".to_owned(), json!(of.seed));
    report.insert("resamples".to_owned(), json!(of.resamples));
    Value::Object(report)
}

/// Two replays and their differences.
pub fn comparison(of: &Replay, a: &Told, b: &Told, compared: &Comparison) -> Value {
    let mut report = differences(of, a, compared);
    report.insert("configurations".to_owned(), json!(of.compare));
    report.insert("b".to_owned(), figures(b));
    Value::Object(report)
}

/// A replay and how another model's predictions differ.
pub fn against(of: &Replay, told: &Told, compared: &Comparison) -> Value {
    let mut report = differences(of, told, compared);
    report.insert("against".to_owned(), json!(of.against));
    Value::Object(report)
}

fn differences(of: &Replay, a: &Told, compared: &Comparison) -> Map<String, Value> {
    let differences = compared.differences.iter().map(|one| {
        let value = json!({ "a": one.a, "b": one.b, "difference": one.b - one.a, "interval": one.interval });
        (one.figure.to_owned(), value)
    });
    let report = json!({
        "logs": of.logs,
        "seed": of.seed,
        "resamples": of.resamples,
        "a": figures(a),
        "compared": {
            "opportunities": compared.opportunities,
            "positives": compared.positives,
            "users": compared.users,
            "only_a": compared.alone[0],
            "only_b": compared.alone[1],
        },
        "differences": differences.collect::<Map<_, _>>(),
    });
    let Value::Object(report) = report else { return Map::new() };
    report
}

fn figures(told: &Told) -> Value {
    let (evaluation, lines) = (&told.evaluation, &told.played.lines);
    let mut evaluated = part(&evaluation.evaluated);
    evaluated.insert("from_ms".to_owned(), json!(evaluation.from.0));
    evaluated.insert("constant_log_loss".to_owned(), json!(evaluation.constant.log_loss));
    evaluated.insert("constant_rate_of_whole_log".to_owned(), json!(evaluation.constant.is_of_whole_log));
    evaluated.insert("open_at_the_end".to_owned(), json!(evaluation.evaluated_open));
    evaluated.insert("conversions_missing".to_owned(), json!(evaluation.missing));
    let mut all = part(&evaluation.all);
    all.insert("open_at_the_end".to_owned(), json!(evaluation.open));
    all.insert("not_shown".to_owned(), json!(evaluation.not_shown));
    all.insert("given_up".to_owned(), json!(evaluation.given_up));
    json!({
        "evaluated": evaluated,
        "all": all,
        "events_per_second": told.lines_per_second(),
        "seconds": {
            "replay": told.times.whole.as_secs_f64(),
            "parsing": told.times.parsing.as_secs_f64(),
            "discovery": told.discovery.map(|time| time.as_secs_f64()),
        },
        "lines": {
            "total": lines.total(),
            "actions": lines.actions,
            "opportunities": lines.opportunities,
            "impressions": lines.impressions,
            "conversions": lines.conversions,
            "bad": lines.bad,
            "bad_by_reason": lines.faults.by_reason,
            "lost_impressions": lines.lost_impressions,
            "lost_conversions": lines.lost_conversions,
            "repeated_opportunities": lines.repeated_opportunities,
            "refused": lines.refused,
        },
        "conversions": joins(&lines.joins),
        "goals": evaluation.goals.iter().map(goal).collect::<Vec<_>>(),
        "segments": evaluation.segments.iter().map(|one| slice(one, "", "segment")).collect::<Vec<_>>(),
        "contexts": evaluation.contexts.iter().map(|one| slice(one, "name", "value")).collect::<Vec<_>>(),
        "days": evaluation.days.iter().map(|(day, of)| {
            let mut of = part(of);
            of.insert("day".to_owned(), json!(moment(*day)));
            of
        }).collect::<Vec<_>>(),
        "unused": told.played.unused.names().into_iter().map(|(of, name, many)| {
            json!({ "kind": kind(of), "name": name.as_str(), "opportunities": many })
        }).collect::<Vec<_>>(),
        "reliability": evaluation.reliability.iter().map(band).collect::<Vec<_>>(),
        "suspects": evaluation.suspects.iter().map(suspect).collect::<Vec<_>>(),
        "too_good": evaluation.is_too_good,
    })
}

/// What became of conversions.
fn joins(of: &Joins) -> Value {
    let counts = of.counts();
    let many = |joined: Joined| counts.get(&joined).copied().unwrap_or_default();
    let alone = of.without_opportunities();
    json!({
        "made_positive": many(Joined::First),
        "already_positive": many(Joined::Again),
        "outside_window": many(Joined::Outside) + many(Joined::TooLate),
        "joined_nothing": {
            "other_item_or_category": many(Joined::OtherProduct),
            "unknown_opportunity": many(Joined::UnknownOpportunity),
            "user_without_opportunity": many(Joined::UnknownUser),
            "goal_without_opportunity": many(Joined::UnknownGoal),
        },
        "goals_without_opportunities": alone.map(|(advertiser, goal, many)| {
            json!({ "advertiser": advertiser.as_str(), "goal": goal.as_str(), "conversions": many })
        }).collect::<Vec<_>>(),
    })
}

fn goal(of: &OfGoal) -> Map<String, Value> {
    let mut out = slice(&of.slice, "advertiser", "goal");
    out.insert("constant_log_loss".to_owned(), json!(of.constant.log_loss));
    out.insert("constant_rate_of_whole_log".to_owned(), json!(of.constant.is_of_whole_log));
    out
}

fn part(of: &Part) -> Map<String, Value> {
    let quality = &of.quality;
    let mut out = Map::new();
    out.insert("opportunities".to_owned(), json!(quality.opportunities as u64));
    out.insert("positives".to_owned(), json!(quality.positives as u64));
    out.insert("users".to_owned(), json!(of.users));
    let mut intervals = Map::new();
    for ((name, figure), interval) in quality.figures().into_iter().zip(of.intervals) {
        out.insert(name.to_owned(), json!(figure));
        intervals.insert(name.to_owned(), json!(interval));
    }
    out.insert("intervals".to_owned(), Value::Object(intervals));
    out
}

/// A slice under the names that say what it is; an empty name is left out.
fn slice(of: &Slice, name: &str, value: &str) -> Map<String, Value> {
    let mut out = part(&of.part);
    for (key, text) in [(name, &of.name), (value, &of.value)].into_iter().filter(|(key, _)| !key.is_empty()) {
        out.insert(key.to_owned(), json!(text));
    }
    out
}

fn band(of: &Band) -> Value {
    json!({
        "opportunities": of.opportunities,
        "positives": of.positives,
        "predicted": of.predicted,
        "observed": of.positives as f64 / of.opportunities as f64,
        "p_min": of.range.0,
        "p_max": of.range.1,
    })
}

/// What a trait's kind is called.
pub fn kind(of: Kind) -> &'static str {
    match of {
        Kind::Context => "context",
        Kind::Number => "number",
        Kind::Segment => "segment",
        Kind::Item => "item",
        Kind::Category => "category",
        Kind::Did => "action",
    }
}

fn suspect(of: &Suspect) -> Value {
    json!({ "kind": kind(of.kind), "name": of.name, "explained": of.explained })
}

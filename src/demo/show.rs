//! What the demo prints: the service's own answers, in the words of the trade.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;

use super::client::{Client, Traffic};
use super::journey::Lines;
use super::shop::{BANDS, Bids};
use crate::pb::v1;
use crate::report::table::{Align, Table, count, percent};

/// Actions of the video quartiles, in their order.
const QUARTILES: [&str; 5] = ["video_start", "video_25", "video_50", "video_75", "video_complete"];

/// Actions in their table: the most frequent ones.
const ACTIONS_SHOWN: usize = 8;

/// The funnel: sessions and what was done in them, milestones first, then all else.
///
/// # Errors
/// When the service is gone.
pub async fn funnel(client: &Client, advertiser: &str) -> anyhow::Result<()> {
    let request = v1::GetFunnelRequest { advertiser: advertiser.to_owned() };
    let funnel = client.insight().get_funnel(request).await.context("GetFunnel")?.into_inner();
    let (sessions, users) = (count(funnel.sessions), count(funnel.users as f64));
    say!("\nFUNNEL of {advertiser}: {sessions} sessions, {users} users (older ones fade)");
    let mut table = Table::new(&[
        ("milestone", Align::Left),
        ("", Align::Left),
        ("times", Align::Right),
        ("micro-conversion rate", Align::Right),
    ]);
    let row = |action: &v1::ActionReport| {
        let rate = format!("{:.1} per 100 sessions", action.per_100_sessions);
        [action.action.clone(), action.words.clone(), count(action.count), rate]
    };
    funnel.actions.iter().filter(|action| action.position > 0).for_each(|action| table.row(row(action)));
    show!("{table}");
    let others = funnel.actions.iter().filter(|action| action.position == 0);
    let others: Vec<_> = others.filter(|action| !QUARTILES.contains(&action.action.as_str())).take(6).collect();
    if !others.is_empty() {
        let words = others.iter().map(|action| format!("{} {:.1}", action.action, action.per_100_sessions));
        say!("  beside the path, per 100 sessions: {}", words.collect::<Vec<_>>().join(", "));
    }
    let times = |name: &&str| funnel.actions.iter().find(|action| action.action == **name).map(|action| action.count);
    if let Some(started) = times(&QUARTILES[0]).filter(|started| *started > 0.0) {
        let reached = QUARTILES[1..].iter().filter_map(times).map(|times| percent(times / started));
        let reached = reached.collect::<Vec<_>>().join(", ");
        say!("  of {} videos started, watched to 25/50/75/100 %: {reached}", count(started));
    }
    Ok(())
}

/// The segment table of a goal.
///
/// # Errors
/// When the service is gone.
pub async fn segments(client: &Client, advertiser: &str, goal: &str) -> anyhow::Result<()> {
    let request = v1::GetSegmentsRequest { advertiser: advertiser.to_owned(), goal: goal.to_owned() };
    let segments = client.insight().get_segments(request).await.context("GetSegments")?.into_inner();
    show!("\n{}", segment_report(&segments, goal));
    Ok(())
}

/// The same as text, from the service's answer.
pub fn segment_report(segments: &v1::GetSegmentsResponse, goal: &str) -> String {
    let mut text = format!("SEGMENTS, impressions shown to their members and what those led to ({goal})\n");
    let mut table = Table::new(&[
        ("segment", Align::Left),
        ("users", Align::Right),
        ("impressions", Align::Right),
        ("clicks", Align::Right),
        ("conversions", Align::Right),
        ("rate", Align::Right),
        ("95 % interval", Align::Right),
        ("lift", Align::Right),
        ("95 % interval", Align::Right),
        ("cost", Align::Right),
        ("value", Align::Right),
    ]);
    let currency = &segments.currency;
    for segment in &segments.segments {
        let rate = segment.rate.unwrap_or_default();
        let [lift, interval] = times_as_likely(segment.lift);
        let name = if segment.segment.is_empty() { "everyone" } else { &segment.segment };
        table.row([
            name.to_owned(),
            count(segment.users as f64),
            count(segment.impressions),
            count(segment.clicks),
            count(segment.conversions),
            percent(rate.mean),
            format!("{} … {}", percent(rate.low), percent(rate.high)),
            lift,
            interval,
            money(segment.cost_micros, currency),
            money(segment.value_micros, currency),
        ]);
    }
    text += &table.to_string();
    for segment in segments.segments.iter().filter(|segment| !segment.words.is_empty()) {
        text += &format!("  {}: {}\n", segment.segment, segment.words);
    }
    text
}

/// The most frequent actions of an advertiser, and how many times as likely people convert who have done them.
///
/// # Errors
/// When the service is gone.
pub async fn actions(client: &Client, advertiser: &str, goal: &str) -> anyhow::Result<()> {
    let request = v1::GetActionsRequest { advertiser: advertiser.to_owned(), goal: goal.to_owned() };
    let mut effects = client.insight().get_actions(request).await.context("GetActions")?.into_inner().actions;
    let times = |effect: &v1::ActionEffect| effect.action.as_ref().map_or(0.0, |action| action.count);
    effects.sort_by(|one, other| times(other).total_cmp(&times(one)));
    say!("\nACTIONS by frequency, and what impressions to people who had done them before led to ({goal})");
    let mut table = Table::new(&[
        ("action", Align::Left),
        ("users", Align::Right),
        ("times", Align::Right),
        ("impressions", Align::Right),
        ("converted", Align::Right),
        ("rate", Align::Right),
        ("of others", Align::Right),
        ("lift", Align::Right),
        ("95 % interval", Align::Right),
    ]);
    for effect in effects.iter().take(ACTIONS_SHOWN) {
        let action = effect.action.clone().unwrap_or_default();
        let [lift, interval] = times_as_likely(effect.lift);
        table.row([
            action.action,
            action.users.map(|users| count(users as f64)).unwrap_or_default(),
            count(action.count),
            count(effect.impressions),
            count(effect.positives),
            percent(effect.rate_with),
            percent(effect.rate_without),
            lift,
            interval,
        ]);
    }
    show!("{table}");
    Ok(())
}

/// A lift and its interval; dashes where there is none.
fn times_as_likely(lift: Option<v1::Lift>) -> [String; 2] {
    match lift {
        Some(lift) => [format!("× {:.2}", lift.ratio), format!("{:.2} … {:.2}", lift.low, lift.high)],
        None => ["–".to_owned(), String::new()],
    }
}

fn money(micros: i64, currency: &str) -> String {
    format!("{:.2} {currency}", micros as f64 / 1e6)
}

/// One scored request with its reasons.
pub fn signal(who: &str, signal: &v1::Signal) {
    let neutral = match signal.neutral() {
        v1::NeutralReason::Unspecified => String::new(),
        v1::NeutralReason::ControlArm => ", in the control arm".to_owned(),
        other => format!(", neutral: {}", other.as_str_name()),
    };
    say!(
        "  {who:<36} × {:.2}   p {} ({} … {}), base bid pays for {}{neutral}",
        signal.multiplier,
        percent(signal.p_conversion),
        percent(signal.p_low),
        percent(signal.p_high),
        percent(signal.baseline),
    );
    for reason in &signal.reasons {
        let flag = if reason.collided { " (shares its slot)" } else { "" };
        say!("  {:<38} {}{flag}", "", reason.words);
    }
}

/// What came of bids with small and large multipliers.
pub fn bands(bids: &Bids) {
    say!("\nBIDS by multiplier: did those who were bid up come back to buy?");
    let mut table = Table::new(&[
        ("multiplier", Align::Left),
        ("opportunities", Align::Right),
        ("won", Align::Right),
        ("came back to buy", Align::Right),
        ("of those won", Align::Right),
        ("spend each", Align::Right),
    ]);
    for (place, band) in bids.bands.iter().enumerate().filter(|(_, band)| band.asked > 0) {
        let range = match (place.checked_sub(1).map(|before| BANDS[before]), BANDS.get(place)) {
            (None, Some(to)) => format!("below {to}"),
            (Some(from), Some(to)) => format!("{from} to {to}"),
            (Some(from), None) => format!("{from} and above"),
            (None, None) => "any".to_owned(),
        };
        let each = if band.brought_back > 0 {
            format!("{:.2} USD", band.spend / band.brought_back as f64)
        } else {
            "–".to_owned()
        };
        table.row([
            range,
            count(band.asked as f64),
            count(band.won as f64),
            count(band.brought_back as f64),
            percent(band.brought_back as f64 / band.won.max(1) as f64),
            each,
        ]);
    }
    show!("{table}");
}

/// What went over the wire, and how fast.
pub fn traffic(traffic: &Traffic, elapsed: Duration) {
    let calls = traffic.accepted + traffic.duplicates + traffic.rejected + traffic.scored;
    say!(
        "\nTRAFFIC over gRPC, one bidder in step with its events: {} events and {} scores in {:.1} s, {} a second",
        count((traffic.accepted + traffic.duplicates + traffic.rejected) as f64),
        count(traffic.scored as f64),
        elapsed.as_secs_f64(),
        count(calls as f64 / elapsed.as_secs_f64().max(1e-9)),
    );
    say!(
        "  a score took p50 {:.0} µs, p99 {:.0} µs from question to answer; {} events refused, {} repeated",
        traffic.wait_us(50.0),
        traffic.wait_us(99.0),
        count(traffic.rejected as f64),
        count(traffic.duplicates as f64),
    );
    traffic.refusals.iter().for_each(|refusal| say!("  refused: {refusal}"));
}

/// What was in a journey log, and what the service made of it.
///
/// # Errors
/// When the service is gone.
pub async fn journey(client: &Client, lines: &Lines) -> anyhow::Result<()> {
    let request = v1::GetStateRequest { digest: true };
    let state = client.admin().get_state(request).await.context("GetState")?.into_inner();
    let counter = |event: &str| {
        let label = format!("event=\"{event}\"");
        state.counters.iter().find(|counter| counter.label == label).map(|counter| counter.value)
    };
    let mut table =
        Table::new(&[("", Align::Left), ("lines of the log", Align::Right), ("applied by the engine", Align::Right)]);
    let rows = [
        ("actions tracked", Some(lines.actions), counter("actions")),
        ("opportunities scored", Some(lines.opportunities), None),
        ("impressions with their token", Some(lines.impressions), counter("impressions")),
        ("conversions", Some(lines.conversions), counter("conversions")),
        ("impressions that converted in their window", None, counter("positives")),
        ("lines that could not be read", Some(lines.bad), None),
        ("impressions of unknown opportunities", Some(lines.lost), None),
    ];
    for (what, from_log, applied) in rows {
        let cell = |number: Option<u64>| number.map(|number| count(number as f64)).unwrap_or_default();
        table.row([what.to_owned(), cell(from_log), cell(applied)]);
    }
    say!();
    show!("{table}");
    say!("  digest of the state after frame {}: {}", state.seq, state.digest);
    Ok(())
}

/// How far a goal is learned, and whether its probabilities hold.
///
/// # Errors
/// When the service is gone.
pub async fn goal(client: &Client, advertiser: &str, goal: &str) -> anyhow::Result<()> {
    let request = v1::GetGoalRequest { advertiser: advertiser.to_owned(), goal: goal.to_owned() };
    let report = client.insight().get_goal(request).await.context("GetGoal")?.into_inner();
    let sum = |pick: fn(&v1::ArmReport) -> f64| report.arms.iter().map(pick).sum::<f64>();
    say!("\nGOAL {goal} of {advertiser}");
    say!(
        "  {} impressions, {} conversions credited to them, {} without any; base bid pays for {}",
        count(report.impressions),
        count(report.conversions),
        count(report.organic_conversions),
        percent(report.baseline),
    );
    say!(
        "  answered probabilities promised {} conversions, {} came so far ({} impressions still wait)",
        count(sum(|arm| arm.predicted)),
        count(sum(|arm| arm.positives)),
        count(report.live_impressions as f64),
    );
    Ok(())
}

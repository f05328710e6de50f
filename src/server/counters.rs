//! What the service counts: a closed list, so that no request can invent a label.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use super::latency::{Latency, Names};
use crate::insight;
use crate::rejection::Rejection;
use crate::signal::{Neutral, Suppression};

/// What is counted under one name each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Score requests answered, refused ones included.
    ScoreRequests,
    /// Targets answered with signals.
    TargetsAnswered,
    /// Targets answered from memory after the journal had failed.
    TargetsDegraded,
    /// Tokens sealed.
    TokensSealed,
    /// Exposures that could not be sealed: their impressions will not be learned from.
    TokensUnsealed,
    /// Scores remembered for bidders that carry no token.
    ScoresRemembered,
    /// Impressions, ghosts and clicks found in the score memory.
    ScoresRecalled,
    /// Impressions named by an opportunity whose score is not remembered.
    ExposuresLost,
    /// Events applied.
    EventsAccepted,
    /// Events that had been applied before.
    EventsDuplicate,
    /// Calls refused because too many events were waiting.
    QueueFull,
    /// Calls refused because the service starts, stops or has failed.
    Unavailable,
    /// Frames applied.
    FramesApplied,
    /// Snapshots that are whole and durable.
    SnapshotsWritten,
    /// Snapshots that could not be written.
    SnapshotsFailed,
    /// Connections accepted on the gRPC port.
    Connections,
    /// Connections that the system refused to accept, on either port.
    AcceptsFailed,
}

impl Count {
    /// All, in the order of the report.
    pub const ALL: [Count; 17] = [
        Count::ScoreRequests,
        Count::TargetsAnswered,
        Count::TargetsDegraded,
        Count::TokensSealed,
        Count::TokensUnsealed,
        Count::ScoresRemembered,
        Count::ScoresRecalled,
        Count::ExposuresLost,
        Count::EventsAccepted,
        Count::EventsDuplicate,
        Count::QueueFull,
        Count::Unavailable,
        Count::FramesApplied,
        Count::SnapshotsWritten,
        Count::SnapshotsFailed,
        Count::Connections,
        Count::AcceptsFailed,
    ];

    /// Name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Count::ScoreRequests => "inkling_score_requests_total",
            Count::TargetsAnswered => "inkling_targets_answered_total",
            Count::TargetsDegraded => "inkling_targets_degraded_total",
            Count::TokensSealed => "inkling_tokens_sealed_total",
            Count::TokensUnsealed => "inkling_tokens_unsealed_total",
            Count::ScoresRemembered => "inkling_scores_remembered_total",
            Count::ScoresRecalled => "inkling_scores_recalled_total",
            Count::ExposuresLost => "inkling_exposures_lost_total",
            Count::EventsAccepted => "inkling_events_accepted_total",
            Count::EventsDuplicate => "inkling_events_duplicate_total",
            Count::QueueFull => "inkling_queue_full_total",
            Count::Unavailable => "inkling_unavailable_total",
            Count::FramesApplied => "inkling_frames_applied_total",
            Count::SnapshotsWritten => "inkling_snapshots_written_total",
            Count::SnapshotsFailed => "inkling_snapshots_failed_total",
            Count::Connections => "inkling_connections_total",
            Count::AcceptsFailed => "inkling_accepts_failed_total",
        }
    }
}

/// Labels of [`Rejection::label`], in the order of the report; the last one takes what is not listed.
const REJECTIONS: [&str; 18] = [
    "invalid",
    "too_many",
    "unknown_advertiser",
    "unknown_goal",
    "unknown_action",
    "too_late",
    "in_the_future",
    "wrong_currency",
    "token_malformed",
    "token_forged",
    "token_foreign",
    "token_expired",
    "token_version",
    "not_found",
    "link_full",
    "privacy",
    "full",
    "other",
];

/// Rules of neutral answers, in the order of the report.
const NEUTRALS: [Neutral; 7] = [
    Neutral::NoConsent,
    Neutral::ControlArm,
    Neutral::Support,
    Neutral::Deadline,
    Neutral::Overload,
    Neutral::NoBaseP,
    Neutral::Quarantined,
];

const SCORE_TIMES: Names = Names {
    bucket: "inkling_score_micros_bucket",
    sum: "inkling_score_micros_sum",
    count: "inkling_score_micros_count",
};
const TRACK_TIMES: Names = Names {
    bucket: "inkling_track_micros_bucket",
    sum: "inkling_track_micros_sum",
    count: "inkling_track_micros_count",
};

/// Counters since the start. Each is exact; two read together may be an instant apart.
#[derive(Debug, Default)]
pub struct Counters {
    plain: [AtomicU64; Count::ALL.len()],
    neutral: [AtomicU64; NEUTRALS.len()],
    suppressed: [AtomicU64; Suppression::ALL.len()],
    scores_refused: [AtomicU64; REJECTIONS.len()],
    events_refused: [AtomicU64; REJECTIONS.len()],
    /// Requests for bids, from when they were read to when their answers were there.
    pub scores: Latency,
    /// Messages of events, from when they were read to when all in them was durable and applied.
    pub tracks: Latency,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterLine {
    /// Name in Prometheus' spelling.
    pub name: Cow<'static, str>,
    /// Name and value of the label.
    pub label: Option<(&'static str, &'static str)>,
    /// Count since the start.
    pub value: u64,
}

impl Counters {
    /// Counts one.
    pub fn count(&self, what: Count) {
        self.add(what, 1);
    }

    /// Counts several.
    pub fn add(&self, what: Count, number: u64) {
        self.plain[what as usize].fetch_add(number, Ordering::Relaxed);
    }

    /// Counts a neutral signal under its rule.
    pub fn neutral(&self, rule: Neutral) {
        let place = match rule {
            Neutral::NoConsent => 0,
            Neutral::ControlArm => 1,
            Neutral::Support => 2,
            Neutral::Deadline => 3,
            Neutral::Overload => 4,
            Neutral::NoBaseP => 5,
            Neutral::Quarantined => 6,
        };
        self.neutral[place].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a signal not to bid.
    pub fn suppressed(&self, why: Suppression) {
        self.suppressed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refused request or target.
    pub fn score_refused(&self, rejection: &Rejection) {
        self.scores_refused[place(rejection)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refused event.
    pub fn event_refused(&self, rejection: &Rejection) {
        self.events_refused[place(rejection)].fetch_add(1, Ordering::Relaxed);
    }

    /// All counters, zeros included, in a fixed order.
    pub fn lines(&self) -> Vec<CounterLine> {
        let plain = Count::ALL.iter().zip(&self.plain).map(|(what, cell)| line(what.name(), None, cell));
        let neutral = NEUTRALS.iter().zip(&self.neutral);
        let neutral =
            neutral.map(|(rule, cell)| line("inkling_neutral_signals_total", Some(("reason", rule.label())), cell));
        let suppressed = Suppression::ALL.iter().zip(&self.suppressed);
        let suppressed =
            suppressed.map(|(why, cell)| line("inkling_suppressed_signals_total", Some(("reason", why.label())), cell));
        let refused = |name, cells: &'_ [AtomicU64; REJECTIONS.len()]| {
            let lines = REJECTIONS.iter().zip(cells).map(move |(code, cell)| line(name, Some(("code", *code)), cell));
            lines.collect::<Vec<_>>()
        };
        let scores = refused("inkling_scores_refused_total", &self.scores_refused);
        let events = refused("inkling_events_refused_total", &self.events_refused);
        let scored = self.scores.lines(SCORE_TIMES).into_iter();
        let tracked = self.tracks.lines(TRACK_TIMES).into_iter();
        plain.chain(neutral).chain(suppressed).chain(scores).chain(events).chain(scored).chain(tracked).collect()
    }
}

fn line(name: &'static str, label: Option<(&'static str, &'static str)>, cell: &AtomicU64) -> CounterLine {
    CounterLine { name: Cow::Borrowed(name), label, value: cell.load(Ordering::Relaxed) }
}

impl From<insight::Counter> for CounterLine {
    fn from(counter: insight::Counter) -> CounterLine {
        let name = Cow::Owned(format!("inkling_{}", counter.name));
        CounterLine { name, label: counter.label, value: counter.value }
    }
}

fn place(rejection: &Rejection) -> usize {
    let label = rejection.label();
    REJECTIONS.iter().position(|known| *known == label).unwrap_or(REJECTIONS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::TokenRefusal;

    #[test]
    fn counts_stand_in_the_place_of_their_name() {
        let counters = Counters::default();
        for (number, what) in Count::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, number);
            counters.add(what, number as u64 + 1);
        }
        for (number, rule) in NEUTRALS.into_iter().enumerate() {
            (0..=number).for_each(|_| counters.neutral(rule));
        }
        let lines = counters.lines();
        for (number, what) in Count::ALL.into_iter().enumerate() {
            let found = lines.iter().find(|line| line.name == what.name()).unwrap();
            assert_eq!(found.value, number as u64 + 1, "{what:?}");
        }
        for (number, rule) in NEUTRALS.into_iter().enumerate() {
            let found = lines.iter().find(|line| line.label == Some(("reason", rule.label()))).unwrap();
            assert_eq!(found.value, number as u64 + 1, "{rule:?}");
        }
    }

    #[test]
    fn every_refusal_has_its_own_label() {
        let name = || crate::ids::Id::literal("x");
        let span = crate::units::Span::ZERO;
        let refusals = [
            Rejection::invalid("f", "p"),
            Rejection::TooMany { field: "f", count: 1, limit: 0 },
            Rejection::UnknownAdvertiser(name()),
            Rejection::UnknownGoal { advertiser: name(), goal: name() },
            Rejection::UnknownAction { advertiser: name(), action: name() },
            Rejection::TooLate { age: span, limit: span },
            Rejection::InTheFuture { ahead: span, limit: span },
            Rejection::WrongCurrency { given: String::new(), expected: String::new() },
            Rejection::Token(TokenRefusal::Malformed),
            Rejection::Token(TokenRefusal::Forged),
            Rejection::Token(TokenRefusal::Foreign),
            Rejection::Token(TokenRefusal::Expired),
            Rejection::Token(TokenRefusal::Version),
            Rejection::NotFound { what: "x" },
            Rejection::LinkFull { limit: 1 },
            Rejection::Privacy { mode: "NEUTRAL" },
            Rejection::Full { what: "x", limit: 1 },
        ];
        let places: Vec<usize> = refusals.iter().map(place).collect();
        assert_eq!(places, (0..REJECTIONS.len() - 1).collect::<Vec<_>>());
    }
}

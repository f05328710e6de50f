//! One bid request from wire to wire, on the thread that read it: gate, keys, score, tokens. Never through the applier.

use std::time::{Duration, Instant};

use super::clock;
use super::convert;
use super::counters::Count;
use super::edge::{moment, optional, privacy_mode, required};
use super::shared::Shared;
use crate::engine::Catalog;
use crate::exposure::Exposure;
use crate::ids::Id;
use crate::opportunity::{
    CONTEXT_MAX, EXTERNAL_SEGMENTS_MAX, NUMBERS_MAX, PrivacyMode, ScoreRequest, TARGETS_MAX, Target,
};
use crate::pb::v1 as pb;
use crate::rejection::Rejection;
use crate::signal::{Neutral, Readiness, Scored, Signals};
use crate::units::Timestamp;

/// Targets scored between two looks at the clock.
const TARGETS_PER_LOOK: usize = 16;

/// A bid request in the vocabulary, with what concerns only the way of answering.
struct Question {
    /// With the targets that can be scored.
    request: ScoreRequest,
    /// For each target asked, why it cannot.
    verdicts: Vec<Option<Rejection>>,
    at: Timestamp,
    words: bool,
    tokens_max: usize,
    remember: bool,
}

/// The time by which an answer must be there.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    /// What the call itself allows.
    call: Option<Duration>,
}

impl Deadline {
    /// A call that starts now, with the time its header allows.
    pub fn starting(call: Option<Duration>) -> Deadline {
        Deadline { started: clock::instant(), call }
    }

    /// The moment after which a request of this call is answered neutral: the earlier of the call's deadline and the
    /// request's own, less what the way back takes.
    fn latest(self, shared: &Shared, tmax_ms: u32) -> Instant {
        let own = match tmax_ms {
            0 => shared.limits.deadline.0,
            stated => u64::from(stated).min(shared.limits.deadline.0),
        };
        let own = Duration::from_millis(own);
        let allowed = self.call.map_or(own, |call| call.min(own));
        self.started + allowed.saturating_sub(Duration::from_millis(shared.limits.deadline_overhead.0))
    }
}

/// Answers one bid request; whatever is wrong with it stands in the answer.
pub fn answer(shared: &Shared, wire: pb::ScoreRequest, deadline: Deadline) -> pb::ScoreResponse {
    shared.counters.count(Count::ScoreRequests);
    let response = respond(shared, wire, deadline);
    shared.counters.scores.note(deadline.started.elapsed());
    response
}

fn respond(shared: &Shared, wire: pb::ScoreRequest, deadline: Deadline) -> pb::ScoreResponse {
    let latest = deadline.latest(shared, wire.tmax_ms);
    // Read before the score: it may have seen more than this, never less.
    let model_version = shared.queue.applied().0;
    let question = match read(shared, wire) {
        Ok(question) => question,
        Err(rejection) => {
            shared.counters.score_refused(&rejection);
            return convert::refused_request(&rejection, model_version);
        }
    };
    let (request, mut signals) = score(shared, question.request, question.at, latest);
    if shared.queue.has_ended() {
        degrade(shared, &mut signals);
    }
    // Names are only ever added: a catalogue read after the score has all that the score can mention.
    let catalog = shared.scorer.catalog();
    let question = Question { request, ..question };
    let results = write(shared, &catalog, question, signals);
    pb::ScoreResponse { results, rejection: None, model_version }
}

/// What would be answered for one target now, with its reasons in words; for people, so without deadline and token.
pub fn explain(shared: &Shared, request: &ScoreRequest, stated_at: Option<Timestamp>) -> pb::TargetResult {
    match shared.scorer.score(shared.clock.at(stated_at), request).into_iter().next() {
        Some(Ok(scored)) => {
            let catalog = shared.scorer.catalog();
            let signals = scored.signals.iter().map(|signal| convert::signal(&catalog, request, signal, true));
            let combined = scored.combined.as_deref().map(|combined| convert::combined(&catalog, combined));
            pb::TargetResult { rejection: None, signals: signals.collect(), combined, token: String::new() }
        }
        Some(Err(rejection)) => convert::refused_target(&rejection),
        None => pb::TargetResult::default(),
    }
}

/// Reads a request; lists are measured before anything is made of them.
fn read(shared: &Shared, wire: pb::ScoreRequest) -> Result<Question, Rejection> {
    let lists = [
        ("context", wire.context.len(), CONTEXT_MAX),
        ("numbers", wire.numbers.len(), NUMBERS_MAX),
        ("segments", wire.segments.len(), EXTERNAL_SEGMENTS_MAX),
        ("targets", wire.targets.len(), TARGETS_MAX),
    ];
    for (field, count, limit) in lists {
        if count > limit {
            return Err(Rejection::TooMany { field, count, limit });
        }
    }
    let privacy = privacy_mode(wire.privacy)?;
    let context = wire.context.into_iter().map(|entry| {
        Ok::<_, Rejection>((required("context.name", entry.name)?, required("context.value", entry.value)?))
    });
    let numbers = wire.numbers.into_iter().map(|entry| Ok((required("numbers.name", entry.name)?, entry.value)));
    let mut targets = Vec::with_capacity(wire.targets.len());
    let mut verdicts = Vec::with_capacity(wire.targets.len());
    for one in wire.targets {
        match target(one) {
            Ok(target) => {
                targets.push(target);
                verdicts.push(None);
            }
            Err(rejection) => verdicts.push(Some(rejection)),
        }
    }
    let request = ScoreRequest {
        opportunity: required("opportunity_id", wire.opportunity_id)?,
        users: shared.edge.users(privacy, wire.users)?,
        context: context.collect::<Result<_, _>>()?,
        numbers: numbers.collect::<Result<_, Rejection>>()?,
        segments: names("segments", wire.segments)?,
        privacy,
        targets,
        reasons_max: wire.reasons_max as usize,
    };
    request.check()?;
    let tokens_max = wire.tokens_max.map_or(shared.limits.tokens_max, |max| (max as usize).min(TARGETS_MAX));
    let at = shared.clock.at(moment("at_ms", wire.at_ms)?);
    Ok(Question { request, verdicts, at, words: wire.words, tokens_max, remember: wire.remember })
}

fn target(wire: pb::Target) -> Result<Target, Rejection> {
    Ok(Target {
        advertiser: required("advertiser", wire.advertiser)?,
        campaign: optional("campaign", wire.campaign)?,
        line_item: optional("line_item", wire.line_item)?,
        creative: optional("creative", wire.creative)?,
        item: optional("item", wire.item)?,
        category: optional("category", wire.category)?,
        goals: names("goals", wire.goals)?,
        base_p: wire.base_p,
    })
}

fn names(field: &'static str, list: Vec<String>) -> Result<Vec<Id>, Rejection> {
    list.into_iter().map(|name| required(field, name)).collect()
}

/// Scores some targets at a time and looks at the clock in between; gives the request back whole.
fn score(shared: &Shared, mut request: ScoreRequest, at: Timestamp, latest: Instant) -> (ScoreRequest, Signals) {
    if request.targets.len() <= TARGETS_PER_LOOK && clock::instant() < latest {
        let signals = shared.scorer.score(at, &request);
        return (request, signals);
    }
    let mut signals = Signals::with_capacity(request.targets.len());
    let mut waiting = std::mem::take(&mut request.targets).into_iter().peekable();
    let mut done = Vec::with_capacity(waiting.len());
    while waiting.peek().is_some() {
        request.targets.extend(waiting.by_ref().take(TARGETS_PER_LOOK));
        if clock::instant() < latest {
            signals.extend(shared.scorer.score(at, &request));
            done.append(&mut request.targets);
        } else {
            request.targets.extend(waiting.by_ref());
            signals.extend(too_late(shared, &request, at));
            done.append(&mut request.targets);
        }
    }
    request.targets = done;
    (request, signals)
}

/// Says of answers that nothing new is learned behind them: the journal has failed.
fn degrade(shared: &Shared, signals: &mut Signals) {
    for scored in signals.iter_mut().flatten() {
        shared.counters.count(Count::TargetsDegraded);
        scored.signals.iter_mut().for_each(|signal| signal.readiness = Readiness::Degraded);
    }
}

/// The neutral answers for which no history is looked up: the engine's own for a person of whom nothing may be known.
fn too_late(shared: &Shared, request: &ScoreRequest, at: Timestamp) -> Signals {
    let nobody = ScoreRequest { privacy: PrivacyMode::Neutral, users: Vec::new(), ..request.clone() };
    let mut signals = shared.scorer.score(at, &nobody);
    for scored in signals.iter_mut().flatten() {
        scored.exposure = None;
        scored.signals.iter_mut().for_each(|signal| signal.neutral = Some(Neutral::Deadline));
        scored.combined.iter_mut().for_each(|combined| combined.neutral = Some(Neutral::Deadline));
    }
    signals
}

/// Writes the answers; the best targets get their tokens or are remembered.
fn write(shared: &Shared, catalog: &Catalog, question: Question, signals: Signals) -> Vec<pb::TargetResult> {
    let mut scored = signals.into_iter();
    let answered = question.verdicts.into_iter().map(|verdict| match verdict {
        Some(rejection) => Err(rejection),
        None => scored.next().expect("the engine answers every target it is asked for"),
    });
    let answered: Signals = answered.collect();
    let carried = best(&answered, question.tokens_max);
    let write = |(place, scored): (usize, Result<Scored, Rejection>)| match scored {
        Ok(scored) => {
            shared.counters.count(Count::TargetsAnswered);
            scored.signals.iter().filter_map(|signal| signal.neutral).for_each(|rule| shared.counters.neutral(rule));
            scored.signals.iter().filter_map(|signal| signal.suppress).for_each(|why| shared.counters.suppressed(why));
            let signal = |signal| convert::signal(catalog, &question.request, signal, question.words);
            let exposure = scored.exposure.filter(|_| carried.contains(&place));
            pb::TargetResult {
                rejection: None,
                signals: scored.signals.iter().map(signal).collect(),
                combined: scored.combined.as_deref().map(|combined| convert::combined(catalog, combined)),
                token: exposure.and_then(|exposure| carry(shared, exposure, question.remember)).unwrap_or_default(),
            }
        }
        Err(rejection) => {
            shared.counters.score_refused(&rejection);
            convert::refused_target(&rejection)
        }
    };
    answered.into_iter().enumerate().map(write).collect()
}

/// The places of the best targets that have something to carry: by expected value, then by multiplier, then in the
/// order asked.
fn best(signals: &Signals, tokens_max: usize) -> Vec<usize> {
    let rank = |scored: &Scored| {
        let best = |a: (i64, f64), b: (i64, f64)| (a.0.max(b.0), a.1.max(b.1));
        scored.signals.iter().map(|signal| (signal.expected_value.0, signal.multiplier)).fold((0, 0.0), best)
    };
    let carrying = signals.iter().enumerate().filter_map(|(place, scored)| {
        let scored = scored.as_ref().ok().filter(|scored| scored.exposure.is_some())?;
        Some((place, rank(scored)))
    });
    let mut ranked: Vec<_> = carrying.collect();
    if ranked.len() > tokens_max {
        ranked.sort_by(|(_, a), (_, b)| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        ranked.truncate(tokens_max);
    }
    ranked.into_iter().map(|(place, _)| place).collect()
}

/// Seals a token, or remembers the exposure for who cannot carry one.
fn carry(shared: &Shared, exposure: Box<Exposure>, remember: bool) -> Option<String> {
    if remember {
        shared.counters.count(Count::ScoresRemembered);
        shared.edge.memory.remember(exposure);
        return None;
    }
    let token = shared.edge.tokens.seal(&exposure).ok();
    shared.counters.count(if token.is_some() { Count::TokensSealed } else { Count::TokensUnsealed });
    token
}

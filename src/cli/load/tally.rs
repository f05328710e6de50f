//! What came of the messages that were sent.

use std::time::Duration;

use hdrhistogram::Histogram;
use prost::Message;
use tokio::time::Instant;

use super::line::Answer;
use crate::pb::v1;

/// Longest time to an answer that is told apart, in nanoseconds: ten minutes.
const TIME_MAX: u64 = 600_000_000_000;

/// What one connection, or all together, did.
pub struct Tally {
    /// From when a message was due to its answer, in nanoseconds.
    pub times: Histogram<u64>,
    pub messages: u64,
    /// Events or bid requests.
    pub items: u64,
    pub refused: u64,
    /// Bid requests that were answered after their time, or neutral because there was none left.
    pub late: u64,
    /// Bytes of all answers to bid requests.
    pub answer_bytes: u64,
    /// Why the first one was refused.
    pub refusal: Option<v1::Rejection>,
    /// What went wrong before all was sent and answered.
    pub failure: Option<String>,
}

impl Default for Tally {
    fn default() -> Tally {
        let times = Histogram::new_with_bounds(1, TIME_MAX, 3).expect("these bounds are allowed");
        Tally { times, messages: 0, items: 0, refused: 0, late: 0, answer_bytes: 0, refusal: None, failure: None }
    }
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: Tally) {
        self.times.add(other.times).expect("all have the same bounds");
        self.messages += other.messages;
        self.items += other.items;
        self.refused += other.refused;
        self.late += other.late;
        self.answer_bytes += other.answer_bytes;
        self.refusal = self.refusal.take().or(other.refusal);
        self.failure = self.failure.take().or(other.failure);
    }

    /// Counts an answer to a message that was due then; bid requests have `tmax`. Says whether anything of the message
    /// was taken.
    pub fn count(&mut self, tmax: Duration, due: Instant, answer: Answer) -> bool {
        let time = due.elapsed();
        self.times.saturating_record(time.as_nanos().min(u128::from(TIME_MAX)) as u64);
        self.messages += 1;
        match answer {
            Answer::Tracked(response) => self.tracked(response),
            Answer::Scored(responses) => {
                let taken = responses.into_iter().map(|response| self.scored(response, time > tmax));
                taken.fold(false, |any, taken| any | taken)
            }
        }
    }

    fn tracked(&mut self, response: v1::TrackResponse) -> bool {
        self.items += u64::from(response.accepted + response.duplicate + response.rejected);
        self.refused += u64::from(response.rejected);
        let refusals = response.results.into_iter().filter_map(|result| result.rejection);
        self.refusal = self.refusal.take().or(refusals.into_iter().next());
        response.accepted + response.duplicate > 0
    }

    fn scored(&mut self, response: v1::ScoreResponse, after_time: bool) -> bool {
        self.items += 1;
        self.answer_bytes += response.encoded_len() as u64;
        let mut signals = response.results.iter().flat_map(|result| &result.signals);
        self.late += u64::from(after_time || signals.any(|s| s.neutral() == v1::NeutralReason::Deadline));
        let of_targets = response.results.into_iter().filter_map(|result| result.rejection);
        let refusal = response.rejection.into_iter().chain(of_targets).next();
        self.refused += u64::from(refusal.is_some());
        let is_taken = refusal.is_none();
        self.refusal = self.refusal.take().or(refusal);
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(neutral: v1::NeutralReason) -> v1::ScoreResponse {
        let signal = v1::Signal { neutral: neutral.into(), ..Default::default() };
        v1::ScoreResponse {
            results: vec![v1::TargetResult { signals: vec![signal], ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn late_answers_are_those_that_come_late_or_say_that_there_was_no_time() {
        let (plain, neutral) = (answered(v1::NeutralReason::Support), answered(v1::NeutralReason::Deadline));
        let mut tally = Tally::default();
        let now = Instant::now();
        let hour = Duration::from_secs(3_600);
        assert!(tally.count(hour, now, Answer::Scored(vec![plain.clone(), neutral.clone(), plain.clone()])));
        assert_eq!((tally.messages, tally.items, tally.late, tally.refused), (1, 3, 1, 0));
        assert!(tally.count(Duration::ZERO, now, Answer::Scored(vec![plain.clone(), neutral.clone()])));
        assert_eq!((tally.messages, tally.items, tally.late), (2, 5, 3));
        assert_eq!(tally.answer_bytes as usize, 3 * plain.encoded_len() + 2 * neutral.encoded_len());
    }

    #[test]
    fn a_message_of_which_all_is_refused_is_told() {
        let refusal = |code: &str| Some(v1::Rejection { code: code.into(), message: String::new() });
        let target = v1::TargetResult { rejection: refusal("unknown_goal"), ..Default::default() };
        let of_target = v1::ScoreResponse { results: vec![target], ..Default::default() };
        let of_request = v1::ScoreResponse { rejection: refusal("too_many"), ..Default::default() };
        let mut tally = Tally::default();
        let (hour, now) = (Duration::from_secs(3_600), Instant::now());
        assert!(!tally.count(hour, now, Answer::Scored(vec![of_target.clone(), of_request])));
        assert!(tally.count(hour, now, Answer::Scored(vec![of_target, v1::ScoreResponse::default()])));
        assert_eq!((tally.items, tally.refused, tally.refusal), (4, 3, refusal("unknown_goal")));
    }
}

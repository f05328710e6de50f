//! Bid requests over gRPC: one, many at once, or a stream of them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::convert::CallError;
use super::scoring::{Deadline, answer};
use super::shared::Shared;
use super::stream::{self, Answers, Next};
use crate::pb::v1 as pb;
use crate::pb::v1::signal_service_server::SignalService;
use crate::rejection::Rejection;

/// Targets of one `ScoreBatch` in all: bounds how long other clients of the same worker wait behind it.
const BATCH_TARGETS_MAX: usize = 2_000;
/// Answers of one stream that wait to be sent.
const ANSWERS_AHEAD_MAX: usize = 16;

/// The service behind `SignalService`.
pub struct SignalApi(pub Arc<Shared>);

#[tonic::async_trait]
impl SignalService for SignalApi {
    async fn score(&self, request: Request<pb::ScoreRequest>) -> Result<Response<pb::ScoreResponse>, Status> {
        self.0.admit()?;
        let deadline = Deadline::starting(call_timeout(request.metadata()));
        Ok(Response::new(answer(&self.0, request.into_inner(), deadline)))
    }

    async fn score_batch(
        &self,
        request: Request<pb::ScoreBatchRequest>,
    ) -> Result<Response<pb::ScoreBatchResponse>, Status> {
        self.0.admit()?;
        let deadline = Deadline::starting(call_timeout(request.metadata()));
        let requests = request.into_inner().requests;
        let (count, limit) = (requests.len(), self.0.limits.batch_requests_max);
        if count > limit {
            return Err(CallError::Invalid(Rejection::TooMany { field: "requests", count, limit }).into());
        }
        let targets = requests.iter().map(|one| one.targets.len()).sum();
        if targets > BATCH_TARGETS_MAX {
            let limit = BATCH_TARGETS_MAX;
            return Err(CallError::Invalid(Rejection::TooMany { field: "targets", count: targets, limit }).into());
        }
        let responses = requests.into_iter().map(|one| answer(&self.0, one, deadline)).collect();
        Ok(Response::new(pb::ScoreBatchResponse { responses }))
    }

    type ScoreStreamStream = Answers<pb::ScoreResponse>;

    async fn score_stream(
        &self,
        request: Request<Streaming<pb::ScoreRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        self.0.admit()?;
        let (sender, receiver) = mpsc::channel(ANSWERS_AHEAD_MAX);
        tokio::spawn(answer_all(Arc::clone(&self.0), request.into_inner(), sender));
        Ok(Response::new(stream::answers(receiver)))
    }
}

/// Answers each request as it comes. A client that does not read its answers is not read from either.
async fn answer_all(
    shared: Arc<Shared>,
    mut requests: Streaming<pb::ScoreRequest>,
    answers: mpsc::Sender<Result<pb::ScoreResponse, Status>>,
) {
    let mut stopped = pin!(shared.stopped());
    loop {
        // The time a call allows is that of a single answer only where there is a single one.
        let (last, one) = match stream::next(&mut requests, stopped.as_mut()).await {
            Next::Message(request) => (false, Ok(answer(&shared, request, Deadline::starting(None)))),
            Next::Failed(status) => (true, Err(status)),
            Next::End => return,
        };
        if answers.send(one).await.is_err() || last {
            return;
        }
    }
}

/// What the call's `grpc-timeout` header allows: a number of up to eight digits and a unit.
fn call_timeout(metadata: &MetadataMap) -> Option<Duration> {
    parse_timeout(metadata.get("grpc-timeout")?.to_str().ok()?)
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let cases = [
            ("5m", Some(Duration::from_millis(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("2H", Some(Duration::from_secs(7_200))),
            ("3M", Some(Duration::from_secs(180))),
            ("1S", Some(Duration::from_secs(1))),
            ("0u", Some(Duration::ZERO)),
            ("", None),
            ("m", None),
            ("5", None),
            ("5x", None),
            ("-5m", None),
            ("+5m", None),
            ("123456789m", None),
            ("5µ", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }
}

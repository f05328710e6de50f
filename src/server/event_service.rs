//! Events over gRPC: a message at once, or a stream of messages that are acknowledged in their order.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status, Streaming};

use super::clock;
use super::convert::{self, CallError};
use super::counters::Count;
use super::queue::{Occurrence, Refused};
use super::shared::{PATIENCE, Shared};
use super::stream::{self, Answers, Next};
use crate::engine::Applied;
use crate::pb::v1 as pb;
use crate::pb::v1::event_service_server::EventService;
use crate::rejection::Rejection;

/// Messages of one stream that wait for their acknowledgement; beyond that the stream is not read.
pub const MESSAGES_AHEAD_MAX: usize = 16;
/// Acknowledgements of one stream that wait to be sent.
const ANSWERS_AHEAD_MAX: usize = 4;

/// The service behind `EventService`.
pub struct EventApi(pub Arc<Shared>);

/// A message as read at the edge: what goes to the applier, and what does not.
struct Read {
    /// What is to be applied.
    events: Vec<Occurrence>,
    /// For each event of the message, why it is not.
    verdicts: Vec<Option<Rejection>>,
}

/// A message whose events are on their way.
struct Underway {
    verdicts: Vec<Option<Rejection>>,
    /// `None` when no event was fit to be applied.
    applied: Option<oneshot::Receiver<Vec<Applied>>>,
    /// When the message was read.
    since: Instant,
}

#[tonic::async_trait]
impl EventService for EventApi {
    async fn track(&self, request: Request<pb::TrackRequest>) -> Result<Response<pb::TrackResponse>, Status> {
        let shared = &self.0;
        shared.admit()?;
        let since = clock::instant();
        let read = read(shared, request.into_inner())?;
        let applied = match read.events.is_empty() {
            true => None,
            false => Some(shared.queue.track(read.events, Some(PATIENCE)).await.map_err(|e| shared.counted(e.into()))?),
        };
        let response = Underway { verdicts: read.verdicts, applied, since }.done(shared).await?;
        Ok(Response::new(response))
    }

    type TrackStreamStream = Answers<pb::TrackResponse>;

    async fn track_stream(
        &self,
        request: Request<Streaming<pb::TrackRequest>>,
    ) -> Result<Response<Self::TrackStreamStream>, Status> {
        self.0.admit()?;
        let (underway, waiting) = mpsc::channel(MESSAGES_AHEAD_MAX);
        let (answers, receiver) = mpsc::channel(ANSWERS_AHEAD_MAX);
        tokio::spawn(send_on(Arc::clone(&self.0), request.into_inner(), underway));
        tokio::spawn(acknowledge(Arc::clone(&self.0), waiting, answers));
        Ok(Response::new(stream::answers(receiver)))
    }
}

/// Reads a stream and sends its events to the applier, for as long as there is room for both.
async fn send_on(
    shared: Arc<Shared>,
    mut messages: Streaming<pb::TrackRequest>,
    underway: mpsc::Sender<Result<Underway, Status>>,
) {
    let mut stopped = pin!(shared.stopped());
    loop {
        // Room first: what was read is already promised an answer.
        let Ok(place) = underway.reserve().await else { return };
        let sent = match stream::next(&mut messages, stopped.as_mut()).await {
            Next::Message(message) => send(&shared, message).await.map_err(Status::from),
            Next::Failed(status) => Err(status),
            Next::End => return,
        };
        let failed = sent.is_err();
        place.send(sent);
        if failed {
            return;
        }
    }
}

async fn send(shared: &Shared, message: pb::TrackRequest) -> Result<Underway, CallError> {
    let since = clock::instant();
    let Read { events, verdicts } = read(shared, message)?;
    let applied = match events.is_empty() {
        true => None,
        false => Some(shared.queue.track(events, None).await.map_err(|refused| shared.counted(refused.into()))?),
    };
    Ok(Underway { verdicts, applied, since })
}

/// Acknowledges messages in the order they came.
async fn acknowledge(
    shared: Arc<Shared>,
    mut waiting: mpsc::Receiver<Result<Underway, Status>>,
    answers: mpsc::Sender<Result<pb::TrackResponse, Status>>,
) {
    while let Some(underway) = waiting.recv().await {
        let answer = match underway {
            Ok(underway) => underway.done(&shared).await.map_err(Status::from),
            Err(status) => Err(status),
        };
        let failed = answer.is_err();
        if answers.send(answer).await.is_err() || failed {
            return;
        }
    }
}

/// Takes a message apart into what is fit to be applied and what is not.
fn read(shared: &Shared, message: pb::TrackRequest) -> Result<Read, CallError> {
    let (count, limit) = (message.events.len(), shared.limits.track_events_max);
    if count > limit {
        return Err(CallError::Invalid(Rejection::TooMany { field: "events", count, limit }));
    }
    let catalog = shared.scorer.catalog();
    let mut read = Read { events: Vec::with_capacity(count), verdicts: Vec::with_capacity(count) };
    for wire in message.events {
        match shared.edge.event(&catalog, wire) {
            Ok(event) => {
                read.events.push(event);
                read.verdicts.push(None);
            }
            Err(rejection) => read.verdicts.push(Some(rejection)),
        }
    }
    Ok(read)
}

impl Underway {
    /// Waits until the events are applied; puts both kinds of verdicts together.
    async fn done(self, shared: &Shared) -> Result<pb::TrackResponse, CallError> {
        let applied = match self.applied {
            Some(applied) => applied.await.map_err(|_| shared.counted(Refused::Stopped.into()))?,
            None => Vec::new(),
        };
        let mut applied = applied.into_iter();
        let verdicts = self.verdicts.into_iter().map(|verdict| match verdict {
            Some(rejection) => Applied::Rejected(rejection),
            None => applied.next().expect("the applier answers as many events as it was given"),
        });
        let counted = verdicts.inspect(|verdict| match verdict {
            Applied::Done => shared.counters.count(Count::EventsAccepted),
            Applied::Duplicate => shared.counters.count(Count::EventsDuplicate),
            Applied::Rejected(rejection) => shared.counters.event_refused(rejection),
        });
        let response = convert::track_response(counted);
        shared.counters.tracks.note(self.since.elapsed());
        Ok(response)
    }
}

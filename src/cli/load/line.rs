//! One connection's way to ask: a stream, or calls side by side.

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::super::exchange::Exchange;
use super::super::remote::Remote;
use super::Plan;
use super::call::Call;
use super::maker::Maker;
use crate::pb::v1;
use crate::pb::v1::event_service_client::EventServiceClient;
use crate::pb::v1::signal_service_client::SignalServiceClient;

/// What is asked over one connection, and when each message was due.
pub enum Line<'a> {
    /// Events over a stream.
    Track(Exchange<'a, v1::TrackRequest, v1::TrackResponse, Instant>),
    /// Bid requests over a stream.
    Stream(Exchange<'a, v1::ScoreRequest, v1::ScoreResponse, Instant>),
    /// Bid requests in calls.
    Calls(Calls),
}

/// The answer to one message.
pub enum Answer {
    /// To events.
    Tracked(v1::TrackResponse),
    /// To bid requests, one each.
    Scored(Vec<v1::ScoreResponse>),
}

/// Calls that are underway side by side; answers come in any order.
pub struct Calls {
    remote: Remote,
    client: SignalServiceClient<Channel>,
    underway: JoinSet<anyhow::Result<(Instant, Answer)>>,
    ahead: usize,
    is_finished: bool,
    is_batch: bool,
}

impl<'a> Line<'a> {
    /// A line on which so many messages may wait for their answers.
    ///
    /// # Errors
    /// When the service does not take the stream.
    pub async fn open(plan: &Plan, channel: Channel, remote: &'a Remote) -> anyhow::Result<Line<'a>> {
        let (mut events, mut signals) =
            (EventServiceClient::new(channel.clone()), SignalServiceClient::new(channel.clone()));
        Ok(match plan.call {
            Call::Track => Line::Track(Exchange::open(remote, plan.ahead, |asked| events.track_stream(asked)).await?),
            Call::ScoreStream => {
                Line::Stream(Exchange::open(remote, plan.ahead, |asked| signals.score_stream(asked)).await?)
            }
            Call::Score | Call::ScoreBatch => Line::Calls(Calls {
                remote: remote.clone(),
                client: signals,
                underway: JoinSet::new(),
                ahead: plan.ahead,
                is_finished: false,
                is_batch: plan.call == Call::ScoreBatch,
            }),
        })
    }

    /// Whether a message may be sent now.
    pub fn has_room(&self) -> bool {
        match self {
            Line::Track(stream) => stream.has_room(),
            Line::Stream(stream) => stream.has_room(),
            Line::Calls(calls) => !calls.is_finished && calls.underway.len() < calls.ahead,
        }
    }

    /// Whether an answer is due.
    pub fn is_waiting(&self) -> bool {
        match self {
            Line::Track(stream) => stream.is_waiting(),
            Line::Stream(stream) => stream.is_waiting(),
            Line::Calls(calls) => !calls.underway.is_empty(),
        }
    }

    /// Whether all was sent and answered.
    pub fn is_done(&self) -> bool {
        match self {
            Line::Track(stream) => stream.is_done(),
            Line::Stream(stream) => stream.is_done(),
            Line::Calls(calls) => calls.is_finished && calls.underway.is_empty(),
        }
    }

    /// Says that no more will be sent.
    pub fn finish(&mut self) {
        match self {
            Line::Track(stream) => stream.finish(),
            Line::Stream(stream) => stream.finish(),
            Line::Calls(calls) => calls.is_finished = true,
        }
    }

    /// Sends a message that is due at this moment. Only while there is room.
    pub fn send(&mut self, maker: &mut Maker<'_>, due: Instant) {
        match self {
            Line::Track(stream) => stream.ask(maker.events(), due),
            Line::Stream(stream) => stream.ask(maker.request(), due),
            Line::Calls(calls) => calls.call(maker.requests(), due),
        }
    }

    /// The next answer, and when its message was due. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the service fails, or is silent for too long.
    pub async fn answer(&mut self) -> anyhow::Result<(Instant, Answer)> {
        match self {
            Line::Track(stream) => stream.answer().await.map(|(due, answer)| (due, Answer::Tracked(answer))),
            Line::Stream(stream) => stream.answer().await.map(|(due, answer)| (due, Answer::Scored(vec![answer]))),
            Line::Calls(calls) => {
                let joined = calls.underway.join_next().await.context("no call is underway")?;
                joined.context("a call could not be made")?
            }
        }
    }
}

impl Calls {
    fn call(&mut self, mut requests: Vec<v1::ScoreRequest>, due: Instant) {
        let (remote, mut client, is_batch) = (self.remote.clone(), self.client.clone(), self.is_batch);
        self.underway.spawn(async move {
            if is_batch {
                let batch = remote.answer(client.score_batch(v1::ScoreBatchRequest { requests })).await?;
                return Ok((due, Answer::Scored(batch.into_inner().responses)));
            }
            let request = requests.pop().context("a call has a bid request")?;
            let response = remote.answer(client.score(request)).await?;
            Ok((due, Answer::Scored(vec![response.into_inner()])))
        });
    }
}

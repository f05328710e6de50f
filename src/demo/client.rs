//! The demo's side of the wire: a tracker and a bidder that speak gRPC as anybody's would.
//!
//! Both go in step: events that came before an opportunity are acknowledged, and so applied, before it is scored.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::pb::v1;
use crate::pb::v1::admin_service_client::AdminServiceClient;
use crate::pb::v1::event_service_client::EventServiceClient;
use crate::pb::v1::insight_service_client::InsightServiceClient;
use crate::pb::v1::signal_service_client::SignalServiceClient;
use crate::stopwatch::Stopwatch;

/// Events in one message: as many as are waiting when a score is asked, at most this.
const EVENTS_A_MESSAGE: usize = 500;
/// How long an answer may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Refusals that are shown word by word; all are counted.
const REFUSALS_SHOWN: usize = 5;

/// A tracker and a bidder, connected.
pub struct Client {
    track: mpsc::Sender<v1::TrackRequest>,
    tracked: Streaming<v1::TrackResponse>,
    ask: mpsc::Sender<v1::ScoreRequest>,
    answers: Streaming<v1::ScoreResponse>,
    waiting: Vec<v1::Event>,
    channel: Channel,
    /// What has gone over the wire.
    pub traffic: Traffic,
}

/// What has gone over the wire.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Events acknowledged as applied.
    pub accepted: u64,
    /// Events acknowledged as applied before.
    pub duplicates: u64,
    /// Events refused.
    pub rejected: u64,
    /// The first refusals in words.
    pub refusals: VecDeque<String>,
    /// Opportunities scored.
    pub scored: u64,
    /// Time of each score from question to answer, the flush of events before it excluded.
    pub waits: Vec<Duration>,
}

impl Client {
    /// Connects to a service and opens both streams.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect_timeout(PATIENCE);
        let channel = endpoint.connect().await.with_context(|| format!("no service answers at {address}"))?;
        let (track, events) = mpsc::channel(1);
        let (ask, requests) = mpsc::channel(1);
        let mut tracker = EventServiceClient::new(channel.clone());
        let mut bidder = SignalServiceClient::new(channel.clone());
        let tracked = tracker.track_stream(ReceiverStream::new(events)).await.context("TrackStream does not open")?;
        let answers = bidder.score_stream(ReceiverStream::new(requests)).await.context("ScoreStream does not open")?;
        let (tracked, answers) = (tracked.into_inner(), answers.into_inner());
        let traffic = Traffic::default();
        Ok(Client { track, tracked, ask, answers, waiting: Vec::new(), channel, traffic })
    }

    /// Takes an event; it is sent with others, at the latest before the next score.
    ///
    /// # Errors
    /// When the service is gone.
    pub async fn track(&mut self, occurred_at_ms: u64, body: v1::event::Body) -> anyhow::Result<()> {
        let event = v1::Event { occurred_at_ms, body: Some(body), ..v1::Event::default() };
        self.track_event(event).await
    }

    /// The same for a whole event.
    ///
    /// # Errors
    /// When the service is gone.
    pub async fn track_event(&mut self, event: v1::Event) -> anyhow::Result<()> {
        self.waiting.push(event);
        if self.waiting.len() >= EVENTS_A_MESSAGE { self.flush().await } else { Ok(()) }
    }

    /// Sends what waits and waits for its acknowledgement.
    ///
    /// # Errors
    /// When the service is gone.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.waiting);
        self.track.send(v1::TrackRequest { events }).await.context("TrackStream is closed")?;
        let Some(response) = patiently(self.tracked.message()).await? else { bail!("TrackStream ended early") };
        let traffic = &mut self.traffic;
        traffic.accepted += u64::from(response.accepted);
        traffic.duplicates += u64::from(response.duplicate);
        traffic.rejected += u64::from(response.rejected);
        for rejection in response.results.into_iter().filter_map(|result| result.rejection) {
            if traffic.refusals.len() < REFUSALS_SHOWN {
                traffic.refusals.push_back(rejection.message);
            }
        }
        Ok(())
    }

    /// Scores one opportunity with one target, after all that was tracked before.
    ///
    /// # Errors
    /// When the service is gone or refuses the request.
    pub async fn score(&mut self, request: v1::ScoreRequest) -> anyhow::Result<v1::TargetResult> {
        self.flush().await?;
        let asked = Stopwatch::start();
        self.ask.send(request).await.context("ScoreStream is closed")?;
        let Some(response) = patiently(self.answers.message()).await? else { bail!("ScoreStream ended early") };
        self.traffic.waits.push(asked.elapsed());
        self.traffic.scored += 1;
        let rejection = response.rejection;
        let result = response.results.into_iter().next();
        let result = result.with_context(|| format!("the request was refused: {rejection:?}"))?;
        match &result.rejection {
            Some(rejection) => bail!("the target was refused: {}", rejection.message),
            None => Ok(result),
        }
    }

    /// Questions about what was learned.
    pub fn insight(&self) -> InsightServiceClient<Channel> {
        InsightServiceClient::new(self.channel.clone())
    }

    /// Questions about the service itself.
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }
}

impl Traffic {
    /// A percentile of the waits for a score, in microseconds.
    pub fn wait_us(&self, percentile: f64) -> f64 {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let place = (waits.len() as f64 * percentile / 100.0) as usize;
        waits.get(place.min(waits.len().saturating_sub(1))).map_or(0.0, |wait| wait.as_secs_f64() * 1e6)
    }
}

async fn patiently<T>(answer: impl Future<Output = Result<T, tonic::Status>>) -> anyhow::Result<T> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|status| anyhow::anyhow!("{}: {}", status.code(), status.message())),
        Err(_) => bail!("no answer within {} s", PATIENCE.as_secs()),
    }
}

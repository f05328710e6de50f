//! The service while its journal is stuck, while its places are taken, and while a client does not go.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::tests::get;
use super::*;
use crate::ids::Id;
use crate::journal::watched::Watched;
use crate::pb::v1 as pb;
use crate::pb::v1::event_service_client::EventServiceClient;
use crate::pb::v1::insight_service_client::InsightServiceClient;
use crate::pb::v1::signal_service_client::SignalServiceClient;
use crate::settings::{Advertiser, Goal};
use crate::units::Span;

/// So long is waited for what must come.
const BOUND: Duration = Duration::from_secs(60);
/// So long is waited for what must not come: longer than the service's patience. A slow machine sees less, no more.
const LOOK: Duration = Duration::from_millis(600);

/// A service on a journal that can be stuck.
struct Held {
    stuck: Arc<AtomicBool>,
    ready: oneshot::Receiver<()>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<anyhow::Result<()>>,
    grpc: SocketAddr,
    http: SocketAddr,
}

/// On the events' clock, so that only events make frames.
fn config() -> Config {
    let mut acme = Advertiser::new(Id::literal("acme"));
    acme.goals.push(Goal::new(Id::literal("purchase")));
    let mut config = Config::from_settings(Settings { advertisers: vec![acme], ..Settings::default() });
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    (config.server.grpc, config.server.http) = (any, any);
    config.server.clock = crate::config::Clock::Events;
    config
}

impl Held {
    fn start(config: Config, is_stuck: bool) -> Held {
        let journal = Watched::new(usize::MAX);
        let stuck = Arc::clone(&journal.stuck);
        stuck.store(is_stuck, Relaxed);
        let ground = Ground { journal: Box::new(journal), ..Ground::in_memory() };
        let listeners = Listeners::bind(&config.server, false).unwrap();
        let (grpc, http) = (listeners.grpc().unwrap(), listeners.http().unwrap());
        let (stop, stopped) = oneshot::channel();
        let (tell_ready, ready) = oneshot::channel();
        let (tell_ended, ended) = oneshot::channel();
        let secrets = Secrets::in_memory(Identity::new([0; 32]));
        // Not joined: one that does not end shall fail its test, not hang it.
        std::thread::spawn(move || {
            let shutdown = async { drop(stopped.await) };
            let outcome = run(config, ground, secrets, listeners, shutdown, || tell_ready.send(()).unwrap_or_default());
            let _ = tell_ended.send(outcome);
        });
        Held { stuck, ready, stop, ended, grpc, http }
    }

    /// A service that is ready.
    async fn ready(config: Config) -> Held {
        let mut held = Held::start(config, false);
        timeout(BOUND, &mut held.ready).await.unwrap().unwrap();
        held
    }

    /// A connection of its own.
    async fn connect(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap().connect().await.unwrap()
    }

    fn hold(&self, is_stuck: bool) {
        self.stuck.store(is_stuck, Relaxed);
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(BOUND, self.ended).await.expect("told to stop, it ends").unwrap().unwrap();
    }
}

fn viewed(user: &str) -> pb::Event {
    let (user, advertiser, action) = (user.into(), "acme".into(), "view_item".into());
    let action = pb::Action { user, advertiser, action, ..Default::default() };
    pb::Event { body: Some(pb::event::Body::Action(action)), ..Default::default() }
}

fn asked() -> pb::ScoreRequest {
    let target = pb::Target { advertiser: "acme".into(), ..Default::default() };
    pb::ScoreRequest { opportunity_id: "o1".into(), targets: vec![target], ..Default::default() }
}

#[tokio::test]
async fn a_full_queue_refuses_a_call_and_says_so() {
    let mut config = config();
    config.server.events_queue_max = 4;
    let held = Held::ready(config).await;
    let channel = held.connect().await;
    held.hold(true);
    let (tell, mut told) = mpsc::channel(5);
    for number in 0..5 {
        let (mut events, tell) = (EventServiceClient::new(channel.clone()), tell.clone());
        tokio::spawn(async move {
            let request = pb::TrackRequest { events: vec![viewed(&format!("u{number}"))] };
            tell.send(events.track(request).await.map(|answer| answer.into_inner().accepted)).await.unwrap();
        });
    }
    // Four have room and wait for the journal: the first that hears anything is the one that has none.
    let first = timeout(BOUND, told.recv()).await.expect("a call is not kept waiting for room").unwrap();
    let refused = first.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("too many events are waiting"), "{refused}");
    held.hold(false);
    for _ in 0..4 {
        assert_eq!(timeout(BOUND, told.recv()).await.unwrap().unwrap().unwrap(), 1);
    }
    assert!(get(held.http, "/metrics").await.contains("\ninkling_queue_full_total 1\n"));
    drop(channel);
    held.stop().await;
}

/// Sends messages of one good event until no more are taken for a while, or so many are; then lets the journal go on.
/// How many were sent; each must have been acknowledged.
async fn sent_until_stuck(config: Config, messages_max: u32, padding: usize) -> u32 {
    let held = Held::ready(config).await;
    let mut events = EventServiceClient::new(held.connect().await);
    let (sender, receiver) = mpsc::channel(1);
    held.hold(true);
    let mut answers = events.track_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    // A user id that is far too long is refused at the edge, and takes no room in the queue.
    let message = || pb::TrackRequest { events: vec![viewed("u1"), viewed(&"u".repeat(padding))] };
    let mut sent = 0;
    while sent < messages_max {
        match timeout(LOOK, sender.send(message())).await {
            Ok(taken) => taken.expect("the stream is not refused"),
            Err(_) => break,
        }
        sent += 1;
    }
    sleep(LOOK).await;
    held.hold(false);
    drop(sender);
    for number in 0..sent {
        let answer = timeout(BOUND, answers.message()).await.unwrap();
        let answer = answer.unwrap_or_else(|refused| panic!("message {number}: {refused}")).unwrap();
        assert_eq!((answer.accepted, answer.rejected), (1, 1), "message {number}");
    }
    assert!(timeout(BOUND, answers.message()).await.unwrap().unwrap().is_none(), "no more than was sent");
    drop(events);
    held.stop().await;
    sent
}

#[tokio::test]
async fn a_stream_waits_for_room_in_the_queue_and_loses_nothing() {
    let mut config = config();
    config.server.events_queue_max = 4;
    assert_eq!(sent_until_stuck(config, 10, 200).await, 10);
}

/// However much room the queue has, only so many messages wait for their acknowledgement: the others stay with the
/// client, as far as its windows do not take them.
#[tokio::test]
async fn a_stream_takes_no_more_messages_than_may_wait() {
    const PADDING: usize = 32 << 10;
    let config = config();
    let messages_max = 16 + 1 + 8 * (config.server.stream_window / PADDING) as u32;
    assert!(sent_until_stuck(config, messages_max, PADDING).await < messages_max);
}

#[tokio::test]
async fn a_service_that_starts_lets_nobody_in_and_says_so() {
    let mut held = Held::start(config(), true);
    let channel = held.connect().await;
    let (mut signals, mut events) =
        (SignalServiceClient::new(channel.clone()), EventServiceClient::new(channel.clone()));
    let mut insight = InsightServiceClient::new(channel.clone());
    let track = || pb::TrackRequest { events: vec![viewed("u1")] };
    let goal = || pb::GetGoalRequest { advertiser: "acme".into(), goal: "purchase".into() };
    let refused = [
        signals.score(asked()).await.unwrap_err(),
        signals.score_batch(pb::ScoreBatchRequest { requests: vec![asked()] }).await.unwrap_err(),
        signals.score_stream(tokio_stream::once(asked())).await.unwrap_err(),
        events.track(track()).await.unwrap_err(),
        events.track_stream(tokio_stream::once(track())).await.unwrap_err(),
        insight.get_goal(goal()).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().starts_with("the service starts"), "{status}");
    }
    let health = get(held.http, "/health/ready").await;
    assert!(health.starts_with("HTTP/1.1 503 ") && health.ends_with("\r\n\r\nstarting\n"), "{health}");
    assert!(held.ready.try_recv().is_err());
    held.hold(false);
    timeout(BOUND, &mut held.ready).await.unwrap().unwrap();
    assert_eq!(signals.score(asked()).await.unwrap().into_inner().results[0].rejection, None);
    assert_eq!(events.track(track()).await.unwrap().into_inner().accepted, 1);
    assert_eq!(insight.get_goal(goal()).await.unwrap().into_inner().impressions, 0.0);
    assert!(get(held.http, "/health/ready").await.starts_with("HTTP/1.1 200 "));
    drop((channel, signals, events, insight));
    held.stop().await;
}

#[tokio::test]
async fn a_client_beyond_the_limit_is_served_once_another_has_gone() {
    let mut config = config();
    config.server.connections_max = 1;
    let held = Held::ready(config).await;
    let mut first = SignalServiceClient::new(held.connect().await);
    first.score(asked()).await.unwrap();
    let address = format!("http://{}", held.grpc);
    let mut second = tokio::spawn(async move {
        let mut second = SignalServiceClient::connect(address).await.unwrap();
        second.score(asked()).await.unwrap()
    });
    assert!(timeout(LOOK, &mut second).await.is_err(), "the only place is taken");
    first.score(asked()).await.unwrap();
    drop(first);
    let answered = timeout(BOUND, second).await.expect("there is a place now").unwrap().into_inner();
    assert_eq!(answered.results.len(), 1);
    held.stop().await;
}

/// A call whose client has said half of what it wanted to say would be in progress for ever.
#[tokio::test]
async fn who_does_not_finish_within_the_drain_is_cut_off() {
    use tonic::codegen::http::uri::PathAndQuery;
    let mut config = config();
    config.server.drain = Span(50);
    let held = Held::ready(config).await;
    let channel = held.connect().await;
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/inkling.v1.EventService/Track");
    let codec = crate::pb::codec::Codec::<pb::TrackRequest, pb::TrackResponse>::default();
    let call = tokio::spawn(async move {
        let unsaid = tonic::Request::new(tokio_stream::pending::<pb::TrackRequest>());
        client.client_streaming(unsaid, path, codec).await
    });
    // Another call on the connection has its answer, and then some: the first has arrived.
    SignalServiceClient::new(channel.clone()).score(asked()).await.unwrap();
    sleep(LOOK).await;
    assert!(!call.is_finished());
    held.stop().await;
    assert!(timeout(BOUND, call).await.unwrap().unwrap().is_err());
}

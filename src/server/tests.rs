use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc;

use super::*;
use crate::journal::watched::Watched;

fn config() -> Config {
    // Other settings than those that an engine has by itself: they have to be journaled.
    let acme = crate::settings::Advertiser::new(crate::ids::Id::literal("acme"));
    let mut config = Config::from_settings(Settings { advertisers: vec![acme], ..Settings::default() });
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    (config.server.grpc, config.server.http) = (any, any);
    config
}

/// Runs a service on a journal that takes so many frames: did it become ready, and how did it end?
fn run_until_failure(frames: usize) -> (bool, String) {
    let mut config = config();
    config.server.drain = crate::units::Span(50);
    let listeners = Listeners::bind(&config.server, false).unwrap();
    let ground = Ground { journal: Box::new(Watched::new(frames)), ..Ground::in_memory() };
    let (tell, told) = mpsc::channel();
    let ready = move || tell.send(()).unwrap();
    let secrets = Secrets::in_memory(Identity::new([0; 32]));
    let failure = run(config, ground, secrets, listeners, std::future::pending(), ready).unwrap_err();
    (told.try_recv().is_ok(), format!("{failure:#}"))
}

#[test]
fn a_journal_that_fails_ends_the_service_with_an_error() {
    let (ready, failure) = run_until_failure(0);
    assert!(!ready, "a service is not ready before its settings are in the journal");
    assert!(failure.contains("the journal failed after frame 0") && failure.contains("no space left"), "{failure}");
    // The second frame is a tick: time passes while nobody sends anything.
    let (ready, failure) = run_until_failure(1);
    assert!(ready);
    assert!(failure.contains("the journal failed after frame 1"), "{failure}");
}

#[test]
fn only_this_machine_may_connect_unless_told_otherwise() {
    let mut config = config();
    config.server.http.set_ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let refused = Listeners::bind(&config.server, false).unwrap_err().to_string();
    assert!(refused.contains("0.0.0.0:0") && refused.contains("--insecure") && refused.contains("TLS"), "{refused}");
    let listeners = Listeners::bind(&config.server, true).unwrap();
    assert!(listeners.grpc().unwrap().ip().is_loopback());
    assert!(listeners.http().unwrap().ip().is_unspecified());
}

#[tokio::test]
async fn who_says_little_gives_up_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let config = config();
    let listeners = Listeners::bind(&config.server, false).unwrap();
    let grpc = listeners.grpc().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    let secrets = Secrets::in_memory(Identity::new([0; 32]));
    let tell = || ready.send(()).unwrap();
    let service =
        std::thread::spawn(move || run(config, Ground::in_memory(), secrets, listeners, shutdown, tell).unwrap());
    is_ready.await.unwrap();
    for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut socket = tokio::net::TcpStream::connect(grpc).await.unwrap();
        socket.write_all(said).await.unwrap();
        assert_eq!(socket.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed, and nothing answered");
    }
    stop.send(()).unwrap();
    service.join().unwrap();
}

#[test]
fn an_address_in_use_is_named() {
    let mut config = config();
    let taken = TcpListener::bind(config.server.grpc).unwrap();
    config.server.grpc = taken.local_addr().unwrap();
    let refused = format!("{:#}", Listeners::bind(&config.server, false).unwrap_err());
    assert!(refused.contains(&config.server.grpc.to_string()), "{refused}");
}

#[tokio::test]
async fn bids_are_answered_from_memory_when_the_journal_has_failed() {
    use crate::pb::v1 as pb;
    let mut config = config();
    config.server.clock = crate::config::Clock::Events;
    config.settings.advertisers[0].goals.push(crate::settings::Goal::new(crate::ids::Id::literal("purchase")));
    let listeners = Listeners::bind(&config.server, false).unwrap();
    let (grpc, http) = (listeners.grpc().unwrap(), listeners.http().unwrap());
    // It takes the settings, and nothing after them.
    let (say, said) = mpsc::channel();
    let tell = Arc::new(move |what: &str| say.send(what.to_owned()).unwrap());
    let ground = Ground { journal: Box::new(Watched::new(1)), tell, ..Ground::in_memory() };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (tell, ready) = tokio::sync::oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let secrets = Secrets::in_memory(Identity::new([0; 32]));
    let service =
        std::thread::spawn(move || run(config, ground, secrets, listeners, shutdown, || tell.send(()).unwrap()));
    ready.await.unwrap();

    let address = format!("http://{grpc}");
    let target = pb::Target { advertiser: "acme".into(), ..Default::default() };
    let asked = pb::ScoreRequest {
        opportunity_id: "o1".into(),
        users: vec!["u1".into()],
        targets: vec![target],
        tmax_ms: 10_000,
        ..Default::default()
    };
    let mut signals = pb::signal_service_client::SignalServiceClient::connect(address.clone()).await.unwrap();
    let stage = async |stage| {
        let metrics = get(http, "/metrics").await;
        assert!(metrics.contains("# TYPE inkling_build_info gauge\ninkling_build_info{version="), "{metrics}");
        let lines: Vec<&str> = metrics.lines().filter(|line| line.starts_with("inkling_stage{")).collect();
        let held = lines.iter().filter(|line| line.ends_with(" 1")).collect::<Vec<_>>();
        assert!(lines.len() == 4 && held == [&format!("inkling_stage{{stage=\"{stage}\"}} 1")], "{lines:?}");
    };
    stage("ready").await;
    let readiness = |answer: &pb::ScoreResponse| answer.results[0].signals[0].readiness.unwrap().state();
    let well = signals.score(asked.clone()).await.unwrap().into_inner();
    assert_eq!(readiness(&well), pb::readiness::State::Cold);

    let action =
        pb::Action { user: "u".into(), advertiser: "acme".into(), action: "view_item".into(), ..Default::default() };
    let event = pb::Event { body: Some(pb::event::Body::Action(action)), ..Default::default() };
    let mut events = pb::event_service_client::EventServiceClient::connect(address).await.unwrap();
    for _ in 0..2 {
        let refused = events.track(pb::TrackRequest { events: vec![event.clone()] }).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    }
    let degraded = signals.score(asked).await.unwrap().into_inner();
    assert_eq!(readiness(&degraded), pb::readiness::State::Degraded);
    assert_eq!(degraded.results[0].signals[0].multiplier, well.results[0].signals[0].multiplier);

    while get(http, "/health/ready").await.contains("200 OK") {
        tokio::task::yield_now().await;
    }
    assert!(get(http, "/health/ready").await.contains("degraded: the journal has failed"));
    assert!(get(http, "/metrics").await.contains("inkling_targets_degraded_total 1\n"));
    stage("degraded").await;
    // At once, not when the service has ended.
    let told = said.recv_timeout(Duration::from_secs(10)).unwrap();
    for words in ["the journal failed after frame 1: ", "no space left", "no event is taken", "for 20s, then it ends"] {
        assert!(told.contains(words), "{told}");
    }
    assert!(said.try_recv().is_err(), "once");
    stop.send(()).unwrap();
    drop((signals, events));
    let failure = tokio::task::spawn_blocking(|| service.join().unwrap().unwrap_err()).await.unwrap();
    assert!(format!("{failure:#}").contains("no space left"), "{failure:#}");
}

#[tokio::test]
async fn what_is_no_call_of_a_service_has_its_code() {
    use crate::pb::v1 as pb;
    use tonic::Code;
    use tonic::codegen::http::uri::PathAndQuery;
    let mut config = config();
    config.server.message_bytes_max = 1_000;
    let listeners = Listeners::bind(&config.server, false).unwrap();
    let address = format!("http://{}", listeners.grpc().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (tell, ready) = tokio::sync::oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let secrets = Secrets::in_memory(Identity::new([0; 32]));
    let ground = Ground::in_memory();
    let service =
        std::thread::spawn(move || run(config, ground, secrets, listeners, shutdown, || tell.send(()).unwrap()));
    ready.await.unwrap();

    let channel = tonic::transport::Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let cases = [
        // A number where an opportunity's id should be.
        ("/inkling.v1.SignalService/Score", Code::Internal),
        ("/inkling.v1.SignalService/Scores", Code::Unimplemented),
        ("/inkling.v1.EventService/Tracks", Code::Unimplemented),
        ("/inkling.v1.InsightService/Nothing", Code::Unimplemented),
        ("/inkling.v1.NoService/Score", Code::Unimplemented),
        ("/inkling.v1.AdminService/GetState", Code::Ok),
        ("/Score", Code::Unimplemented),
    ];
    let call = async |path: &'static str, digest: String| {
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let codec = crate::pb::codec::Codec::<pb::State, pb::State>::default();
        let state = tonic::Request::new(pb::State { seq: 1, digest, ..Default::default() });
        let answered = client.unary(state, PathAndQuery::from_static(path), codec).await;
        answered.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    for (path, code) in cases {
        assert_eq!(call(path, String::new()).await, code, "{path}");
    }
    for path in [
        "/inkling.v1.SignalService/Score",
        "/inkling.v1.EventService/Track",
        "/inkling.v1.InsightService/GetGoal",
        "/inkling.v1.AdminService/GetState",
    ] {
        assert_eq!(call(path, "x".repeat(1_000)).await, Code::OutOfRange, "{path}");
    }
    drop(channel);
    stop.send(()).unwrap();
    tokio::task::spawn_blocking(|| service.join().unwrap().unwrap()).await.unwrap();
}

/// The answer to a GET, head and body.
pub(super) async fn get(http: SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(http).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: inkling\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

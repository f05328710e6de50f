//! A service on free ports of this machine, and clients for all it offers.

#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use inkling::config::{Config, ServerConfig, Workers};
use inkling::expression::READY_MADE;
use inkling::identity::Identity;
use inkling::ids::Id;
use inkling::journal::Options;
use inkling::pb::v1 as pb;
use inkling::pb::v1::{
    admin_service_client::AdminServiceClient, event_service_client::EventServiceClient,
    insight_service_client::InsightServiceClient, signal_service_client::SignalServiceClient,
};
use inkling::server::{self, Listeners, Secrets};
use inkling::settings::{Advertiser, Goal, Settings};
use inkling::storage::{Directory, Ground, SNAPSHOT_INTERVAL, SNAPSHOTS_KEPT};
use inkling::units::Span;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_reflection::pb::v1 as reflection;

pub use tonic_health::pb::health_check_response::ServingStatus as Serving;

/// A running service.
pub struct Service {
    channel: Channel,
    grpc: SocketAddr,
    http: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// One advertiser, "acme", with the goal "purchase" and the ready-made segments; nobody is in the control arm.
pub fn settings() -> Settings {
    let mut acme = Advertiser::new(Id::literal("acme"));
    let mut purchase = Goal::new(Id::literal("purchase"));
    purchase.converting_action = Some(Id::literal("purchase"));
    purchase.milestones = ["view_item", "add_to_cart", "begin_checkout"].map(Id::literal).to_vec();
    acme.goals.push(purchase);
    acme.segments = READY_MADE.map(|made| made.segment(1.0)).to_vec();
    let mut settings = Settings { advertisers: vec![acme], ..Settings::default() };
    settings.arms.control_share = 0.0;
    settings
}

impl Service {
    pub async fn start() -> Service {
        Service::start_with(Config::from_settings(settings())).await
    }

    pub async fn start_with(config: Config) -> Service {
        Service::start_on(config, || (Ground::in_memory(), Secrets::in_memory(Identity::generate()), None)).await
    }

    /// A service whose state outlives it, in a directory whose identity key is all zeros.
    pub async fn start_in(config: Config, data: &Path) -> Service {
        Service::start_snapshotting(config, data, SNAPSHOT_INTERVAL, SNAPSHOTS_KEPT).await
    }

    /// The same; it takes a snapshot so often, and keeps so many.
    pub async fn start_snapshotting(config: Config, data: &Path, interval: Duration, kept: usize) -> Service {
        let data = data.to_owned();
        let ground = move || {
            let directory = Directory::open_or_make_with(&data, || [0; 32]).unwrap();
            let tell = |what: &str| panic!("{what}");
            let ground = Ground::stored(&directory, Options::default(), Box::new(|_, _| {}), Arc::new(tell));
            let mut ground = ground.unwrap();
            let plan = ground.snapshots.as_mut().unwrap();
            (plan.interval, plan.kept) = (interval, kept);
            let secrets = Secrets::of(&directory);
            (ground, secrets, Some(directory))
        };
        Service::start_on(config, ground).await
    }

    async fn start_on(
        mut config: Config,
        ground: impl FnOnce() -> (Ground, Secrets, Option<Directory>) + Send + 'static,
    ) -> Service {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        (config.server.grpc, config.server.http) = (any, any);
        config.server.workers = Workers::Fixed(2);
        if config.server.deadline == ServerConfig::default().deadline {
            // What a request allows is capped by it, and this machine may be busy.
            config.server.deadline = Span::seconds(10);
        }
        let listeners = Listeners::bind(&config.server, false).unwrap();
        let (grpc, http) = (listeners.grpc().unwrap(), listeners.http().unwrap());
        let (stop, stopped) = oneshot::channel();
        let (tell, ready) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let shutdown = async {
                let _ = stopped.await;
            };
            // The directory is locked until the service has ended.
            let (ground, secrets, _directory) = ground();
            server::run(config, ground, secrets, listeners, shutdown, || tell.send(()).unwrap())
        });
        ready.await.expect("the service becomes ready");
        let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
        Service { channel, grpc, http, stop, thread }
    }

    /// Tells the service to stop; the thread ends when all is drained.
    pub fn tell_to_stop(self) -> JoinHandle<anyhow::Result<()>> {
        self.stop.send(()).unwrap();
        self.thread
    }

    /// Stops the service and fails when it ends badly.
    pub async fn stop(self) {
        ended(self.tell_to_stop()).await;
    }

    /// Where it listens.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    pub fn signals(&self) -> SignalServiceClient<Channel> {
        SignalServiceClient::new(self.channel.clone())
    }

    pub fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    pub fn insight(&self) -> InsightServiceClient<Channel> {
        InsightServiceClient::new(self.channel.clone())
    }

    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    pub async fn track(&self, events: Vec<pb::Event>) -> pb::TrackResponse {
        self.events().track(pb::TrackRequest { events }).await.unwrap().into_inner()
    }

    pub async fn score(&self, request: pb::ScoreRequest) -> pb::ScoreResponse {
        self.signals().score(request).await.unwrap().into_inner()
    }

    pub async fn explain(&self, user: &str) -> pb::ExplainUserResponse {
        let (user, advertiser) = (user.into(), "acme".into());
        let request = pb::ExplainUserRequest { user, advertiser, ..Default::default() };
        self.insight().explain_user(request).await.unwrap().into_inner()
    }

    /// One counter by its name and label.
    pub async fn counter(&self, name: &str, label: &str) -> u64 {
        let state = self.admin().get_state(pb::GetStateRequest::default()).await.unwrap().into_inner();
        let found = state.counters.iter().find(|counter| counter.name == name && counter.label == label);
        found.unwrap_or_else(|| panic!("{name}{{{label}}} is not counted")).value
    }

    pub async fn watch_health(&self) -> Streaming<HealthCheckResponse> {
        let request = HealthCheckRequest { service: "inkling.v1.SignalService".into() };
        HealthClient::new(self.channel.clone()).watch(request).await.unwrap().into_inner()
    }

    /// Status and body of a GET.
    pub async fn http(&self, path: &str) -> (u16, String) {
        let mut socket = tokio::net::TcpStream::connect(self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: inkling\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        tokio::time::timeout(Duration::from_secs(10), socket.read_to_string(&mut response)).await.unwrap().unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Names of the services that reflection lists.
    pub async fn reflected(&self) -> Vec<String> {
        use reflection::server_reflection_request::MessageRequest;
        use reflection::server_reflection_response::MessageResponse;
        let ask = reflection::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = reflection::server_reflection_client::ServerReflectionClient::new(self.channel.clone());
        let answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap();
        let answer = answers.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
        list.service.into_iter().map(|service| service.name).collect()
    }
}

/// Waits for a service to end well. The runtime goes on meanwhile: its connections must hear that they are to close.
pub async fn ended(thread: JoinHandle<anyhow::Result<()>>) {
    tokio::task::spawn_blocking(move || thread.join().unwrap().unwrap()).await.unwrap();
}

/// An event that happens when it arrives.
pub fn event(body: pb::event::Body) -> pb::Event {
    pb::Event { body: Some(body), ..Default::default() }
}

pub fn action(user: &str, action: &str) -> pb::Event {
    let (user, action) = (user.into(), action.into());
    let item = "sku1".into();
    event(pb::event::Body::Action(pb::Action { user, advertiser: "acme".into(), action, item, ..Default::default() }))
}

pub fn purchase(user: &str) -> pb::Event {
    action(user, "purchase")
}

pub fn impression(token: &str) -> pb::Event {
    let of = Some(pb::impression::Of::Token(token.into()));
    let cost = Some(pb::Money { micros: 1_200, currency: String::new() });
    event(pb::event::Body::Impression(pb::Impression { of, cost, bid: None }))
}

pub fn target(advertiser: &str) -> pb::Target {
    pb::Target { advertiser: advertiser.into(), goals: vec!["purchase".into()], ..Default::default() }
}

/// A request with time enough for a busy machine.
pub fn score_request(opportunity: &str, user: &str, targets: Vec<pb::Target>) -> pb::ScoreRequest {
    pb::ScoreRequest {
        opportunity_id: opportunity.into(),
        users: vec![user.into()],
        targets,
        tmax_ms: 10_000,
        ..Default::default()
    }
}

/// Tokens that the service did not seal.
pub mod token {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use inkling::exposure::{Arm, Exposure, FEATURE_SCHEMA};
    use inkling::ids::{AdvertiserCode, OpportunityKey};
    use inkling::token::{TokenKey, Tokens};
    use inkling::units::Timestamp;

    /// A token sealed with a key that the sealer of `ours` does not know, under another key id.
    pub fn foreign(ours: &str) -> String {
        let exposure = Exposure {
            schema: FEATURE_SCHEMA,
            opportunity: OpportunityKey(1),
            user: None,
            advertiser: AdvertiserCode(0),
            line_item: None,
            item: None,
            category: None,
            scored_at: Timestamp(1_800_000_000_000),
            arm: Arm::Treated,
            goals: Default::default(),
            externals: Default::default(),
            features: Default::default(),
        };
        let seal = |id| Tokens::new(TokenKey::new(id, [9; 16]), Vec::new(), 0).seal(&exposure).unwrap();
        // Version and key id stand in clear in the first bytes.
        let key_id = |token: &str| URL_SAFE_NO_PAD.decode(&token[..4]).unwrap()[1];
        seal(key_id(ours).wrapping_add(1))
    }
}

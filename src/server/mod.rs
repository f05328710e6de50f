//! The service: events and bid requests over gRPC, one applier thread behind them, a small HTTP port beside.
//!
//! An event goes connection → edge → queue → applier → journal → engine → acknowledgement; a bid request is answered on
//! the thread that read it. Sockets, stop signal and configuration are arguments, so that tests and the demo run the
//! very same service.
//!
//! *Invariants.* Only the applier changes the engine. Raw user ids do not get past the edge. Knows no file, no command
//! line and no market.

mod admin_service;
mod applier;
mod clock;
mod connection;
mod convert;
mod counters;
mod door;
mod edge;
mod event_service;
mod figures;
mod front;
mod http;
mod huge_pages;
mod insight_service;
mod latency;
mod queue;
mod score_memory;
mod scoring;
mod shared;
mod signal_service;
mod snapshots;
mod stream;
mod words;
mod workers;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::runtime;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::config::{Config, ServerConfig};
use crate::engine::Applied;
use crate::event::Event;
use crate::identity::Identity;
use crate::pb::v1::{
    admin_service_server::AdminServiceServer, event_service_server::EventServiceServer,
    insight_service_server::InsightServiceServer, signal_service_server::SignalServiceServer,
};
use crate::settings::Settings;
use crate::storage::{Directory, Ground, Tell};
use crate::token::{TokenKey, TokenKeys, Tokens, draw_replica};
use admin_service::AdminApi;
use clock::ServiceClock;
use counters::Counters;
use door::Door;
use edge::Edge;
use event_service::EventApi;
pub use huge_pages::forgo_huge_pages;
use insight_service::InsightApi;
use queue::{Occurrence, Queue};
use score_memory::ScoreMemory;
use shared::{PATIENCE, Parts, Shared, Stage};
use signal_service::SignalApi;

/// Time between two looks at the clock while no event comes.
const TICK: Duration = Duration::from_secs(1);

/// The sockets the service listens on.
#[derive(Debug)]
pub struct Listeners {
    grpc: TcpListener,
    http: TcpListener,
}

impl Listeners {
    /// Opens both sockets; port 0 takes any free one.
    ///
    /// # Errors
    /// When an address is in use, or can be reached from other machines and `insecure` does not allow that.
    pub fn bind(server: &ServerConfig, insecure: bool) -> anyhow::Result<Listeners> {
        Ok(Listeners { grpc: bind("grpc", server.grpc, insecure)?, http: bind("http", server.http, insecure)? })
    }

    /// Where gRPC listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn grpc(&self) -> std::io::Result<SocketAddr> {
        self.grpc.local_addr()
    }

    /// Where HTTP listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn http(&self) -> std::io::Result<SocketAddr> {
        self.http.local_addr()
    }
}

fn bind(what: &str, address: SocketAddr, insecure: bool) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() && !insecure {
        bail!(
            "{what} = \"{address}\" can be reached from other machines, and this version has neither TLS nor keys yet: \
             bind it to 127.0.0.1, or accept that with --insecure"
        );
    }
    let listener = TcpListener::bind(address).with_context(|| format!("{what} cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What the service must not lose, and nobody else may know.
#[derive(Debug)]
pub struct Secrets {
    /// Makes the keys of users: the same one gives the same keys, and so the same state for the same events.
    pub identity: Identity,
    /// Seal and open tokens.
    pub token_keys: TokenKeys,
}

impl Secrets {
    /// Those of a data directory.
    pub fn of(directory: &Directory) -> Secrets {
        Secrets { identity: directory.identity().clone(), token_keys: directory.token_keys().clone() }
    }

    /// A token key that is as good as the state that it belongs to: gone when the process ends.
    pub fn in_memory(identity: Identity) -> Secrets {
        let token_keys = TokenKeys { current: TokenKey::generate(), previous: Vec::new() };
        Secrets { identity, token_keys }
    }
}

/// Runs the service until `shutdown` completes; returns once all that was in progress is answered and applied.
///
/// `ready` is called once, when the journal and the settings are applied and connections are served.
///
/// # Errors
/// When the state cannot be recovered, the settings are refused, a thread fails, or the journal does: then nothing more
/// was acknowledged.
pub fn run(
    config: Config,
    ground: Ground,
    secrets: Secrets,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> anyhow::Result<()> {
    let control = runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let clock = Arc::new(ServiceClock::new(config.server.clock));
    let counters = Arc::new(Counters::default());
    let (scorer, tell) = (ground.engine.scorer(), Arc::clone(&ground.tell));
    let (queue, applier) =
        applier::start(ground, Arc::clone(&clock), Arc::clone(&counters), config.server.events_queue_max)?;
    let edge = edge(&config, secrets, clock, counters);
    let limits = config.server;
    let shared = Arc::new(Shared::new(Parts { scorer, queue, edge, limits, stop: stopped }));
    let served = control.block_on(serve(&shared, config.settings, listeners, stop, &tell, shutdown, ready));
    // The tasks of this runtime hold the last ways to the applier, which ends when all are gone.
    drop(control);
    drop(shared);
    let applied = applier.join().map_err(|_| anyhow!("the applier thread panicked"))?;
    // The applier's failure is the cause of all others.
    applied.context("the service has failed; what was acknowledged is kept and applied, nothing after it")?;
    served
}

fn edge(config: &Config, secrets: Secrets, clock: Arc<ServiceClock>, counters: Arc<Counters>) -> Edge {
    let server = &config.server;
    let Secrets { identity, token_keys: TokenKeys { current, previous } } = secrets;
    Edge {
        identity,
        tokens: Tokens::new(current, previous, draw_replica()),
        token_age_max: config.settings.retention.token,
        memory: ScoreMemory::new(server.score_memory_max, server.score_memory_age),
        clock,
        counters,
    }
}

/// Starts, serves, drains.
async fn serve(
    shared: &Arc<Shared>,
    settings: Settings,
    listeners: Listeners,
    stop: watch::Sender<bool>,
    tell: &Tell,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> anyhow::Result<()> {
    let (health, health_server) = health_reporter();
    report(&health, ServingStatus::NotServing).await;
    let others = workers::others(shared, Routes::new(health_server))?;
    let mut crew = workers::start(shared, &others)?;
    drop(others);
    let door = |listener| {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        io::Result::Ok(Door::new(listener, Arc::clone(&shared.counters), Arc::clone(tell)))
    };
    let (grpc, http) = (door(listeners.grpc)?, door(listeners.http)?);
    let http = tokio::spawn(http::serve(Arc::clone(shared), http));
    let dealer = tokio::spawn(workers::deal(Arc::clone(shared), grpc, crew.hands()));
    let ticker = tokio::spawn(pass_time(Arc::clone(shared)));

    let mut shutdown = pin!(shutdown);
    let configured = tokio::select! {
        configured = configure(&shared.queue, settings) => configured.map(|()| true),
        // Told to stop while the journal is applied: that is finished first.
        () = &mut shutdown => Ok(false),
    };
    if matches!(configured, Ok(true)) {
        forgo_huge_pages();
        shared.set_stage(Stage::Ready);
        report(&health, ServingStatus::Serving).await;
        ready();
        tokio::select! {
            () = &mut shutdown => {}
            () = shared.queue.ended() => score_on(shared, &health, tell, shutdown).await,
        }
    }

    shared.set_stage(Stage::Stopping);
    report(&health, ServingStatus::NotServing).await;
    end_watches(health).await;
    // Whoever listened for it is gone only when the workers are.
    let _ = stop.send(true);
    crew.ended().await;
    let joined = crew.join();
    for task in [http, dealer, ticker] {
        task.abort();
    }
    configured.and(joined)
}

/// The journal has failed: nothing is taken any more, but bids are answered from memory while whoever sends them finds
/// that this service is no longer ready.
async fn score_on(shared: &Shared, health: &HealthReporter, tell: &Tell, shutdown: impl Future<Output = ()>) {
    shared.set_stage(Stage::Degraded);
    report(health, ServingStatus::NotServing).await;
    tell(&format!(
        "{}; from now on no event is taken and the service is not ready; bids are answered from memory for {}, then it \
         ends: start it again when the cause is mended, all that was acknowledged is kept",
        shared.queue.failure().unwrap_or("the applier thread panicked"),
        shared.limits.drain,
    ));
    tokio::select! {
        () = shutdown => {}
        () = tokio::time::sleep(Duration::from_millis(shared.limits.drain.0)) => {}
    }
}

/// Puts the settings into the journal and in force, unless they are.
async fn configure(queue: &Queue, settings: Settings) -> anyhow::Result<()> {
    let failed = "the service failed while it applied the settings";
    let wanted = settings.clone();
    let in_force = queue.ask(PATIENCE, move |engine, _| *engine.catalog().settings() == wanted);
    if in_force.await.context(failed)? {
        return Ok(());
    }
    let configured = Occurrence { occurred_at: None, event_id: None, event: Event::Configured(Box::new(settings)) };
    let answer = queue.track(vec![configured], None).await?;
    match answer.await.context(failed)?.pop() {
        Some(Applied::Done | Applied::Duplicate) => Ok(()),
        Some(Applied::Rejected(rejection)) => Err(anyhow!(rejection).context("the engine refuses the settings")),
        None => Err(anyhow!("the engine did not answer to the settings")),
    }
}

/// Lets time pass while nothing comes: for the engine where the wall clock counts, and for remembered scores.
async fn pass_time(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if shared.clock.is_wall() {
            shared.queue.tick();
        }
        shared.edge.memory.expire(shared.clock.now());
    }
}

/// Tells health checks, for the service as a whole and for each of its parts.
async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in health_names() {
        health.set_service_status(name, status).await;
    }
}

/// Ends the streams of who watches the service's health, as they would never end by themselves.
async fn end_watches(mut health: HealthReporter) {
    for name in health_names() {
        health.clear_service_status(name).await;
    }
}

fn health_names() -> [&'static str; 5] {
    use tonic::server::NamedService;
    [
        "",
        SignalServiceServer::<SignalApi>::NAME,
        EventServiceServer::<EventApi>::NAME,
        InsightServiceServer::<InsightApi>::NAME,
        AdminServiceServer::<AdminApi>::NAME,
    ]
}

#[cfg(test)]
mod pressure_tests;
#[cfg(test)]
mod tests;

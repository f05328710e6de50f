//! Threads that serve gRPC: each has a runtime of its own, and connections stay where they are dealt to.
//!
//! One runtime per core costs 6 µs of CPU a call where one runtime over all cores costs 9 to 11, and dealing sockets
//! out evenly matters because exchanges hold few, long-lived connections.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use super::admin_service::AdminApi;
use super::connection::Connection;
use super::counters::Count;
use super::door::Door;
use super::front::Front;
use super::insight_service::InsightApi;
use super::shared::Shared;
use crate::config::{ServerConfig, Workers};
use crate::pb::DESCRIPTORS;
use crate::pb::v1::admin_service_server::AdminServiceServer;
use crate::pb::v1::insight_service_server::InsightServiceServer;

/// Sockets on their way to one worker.
const SOCKETS_AHEAD_MAX: usize = 16;
/// What every HTTP/2 client says first (RFC 9113, section 3.4): "PRI * HTTP/2.0" and what follows.
const PREFACE_BYTES: usize = 24;
/// How long a new connection may take for that; then it is closed.
const PREFACE_TIME_MAX: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(5) };
/// Pause between two looks at a preface that comes in pieces.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);
/// Bytes of the headers of one call.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// A socket with its place among the connections.
type Dealt = (std::net::TcpStream, OwnedSemaphorePermit);

/// The running threads.
pub struct Crew {
    hands: Vec<mpsc::Sender<Dealt>>,
    threads: Vec<JoinHandle<Result<(), tonic::transport::Error>>>,
    /// Closes when the last thread has ended.
    ended: mpsc::Receiver<()>,
}

/// Starts the threads. Each serves what it is dealt until the service is told to stop, then what is in progress.
///
/// # Errors
/// When the system gives no thread or no runtime.
pub fn start(shared: &Arc<Shared>, others: &Routes) -> io::Result<Crew> {
    let count = match shared.limits.workers {
        Workers::PerCore => thread::available_parallelism().map_or(1, usize::from),
        Workers::Fixed(count) => count.max(1),
    };
    let (alive, ended) = mpsc::channel(1);
    let mut crew = Crew { hands: Vec::with_capacity(count), threads: Vec::with_capacity(count), ended };
    for number in 0..count {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (hand, sockets) = mpsc::channel(SOCKETS_AHEAD_MAX);
        let (shared, alive) = (Arc::clone(shared), alive.clone());
        let front = Front::new(&shared, others.clone());
        let work = move || {
            let _alive = alive;
            runtime.block_on(serve(shared, front, sockets))
        };
        crew.threads.push(thread::Builder::new().name(format!("inkling-worker-{number}")).spawn(work)?);
        crew.hands.push(hand);
    }
    Ok(crew)
}

/// The gRPC services that are called seldom; `health` is the one whose state lives elsewhere.
pub fn others(shared: &Arc<Shared>, health: Routes) -> anyhow::Result<Routes> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    // Older clients, Python's among them, ask for this name.
    let older_reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1alpha()?;
    let bytes_max = shared.limits.message_bytes_max;
    let insight = InsightServiceServer::new(InsightApi(Arc::clone(shared))).max_decoding_message_size(bytes_max);
    let admin = AdminServiceServer::new(AdminApi(Arc::clone(shared))).max_decoding_message_size(bytes_max);
    Ok(health.add_service(insight).add_service(admin).add_service(reflection).add_service(older_reflection).prepare())
}

/// One worker.
async fn serve(
    shared: Arc<Shared>,
    front: Front,
    sockets: mpsc::Receiver<Dealt>,
) -> Result<(), tonic::transport::Error> {
    let connections = ReceiverStream::new(sockets).filter_map(|(socket, place)| {
        // A socket that broke on the way here is its client's business.
        Connection::adopt(socket, place).ok().map(Ok::<_, io::Error>)
    });
    let stopped = shared.stopped();
    let serving = server(&shared.limits).serve_with_incoming_shutdown(front, connections, stopped);
    let patience = async {
        shared.stopped().await;
        tokio::time::sleep(Duration::from_millis(shared.limits.drain.0)).await;
    };
    tokio::select! {
        served = serving => served,
        // Who has not finished by now is cut off.
        () = patience => Ok(()),
    }
}

fn server(limits: &ServerConfig) -> Server {
    Server::builder()
        .max_concurrent_streams(u32::try_from(limits.streams_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(u32::try_from(limits.stream_window).unwrap_or(u32::MAX))
        .initial_connection_window_size(u32::try_from(limits.connection_window).unwrap_or(u32::MAX))
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(Duration::from_millis(limits.keepalive.0)))
        .http2_keepalive_timeout(Some(Duration::from_millis(limits.keepalive_timeout.0)))
}

/// Deals connections out to the workers in turn until the service is told to stop.
pub async fn deal(shared: Arc<Shared>, mut door: Door, hands: Vec<mpsc::Sender<Dealt>>) {
    let places = Arc::new(Semaphore::new(shared.limits.connections_max));
    let dealing = async {
        for hand in hands.iter().cycle() {
            let place = Arc::clone(&places).acquire_owned().await.expect("this semaphore is never closed");
            let socket = door.next().await;
            shared.counters.count(Count::Connections);
            tokio::spawn(hand_over(socket, place, hand.clone()));
        }
    };
    tokio::select! {
        () = dealing => {}
        () = shared.stopped() => {}
    }
}

/// Hands a connection to its worker once the client has begun to speak HTTP/2; one that does not is closed, so that it
/// cannot hold a place for ever: the server waits for the preface without limit.
async fn hand_over(socket: TcpStream, place: OwnedSemaphorePermit, hand: mpsc::Sender<Dealt>) {
    if !matches!(tokio::time::timeout(PREFACE_TIME_MAX, preface(&socket)).await, Ok(Ok(true))) {
        return;
    }
    if let Ok(socket) = socket.into_std() {
        // A worker ends early only when its server fails; the others go on.
        let _ = hand.send((socket, place)).await;
    }
}

/// Waits until as many bytes have come as a preface has; false where the client leaves before.
async fn preface(socket: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE_BYTES];
    loop {
        match socket.peek(&mut seen).await? {
            0 => return Ok(false),
            PREFACE_BYTES => return Ok(true),
            _ => tokio::time::sleep(PREFACE_PAUSE).await,
        }
    }
}

impl Crew {
    /// Where connections are dealt to. Can be taken once.
    pub fn hands(&mut self) -> Vec<mpsc::Sender<Dealt>> {
        std::mem::take(&mut self.hands)
    }

    /// Waits until all threads have served what was in progress.
    pub async fn ended(&mut self) {
        // Nothing is ever sent: this returns when the last sender is gone.
        let _ = self.ended.recv().await;
    }

    /// Collects the threads, which must have ended.
    ///
    /// # Errors
    /// The first server's failure.
    pub fn join(self) -> anyhow::Result<()> {
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a worker thread panicked"))??;
        }
        Ok(())
    }
}

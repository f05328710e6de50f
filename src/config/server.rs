//! How the service listens, and what bounds it. Nothing here shapes state or score.

use std::net::{Ipv4Addr, SocketAddr};

use super::table::Table;
use crate::opportunity::TARGETS_MAX;
use crate::units::Span;

/// Settings of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where gRPC listens; port 0 takes any free one.
    pub grpc: SocketAddr,
    /// Where HTTP (health, counters) listens; port 0 takes any free one.
    pub http: SocketAddr,
    /// Threads that serve connections, beside the one that applies events.
    pub workers: Workers,
    /// What the engine takes for the time.
    pub clock: Clock,
    /// Connections at a time; a further one waits until another closes.
    pub connections_max: usize,
    /// Calls at a time on one connection; the client's library holds back further ones.
    pub streams_max: usize,
    /// Bytes of one message; a larger one is refused with its call.
    pub message_bytes_max: usize,
    /// Events of one `Track` message; a longer one is refused.
    pub track_events_max: usize,
    /// Requests of one `ScoreBatch` message; a longer one is refused.
    pub batch_requests_max: usize,
    /// Bytes a client may send ahead on one call.
    pub stream_window: usize,
    /// Bytes a client may send ahead on one connection.
    pub connection_window: usize,
    /// Events that wait to be applied. At the bound `Track` is refused as a whole, and `TrackStream` stops reading.
    pub events_queue_max: usize,
    /// Longest time for a score request, and that of one which states none.
    pub deadline: Span,
    /// What the way to the bidder takes of its deadline: an answer later than deadline − overhead is neutral.
    pub deadline_overhead: Span,
    /// Targets of one request whose answers carry a token: the best ones.
    pub tokens_max: usize,
    /// Scores remembered for bidders that cannot carry tokens; the oldest gives way.
    pub score_memory_max: usize,
    /// How long such a score is remembered.
    pub score_memory_age: Span,
    /// A connection without traffic is asked after this time whether it is alive.
    pub keepalive: Span,
    /// A connection that does not answer within this time is closed.
    pub keepalive_timeout: Span,
    /// How long calls in progress may go on once the service is told to stop.
    pub drain: Span,
}

/// Threads that serve connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Workers {
    /// As many as the machine has cores.
    #[default]
    PerCore,
    /// So many.
    Fixed(usize),
}

/// What the engine takes for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// When an event arrives.
    #[default]
    Wall,
    /// When the latest event occurred, as its sender says: for recorded logs.
    Events,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            grpc: SocketAddr::from((Ipv4Addr::LOCALHOST, 7610)),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 7611)),
            workers: Workers::PerCore,
            clock: Clock::Wall,
            connections_max: 1_024,
            streams_max: 1_024,
            message_bytes_max: 1 << 20,
            track_events_max: 1_000,
            batch_requests_max: 1_000,
            stream_window: 1 << 20,
            connection_window: 4 << 20,
            events_queue_max: 65_536,
            deadline: Span(100),
            deadline_overhead: Span(1),
            tokens_max: 8,
            score_memory_max: 1_000_000,
            score_memory_age: Span::minutes(10),
            keepalive: Span::seconds(30),
            keepalive_timeout: Span::seconds(10),
            drain: Span::seconds(20),
        }
    }
}

impl ServerConfig {
    /// Reads `[server]`.
    pub(super) fn read(table: &mut Table<'_>) -> ServerConfig {
        let mut server = ServerConfig::default();
        table.address("grpc", &mut server.grpc);
        table.address("http", &mut server.http);
        if server.grpc == server.http && server.grpc.port() != 0 {
            table.refuse(format_args!("grpc and http are both {}: they need two ports", server.grpc));
        }
        read_workers(table, &mut server.workers);
        table.choice("clock", &mut server.clock, &[("wall", Clock::Wall), ("events", Clock::Events)]);
        read_bounds(table, &mut server);
        read_times(table, &mut server);
        server
    }
}

fn read_bounds(table: &mut Table<'_>, server: &mut ServerConfig) {
    table.whole("connections_max", &mut server.connections_max, 1..=100_000);
    table.whole("streams_max", &mut server.streams_max, 1..=100_000);
    table.size("message_bytes_max", &mut server.message_bytes_max, 64 << 10..=64 << 20);
    table.whole("track_events_max", &mut server.track_events_max, 1..=100_000);
    table.whole("batch_requests_max", &mut server.batch_requests_max, 1..=100_000);
    table.size("stream_window", &mut server.stream_window, 64 << 10..=64 << 20);
    table.size("connection_window", &mut server.connection_window, 64 << 10..=64 << 20);
    table.whole("events_queue_max", &mut server.events_queue_max, 1..=10_000_000);
    table.whole("tokens_max", &mut server.tokens_max, 0..=TARGETS_MAX);
    table.whole("score_memory_max", &mut server.score_memory_max, 0..=100_000_000);
}

fn read_times(table: &mut Table<'_>, server: &mut ServerConfig) {
    table.span("deadline", &mut server.deadline, Span(1)..=Span::seconds(60));
    table.span("deadline_overhead", &mut server.deadline_overhead, Span::ZERO..=Span::seconds(1));
    if server.deadline_overhead >= server.deadline {
        let (overhead, deadline) = (server.deadline_overhead, server.deadline);
        table.refuse(format_args!("deadline_overhead {overhead} leaves nothing of deadline {deadline}"));
    }
    table.span("score_memory_age", &mut server.score_memory_age, Span::seconds(1)..=Span::hours(24));
    table.span("keepalive", &mut server.keepalive, Span::seconds(1)..=Span::hours(1));
    table.span("keepalive_timeout", &mut server.keepalive_timeout, Span::seconds(1)..=Span::minutes(10));
    table.span("drain", &mut server.drain, Span::ZERO..=Span::minutes(10));
}

/// Most threads that can be asked for.
const WORKERS_MAX: i64 = 256;

fn read_workers(table: &mut Table<'_>, into: &mut Workers) {
    let Some(value) = table.take("workers") else { return };
    match (value.as_text(), value.as_integer()) {
        (Some("per_core"), _) => *into = Workers::PerCore,
        (_, Some(count @ 1..=WORKERS_MAX)) => *into = Workers::Fixed(count as usize),
        _ => value.refuse(format_args!("must be \"per_core\" or a number between 1 and {WORKERS_MAX}")),
    }
}

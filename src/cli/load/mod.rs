//! `inkling load`: tracks or scores made-up users as fast as the service answers, or at a given rate, and says how long
//! answers took and what they cost.
//!
//! *Invariants.* A client like any other: knows the service by its gRPC interface alone.

mod call;
mod echo;
mod line;
mod maker;
mod measured;
mod sender;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tonic::transport::Channel;

use super::remote::Remote;
use super::words;
use crate::ids::Id;
use crate::pb::v1;
use crate::pb::v1::admin_service_client::AdminServiceClient;
use crate::stopwatch::Stopwatch;
use crate::units::Span;
use call::Call;
use measured::Measured;
use tally::Tally;

pub use echo::Echo;

/// Events of a message, and bid requests of a ScoreBatch, unless told.
const ITEMS: u32 = 100;
/// Messages of an open loop that were due and could not be sent yet; beyond that a connection waits, and their times
/// count from when they were due all the same.
const OPEN_AHEAD_MAX: usize = 64;

/// Loads a running service with made-up events or bid requests and measures throughput, times and its CPU
///
/// Closed loop: each connection keeps --ahead messages underway and sends the next when one is answered. Open loop,
/// with --rate: messages are due at fixed times, and the time to an answer counts from when its message was due, not
/// from when it could be sent; so a service that stands still is not measured by the one message that met it
/// (coordinated omission). The service's CPU is its own word: that of all its threads, as in GetState.
///
/// Events teach the service what no user did: load a data directory of its own. Bid requests are for the users of whom
/// events tell, so track first, then score. Each is for one target and one goal, with a token in the answer.
#[derive(Debug, Args)]
pub struct Load {
    /// What to call
    #[arg(long, value_enum, default_value_t = Call::Track)]
    call: Call,
    /// Connections, each with a stream of its own where streams are called
    #[arg(long, alias = "producers", value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
    /// Events of a message, with --call track [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    events: Option<u32>,
    /// Bid requests of a call, with --call score-batch [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    requests: Option<u32>,
    /// Messages that a connection has underway in a closed loop
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    ahead: u32,
    /// Events or bid requests a second of all connections together: an open loop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// How long to send
    #[arg(long = "for", value_name = "SPAN", default_value = "10s", value_parser = Span::parse)]
    span: Span,
    /// Whose events and bids: an advertiser that the service knows
    #[arg(long, value_name = "NAME", default_value = "acme", value_parser = name)]
    advertiser: Id,
    /// Which of its goals bid requests ask for [default: purchase]
    #[arg(long, value_name = "NAME", value_parser = name)]
    goal: Option<Id>,
    /// Time that bid requests give for their answer, 1ms to 1h; later ones are counted [default: 100ms]
    #[arg(long, value_name = "SPAN", value_parser = tmax)]
    tmax: Option<Span>,
    /// Made-up users
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
    /// Seed of who does what
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Then do the same with a server that reads the messages, does nothing and answers as much, on tonic's default
    /// runtime, and compare
    #[arg(long)]
    echo: bool,
    #[command(flatten)]
    remote: Remote,
}

fn name(text: &str) -> Result<Id, String> {
    Id::new(text).map_err(|error| error.to_string())
}

fn tmax(text: &str) -> Result<Span, String> {
    let span = Span::parse(text).map_err(|error| error.to_string())?;
    let allowed = Span(1)..=Span::hours(1);
    if allowed.contains(&span) { Ok(span) } else { Err(format!("{span}: must be from 1ms to 1h")) }
}

/// What all connections do.
struct Plan {
    call: Call,
    /// Events or bid requests of a message.
    items: u32,
    ahead: usize,
    /// Time between two messages of one connection, in an open loop.
    pause: Option<Duration>,
    span: Duration,
    advertiser: String,
    goal: String,
    tmax: Duration,
    users: u64,
    seed: u64,
    /// Tells this run's ids of events and opportunities from those of others.
    run: u64,
}

impl Load {
    /// Sends, and prints what was measured.
    ///
    /// # Errors
    /// When the service fails or refuses something; what was answered until then is printed all the same.
    pub fn run(self) -> anyhow::Result<()> {
        self.check();
        let plan = Arc::new(self.plan());
        let service = self.measure(&plan, &self.remote)?;
        let echo = match self.echo && service.is_good() {
            true => {
                let echo = echo::Running::start(service.answer_bytes())?;
                Some(self.measure(&plan, &self.remote.at(&echo.address))?)
            }
            false => None,
        };
        let text = self.title(&plan) + &measured::report(&plan, &service, echo.as_ref());
        super::print(&text).context("cannot write to standard output")?;
        service.verdict(&plan)
    }

    /// Options that mean nothing to the call are mistakes.
    fn check(&self) {
        let options = [
            ("--events", self.events.is_some(), self.call == Call::Track),
            ("--requests", self.requests.is_some(), self.call == Call::ScoreBatch),
            ("--goal", self.goal.is_some(), self.call.scores()),
            ("--tmax", self.tmax.is_some(), self.call.scores()),
        ];
        for (option, is_given, is_meant) in options {
            if is_given && !is_meant {
                super::wrong_usage("load", &format!("{option} means nothing with --call {}", self.call.name()));
            }
        }
    }

    fn plan(&self) -> Plan {
        let items = match self.call {
            Call::Track => self.events.unwrap_or(ITEMS),
            Call::ScoreBatch => self.requests.unwrap_or(ITEMS),
            Call::Score | Call::ScoreStream => 1,
        };
        let messages_a_second = |rate: u64| rate as f64 / f64::from(items) / f64::from(self.connections);
        Plan {
            call: self.call,
            items,
            ahead: self.rate.map_or(self.ahead as usize, |_| OPEN_AHEAD_MAX),
            pause: self.rate.map(|rate| Duration::from_secs_f64(1.0 / messages_a_second(rate))),
            span: Duration::from_millis(self.span.0),
            advertiser: self.advertiser.as_str().to_owned(),
            goal: self.goal.as_ref().map_or("purchase", Id::as_str).to_owned(),
            tmax: Duration::from_millis(self.tmax.map_or(100, |span| span.0)),
            users: self.users,
            seed: self.seed,
            run: rand::random(),
        }
    }

    fn title(&self, plan: &Plan) -> String {
        let how = match self.rate {
            Some(rate) => format!("open loop, {} {}s/s", words::count(rate as usize), plan.call.item()),
            None => format!("closed loop, {} ahead", self.ahead),
        };
        format!(
            "{}: {} × {} a {}, {how}, {}, seed {}\n",
            plan.call.name(),
            words::several(self.connections as usize, "connection"),
            words::several(plan.items as usize, plan.call.item()),
            plan.call.message(),
            self.span,
            self.seed
        )
    }

    fn measure(&self, plan: &Arc<Plan>, remote: &Remote) -> anyhow::Result<Measured> {
        remote.talk(async {
            let operator = remote.connect().await?;
            let mut channels = Vec::new();
            for number in 0..self.connections {
                channels.push((number, remote.connect().await?));
            }
            let before = cpu(remote, &operator).await?;
            let started = Stopwatch::start();
            let running: Vec<_> = channels
                .into_iter()
                .map(|(number, channel)| tokio::spawn(sender::run(Arc::clone(plan), number, channel, remote.clone())))
                .collect();
            let mut tally = Tally::default();
            for sender in running {
                tally.add(sender.await.context("a connection's task failed")?);
            }
            let elapsed = started.elapsed();
            // A service that failed is not asked: one that drains would still tell, one that is gone could not.
            let after = match tally.failure {
                None => cpu(remote, &operator).await.ok().flatten(),
                Some(_) => None,
            };
            let cpu = after.zip(before).map(|(after, before)| after.saturating_sub(before));
            Ok(Measured { tally, elapsed, cpu })
        })
    }
}

/// CPU time that the service has used, if it says so.
async fn cpu(remote: &Remote, operator: &Channel) -> anyhow::Result<Option<Duration>> {
    let mut client = AdminServiceClient::new(operator.clone());
    let state = remote.answer(client.get_state(v1::GetStateRequest::default())).await?;
    let micros = state.into_inner().cpu_micros;
    Ok((micros > 0).then(|| Duration::from_micros(micros)))
}

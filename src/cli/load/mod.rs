//! `inkling load`: tracks made-up events as fast as the service takes them, or at a given rate, and says how long
//! acknowledgements took.
//!
//! *Invariants.* A client like any other: knows the service by its gRPC interface alone.

mod echo;
mod producer;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::remote::Remote;
use super::words;
use crate::ids::Id;
use crate::report::stopwatch::Stopwatch;
use crate::report::table::{Align, Table};
use crate::units::Span;
use producer::Tally;

/// Tracks made-up events over TrackStream and measures throughput and the time to the acknowledgement
///
/// Closed loop: each producer keeps --ahead messages underway and sends the next when one is acknowledged. Open loop,
/// with --rate: messages are due at fixed times, and a time to acknowledgement counts from when its message was due,
/// not from when it could be sent; so a service that stands still is not measured by the one message that met it
/// (coordinated omission). The events teach the service what no user did: load a data directory of its own.
#[derive(Debug, Args)]
pub struct Load {
    /// Connections, each with a stream of its own
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    producers: u32,
    /// Events of a message
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    events: u32,
    /// Messages that a producer has underway in a closed loop
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    ahead: u32,
    /// Events a second of all producers together: an open loop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// How long to send
    #[arg(long = "for", value_name = "SPAN", default_value = "10s", value_parser = Span::parse)]
    span: Span,
    /// Whose events: an advertiser that the service knows
    #[arg(long, value_name = "NAME", default_value = "acme", value_parser = name)]
    advertiser: Id,
    /// Made-up users
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
    /// Seed of who does what
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Then do the same with a server in this process that reads the messages, does nothing and answers, and compare
    #[arg(long)]
    echo: bool,
    #[command(flatten)]
    remote: Remote,
}

fn name(text: &str) -> Result<Id, String> {
    Id::new(text).map_err(|error| error.to_string())
}

/// What all producers do.
struct Plan {
    events: u32,
    ahead: usize,
    /// Time between two messages of one producer, in an open loop.
    pause: Option<Duration>,
    span: Duration,
    advertiser: String,
    users: u64,
    seed: u64,
    /// Tells this run's event ids from those of others.
    run: u64,
}

/// What was measured.
struct Measured {
    tally: Tally,
    elapsed: Duration,
}

impl Load {
    /// Sends, and prints what was measured.
    ///
    /// # Errors
    /// When the service fails or refuses an event; what was acknowledged until then is printed all the same.
    pub fn run(self) -> anyhow::Result<()> {
        let messages_a_second = |rate: u64| rate as f64 / f64::from(self.events) / f64::from(self.producers);
        let plan = Arc::new(Plan {
            events: self.events,
            ahead: self.ahead as usize,
            pause: self.rate.map(|rate| Duration::from_secs_f64(1.0 / messages_a_second(rate))),
            span: Duration::from_millis(self.span.0),
            advertiser: self.advertiser.as_str().to_owned(),
            users: self.users,
            seed: self.seed,
            run: rand::random(),
        });
        let service = self.measure(&plan, &self.remote)?;
        let mut table = Table::new(&[
            ("", Align::Left),
            ("events/s", Align::Right),
            ("messages/s", Align::Right),
            ("ack p50 µs", Align::Right),
            ("p90", Align::Right),
            ("p99", Align::Right),
            ("p99.9", Align::Right),
            ("max", Align::Right),
        ]);
        table.row(service.cells("service"));
        let mut text = self.title();
        let mut ratio = String::new();
        if self.echo && service.tally.failure.is_none() {
            let echo = echo::start()?;
            let echoed = self.measure(&plan, &self.remote.at(&echo.to_string()))?;
            table.row(echoed.cells("echo"));
            ratio = format!(
                "the service does {:.2} of the echo's events a second; its p50 is {:.1} times the echo's\n",
                service.events_a_second() / echoed.events_a_second(),
                service.percentile(50.0) / echoed.percentile(50.0),
            );
        }
        text += &format!("{table}{ratio}");
        super::print(&text).context("cannot write to standard output")?;
        service.verdict()
    }

    fn title(&self) -> String {
        let how = match self.rate {
            Some(rate) => format!("open loop, {} events/s", words::count(rate as usize)),
            None => format!("closed loop, {} ahead", self.ahead),
        };
        format!(
            "{} × {} a message, {how}, {}\n",
            words::several(self.producers as usize, "producer"),
            words::several(self.events as usize, "event"),
            self.span
        )
    }

    fn measure(&self, plan: &Arc<Plan>, remote: &Remote) -> anyhow::Result<Measured> {
        remote.talk(async {
            let mut producers = Vec::new();
            for number in 0..self.producers {
                let channel = remote.connect().await?;
                producers.push((number, channel));
            }
            let started = Stopwatch::start();
            let running: Vec<_> = producers
                .into_iter()
                .map(|(number, channel)| tokio::spawn(producer::run(Arc::clone(plan), number, channel, remote.clone())))
                .collect();
            let mut tally = Tally::default();
            for producer in running {
                tally.add(producer.await.context("a producer failed")?);
            }
            Ok(Measured { tally, elapsed: started.elapsed() })
        })
    }
}

impl Measured {
    /// Whether all was taken; if not, why, and what to do.
    fn verdict(&self) -> anyhow::Result<()> {
        let Tally { events, refused, .. } = self.tally;
        if let Some(failure) = &self.tally.failure {
            bail!(
                "{failure}: the service failed when it had acknowledged {}; its standard error says why: mend that, \
                 and start it again",
                words::several((events - refused) as usize, "event"),
            );
        }
        let Some(refusal) = &self.tally.refusal else { return Ok(()) };
        let remedy = match refusal.code.as_str() {
            "unknown_advertiser" => ": name one that the service's configuration has, with --advertiser",
            _ => "",
        };
        let count = |number: u64| words::count(number as usize);
        bail!("{} of {} events were refused: {}{remedy}", count(refused), count(events), refusal.message);
    }

    fn events_a_second(&self) -> f64 {
        self.tally.events as f64 / self.elapsed.as_secs_f64()
    }

    /// In microseconds.
    fn percentile(&self, percentile: f64) -> f64 {
        self.tally.times.value_at_percentile(percentile) as f64 / 1e3
    }

    fn cells(&self, name: &str) -> Vec<String> {
        let whole = |number: f64| words::count(number as usize);
        let rates =
            [self.events_a_second(), self.events_a_second() * self.tally.messages as f64 / self.tally.events as f64];
        let times = [50.0, 90.0, 99.0, 99.9, 100.0].map(|percentile| self.percentile(percentile));
        std::iter::once(name.to_owned()).chain(rates.into_iter().chain(times).map(whole)).collect()
    }
}

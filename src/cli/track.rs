//! `inkling track`: tells the service what happened, and says what became of it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::thread;

use anyhow::{Context, bail};
use clap::Args;
use prost::Message;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;

use super::exchange::{self, Exchange};
use super::input::{self, InputError, Object, Objects, Place};
use super::remote::Remote;
use super::words;
use crate::pb::v1;
use crate::pb::v1::event_service_client::EventServiceClient;

/// Lines that cannot be read and are shown; all are counted. A wrong file would fill the screen.
const UNREADABLE_SHOWN: u64 = 20;
/// Events that are read and not sent yet.
const READ_AHEAD_MAX: usize = 512;
/// Bytes of one message, unless a single event has more: half of what a service with default limits takes.
const MESSAGE_BYTES_MAX: usize = 512 << 10;

/// Tells a running service what happened, and says what became of it
///
/// Events are JSON objects as grpcurl takes them: an Event, such as
///   {"event_id": "e-1", "action": {"user": "u-81", "advertiser": "acme", "action": "view_item"}}
/// one a line, or a TrackRequest: {"events": […]}. Journey logs are another format: `inkling replay` and `inkling demo
/// --journey` read them. What is compressed is piped in: zcat events.ndjson.gz | inkling track
///
/// Every event is sent, whatever becomes of others. Refused events and lines that cannot be read are told on standard
/// error with file and line, and make the exit code 1; repeated events (by event_id) do not.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Track {
    /// An object, files of objects, or - for standard input, which is read as well where nothing is given
    #[arg(value_name = "JSON|FILE")]
    inputs: Vec<String>,
    /// Most events of one message: not more than the service's track_events_max
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    #[command(flatten)]
    remote: Remote,
}

/// An event to be sent, and where it stands.
struct Found {
    spot: Spot,
    event: v1::Event,
}

/// Where an event stands.
struct Spot {
    at: Place,
    /// Which of a TrackRequest's events it is, from 0.
    index: Option<usize>,
}

impl fmt::Display for Spot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            None => write!(out, "{}", self.at),
            Some(index) => write!(out, "{}: events[{index}]", self.at),
        }
    }
}

/// What became of the events.
#[derive(Debug, Default)]
struct Counts {
    accepted: u64,
    duplicate: u64,
    rejected: u64,
    unreadable: u64,
}

type Tracking<'a> = Exchange<'a, v1::TrackRequest, v1::TrackResponse, Vec<Spot>>;

impl Track {
    /// Sends all events, and prints the counts.
    ///
    /// # Errors
    /// When the service fails, when an event was refused, or when something could not be read.
    pub fn run(self) -> anyhow::Result<()> {
        let inputs = input::sources(&self.inputs)?;
        if inputs.is_empty() {
            super::wrong_usage("track", "nothing to track: give an event as JSON, a file, or pipe events in");
        }
        let (found, events) = mpsc::channel(READ_AHEAD_MAX);
        let mut counts = Counts::default();
        let sent = self.remote.talk(async {
            let channel = self.remote.connect().await?;
            // Reading blocks, and nobody waits for this thread: it ends with its input or with the program.
            thread::spawn(move || read(inputs, &found));
            let mut client = EventServiceClient::new(channel);
            let mut tracking =
                Exchange::open(&self.remote, exchange::AHEAD, |stream| client.track_stream(stream)).await?;
            let sent = self.send(events, &mut tracking, &mut counts).await;
            let unanswered = tracking.waiting().map(Vec::len).sum();
            sent.with_context(|| {
                format!(
                    "{} acknowledged, {} more sent without an answer: these may or may not be kept, an event_id \
                     makes it safe to send them again",
                    words::several(counts.acknowledged() as usize, "event"),
                    words::count(unanswered),
                )
            })
        });
        sent?;
        super::print(&format!("{counts}\n")).context("cannot write to standard output")?;
        counts.verdict()
    }

    async fn send(
        &self,
        mut events: mpsc::Receiver<Result<Found, InputError>>,
        tracking: &mut Tracking<'_>,
        counts: &mut Counts,
    ) -> anyhow::Result<()> {
        let batch = self.batch as usize;
        let mut read = Vec::with_capacity(batch);
        let mut pending = VecDeque::new();
        loop {
            while tracking.has_room() && !pending.is_empty() {
                let (events, places) = message(&mut pending);
                tracking.ask(v1::TrackRequest { events }, places);
            }
            if tracking.is_done() {
                return Ok(());
            }
            tokio::select! {
                // Whatever is there goes out at once: an event that somebody types is not kept waiting for others.
                count = events.recv_many(&mut read, batch), if pending.is_empty() && tracking.has_room() => {
                    if count == 0 {
                        tracking.finish();
                    }
                    for found in read.drain(..) {
                        match found {
                            Ok(found) => pending.push_back(found),
                            Err(error) => counts.unreadable(&error),
                        }
                    }
                }
                answer = tracking.answer(), if tracking.is_waiting() => {
                    let (places, response) = answer?;
                    counts.add(&places, &response);
                }
            }
        }
    }
}

/// Reads all inputs to their ends.
fn read(inputs: Vec<Objects>, found: &mpsc::Sender<Result<Found, InputError>>) {
    for object in inputs.into_iter().flatten() {
        let events = match object.and_then(|object| events(&object)) {
            Ok(events) => events,
            Err(error) => {
                // Nobody listens any more when the service has failed.
                let _ = found.blocking_send(Err(error));
                continue;
            }
        };
        for event in events {
            if found.blocking_send(Ok(event)).is_err() {
                return;
            }
        }
    }
}

/// The events of an object: one, or those of a TrackRequest.
fn events(object: &Object) -> Result<Vec<Found>, InputError> {
    #[derive(serde::Deserialize)]
    struct Several {
        #[serde(rename = "events")]
        _events: IgnoredAny,
    }
    let at = &object.at;
    if !object.text.contains("\"events\"") || serde_json::from_str::<Several>(&object.text).is_err() {
        return Ok(vec![Found { spot: Spot { at: at.clone(), index: None }, event: object.read()? }]);
    }
    let request: v1::TrackRequest = object.read()?;
    let events = request.events.into_iter().enumerate();
    Ok(events.map(|(index, event)| Found { spot: Spot { at: at.clone(), index: Some(index) }, event }).collect())
}

/// The first of the events that are to be sent, as many as one message takes, and where they stand.
fn message(pending: &mut VecDeque<Found>) -> (Vec<v1::Event>, Vec<Spot>) {
    let (mut events, mut spots, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some(found) = pending.pop_front() {
        bytes += found.event.encoded_len();
        if bytes > MESSAGE_BYTES_MAX && !events.is_empty() {
            pending.push_front(found);
            break;
        }
        events.push(found.event);
        spots.push(found.spot);
    }
    (events, spots)
}

impl Counts {
    fn add(&mut self, spots: &[Spot], response: &v1::TrackResponse) {
        self.accepted += u64::from(response.accepted);
        self.duplicate += u64::from(response.duplicate);
        self.rejected += u64::from(response.rejected);
        for result in &response.results {
            let (Some(rejection), Some(spot)) = (&result.rejection, spots.get(result.index as usize)) else { continue };
            complain(&format!("{spot}: {}: {}", rejection.code, rejection.message));
        }
    }

    fn unreadable(&mut self, error: &InputError) {
        self.unreadable += 1;
        if self.unreadable <= UNREADABLE_SHOWN {
            complain(&error.to_string());
        }
        if self.unreadable == UNREADABLE_SHOWN {
            complain("what else cannot be read is only counted: are these events as JSON, one object a line?");
        }
    }

    fn acknowledged(&self) -> u64 {
        self.accepted + self.duplicate + self.rejected
    }

    /// # Errors
    /// When something was refused or not readable.
    fn verdict(&self) -> anyhow::Result<()> {
        match (self.rejected, self.unreadable) {
            (0, 0) => Ok(()),
            (_, 0) => bail!("not every event was accepted"),
            _ => bail!("not everything could be read"),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { accepted, duplicate, rejected, unreadable } = self;
        write!(out, "{accepted} accepted, {duplicate} duplicate, {rejected} rejected, {unreadable} unreadable")
    }
}

/// A line on standard error. Nobody has to read it.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

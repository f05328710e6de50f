//! `inkling score`: asks the service for multipliers.

use std::io::{self, IsTerminal, Write};
use std::thread;

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::mpsc;

use super::exchange::{self, Exchange};
use super::input::{self, InputError, Objects};
use super::remote::Remote;
use super::{json, signals, words};
use crate::pb::v1;
use crate::pb::v1::signal_service_client::SignalServiceClient;

/// Requests that are read and not asked yet.
const READ_AHEAD_MAX: usize = 64;
/// Reasons of each signal where a person reads them and has not said how many.
const REASONS_SHOWN: u32 = 3;

/// Asks a running service for bid multipliers
///
/// A request is a JSON object as grpcurl takes it (a ScoreRequest), such as
///   {"opportunity_id": "o-1", "users": ["u-81"], "targets": [{"advertiser": "acme"}]}
/// or, from standard input and files, one object a line: answers come in the order of the requests. For a single target
/// it can be put together from options instead: --advertiser acme --user u-81.
///
/// The exit code is 1 if a request or a target was refused, or a line could not be read: reading ends there, so that
/// every answer stands on the line of its request.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Score {
    /// A request, a file of requests, or - for standard input, which is read as well where nothing is given
    #[arg(value_name = "JSON|FILE", conflicts_with = "advertiser")]
    input: Option<String>,
    /// Reasons of each signal, where the request does not say: 0 to 64 [default: 3 in tables, none in JSON]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64))]
    reasons: Option<u32>,
    /// Reasons in words too; tables always have them
    #[arg(long)]
    words: bool,
    /// Print one JSON object a line (ScoreResponse); the default unless a person reads it
    #[arg(long, conflicts_with = "table")]
    json: bool,
    /// Print for people; the default on a terminal
    #[arg(long)]
    table: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    ask: Ask,
}

/// A request put together from options.
#[derive(Debug, Args)]
#[command(next_help_heading = "A request without JSON")]
struct Ask {
    /// For whom
    #[arg(long, value_name = "NAME")]
    advertiser: Option<String>,
    /// Who is asked about; several ids of one person are possible. Without any, nobody is known
    #[arg(long, value_name = "ID", requires = "advertiser")]
    user: Vec<String>,
    /// Which goals, instead of the campaign's or all
    #[arg(long, value_name = "NAME", requires = "advertiser")]
    goal: Vec<String>,
    /// Of which campaign
    #[arg(long, value_name = "NAME", requires = "advertiser")]
    campaign: Option<String>,
    /// Advertised product
    #[arg(long, value_name = "ID", requires = "advertiser")]
    item: Option<String>,
    /// Advertised category
    #[arg(long, value_name = "NAME", requires = "advertiser")]
    category: Option<String>,
    /// A fact of the request that is a word, such as device_type=phone
    #[arg(long, value_name = "NAME=VALUE", requires = "advertiser", value_parser = context)]
    context: Vec<v1::ContextEntry>,
    /// A fact of the request that is a number, such as price=20
    #[arg(long, value_name = "NAME=NUMBER", requires = "advertiser", value_parser = number)]
    number: Vec<v1::NumberEntry>,
    /// An external segment the user is in
    #[arg(long, value_name = "PROVIDER/ID", requires = "advertiser")]
    segment: Vec<String>,
    /// Id of the opportunity. Without one the answer has no token: nothing can be reported back
    #[arg(long, value_name = "ID", requires = "advertiser")]
    opportunity: Option<String>,
}

fn pair(text: &str) -> Result<(String, &str), String> {
    let parts = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    let (name, value) = parts.ok_or("must be a name, = and a value")?;
    Ok((name.to_owned(), value))
}

fn context(text: &str) -> Result<v1::ContextEntry, String> {
    let (name, value) = pair(text)?;
    Ok(v1::ContextEntry { name, value: value.to_owned() })
}

fn number(text: &str) -> Result<v1::NumberEntry, String> {
    let (name, value) = pair(text)?;
    let value: f64 = value.parse().map_err(|_| format!("'{value}' is no number"))?;
    Ok(v1::NumberEntry { name, value })
}

impl Ask {
    /// The request, if there is one.
    fn request(self) -> Option<v1::ScoreRequest> {
        let target = v1::Target {
            advertiser: self.advertiser?,
            campaign: self.campaign.unwrap_or_default(),
            item: self.item.unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            goals: self.goal,
            ..v1::Target::default()
        };
        Some(v1::ScoreRequest {
            // The same id is the same opportunity: without a name of its own, its impression must not be reported.
            tokens_max: self.opportunity.is_none().then_some(0),
            opportunity_id: self.opportunity.unwrap_or_else(|| "inkling-score".to_owned()),
            users: self.user,
            context: self.context,
            numbers: self.number,
            segments: self.segment,
            targets: vec![target],
            ..v1::ScoreRequest::default()
        })
    }
}

/// How answers are asked for and shown.
#[derive(Debug, Clone, Copy)]
struct Manner {
    reasons: u32,
    words: bool,
    json: bool,
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Counts {
    answered: u64,
    refused: u64,
}

impl Score {
    /// Asks and prints.
    ///
    /// # Errors
    /// When the service fails, when something was refused, or a request could not be read.
    pub fn run(self) -> anyhow::Result<()> {
        let json = self.json || !(self.table || io::stdout().is_terminal());
        let reasons = self.reasons.unwrap_or(if json { 0 } else { REASONS_SHOWN });
        let manner = Manner { reasons, words: self.words || !json, json };
        let mut counts = Counts::default();
        let remote = &self.remote;
        let request = match &self.input {
            Some(text) if input::is_json(text) => Some(input::only(text)?),
            _ => self.ask.request(),
        };
        let done = match request {
            Some(request) => remote.talk(one(remote, request, manner, &mut counts)),
            None => {
                let inputs = input::sources(self.input.as_slice())?;
                if inputs.is_empty() {
                    super::wrong_usage(
                        "score",
                        "nothing to score: give --advertiser, a request as JSON, a file, or pipe requests in",
                    );
                }
                remote.talk(many(remote, inputs, manner, &mut counts))
            }
        };
        match done {
            // Whoever reads the answers has seen enough.
            Err(error) if is_broken_pipe(&error) => return Ok(()),
            done => done?,
        }
        match counts.refused {
            0 => Ok(()),
            refused => bail!("{refused} of {} refused", words::several(counts.answered as usize, "request")),
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(is_broken)
}

impl Manner {
    /// Asks for reasons where the request itself does not.
    fn applied(self, request: v1::ScoreRequest) -> v1::ScoreRequest {
        let reasons_max = if request.reasons_max == 0 { self.reasons } else { request.reasons_max };
        v1::ScoreRequest { reasons_max, words: request.words || self.words, ..request }
    }

    /// Prints an answer at once: the next may be long in coming.
    fn show(self, asked: &v1::ScoreRequest, answer: &v1::ScoreResponse, counts: &mut Counts) -> io::Result<()> {
        counts.answered += 1;
        let refused = answer.rejection.is_some() || answer.results.iter().any(|result| result.rejection.is_some());
        counts.refused += u64::from(refused);
        let text = if self.json { json::write(answer) + "\n" } else { signals::block(asked, answer) };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    }
}

/// Asks for one answer.
async fn one(remote: &Remote, request: v1::ScoreRequest, manner: Manner, counts: &mut Counts) -> anyhow::Result<()> {
    let asked = manner.applied(request);
    let mut client = SignalServiceClient::new(remote.connect().await?);
    let answer = remote.answer(client.score(asked.clone())).await?.into_inner();
    Ok(manner.show(&asked, &answer, counts)?)
}

/// Asks for an answer to each request of the inputs, up to the first that cannot be read.
async fn many(remote: &Remote, inputs: Vec<Objects>, manner: Manner, counts: &mut Counts) -> anyhow::Result<()> {
    let mut client = SignalServiceClient::new(remote.connect().await?);
    let (found, mut requests) = mpsc::channel(READ_AHEAD_MAX);
    // Reading blocks, and nobody waits for this thread: it ends with its input or with the program.
    thread::spawn(move || read(inputs, &found));
    let mut scoring = Exchange::open(remote, exchange::AHEAD, |stream| client.score_stream(stream)).await?;
    let mut unreadable = None;
    while !scoring.is_done() {
        tokio::select! {
            request = requests.recv(), if scoring.has_room() => match request {
                Some(Ok(request)) => {
                    let asked = manner.applied(request);
                    scoring.ask(asked.clone(), asked);
                }
                Some(Err(error)) => {
                    unreadable = Some(error);
                    scoring.finish();
                }
                None => scoring.finish(),
            },
            answer = scoring.answer(), if scoring.is_waiting() => {
                let (asked, answer) = answer
                    .with_context(|| format!("no more after {}", words::several(counts.answered as usize, "answer")))?;
                manner.show(&asked, &answer, counts)?;
            }
        }
    }
    unreadable.map_or(Ok(()), |error| Err(error.into()))
}

/// Reads all inputs, up to the first object that is no request.
fn read(inputs: Vec<Objects>, found: &mpsc::Sender<Result<v1::ScoreRequest, InputError>>) {
    for object in inputs.into_iter().flatten() {
        let request = object.and_then(|object| object.read());
        let failed = request.is_err();
        if found.blocking_send(request).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        score: Score,
    }

    fn request(line: &str) -> Option<v1::ScoreRequest> {
        Line::try_parse_from(line.split(' ')).expect(line).score.ask.request()
    }

    #[test]
    fn options_make_a_request() {
        let line = "score --advertiser acme --user u1 --user u2 --goal purchase --item sku-7 \
                    --context device_type=phone --context site=a=b --number price=-1.5 --segment p/1 --opportunity o1";
        let text = concat!(
            r#"{"opportunityId":"o1","users":["u1","u2"],"context":[{"name":"device_type","value":"phone"},"#,
            r#"{"name":"site","value":"a=b"}],"numbers":[{"name":"price","value":-1.5}],"segments":["p/1"],"#,
            r#""targets":[{"advertiser":"acme","item":"sku-7","goals":["purchase"]}]}"#
        );
        assert_eq!(json::write(&request(line).expect("a request")), text);
        let nameless = request("score --advertiser acme").expect("a request");
        assert_eq!((nameless.tokens_max, nameless.users.len()), (Some(0), 0));
        assert_eq!(request("score -"), None);
        for wrong in ["score --user u", "score {} --advertiser a", "score --advertiser a --number price=x"] {
            assert!(Line::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_request_says_about_reasons_stands() {
        let manner = Manner { reasons: 3, words: true, json: false };
        let asked = |reasons_max| manner.applied(v1::ScoreRequest { reasons_max, ..Default::default() });
        assert_eq!((asked(0).reasons_max, asked(7).reasons_max, asked(7).words), (3, 7, true));
    }
}

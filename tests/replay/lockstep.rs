//! The service, fed a log over TrackStream and ScoreStream in step, answers what the replay of that log computes: the
//! same probabilities to the bit.

use std::path::Path;

use inkling::config::{Clock, Config};
use inkling::demo::client::Client;
use inkling::demo::journey;
use inkling::replay::{self, BadLines, Watcher};
use inkling::settings::Settings;
use inkling::units::Span;

use crate::harness::Service;
use crate::log::{Log, shoppers};

pub struct Unwatched;

impl Watcher for Unwatched {
    fn read(&mut self, _: u64) {}
    fn bad_line(&mut self, error: &inkling::journey::JourneyError) {
        panic!("{error}");
    }
}

async fn answered(log: &Path, settings: Settings) -> Vec<f64> {
    let mut config = Config::from_settings(settings);
    config.server.clock = Clock::Events;
    let service = Service::start_with(config).await;
    let mut client = Client::connect(service.grpc()).await.unwrap();
    let mut answers = Vec::new();
    let lines = journey::play(log, &mut client, |answer| answers.push(answer.signals[0].p_conversion)).await.unwrap();
    assert_eq!((lines.bad, lines.lost, client.traffic.rejected), (0, 0, 0), "{:?}", client.traffic.refusals);
    drop(client);
    service.stop().await;
    answers
}

/// Compares both over one log; how many probabilities there were.
async fn compare(log: &Path, window: Span) -> usize {
    let paths = [log.to_owned()];
    let settings = replay::discover(&paths, window, BadLines::Refused, &mut Unwatched).unwrap();
    let answers = answered(log, settings.clone()).await;
    let (played, _) = replay::play(&paths, settings, None, BadLines::Refused, &mut Unwatched).unwrap();
    assert_eq!(played.predictions.len(), answers.len());
    for (prediction, answer) in played.predictions.iter().zip(&answers) {
        assert_eq!(prediction.p.to_bits(), answer.to_bits(), "line {}", prediction.line);
    }
    // What the replay finds out about labels by itself is what the engine has learned.
    let positives = played.predictions.iter().filter(|one| one.outcome.label() == Some(true)).count() as u64;
    assert_eq!(played.engine.tally().positives, positives);
    answers.len()
}

#[tokio::test]
async fn service_and_replay_give_the_same_probabilities_to_the_bit() {
    let log = Log::of(shoppers(700, 5));
    let compared = compare(&log.path, Span::hours(1)).await;
    assert!(compared > 1_000, "{compared}");
}

/// The same for a log of one's own: `INKLING_JOURNEY=ga4.ndjson.gz INKLING_WINDOW=1h cargo test --test replay own_log`.
#[tokio::test]
async fn service_and_replay_agree_on_an_own_log() {
    let Ok(log) = std::env::var("INKLING_JOURNEY") else {
        println!("skipped: INKLING_JOURNEY names no journey log");
        return;
    };
    let window = std::env::var("INKLING_WINDOW").unwrap_or_else(|_| "1d".to_owned());
    let compared = compare(Path::new(&log), Span::parse(&window).unwrap()).await;
    println!("{log}: {compared} probabilities are the same to the bit");
    assert!(compared > 0);
}

//! `kill -9` at any moment of a service under load: nothing that was acknowledged is lost, nothing is applied twice.
//!
//! A few senders track events over gRPC, each event with an id of its own, and note what was acknowledged. The service
//! is killed, started again on the same directory, and the senders go on with the first message that was not
//! acknowledged: the service may have kept it or not. After some kills the journal is read from its first frame, and
//! each event id must have been applied exactly once if its message was acknowledged, at most once if it was not.
//!
//! `INKLING_KILLS` says how many kills (10), each tenth of them in a fresh directory; `INKLING_BINARY` which program.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

mod service;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inkling::engine::{Applied, Digest, Engine};
use inkling::event::Event;
use inkling::ids::Seq;
use inkling::pb::v1 as pb;
use inkling::record::decode_frame;
use inkling::storage::Directory;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use service::{Running, binary};

/// Kills on one directory.
const KILLS_A_DIRECTORY: u64 = 10;
const SENDERS: u64 = 4;
/// Events of one message.
const EVENTS: u64 = 20;
/// Messages that a sender has underway.
const AHEAD: u64 = 8;

/// How far each sender has come.
#[derive(Default)]
struct Progress {
    /// Messages acknowledged, by sender.
    acknowledged: [AtomicU64; SENDERS as usize],
    /// Messages sent, by sender.
    sent: [AtomicU64; SENDERS as usize],
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_applied_twice() {
    torment_all("", 1..150);
}

/// The same with a snapshot every tenth of a second, of which so many are kept that the journal stays whole: each
/// state that came out of a snapshot and the journal behind it is compared with that of the journal alone.
#[test]
fn nothing_is_lost_with_snapshots_either() {
    torment_all("snapshot_interval = \"100ms\"\nsnapshots_kept = 100\n", 1..700);
}

fn torment_all(storage: &str, pause_ms: std::ops::Range<u64>) {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (kills, seed) = (number("INKLING_KILLS", 10), number("INKLING_SEED", 1));
    println!("seed {seed}, {kills} kills");
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut done, mut events, mut resent) = (0, 0, 0);
    while done < kills {
        let round = KILLS_A_DIRECTORY.min(kills - done);
        let data = tempfile::tempdir().unwrap();
        let (kept, twice) = torment(data.path(), round, &mut dice, (storage, pause_ms.clone()));
        done += round;
        events += kept;
        resent += twice;
        println!("{done} kills: {events} events acknowledged and kept, {resent} sent again and known");
    }
    assert!(events > 0, "nothing was ever acknowledged");
}

/// Kills a service on a directory so many times; how many events were acknowledged, and how many of those applied were
/// sent again after a kill.
fn torment(
    data: &Path,
    kills: u64,
    dice: &mut StdRng,
    (storage, pause_ms): (&str, std::ops::Range<u64>),
) -> (u64, u64) {
    let progress = Arc::new(Progress::default());
    let states: Arc<Mutex<Vec<(Seq, String)>>> = Arc::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for _ in 0..kills {
        let running = Running::start(data, storage);
        // As it came out of the journal, and before anything is sent.
        states.lock().unwrap().push(runtime.block_on(running.state()));
        let senders: Vec<_> =
            (0..SENDERS).map(|sender| runtime.spawn(send(running.address(), sender, Arc::clone(&progress)))).collect();
        std::thread::sleep(Duration::from_millis(dice.random_range(pause_ms.clone())));
        running.kill();
        senders.into_iter().for_each(|sender| runtime.block_on(sender).unwrap());
    }
    if !storage.is_empty() {
        let taken = Directory::open(data).unwrap().shelf().list().unwrap();
        assert!(!taken.is_empty(), "no snapshot was ever taken");
    }
    check(data, &progress, &states.lock().unwrap())
}

/// Sends messages, some at a time, from the first that is not acknowledged on, until the service is gone.
async fn send(address: String, sender: u64, progress: Arc<Progress>) {
    let Ok(mut client) = pb::event_service_client::EventServiceClient::connect(address).await else { return };
    let place = sender as usize;
    let first = progress.acknowledged[place].load(Ordering::SeqCst);
    let (messages, receiver) = tokio::sync::mpsc::channel(AHEAD as usize);
    let sent = Arc::clone(&progress);
    let writing = tokio::spawn(async move {
        for number in first.. {
            // Told before it is on its way: what was never told was never sent.
            sent.sent[place].fetch_max(number + 1, Ordering::SeqCst);
            if messages.send(message(sender, number)).await.is_err() {
                return;
            }
        }
    });
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    if let Ok(answers) = client.track_stream(stream).await {
        let mut answers = answers.into_inner();
        while let Ok(Some(answer)) = answers.message().await {
            assert_eq!(u64::from(answer.accepted + answer.duplicate), EVENTS, "{answer:?}");
            progress.acknowledged[place].fetch_add(1, Ordering::SeqCst);
        }
    }
    writing.abort();
}

fn message(sender: u64, number: u64) -> pb::TrackRequest {
    let event = |place| {
        let (user, advertiser, action) =
            (format!("u{}", (number * 7 + place) % 500), "acme".into(), "view_item".into());
        let action = pb::Action { user, advertiser, action, ..Default::default() };
        pb::Event {
            event_id: name(sender, number, place),
            body: Some(pb::event::Body::Action(action)),
            ..Default::default()
        }
    };
    pb::TrackRequest { events: (0..EVENTS).map(event).collect() }
}

fn name(sender: u64, number: u64, place: u64) -> String {
    format!("{sender}-{number}-{place}")
}

/// Reads the journal from its first frame: what was applied, and whether state was ever another than what the journal
/// makes of it.
fn check(data: &Path, progress: &Progress, states: &[(Seq, String)]) -> (u64, u64) {
    let verified = Command::new(binary()).arg("verify").arg(data).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let directory = Directory::open(data).unwrap();
    let mut reader = directory.reader(Seq(0)).unwrap();
    let (mut engine, mut applied, mut repeated) = (Engine::new(), HashMap::<String, u64>::new(), 0);
    let shown = |Digest(digest): Digest| format!("{digest:032x}");
    let mut states = states.iter().peekable();
    while states.next_if(|(seq, _)| *seq == Seq(0)).is_some() {}
    while let Some((seq, frame)) = reader.next_frame().unwrap() {
        for record in decode_frame(&frame).unwrap() {
            let outcome = engine.apply(&record);
            let (Some(id), Event::Action(_)) = (&record.event_id, &record.event) else { continue };
            match outcome {
                Applied::Done => *applied.entry(id.id().as_str().to_owned()).or_default() += 1,
                Applied::Duplicate => repeated += 1,
                Applied::Rejected(rejection) => panic!("{}: {rejection}", id.id()),
            }
        }
        while let Some((_, digest)) = states.next_if(|(told, _)| *told == seq) {
            assert_eq!(*digest, shown(engine.digest()), "the state at frame {}", seq.0);
        }
    }
    assert_eq!(states.next(), None, "every state that was told is that of a frame");
    let mut acknowledged = 0;
    for sender in 0..SENDERS {
        let load = |counts: &[AtomicU64]| counts[sender as usize].load(Ordering::SeqCst);
        let (known, sent) = (load(&progress.acknowledged), load(&progress.sent));
        for number in 0..sent {
            for place in 0..EVENTS {
                let times = applied.remove(&name(sender, number, place)).unwrap_or(0);
                let must = number < known;
                assert!(times <= 1, "{} was applied {times} times", name(sender, number, place));
                assert!(times == 1 || !must, "{} was acknowledged and is lost", name(sender, number, place));
                acknowledged += u64::from(must);
            }
        }
    }
    assert!(applied.is_empty(), "nobody sent {applied:?}");
    (acknowledged, repeated)
}

//! Who is forgotten leaves the disk within the stated time, and snapshots take nothing else with them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod harness;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness::{Service, action, impression, purchase, score_request, settings, target};
use inkling::config::{Clock, Config};
use inkling::identity::Identity;
use inkling::ids::{Id, Seq, UserKey};
use inkling::journal::Options;
use inkling::pb::v1 as pb;
use inkling::record::decode_frame;
use inkling::settings::Advertiser;
use inkling::snapshot::load;
use inkling::storage::{Directory, Ground, recover};
use inkling::units::Span;

const START_MS: u64 = 1_700_000_000_000;
const INTERVAL: Duration = Duration::from_millis(100);
const KEPT: usize = 2;

fn config() -> Config {
    let mut config = Config::from_settings(settings());
    config.server.clock = Clock::Events;
    config.settings.learner.table_bits = 10;
    config.settings.retention.token = Span::hours(1);
    config
}

fn at(mut event: pb::Event, seconds: u64) -> pb::Event {
    event.occurred_at_ms = START_MS + 1_000 * seconds;
    event
}

/// Where the key of a user stands in a directory: in the raw bytes of any file, in a decoded frame of the journal, or
/// in an unpacked entry of a snapshot. Nobody may work there meanwhile.
fn traces(data: &Path, user: UserKey) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(8).any(|window| window == user.0.to_le_bytes());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if holds(&std::fs::read(&path).unwrap()) {
            found.push(format!("bytes of {}", path.file_name().unwrap().display()));
        }
    }
    let directory = Directory::open(data).unwrap();
    let first = directory.journal_files().unwrap()[0];
    let mut reader = directory.reader(Seq(first.0 - 1)).unwrap();
    while let Some((seq, frame)) = reader.next_frame().unwrap() {
        for record in decode_frame(&frame).unwrap() {
            if format!("{record:?}").contains(&format!("{user:?}")) {
                found.push(format!("frame {}", seq.0));
            }
        }
    }
    for seq in directory.shelf().list().unwrap() {
        let snapshot = load(&directory.shelf().path(seq), directory.identity().fingerprint(), 1).unwrap();
        snapshot.engine.image(&mut |entry| {
            if entry.number == user.0 || holds(entry.bytes) {
                found.push(format!("{:?} of snapshot {}", entry.kind, seq.0));
            }
        });
    }
    found
}

/// A conversion that names a token, and where it is not empty an advertiser.
fn bought(token: &str, advertiser: &str) -> pb::Event {
    let by = Some(pb::conversion::By::Token(token.into()));
    let (advertiser, goal) = (advertiser.into(), "purchase".into());
    harness::event(pb::event::Body::Conversion(pb::Conversion { by, advertiser, goal, ..Default::default() }))
}

/// Lets so many snapshots be taken, with events of others in between.
async fn let_snapshots_pass(service: &Service, count: u64, seconds: &mut u64) {
    let written = || service.counter("inkling_snapshots_written_total", "");
    let until = written().await + count;
    while written().await < until {
        *seconds += 1;
        service.track(vec![at(action("somebody else", "view_item"), *seconds)]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_is_forgotten_leaves_journal_and_snapshots() {
    let data = tempfile::tempdir().unwrap();
    let alice = Identity::new([0; 32]).user_key("alice");
    // Until it stops it takes no snapshot, so that the journal is whole.
    let service = Service::start_snapshotting(config(), data.path(), Duration::from_secs(3_600), KEPT).await;
    service.track(vec![at(action("alice", "view_item"), 0), at(action("bob", "view_item"), 0)]).await;
    let request = pb::ScoreRequest { at_ms: START_MS, ..score_request("o1", "alice", vec![target("acme")]) };
    let scored = service.score(request).await;
    service.track(vec![at(impression(&scored.results[0].token), 1), at(purchase("alice"), 5)]).await;
    service.stop().await;
    let before = traces(data.path(), alice);
    for place in ["bytes of journal-", "frame ", "Impression of snapshot", "Conversion of snapshot"] {
        assert!(before.iter().any(|trace| trace.starts_with(place)), "this test would find nothing: {before:?}");
    }

    let service = Service::start_snapshotting(config(), data.path(), INTERVAL, KEPT).await;
    assert!(service.explain("alice").await.user.is_some(), "a restart forgets nobody");
    service.admin().forget(pb::ForgetRequest { user: "alice".into() }).await.unwrap();
    assert!(service.explain("alice").await.user.is_none(), "forgotten at once");
    // Tokens of before bring nobody back, by whatever notice.
    let token = &scored.results[0].token;
    let bought = bought(token, "");
    let taken = service.track(vec![at(impression(token), 6), at(bought, 7)]).await;
    assert_eq!(taken.accepted, 2, "as notices of nobody: {taken:?}");
    assert!(service.explain("alice").await.user.is_none(), "a token of before is nobody's");
    // Tokens that were sealed before are refused for as long as tokens are accepted: so long the key is remembered.
    let mut seconds = 3_600;
    let_snapshots_pass(&service, 1 + KEPT as u64 + 1, &mut seconds).await;
    assert!(service.explain("bob").await.user.is_some());
    service.stop().await;
    assert_eq!(traces(data.path(), alice), Vec::<String>::new());
    assert!(!traces(data.path(), Identity::new([0; 32]).user_key("somebody else")).is_empty(), "others are there");
}

/// What is kept from the forgotten is true of everybody else: a token says whose conversion it is and of whom, also of
/// an impression that nobody has told of yet.
#[tokio::test]
async fn a_conversion_by_token_is_its_persons_and_its_advertisers() {
    let mut config = config();
    config.settings.advertisers.push(Advertiser::new(Id::literal("other")));
    let service = Service::start_with(config).await;
    service.track(vec![at(action("alice", "view_item"), 0)]).await;
    let request = pb::ScoreRequest { at_ms: START_MS, ..score_request("o1", "alice", vec![target("acme")]) };
    let token = service.score(request).await.results[0].token.clone();
    let refused = service.track(vec![at(bought(&token, "other"), 4)]).await;
    assert_eq!(refused.results[0].rejection.as_ref().unwrap().code, "invalid", "{refused:?}");
    assert_eq!(service.explain("alice").await.user.unwrap().conversions, 0);
    assert_eq!(service.track(vec![at(bought(&token, ""), 5)]).await.accepted, 1);
    assert_eq!(service.explain("alice").await.user.unwrap().conversions, 1);
    assert_eq!(service.track(vec![at(bought(&token, "acme"), 6)]).await.accepted, 1);
    assert_eq!(service.explain("alice").await.user.unwrap().conversions, 2);
    service.stop().await;
}

/// The journal goes back to what the oldest kept snapshot covers, so that one that is ruined costs nothing.
#[tokio::test]
async fn the_journal_still_has_what_an_older_snapshot_needs() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start_snapshotting(config(), data.path(), INTERVAL, KEPT).await;
    let mut seconds = 0;
    let_snapshots_pass(&service, 4, &mut seconds).await;
    service.track(vec![at(action("bob", "view_item"), seconds + 1)]).await;
    let before = service.admin().get_state(pb::GetStateRequest { digest: true }).await.unwrap().into_inner();
    service.stop().await;

    let directory = Directory::open(data.path()).unwrap();
    let [older, newest] = directory.shelf().list().unwrap()[..] else { panic!("{KEPT} are kept") };
    assert!(directory.journal_files().unwrap()[0] > Seq(1), "nothing was let go of");
    std::fs::write(directory.shelf().path(newest), "ruined").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let tell = Arc::new(move |what: &str| tell.send(what.to_owned()).unwrap_or_default());
    let ground = Ground::stored(&directory, Options::default(), Box::new(|_, _| {}), tell).unwrap();
    let Ground { mut engine, after, mut journal, .. } = ground;
    assert_eq!(after, older);
    let (last, mut place) = (journal.stored_last(), after);
    let next = || {
        let next = if place == last { None } else { journal.next()? };
        place = next.as_ref().map_or(place, |(seq, _)| *seq);
        Ok(next)
    };
    let recovered = recover(&mut engine, after, next, |_| {}).unwrap();
    assert_eq!((recovered.seq.0, engine.digest().to_string()), (before.seq, before.digest));
    let told: Vec<String> = told.try_iter().collect();
    assert!(told.len() == 1 && told[0].contains("is damaged at byte 0"), "{told:?}");
}

/// An operator's restart: a drained service goes on from its last snapshot, a copy from the same, and both say what the
/// journal says.
#[tokio::test]
async fn a_restart_and_a_backup_go_on_where_the_service_was() {
    let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let service = Service::start_snapshotting(config(), data.path(), Duration::from_secs(3_600), 1).await;
    for user in 0..200 {
        service.track(vec![at(action(&format!("u{user}"), "view_item"), user)]).await;
    }
    let state = |service: &Service| {
        let mut admin = service.admin();
        async move { admin.get_state(pb::GetStateRequest { digest: true }).await.unwrap().into_inner() }
    };
    let before = state(&service).await;
    service.stop().await;
    inkling::storage::back_up(data.path(), copy.path()).unwrap();
    for place in [data.path(), copy.path()] {
        let directory = Directory::open(place).unwrap();
        let taken = directory.shelf().list().unwrap();
        let snapshot = load(&directory.shelf().path(taken[0]), directory.identity().fingerprint(), 2).unwrap();
        assert_eq!((taken.len(), taken[0].0), (1, before.seq), "one of all that was");
        assert_eq!((snapshot.digest.to_string(), snapshot.engine.digest()), (before.digest.clone(), snapshot.digest));
        drop(directory);
        let service = Service::start_snapshotting(config(), place, Duration::from_secs(3_600), 1).await;
        let after = state(&service).await;
        assert_eq!((after.seq, after.digest), (before.seq, before.digest.clone()), "nothing but time has passed");
        assert!(service.explain("u7").await.user.is_some());
        service.stop().await;
    }
}

//! A service that stops and starts again on its data directory.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

mod harness;

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::{Service, action, impression, purchase, score_request, settings, target};
use inkling::config::Config;
use inkling::engine::Engine;
use inkling::ids::Seq;
use inkling::journey::JourneyWriter;
use inkling::math;
use inkling::pb::v1 as pb;
use inkling::settings::EXPLORATION_MAX;
use inkling::storage::{Directory, Selection, export};
use inkling::units::{TIMESTAMP_MAX, Timestamp};

async fn state(service: &Service) -> (u64, String) {
    let state = service.admin().get_state(pb::GetStateRequest { digest: true }).await.unwrap().into_inner();
    (state.seq, state.digest)
}

/// On the events' clock: nothing happens between stop and start.
fn config() -> Config {
    let mut config = Config::from_settings(settings());
    config.server.clock = inkling::config::Clock::Events;
    config
}

#[tokio::test]
async fn what_was_learned_and_what_is_under_way_outlive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start_in(config(), data.path()).await;
    let at = |mut event: pb::Event, ms: u64| {
        event.occurred_at_ms = 1_780_000_000_000 + ms;
        event
    };
    let events = (0..60).flat_map(|user| {
        let user = format!("u{user}");
        [at(action(&user, "view_item"), 0), at(action(&user, "add_to_cart"), 1)]
    });
    assert_eq!(service.track(events.collect()).await.accepted, 120);
    let asked = || pb::ScoreRequest { at_ms: 1_780_000_001_000, ..score_request("o1", "u1", vec![target("acme")]) };
    let before = service.score(asked()).await;
    let known = state(&service).await;
    service.stop().await;

    let service = Service::start_in(config(), data.path()).await;
    assert_eq!(state(&service).await, known, "the state is the one that was acknowledged, and nothing was added");
    let after = service.score(asked()).await;
    assert_eq!(after.results[0].signals, before.results[0].signals);
    // The token of before the restart, with the features of before the restart.
    let shown = at(impression(&before.results[0].token), 2_000);
    let response = service.track(vec![shown.clone(), at(purchase("u1"), 3_000)]).await;
    assert_eq!((response.accepted, response.rejected), (2, 0), "{response:?}");
    let learned = state(&service).await;
    service.stop().await;

    let mut config = config();
    config.settings.arms.control_share = 0.25;
    let service = Service::start_in(config, data.path()).await;
    let (seq, digest) = state(&service).await;
    assert!(seq == learned.0 + 1 && digest != learned.1, "changed settings are in the journal");
    let response = service.track(vec![shown]).await;
    assert_eq!(response.duplicate, 1, "a notice that was applied is known");
    service.stop().await;
}

/// Opportunities are dealt by their names: always the same ones are explored, whatever was learned meanwhile.
#[tokio::test]
async fn explored_multipliers_say_how_they_were_drawn_and_stay_known() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config();
    config.settings.arms.control_share = 0.0;
    config.settings.advertisers[0].goals[0].multiplier.exploration = EXPLORATION_MAX;
    let service = Service::start_in(config.clone(), data.path()).await;
    let viewed = |user| pb::Event { occurred_at_ms: 1_780_000_000_000, ..action(&format!("u{user}"), "view_item") };
    assert_eq!(service.track((0..40).map(viewed).collect()).await.accepted, 40);
    let ask = async |service: &Service, at_ms: u64| {
        let request = |number| score_request(&format!("o{number}"), &format!("u{}", number % 40), vec![target("acme")]);
        let requests = (0..1_000).map(|number| pb::ScoreRequest { at_ms, ..request(number) }).collect();
        let answer = service.signals().score_batch(pb::ScoreBatchRequest { requests }).await.unwrap();
        answer.into_inner().responses.into_iter().map(|mut one| one.results.remove(0)).collect::<Vec<_>>()
    };
    let explored = |results: &[pb::TargetResult]| {
        let is_explored = |place: &usize| results[*place].signals[0].explored.is_some();
        (0..results.len()).filter(is_explored).collect::<Vec<_>>()
    };
    let results = ask(&service, 1_780_000_001_000).await;
    let places = explored(&results);
    assert!((8..=35).contains(&places.len()), "{places:?}");
    for signal in places.iter().map(|place| &results[*place].signals[0]) {
        let told = signal.explored.unwrap();
        assert!(told.share == EXPLORATION_MAX && told.ln_multiplier_deviation > 0.0, "{told:?}");
        let off = (math::ln(signal.multiplier) - told.ln_multiplier_mean) / told.ln_multiplier_deviation;
        let is_cut = signal.multiplier == 0.3 || signal.multiplier == 3.0;
        assert!(is_cut || (off.abs() < 5.0 && off != 0.0), "{signal:?}");
    }
    let shown = (0..100).chain(places.iter().copied().filter(|place| *place >= 100));
    let shown: Vec<_> = shown
        .map(|place| pb::Event { occurred_at_ms: 1_780_000_002_000, ..impression(&results[place].token) })
        .collect();
    assert_eq!(service.track(shown.clone()).await.accepted, shown.len() as u32, "their tokens open");
    service.stop().await;

    let log = data.path().join("log.ndjson");
    let directory = Directory::open(data.path()).unwrap();
    let mut writer = JourneyWriter::create(&log).unwrap();
    let all = Selection { from: Timestamp(0), to: TIMESTAMP_MAX, advertiser: None };
    export(Engine::new(), || directory.reader(Seq(0)), &mut writer, &all).unwrap();
    writer.finish().unwrap();
    drop(directory);
    let (impressions, told): (Vec<String>, _) = std::fs::read_to_string(&log)
        .unwrap()
        .lines()
        .filter(|line| line.contains(r#""kind":"impression""#))
        .map(str::to_owned)
        .partition(|line| !line.contains(r#""explored":true"#));
    assert_eq!((told.len(), impressions.len()), (places.len(), shown.len() - places.len()), "the journal knows");

    let service = Service::start_in(config, data.path()).await;
    assert_eq!(explored(&ask(&service, 1_780_000_003_000).await), places);
    service.stop().await;
}

/// Both starts seal under the stored key, and a nonce that comes twice under one key would open both tokens.
#[tokio::test]
async fn tokens_of_before_and_after_a_restart_have_nonces_of_their_own() {
    let data = tempfile::tempdir().unwrap();
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let service = Service::start_in(config(), data.path()).await;
        let scored = service.score(score_request("o1", "u1", vec![target("acme"); 2])).await;
        let [one, other] = [0, 1].map(|place| URL_SAFE_NO_PAD.decode(&scored.results[place].token).unwrap());
        assert_eq!(one[..6], other[..6], "version, key and replica are those of one start");
        assert_ne!(one[6..14], other[6..14], "the counter counts");
        replicas.push((one[..2].to_vec(), one[2..6].to_vec()));
        service.stop().await;
    }
    assert_eq!(replicas[0].0, replicas[1].0, "version and key outlive a restart");
    assert_ne!(replicas[0].1, replicas[1].1, "the replica is drawn anew");
}

/// Runs `inkling rotate`; its exit code and all that it says.
fn rotate(data: &Path) -> (Option<i32>, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_inkling")).arg("rotate").arg(data).output().unwrap();
    (ran.status.code(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
}

/// Who leaves the former keys where they are loses no token that is out; who deletes them refuses those.
#[tokio::test]
async fn tokens_of_a_former_key_are_accepted_while_its_file_is_there() {
    let data = tempfile::tempdir().unwrap();
    let token = async |service: &Service, opportunity: &str| {
        let asked = score_request(opportunity, "u1", vec![target("acme")]);
        service.score(asked).await.results.remove(0).token
    };
    let key_id = |token: &str| URL_SAFE_NO_PAD.decode(token).unwrap()[1];
    let service = Service::start_in(Config::from_settings(settings()), data.path()).await;
    let [one, other] = [token(&service, "o1").await, token(&service, "o2").await];
    let (code, told) = rotate(data.path());
    assert!(code == Some(1) && told.contains("is in use by process"), "{told}");
    service.stop().await;

    let (code, told) = rotate(data.path());
    assert!(code == Some(0) && told.contains("still opens those of 1 former key"), "{told}");
    let service = Service::start_in(Config::from_settings(settings()), data.path()).await;
    let response = service.track(vec![impression(&one)]).await;
    assert_eq!((response.accepted, response.rejected), (1, 0), "{response:?}");
    let new = token(&service, "o3").await;
    assert_eq!(service.track(vec![impression(&new)]).await.accepted, 1);
    service.stop().await;

    std::fs::remove_file(data.path().join("token.key.1")).unwrap();
    let service = Service::start_in(Config::from_settings(settings()), data.path()).await;
    let response = service.track(vec![impression(&other)]).await;
    assert_eq!((response.accepted, response.rejected), (0, 1), "{response:?}");
    // Ids of keys are drawn, so two may be the same.
    let refusal = if key_id(&new) == key_id(&other) { "forged" } else { "foreign" };
    assert!(format!("{response:?}").to_lowercase().contains(refusal), "{response:?}");
    service.stop().await;
}

#[tokio::test]
async fn two_services_do_not_share_a_directory() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start_in(config(), data.path()).await;
    let refused = inkling::storage::Directory::open_or_make(data.path()).unwrap_err().to_string();
    assert!(refused.contains("is in use by process"), "{refused}");
    service.stop().await;
    inkling::storage::Directory::open_or_make(data.path()).unwrap();
}

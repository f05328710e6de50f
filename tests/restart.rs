//! A service that stops and starts again on its data directory.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

mod harness;

use harness::{Service, action, impression, purchase, score_request, settings, target};
use inkling::config::Config;
use inkling::pb::v1 as pb;

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

#[tokio::test]
async fn two_services_do_not_share_a_directory() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start_in(config(), data.path()).await;
    let refused = inkling::storage::Directory::open_or_make(data.path()).unwrap_err().to_string();
    assert!(refused.contains("is in use by process"), "{refused}");
    service.stop().await;
    inkling::storage::Directory::open_or_make(data.path()).unwrap();
}

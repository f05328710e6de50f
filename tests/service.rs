//! The service over real sockets: what a bidder's engineer meets.

mod harness;

use std::time::Duration;

use harness::{Service, action, event, impression, purchase, score_request, settings, target, token};
use inkling::config::Config;
use inkling::ids::Id;
use inkling::pb::v1 as pb;
use inkling::settings::{Campaign, Goal};
use tokio_stream::StreamExt;
use tonic::Code;

/// The code of what became of each event that was not accepted.
fn codes(response: &pb::TrackResponse) -> Vec<(u32, String)> {
    let code = |result: &pb::EventResult| result.rejection.as_ref().map_or("duplicate".into(), |r| r.code.clone());
    response.results.iter().map(|result| (result.index, code(result))).collect()
}

#[tokio::test]
async fn events_go_in_and_a_multiplier_with_reasons_comes_out() {
    let service = Service::start().await;
    let events = (0..40).flat_map(|user| {
        let user = format!("u{user}");
        [action(&user, "view_item"), action(&user, "add_to_cart")]
    });
    assert_eq!(service.track(events.collect()).await.accepted, 80);
    let request = pb::ScoreRequest { reasons_max: 64, words: true, ..score_request("o1", "u1", vec![target("acme")]) };
    let response = service.score(request).await;
    assert_eq!(response.rejection, None);
    let [result] = &response.results[..] else { panic!("one target, one result: {response:?}") };
    assert_eq!(result.rejection, None);
    assert!(!result.token.is_empty() && result.token.len() <= 400);
    let [signal] = &result.signals[..] else { panic!("one goal, one signal: {result:?}") };
    assert_eq!((signal.goal.as_str(), signal.stage.as_str()), ("purchase", "add_to_cart"));
    assert_eq!(signal.segments, ["cart_abandoners"]);
    assert!(signal.multiplier > 0.0 && signal.multiplier <= 10.0);
    assert!(0.0 < signal.p_low && signal.p_low <= signal.p_conversion && signal.p_conversion <= signal.p_high);
    assert_eq!(signal.readiness.unwrap().state(), pb::readiness::State::Ready);
    assert!(signal.reasons.iter().any(|reason| reason.code == "action:add_to_cart"), "{signal:?}");
    assert!(signal.reasons.iter().all(|reason| !reason.code.is_empty() && reason.words.contains('×')));
    assert!(
        signal.reasons.iter().any(|reason| reason.words.starts_with("added to cart just now, once: ×")),
        "{signal:?}"
    );
    assert!(response.model_version >= 2, "settings and events are in the journal: {}", response.model_version);
    service.stop().await;
}

#[tokio::test]
async fn what_was_won_and_what_converted_is_learned() {
    let service = Service::start().await;
    for number in 0..30 {
        let (user, opportunity) = (format!("u{number}"), format!("o{number}"));
        service.track(vec![action(&user, "view_item")]).await;
        let scored = service.score(score_request(&opportunity, &user, vec![target("acme")])).await;
        let shown = impression(&scored.results[0].token);
        let mut again = shown.clone();
        again.event_id = "another notice of the same impression".into();
        let response = service.track(vec![shown, again]).await;
        assert_eq!(codes(&response), [(1, "duplicate".into())]);
        // A conversion joins impressions shown before it, by at least a millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(service.track(vec![purchase(&user)]).await.accepted, 1);
    }
    let goal = pb::GetGoalRequest { advertiser: "acme".into(), goal: "purchase".into() };
    let report = service.insight().get_goal(goal).await.unwrap().into_inner();
    assert!((report.impressions - 30.0).abs() < 0.1 && (report.conversions - 30.0).abs() < 0.1, "{report:?}");
    assert!(report.rate.unwrap().mean > 0.05, "{report:?}");
    let segments = pb::GetSegmentsRequest { advertiser: "acme".into(), goal: "purchase".into() };
    let segments = service.insight().get_segments(segments).await.unwrap().into_inner().segments;
    assert_eq!(segments[0].segment, "", "everybody comes first");
    assert!(segments.iter().any(|one| one.segment == "recent_buyers" && one.words.contains("purchased")));
    let funnel = pb::GetFunnelRequest { advertiser: "acme".into() };
    let funnel = service.insight().get_funnel(funnel).await.unwrap().into_inner();
    let seen = funnel.actions.iter().find(|one| one.action == "view_item").unwrap();
    assert_eq!((seen.words.as_str(), seen.per_100_sessions.round()), ("viewed a product", 100.0));
    service.stop().await;
}

#[tokio::test]
async fn a_bad_item_never_fails_its_batch() {
    let service = Service::start().await;
    let mut nobody = action("u1", "view_item");
    if let Some(pb::event::Body::Action(action)) = &mut nobody.body {
        action.advertiser = "nobody".into();
    }
    let mut named = action("u1", "view_item");
    named.event_id = "e1".into();
    let empty = pb::Event { body: None, ..named.clone() };
    let late = pb::Event { occurred_at_ms: 1, ..action("u1", "view_item") };
    let batch = vec![nobody, named.clone(), named, action("u1", "dance"), empty, action("", "view_item"), late];
    let response = service.track(batch).await;
    let expected = ["unknown_advertiser", "duplicate", "unknown_action", "invalid", "invalid", "too_late"];
    let found = codes(&response);
    assert_eq!(found.iter().map(|(_, code)| code.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(found.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2, 3, 4, 5, 6]);
    assert_eq!((response.accepted, response.duplicate, response.rejected), (1, 1, 5));

    let mut no_such_goal = target("acme");
    no_such_goal.goals = vec!["fame".into()];
    let targets =
        vec![target("nobody"), target("acme"), no_such_goal, pb::Target { base_p: Some(1.5), ..target("acme") }];
    let response = service.score(score_request("o1", "u1", targets)).await;
    let code = |result: &pb::TargetResult| result.rejection.as_ref().map_or(String::new(), |one| one.code.clone());
    assert_eq!(
        response.results.iter().map(code).collect::<Vec<_>>(),
        ["unknown_advertiser", "", "unknown_goal", "invalid"]
    );
    assert_eq!(response.results[1].signals.len(), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_bad_request_is_refused_in_its_answer() {
    let service = Service::start().await;
    let good = || score_request("o1", "u1", vec![target("acme")]);
    let number = |value| vec![pb::NumberEntry { name: "price".into(), value }];
    let cases = [
        (pb::ScoreRequest { numbers: number(f64::NAN), ..good() }, "invalid", "numbers"),
        (pb::ScoreRequest { numbers: number(f64::INFINITY), ..good() }, "invalid", "numbers"),
        (pb::ScoreRequest { opportunity_id: String::new(), ..good() }, "invalid", "opportunity_id"),
        (pb::ScoreRequest { users: vec!["u".into(); 17], ..good() }, "too_many", "users"),
        (pb::ScoreRequest { targets: vec![target("acme"); 201], ..good() }, "too_many", "targets"),
        (pb::ScoreRequest { reasons_max: 65, ..good() }, "too_many", "reasons_max"),
        (pb::ScoreRequest { privacy: 77, ..good() }, "invalid", "privacy"),
    ];
    let requests: Vec<_> = cases.iter().map(|(request, ..)| request.clone()).chain([good()]).collect();
    let batch = pb::ScoreBatchRequest { requests };
    let responses = service.signals().score_batch(batch).await.unwrap().into_inner().responses;
    assert_eq!(responses.len(), cases.len() + 1);
    for ((_, code, field), response) in cases.iter().zip(&responses) {
        let rejection = response.rejection.as_ref().unwrap();
        assert_eq!(rejection.code, *code, "{rejection:?}");
        assert!(rejection.message.starts_with(field), "{rejection:?}");
        assert!(response.results.is_empty());
    }
    assert_eq!(responses[cases.len()].results.len(), 1);

    let too_many = pb::ScoreBatchRequest { requests: vec![good(); 1_001] };
    assert_eq!(service.signals().score_batch(too_many).await.unwrap_err().code(), Code::InvalidArgument);
    let too_many = pb::TrackRequest { events: vec![action("u1", "view_item"); 1_001] };
    let status = service.events().track(too_many).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "events: at most 1000 entries, 1001 given"));
    service.stop().await;
}

#[tokio::test]
async fn a_message_of_ten_megabytes_is_refused_and_the_service_stays_up() {
    let service = Service::start().await;
    let huge = pb::TrackRequest { events: vec![action(&"u".repeat(10 << 20), "view_item")] };
    let status = service.events().track(huge).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("1048576"), "the limit is told: {status:?}");
    let huge = score_request(&"o".repeat(10 << 20), "u1", vec![target("acme")]);
    assert_eq!(service.signals().score(huge).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(service.track(vec![action("u1", "view_item")]).await.accepted, 1);
    service.stop().await;
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_refused_and_counted() {
    let service = Service::start().await;
    let scored = service.score(score_request("o1", "u1", vec![target("acme")])).await;
    let good = &scored.results[0].token;
    let mut forged = good.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let tokens = [&forged, &token::foreign(good), &good[..30].to_owned(), good];
    let response = service.track(tokens.iter().map(|token| impression(token)).collect()).await;
    let expected = [(0, "token_forged".into()), (1, "token_foreign".into()), (2, "token_malformed".into())];
    assert_eq!(codes(&response), expected);
    for code in ["token_forged", "token_foreign", "token_malformed"] {
        let label = format!("code=\"{code}\"");
        assert_eq!(service.counter("inkling_events_refused_total", &label).await, 1, "{code}");
    }
    assert_eq!(service.counter("inkling_tokens_sealed_total", "").await, 1);
    service.stop().await;
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let mut config = Config::from_settings(settings());
    config.server.clock = inkling::config::Clock::Events;
    let service = Service::start_with(config).await;
    let day = 86_400_000_u64;
    let at = |days: u64, event| pb::Event { occurred_at_ms: 1_800_000_000_000 + days * day, ..event };
    service.track(vec![at(0, action("u1", "view_item"))]).await;
    let request = pb::ScoreRequest { at_ms: 1_800_000_000_000, ..score_request("o1", "u1", vec![target("acme")]) };
    let token = service.score(request).await.results[0].token.clone();
    let response = service.track(vec![at(2, impression(&token))]).await;
    assert_eq!(codes(&response), [(0, "token_expired".into())]);
    let response = service.track(vec![at(0, impression(&token))]).await;
    assert_eq!(response.accepted, 1, "on the events' clock only events let time pass: {response:?}");
    service.stop().await;
}

#[tokio::test]
async fn only_the_best_targets_carry_tokens() {
    let service = Service::start().await;
    let count = |response: &pb::ScoreResponse| response.results.iter().filter(|one| !one.token.is_empty()).count();
    let many = || score_request("o1", "u1", vec![target("acme"); 50]);
    assert_eq!(count(&service.score(many()).await), 8);
    assert_eq!(count(&service.score(pb::ScoreRequest { tokens_max: Some(0), ..many() }).await), 0);
    assert_eq!(count(&service.score(pb::ScoreRequest { tokens_max: Some(200), ..many() }).await), 50);
    service.stop().await;
}

#[tokio::test]
async fn a_bidder_without_tokens_names_the_opportunity() {
    let service = Service::start().await;
    let request = pb::ScoreRequest { remember: true, ..score_request("o1", "u1", vec![target("acme")]) };
    assert_eq!(service.score(request).await.results[0].token, "");
    let named = |opportunity: &str| {
        let named = pb::OpportunityRef {
            advertiser: "acme".into(),
            opportunity_id: opportunity.into(),
            user: "u1".into(),
            ..Default::default()
        };
        let of = Some(pb::impression::Of::Opportunity(named));
        event(pb::event::Body::Impression(pb::Impression { of, cost: None, bid: None }))
    };
    service.track(vec![named("o1"), named("never scored")]).await;
    assert_eq!(service.counter("inkling_scores_recalled_total", "").await, 1);
    assert_eq!(service.counter("inkling_exposures_lost_total", "").await, 1);
    service.stop().await;
}

#[tokio::test]
async fn past_the_deadline_the_answer_is_neutral_and_there() {
    let mut config = Config::from_settings(settings());
    config.server.deadline_overhead = inkling::units::Span(50);
    let service = Service::start_with(config).await;
    let request = || score_request("o1", "u1", vec![target("acme"); 40]);
    let late = service.score(pb::ScoreRequest { tmax_ms: 50, ..request() }).await;
    assert_eq!(late.results.len(), 40);
    for result in &late.results {
        assert_eq!(result.token, "");
        let signal = &result.signals[0];
        assert_eq!((signal.goal.as_str(), signal.multiplier), ("purchase", 1.0));
        assert_eq!(signal.neutral(), pb::NeutralReason::Deadline);
    }
    let mut call = tonic::Request::new(pb::ScoreRequest { tmax_ms: 1_000, ..request() });
    call.metadata_mut().insert("grpc-timeout", "45m".parse().unwrap());
    let late = service.signals().score(call).await.unwrap().into_inner();
    assert_eq!(late.results[39].signals[0].neutral(), pb::NeutralReason::Deadline);
    let well = service.score(pb::ScoreRequest { tmax_ms: 5_000, ..request() }).await;
    assert!(well.results.iter().all(|result| result.signals[0].neutral() != pb::NeutralReason::Deadline));
    assert_eq!(service.counter("inkling_neutral_signals_total", "reason=\"deadline\"").await, 80);
    service.stop().await;
}

#[tokio::test]
async fn the_privacy_mode_gates_scoring_and_ingest() {
    let service = Service::start().await;
    service.track(vec![action("u1", "view_item")]).await;
    let ask = |mode: pb::PrivacyMode| {
        let request = score_request("o1", "u1", vec![target("acme")]);
        service.score(pb::ScoreRequest { privacy: mode.into(), ..request })
    };
    let full = ask(pb::PrivacyMode::Full).await.results[0].signals[0].clone();
    assert_eq!(full.stage, "view_item");
    let context = ask(pb::PrivacyMode::Context).await.results[0].signals[0].clone();
    assert_eq!((context.stage.as_str(), context.segments.len()), ("", 0));
    let neutral = ask(pb::PrivacyMode::Neutral).await.results[0].clone();
    assert_eq!((neutral.token.as_str(), neutral.signals[0].multiplier), ("", 1.0));
    assert_eq!(neutral.signals[0].neutral(), pb::NeutralReason::NoConsent);

    for mode in [pb::PrivacyMode::Context, pb::PrivacyMode::Neutral] {
        let kept = pb::Event { privacy: mode.into(), ..action("u2", "view_item") };
        assert_eq!(codes(&service.track(vec![kept]).await), [(0, "privacy".into())]);
    }
    assert!(service.explain("u2").await.user.is_none(), "nothing was kept");
    service.stop().await;
}

#[tokio::test]
async fn a_forgotten_user_is_unknown_again() {
    let service = Service::start().await;
    service.track(vec![action("u1", "view_item"), action("u1", "add_to_cart")]).await;
    let known = service.explain("u1").await;
    let user = known.user.unwrap();
    assert_eq!((user.stage.as_str(), user.linked_ids, user.actions.len()), ("add_to_cart", 1, 2));
    assert!(known.score.unwrap().signals[0].reasons.iter().all(|reason| !reason.words.is_empty()));
    service.admin().forget(pb::ForgetRequest { user: "u1".into() }).await.unwrap();
    assert!(service.explain("u1").await.user.is_none());
    let status = service.admin().forget(pb::ForgetRequest { user: String::new() }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    service.stop().await;
}

#[tokio::test]
async fn actions_say_how_much_more_likely_people_convert_who_did_them() {
    let service = Service::start().await;
    #[expect(clippy::disallowed_methods, reason = "the service runs on the wall clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    for number in 0..40 {
        let (user, opportunity, has_cart) = (format!("u{number}"), format!("o{number}"), number % 2 == 0);
        let mut actions =
            vec![action(&user, "view_item"), action(&user, if has_cart { "add_to_cart" } else { "search" })];
        // An action counts as done before the impression from the next second on.
        actions.iter_mut().for_each(|action| action.occurred_at_ms = now - 10_000);
        service.track(actions).await;
        let scored = service.score(score_request(&opportunity, &user, vec![target("acme")])).await;
        assert_eq!(service.track(vec![impression(&scored.results[0].token)]).await.accepted, 1);
        tokio::time::sleep(Duration::from_millis(2)).await;
        if number % 4 == 0 || number == 1 {
            assert_eq!(service.track(vec![purchase(&user)]).await.accepted, 1);
        }
    }
    let ask = |goal: &str| pb::GetActionsRequest { advertiser: "acme".into(), goal: goal.into() };
    let effects = service.insight().get_actions(ask("purchase")).await.unwrap().into_inner().actions;
    let names: Vec<_> = effects.iter().map(|effect| effect.action.as_ref().unwrap().action.as_str()).collect();
    assert_eq!(names, ["view_item", "add_to_cart", "purchase", "search"], "the ladder, then what stands beside it");
    let [viewed, carts, ..] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((viewed.action.as_ref().unwrap().users, viewed.lift), (Some(40), None), "everybody did it");
    let did = carts.action.as_ref().unwrap();
    assert_eq!((did.users, did.words.as_str(), did.count.round()), (Some(20), "added to cart", 20.0));
    assert_eq!((carts.impressions.round(), carts.positives.round()), (20.0, 10.0));
    assert!((carts.rate_with - 0.5).abs() < 0.01 && (carts.rate_without - 0.05).abs() < 0.01, "{carts:?}");
    let lift = carts.lift.unwrap();
    assert!((5.0..10.0).contains(&lift.ratio) && lift.low > 1.0 && lift.high > lift.ratio, "{lift:?}");

    let segments = pb::GetSegmentsRequest { advertiser: "acme".into(), goal: "purchase".into() };
    let segments = service.insight().get_segments(segments).await.unwrap().into_inner().segments;
    assert_eq!((segments[0].users, segments[0].members, segments[0].lift), (40, Some(40), None), "everybody");
    let abandoners = segments.iter().find(|one| one.segment == "cart_abandoners").unwrap();
    assert_eq!((abandoners.users, abandoners.lift), (20, Some(lift)), "{abandoners:?}");
    assert!(abandoners.actions.iter().all(|action| action.users.is_none()));
    let status = service.insight().get_actions(ask("fame")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    service.stop().await;
}

#[tokio::test]
async fn insight_names_what_it_does_not_know() {
    let service = Service::start().await;
    let ask = |advertiser: &str, goal: &str| pb::GetGoalRequest { advertiser: advertiser.into(), goal: goal.into() };
    let status = service.insight().get_goal(ask("nobody", "purchase")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "advertiser 'nobody' is not configured"));
    let status = service.insight().get_goal(ask("acme", "fame")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    service.stop().await;
}

#[tokio::test]
async fn the_digest_changes_with_the_state_only() {
    let mut config = Config::from_settings(settings());
    // Time passes with events only, so that no tick changes the state in between.
    config.server.clock = inkling::config::Clock::Events;
    let service = Service::start_with(config).await;
    let state = || async {
        let request = pb::GetStateRequest { digest: true };
        service.admin().get_state(request).await.unwrap().into_inner()
    };
    let (before, again) = (state().await, state().await);
    assert_eq!(before.digest.len(), 32);
    assert_eq!((before.seq, &before.digest), (again.seq, &again.digest));
    service.track(vec![action("u1", "view_item")]).await;
    let after = state().await;
    assert!(after.seq > before.seq && after.digest != before.digest);
    service.score(score_request("o1", "u1", vec![target("acme")])).await;
    assert_eq!(state().await.digest, after.digest, "a score only reads");
    service.stop().await;
}

#[tokio::test]
async fn many_streams_at_once_are_each_acknowledged_in_order() {
    const STREAMS: usize = 16;
    const MESSAGES: usize = 200;
    let service = Service::start().await;
    let streams = (0..STREAMS).map(|stream| {
        let mut events = service.events();
        tokio::spawn(async move {
            // The n-th message has 1 + n mod 7 events: an answer out of order has another count.
            let size = |number: usize| 1 + number % 7;
            let message = move |number: usize| pb::TrackRequest {
                events: (0..size(number)).map(|_| action(&format!("s{stream}-{number}"), "view_item")).collect(),
            };
            let messages = tokio_stream::iter((0..MESSAGES).map(message));
            let mut answers = events.track_stream(messages).await.unwrap().into_inner();
            for number in 0..MESSAGES {
                let answer = answers.next().await.unwrap().unwrap();
                assert_eq!(answer.accepted as usize, size(number), "stream {stream}, message {number}");
            }
            assert!(answers.next().await.is_none(), "the stream ends when the client has ended it");
        })
    });
    for stream in streams.collect::<Vec<_>>() {
        stream.await.unwrap();
    }
    let events: usize = (0..MESSAGES).map(|number| 1 + number % 7).sum();
    assert_eq!(service.counter("inkling_events_accepted_total", "").await as usize, STREAMS * events);
    service.stop().await;
}

#[tokio::test]
async fn a_stream_of_scores_answers_each_request_in_order() {
    let service = Service::start().await;
    let requests = tokio_stream::iter((0..500).map(|number| {
        let targets = vec![target("acme"); 1 + number % 3];
        score_request(&format!("o{number}"), "u1", targets)
    }));
    let mut answers = service.signals().score_stream(requests).await.unwrap().into_inner();
    for number in 0..500 {
        assert_eq!(answers.next().await.unwrap().unwrap().results.len(), 1 + number % 3);
    }
    assert!(answers.next().await.is_none());
    service.stop().await;
}

#[tokio::test]
async fn told_to_stop_it_answers_what_is_in_progress_and_ends() {
    let service = Service::start().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let messages = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = service.events().track_stream(messages).await.unwrap().into_inner();
    sender.send(pb::TrackRequest { events: vec![action("u1", "view_item")] }).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().accepted, 1);
    let mut health = service.watch_health().await;
    assert_eq!(health.next().await.unwrap().unwrap().status(), harness::Serving::Serving);
    assert_eq!(service.http("/health/ready").await, (200, "ready\n".into()));

    let (events, thread) = (service.events(), service.tell_to_stop());
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "the client is told that nothing more is read: {status:?}");
    assert_eq!(health.next().await.unwrap().unwrap().status(), harness::Serving::NotServing);
    assert!(health.next().await.is_none_or(|end| end.is_err()));
    let ended = harness::ended(thread);
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    let mut events = events;
    assert!(events.track(pb::TrackRequest { events: Vec::new() }).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn health_and_counters_are_there_over_http() {
    let service = Service::start().await;
    service.track(vec![action("u1", "view_item")]).await;
    assert_eq!(service.http("/health/live").await, (200, "alive\n".into()));
    assert_eq!(service.http("/heartbeat").await.0, 200);
    assert_eq!(service.http("/nowhere").await.0, 404);
    let (200, metrics) = service.http("/metrics").await else { panic!("/metrics always answers") };
    assert!(metrics.contains("# TYPE inkling_events_accepted_total counter\ninkling_events_accepted_total 1\n"));
    assert!(metrics.contains("inkling_events_refused_total{code=\"token_forged\"} 0\n"));
    assert!(metrics.contains("# TYPE inkling_score_micros histogram\ninkling_score_micros_bucket{le=\"10\"} 0\n"));
    assert!(metrics.contains("inkling_track_micros_bucket{le=\"+Inf\"} 1\n"), "one message: {metrics}");
    assert!(!metrics.contains("u1"), "no user id is ever told");
    let cpu = metrics.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total ")).unwrap();
    let cpu: f64 = cpu.parse().unwrap();
    let state = service.admin().get_state(pb::GetStateRequest::default()).await.unwrap().into_inner();
    assert!(0.0 < cpu && cpu <= state.cpu_micros as f64 / 1e6, "{cpu} s, then {} µs", state.cpu_micros);
    service.stop().await;
}

#[tokio::test]
async fn reflection_lists_all_services() {
    let service = Service::start().await;
    let names = service.reflected().await;
    for name in ["SignalService", "EventService", "InsightService", "AdminService"] {
        assert!(names.contains(&format!("inkling.v1.{name}")), "{names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_held_out_user_gets_one_factor_for_both_goals_and_no_ad() {
    let mut settings = settings();
    let acme = &mut settings.advertisers[0];
    acme.goals.push(Goal::new(Id::literal("sign_up")));
    let goals = ["purchase", "sign_up"].map(Id::literal);
    let objective = goals.iter().cloned().zip([1.0, 0.2]).collect();
    acme.campaigns = vec![Campaign { id: Id::literal("spring"), goals: goals.to_vec(), objective }];
    acme.holdout_share = Some(1.0);
    let service = Service::start_with(Config::from_settings(settings)).await;
    let target = pb::Target { campaign: "spring".into(), goals: Vec::new(), ..target("acme") };
    let result = service.score(score_request("o1", "u1", vec![target])).await.results.remove(0);
    let combined = result.combined.as_ref().unwrap();
    assert!(combined.suppress && result.signals.iter().all(|signal| signal.suppress), "{result:?}");
    assert_eq!((combined.suppress_reason(), combined.arm()), (pb::SuppressReason::Holdout, pb::Arm::Holdout));
    assert_eq!((combined.multiplier, combined.neutral()), (1.0, pb::NeutralReason::Support));
    let parts: Vec<_> = combined.parts.iter().map(|part| (part.goal.as_str(), part.weight)).collect();
    assert_eq!(parts, [("purchase", 1.0), ("sign_up", 0.2)]);
    let worth = result.signals[0].p_conversion + 0.2 * result.signals[1].p_conversion;
    assert!((combined.expected - worth).abs() < 1e-12);
    assert_eq!(service.counter("inkling_suppressed_signals_total", "reason=\"holdout\"").await, 2);
    let of = Some(pb::ghost_impression::Of::Token(result.token));
    let ghost = event(pb::event::Body::GhostImpression(pb::GhostImpression { of }));
    assert_eq!(service.track(vec![ghost, purchase("u1")]).await.accepted, 2);
    let asked = pb::GetGoalRequest { advertiser: "acme".into(), goal: "purchase".into() };
    let report = service.insight().get_goal(asked).await.unwrap().into_inner();
    let told = report.incrementality.unwrap();
    let people = told.holdout.unwrap();
    assert_eq!((people.reached, people.converters, told.holdout_share), (1, 1, 1.0));
    assert_eq!((told.everybody, told.reached, report.impressions), (None, None, 0.0));
    service.stop().await;
}

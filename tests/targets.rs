//! Many targets of one bid request: which are refused, which carry a token, and when it is too late for all of them.

mod harness;

use harness::{Service, action, score_request, settings, target};
use inkling::config::Config;
use inkling::ids::Id;
use inkling::pb::v1 as pb;
use inkling::settings::Goal;
use inkling::units::{Micros, Span};
use tonic::Code;

fn of_goals(goals: &[&str]) -> pb::Target {
    pb::Target { goals: goals.iter().map(|goal| (*goal).to_owned()).collect(), ..target("acme") }
}

/// The places of the results that carry a token.
fn carrying(response: &pb::ScoreResponse) -> Vec<usize> {
    (0..response.results.len()).filter(|place| !response.results[*place].token.is_empty()).collect()
}

#[tokio::test]
async fn tokens_go_to_what_is_worth_most_and_of_equals_to_the_first() {
    let goal = |name, value| Goal { value: Micros(value), ..Goal::new(Id::literal(name)) };
    let mut settings = settings();
    settings.advertisers[0].goals = vec![goal("cheap", 1_000_000), goal("dear", 100_000_000)];
    let service = Service::start_with(Config::from_settings(settings)).await;
    let ask = async |targets, tokens_max| {
        let request = score_request("o1", "u1", targets);
        service.score(pb::ScoreRequest { tokens_max: Some(tokens_max), ..request }).await
    };
    let (cheap, dear) = (of_goals(&["cheap"]), of_goals(&["dear"]));
    let mut targets = vec![cheap.clone(); 10];
    targets[9] = dear.clone();
    assert_eq!(carrying(&ask(targets.clone(), 1).await), [9]);
    assert_eq!(carrying(&ask(targets.clone(), 3).await), [0, 1, 9]);
    targets[4] = of_goals(&["cheap", "dear"]);
    assert_eq!(carrying(&ask(targets, 2).await), [4, 9], "a target is worth its best goal");
    assert_eq!(carrying(&ask(vec![cheap; 10], 1).await), [0]);
    assert_eq!(carrying(&ask(vec![dear; 10], 2).await), [0, 1]);
    service.stop().await;
}

#[tokio::test]
async fn each_target_is_answered_or_refused_in_its_own_place() {
    let service = Service::start().await;
    let too_many = pb::Target { goals: vec!["purchase".into(); 33], ..target("acme") };
    let just_so_many = pb::Target { goals: vec!["purchase".into(); 32], ..target("acme") };
    let targets = vec![target("acme"), target(""), target("nobody"), too_many, just_so_many, target("acme")];
    let response = service.score(score_request("o1", "u1", targets)).await;
    let code = |result: &pb::TargetResult| result.rejection.as_ref().map_or(String::new(), |one| one.code.clone());
    let codes: Vec<_> = response.results.iter().map(code).collect();
    assert_eq!(codes, ["", "invalid", "unknown_advertiser", "too_many", "", ""]);
    let signals: Vec<_> = response.results.iter().map(|result| result.signals.len()).collect();
    assert_eq!(signals, [1, 0, 0, 0, 32, 1]);
    assert_eq!(carrying(&response), [0, 4, 5]);
    service.stop().await;
}

/// What a request allows cannot exceed what is configured, and what states nothing has exactly that.
#[tokio::test]
async fn the_configured_deadline_holds_whatever_a_request_allows() {
    let mut config = Config::from_settings(settings());
    (config.server.deadline, config.server.deadline_overhead) = (Span(50), Span(50));
    let service = Service::start_with(config).await;
    service.track(vec![action("u1", "view_item")]).await;
    for tmax_ms in [0, 10_000, u32::MAX] {
        let request = score_request("o1", "u1", vec![target("acme")]);
        let late = service.score(pb::ScoreRequest { tmax_ms, ..request }).await;
        assert_eq!(late.results[0].signals[0].neutral(), pb::NeutralReason::Deadline, "{tmax_ms}");
        assert_eq!(late.results[0].token, "", "{tmax_ms}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_batch_has_a_limit_of_targets_over_all_its_requests() {
    let service = Service::start().await;
    let requests = |count| vec![score_request("o1", "u1", vec![target("acme"); 200]); count];
    let ask = async |count| service.signals().score_batch(pb::ScoreBatchRequest { requests: requests(count) }).await;
    let status = ask(11).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "targets: at most 2000 entries, 2200 given"));
    let responses = ask(10).await.unwrap().into_inner().responses;
    assert_eq!(responses.iter().map(|one| one.results.len()).collect::<Vec<_>>(), [200; 10]);
    service.stop().await;
}

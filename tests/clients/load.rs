//! `inkling load`: what it says of a service that works, of one that takes nothing, and of one that goes.

use std::net::TcpListener;
use std::time::Duration;

use super::harness::{Service, settings};
use super::{Ran, inkling, inkling_at};
use inkling::config::Config;

/// What is called, one message at a time, with the option that makes it small.
const CALLS: [&[&str]; 4] = [
    &["--call", "track", "--events", "10"],
    &["--call", "score"],
    &["--call", "score-batch", "--requests", "10"],
    &["--call", "score-stream"],
];

/// Runs `inkling load` over two connections, for longer than any test may take unless told.
async fn load(service: &Service, arguments: &[&str]) -> Ran {
    let arguments = [&["load", "--connections", "2", "--users", "100"], arguments].concat();
    tokio::time::timeout(Duration::from_secs(60), inkling(service, &arguments, "")).await.expect("it ends")
}

/// Cells of the row with this name: rates, times, and CPU.
fn row<'a>(out: &'a str, name: &str) -> Vec<&'a str> {
    let rows = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = rows.into_iter().find(|cells| cells.first() == Some(&name));
    found.unwrap_or_else(|| panic!("no row {name}: {out}"))[1..].to_vec()
}

fn number(cell: &str) -> f64 {
    cell.replace(',', "").parse().unwrap_or_else(|_| panic!("{cell}"))
}

#[tokio::test]
async fn events_and_bid_requests_are_answered_and_counted() {
    let service = Service::start().await;
    for call in CALLS {
        let out = load(&service, &[call, &["--for", "300ms", "--ahead", "2"]].concat()).await.good();
        let cells: Vec<f64> = row(&out, "service").into_iter().map(number).collect();
        let [items, messages, p50, p90, p99, p999, max, cpu] = cells[..] else { panic!("{out}") };
        assert!(items >= messages && messages > 0.0 && cpu > 0.0, "{out}");
        assert!(0.0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= p999 && p999 <= max, "{out}");
        assert_eq!(call[1] == "track", !out.contains("answers came after their time"), "{out}");
        assert!(out.contains("a second of the service's CPU is enough for "), "{out}");
    }
    let scores = service.counter("inkling_score_requests_total", "").await;
    assert_eq!(
        scores,
        service.counter("inkling_tokens_sealed_total", "").await,
        "each has one target that gets a token"
    );
    assert!(scores > 0 && service.counter("inkling_events_accepted_total", "").await > 0);
    // Events tell of the users that are asked about.
    assert!(service.explain("u1").await.user.is_some());
    service.stop().await;
}

#[tokio::test]
async fn an_echo_answers_the_same_and_is_compared() {
    let service = Service::start().await;
    for call in CALLS {
        let out = load(&service, &[call, &["--for", "200ms", "--echo"]].concat()).await.good();
        let echo: Vec<f64> = row(&out, "echo").into_iter().map(number).collect();
        assert!(echo.len() == 8 && echo.iter().all(|cell| *cell > 0.0), "{out}");
        assert!(out.contains("CPU of the server: "), "{out}");
        assert_eq!(call[1] == "track", !out.contains("of the echo as of the service"), "{out}");
    }
    service.stop().await;
}

#[tokio::test]
async fn an_open_loop_sends_as_much_as_it_is_told_to() {
    let service = Service::start().await;
    for call in CALLS {
        let rate = if call.len() == 4 { "1000" } else { "100" };
        let out = load(&service, &[call, &["--for", "500ms", "--rate", rate]].concat()).await.good();
        let items = number(row(&out, "service")[0]);
        // A busy machine takes longer than it was to; it never sends more.
        assert!(items > 0.0 && items <= 1.3 * number(rate), "{out}");
        assert!(out.contains(&format!("open loop, {} ", if rate == "100" { "100" } else { "1,000" })), "{out}");
    }
    service.stop().await;
}

#[tokio::test]
async fn answers_without_time_are_counted() {
    let mut config = Config::from_settings(settings());
    // Of a millisecond, the way back takes all.
    config.server.deadline_overhead = inkling::units::Span(1);
    let service = Service::start_with(config).await;
    for call in &CALLS[1..] {
        let out = load(&service, &[*call, &["--for", "100ms", "--tmax", "1ms"]].concat()).await.good();
        let told = out.lines().find_map(|line| line.split_once(" came after their time, 1 ms, or said")).expect(&out);
        let (late, all) = told.0.split_once(" of ").expect(&out);
        assert_eq!(late, all.trim_end_matches("s").trim_end_matches(" answer"), "{out}");
    }
    service.stop().await;
}

#[tokio::test]
async fn what_the_service_does_not_know_is_named_at_once() {
    let service = Service::start().await;
    let remedy = |what: &str| format!("name one that the service's configuration has, with --{what}\n");
    for call in CALLS {
        let ran = load(&service, &[call, &["--advertiser", "nobody", "--for", "1h"]].concat()).await;
        let item = if call[1] == "track" { "event" } else { "request" };
        let all = if call.len() == 4 { 20 } else { 2 };
        let told = format!(
            "error: {all} of {all} {item}s were refused: advertiser 'nobody' is not configured: {}",
            remedy("advertiser")
        );
        assert_eq!((ran.code, ran.err), (Some(1), told), "{}", ran.out);
    }
    let ran = load(&service, &["--call", "score", "--goal", "fame", "--for", "1h"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.err.starts_with("error: 2 of 2 requests were refused: ") && ran.err.contains("'fame'"), "{}", ran.err);
    assert!(ran.err.ends_with(&remedy("goal")), "{}", ran.err);
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_goes_is_told_with_what_it_had_answered() {
    for call in CALLS {
        let service = Service::start().await;
        let address = service.grpc().to_string();
        let arguments = [&["load", "--connections", "2", "--for", "1h"], call].concat();
        let loading = tokio::task::spawn_blocking(move || inkling_at(&address, &arguments, ""));
        let counter = if call[1] == "track" { "inkling_frames_applied_total" } else { "inkling_score_requests_total" };
        while service.counter(counter, "").await < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        service.stop().await;
        let ran = tokio::time::timeout(Duration::from_secs(60), loading).await.expect("it ends").unwrap();
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        let done = if call[1] == "track" { "acknowledged" } else { "answered" };
        let (_, told) = ran.err.split_once(&format!(": the service failed when it had {done} ")).expect(&ran.err);
        assert!(!told.starts_with("0 ") && told.contains("start it again"), "{}", ran.err);
        assert!(!ran.err.contains("status:") && ran.err.lines().count() == 1, "{}", ran.err);
        assert!(ran.out.contains("2 connections"), "{}", ran.out);
        assert_eq!(row(&ran.out, "service").last(), Some(&"-"), "who is gone does not tell its CPU: {}", ran.out);
    }
}

#[test]
fn a_service_that_is_not_there_or_says_nothing_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    // A port that was free a moment ago, and that nobody has been given since.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for call in CALLS {
        let arguments = [&["load", "--connections", "2", "--for", "1h", "--timeout", "300ms"], call].concat();
        let ran = inkling_at(&nobody, &arguments, "");
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
        assert!(ran.err.starts_with(&format!("error: no service answers at {nobody}: start one")), "{}", ran.err);
        let ran = inkling_at(&silent, &arguments, "");
        let told = format!("error: the service at {silent} gave no answer within 300ms\n");
        assert_eq!((ran.code, ran.err), (Some(1), told), "{}", ran.out);
    }
}

#[test]
fn options_that_mean_nothing_to_the_call_are_mistakes() {
    let wrong: [&[&str]; 5] = [
        &["--call", "score", "--events", "10"],
        &["--requests", "10"],
        &["--call", "score-stream", "--requests", "10"],
        &["--goal", "purchase"],
        &["--call", "track", "--tmax", "10ms"],
    ];
    for options in wrong {
        let ran = inkling_at("127.0.0.1:1", &[&["load"], options].concat(), "");
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{options:?}");
        assert!(ran.err.contains("means nothing with --call "), "{}", ran.err);
    }
}

//! The examples do what they say.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use inkling::config::Config;

use super::harness::{Service, settings};
use super::{Ran, run};

#[allow(dead_code, reason = "its main is for people")]
#[path = "../../examples/bidder.rs"]
mod bidder;

/// A bidder gives up after 20 ms; here the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is left of a user who was shown an ad, clicked it, and bought.
async fn assert_converted(service: &Service, user: &str) {
    let user = service.explain(user).await.user.expect("the user is known");
    assert_eq!((user.exposures, user.conversions, user.stage.as_str()), (1, 1, "purchase"));
}

#[tokio::test]
async fn the_rust_client_goes_the_whole_way() {
    let service = Service::start().await;
    bidder::run(&service.grpc().to_string(), "u-81", "auction-1", PATIENCE).await.expect("the example runs");
    assert_converted(&service, "u-81").await;
    assert_eq!(service.counter("inkling_events_accepted_total", "").await, 6);
    // Sent again, nothing counts twice.
    bidder::run(&service.grpc().to_string(), "u-81", "auction-1", PATIENCE).await.expect("the example runs again");
    assert_converted(&service, "u-81").await;
    service.stop().await;
}

/// A service that holds everybody out.
async fn without_ads() -> Service {
    let mut settings = settings();
    settings.arms.holdout_share = 1.0;
    Service::start_with(Config::from_settings(settings)).await
}

/// What is left of a user who was held out: no ad, no purchase that one led to, and what would have been shown.
async fn assert_held_out(service: &Service, name: &str) {
    let user = service.explain(name).await.user.expect("the user is known");
    assert_eq!((user.exposures, user.conversions), (0, 0), "{name}");
    // Three acts and the would-be impression.
    assert_eq!(service.counter("inkling_events_accepted_total", "").await, 4);
    assert_eq!(service.counter("inkling_entries", "table=\"live_impressions\"").await, 1);
}

#[tokio::test]
async fn the_rust_client_shows_nothing_to_who_is_held_out() {
    let service = without_ads().await;
    bidder::run(&service.grpc().to_string(), "u-83", "auction-3", PATIENCE).await.expect("the example runs");
    assert_held_out(&service, "u-83").await;
    service.stop().await;
}

/// The service comes back while the events wait.
#[tokio::test]
async fn the_rust_client_sends_events_again_until_they_are_taken() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let told =
        tokio::spawn(async move { bidder::run(&address.to_string(), "u-84", "auction-4", PATIENCE).await.is_ok() });
    tokio::time::sleep(Duration::from_millis(150)).await;
    let service = Service::start().await;
    let relay = tokio::net::TcpListener::bind(address).await.unwrap();
    let grpc = service.grpc();
    let relaying = tokio::spawn(async move {
        while let Ok((mut near, _)) = relay.accept().await {
            let mut far = tokio::net::TcpStream::connect(grpc).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop).ok() });
        }
    });
    assert!(told.await.expect("it does not panic"), "what was sent too early was sent again");
    assert_converted(&service, "u-84").await;
    relaying.abort();
    service.stop().await;
}

/// A Python with what the examples import: the one that INKLING_PYTHON names, or that of the virtual environment which
/// .ci/run makes, or the system's. `None` where none of them has it: what was missing has been printed.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let has_grpc = |python: &PathBuf| {
        let command = Command::new(python).args(["-c", "import grpc, grpc_tools, grpc_reflection"]).output();
        command.is_ok_and(|output| output.status.success())
    };
    if let Some(python) = std::env::var_os("INKLING_PYTHON").map(PathBuf::from) {
        assert!(
            has_grpc(&python),
            "INKLING_PYTHON: {} lacks grpcio, grpcio-tools or grpcio-reflection",
            python.display()
        );
        return Some(python);
    }
    let known = [root.join("target/python/bin/python3"), PathBuf::from("python3")];
    let found = known.into_iter().find(has_grpc);
    if found.is_none() {
        println!("skipped: no python3 with grpcio, grpcio-tools and grpcio-reflection; INKLING_PYTHON may name one");
    }
    found
}

/// Runs one of the Python examples, without leaving compiled files beside it.
async fn python_example(python: &Path, name: &str, arguments: &[&str]) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python").join(name);
    let mut command = Command::new(python);
    command.arg("-B").arg(script).args(arguments).env("PYTHONIOENCODING", "utf-8");
    tokio::task::spawn_blocking(move || run(command, Vec::new())).await.expect("the example was run")
}

#[tokio::test]
async fn the_python_client_goes_the_whole_way() {
    let Some(python) = python() else { return };
    let service = Service::start().await;
    let address = service.grpc().to_string();
    let out = python_example(&python, "client.py", &[&address, "u-82", "auction-2", "5"]).await.good();
    assert!(out.contains("purchase: bid × 1.00 (p 0.0"), "{out}");
    assert_converted(&service, "u-82").await;
    service.stop().await;
}

#[tokio::test]
async fn the_python_client_shows_nothing_to_who_is_held_out() {
    let Some(python) = python() else { return };
    let service = without_ads().await;
    let address = service.grpc().to_string();
    let out = python_example(&python, "client.py", &[&address, "u-85", "auction-5", "5"]).await.good();
    assert!(out.contains(", do not bid at all"), "{out}");
    assert_held_out(&service, "u-85").await;
    service.stop().await;
}

#[tokio::test]
async fn any_method_is_called_by_reflection() {
    let Some(python) = python() else { return };
    let service = Service::start().await;
    let address = service.grpc().to_string();
    let methods = python_example(&python, "reflect.py", &[&address]).await.good();
    for method in ["EventService/Track", "SignalService/Score", "InsightService/GetSegments", "AdminService/GetState"] {
        assert!(methods.lines().any(|line| line == format!("inkling.v1.{method}")), "{method} in\n{methods}");
    }
    let request = r#"{"opportunity_id": "o", "targets": [{"advertiser": "acme", "goals": ["purchase"]}]}"#;
    let answer =
        python_example(&python, "reflect.py", &[&address, "inkling.v1.SignalService/Score", request]).await.good();
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["results"][0]["signals"][0]["goal"], "purchase");
    for (method, text, message) in [
        ("inkling.v1.InsightService/GetGoal", r#"{"advertiser": "x"}"#, "NOT_FOUND: advertiser 'x' is not configured"),
        ("inkling.v1.SignalService/Score", r#"{"opportunty": 1}"#, "not a message of this method"),
        ("inkling.v1.SignalService/Guess", "{}", "there is no method inkling.v1.SignalService/Guess"),
    ] {
        let ran = python_example(&python, "reflect.py", &[&address, method, text]).await;
        assert_eq!(ran.code, Some(1));
        assert!(ran.err.contains(message), "{}", ran.err);
    }
    service.stop().await;
}

//! The examples do what they say.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::Service;
use super::{Ran, run};

#[allow(dead_code, reason = "its main is for people")]
#[path = "../../examples/bidder.rs"]
mod bidder;

/// What is left of a user who was shown an ad, clicked it, and bought.
async fn assert_converted(service: &Service, user: &str) {
    let user = service.explain(user).await.user.expect("the user is known");
    assert_eq!((user.exposures, user.conversions, user.stage.as_str()), (1, 1, "purchase"));
}

#[tokio::test]
async fn the_rust_client_goes_the_whole_way() {
    let service = Service::start().await;
    bidder::run(&service.grpc().to_string(), "u-81", "auction-1").await.expect("the example runs");
    assert_converted(&service, "u-81").await;
    assert_eq!(service.counter("inkling_events_accepted_total", "").await, 6);
    // Sent again, nothing counts twice.
    bidder::run(&service.grpc().to_string(), "u-81", "auction-1").await.expect("the example runs again");
    assert_converted(&service, "u-81").await;
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
    // A bidder gives up after 20 ms; here the machine may be busy with other tests.
    let out = python_example(&python, "client.py", &[&address, "u-82", "auction-2", "5"]).await.good();
    assert!(out.contains("purchase: bid × 1.00 (p 0.0"), "{out}");
    assert_converted(&service, "u-82").await;
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

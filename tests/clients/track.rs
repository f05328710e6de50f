//! `inkling track`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use inkling::config::Config;
use tempfile::TempDir;

use super::harness::{Service, ended, settings};
use super::{Ran, inkling};

fn event(id: &str, user: &str, action: &str) -> String {
    format!(r#"{{"event_id": "{id}", "action": {{"user": "{user}", "advertiser": "acme", "action": "{action}"}}}}"#)
}

#[tokio::test]
async fn events_are_counted_and_refusals_placed() {
    let service = Service::start().await;
    let lines = [
        event("e1", "u1", "view_item"),
        String::new(),
        event("e2", "u1", "dance"),
        r#"{"acton": {}}"#.to_owned(),
        event("e1", "u1", "view_item"),
        format!(r#"{{"events": [{}, {}]}}"#, event("e3", "u2", "view_item"), event("e4", "u2", "sing")),
        "x".repeat(2 << 20),
        event("e5", "u1", "add_to_cart"),
    ];
    let ran = inkling(&service, &["track", "-"], &lines.join("\n")).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "3 accepted, 1 duplicate, 2 rejected, 2 unreadable\n"));
    let mut told: Vec<&str> = ran.err.lines().collect();
    told.sort_unstable();
    let expected = [
        "error: ",
        "standard input:3: unknown_action: action 'dance'",
        "standard input:4:8: there is no field 'acton': did you mean 'action'?",
        "standard input:6: events[1]: unknown_action: action 'sing'",
        "standard input:7: an object of more than 1048576 bytes",
    ];
    assert_eq!(told.len(), expected.len(), "{}", ran.err);
    for (line, start) in told.iter().zip(expected) {
        assert!(line.starts_with(start), "{line}");
    }
    assert_eq!(service.explain("u1").await.user.expect("u1 is known").stage, "add_to_cart");

    let ran = inkling(&service, &["track"], "").await;
    assert_eq!(ran.good(), "0 accepted, 0 duplicate, 0 rejected, 0 unreadable\n");
    service.stop().await;
}

#[tokio::test]
async fn files_go_in_batches_that_the_service_takes() {
    let mut config = Config::from_settings(settings());
    config.server.track_events_max = 100;
    config.server.message_bytes_max = 512 << 10;
    let service = Service::start_with(config).await;
    let folder = TempDir::new().unwrap();
    let many: Vec<String> =
        (0..2_500).map(|at| event(&format!("e{at}"), &format!("u{}", at % 50), "view_item")).collect();
    let files = [folder.path().join("many.ndjson"), folder.path().join("one.json")];
    fs::write(&files[0], many.join("\n")).unwrap();
    fs::write(&files[1], format!("{{\n\"events\": [\n{}\n]\n}}\n", event("last", "u1", "purchase"))).unwrap();
    let [many, one] = files.each_ref().map(|file| file.to_str().unwrap());
    let ran = inkling(&service, &["track", many, one, &event("arg", "u1", "share"), "--batch", "100"], "").await;
    assert_eq!(ran.good(), "2502 accepted, 0 duplicate, 0 rejected, 0 unreadable\n");

    // What the service does not take as a message fails the command, whatever the limits were.
    let large = event("large", &"u".repeat(600 << 10), "share");
    let ran = inkling(&service, &["track"], &large).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let told = "error: 0 events acknowledged, 1 more sent without an answer";
    assert!(ran.err.starts_with(told) && ran.err.contains("OUT_OF_RANGE: "), "{}", ran.err);
    service.stop().await;
}

#[tokio::test]
async fn events_go_out_at_once_and_a_service_that_goes_away_is_told() {
    let service = Service::start().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(["track", "--address", &service.grpc().to_string(), "--timeout", "10s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // A refusal comes back although the input has not ended.
    writeln!(stdin, "{}\n{}", event("e1", "u1", "view_item"), event("e2", "u1", "dance")).unwrap();
    let (first, stderr) = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        (line, stderr)
    })
    .await
    .unwrap();
    assert!(first.starts_with("standard input:2: unknown_action"), "{first}");

    ended(service.tell_to_stop()).await;
    writeln!(stdin, "{}", event("e3", "u1", "view_item")).unwrap();
    drop(stdin);
    let ran: Ran = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap().into();
    let mut err = String::new();
    let mut stderr = stderr;
    stderr.read_to_string(&mut err).unwrap();
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{err}");
    assert!(err.starts_with("error: 2 events acknowledged, 1 more sent without an answer"), "{err}");
}

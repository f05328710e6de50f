//! What commands say when there is nobody to talk to, or nobody to read what they say.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::harness::Service;
use super::inkling_at;

const COMMANDS: [&[&str]; 4] = [
    &["score", "--advertiser", "acme", "--timeout", "500ms"],
    &["score", "-", "--timeout", "500ms"],
    &["track", "-", "--timeout", "500ms"],
    &["segments", "--advertiser", "acme", "--goal", "purchase", "--timeout", "500ms"],
];

#[test]
fn nobody_listens() {
    // A port that was free a moment ago, and that nobody has been given since.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for command in COMMANDS {
        let ran = inkling_at(&address, command, "{}\n");
        let told = format!(
            "error: no service answers at {address}: start one with `inkling serve --config FILE`, or name another \
             with --address\n"
        );
        assert_eq!((ran.code, ran.out.as_str(), ran.err), (Some(1), "", told), "{command:?}");
    }
    for wrong in ["nowhere", "http://127.0.0.1:1", "127.0.0.1:1/path", ":", ""] {
        let ran = inkling_at(wrong, COMMANDS[0], "");
        assert_eq!(ran.code, Some(2), "{wrong}");
        assert!(ran.err.contains("is not a host and a port, such as 127.0.0.1:7610"), "{}", ran.err);
    }
}

#[test]
fn somebody_listens_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for command in COMMANDS {
        let ran = inkling_at(&address, command, "{}\n");
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{command:?}");
        assert_eq!(ran.err, format!("error: the service at {address} gave no answer within 500ms\n"), "{command:?}");
    }
}

#[test]
fn somebody_speaks_another_language() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let _ = socket.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    for command in COMMANDS {
        let ran = inkling_at(&address, command, "{}\n");
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{command:?}");
        assert!(ran.err.starts_with(&format!("error: the connection to {address} broke: ")), "{}", ran.err);
    }
}

#[tokio::test]
async fn nobody_reads_on() {
    let service = Service::start().await;
    let address = service.grpc().to_string();
    let work = move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
            .args(["score", "-", "--address", &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let request = "{\"opportunityId\": \"o\", \"targets\": [{\"advertiser\": \"acme\"}]}\n";
        stdin.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        drop(stdout);
        // Its input stays open: it has to notice by itself, at its next answer.
        stdin.write_all(request.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        (output.status.code(), output.stderr)
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), tokio::task::spawn_blocking(work)).await;
    assert_eq!(ended.expect("it ends").unwrap(), (Some(0), Vec::new()));
    service.stop().await;
}

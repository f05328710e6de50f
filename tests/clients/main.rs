//! Clients of a running service, as their users run them: the commands of `inkling`, and the examples.

#[path = "../harness/mod.rs"]
mod harness;

mod examples;
mod load;
mod score;
mod segments;
mod track;
mod unreachable;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use harness::Service;

/// What a program printed, and how it ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// What it printed, if it ended well and complained of nothing.
    fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a program with this standard input.
fn run(mut command: Command, input: Vec<u8>) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it has a standard input");
    // Written beside reading the output: neither pipe may fill up and stop both.
    let writer = std::thread::spawn(move || {
        // A program that has failed reads no further.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer ends");
    output.into()
}

/// Runs `inkling` against an address.
fn inkling_at(address: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkling"));
    command.args(arguments).args(["--address", address]);
    run(command, input.as_bytes().to_vec())
}

/// Runs `inkling` against a service of this process.
async fn inkling(service: &Service, arguments: &[&str], input: &str) -> Ran {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let (address, input) = (service.grpc().to_string(), input.to_owned());
    let work = move || inkling_at(&address, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &input);
    tokio::task::spawn_blocking(work).await.expect("the command was run")
}

//! The real program as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use inkling::ids::Seq;
use inkling::pb::v1 as pb;

const CONFIG: &str = r#"
[server]
grpc = "127.0.0.1:0"
http = "127.0.0.1:0"
[learner]
table_bits = 10
[[advertiser]]
id = "acme"
[[advertiser.goal]]
name = "purchase"
converting_action = "purchase"
milestones = ["view_item"]
"#;

/// The program that is killed.
pub fn binary() -> PathBuf {
    std::env::var_os("INKLING_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_inkling").into(), PathBuf::from)
}

/// A service that is ready.
pub struct Running {
    child: Child,
    address: String,
    _config: tempfile::TempDir,
}

impl Running {
    /// Starts it on a directory, with further lines of `[storage]`, and waits until it is ready.
    pub fn start(data: &Path, storage: &str) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.toml");
        std::fs::write(&config, format!("{CONFIG}[storage]\n{storage}")).unwrap();
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(&config).arg("--data").arg(data);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("inkling serves gRPC on ").and_then(|rest| rest.split(',').next());
        let address = format!("http://{}", address.unwrap_or_else(|| panic!("it did not start: '{line}'")));
        Running { child, address, _config: directory }
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Place in the journal and digest of the state.
    pub async fn state(&self) -> (Seq, String) {
        let mut client = pb::admin_service_client::AdminServiceClient::connect(self.address()).await.unwrap();
        let state = client.get_state(pb::GetStateRequest { digest: true }).await.unwrap().into_inner();
        (Seq(state.seq), state.digest)
    }

    /// SIGKILL: the process has no say in it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

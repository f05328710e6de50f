//! `inkling serve --config FILE`: runs the service until it is told to stop.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Clock, Config};
use crate::identity::Identity;
use crate::server::{self, Listeners};

/// Arguments of `inkling serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration, a TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Let other machines connect: there is neither TLS nor keys yet
    #[arg(long)]
    insecure: bool,
    /// What counts as now, whatever the configuration says
    #[arg(long, value_enum)]
    clock: Option<ClockArg>,
}

/// Names of the clocks on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClockArg {
    /// When an event arrives
    Wall,
    /// When the latest event occurred: for recorded logs
    Events,
}

impl Serve {
    /// Serves until SIGTERM or SIGINT, then finishes what is in progress.
    ///
    /// # Errors
    /// All mistakes of the file, an address that cannot be listened on, or what made the service fail.
    pub fn run(self) -> anyhow::Result<()> {
        let mut config = Config::load(&self.config)?;
        match self.clock {
            Some(ClockArg::Wall) => config.server.clock = Clock::Wall,
            Some(ClockArg::Events) => config.server.clock = Clock::Events,
            None => {}
        }
        let listeners = Listeners::bind(&config.server, self.insecure)?;
        let (grpc, http) = (listeners.grpc()?, listeners.http()?);
        let ready = move || {
            let line = format!("inkling serves gRPC on {grpc}, health and metrics on http://{http}\n");
            // Whoever started the service may not read what it says.
            let _ = super::print(&line);
        };
        server::run(config, Identity::generate(), listeners, told_to_stop(), ready).context("inkling serve")
    }
}

/// Waits for SIGTERM or SIGINT. Where the system lets us wait for neither, only a kill ends the service.
async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

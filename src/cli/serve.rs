//! `inkling serve --config FILE`: runs the service until it is told to stop.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::data;
use crate::config::{Clock, Config};
use crate::demo;
use crate::identity::Identity;
use crate::server::{self, Listeners, Secrets};
use crate::storage::{Directory, Ground};

/// Arguments of `inkling serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration, a TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Let other machines connect: there is neither TLS nor keys yet
    #[arg(long)]
    insecure: bool,
    /// Keep the journal here, whatever the configuration says
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep nothing: a restart forgets all users and all that was learned, tokens that are out are refused, and an
    /// acknowledged event survives nothing
    #[arg(long, conflicts_with = "data")]
    memory: bool,
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
        if let Some(data) = self.data {
            config.storage.path = data;
        }
        let listeners = Listeners::bind(&config.server, self.insecure)?;
        let (grpc, http) = (listeners.grpc()?, listeners.http()?);
        let kept = if self.memory { "nothing: a restart forgets all".to_owned() } else { data::kept(&config.storage) };
        let ready = move || {
            let line = format!("inkling serves gRPC on {grpc}, health and metrics on http://{http}; keeps {kept}\n");
            // Whoever started the service may not read what it says.
            let _ = super::print(&line);
        };
        // Locked until the service has ended.
        let directory = match self.memory {
            true => None,
            false => Some(open(&config.storage.path)?),
        };
        let (ground, secrets) = match &directory {
            None => {
                let ground = Ground { tell: data::teller(), ..Ground::in_memory() };
                (ground, Secrets::in_memory(Identity::generate()))
            }
            Some(directory) => (data::ground(directory, &config.storage)?, Secrets::of(directory)),
        };
        server::run(config, ground, secrets, listeners, told_to_stop(), ready)
    }
}

/// The directory that the service works in.
///
/// # Errors
/// When it cannot be used, or a demo made it: whoever knows the program knows its key, and so whose profile is whose.
fn open(path: &Path) -> anyhow::Result<Directory> {
    let directory = Directory::open_or_make(path)?;
    ensure!(
        !demo::is_of_a_demo(&directory),
        "{}: was made by `inkling demo`: its identity key is no secret, and its users are made up; name another \
         directory, `[storage] path` or `serve --data`",
        path.display()
    );
    Ok(directory)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_a_demo_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let (demos, own) = (place.path().join("demo"), place.path().join("own"));
        drop(Directory::open_or_make_with(&demos, || [0; 32]).unwrap());
        let refused = open(&demos).unwrap_err().to_string();
        assert!(refused.contains("was made by `inkling demo`") && refused.contains("`serve --data`"), "{refused}");
        drop(open(&own).unwrap());
        open(&own).unwrap();
    }
}

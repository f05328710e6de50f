//! The commands, one file each.
//!
//! Exit codes: 0 when the command did what it was asked, 1 when it failed, 2 when the command line itself is wrong.
//!
//! *Invariants.* Knows the command line and how to say things to people; decides nothing about scores or state.

mod backup;
mod check;
mod data;
mod demo;
mod exchange;
mod export;
mod input;
mod inspect;
mod json;
mod load;
mod prices;
mod remote;
mod repair;
mod replay;
mod rotate;
mod score;
mod segments;
mod serve;
mod signals;
mod simulate;
mod track;
mod tune;
mod verify;
mod web;
mod words;

use std::io::{self, Write};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

/// A signal engine for programmatic bidding: micro conversions in, bid multipliers with reasons out.
#[derive(Debug, Parser)]
#[command(name = "inkling", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backup(backup::Backup),
    /// Checks a configuration file and says what it means
    Check(check::Check),
    /// Shows the main job in seconds: shoppers, a bidder and the service, over real gRPC
    Demo(demo::Demo),
    #[command(hide = true)]
    Echo(load::Echo),
    Export(export::Export),
    Inspect(inspect::Inspect),
    Load(load::Load),
    Repair(repair::Repair),
    /// Plays a recorded log through the engine and says how good its predictions were
    Replay(replay::Replay),
    Rotate(rotate::Rotate),
    Score(score::Score),
    Segments(segments::Segments),
    /// Runs the service until SIGTERM or SIGINT
    Serve(serve::Serve),
    Simulate(simulate::Simulate),
    Track(track::Track),
    Tune(tune::Tune),
    Verify(verify::Verify),
}

impl Cli {
    /// Does what the command line asks.
    ///
    /// # Errors
    /// When the command failed: the chain of causes is what the user is told.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Backup(backup) => backup.run(),
            Command::Check(check) => check.run(),
            Command::Demo(demo) => demo.run(),
            Command::Echo(echo) => echo.run(),
            Command::Export(export) => export.run(),
            Command::Inspect(inspect) => inspect.run(),
            Command::Load(load) => load.run(),
            Command::Repair(repair) => repair.run(),
            Command::Replay(replay) => replay.run(),
            Command::Rotate(rotate) => rotate.run(),
            Command::Score(score) => score.run(),
            Command::Segments(segments) => segments.run(),
            Command::Serve(serve) => serve.run(),
            Command::Simulate(simulate) => simulate.run(),
            Command::Track(track) => track.run(),
            Command::Tune(tune) => tune.run(),
            Command::Verify(verify) => verify.run(),
        }
    }
}

/// Ends the program as clap does when the arguments are wrong.
fn wrong_usage(of: &str, what: &str) -> ! {
    let mut command = Cli::command();
    command.build();
    let of = command.find_subcommand_mut(of).expect("a command asks for its own usage");
    of.error(ErrorKind::MissingRequiredArgument, what).exit()
}

/// Writes a text to standard output. That a reader such as `head` has seen enough is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

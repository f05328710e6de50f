//! The command line of Inkling: parse, dispatch, print the error once.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use inkling::cli::Cli;

/// Costs less CPU a call than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            // A configuration may have several mistakes, one a line; what begins with spaces belongs to the one above.
            for line in causes.join(": caused by ").lines() {
                let prefix = if line.starts_with(' ') { "" } else { "error: " };
                // Where nobody can read it, the exit code still tells.
                let _ = writeln!(std::io::stderr(), "{prefix}{line}");
            }
            ExitCode::FAILURE
        }
    }
}

//! `ws-cli`: a WebSocket server to run. It sends every message back, and has a console for the browser.

#![forbid(unsafe_code)]

mod args;
mod console;
mod echo;
mod listen;
mod signals;
mod units;

use args::Args;
use echo::{Echo, OpenConnections};
use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};
use units::Size;

fn main() -> ExitCode {
    let args = Args::from_process();
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("ws-cli: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal ends it.
fn serve(args: &Args) -> Result<(), Box<dyn Error>> {
    // Each connection is an open file. Where the limit cannot be raised, the server has as many as it allows.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let (listening, config) = (&args.listening, args.config());
    let server = listen::bind(&listening.bind, listening.port, &config)?;
    let open = OpenConnections::default();
    signals::watch(server.remote(), open.clone(), config.drain_window.saturating_add(config.close_timeout))?;
    say(&listen::announcement(&listening.bind, server.local_addrs()));
    say(&format!("ws-cli keeps at most {} for its clients (--memory-budget)", Size(config.memory_budget)));
    let remote = server.remote();
    server.run(|_worker| Echo::new(open.clone(), remote.clone()))?;
    Ok(())
}

/// Prints a line to the standard error, in one piece. It may be closed, which is no reason to end.
fn say(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

//! The trials: everything that drives the server as its users do, and measures it. `cargo xtask` passes on to them:
//! `cargo xtask soak` is typed, and runs `cargo run --package trials -- soak`. What needs more than Cargo says what is
//! missing.
#![forbid(unsafe_code)]

mod attacks;
mod bench;
mod browser;
mod build;
mod canary;
#[path = "../../xtask/src/cargo.rs"]
mod cargo;
mod client;
mod conformance;
mod connections;
mod document;
mod faults;
mod interop;
mod process;
#[path = "../../xtask/src/programs.rs"]
mod programs;
mod random;
mod raw;
mod resources;
mod server;
mod soak;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a command comes to. Errors are for the person who reads them: nothing here acts on their kind.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Drives the server as its users do, and measures it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures the server beside those that people would pick instead.
    Bench(bench::Options),
    /// Drives the server's console page, and a page of another origin, in a real browser.
    Browser(browser::Options),
    /// Runs the Autobahn testsuite's fuzzing client against the server.
    Conformance(conformance::Options),
    /// Has other people's clients and servers talk to ours.
    Interop(interop::Options),
    /// Holds many connections open at once, and sees that nothing is left behind.
    Connections(connections::Options),
    /// Does to the server what peers and operators do to one, and sees that it bears it (docs/faults.md).
    Faults(faults::Options),
    /// Has a mixed crowd of clients come and go for a while, and sees that nothing grows and nobody is late.
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Browser(options) => browser::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Interop(options) => interop::run(&options),
        Command::Connections(options) => connections::run(&options),
        Command::Faults(options) => faults::run(&options),
        Command::Soak(options) => soak::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}

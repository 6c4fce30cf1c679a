//! `cargo xtask`: every check and every measurement of this workspace. `ci` needs nothing but Cargo; what else needs more
//! says what is missing.
#![forbid(unsafe_code)]

mod attacks;
mod bench;
mod browser;
mod canary;
mod cargo;
mod ci;
mod client;
mod conformance;
mod connections;
mod document;
mod faults;
mod fuzz;
mod interop;
mod process;
mod random;
mod raw;
mod resources;
mod server;
mod soak;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a command comes to. Errors are for the person who reads them: nothing here acts on their kind.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Every check and every measurement of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every check there is, in order, and stops at the first that fails.
    Ci(ci::Options),
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
    /// Runs the fuzz targets, each for a while (needs cargo-fuzz).
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Ci(options) => ci::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Browser(options) => browser::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Interop(options) => interop::run(&options),
        Command::Connections(options) => connections::run(&options),
        Command::Faults(options) => faults::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}

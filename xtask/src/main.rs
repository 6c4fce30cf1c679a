//! `cargo xtask`: the checks of this workspace. It depends on none of our crates, so it runs whatever is broken. What
//! drives the server (`cargo xtask soak`, say) is the package `trials`, to which it passes on.
#![forbid(unsafe_code)]

mod cargo;
mod ci;
mod fuzz;
mod programs;
mod trial;

use clap::{Args, Parser, Subcommand};
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
    /// Run the checks, in order, up to the first that fails.
    Ci(ci::Options),
    /// Run the fuzz targets, each for a while (needs cargo-fuzz).
    Fuzz(fuzz::Options),
    /// Measure the server beside those that people would pick instead.
    #[command(disable_help_flag = true)]
    Bench(Trial),
    /// Drive the server's console page, and a page of another origin, in a real browser.
    #[command(disable_help_flag = true)]
    Browser(Trial),
    /// Run the Autobahn testsuite's fuzzing client against the server.
    #[command(disable_help_flag = true)]
    Conformance(Trial),
    /// Let other people's clients and servers talk to ours.
    #[command(disable_help_flag = true)]
    Interop(Trial),
    /// Hold many connections open at once, and check that nothing is left behind.
    #[command(disable_help_flag = true)]
    Connections(Trial),
    /// Do to the server what peers and operators do to one, and check that it bears it (docs/faults.md).
    #[command(disable_help_flag = true)]
    Faults(Trial),
    /// Let a mixed crowd of clients come and go for a while, and check that nothing grows and nobody is late.
    #[command(disable_help_flag = true)]
    Soak(Trial),
}

/// The arguments of a trial, which are passed on.
#[derive(Args)]
struct Trial {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Ci(options) => ci::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Bench(trial) => return run(trial, "bench"),
        Command::Browser(trial) => return run(trial, "browser"),
        Command::Conformance(trial) => return run(trial, "conformance"),
        Command::Interop(trial) => return run(trial, "interop"),
        Command::Connections(trial) => return run(trial, "connections"),
        Command::Faults(trial) => return run(trial, "faults"),
        Command::Soak(trial) => return run(trial, "soak"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a trial in the folder that this was called in; it says itself what is wrong.
fn run(trial: Trial, name: &str) -> ExitCode {
    let mut command = trial::trial(name);
    if let Ok(folder) = std::env::current_dir() {
        command.current_dir(folder);
    }
    let status = command.args(trial.arguments).status();
    if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

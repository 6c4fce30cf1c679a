//! Cargo, called from the root of the workspace.

use crate::Outcome;
use serde_json::Value;
use std::{
    error::Error,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// `cargo` with these arguments, parted by white space: the same Cargo that runs us.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments.split_whitespace()).current_dir(root());
    command
}

/// The same for the workspace in `bench/`.
pub(crate) fn bench(arguments: &str) -> Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join("bench"));
    command
}

/// Runs a command to its end; what it prints stays visible.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

/// What a command prints to its standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(failed(command, output.status));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The workspace, as Cargo describes it.
pub(crate) fn metadata() -> Outcome<Value> {
    Ok(serde_json::from_str(&output(&mut cargo("metadata --no-deps --format-version 1"))?)?)
}

fn failed(command: &Command, status: ExitStatus) -> Box<dyn Error> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = [program].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("`{}` ended with {status}", words.join(" ")).into()
}

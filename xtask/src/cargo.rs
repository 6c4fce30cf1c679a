//! Cargo, called from the root of the workspace.

use crate::Outcome;
use serde_json::Value;
use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Where Cargo puts what it builds.
pub(crate) fn target_folder() -> Outcome<PathBuf> {
    let folder = metadata()?["target_directory"].as_str().map(PathBuf::from);
    folder.ok_or_else(|| "Cargo names no folder for what it builds".into())
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

/// Builds `ws-cli` with these flags, and gives the path of the program.
pub(crate) fn build_ws_cli(flags: &str) -> Outcome<PathBuf> {
    let build = format!(
        "build --locked --package ws-cli --bin ws-cli --message-format json-render-diagnostics {flags}"
    );
    let mut programs = built_programs(&mut cargo(&build))?;
    programs.remove("ws-cli").ok_or_else(|| "Cargo built no program `ws-cli`".into())
}

/// The programs that a `cargo build --message-format json-render-diagnostics` has built, and where they are.
pub(crate) fn built_programs(build: &mut Command) -> Outcome<HashMap<String, PathBuf>> {
    let messages = output(build)?;
    let programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let (name, path) = (message["target"]["name"].as_str()?, message["executable"].as_str()?);
        Some((name.to_owned(), PathBuf::from(path)))
    });
    Ok(programs.collect())
}

/// The workspace's crates that have a library.
pub(crate) fn libraries() -> Outcome<Vec<String>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let libraries = packages.filter(|package| {
        let mut targets = package["targets"].as_array().into_iter().flatten();
        targets.any(|target| target["kind"][0] == "lib")
    });
    Ok(libraries.filter_map(|package| package["name"].as_str().map(str::to_owned)).collect())
}

fn metadata() -> Outcome<Value> {
    Ok(serde_json::from_str(&output(&mut cargo("metadata --no-deps --format-version 1"))?)?)
}

fn failed(command: &Command, status: ExitStatus) -> Box<dyn Error> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = [program].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("`{}` ended with {status}", words.join(" ")).into()
}

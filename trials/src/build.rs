//! The programs that trials drive, as Cargo builds them.

use crate::{
    Outcome,
    cargo::{cargo, metadata, output},
};
use serde_json::Value;
use std::{collections::HashMap, path::PathBuf, process::Command};

/// Where Cargo puts what it builds.
pub(crate) fn target_folder() -> Outcome<PathBuf> {
    let folder = metadata()?["target_directory"].as_str().map(PathBuf::from);
    folder.ok_or_else(|| "Cargo names no folder for what it builds".into())
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

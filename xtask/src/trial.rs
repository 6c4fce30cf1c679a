//! The trials, which are a package of their own.

use crate::cargo::{cargo, root};
use std::process::Command;

/// A trial of the package `trials`, as Cargo builds and runs it.
pub(crate) fn trial(name: &str) -> Command {
    let mut command = cargo("run --quiet --locked --package trials --manifest-path");
    command.arg(root().join("Cargo.toml")).args(["--", name]);
    command
}

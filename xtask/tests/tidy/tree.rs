//! The workspace as the checks see it: what git would commit, and what Cargo says depends on what.

use crate::layers::Edge;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Extensions of Rust sources.
pub(crate) const RUST: &[&str] = &["rs"];

/// Extensions of files that people write and read.
pub(crate) const TEXT: &[&str] = &["rs", "md", "toml", "html", "css", "js"];

/// Runs a check over every file with one of these extensions (over every file, if there are none), and gives the
/// faults with their file. Files that are no UTF-8 are passed over.
pub(crate) fn each_file(extensions: &[&str], check: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for path in git(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split_terminator('\0')
    {
        let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
        if !extensions.is_empty() && !extension.is_some_and(|extension| extensions.contains(&extension)) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        faults.extend(check(path, &text).into_iter().map(|fault| format!("{path}: {fault}")));
    }
    faults
}

/// A file that has to be there.
pub(crate) fn read(path: &str) -> String {
    read_source(path).unwrap_or_else(|| panic!("{path} is missing"))
}

/// The text of all files in a folder.
pub(crate) fn each_text(folder: &str) -> String {
    let mut texts = String::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        texts += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    texts
}

/// A file's text, if there is such a file.
pub(crate) fn read_source(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(path)).ok()
}

/// Whether there is such a file or folder.
pub(crate) fn exists(path: &Path) -> bool {
    root().join(path).exists()
}

/// `Cargo.lock` decides what is built from a fresh clone, so it has to be in one.
pub(crate) fn lock_file_faults() -> Vec<String> {
    let tracked = git(&["ls-files", "--cached", "*Cargo.lock"]);
    let lock_files = ["Cargo.lock", "bench/Cargo.lock", "fuzz/Cargo.lock"];
    let untracked = lock_files.iter().filter(|lock_file| !tracked.lines().any(|line| line == **lock_file));
    untracked.map(|lock_file| format!("{lock_file} is not tracked")).collect()
}

/// Every dependency that a crate of the workspace in this folder declares.
pub(crate) fn dependencies(folder: &str) -> Vec<Edge> {
    let manifest = format!("{folder}/Cargo.toml");
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--manifest-path", &manifest];
    let output = run(env!("CARGO"), &arguments);
    let metadata: Value = serde_json::from_str(&output).unwrap();
    let mut edges = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            edges.push(Edge {
                from: package["name"].as_str().unwrap().to_owned(),
                to: dependency["name"].as_str().unwrap().to_owned(),
                ours: !dependency["path"].is_null(),
                dev: dependency["kind"] == "dev",
            });
        }
    }
    edges
}

/// The roots of our crates, in the tree that `TIDY_TREE` names, or this one.
pub(crate) fn crate_roots() -> Vec<PathBuf> {
    let tree = std::env::var_os("TIDY_TREE").map_or_else(root, PathBuf::from);
    let crates = std::fs::read_dir(tree.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = crates.chain(["xtask", "trials"].map(|name| tree.join(name))).collect();
    folders.sort();
    let roots = folders.iter().flat_map(|folder| ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root)));
    roots.filter(|root| root.is_file()).collect()
}

fn git(arguments: &[&str]) -> String {
    run("git", arguments)
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

//! Peers that are scripts: how each is installed, and how it is run.

use super::check::Compression;
use crate::Outcome;
use crate::process::{Process, lines_of, url};
use crate::programs::find_program;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The versions that are talked to.
const WEBSOCKETS: &str = "17.4";
const WS: &str = "8.23.0";

/// How long a package manager may take.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a client may take for all its checks.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

/// Each peer's name, and what installs it below a folder.
pub(super) const SCRIPTS: [(&str, Install); 2] = [("python websockets", python), ("npm ws", npm)];

type Install = fn(&Path) -> Outcome<Peer>;

/// A library with its two scripts.
pub(super) struct Peer {
    /// The library's name and version.
    pub(super) name: String,
    /// What runs the scripts.
    program: PathBuf,
    client: PathBuf,
    server: PathBuf,
}

impl Peer {
    /// Has the client do its checks with the server at this URL, and gives the lines that it prints.
    pub(super) fn client(&self, url: &str, compression: Compression) -> Outcome<Vec<String>> {
        let mut command = Command::new(&self.program);
        lines_of(command.arg(&self.client).args([url, compression.word()]), RUN_TIMEOUT)
    }

    /// Starts the server, and gives the address that it listens on.
    pub(super) fn server(&self, compression: Compression) -> Outcome<(Process, String)> {
        let mut command = Command::new(&self.program);
        let process = Process::start(command.arg(&self.server).arg(compression.word()))?;
        let url = process.find_in_lines(|line| url(line, "ws://"))?;
        Ok((process, url.trim_start_matches("ws://").to_owned()))
    }
}

/// `websockets`, by pip in an environment of its own.
fn python(folder: &Path) -> Outcome<Peer> {
    let python = find_program(&["python3"]).ok_or("there is no python3")?;
    let folder = folder.join("python");
    let client = put(&folder, "client.py", include_str!("client.py"))?;
    let server = put(&folder, "server.py", include_str!("server.py"))?;
    let environment = folder.join("environment");
    lines_of(Command::new(python).args(["-m", "venv"]).arg(&environment), INSTALL_TIMEOUT)?;
    let program = environment.join("bin").join("python");
    let package = format!("websockets=={WEBSOCKETS}");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &package];
    lines_of(Command::new(&program).args(pip), INSTALL_TIMEOUT)?;
    Ok(Peer { name: format!("python websockets {WEBSOCKETS}"), program, client, server })
}

/// `ws`, by npm in a folder of its own.
fn npm(folder: &Path) -> Outcome<Peer> {
    let program = find_program(&["node"]).ok_or("there is no node")?;
    let npm = find_program(&["npm"]).ok_or("there is no npm")?;
    let folder = folder.join("npm");
    let client = put(&folder, "client.mjs", include_str!("client.mjs"))?;
    let server = put(&folder, "server.mjs", include_str!("server.mjs"))?;
    let package = format!("ws@{WS}");
    let mut install = Command::new(npm);
    install.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix"]);
    lines_of(install.arg(&folder).arg(&package), INSTALL_TIMEOUT)?;
    Ok(Peer { name: format!("npm ws {WS}"), program, client, server })
}

/// Writes a script to where its library is found.
fn put(folder: &Path, name: &str, text: &str) -> Outcome<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

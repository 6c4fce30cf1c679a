//! The servers that are measured: how they are built and started.

use super::isolation::on_cores;
use super::workloads::Task;
use crate::Outcome;
use crate::build::{build_ws_cli, built_programs, target_folder};
use crate::cargo::bench;
use crate::programs::{find_program, poll};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// How long a server gets to say where it listens.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The package that needs a compiler for C++, and zlib.
const CPP: &str = "bench-uwebsockets";

/// A server, as a row of the tables.
pub(super) struct Server {
    /// As one types it.
    pub(super) name: &'static str,
    /// As the tables have it.
    pub(super) title: &'static str,
    program: &'static str,
    does: &'static [Task],
    /// Where its program is, if it was not built here.
    folder: Option<PathBuf>,
}

/// The server that all others are measured by.
pub(super) const RAW: &str = "raw-tcp";

/// Ours.
pub(super) const OURS: &str = "ws-cli";

const ECHO: &[Task] = &[Task::Echo, Task::Idle];
const COMPRESSED: &[Task] =
    &[Task::Echo, Task::Idle, Task::Json { takeover: false }, Task::Json { takeover: true }];
const ALL: &[Task] =
    &[Task::Echo, Task::Idle, Task::Json { takeover: false }, Task::Json { takeover: true }, Task::Broadcast];

/// All servers, in the order of the tables.
pub(super) static SERVERS: [Server; 8] = [
    Server::new(RAW, "raw TCP on mio", "bench-raw-tcp", ECHO),
    Server::new("uwebsockets", "uWebSockets (C++)", CPP, ALL),
    Server::new(OURS, "**ws-cli**", OURS, ALL),
    Server::new("sockudo-ws", "sockudo-ws", "bench-sockudo-ws", ALL),
    Server::new("yawc", "yawc", "bench-yawc", COMPRESSED),
    Server::new("fastwebsockets", "fastwebsockets", "bench-fastwebsockets", ECHO),
    Server::new("tokio-websockets", "tokio-websockets", "bench-tokio-websockets", ECHO),
    Server::new("tokio-tungstenite", "tokio-tungstenite", "bench-tokio-tungstenite", ECHO),
];

/// What was built, and where it is.
pub(super) struct Programs {
    paths: HashMap<String, PathBuf>,
    /// Where servers write what they say.
    pub(super) logs: PathBuf,
}

impl Programs {
    /// Builds everything.
    pub(super) fn build() -> Outcome<Self> {
        let mut paths = HashMap::from([("ws-cli".to_owned(), build_ws_cli("--release")?)]);
        let build = |packages: &str| {
            built_programs(&mut bench(&format!(
                "build --release --locked {packages} --message-format json-render-diagnostics"
            )))
        };
        paths.extend(build(&format!("--workspace --exclude {CPP}"))?);
        match find_program(&["c++", "g++", "clang++"]) {
            Some(_) => match build(&format!("--package {CPP}")) {
                Ok(built) => paths.extend(built),
                Err(error) => eprintln!("\n!!! LEFT OUT: uWebSockets: {error} (packages g++ and zlib1g-dev)"),
            },
            None => {
                eprintln!("\n!!! LEFT OUT: uWebSockets: no compiler for C++ (packages g++ and zlib1g-dev)");
            }
        }
        let logs = target_folder()?.join("bench-logs");
        std::fs::create_dir_all(&logs)?;
        Ok(Self { paths, logs })
    }

    pub(super) fn load(&self) -> Outcome<&Path> {
        Ok(self.paths.get("bench-load").ok_or("the load was not built")?)
    }

    /// Whether the server can do that, and was built.
    pub(super) fn can(&self, server: &Server, task: Task) -> bool {
        server.does.contains(&task) && self.path(server, task).is_some_and(|path| path.is_file())
    }

    fn path(&self, server: &Server, task: Task) -> Option<PathBuf> {
        let program = server.program(task);
        server.folder.as_ref().map(|folder| folder.join(program)).or_else(|| self.paths.get(program).cloned())
    }

    /// Starts a server on these cores.
    pub(super) fn start(&self, server: &Server, task: Task, workers: usize, cores: &str) -> Outcome<Running> {
        let program = server.program(task);
        let path = self.path(server, task).ok_or_else(|| format!("{program} was not built"))?;
        let log = self.logs.join(format!("{program}.log"));
        let file = File::create(&log)?;
        let mut command = on_cores(cores, &path);
        command.args(["--port", "0"]).args(server.flags(task));
        if program == OURS {
            command.args(["--workers", &workers.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut running = Running { child, port: 0 };
        running.port = poll(TIMEOUT, &format!("{program} does not say where it listens"), || {
            if let Some(status) = running.child.try_wait()? {
                return Err(format!("{program} ended with {status}, see {}", log.display()).into());
            }
            Ok(std::fs::read_to_string(&log)?.lines().find_map(port))
        })?;
        Ok(running)
    }
}

impl Server {
    const fn new(
        name: &'static str,
        title: &'static str,
        program: &'static str,
        does: &'static [Task],
    ) -> Self {
        Self { name, title, program, does, folder: None }
    }

    /// Ours, as it was built at another time: this folder has its programs, and its name. What it lacks it does not do.
    pub(super) fn build(folder: &Path) -> Outcome<Self> {
        let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
        if !folder.join(OURS).is_file() {
            return Err(format!("there is no {OURS} in {}", folder.display()).into());
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        // As long-lived as the names of the others. There are a few.
        let name: &'static str = name.into_owned().leak();
        Ok(Self { folder: Some(folder), ..Self::new(name, name, OURS, ALL) })
    }

    /// Whether it is ours, of now or of another time.
    pub(super) fn is_ours(&self) -> bool {
        self.program == OURS
    }

    /// What runs: ws-cli does not broadcast, and so its library does.
    fn program(&self, task: Task) -> &'static str {
        if self.is_ours() && task == Task::Broadcast { "bench-ws-server" } else { self.program }
    }

    fn flags(&self, task: Task) -> &'static [&'static str] {
        match task {
            Task::Echo | Task::Idle => &[],
            // As it is shipped.
            Task::Json { takeover: false } if self.is_ours() => &[],
            Task::Json { takeover: false } => &["--compression", "shared"],
            Task::Json { takeover: true } => &["--compression", "takeover"],
            Task::Broadcast => &["--broadcast"],
        }
    }
}

/// A server that runs. It is killed when this value is dropped.
pub(super) struct Running {
    child: Child,
    pub(super) port: u16,
}

impl Running {
    /// The process's number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port in a line that tells where a server listens: `listening on 4711`, `listening on ws://localhost:4711 (…`.
fn port(line: &str) -> Option<u16> {
    let (_, place) = line.split_once("listening on ")?;
    let place = place.split_whitespace().next()?;
    place.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Server, port};
    use crate::cargo::root;

    #[test]
    fn a_folder_without_a_server_is_no_build() {
        for (folder, expect) in [("crates", "there is no ws-cli in"), ("no-such-folder", "no-such-folder: ")]
        {
            let error = Server::build(&root().join(folder)).err().unwrap().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }

    #[test]
    fn ports_are_read() {
        for (line, expect) in [
            ("listening on 4711", Some(4711)),
            ("ws-cli listening on ws://localhost:4711 (console: http://localhost:9)", Some(4711)),
            ("ws-cli keeps at most 3996MiB for its clients (--memory-budget)", None),
        ] {
            assert_eq!(port(line), expect, "{line}");
        }
    }
}

//! Programs that run beside us: their lines are read, and they end when we are done with them.

use crate::{Outcome, programs::poll};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program gets to say where it listens, and to end.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running program. It is killed when this value is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// What it prints, so that it never waits for us to read.
    lines: Receiver<String>,
}

impl Process {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let (sender, lines) = channel();
        send_lines(child.stdout.take(), sender.clone());
        send_lines(child.stderr.take(), sender);
        Ok(Self { name, child, lines })
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Hands on the lines that the program prints, until `found` gives something.
    pub(crate) fn find_in_lines<T>(&self, mut found: impl FnMut(&str) -> Option<T>) -> Outcome<T> {
        let deadline = Instant::now() + TIMEOUT;
        let mut said = String::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(found) = found(&line) {
                        return Ok(found);
                    }
                    said = said + "\n  " + &line;
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("{} did not say where it listens, only: {said}", self.name).into());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("{} ended: {said}", self.name).into());
                }
            }
        }
    }

    /// The lines that the program has printed since they were last asked for.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Waits for a program that was told to end.
    pub(crate) fn wait_for_end(&mut self) -> Outcome<ExitStatus> {
        poll(TIMEOUT, &format!("{} does not end", self.name), || Ok(self.child.try_wait()?))
    }

    /// The same, and gives what is left of its lines.
    pub(crate) fn wait_for_end_and_lines(&mut self) -> Outcome<(ExitStatus, Vec<String>)> {
        let status = self.wait_for_end()?;
        let deadline = Instant::now() + TIMEOUT;
        let next = || self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
        Ok((status, std::iter::from_fn(next).collect()))
    }
}

/// Runs a program to its end, and gives the lines that it prints.
///
/// # Errors
///
/// It fails, or takes longer than it may. What it has printed is in the error.
pub(crate) fn lines_of(command: &mut Command, timeout: Duration) -> Outcome<Vec<String>> {
    let mut process = Process::start(command)?;
    let deadline = Instant::now() + timeout;
    let mut lines = Vec::new();
    let ended = loop {
        match process.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Timeout) => break format!("did not end in {} s", timeout.as_secs()),
            Err(RecvTimeoutError::Disconnected) => {
                let status = process.wait_for_end()?;
                if status.success() {
                    return Ok(lines);
                }
                break format!("ended with {status}");
            }
        }
    };
    Err(format!("{} {ended}:\n  {}", process.name, lines.join("\n  ")).into())
}

/// Reads to the end, beside everything else.
fn send_lines(stream: Option<impl Read + Send + 'static>, sender: Sender<String>) {
    thread::spawn(move || {
        for line in stream.into_iter().flat_map(|stream| BufReader::new(stream).lines()) {
            let Ok(line) = line else { break };
            // Nobody may be listening any more; the pipe is to be read all the same.
            let _ = sender.send(line);
        }
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first URL of this scheme (`ws://`) in a line.
pub(crate) fn url(line: &str, scheme: &str) -> Option<String> {
    let at = line.find(scheme)?;
    line[at..].split(|c: char| c.is_whitespace() || "\"'`<>,)".contains(c)).next().map(str::to_owned)
}

/// A new folder, removed with everything in it when this value is dropped.
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Makes the folder.
    pub(crate) fn new() -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("ws-trials-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // A browser's helpers may still write for a moment after it has ended.
        let removed =
            poll(Duration::from_secs(5), "still written to", || Ok(std::fs::remove_dir_all(&self.0).ok()));
        if removed.is_err() {
            eprintln!("cannot remove {}", self.0.display());
        }
    }
}

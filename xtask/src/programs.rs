//! Programs that are on the machine, and waiting for them.

use crate::Outcome;
use std::{
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Runs a program to its end; what it prints stays visible.
pub(crate) fn status_of(command: &mut Command, timeout: Duration) -> Outcome<ExitStatus> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child =
        command.stdin(Stdio::null()).spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let status = poll(timeout, &format!("{name} does not end"), || Ok(child.try_wait()?));
    if status.is_err() {
        // Both fail only for a process that has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
    status
}

/// The first program of these names that the `PATH` has.
pub(crate) fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut candidates = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.find(|candidate| candidate.is_file())
}

/// Asks again and again until there is an answer.
///
/// For what gives no notice: another process's state, and a page's.
pub(crate) fn poll<T>(
    timeout: Duration,
    otherwise: &str,
    mut ask: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            return Err(format!("{otherwise}, after {} s", timeout.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

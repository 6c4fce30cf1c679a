//! A log that cannot be written.

use super::report::Findings;
use super::trial::Trial;
use crate::Outcome;
use crate::build::build_ws_cli;
use crate::process::ScratchFolder;
use crate::programs::poll;
use crate::raw::{self, TEXT};
use crate::server::Server;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

/// How many clients come: two lines each, and far more than the file may hold.
const CLIENTS: usize = 2_000;

/// The most that the file may hold, in blocks of 512 bytes (POSIX `ulimit -f`).
const MAX_BLOCKS: usize = 64;

/// The log's file reaches its limit, and is emptied as a rotation does; then a disk without room.
pub(super) fn at_its_limit(program: &Path) -> Outcome<Findings> {
    let mut findings = Findings::default();
    let folder = ScratchFolder::new()?;
    let file = folder.path().join("log");
    let prologue = format!("exec 2>>'{}' && ulimit -f {MAX_BLOCKS}", file.display());
    let mut server = Server::start_unseen(&prologue, program, free_port()?, &["--workers", "1"])?;
    findings.before = Some(server.usage()?);
    let came = come_and_go(server.port());
    let written = fs::read_to_string(&file)?;
    if let Err(error) = came {
        let end = server.wait_for_end().map_or("it runs".to_owned(), |status| status.to_string());
        findings.demand(false, format!("at {} KiB: {error}, and the server: {end}", written.len() >> 10));
        return Ok(findings);
    }
    findings.demand(
        written.len() <= MAX_BLOCKS * 512 && server.usage().is_ok(),
        format!("{CLIENTS} clients come and go, and the file stays at {} KiB", written.len() >> 10),
    );
    let before = lines_of_connections(&written);
    OpenOptions::new().write(true).truncate(true).open(&file)?;
    // What is said next is the number of lines that were lost.
    let mut after = 0;
    let lost = poll(Duration::from_secs(10), "the log does not tell how many lines were lost", || {
        after += 1;
        open_and_close(server.port())?;
        let text = fs::read_to_string(&file)?;
        let numbers = text.lines().filter(|line| line.contains(" lines=")).filter_map(number_of_lines);
        Ok(text.contains(" lines=").then(|| (numbers.sum::<usize>(), lines_of_connections(&text))))
    });
    match lost {
        Ok((lost, later)) => {
            let logged = before + lost + later;
            // The last line before the limit may be cut, and the last clients' lines may still be on their way.
            let expected = 2 * (CLIENTS + after) + 2 * WAITED;
            findings.demand(
                lost > 0 && logged <= expected && logged + 8 >= 2 * CLIENTS,
                format!("{before} lines, then {lost} reported as lost, then {later}: {logged} of {expected}"),
            );
        }
        Err(error) => findings.demand(false, error.to_string()),
    }
    findings.after = Some(server.usage()?);
    server.end()?;

    let server = Server::start_unseen("exec 2>/dev/full", program, free_port()?, &["--workers", "1"])?;
    come_and_go(server.port())?;
    let mut client = raw::open(server.port())?;
    client.write_all(&raw::frame(TEXT, b"well?"))?;
    let echo = raw::next_frame(&mut client)?;
    findings.demand(
        echo == (TEXT, b"well?".to_vec()),
        format!("on a disk without room, {CLIENTS} clients come and go, and an echo comes back"),
    );
    drop(client);
    server.end()?;
    Ok(findings)
}

/// Handlers that panic, where nobody reads the standard error. The server is a build that can be made to panic: no other
/// can, as far as is known.
pub(super) fn panics_unread(_: &Path) -> Outcome<Findings> {
    /// Their lines are more than a pipe holds, and a panic's own message would block whoever writes it there.
    const PANICS: usize = 2_000;

    let program = build_ws_cli("--features provoked-panics --target-dir target/provoked-panics")?;
    let folder = ScratchFolder::new()?;
    let pipe = folder.path().join("pipe");
    // The shell holds the pipe's reading end, and never reads.
    let prologue = format!("mkfifo '{0}' && exec 9<>'{0}' 2>'{0}'", pipe.display());
    let server = Server::start_unseen(&prologue, &program, free_port()?, &["--workers", "1"])?;
    let mut trial = Trial::of(server)?;
    let mut told = 0;
    for _ in 0..PANICS {
        let mut client = raw::open(trial.server.port())?;
        client.write_all(&raw::frame(TEXT, b"panic"))?;
        told += usize::from(raw::close_code(&mut client)? == Some(1011));
    }
    trial.demand(told == PANICS, format!("{told} of {PANICS} clients of a handler that panics got 1011"));
    trial.demand_echoes_within(Duration::from_millis(50));
    trial.finish()
}

/// How many connections the start of a server that is not seen may take.
const WAITED: usize = 1;

fn come_and_go(port: u16) -> Outcome {
    (0..CLIENTS).try_for_each(|_| open_and_close(port))
}

fn open_and_close(port: u16) -> Outcome {
    let mut client = raw::open(port)?;
    client.write_all(&raw::close(1000))?;
    raw::close_code(&mut client).map(drop)
}

fn lines_of_connections(text: &str) -> usize {
    text.lines().filter(|line| line.contains(" open  ") || line.contains(" close ")).count()
}

fn number_of_lines(line: &str) -> Option<usize> {
    let (_, rest) = line.split_once(" lines=")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A port that nobody listens on at the moment.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

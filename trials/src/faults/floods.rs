//! Floods of small frames.

use super::report::Findings;
use super::trial::Trial;
use crate::attacks::Flood;
use crate::{Outcome, raw};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a flood lasts.
const DURATION: Duration = Duration::from_secs(5);

/// How much a server may grow, in bytes: what two clients may make it hold, and its buffers.
const MAX_GROWTH: u64 = 8 << 20;

/// How long a healthy client's echo may take meanwhile.
const ECHO_LIMIT: Duration = Duration::from_millis(50);

pub(super) fn pings(program: &Path) -> Outcome<Findings> {
    flood(program, Flood::Pings)
}

pub(super) fn fragments(program: &Path) -> Outcome<Findings> {
    flood(program, Flood::Fragments)
}

pub(super) fn empty_fragments(program: &Path) -> Outcome<Findings> {
    flood(program, Flood::EmptyFragments)
}

pub(super) fn empty_messages(program: &Path) -> Outcome<Findings> {
    flood(program, Flood::EmptyMessages)
}

/// Two clients, one that reads the answers and one that does not.
fn flood(program: &Path, flood: Flood) -> Outcome<Findings> {
    let mut trial = Trial::start(program, &[])?;
    let port = trial.server.port();
    let deadline = Instant::now() + DURATION;
    let attacks: Vec<Result<Sent, String>> = thread::scope(|scope| {
        let attackers = [true, false].map(|reads| scope.spawn(move || attack(port, flood, reads, deadline)));
        let join = |attacker: thread::ScopedJoinHandle<'_, _>| attacker.join();
        attackers.map(|attacker| join(attacker).unwrap_or(Err("an attacker panicked".to_owned()))).into()
    });
    let mut all = Sent::default();
    for sent in attacks {
        let sent = sent?;
        (all.len, all.connections) = (all.len + sent.len, all.connections + sent.connections);
    }
    let frames = all.len / flood.frame().len() as u64;
    trial.demand(
        frames > 1_000_000,
        format!("{} million frames on {} connections in 5 s", frames / 1_000_000, all.connections),
    );
    trial.demand_peak(MAX_GROWTH)?;
    trial.demand_echoes_within(ECHO_LIMIT);
    trial.finish()
}

/// What one attacker has sent.
#[derive(Default)]
struct Sent {
    /// In bytes.
    len: u64,
    connections: usize,
}

/// Floods, and comes back whenever the server has had enough.
fn attack(port: u16, flood: Flood, reads: bool, deadline: Instant) -> Result<Sent, String> {
    let mut sent = Sent::default();
    while Instant::now() < deadline {
        let stream = raw::open(port).map_err(|error| error.to_string())?;
        sent.len += flood.pour(stream, reads, deadline);
        sent.connections += 1;
    }
    Ok(sent)
}

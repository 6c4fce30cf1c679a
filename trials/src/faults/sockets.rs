//! Sockets that say nothing, that there are no descriptors for, that are reset, and that come and go.

use super::report::{Findings, mib};
use super::trial::Trial;
use crate::random::Random;
use crate::raw::{self, REQUEST};
use crate::resources::raise_descriptor_limit;
use crate::server::{Metrics, Server};
use crate::{Outcome, attacks};
use socket2::Socket;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Deadlines are looked at once a second, and the machine has others to run.
const SLACK: Duration = Duration::from_secs(3);

/// What the server's memory may grow by over many connections that leave nothing behind, in bytes.
const MAX_GROWTH: u64 = 1 << 20;

/// The same where messages of 1 MiB were under way, whose memory the allocator may keep for the next ones.
const MAX_GROWTH_WITH_MESSAGES: u64 = 4 << 20;

/// Sockets that never get to the end of their request.
pub(super) fn silent(program: &Path) -> Outcome<Findings> {
    const SOCKETS: usize = 10_000;
    const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
    /// How often they are looked at; each time, another tenth of the slow ones sends its byte.
    const STEP: Duration = Duration::from_millis(100);

    raise_descriptor_limit(SOCKETS + 100)?;
    let mut trial = Trial::start(program, &["--handshake-timeout", "5s"])?;
    let mut sockets = Vec::new();
    for index in 0..SOCKETS {
        let stream = raw::connect(trial.server.port())?;
        stream.set_nonblocking(true)?;
        sockets.push(Silent { stream, sends: index % 2 == 0, opened: Instant::now() });
    }
    let mut ages = Vec::new();
    let mut wrong = 0;
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT + 2 * SLACK;
    for step in 0.. {
        if sockets.is_empty() || Instant::now() >= deadline {
            break;
        }
        let (tenth, byte) = (step % 10, REQUEST.as_bytes()[step / 10]);
        for (index, socket) in sockets.iter_mut().enumerate() {
            if socket.sends && index / 2 % 10 == tenth {
                // One that has been ended is seen below.
                let _ = socket.stream.write(&[byte]);
            }
        }
        sockets.retain_mut(|socket| {
            let mut answer = [0; 512];
            let len = match socket.stream.read(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                read => read.unwrap_or(0),
            };
            // Nothing is asked by those that send nothing, and nothing is answered.
            let expect: &[u8] = if socket.sends { b"HTTP/1.1 408 " } else { b"" };
            wrong += usize::from(answer[..len.min(13)] != *expect);
            ages.push(socket.opened.elapsed());
            false
        });
        thread::sleep(STEP);
    }
    let (youngest, oldest) = (ages.iter().min().copied(), ages.iter().max().copied());
    let (youngest, oldest) = (youngest.unwrap_or_default(), oldest.unwrap_or_default());
    trial.demand(
        ages.len() == SOCKETS && wrong == 0,
        format!("{} of {SOCKETS} ended, {wrong} of them with a wrong response", ages.len()),
    );
    trial.demand(
        youngest >= HANDSHAKE_TIMEOUT && oldest <= HANDSHAKE_TIMEOUT + SLACK,
        format!(
            "after {:.1} to {:.1} s, with --handshake-timeout 5s",
            youngest.as_secs_f64(),
            oldest.as_secs_f64()
        ),
    );
    trial.demand_echoes_within(Duration::from_millis(10));
    trial.finish()
}

struct Silent {
    stream: TcpStream,
    /// Whether it sends a byte a second.
    sends: bool,
    opened: Instant,
}

/// More clients than the server has descriptors for.
pub(super) fn descriptors(program: &Path) -> Outcome<Findings> {
    const MAX: u64 = 64;
    const CLIENTS: usize = 100;
    const SHORTAGE: Duration = Duration::from_secs(3);

    // Only once it runs: what it finds at the start, it keeps within.
    let server = Server::start(program, &["--workers", "1"])?;
    server.limit_descriptors(MAX)?;
    let mut trial = Trial::of(server)?;
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = raw::connect(trial.server.port())?;
        stream.write_all(REQUEST.as_bytes())?;
        stream.set_nonblocking(true)?;
        waiting.push(stream);
    }
    let mut served = Vec::new();
    serve(&mut waiting, &mut served, Instant::now() + Duration::from_secs(1));
    let busy = trial.server.usage()?.busy;
    thread::sleep(SHORTAGE);
    let busy = (trial.server.usage()?.busy - busy).as_secs_f64() / SHORTAGE.as_secs_f64();
    serve(&mut waiting, &mut served, Instant::now());
    trial.demand(
        !waiting.is_empty() && !served.is_empty(),
        format!(
            "{} clients were served and {} waited for {} s",
            served.len(),
            waiting.len(),
            SHORTAGE.as_secs()
        ),
    );
    trial.demand(busy < 0.1, format!("meanwhile the server used {:.0} % of a core", busy * 100.0));

    let start = Instant::now();
    served.clear();
    serve(&mut waiting, &mut served, start + SLACK);
    trial.demand(
        waiting.is_empty(),
        format!(
            "{} of them were served {} ms after the others left",
            served.len(),
            start.elapsed().as_millis()
        ),
    );
    trial.demand_echoes_within(Duration::from_millis(50));
    drop(served);
    // It is over after a second without it.
    thread::sleep(SLACK);
    let lines = trial.server.lines();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let said = [count("accepting pauses"), count("accepting goes on")];
    trial.demand(said == [1, 1], format!("log lines of the pause: {}, of its end: {}", said[0], said[1]));
    trial.finish()
}

/// Moves those to `served` that have an answer, until all have one or it is `until`.
fn serve(waiting: &mut Vec<TcpStream>, served: &mut Vec<TcpStream>, until: Instant) {
    loop {
        let has_answer = |stream: &mut TcpStream| stream.read(&mut [0; 512]).is_ok_and(|len| len > 0);
        served.extend(waiting.extract_if(.., has_answer));
        if waiting.is_empty() || Instant::now() >= until {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Connections that end with a reset, whatever is under way.
pub(super) fn resets(program: &Path) -> Outcome<Findings> {
    const COUNT: usize = 10_000;
    let mut trial = Trial::start(program, &["--metrics", "127.0.0.1:0"])?;
    let metrics_port = trial.server.metrics_port()?;
    let mut random = Random::new(0);
    for index in 0..COUNT {
        // The server may be the first to end it.
        let _ = attacks::reset_at(index, trial.server.port(), &mut random);
    }
    trial.demand_echoes_within(Duration::from_millis(50));
    let usage = trial.settled()?;
    let metrics = Metrics::of(metrics_port)?;
    let (opened, closed, open) = (
        metrics.value("ws_handshakes_total{status=\"101\"}")?,
        metrics.sum("ws_connections_closed_total"),
        metrics.value("ws_connections_open")?,
    );
    trial.demand(
        opened == closed + 1 && open == 1,
        format!("{opened} connections opened, {closed} closed, {open} (the healthy one) still open"),
    );
    let grown = usage.resident_len.saturating_sub(trial.memory_before());
    trial.demand(grown <= MAX_GROWTH_WITH_MESSAGES, format!("{:.1} MiB more than at the start", mib(grown)));
    trial.finish()
}

/// One address opens connections as fast as it can, while others want to come in.
pub(super) fn connect_flood(program: &Path) -> Outcome<Findings> {
    const FLOODERS: usize = 2;
    const DURATION: Duration = Duration::from_secs(5);
    const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
    const ENTRY_LIMIT: Duration = Duration::from_millis(100);

    let mut trial = Trial::start(program, &[])?;
    let port = trial.server.port();
    let deadline = Instant::now() + DURATION;
    let mut entries = Vec::new();
    let floods: Vec<usize> = thread::scope(|scope| -> Outcome<_> {
        let flooders: Vec<_> = (0..FLOODERS)
            .map(|_| {
                scope.spawn(move || {
                    let mut count = 0;
                    while Instant::now() < deadline {
                        // The server may refuse it, or have it wait.
                        let set_up = |socket: &Socket| socket.set_linger(Some(Duration::ZERO));
                        count += usize::from(raw::connect_from(SOURCE, port, set_up).is_ok());
                    }
                    count
                })
            })
            .collect();
        while Instant::now() < deadline {
            let start = Instant::now();
            let mut stream = raw::open(port)?;
            entries.push(start.elapsed());
            stream.write_all(&raw::close(1000))?;
            raw::close_code(&mut stream)?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(flooders.into_iter().map(|flooder| flooder.join().unwrap_or(0)).collect())
    })?;
    let flood: usize = floods.iter().sum();
    trial.demand(
        flood > 1_000,
        format!("{} connections a second from one address", flood as u64 / DURATION.as_secs()),
    );
    entries.sort_unstable();
    let late = entries[entries.len() * 99 / 100];
    trial.demand(
        late <= ENTRY_LIMIT,
        format!(
            "99 % of {} others were let in within {:.1} ms, of {} at most",
            entries.len(),
            late.as_secs_f64() * 1e3,
            ENTRY_LIMIT.as_millis()
        ),
    );
    trial.demand_echoes_within(Duration::from_millis(50));
    trial.finish()
}

/// Connections that come and go, one half with a closing handshake and the other half without a word.
pub(super) fn cycles(program: &Path) -> Outcome<Findings> {
    const COUNT: usize = 20_000;
    let mut trial = Trial::start(program, &[])?;
    let start = Instant::now();
    for index in 0..COUNT {
        let mut stream = raw::open(trial.server.port())?;
        if index % 2 == 0 {
            stream.write_all(&raw::close(1000))?;
            raw::close_code(&mut stream)?;
        }
    }
    let elapsed = start.elapsed();
    trial.demand(true, format!("{:.0} a second", COUNT as f64 / elapsed.as_secs_f64()));
    trial.demand_echoes_within(Duration::from_millis(50));
    let grown = trial.settled()?.resident_len.saturating_sub(trial.memory_before());
    trial.demand(grown <= MAX_GROWTH, format!("{:.2} MiB more than at the start", mib(grown)));
    trial.finish()
}

//! Signals, under clients.

use super::report::Findings;
use crate::Outcome;
use crate::raw::{self, REQUEST};
use crate::resources::raise_descriptor_limit;
use crate::server::Server;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// SIGTERM under clients that answer their close.
pub(super) fn drain(program: &Path) -> Outcome<Findings> {
    const CLIENTS: usize = 1_000;
    const WINDOW: usize = 5;
    /// How often the server is asked whether it is ready, and for an upgrade.
    const QUESTION: Duration = Duration::from_millis(500);
    const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();

    raise_descriptor_limit(CLIENTS + 100)?;
    let mut server = Server::start(program, &["--workers", "1", "--drain-window", &format!("{WINDOW}s")])?;
    let port = server.port();
    let mut findings = Findings { before: Some(server.usage()?), ..Findings::default() };
    let mut clients = (0..CLIENTS).map(|_| raw::open(port)).collect::<Outcome<Vec<_>>>()?;
    clients.iter().try_for_each(|client| client.set_nonblocking(true))?;
    findings.demand(raw::get(port, "/readyz")?.0 == 200, "/readyz said 200");

    server.signal("TERM")?;
    let start = Instant::now();
    let deadline = start + 3 * Duration::from_secs(WINDOW as u64);
    let mut closed = [0; WINDOW + 1];
    let (mut otherwise, mut asked, mut refused) = (0, 0, 0);
    while !clients.is_empty() && Instant::now() < deadline {
        clients.retain_mut(|client| {
            let mut frame = [0; 128];
            match client.read(&mut frame) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Ok(len) if len >= 4 && frame[0] == raw::CLOSE && frame[2..4] == GOING_AWAY => {
                    let second = usize::try_from(start.elapsed().as_secs()).unwrap_or(WINDOW).min(WINDOW);
                    closed[second] += 1;
                    // The server may be the first to end the connection.
                    let _ = client.write_all(&raw::close(1001));
                }
                _ => otherwise += 1,
            }
            false
        });
        // The last ones may be gone before they are asked about.
        if start.elapsed() >= QUESTION * (asked + 1) && clients.len() > CLIENTS / 20 {
            asked += 1;
            let answers = [raw::get(port, "/readyz")?.0, upgrade_status(port)?];
            refused += u32::from(answers == [503, 503]);
        }
        findings.after = server.usage().ok().or(findings.after);
        thread::sleep(Duration::from_millis(2));
    }
    let status = server.wait_for_end()?;
    let elapsed = start.elapsed().as_secs_f64();
    let count: usize = closed.iter().sum();
    findings.demand(
        count == CLIENTS,
        format!("{count} of {CLIENTS} got 1001, {otherwise} something else, {} nothing", clients.len()),
    );
    // An even spread is 200 a second; half of that is far below what chance makes of it.
    let is_spread = closed[..WINDOW].iter().all(|second| *second >= CLIENTS / WINDOW / 2);
    findings
        .demand(is_spread, format!("in each second: {}", closed.map(|second| second.to_string()).join(", ")));
    findings.demand(
        asked > 0 && refused == asked,
        format!(
            "{asked} times /readyz and an upgrade were asked for meanwhile, {refused} times both were a 503"
        ),
    );
    findings.demand(status.success(), format!("{status} after {elapsed:.1} s"));
    Ok(findings)
}

/// A second SIGTERM, while clients that do not answer their close are waited for.
pub(super) fn second_signal(program: &Path) -> Outcome<Findings> {
    const CLIENTS: usize = 100;
    /// SIGTERM's number, on top of 128 as shells do.
    const CODE: i32 = 128 + 15;

    let mut server = Server::start(program, &["--workers", "1"])?;
    let mut findings = Findings { before: Some(server.usage()?), ..Findings::default() };
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| raw::open(server.port())).collect::<Outcome<_>>()?;
    server.signal("TERM")?;
    // Longer than the window in which they are closed, and much shorter than they are waited for.
    thread::sleep(Duration::from_secs(2));
    findings.after = Some(server.usage()?);
    findings.demand(true, "2 s after the first it still waited");
    let start = Instant::now();
    server.signal("TERM")?;
    let status = server.wait_for_end()?;
    let elapsed = start.elapsed();
    findings.demand(
        status.code() == Some(CODE) && elapsed < Duration::from_secs(1),
        format!("{status} {} ms after the second", elapsed.as_millis()),
    );
    drop(clients);
    Ok(findings)
}

fn upgrade_status(port: u16) -> Outcome<u16> {
    let mut stream = raw::connect(port)?;
    stream.write_all(REQUEST.as_bytes())?;
    Ok(raw::answer(&mut stream)?.0)
}

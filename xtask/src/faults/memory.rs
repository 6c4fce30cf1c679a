//! Clients that would have the server keep things for them.

use super::report::{Findings, mib};
use super::trial::Trial;
use crate::Outcome;
use crate::attacks::Torrent;
use crate::raw::{self, BINARY};
use crate::resources::raise_descriptor_limit;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// What a client that never reads offers at most.
const OFFERED_LEN: u64 = 1 << 30;

/// The same for each of a thousand.
const OFFERED_EACH_LEN: u64 = 16 << 20;

/// When the server gives such a client up. As shipped, it takes 30 s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Deadlines are looked at once a second, and the machine has others to run.
const SLACK: Duration = Duration::from_secs(3);

/// How long a healthy client's echo may take among a thousand that send as fast as they can: each has its share of
/// a turn, which is 1 MiB.
const CROWD_ECHO_LIMIT: Duration = Duration::from_secs(1);

/// Buffers and segments of the sockets of very many clients, so that it is the server that holds what they send. A
/// thousand clients with usual ones would take all the memory that the kernel has for TCP.
const SMALL_BUFFER_LEN: usize = 16 << 10;
const SMALL_SEGMENT_LEN: u32 = 1_400;

/// The memory budget of the row about it, in MiB.
const BUDGET: u64 = 256;

/// One client sends and never reads.
pub(super) fn never_reads(program: &Path) -> Outcome<Findings> {
    let mut trial = Trial::start(program, &["--write-timeout", &format!("{}s", WRITE_TIMEOUT.as_secs())])?;
    let client = raw::open(trial.server.port())?;
    let message = raw::frame(BINARY, &vec![0x5a; 1 << 20]);
    let (taken, cut_after) = send_until_cut(&[client], &message, OFFERED_LEN)?;
    // What the kernel's buffers on the way hold is in there, too.
    trial.demand(taken < OFFERED_LEN / 16, format!("{:.1} of 1024 MiB were taken", mib(taken)));
    trial.demand(
        cut_after.is_some_and(|elapsed| elapsed >= WRITE_TIMEOUT && elapsed <= WRITE_TIMEOUT + SLACK),
        format!("cut after {}, with --write-timeout 5s", seconds(cut_after)),
    );
    // The high water (1 MiB), the message that passed it, and what is under way when reading pauses.
    trial.demand_peak(8 * MIB)?;
    trial.demand_echoes_within(Duration::from_millis(50));
    trial.finish()
}

/// A thousand clients do.
pub(super) fn never_reads_thousandfold(program: &Path) -> Outcome<Findings> {
    const CLIENTS: u64 = 1_000;
    raise_descriptor_limit(2_000)?;
    let mut trial = Trial::start(program, &["--write-timeout", &format!("{}s", WRITE_TIMEOUT.as_secs())])?;
    let clients: Vec<TcpStream> =
        (0..CLIENTS).map(|_| open_small(trial.server.port())).collect::<Outcome<_>>()?;
    let message = raw::frame(BINARY, &[0x5a; 64 << 10]);
    let (taken, cut_after) = send_until_cut(&clients, &message, OFFERED_EACH_LEN)?;
    let offered = CLIENTS * OFFERED_EACH_LEN;
    trial.demand(taken < offered, format!("{:.0} of {:.0} MiB were taken", mib(taken), mib(offered)));
    trial.demand(
        cut_after.is_some_and(|elapsed| elapsed >= WRITE_TIMEOUT),
        format!("all were cut after {}, with --write-timeout 5s", seconds(cut_after)),
    );
    // For each of them the high water (1 MiB), what one turn may read (1 MiB), and a message.
    trial.demand_peak(CLIENTS * (2 * MIB + 64 * 1024))?;
    trial.demand_echoes_within(CROWD_ECHO_LIMIT);
    trial.finish()
}

/// A thousand messages are begun, and a MiB more of each is sent again and again.
pub(super) fn unfinished(program: &Path) -> Outcome<Findings> {
    const CLIENTS: usize = 1_000;
    const ROUNDS: usize = 3;
    raise_descriptor_limit(2 * CLIENTS)?;
    let mut trial = Trial::start(program, &["--memory-budget", &format!("{BUDGET}MiB")])?;
    let port = trial.server.port();
    let mut clients = (0..CLIENTS).map(|_| raw::open(port)).collect::<Outcome<Vec<_>>>()?;
    let mut begin = raw::header(BINARY, 16 * MIB);
    let part = vec![0x5a; 1 << 20];
    begin.extend(&part);
    for round in 0..ROUNDS {
        let bytes = if round == 0 { &begin } else { &part };
        // It fails for those that the server has closed by then.
        clients.retain_mut(|client| client.write_all(bytes).is_ok());
    }
    drop(clients);
    // The server may be far behind.
    trial.settled()?;
    let evicted = trial.server.lines().iter().filter(|line| line.contains("memory budget is spent")).count();
    trial.demand(evicted > 0, format!("{evicted} were closed for the budget"));
    let peak = trial.server.usage()?.peak_len;
    let limit = BUDGET * MIB + trial.memory_before();
    trial.demand(
        peak <= limit,
        format!("peak {:.1} MiB, with the budget and the start {:.1}", mib(peak), mib(limit)),
    );
    trial.demand_echoes_within(CROWD_ECHO_LIMIT);
    trial.finish()
}

/// Sends this message again and again on each of them until the server cuts them all. Gives how many bytes were taken,
/// and after how long the last one was cut.
fn send_until_cut(clients: &[TcpStream], message: &[u8], max_len: u64) -> Outcome<(u64, Option<Duration>)> {
    let start = Instant::now();
    let deadline = start + 3 * WRITE_TIMEOUT + SLACK;
    let mut torrents = Vec::new();
    for client in clients {
        client.set_nonblocking(true)?;
        torrents.push((client, Torrent::new(message.to_vec())));
    }
    let mut taken = 0;
    while !torrents.is_empty() && Instant::now() < deadline {
        let mut went_on = false;
        torrents.retain_mut(|(client, torrent)| {
            let before = torrent.sent_len();
            // Those that have sent it all wait for the end of their connection.
            let alive = match torrent.send(client, max_len) {
                Ok(sent) if sent => true,
                Ok(_) => matches!(client.take_error(), Ok(None)),
                Err(_) => false,
            };
            went_on |= torrent.sent_len() > before;
            taken += torrent.sent_len() - before;
            alive
        });
        if !went_on {
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok((taken, torrents.is_empty().then(|| start.elapsed())))
}

/// Opens a connection of which the kernel holds little, on either side.
fn open_small(port: u16) -> Outcome<TcpStream> {
    let stream = raw::connect_with(port, |socket| {
        socket.set_send_buffer_size(SMALL_BUFFER_LEN)?;
        socket.set_recv_buffer_size(SMALL_BUFFER_LEN)?;
        // What the server's side takes at first are so many segments, and loopback's are of 64 KiB.
        socket.set_tcp_mss(SMALL_SEGMENT_LEN)
    })?;
    raw::upgrade(stream)
}

fn seconds(elapsed: Option<Duration>) -> String {
    elapsed.map_or("never".to_owned(), |elapsed| format!("{:.1} s", elapsed.as_secs_f64()))
}

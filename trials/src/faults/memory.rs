//! Clients that would have the server keep things for them.

use super::report::{Findings, mib};
use super::trial::Trial;
use crate::Outcome;
use crate::attacks::Torrent;
use crate::process::{Process, ScratchFolder};
use crate::raw::{self, BINARY};
use crate::resources::raise_descriptor_limit;
use crate::server::Server;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
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
    demand_within_budget(&mut trial)?;
    trial.demand_echoes_within(CROWD_ECHO_LIMIT);
    trial.finish()
}

/// One address has very many connections that each hold little, and another one sends large messages.
pub(super) fn crowd_of_small_holders(program: &Path) -> Outcome<Findings> {
    const CROWD: usize = 1_200;
    const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
    const DURATION: Duration = Duration::from_secs(8);
    /// A message of the honest client's, and how long it takes to send one.
    const MESSAGE_LEN: usize = 4 << 20;
    const PIECES: usize = 32;
    const PAUSE: Duration = Duration::from_millis(1_000 / PIECES as u64);

    raise_descriptor_limit(2 * CROWD)?;
    let mut trial = Trial::start(program, &["--memory-budget", &format!("{BUDGET}MiB")])?;
    let port = trial.server.port();
    let deadline = Instant::now() + DURATION;
    let mut begun = raw::header(BINARY, 16 * MIB);
    begun.extend(vec![0x5a; 200 << 10]);
    let (honest, came) = thread::scope(|scope| {
        let honest = scope.spawn(move || -> io::Result<usize> {
            let message = raw::frame(BINARY, &[0x5a; MESSAGE_LEN]);
            let mut stream = raw::open(port).map_err(|error| io::Error::other(error.to_string()))?;
            let mut echoed = 0;
            while Instant::now() < deadline {
                for piece in message.chunks(message.len().div_ceil(PIECES)) {
                    stream.write_all(piece)?;
                    thread::sleep(PAUSE);
                }
                match raw::next_frame(&mut stream)? {
                    (BINARY, payload) if payload.len() == MESSAGE_LEN => echoed += 1,
                    (first, payload) => {
                        let payload = String::from_utf8_lossy(&payload).into_owned();
                        return Err(io::Error::other(format!("{first:#x} {payload:?} instead of an echo")));
                    }
                }
            }
            Ok(echoed)
        });
        let mut crowd: Vec<TcpStream> = Vec::new();
        let mut came = 0;
        while Instant::now() < deadline {
            while crowd.len() < CROWD && Instant::now() < deadline {
                // One that is refused, or ended at once, comes again.
                let Ok(stream) = raw::connect_from(SOURCE, port, |_| Ok(())) else { break };
                let Ok(mut stream) = raw::upgrade(stream) else { break };
                came += 1;
                if stream.write_all(&begun).is_ok() && stream.set_nonblocking(true).is_ok() {
                    crowd.push(stream);
                }
            }
            crowd.retain_mut(|stream| {
                let read = stream.read(&mut [0; 512]);
                matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            });
            thread::sleep(Duration::from_millis(1));
        }
        (honest.join(), came)
    });
    let honest = honest.map_err(|_| "the honest client panicked")?;
    let text = match &honest {
        Ok(echoed) => {
            format!("{echoed} messages of 4 MiB from another address were echoed, and it was never ended")
        }
        Err(error) => format!("the client with messages of 4 MiB from another address: {error}"),
    };
    trial.demand(honest.is_ok_and(|echoed| echoed > 0), text);
    trial.demand(came > CROWD, format!("the crowd came {came} times, with {} MiB", came * 200 / 1024));
    demand_within_budget(&mut trial)?;
    trial.demand_echoes_within(CROWD_ECHO_LIMIT);
    trial.finish()
}

/// The whole process stays below its budget and the memory that it had at the start.
fn demand_within_budget(trial: &mut Trial) -> Outcome {
    let peak = trial.server.usage()?.peak_len;
    let limit = BUDGET * MIB + trial.memory_before();
    trial.demand(
        peak <= limit,
        format!("peak {:.1} MiB, with the budget and the start {:.1}", mib(peak), mib(limit)),
    );
    Ok(())
}

/// A server that may have less memory than the machine has.
pub(super) fn limits(program: &Path) -> Outcome<Findings> {
    const LIMIT: &str = "268435456\n";
    let mut findings = Findings::default();
    let unit = "0::/system.slice/ws.service\n";
    for (name, files, own) in [
        ("version 2, at the root", &[("memory.max", LIMIT)][..], "0::/\n"),
        ("version 1", &[("memory/memory.limit_in_bytes", LIMIT)], "4:memory:/\n0::/\n"),
        ("version 2, of a unit", &[("system.slice/ws.service/memory.max", LIMIT)], unit),
        (
            "version 2, of the slice above",
            &[("system.slice/memory.max", LIMIT), ("system.slice/ws.service/memory.max", "max\n")],
            unit,
        ),
    ] {
        let said = budget_in_group(program, files, own);
        let text = match &said {
            Ok(budget) => format!("256 MiB by {name}: a budget of {budget}"),
            Err(error) => format!("256 MiB by {name}: {error}"),
        };
        findings.demand(said.is_ok_and(|budget| budget == "64MiB"), text);
    }

    let prologue = "ulimit -v 524288 && ulimit -c 0";
    let mut server = Server::start_after(prologue, program, &["--workers", "2"])?;
    findings.before = Some(server.usage()?);
    let name = "512 MiB by `ulimit -v`, and 40 unfinished messages of 15 MiB";
    match begin_messages(server.port(), 40) {
        Ok(()) => findings.demand(true, format!("{name}: an echo comes back")),
        Err(error) => {
            let end = server.wait_for_end().map_or("it runs".to_owned(), |status| status.to_string());
            findings.demand(false, format!("{name}: {error}, and the server: {end}"));
            return Ok(findings);
        }
    }
    findings.after = Some(server.usage()?);
    server.end()?;
    Ok(findings)
}

/// Begins so many messages of 16 MiB, sends 15 MiB of each, and sees that others are served meanwhile.
fn begin_messages(port: u16, count: usize) -> Outcome {
    let mut begun = raw::header(BINARY, 16 * MIB);
    begun.extend(vec![0x5a; 15 << 20]);
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = raw::open(port)?;
        // It fails for those that are ended for the budget.
        let _ = client.write_all(&begun);
        clients.push(client);
    }
    let mut healthy = raw::open(port)?;
    healthy.write_all(&raw::frame(BINARY, b"well?"))?;
    match raw::next_frame(&mut healthy)? {
        (BINARY, payload) if payload == b"well?" => Ok(()),
        (first, _) => Err(format!("a frame that begins with {first:#x} instead of an echo").into()),
    }
}

/// Starts a server that sees these files as those of its control groups, and gives the budget that it announces. Needs
/// the right to mount in a namespace of its own.
fn budget_in_group(program: &Path, files: &[(&str, &str)], own: &str) -> Outcome<String> {
    let folder = ScratchFolder::new()?;
    let groups = folder.path().join("groups");
    for (name, text) in files {
        let file = groups.join(name);
        fs::create_dir_all(file.parent().unwrap_or(&groups))?;
        fs::write(file, text)?;
    }
    fs::write(folder.path().join("own"), own)?;
    let folder = folder.path().display();
    let script = format!(
        "mount --bind '{folder}/groups' /sys/fs/cgroup && mount --bind '{folder}/own' /proc/$$/cgroup && \
         exec \"$0\" --port 0 --workers 1"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).arg(program);
    let process = Process::start(&mut command)?;
    process.find_in_lines(|line| {
        let (_, rest) = line.split_once(" at most ")?;
        rest.split_whitespace().next().map(str::to_owned)
    })
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

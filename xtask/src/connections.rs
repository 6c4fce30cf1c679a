//! `cargo xtask connections`: many connections at once, each of them served, and nothing left behind.
//!
//! Linux only: descriptors and memory are read where Linux shows them. The memory is the server's own; what the
//! kernel keeps for its sockets comes on top.

use crate::Outcome;
use crate::cargo::build_ws_cli;
use crate::client::{Client, Offer};
use crate::process::{Process, poll, url};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use ws_handshake::DeflateConfig;
use ws_protocol::CloseCode;

/// How many connections one source address opens: fewer than Linux has ephemeral ports.
const PER_SOURCE: usize = 20_000;

/// Descriptors that a process needs beside those of the connections.
const SPARE_DESCRIPTORS: usize = 100;

/// How long the server gets for an echo, and to let go of its connections.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many connections are open at once.
    #[arg(long, default_value_t = Options::default().count)]
    count: usize,

    /// Whether messages are compressed, and by whose compressor: what a compressed connection costs.
    #[arg(long, value_enum, default_value_t = Options::default().compression)]
    compression: Compression,
}

/// The modes of `ws-cli --compression`.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Compression {
    Off,
    Shared,
    Takeover,
}

impl Default for Options {
    fn default() -> Self {
        Self { count: 10_000, compression: Compression::Off }
    }
}

/// Opens the connections, has a message echoed on each while all are open, and closes them.
pub(crate) fn run(options: &Options) -> Outcome {
    if !cfg!(target_os = "linux") {
        return Err("`connections` counts descriptors as Linux shows them, and runs there only".into());
    }
    let count = options.count;
    raise_descriptor_limit(count + SPARE_DESCRIPTORS)?;
    let (mode, offer) = match options.compression {
        Compression::Off => ("off", None),
        Compression::Shared => ("shared", Some(DeflateConfig::default())),
        Compression::Takeover => ("takeover", Some(takeover())),
    };
    let offer = Offer { deflate: offer, ..Offer::default() };
    let flags = ["--port", "0", "--workers", "1", "--compression", mode, "--max-compressors-len", "64GiB"];
    let server = Process::start(Command::new(build_ws_cli("--release")?).args(flags))?;
    let port = port(&server.find_in_lines(|line| url(line, "ws://"))?)?;

    let before = Usage::of(&server)?;
    let start = Instant::now();
    let mut clients = (0..count).map(|index| connect(index, port, &offer)).collect::<Outcome<Vec<_>>>()?;
    echo(&mut clients)?;
    let open = Usage::of(&server)?;
    let elapsed = start.elapsed();
    close(clients)?;
    let mut after = Usage::of(&server)?;
    let settled = poll(TIMEOUT, "the server still holds descriptors of closed connections", || {
        after = Usage::of(&server)?;
        Ok((after.descriptors == before.descriptors).then_some(()))
    });

    println!("{count} connections opened and served in {:.1} s", elapsed.as_secs_f64());
    println!("{:>12}  {:>11}  {:>15}  {:>16}", "", "descriptors", "resident memory", "a connection");
    for (moment, usage) in [("before", &before), ("all open", &open), ("all closed", &after)] {
        let grown = usage.resident_len.saturating_sub(before.resident_len);
        let each = grown / u64::try_from(count.max(1))?;
        println!(
            "{moment:>12}  {:>11}  {:>9} bytes  {each:>10} bytes",
            usage.descriptors, usage.resident_len
        );
    }
    settled
}

/// What the server's process holds.
struct Usage {
    descriptors: usize,
    /// Resident memory in bytes.
    resident_len: u64,
}

impl Usage {
    fn of(server: &Process) -> Outcome<Self> {
        let process = format!("/proc/{}", server.id());
        let status = std::fs::read_to_string(format!("{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: u64 = resident.unwrap_or("").trim().trim_end_matches(" kB").parse()?;
        let descriptors = std::fs::read_dir(format!("{process}/fd"))?.count();
        Ok(Self { descriptors, resident_len: kibibytes * 1024 })
    }
}

/// Opens one connection; as many as one source address has no ports for come from the next one.
fn connect(index: usize, port: u16, offer: &Offer<'_>) -> Outcome<Client> {
    let source = Ipv4Addr::new(127, 0, 0, u8::try_from(1 + index / PER_SOURCE)?);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Client::upgrade(TcpStream::from(socket), &format!("localhost:{port}"), "/", offer)
        .map_err(|error| format!("connection {index}: {error}").into())
}

/// Has a message of its own echoed to each client. All are sent before any answer is read.
fn echo(clients: &mut [Client]) -> Outcome {
    // Long enough to be compressed.
    let message = |index| format!("{{\"message\":\"of connection {index}\"}},").repeat(30);
    for (index, client) in clients.iter_mut().enumerate() {
        client.send_text(&message(index))?;
    }
    for (index, client) in clients.iter_mut().enumerate() {
        let echo = client
            .receive_text(Instant::now() + TIMEOUT)
            .map_err(|error| format!("connection {index}: {error}"))?;
        if echo != message(index) {
            return Err(format!("connection {index}: its message came back as {echo:?}").into());
        }
    }
    Ok(())
}

/// Both sides' messages may refer to earlier ones.
fn takeover() -> DeflateConfig {
    let mut config = DeflateConfig::default();
    (config.server_no_context_takeover, config.client_no_context_takeover) = (false, false);
    config
}

/// Ends the connections: one half with a closing handshake, the other half without a word.
fn close(clients: Vec<Client>) -> Outcome {
    for (index, client) in clients.into_iter().enumerate() {
        if index % 2 == 0 {
            client.close(CloseCode::NORMAL).map_err(|error| format!("connection {index}: {error}"))?;
        }
    }
    Ok(())
}

fn port(url: &str) -> Outcome<u16> {
    let authority = url.trim_start_matches("ws://").split('/').next().unwrap_or("");
    let port = authority.rsplit(':').next().unwrap_or("");
    port.parse().map_err(|_| format!("no port in {url}").into())
}

/// Raises how many descriptors this process may have, and so the server that it starts.
fn raise_descriptor_limit(needed: usize) -> Outcome {
    let needed = u64::try_from(needed)?;
    let limit = rlimit::increase_nofile_limit(needed)?;
    if limit < needed {
        return Err(format!("{needed} descriptors are needed, and {limit} allowed (`ulimit -Hn`)").into());
    }
    Ok(())
}

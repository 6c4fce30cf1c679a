//! `cargo xtask connections`: many connections at once, each of them served, and nothing left behind.
//!
//! Linux only: descriptors and memory are read where Linux shows them. The memory is the server's own; what the
//! kernel keeps for its sockets comes on top.

use crate::build::build_ws_cli;
use crate::client::{Client, Offer};
use crate::resources::raise_descriptor_limit;
use crate::server::Server;
use crate::{Outcome, raw};
use std::time::{Duration, Instant};
use ws_endpoint::DeflateOffer;
use ws_protocol::CloseCode;

/// Descriptors that a process needs beside those of the connections.
const SPARE_DESCRIPTORS: usize = 100;

/// How long the server gets for an echo.
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
        Compression::Shared => ("shared", Some(DeflateOffer::default())),
        Compression::Takeover => ("takeover", Some(takeover())),
    };
    let offer = Offer { deflate: offer, ..Offer::default() };
    let flags = ["--workers", "1", "--compression", mode, "--max-compressors-len", "64GiB"];
    let server = Server::start(&build_ws_cli("--release")?, &flags)?;

    let before = server.usage()?;
    let start = Instant::now();
    let connected = (0..count).map(|index| connect(index, server.port(), &offer));
    let mut clients = connected.collect::<Outcome<Vec<_>>>()?;
    echo(&mut clients)?;
    let open = server.usage()?;
    let elapsed = start.elapsed();
    close(clients)?;
    let after = server.settled(before.descriptors)?;

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
    Ok(())
}

fn connect(index: usize, port: u16, offer: &Offer<'_>) -> Outcome<Client> {
    Client::upgrade(raw::connect(port)?, &format!("localhost:{port}"), "/", offer)
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
fn takeover() -> DeflateOffer {
    DeflateOffer { server_context_takeover: true, client_context_takeover: true, ..DeflateOffer::default() }
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

//! The load that servers are measured under: one thread, one read and one write for each connection and wake-up, frames
//! that are built beforehand, and every reply checked. The result is one line of JSON on the standard output.
#![forbid(unsafe_code)]

mod broadcast;
mod connect;
mod cycle;
mod echo;
mod idle;
mod latency;
mod replies;
mod server;
mod window;

use clap::{Parser, ValueEnum};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// What a run comes to. Errors are for the person who reads them: nothing here acts on their kind.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Loads a server on 127.0.0.1, and tells what that cost it.
#[derive(Parser)]
struct Options {
    /// The server's process.
    #[arg(long)]
    pid: u32,
    /// The server's port.
    #[arg(long)]
    port: u16,
    /// What to have done.
    #[arg(long, value_enum, default_value = "echo")]
    workload: Workload,
    /// What the messages are.
    #[arg(long, value_enum, default_value = "binary")]
    payload: Payload,
    /// The length of a message's payload, in bytes.
    #[arg(long, default_value_t = 125, value_parser = clap::value_parser!(u32).range(8..))]
    payload_len: u32,
    /// How many messages of a connection (of the one that publishes, for a broadcast) are on their way at once; how many
    /// connections open at once, for idle ones.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    depth: u32,
    /// How many connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Speak plain TCP: the server sends every byte back as it is.
    #[arg(long)]
    raw: bool,
    /// How long to load the server before anything is counted, in milliseconds.
    #[arg(long, default_value_t = 300)]
    warm_up: u64,
    /// How long to count, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    measure: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Workload {
    /// Every message comes back.
    Echo,
    /// Every message of one connection goes to all.
    Broadcast,
    /// Connections that have been served once, and are silent.
    Idle,
}

/// What messages are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Payload {
    /// Random bytes.
    Binary,
    /// Text that is ASCII.
    Text,
    /// Text of one to four bytes a character.
    Mixed,
    /// JSON, compressed if the server agrees to permessage-deflate.
    Json,
}

impl Options {
    fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn payload_len(&self) -> usize {
        self.payload_len as usize
    }

    fn depth(&self) -> usize {
        self.depth as usize
    }

    fn connections(&self) -> usize {
        self.connections as usize
    }

    fn warm_up(&self) -> Duration {
        Duration::from_millis(self.warm_up)
    }

    fn measure(&self) -> Duration {
        Duration::from_millis(self.measure)
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<Value> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    match options.workload {
        Workload::Echo => echo::run(options),
        Workload::Broadcast => broadcast::run(options),
        Workload::Idle => idle::run(options),
    }
}

//! The command line that the measured servers have in common: `--port N` (0 takes a free one), and what a workload needs
//! beside an echo. Each tells its port in a line of its standard output.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::exit;

/// What a server is to do.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The TCP port on 127.0.0.1 to listen on, or 0 for a free one.
    pub port: u16,
    /// Whether permessage-deflate is agreed to.
    pub compression: Compression,
    /// Whether a message goes to everybody, its sender among them, instead of back.
    pub broadcast: bool,
}

/// What is agreed on permessage-deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    Off,
    /// Each message is compressed by itself.
    Shared,
    /// Messages may refer to earlier ones, in both directions.
    Takeover,
}

impl Options {
    /// Reads the command line. A wrong one ends the process.
    #[must_use]
    pub fn from_process() -> Self {
        let mut options = Self { port: 0, compression: Compression::Off, broadcast: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--port" => options.port = value(arguments.next().and_then(|port| port.parse().ok())),
                "--compression" => {
                    options.compression = value(arguments.next().as_deref().and_then(compression));
                }
                "--broadcast" => options.broadcast = true,
                _ => usage(),
            }
        }
        options
    }
}

/// Tells the port that the server listens on.
///
/// # Errors
///
/// Those of the standard output.
pub fn announce(port: u16) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {port}")?;
    stdout.flush()
}

fn compression(word: &str) -> Option<Compression> {
    match word {
        "off" => Some(Compression::Off),
        "shared" => Some(Compression::Shared),
        "takeover" => Some(Compression::Takeover),
        _ => None,
    }
}

fn value<T>(value: Option<T>) -> T {
    value.unwrap_or_else(|| usage())
}

fn usage() -> ! {
    eprintln!("usage: [--port N] [--compression off|shared|takeover] [--broadcast]");
    exit(2)
}

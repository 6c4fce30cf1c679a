//! Connections that are served once and then say nothing: what it costs to open one, and to have it.

use crate::connect::{self, Connections};
use crate::cycle::Cycle;
use crate::echo::{Connection, buffer};
use crate::replies::Replies;
use crate::server::Server;
use crate::{Options, Outcome};
use mio::Events;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

/// A server that has spent nothing for so long has nothing left to do.
const QUIET: Duration = Duration::from_millis(50);

/// How long it may take until then.
const SETTLES: Duration = Duration::from_secs(3);

/// Opens the connections, `depth` of them at once, and has one message of each sent back.
pub(crate) fn run(options: &Options) -> Outcome<Value> {
    let server = Server::new(options.pid);
    let (cpu_before, len_before) = (settled(&server)?, server.resident_len()?);
    let Connections { mut poll, streams, .. } = connect::open(options, options.depth(), None)?;
    let cpu_open = settled(&server)?;

    let cycle = Cycle::new(options.payload, options.payload_len(), 1);
    let requests = cycle.requests(1);
    let mut replies = Replies::verbatim(if options.raw { cycle.requests(0) } else { cycle.replies() });
    let mut connections: Vec<_> =
        streams.into_iter().enumerate().map(|(index, stream)| Connection::new(index, stream)).collect();
    let mut buffer = buffer(options);
    let mut events = Events::with_capacity(1024);
    for connection in &mut connections {
        connection.credit = 1;
        connection.send(&requests)?;
    }
    let mut answered = 0;
    while answered < options.connections() {
        connect::wait(&mut poll, &mut events)?;
        for event in &events {
            answered += connections[event.token().0].receive(&mut buffer, &mut replies)? as usize;
        }
    }
    settled(&server)?;
    let len_open = server.resident_len()?;

    let each = |total: f64| total / options.connections() as f64;
    Ok(json!({
        "connections": options.connections(),
        "cpu_ns_per_handshake": each((cpu_open - cpu_before).as_nanos() as f64),
        "resident_before": len_before,
        "resident_open": len_open,
        "bytes_per_connection": each(len_open.saturating_sub(len_before) as f64),
    }))
}

/// Waits until the server has done what there was to do, and gives what it has spent. A kernel thread that still works
/// for it, or a ping, is not worth waiting for longer.
fn settled(server: &Server) -> Outcome<Duration> {
    let deadline = Instant::now() + SETTLES;
    let mut before = server.cpu_time()?;
    loop {
        thread::sleep(QUIET);
        let now = server.cpu_time()?;
        if now == before || Instant::now() > deadline {
            return Ok(now);
        }
        before = now;
    }
}

//! A worker: the waiting around [`Connections`].

use crate::{Config, Connections, Handler, Readiness, admission::Admitted, mailbox::Mailbox};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

/// The token of the waker; every other is the slot of a connection.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// How often deadlines are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How many sockets one wait may report.
const EVENTS: usize = 1024;

/// Serves connections until the server stops and the last of them has ended.
pub(crate) fn run<H: Handler>(
    worker: u16,
    poll: Poll,
    mailbox: &Mailbox,
    handler: H,
    config: Config,
) -> io::Result<()> {
    let mut worker = Worker { poll, mailbox, connections: Connections::new(worker, handler, config) };
    let mut events = Events::with_capacity(EVENTS);
    let mut next_sweep = Instant::now() + SWEEP_INTERVAL;
    let mut stopping = false;
    while !(stopping && worker.connections.is_empty()) {
        let timeout = if worker.connections.has_unfinished() {
            Some(Duration::ZERO)
        } else if worker.connections.is_empty() {
            None
        } else {
            Some(next_sweep.saturating_duration_since(Instant::now()))
        };
        match worker.poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = Instant::now();
        stopping |= worker.turn(&events, now);
        if now >= next_sweep {
            worker.connections.sweep(now);
            next_sweep = now + SWEEP_INTERVAL;
        }
    }
    Ok(())
}

struct Worker<'a, H: Handler> {
    poll: Poll,
    mailbox: &'a Mailbox,
    connections: Connections<H, Admitted<TcpStream>>,
}

impl<H: Handler> Worker<'_, H> {
    /// Serves what a wait has brought. `true`: the server stops.
    fn turn(&mut self, events: &Events, now: Instant) -> bool {
        let mut woken = false;
        for event in events {
            if event.token() == WAKER {
                woken = true;
                continue;
            }
            let readiness = Readiness {
                readable: event.is_readable() || event.is_error() || event.is_read_closed(),
                writable: event.is_writable(),
                read_closed: event.is_read_closed(),
            };
            self.connections.ready(event.token().0, readiness, now);
        }
        let stopping = woken && self.open_mailbox(now);
        self.connections.end_turn(now);
        stopping
    }

    fn open_mailbox(&mut self, now: Instant) -> bool {
        let waiting = self.mailbox.take();
        for (socket, remote_addr) in waiting.sockets {
            let slot = self.connections.insert(socket, remote_addr, now);
            if let Some(socket) = self.connections.socket(slot) {
                // Registered once, for everything, and never again: readiness comes as edges.
                let interest = Interest::READABLE | Interest::WRITABLE;
                if self.poll.registry().register(&mut socket.socket, Token(slot), interest).is_err() {
                    self.connections.remove(slot);
                }
            }
        }
        for command in &waiting.commands {
            self.connections.command(command, now);
        }
        waiting.stopping
    }
}

//! A worker: the waiting around [`Connections`].

use crate::{
    Config, Connections, Handler, Readiness, Remote,
    config::YEAR,
    worker::{
        acceptor::Acceptor,
        mailbox::{Mailbox, NewSocket},
    },
};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{self, ErrorKind},
    ptr,
    time::{Duration, Instant},
};

/// The token of the waker; every other is that of a listener, or the slot of a connection.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// How often deadlines are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often a worker looks at what a shutdown has left to do.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// By how much a wait may be longer than it was to be, and how long a turn may take, before the rest of it does not count.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// How long a worker leaves its sockets alone when its handler sends more to another worker than that one can take.
const CONGESTION_DELAY: Duration = Duration::from_millis(1);

/// How many sockets one wait may report.
const EVENTS: usize = 1024;

/// How a worker waits: [`Poll::poll`], or what a test has in its place.
pub(crate) type Wait = fn(&mut Poll, &mut Events, Option<Duration>) -> io::Result<()>;

/// Serves connections until the server stops and the last of them has ended. If it cannot wait for them any more, they
/// end at once, and each is told so.
pub(crate) fn run<H: Handler>(
    number: u16,
    poll: Poll,
    wait: Wait,
    acceptor: Option<Acceptor>,
    remote: &Remote,
    handler: H,
    config: Config,
) -> io::Result<()> {
    let mailbox = &remote.mailboxes()[usize::from(number)];
    let drain_time = config.deadlines.drain_window.saturating_add(config.deadlines.close_timeout);
    let max_accepts_per_turn = config.flow.max_accepts_per_turn.max(1);
    let connections = Connections::with_remote(number, handler, config, remote.clone());
    let mut worker = Worker { poll, acceptor, remote, mailbox, max_accepts_per_turn, connections };
    let counters = mailbox.counters();
    worker.connections.count_in(counters.clone());
    let _own = mailbox.is_of_this_thread(worker.connections.outbox().clone());
    let mut events = Events::with_capacity(EVENTS);
    let mut clock = Clock::new();
    let mut next_sweep = clock.now(Instant::now()) + SWEEP_INTERVAL;
    // When the server shuts down: by when it has to be done.
    let mut end: Option<Instant> = None;
    loop {
        let timeout = if worker.connections.is_congested() {
            Some(CONGESTION_DELAY)
        } else if worker.connections.has_unfinished() {
            Some(Duration::ZERO)
        } else if end.is_some() {
            Some(DRAIN_INTERVAL)
        } else if worker.connections.is_empty() {
            None
        } else {
            Some(next_sweep.saturating_duration_since(clock.now(Instant::now())))
        };
        let timeout = timeout.into_iter().chain(worker.acceptor.as_ref().and_then(Acceptor::wait)).min();
        clock.wait(timeout, Instant::now());
        match wait(&mut worker.poll, &mut events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                tracing::error!(worker = number, %error, "a worker cannot wait for its sockets, and the server ends");
                return Err(error);
            }
            _ => {}
        }
        let woken = Instant::now();
        let now = clock.wake(woken);
        if let Some(delay) = clock.delay.take() {
            worker.connections.catch_up(delay, now);
        }
        if worker.turn(&events, now, woken) {
            end.get_or_insert(woken + drain_time.min(YEAR));
        }
        // While the outbox is empty: once handlers have filled it, nobody is read from.
        if now >= next_sweep {
            worker.connections.sweep(now);
            next_sweep = now + SWEEP_INTERVAL;
        }
        worker.connections.end_turn(now);
        if let Some(end) = end {
            worker.connections.drain(now);
            // A worker that has nobody left stays for those who ask for a page, as long as another has someone.
            if remote.admission().is_empty() || woken >= end {
                worker.connections.end_drain(now);
                worker.connections.refuse_unanswered(now);
                return Ok(());
            }
        }
        let turn = woken.elapsed();
        clock.pass(turn);
        counters.turns.add(1);
        counters.busy_nanoseconds.add(u64::try_from(turn.as_nanos()).unwrap_or_default());
    }
}

struct Worker<'a, H: Handler> {
    poll: Poll,
    /// The one that accepts has it.
    acceptor: Option<Acceptor>,
    remote: &'a Remote,
    mailbox: &'a Mailbox,
    max_accepts_per_turn: usize,
    connections: Connections<H, TcpStream>,
}

impl<H: Handler> Worker<'_, H> {
    /// Serves what a wait has brought, at `now` on the worker's clock and `woken` on the system's. `true`: the server stops.
    /// [`Connections::end_turn`] has to follow.
    fn turn(&mut self, events: &Events, now: Instant, woken: Instant) -> bool {
        let mut is_called = false;
        for event in events {
            if event.token() == WAKER {
                is_called = true;
                continue;
            }
            if let Some(acceptor) = &mut self.acceptor
                && acceptor.ready(event.token())
            {
                continue;
            }
            let readiness = Readiness {
                readable: event.is_readable() || event.is_error() || event.is_read_closed(),
                writable: event.is_writable(),
                read_closed: event.is_read_closed(),
            };
            self.connections.ready(event.token().0, readiness, now);
        }
        is_called |= self.accept(woken);
        self.connections.empty_outbox(now);
        is_called && self.open_mailbox(now)
    }

    /// Accepts whom there is, and wakes the others for them. `true`: some may be ours.
    fn accept(&mut self, now: Instant) -> bool {
        let Self { acceptor: Some(acceptor), connections, .. } = self else { return false };
        let accepted = acceptor.accept(self.remote, self.mailbox.counters(), now, |refused, addr, status| {
            connections.refused(refused, addr, status);
        });
        if accepted {
            let others = self.remote.mailboxes().iter().filter(|it| !ptr::eq(*it, self.mailbox));
            others.for_each(Mailbox::wake_for_sockets);
        }
        accepted
    }

    fn open_mailbox(&mut self, now: Instant) -> bool {
        let waiting = self.mailbox.take(self.max_accepts_per_turn);
        let reserve_len = self.remote.admission().reserve_len();
        for NewSocket { place, socket, addr } in waiting.sockets {
            let slot = self.connections.admit(place, socket, addr, reserve_len, now);
            if let Some(socket) = self.connections.socket(slot) {
                // Registered once, for everything, and never again: readiness comes as edges.
                let interest = Interest::READABLE | Interest::WRITABLE;
                if let Err(error) = self.poll.registry().register(socket, Token(slot), interest) {
                    tracing::warn!(address = %addr, %error, "a socket cannot be waited for, and is closed");
                    self.connections.remove(slot);
                }
            }
        }
        self.connections.carry_out(waiting.commands, now);
        waiting.stopping
    }
}

/// The time in which a worker can see what its peers do. While the process is stopped, or a turn takes for ever, they may
/// have done all that they should: that time counts against nobody, so deadlines are judged by this clock.
struct Clock {
    /// What does not count.
    lost: Duration,
    /// The last time in which nobody was looked at for longer than that, until it is taken note of.
    delay: Option<Duration>,
    /// When the wait has to be over.
    until: Option<Instant>,
}

impl Clock {
    fn new() -> Self {
        Self { lost: Duration::ZERO, delay: None, until: None }
    }

    /// What it shows at this moment of the system's clock.
    fn now(&self, system: Instant) -> Instant {
        system.checked_sub(self.lost).unwrap_or(system)
    }

    /// A wait begins, for so long at most.
    fn wait(&mut self, timeout: Option<Duration>, system: Instant) {
        self.until = timeout.map(|timeout| system + timeout.min(YEAR));
    }

    /// The wait is over. Gives what the clock shows.
    fn wake(&mut self, system: Instant) -> Instant {
        let delay = self.until.map_or(Duration::ZERO, |until| system.saturating_duration_since(until));
        self.pass(delay);
        self.now(system)
    }

    /// So much time has passed in which nobody was looked at.
    fn pass(&mut self, delay: Duration) {
        if let Some(lost) = delay.checked_sub(MAX_DELAY) {
            self.lost += lost;
            self.delay = Some(delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_does_not_count_and_a_wait_does() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut clock = Clock::new();
        clock.wait(Some(Duration::from_secs(1)), start);
        assert_eq!(clock.wake(after(1)), after(1), "as long as it was to be");
        clock.wait(Some(Duration::from_secs(1)), after(1));
        assert_eq!(clock.wake(after(3)), after(3), "a busy machine");
        clock.wait(None, after(3));
        assert_eq!(clock.wake(after(1_000)), after(1_000), "there was nobody to be waited for");
        clock.wait(Some(Duration::from_secs(1)), after(1_000));
        assert_eq!(clock.delay.take(), Some(Duration::from_secs(1)), "as busy as it may be");
        assert_eq!(clock.wake(after(1_062)), after(1_002), "it was stopped for a minute");
        assert_eq!(clock.delay.take(), Some(Duration::from_secs(61)));
        clock.pass(Duration::from_millis(900));
        clock.pass(Duration::from_secs(11));
        assert_eq!(clock.now(after(1_100)), after(1_030), "a turn of eleven seconds");
    }
}

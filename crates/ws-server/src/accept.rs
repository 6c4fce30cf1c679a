//! Accepting: new sockets, handed to the workers in turn.

use crate::{Config, mailbox::Remote, metrics::Counters, refusal::Refused};
use mio::{Interest, Registry, Token, net::TcpListener};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long accepting rests when the system cannot give a socket, for lack of descriptors or memory.
const REST: Duration = Duration::from_millis(100);

/// After how long without such a lack it is over. At the limit, every connection that ends makes room for one that comes.
const CALM: Duration = Duration::from_secs(1);

/// The listeners of a server. One worker has them, and accepts for all in its turns: a thread of its own for this would
/// have to be woken, and would have to wake that worker, for every connection.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<Listener>,
    max_per_turn: usize,
    /// The worker that gets the next socket.
    next_worker: usize,
    pace: Pace,
    shortage: Shortage,
    /// Nothing is accepted before.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    /// There may be somebody to accept. Readiness comes as an edge, so it is remembered until the socket says otherwise.
    is_ready: bool,
}

impl Acceptor {
    /// Has `registry` wait for these listeners, with tokens that [`ready`](Self::ready) knows.
    pub(crate) fn new(listeners: Vec<TcpListener>, registry: &Registry, config: &Config) -> io::Result<Self> {
        let mut all = Vec::new();
        for (index, mut socket) in listeners.into_iter().enumerate() {
            registry.register(&mut socket, token(index), Interest::READABLE)?;
            all.push(Listener { socket, is_ready: false });
        }
        Ok(Self {
            listeners: all,
            max_per_turn: config.max_accepts_per_turn.max(1),
            next_worker: 0,
            pace: Pace::new(config.max_accepts_per_second),
            shortage: Shortage::default(),
            rests_until: None,
        })
    }

    /// Takes note that somebody waits, if this is the token of a listener.
    pub(crate) fn ready(&mut self, ready: Token) -> bool {
        let mut listeners = self.listeners.iter_mut().enumerate();
        let listener = listeners.find(|(index, _)| token(*index) == ready);
        listener.map(|(_, listener)| listener.is_ready = true).is_some()
    }

    /// How long there is nothing to be done without a further event; `None`: for ever.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let goes_on = self.listeners.iter().any(|it| it.is_ready).then_some(self.rests_until);
        if goes_on.is_none() && self.shortage.last.is_none() {
            return None;
        }
        let now = Instant::now();
        let goes_on = goes_on.map(|at| at.unwrap_or(now));
        let at = [goes_on, self.shortage.ends()].into_iter().flatten().min();
        at.map(|at| at.saturating_duration_since(now))
    }

    /// Accepts whom this turn has room for, and puts them into the workers' mailboxes. Calls `refused` for those that
    /// are not let in. `false`: nobody was there.
    pub(crate) fn accept(
        &mut self,
        remote: &Remote,
        counters: &Counters,
        now: Instant,
        mut refused: impl FnMut(&Refused, SocketAddr),
    ) -> bool {
        self.shortage.look(now);
        if self.rests_until.is_some_and(|end| now < end) {
            return false;
        }
        self.rests_until = None;
        let mut accepted = false;
        for listener in &mut self.listeners {
            for _ in 0..self.max_per_turn {
                if !listener.is_ready {
                    break;
                }
                if let Err(wait) = self.pace.check(now) {
                    self.rests_until = Some(now + wait);
                    return accepted;
                }
                match listener.socket.accept() {
                    Ok((socket, remote_addr)) => {
                        accepted = true;
                        self.pace.accepted += 1;
                        // Without it, a small answer may wait for the acknowledgement of the one before. A socket
                        // that cannot have it works all the same. On Linux, it has what its listener has.
                        if cfg!(not(target_os = "linux")) {
                            let _ = socket.set_nodelay(true);
                        }
                        counters.accepted.add(1);
                        match remote.admission().admit(socket, remote_addr) {
                            // The reserve is here, in the first worker, so that one can give way to another.
                            Ok(socket) if socket.limit.is_some() => {
                                remote.mailboxes()[0].socket(socket, remote_addr);
                            }
                            Ok(socket) => {
                                let mailboxes = remote.mailboxes();
                                mailboxes[self.next_worker].socket(socket, remote_addr);
                                self.next_worker = (self.next_worker + 1) % mailboxes.len();
                            }
                            Err(response) => refused(&response, remote_addr),
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => listener.is_ready = false,
                    // The peer was gone before it was accepted.
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.shortage.met(&error, now);
                        self.rests_until = Some(now + REST);
                        return accepted;
                    }
                }
            }
        }
        accepted
    }
}

/// The tokens of listeners are the last ones but for that of the waker.
const fn token(listener: usize) -> Token {
    Token(usize::MAX - 1 - listener)
}

/// When a socket could last not be had for lack of something. It is told of when it begins and when it is over.
#[derive(Debug, Default)]
struct Shortage {
    last: Option<Instant>,
}

impl Shortage {
    fn met(&mut self, error: &io::Error, now: Instant) {
        if self.last.replace(now).is_none() {
            tracing::warn!(%error, "accepting pauses, as the system gives no more sockets");
        }
    }

    /// When it is over, if it is not met again.
    fn ends(&self) -> Option<Instant> {
        self.last.map(|last| last + CALM)
    }

    /// Takes note if it is over.
    fn look(&mut self, now: Instant) {
        if self.ends().is_some_and(|end| end <= now) {
            self.last = None;
            tracing::info!("accepting goes on");
        }
    }
}

/// How many more sockets may be accepted in this second.
#[derive(Debug)]
struct Pace {
    max_per_second: usize,
    began: Option<Instant>,
    accepted: usize,
}

impl Pace {
    const fn new(max_per_second: usize) -> Self {
        Self { max_per_second, began: None, accepted: 0 }
    }

    /// Whether one more may be accepted now, or how long it has to wait.
    fn check(&mut self, now: Instant) -> Result<(), Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        let elapsed = now.saturating_duration_since(*self.began.get_or_insert(now));
        if elapsed >= SECOND {
            (self.began, self.accepted) = (Some(now), 0);
        } else if self.accepted >= self.max_per_second.max(1) {
            return Err(SECOND - elapsed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_in_a_second() {
        let (mut pace, start) = (Pace::new(2), Instant::now());
        for (millis, expect) in
            [(0, Ok(())), (300, Ok(())), (400, Err(600)), (1_000, Ok(())), (1_900, Ok(())), (1_999, Err(1))]
        {
            let checked = pace.check(start + Duration::from_millis(millis));
            assert_eq!(checked, expect.map_err(Duration::from_millis), "after {millis} ms");
            pace.accepted += usize::from(checked.is_ok());
        }
    }

    #[test]
    fn a_shortage_is_over_after_a_second_without_it() {
        let (mut shortage, start) = (Shortage::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(shortage.ends(), None);
        shortage.met(&ErrorKind::OutOfMemory.into(), start);
        for (millis, expect) in [(900, 1_000), (999, 1_000)] {
            shortage.look(after(millis));
            assert_eq!(shortage.ends(), Some(after(expect)), "after {millis} ms");
        }
        shortage.met(&ErrorKind::OutOfMemory.into(), after(900));
        shortage.look(after(1_899));
        assert_eq!(shortage.ends(), Some(after(1_900)));
        shortage.look(after(1_900));
        assert_eq!(shortage.ends(), None);
    }
}

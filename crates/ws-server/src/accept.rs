//! The accepting thread: new sockets, handed to the workers in turn.

use crate::{Config, mailbox::Remote};
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

/// The token of the waker; every other is the index of a listener.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// How long accepting rests when the system cannot give a socket, for lack of descriptors or memory.
const REST: Duration = Duration::from_millis(100);

/// After how long without such a lack it is over. At the limit, every connection that ends makes room for one that comes.
const CALM: Duration = Duration::from_secs(1);

/// Accepts connections until the server stops.
pub(crate) fn run(
    poll: &mut Poll,
    listeners: &mut [TcpListener],
    remote: &Remote,
    config: &Config,
) -> io::Result<()> {
    let admission = remote.admission();
    let mut pace = Pace::new(config.max_accepts_per_second);
    for (index, listener) in listeners.iter_mut().enumerate() {
        poll.registry().register(listener, Token(index), Interest::READABLE)?;
    }
    let mut events = Events::with_capacity(16);
    let mut workers = remote.mailboxes().iter().cycle();
    let mut rest = None;
    let mut shortage = Shortage::default();
    // While the server shuts down, whoever connects is told so.
    while remote.has_workers() {
        match poll.poll(&mut events, rest) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        // After a rest, every listener may have something that it has already told of.
        let rested = rest.take().is_some();
        for (index, listener) in listeners.iter().enumerate() {
            if !rested && !events.iter().any(|event| event.token() == Token(index)) {
                continue;
            }
            for tried in 0.. {
                if tried == config.max_accepts_per_turn.max(1) {
                    rest = Some(Duration::ZERO);
                    break;
                }
                if let Err(wait) = pace.check(Instant::now()) {
                    rest = Some(wait);
                    break;
                }
                match listener.accept() {
                    Ok((socket, remote_addr)) => {
                        pace.accepted += 1;
                        // Without it, a small answer may wait for the acknowledgement of the one before. A socket
                        // that cannot have it works all the same. On Linux, it has what its listener has.
                        if cfg!(not(target_os = "linux")) {
                            let _ = socket.set_nodelay(true);
                        }
                        remote.accepting().accepted.add(1);
                        match admission.admit(socket, remote_addr) {
                            Ok(socket) => {
                                if let Some(mailbox) = workers.next() {
                                    mailbox.socket(socket, remote_addr);
                                }
                            }
                            Err(reason) => remote.accepting().refusal(reason),
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The peer was gone before it was accepted.
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        shortage.met(&error, Instant::now());
                        rest = Some(REST);
                        break;
                    }
                }
            }
        }
        for mailbox in remote.mailboxes() {
            mailbox.wake_for_sockets();
        }
        if shortage.goes_on(Instant::now()) {
            rest.get_or_insert(REST);
        }
    }
    Ok(())
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

    /// Whether it is yet to be seen that it is over.
    fn goes_on(&mut self, now: Instant) -> bool {
        if self.last.take_if(|last| now.saturating_duration_since(*last) >= CALM).is_some() {
            tracing::info!("accepting goes on");
        }
        self.last.is_some()
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
        assert!(!shortage.goes_on(start));
        shortage.met(&ErrorKind::OutOfMemory.into(), start);
        assert!(shortage.goes_on(after(900)));
        shortage.met(&ErrorKind::OutOfMemory.into(), after(900));
        assert!(shortage.goes_on(after(1_899)));
        assert!(!shortage.goes_on(after(1_900)));
    }
}

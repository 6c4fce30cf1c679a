//! Accepting: new sockets, handed to the workers in turn.

use crate::{
    Config, PeerAddr, RefusalReason, Remote,
    connection::{admission::Source, refused::Refused},
    metrics::Counters,
    worker::mailbox::NewSocket,
};
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use socket2::SockRef;
use std::{
    collections::{HashMap, VecDeque},
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

/// How long accepting rests when the system cannot give a socket, for lack of descriptors or memory.
const REST: Duration = Duration::from_millis(100);

/// After how long without such a lack it is over. At the limit, every connection that ends makes room for one that comes.
const CALM: Duration = Duration::from_secs(1);

/// The time in which the share of a second that belongs to it may be accepted at once.
const BURST: Duration = Duration::from_millis(10);

/// The most sockets that wait because more come than may be accepted. That is room for a burst of as many connections as one
/// address may have by default.
const MAX_WAITING: usize = 16_384;

/// An address that has more than this part of the sockets that wait is one that floods.
const FLOODING_PART: usize = 16;

/// The listeners of a server. One worker has them, and accepts for all in its turns: a thread of its own for this would
/// have to be woken, and would have to wake that worker, for every connection.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<Listener>,
    max_per_turn: usize,
    /// The worker that gets the next socket.
    next_worker: usize,
    pace: Pace,
    /// Sockets that came faster than they may be accepted.
    waiting: FairQueue<TcpStream>,
    /// The most that may wait now: each will be a connection, and needs a descriptor before.
    max_waiting: usize,
    /// The descriptors that they may take beyond those of connections.
    spare_descriptors: usize,
    /// Too many wait, and this address is why.
    flooding: Option<Source>,
    shortage: Shortage,
    /// Nothing is taken from the system before.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    /// There may be somebody to accept. Readiness comes as an edge, so it is remembered until the socket says otherwise.
    is_ready: bool,
}

impl Acceptor {
    /// Has `registry` wait for these listeners, with tokens that [`ready`](Self::ready) knows. Sockets that have to wait take
    /// the descriptors of connections that there could be, and these beyond them.
    pub(crate) fn new(
        listeners: Vec<TcpListener>,
        registry: &Registry,
        config: &Config,
        spare_descriptors: usize,
    ) -> io::Result<Self> {
        let mut all = Vec::new();
        for (index, mut socket) in listeners.into_iter().enumerate() {
            registry.register(&mut socket, token(index), Interest::READABLE)?;
            all.push(Listener { socket, is_ready: false });
        }
        Ok(Self {
            listeners: all,
            max_per_turn: config.flow.max_accepts_per_turn.max(1),
            next_worker: 0,
            pace: Pace::new(config.limits.max_accepts_per_second),
            waiting: FairQueue::default(),
            max_waiting: MAX_WAITING,
            spare_descriptors: spare_descriptors.max(1),
            flooding: None,
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
        let is_ready = self.listeners.iter().any(|it| it.is_ready);
        if !is_ready && self.waiting.is_empty() && self.shortage.last.is_none() {
            return None;
        }
        let now = Instant::now();
        let accept = is_ready.then(|| self.accepts_at(now)).flatten();
        let admit = (!self.waiting.is_empty()).then(|| now + self.pace.wait(now));
        let at = [accept, admit, self.shortage.ends()].into_iter().flatten().min();
        at.map(|at| at.saturating_duration_since(now))
    }

    /// Accepts whom this turn has room for, and puts them into the workers' mailboxes. Calls `refused` for those that
    /// are not let in. `false`: nobody was there.
    pub(crate) fn accept(
        &mut self,
        remote: &Remote,
        counters: &Counters,
        now: Instant,
        mut refused: impl FnMut(&Refused, PeerAddr, Option<u16>),
    ) -> bool {
        self.shortage.look(now);
        let mut accepted = 0;
        while accepted < self.max_per_turn && !self.waiting.is_empty() && self.pace.take(now) {
            if let Some((socket, addr)) = self.waiting.pop() {
                accepted += 1;
                self.admit(socket, addr, remote, &mut refused);
            }
        }
        if self.listeners.iter().any(|it| it.is_ready) {
            let room = remote.admission().room();
            self.max_waiting = MAX_WAITING.min(room.saturating_add(self.spare_descriptors));
        }
        if self.rests_until.is_some_and(|end| end <= now) {
            self.rests_until = None;
        }
        for index in 0..self.listeners.len() {
            for _ in 0..self.max_per_turn {
                self.look_for_flood();
                if self.accepts_at(now).is_none_or(|at| now < at) {
                    return accepted > 0;
                }
                let Some(listener) = self.listeners.get_mut(index).filter(|it| it.is_ready) else { break };
                match listener.socket.accept() {
                    Ok((socket, addr)) => {
                        let addr = addr.into();
                        // Without it, a small answer may wait for the acknowledgement of the one before. A socket
                        // that cannot have it works all the same. On Linux, it has what its listener has.
                        if cfg!(not(target_os = "linux")) {
                            let _ = socket.set_nodelay(true);
                        }
                        counters.connections_accepted.add(1);
                        if accepted < self.max_per_turn && self.waiting.is_empty() && self.pace.take(now) {
                            accepted += 1;
                            self.admit(socket, addr, remote, &mut refused);
                        } else {
                            self.wait_in_turn(socket, addr, &mut refused);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => listener.is_ready = false,
                    Err(error) if error.kind() == ErrorKind::Interrupted || is_of_one_socket(&error) => {}
                    Err(error) => {
                        self.shortage.met(&error, now);
                        self.rests_until = Some(now + REST);
                        return accepted > 0;
                    }
                }
            }
        }
        accepted > 0
    }

    /// When a socket may be taken from the system; `None`: once fewer wait.
    fn accepts_at(&self, now: Instant) -> Option<Instant> {
        // An address that floods would keep the others from being accepted at all.
        let may_accept = self.waiting.len < self.max_waiting || self.flooding.is_some();
        may_accept.then(|| self.rests_until.unwrap_or(now))
    }

    /// If too many wait, looks for an address that has a large part of them.
    fn look_for_flood(&mut self) {
        let floods = |len: usize| len > self.max_waiting / FLOODING_PART;
        if self.waiting.len < self.max_waiting {
            self.flooding = None;
        } else if !self.flooding.is_some_and(|source| floods(self.waiting.len_of(source))) {
            self.flooding = self.waiting.largest().filter(|(_, len)| floods(*len)).map(|(source, _)| source);
        }
    }

    /// Hands a socket to the next worker, if it is admitted.
    fn admit(
        &mut self,
        mut socket: TcpStream,
        addr: PeerAddr,
        remote: &Remote,
        refused: &mut impl FnMut(&Refused, PeerAddr, Option<u16>),
    ) {
        let entered = remote.admission().enter();
        let settled = entered.and_then(|mut place| place.settle(Source::of(addr)).map(|()| place));
        match settled {
            // The reserve is here, in the first worker, so that one can give way to another.
            Ok(place) if place.limit().is_some() => {
                remote.mailboxes()[0].socket(NewSocket { place, socket, addr });
            }
            Ok(place) => {
                let mailboxes = remote.mailboxes();
                mailboxes[self.next_worker].socket(NewSocket { place, socket, addr });
                self.next_worker = (self.next_worker + 1) % mailboxes.len();
            }
            Err(limit) => {
                let response = limit.refused();
                let status = response.send_at_once(&mut socket);
                refused(&response, addr, status);
            }
        }
    }

    /// Keeps a socket until there is time for it. If too many wait, one of the address that floods is reset.
    fn wait_in_turn(
        &mut self,
        socket: TcpStream,
        addr: PeerAddr,
        refused: &mut impl FnMut(&Refused, PeerAddr, Option<u16>),
    ) {
        self.waiting.push(socket, addr);
        let Some(source) = self.flooding else { return };
        let Some((socket, address)) = self.waiting.pop_newest_of(source) else { return };
        // A reset leaves nothing behind, neither with us nor in the system's memory.
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        drop(socket);
        let reset = Refused::text(429, RefusalReason::AcceptRate, "this address connects too often");
        refused(&reset, address, None);
    }
}

/// Whether accepting failed only for the socket that was to be accepted.
///
/// accept(2): "Linux accept() (and accept4()) passes already-pending network errors on the new socket as an error code from
/// accept(). [...]
/// For reliable operation the application should detect the network errors defined for the protocol after accept() and
/// treat them like EAGAIN by retrying. In the case of TCP/IP, these are ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET,
/// EHOSTUNREACH, EOPNOTSUPP, and ENETUNREACH."
fn is_of_one_socket(error: &io::Error) -> bool {
    // ECONNABORTED: the peer was gone before it was accepted. EPERM: a firewall forbids it.
    let kind = matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::TimedOut
            | ErrorKind::PermissionDenied
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
    );
    kind || cfg!(target_os = "linux")
        && error.raw_os_error().is_some_and(|code| LINUX_NETWORK.contains(&code))
}

/// EPROTO, ENOPROTOOPT, EOPNOTSUPP, EHOSTDOWN and ENONET, which have no kind of their own.
const LINUX_NETWORK: [i32; 5] = [71, 92, 95, 112, 64];

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

/// Sockets that wait for their time. The addresses that they come from take turns.
#[derive(Debug)]
struct FairQueue<S> {
    by_source: HashMap<Source, VecDeque<(S, PeerAddr)>>,
    /// The addresses that have something waiting, the next one first.
    turns: VecDeque<Source>,
    len: usize,
}

impl<S> Default for FairQueue<S> {
    fn default() -> Self {
        Self { by_source: HashMap::new(), turns: VecDeque::new(), len: 0 }
    }
}

impl<S> FairQueue<S> {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, socket: S, addr: PeerAddr) {
        let source = Source::of(addr);
        let waiting = self.by_source.entry(source).or_default();
        if waiting.is_empty() {
            self.turns.push_back(source);
        }
        waiting.push_back((socket, addr));
        self.len += 1;
    }

    /// Takes the oldest socket of the address whose turn it is.
    fn pop(&mut self) -> Option<(S, PeerAddr)> {
        let source = self.turns.pop_front()?;
        let waiting = self.by_source.get_mut(&source)?;
        let socket = waiting.pop_front()?;
        self.len -= 1;
        if waiting.is_empty() {
            self.by_source.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        Some(socket)
    }

    /// The address that has the most, and how many.
    fn largest(&self) -> Option<(Source, usize)> {
        let lens = self.by_source.iter().map(|(source, waiting)| (*source, waiting.len()));
        lens.max_by_key(|(_, len)| *len)
    }

    fn len_of(&self, source: Source) -> usize {
        self.by_source.get(&source).map_or(0, VecDeque::len)
    }

    /// Takes the newest socket of an address.
    fn pop_newest_of(&mut self, source: Source) -> Option<(S, PeerAddr)> {
        let waiting = self.by_source.get_mut(&source)?;
        let socket = waiting.pop_back()?;
        self.len -= 1;
        if waiting.is_empty() {
            self.by_source.remove(&source);
            self.turns.retain(|it| *it != source);
        }
        Some(socket)
    }
}

/// When the next socket may be accepted: evenly over a second, but for what belongs to [`BURST`].
#[derive(Debug)]
struct Pace {
    /// The time that belongs to each socket.
    interval: Duration,
    /// When the time of all that were accepted is over.
    paid_until: Option<Instant>,
}

impl Pace {
    fn new(max_per_second: usize) -> Self {
        let max_per_second = u32::try_from(max_per_second.max(1)).unwrap_or(u32::MAX);
        Self { interval: Duration::from_secs(1) / max_per_second, paid_until: None }
    }

    /// Accepts one more, if that may be done now.
    fn take(&mut self, now: Instant) -> bool {
        let may = self.wait(now).is_zero();
        if may {
            self.paid_until = Some(self.paid_until.map_or(now, |until| until.max(now)) + self.interval);
        }
        may
    }

    /// How long the next one has to wait.
    fn wait(&self, now: Instant) -> Duration {
        let ahead = self.paid_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        ahead.saturating_sub(BURST.saturating_sub(self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn no_more_than_so_many_in_a_second_nor_their_share_at_once() {
        // a second's, in how many ms, how many that come all the time
        for (max_per_second, millis, expect) in [
            (2, 999, 2),
            (2, 1_000, 3),
            (150, 999, 151),
            (1_000, 0, 10),
            (1_000, 100, 110),
            (10_000, 0, 100),
            (10_000, 1_000, 10_100),
        ] {
            let (mut pace, start) = (Pace::new(max_per_second), Instant::now());
            let mut accepted = 0;
            for milli in 0..=millis {
                let now = start + Duration::from_millis(milli);
                while pace.take(now) {
                    accepted += 1;
                }
            }
            assert_eq!(accepted, expect, "{max_per_second} a second, after {millis} ms");
        }
        let (mut pace, start) = (Pace::new(1_000), Instant::now());
        while pace.take(start) {}
        assert_eq!(pace.wait(start), Duration::from_millis(1));
        let later = start + Duration::from_secs(5);
        let burst = (0..).take_while(|_| pace.take(later)).count();
        assert_eq!(burst, 10, "time that nobody used is not saved up");
    }

    #[test]
    fn addresses_take_turns_and_the_one_that_floods_loses() {
        let mut queue = FairQueue::default();
        let addr = |ip: u8, port| PeerAddr::from(SocketAddr::from(([10, 0, 0, ip], port)));
        for port in 1..=5 {
            queue.push(port, addr(1, port));
        }
        queue.push(1, addr(2, 1));
        queue.push(2, addr(2, 2));
        queue.push(1, addr(3, 1));
        let source = |ip| Source::of(addr(ip, 1));
        assert_eq!(queue.largest(), Some((source(1), 5)));
        assert_eq!(queue.pop_newest_of(source(1)), Some((5, addr(1, 5))));
        assert_eq!((queue.len, queue.len_of(source(1)), queue.len_of(source(4))), (7, 4, 0));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, addr)| addr).collect();
        let expect =
            [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 3), (1, 4)].map(|(ip, port)| addr(ip, port));
        assert_eq!(order, expect);
        assert!(queue.is_empty() && queue.by_source.is_empty() && queue.turns.is_empty());
        queue.push(1, addr(1, 1));
        assert!(queue.pop_newest_of(source(1)).is_some() && queue.pop().is_none());
        assert!(queue.by_source.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn errors_of_one_socket_are_no_shortage() {
        const EMFILE: i32 = 24;
        const ENETDOWN: i32 = 100;
        let network = [ENETDOWN, 71, 92, 112, 64, 113, 95, 101, 103, 104, 110, 1];
        if cfg!(target_os = "linux") {
            for code in network {
                assert!(is_of_one_socket(&io::Error::from_raw_os_error(code)), "{code}");
            }
            // ENFILE, EMFILE, ENOBUFS, ENOMEM
            for code in [23, EMFILE, 105, 12] {
                assert!(!is_of_one_socket(&io::Error::from_raw_os_error(code)), "{code}");
            }
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

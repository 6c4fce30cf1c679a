//! Who is let in: how many connections there may be, in all and from one address.

use crate::{
    Config, PeerAddr, RefusalReason, Transport,
    connection::refused::{Refused, unix_seconds},
};
use std::{
    collections::HashMap,
    io::{self, IoSlice, Read, Write},
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The most sockets beyond the limits that are kept until their requests are read, so that a probe or another page is
/// answered whatever the limits say. For one more, the oldest gives way. Where descriptors are few, there are fewer.
const RESERVE_LEN: usize = 32;

/// How long a socket in the reserve may take for its request, at most. A probe takes no time at all.
pub(crate) const RESERVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts the connections of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    counts: Mutex<Counts>,
    max_connections: usize,
    max_connections_per_address: usize,
    max_handshakes_per_address: usize,
    reserve_len: usize,
    /// The reserve, and the sockets that are on their way to it.
    max_reserved: usize,
}

/// The limit that a socket is beyond: it may get a page, and no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Connections,
    ConnectionsPerAddress,
    HandshakesPerAddress,
}

impl Limit {
    pub(crate) fn refused(self) -> Refused {
        match self {
            Self::Connections => Refused::text(
                503,
                RefusalReason::MaxConnections,
                "the server has no room for another connection",
            ),
            Self::ConnectionsPerAddress => Refused::text(
                429,
                RefusalReason::MaxConnectionsPerAddress,
                "there are too many connections from this address",
            ),
            Self::HandshakesPerAddress => Refused::text(
                429,
                RefusalReason::MaxHandshakesPerAddress,
                "there are too many unfinished opening handshakes from this address",
            ),
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Those within the limits.
    all: usize,
    reserved: usize,
    by_source: HashMap<Source, OfSource>,
}

/// The connections of one address.
#[derive(Clone, Copy, Debug, Default)]
struct OfSource {
    all: usize,
    /// Those whose opening handshake is not done.
    handshakes: usize,
}

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 one, which a single customer has to himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Source {
    pub(crate) fn of(addr: PeerAddr) -> Self {
        let PeerAddr::Ip(addr) = addr;
        match addr.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl Admission {
    /// Of `kept_descriptors`, the reserve may take a quarter, and the sockets on their way to it another.
    pub(crate) fn new(config: &Config, kept_descriptors: usize) -> Self {
        let share = (kept_descriptors / 4).max(1);
        let reserve_len = RESERVE_LEN.min(share);
        Self {
            counts: Mutex::default(),
            max_connections: config.limits.max_connections,
            max_connections_per_address: config.limits.max_connections_per_address,
            max_handshakes_per_address: config.limits.max_handshakes_per_address,
            reserve_len,
            max_reserved: reserve_len.saturating_add(config.flow.max_accepts_per_turn.min(share)),
        }
    }

    /// How many more connections there may be.
    pub(crate) fn room(&self) -> usize {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.max_connections.saturating_sub(counts.all)
    }

    /// How many sockets beyond the limits are kept.
    pub(crate) fn reserve_len(&self) -> usize {
        self.reserve_len
    }

    /// Whether nobody is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all == 0
    }

    /// Lets a socket in, be it into the reserve, or sends its peer the response that is returned.
    pub(crate) fn admit<T: Transport>(
        self: &Arc<Self>,
        mut socket: T,
        addr: PeerAddr,
    ) -> Result<Admitted<T>, Refused> {
        let source = Source::of(addr);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = counts.by_source.get(&source).copied().unwrap_or_default();
        let limit = if counts.all >= self.max_connections {
            Limit::Connections
        } else if of_source.all >= self.max_connections_per_address {
            Limit::ConnectionsPerAddress
        } else if of_source.handshakes >= self.max_handshakes_per_address {
            Limit::HandshakesPerAddress
        } else {
            counts.all += 1;
            let OfSource { all, handshakes } = of_source;
            counts.by_source.insert(source, OfSource { all: all + 1, handshakes: handshakes + 1 });
            return Ok(Admitted { socket, source, limit: None, is_open: false, admission: self.clone() });
        };
        if counts.reserved < self.max_reserved {
            counts.reserved += 1;
            // It counts for no address.
            let (limit, is_open) = (Some(limit), true);
            return Ok(Admitted { socket, source, limit, is_open, admission: self.clone() });
        }
        drop(counts);
        // It fits the socket's empty buffer. The request is not waited for: that would be a place in the reserve.
        let mut refused = limit.refused();
        refused.response = refused.response.with_date(unix_seconds());
        let mut bytes = Vec::new();
        refused.response.encode(&mut bytes);
        let _ = socket.write(&bytes).and_then(|_| socket.shutdown_write());
        Err(refused)
    }
}

/// A socket that was let in, and is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted<T> {
    pub(crate) socket: T,
    source: Source,
    /// The socket is in the reserve.
    pub(crate) limit: Option<Limit>,
    /// The opening handshake is done.
    is_open: bool,
    admission: Arc<Admission>,
}

impl<T> Admitted<T> {
    /// The opening handshake is done, or will not be.
    fn end_handshake(&mut self, counts: &mut Counts) {
        if !mem::replace(&mut self.is_open, true)
            && let Some(of_source) = counts.by_source.get_mut(&self.source)
        {
            of_source.handshakes -= 1;
        }
    }
}

impl<T> Drop for Admitted<T> {
    fn drop(&mut self) {
        let admission = self.admission.clone();
        let mut counts = admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if self.limit.is_some() {
            counts.reserved -= 1;
            return;
        }
        self.end_handshake(&mut counts);
        counts.all -= 1;
        if let Some(of_source) = counts.by_source.get_mut(&self.source) {
            of_source.all -= 1;
            if of_source.all == 0 {
                counts.by_source.remove(&self.source);
            }
        }
    }
}

impl<T: Read> Read for Admitted<T> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl<T: Write> Write for Admitted<T> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl<T: Transport> Transport for Admitted<T> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.socket.shutdown_write()
    }

    fn opened(&mut self) {
        let admission = self.admission.clone();
        let mut counts = admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.end_handshake(&mut counts);
        self.socket.opened();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that keeps what is written.
    #[derive(Debug, Default)]
    struct Written(Vec<u8>, bool);

    impl Read for Written {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Written {
        fn shutdown_write(&mut self) -> io::Result<()> {
            self.1 = true;
            Ok(())
        }
    }

    impl Transport for &mut Written {
        fn shutdown_write(&mut self) -> io::Result<()> {
            (**self).shutdown_write()
        }
    }

    fn admission(max_connections: usize, max_connections_per_address: usize) -> Arc<Admission> {
        let mut config = Config::default();
        (config.limits.max_connections, config.limits.max_connections_per_address) =
            (max_connections, max_connections_per_address);
        config.flow.max_accepts_per_turn = 1;
        Arc::new(Admission::new(&config, usize::MAX))
    }

    fn addr(text: &str) -> PeerAddr {
        PeerAddr::Ip(text.parse().unwrap())
    }

    /// The limit that a socket from `from` is beyond.
    fn limit(admission: &Arc<Admission>, from: &str) -> Option<Limit> {
        admission.admit(Written::default(), addr(from)).unwrap().limit
    }

    #[test]
    fn one_too_many_goes_to_the_reserve_and_a_place_that_is_free_again_is_given() {
        let admission = admission(2, 10);
        let first = admission.admit(Written::default(), addr("10.0.0.1:1")).unwrap();
        let _second = admission.admit(Written::default(), addr("10.0.0.2:1")).unwrap();
        assert_eq!(limit(&admission, "10.0.0.3:1"), Some(Limit::Connections));
        drop(first);
        assert_eq!(limit(&admission, "10.0.0.3:1"), None);
    }

    #[test]
    fn one_too_many_from_an_address() {
        let admission = admission(100, 1);
        let rows = [
            ("10.0.0.1:1", "10.0.0.1:2", false),
            ("10.0.0.2:1", "10.0.0.3:1", true),
            ("[2001:db8::1]:1", "[2001:db8::ffff:1]:1", false),
            ("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", true),
            ("10.0.0.4:1", "[::ffff:10.0.0.4]:1", false),
        ];
        for (first, second, expect) in rows {
            let _held = admission.admit(Written::default(), addr(first)).unwrap();
            let expect = (!expect).then_some(Limit::ConnectionsPerAddress);
            assert_eq!(limit(&admission, second), expect, "{first}, {second}");
        }
        let counts = admission.counts.lock().unwrap();
        assert!(counts.by_source.is_empty(), "nothing is kept of those that are gone");
        assert_eq!((counts.all, counts.reserved), (0, 0));
    }

    #[test]
    fn where_the_reserve_is_full_the_refusal_is_sent_at_once() {
        for (mut admission, status, reason) in [
            (admission(1, 10), 503, RefusalReason::MaxConnections),
            (admission(10, 1), 429, RefusalReason::MaxConnectionsPerAddress),
        ] {
            let admit = || admission.admit(Written::default(), addr("10.0.0.1:1"));
            let mut held: Vec<_> = (0..1 + RESERVE_LEN + 1).map(|_| admit().unwrap()).collect();
            let mut socket = Written::default();
            let refused = admission.admit(&mut socket, addr("10.0.0.1:1")).unwrap_err();
            assert_eq!(refused.cause.unwrap().reason, reason);
            let response = String::from_utf8(socket.0).unwrap();
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")) && socket.1, "{response}");
            assert!(response.contains("\r\nDate: "), "{response}");
            held.pop();
            assert_eq!(
                admission.admit(Written::default(), addr("10.0.0.1:1")).unwrap().limit.map(|_| ()),
                Some(())
            );
            assert!(!admission.is_empty());
            held.clear();
            assert!(Arc::get_mut(&mut admission).is_some_and(|admission| admission.is_empty()));
        }
    }

    #[test]
    fn handshakes_are_limited_until_they_are_done() {
        let mut admission = admission(100, 10);
        Arc::get_mut(&mut admission).unwrap().max_handshakes_per_address = 2;
        let admit = |from| admission.admit(Written::default(), addr(from)).unwrap();
        let mut first = admit("10.0.0.1:1");
        let second = admit("10.0.0.1:2");
        assert_eq!(limit(&admission, "10.0.0.1:3"), Some(Limit::HandshakesPerAddress));
        assert_eq!(limit(&admission, "10.0.0.2:1"), None);
        first.opened();
        let _third = admit("10.0.0.1:3");
        assert_eq!(limit(&admission, "10.0.0.1:4"), Some(Limit::HandshakesPerAddress));
        drop(first);
        assert_eq!(limit(&admission, "10.0.0.1:4"), Some(Limit::HandshakesPerAddress), "it was open");
        drop(second);
        assert_eq!(limit(&admission, "10.0.0.1:4"), None);
    }
}

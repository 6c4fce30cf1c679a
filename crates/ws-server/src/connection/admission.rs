//! Who is let in: how many connections there may be, in all and from one address.

use crate::{Config, PeerAddr, RefusalReason, connection::refused::Refused};
use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
        let counts = self.lock();
        self.max_connections.saturating_sub(counts.all)
    }

    /// How many sockets beyond the limits are kept.
    pub(crate) fn reserve_len(&self) -> usize {
        self.reserve_len
    }

    /// Whether nobody is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().all == 0
    }

    /// Admits a connection by the total, be it into the reserve. [`Place::settle`] has to follow once the source is
    /// known.
    ///
    /// # Errors
    ///
    /// The limit that the connection is beyond, if the reserve is full, too.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place, Limit> {
        let mut counts = self.lock();
        let limit = if counts.all < self.max_connections {
            counts.all += 1;
            None
        } else {
            self.reserve(&mut counts, Limit::Connections)?;
            Some(Limit::Connections)
        };
        Ok(Place { limit, source: None, is_handshaking: false, admission: self.clone() })
    }

    /// Takes a place in the reserve for a connection beyond this limit.
    fn reserve(&self, counts: &mut Counts, limit: Limit) -> Result<(), Limit> {
        if counts.reserved >= self.max_reserved {
            return Err(limit);
        }
        counts.reserved += 1;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // No code that could panic runs under the lock.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, which counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    /// The limit that the connection is beyond: its place is in the reserve, and counts for no address.
    limit: Option<Limit>,
    source: Option<Source>,
    /// The connection counts among the unfinished opening handshakes of its source.
    is_handshaking: bool,
    admission: Arc<Admission>,
}

impl Place {
    /// Admits the connection by its source, or moves it to the reserve.
    ///
    /// # Errors
    ///
    /// The limit that the connection is beyond, if the reserve is full, too.
    pub(crate) fn settle(&mut self, source: Source) -> Result<(), Limit> {
        if self.limit.is_some() {
            return Ok(());
        }
        let admission = self.admission.clone();
        let mut counts = admission.lock();
        let OfSource { all, handshakes } = counts.by_source.get(&source).copied().unwrap_or_default();
        let limit = if all >= admission.max_connections_per_address {
            Limit::ConnectionsPerAddress
        } else if handshakes >= admission.max_handshakes_per_address {
            Limit::HandshakesPerAddress
        } else {
            counts.by_source.insert(source, OfSource { all: all + 1, handshakes: handshakes + 1 });
            (self.source, self.is_handshaking) = (Some(source), true);
            return Ok(());
        };
        admission.reserve(&mut counts, limit)?;
        counts.all -= 1;
        self.limit = Some(limit);
        Ok(())
    }

    /// The limit that the connection is beyond.
    pub(crate) fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// Notes that the opening handshake is done.
    pub(crate) fn end_handshake(&mut self) {
        let admission = self.admission.clone();
        self.count_handshake(&mut admission.lock());
    }

    /// Counts the opening handshake no more.
    fn count_handshake(&mut self, counts: &mut Counts) {
        if mem::take(&mut self.is_handshaking)
            && let Some(of_source) = self.source.and_then(|source| counts.by_source.get_mut(&source))
        {
            of_source.handshakes -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let admission = self.admission.clone();
        let mut counts = admission.lock();
        if self.limit.is_some() {
            counts.reserved -= 1;
            return;
        }
        self.count_handshake(&mut counts);
        counts.all -= 1;
        let Some(source) = self.source else { return };
        if let Some(of_source) = counts.by_source.get_mut(&source) {
            of_source.all -= 1;
            if of_source.all == 0 {
                counts.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// A place for a connection from `from`, in both steps.
    fn admit(admission: &Arc<Admission>, from: &str) -> Result<Place, Limit> {
        let mut place = admission.enter()?;
        place.settle(Source::of(addr(from)))?;
        Ok(place)
    }

    /// The limit that a connection from `from` is beyond.
    fn limit(admission: &Arc<Admission>, from: &str) -> Option<Limit> {
        admit(admission, from).unwrap().limit()
    }

    #[test]
    fn one_too_many_goes_to_the_reserve_and_a_place_that_is_free_again_is_given() {
        let admission = admission(2, 10);
        let first = admit(&admission, "10.0.0.1:1").unwrap();
        let _second = admit(&admission, "10.0.0.2:1").unwrap();
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
            let _held = admit(&admission, first).unwrap();
            let expect = (!expect).then_some(Limit::ConnectionsPerAddress);
            assert_eq!(limit(&admission, second), expect, "{first}, {second}");
        }
        let counts = admission.counts.lock().unwrap();
        assert!(counts.by_source.is_empty(), "nothing is kept of those that are gone");
        assert_eq!((counts.all, counts.reserved), (0, 0));
    }

    #[test]
    fn beyond_the_reserve_nobody_is_admitted() {
        for (mut admission, expect) in
            [(admission(1, 10), Limit::Connections), (admission(10, 1), Limit::ConnectionsPerAddress)]
        {
            let admit = || admit(&admission, "10.0.0.1:1");
            let mut held: Vec<_> = (0..1 + RESERVE_LEN + 1).map(|_| admit().unwrap()).collect();
            assert_eq!(admit().unwrap_err(), expect);
            held.pop();
            assert_eq!(admit().unwrap().limit(), Some(expect));
            assert!(!admission.is_empty());
            held.clear();
            assert!(Arc::get_mut(&mut admission).is_some_and(|admission| admission.is_empty()));
        }
    }

    #[test]
    fn a_connection_without_a_source_counts_in_the_total_alone() {
        let mut admission = admission(2, 1);
        let unknown = [admission.enter().unwrap(), admission.enter().unwrap()];
        assert_eq!(admission.enter().unwrap().limit(), Some(Limit::Connections));
        drop(unknown);
        assert!(Arc::get_mut(&mut admission).is_some_and(|admission| admission.is_empty()));
    }

    #[test]
    fn handshakes_are_limited_until_they_are_done() {
        let mut admission = admission(100, 10);
        Arc::get_mut(&mut admission).unwrap().max_handshakes_per_address = 2;
        let admit = |from| admit(&admission, from).unwrap();
        let mut first = admit("10.0.0.1:1");
        let second = admit("10.0.0.1:2");
        assert_eq!(limit(&admission, "10.0.0.1:3"), Some(Limit::HandshakesPerAddress));
        assert_eq!(limit(&admission, "10.0.0.2:1"), None);
        first.end_handshake();
        let _third = admit("10.0.0.1:3");
        assert_eq!(limit(&admission, "10.0.0.1:4"), Some(Limit::HandshakesPerAddress));
        drop(first);
        assert_eq!(limit(&admission, "10.0.0.1:4"), Some(Limit::HandshakesPerAddress), "it was open");
        drop(second);
        assert_eq!(limit(&admission, "10.0.0.1:4"), None);
    }
}

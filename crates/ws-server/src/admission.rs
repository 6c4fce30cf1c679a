//! Who is let in: how many connections there may be, in all and from one address.

use crate::{Config, Transport, metrics::Refusal};
use std::{
    collections::HashMap,
    io::{self, IoSlice, Read, Write},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};
use ws_handshake::Response;

/// Counts the connections of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    counts: Mutex<Counts>,
    max_connections: usize,
    max_connections_per_address: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 one, which a single customer has to himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Source {
    fn of(addr: SocketAddr) -> Self {
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
    pub(crate) fn new(config: &Config) -> Self {
        let Config { max_connections, max_connections_per_address, .. } = *config;
        Self { counts: Mutex::default(), max_connections, max_connections_per_address }
    }

    /// Whether nobody is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all == 0
    }

    /// Lets a socket in, or tells its peer why not.
    pub(crate) fn admit<T: Transport>(
        self: &Arc<Self>,
        mut socket: T,
        addr: SocketAddr,
    ) -> Result<Admitted<T>, Refusal> {
        let source = Source::of(addr);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let from_source = counts.by_source.get(&source).copied().unwrap_or_default();
        let refusal = if counts.all >= self.max_connections {
            Some((Refusal::MaxConnections, 503, "the server has no room for another connection\n"))
        } else if from_source >= self.max_connections_per_address {
            Some((
                Refusal::MaxConnectionsPerAddress,
                429,
                "there are too many connections from this address\n",
            ))
        } else {
            None
        };
        let Some((reason, status, body)) = refusal else {
            counts.all += 1;
            counts.by_source.insert(source, from_source + 1);
            return Ok(Admitted { socket, source, admission: self.clone() });
        };
        drop(counts);
        // It fits the socket's empty buffer. The request is not waited for: that would be a connection.
        let mut bytes = Vec::new();
        Response::text(status, body).encode(&mut bytes);
        let _ = socket.write(&bytes).and_then(|_| socket.shutdown_write());
        Err(reason)
    }
}

/// A socket that was let in, and is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted<T> {
    pub(crate) socket: T,
    source: Source,
    admission: Arc<Admission>,
}

impl<T> Drop for Admitted<T> {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(count) = counts.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
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
        (config.max_connections, config.max_connections_per_address) =
            (max_connections, max_connections_per_address);
        Arc::new(Admission::new(&config))
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_too_many_gets_a_503_and_a_place_that_is_free_again_is_given() {
        let admission = admission(2, 10);
        let first = admission.admit(Written::default(), addr("10.0.0.1:1")).unwrap();
        let _second = admission.admit(Written::default(), addr("10.0.0.2:1")).unwrap();
        let mut refused = Written::default();
        assert_eq!(admission.admit(&mut refused, addr("10.0.0.3:1")).err(), Some(Refusal::MaxConnections));
        assert!(refused.0.starts_with(b"HTTP/1.1 503 ") && refused.1);
        drop(first);
        assert!(admission.admit(Written::default(), addr("10.0.0.3:1")).is_ok());
    }

    #[test]
    fn one_too_many_from_an_address_gets_a_429() {
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
            let mut socket = Written::default();
            let refusal = admission.admit(&mut socket, addr(second)).err();
            assert_eq!(refusal.is_none(), expect, "{first}, {second}");
            assert_eq!(socket.0.starts_with(b"HTTP/1.1 429 "), !expect, "{first}, {second}");
        }
        assert!(
            admission.counts.lock().unwrap().by_source.is_empty(),
            "nothing is kept of those that are gone"
        );
    }
}

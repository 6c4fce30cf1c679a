//! The transport of a connection: plain bytes, or an encryption over them.

use mio::net::TcpStream;
use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::Shutdown,
};

/// A stream of bytes that never blocks, for one connection.
///
/// Every [`Socket`] is a transport that holds nothing. One that encrypts may hold bytes that the
/// application has given it and that the socket has not taken ([`unsent_len`](Self::unsent_len)), and may
/// have something of its own to write ([`wants_write`](Self::wants_write)).
pub trait Transport {
    /// Reads into `buffer`, which is not empty.
    ///
    /// # Errors
    ///
    /// The socket's error; the connection is then given up.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Takes `parts`, in order, and returns the number of bytes that were taken. If these are not all, it
    /// takes no more until the socket is writable again.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn send(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<usize>;

    /// The number of bytes that were taken and that the socket has not: over TLS, records of the
    /// application's data.
    #[inline]
    fn unsent_len(&self) -> usize {
        0
    }

    /// Whether there is anything for [`flush`](Self::flush) to write.
    #[inline]
    fn wants_write(&self) -> bool {
        false
    }

    /// Writes what the transport holds, and returns the number of bytes that the socket has taken.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    #[inline]
    fn flush(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    /// Ends the writing direction: the peer reads what was written, and then the end. Nothing is unsent.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn shutdown_write(&mut self) -> io::Result<()>;
}

/// The outcome of [`Transport::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This many bytes, and there may be more.
    More(usize),
    /// This many bytes, which may be none, and no more until the socket is readable again.
    Drained(usize),
    /// The end: the peer has ended its direction.
    End,
}

/// A socket that never blocks: `read` and `write` return [`WouldBlock`](ErrorKind::WouldBlock) instead.
pub trait Socket: Read + Write {
    /// Ends the writing direction.
    ///
    /// # Errors
    ///
    /// The socket's error.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl<S: Socket> Transport for S {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            match self.read(buffer) {
                Ok(0) => return Ok(Received::End),
                Ok(len) if len == buffer.len() => return Ok(Received::More(len)),
                // A short read has emptied the socket; whatever comes later brings an edge of its own.
                Ok(len) => return Ok(Received::Drained(len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Drained(0)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    #[inline]
    fn send(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = 0;
        IoSlice::advance_slices(&mut parts, 0);
        while let [first, rest @ ..] = &*parts {
            let written = if rest.is_empty() { self.write(first) } else { self.write_vectored(parts) };
            match written {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => {
                    taken += len;
                    IoSlice::advance_slices(&mut parts, len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Socket::shutdown_write(self)
    }
}

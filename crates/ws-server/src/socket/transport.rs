//! What a connection needs of a socket.

use mio::net::TcpStream;
use std::{
    io::{self, Read, Write},
    net::Shutdown,
};

/// A stream of bytes that does not block: `read` and `write` give [`WouldBlock`](io::ErrorKind::WouldBlock) instead.
pub trait Transport: Read + Write {
    /// Ends the writing direction: the peer reads what was written, and then the end.
    ///
    /// # Errors
    ///
    /// That of the socket; the connection is then given up.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// The opening handshake is done, and the connection is open. Nothing by default.
    fn opened(&mut self) {}
}

impl Transport for TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

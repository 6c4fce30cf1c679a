//! What a socket did not take, kept in order until it does.

use std::io::{self, ErrorKind, Write};

/// Bytes that wait for their socket. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    bytes: Vec<u8>,
    /// How many of `bytes` are written already.
    written: usize,
}

impl WriteQueue {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// What it takes of memory, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // What is written is moved out once it is the larger part, so that each byte is moved once at most.
        if self.written > self.len() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes what the socket takes, and says how much that was.
    pub(crate) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<usize> {
        let taken = write_some(socket, &self.bytes[self.written..])?;
        self.written += taken;
        if self.is_empty() {
            *self = Self::default();
        }
        Ok(taken)
    }
}

/// Writes until the socket takes no more, and says how much it took.
pub(crate) fn write_some(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => written += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

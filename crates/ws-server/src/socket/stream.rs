//! The socket of a connection: what is known of its readiness, and what waits to be written to it.

use crate::{
    Transport,
    config::YEAR,
    socket::write_queue::{WriteQueue, write_some},
};
use std::{
    fmt,
    io::{self, ErrorKind, IoSlice},
    time::{Duration, Instant},
};

/// A socket `T` that never blocks.
#[derive(Debug)]
pub(crate) struct Stream<T> {
    transport: T,
    queue: WriteQueue,
    /// There may be something to read. Readiness comes as an edge, so it is remembered until a read says otherwise.
    readable: bool,
    room: Room,
    /// The peer will not send more than what is there to be read: there is no further edge to wait for.
    read_closed: bool,
    /// Our direction has ended.
    write_closed: bool,
}

/// What is known of the room in a socket's send buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// It was full when it was last written to.
    None,
    /// It was full, and there may be room now: what it takes shows that the peer has taken something.
    Made,
    /// It took all that it was given.
    Ample,
}

/// What a socket took.
pub(crate) struct Written {
    /// In bytes.
    pub(crate) len: usize,
    /// It had been full, so the peer has taken something since. What an empty socket takes says nothing of its peer.
    pub(crate) is_progress: bool,
}

/// Nothing can be done with a connection any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl<T> Stream<T> {
    /// How many bytes wait to be written.
    pub(crate) fn queued_len(&self) -> usize {
        self.queue.len()
    }
}

impl<T: Transport> Stream<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self {
            transport,
            queue: WriteQueue::default(),
            readable: false,
            room: Room::Ample,
            read_closed: false,
            write_closed: false,
        }
    }

    pub(crate) fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// How much memory the bytes that wait take, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        self.queue.held_len()
    }

    /// Whether the peer has taken nothing of what is queued for so long.
    pub(crate) fn is_stalled(&self, now: Instant, timeout: Duration) -> bool {
        self.queue.waits_since().is_some_and(|since| after(since, timeout) <= now)
    }

    /// Whether there may be something to read.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    pub(crate) fn set_readable(&mut self, read_closed: bool) {
        self.readable = true;
        self.read_closed |= read_closed;
    }

    pub(crate) fn set_writable(&mut self) {
        if self.room == Room::None {
            self.room = Room::Made;
            self.queue.free_if_empty();
        }
    }

    /// Reads what there is, up to a buffer full. `None`: there is nothing now; 0: the peer has ended its direction.
    #[inline]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        while self.readable {
            match self.transport.read(buffer) {
                Ok(0) => {
                    self.readable = false;
                    self.read_closed = true;
                    return Ok(Some(0));
                }
                Ok(len) => {
                    // A short read has emptied the socket; whatever comes later brings an edge of its own.
                    self.readable = len == buffer.len() || self.read_closed;
                    return Ok(Some(len));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes `bytes` to the socket, behind what is queued, or to the queue.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8], now: Instant) -> io::Result<Written> {
        let mut written = Written { len: 0, is_progress: false };
        if self.queue.is_empty() && self.room != Room::None {
            written.len = write_some(&mut self.transport, bytes)?;
            self.room = if written.len == bytes.len() { Room::Ample } else { Room::None };
            self.queue.push(&bytes[written.len..], now);
        } else {
            self.queue.push(bytes, now);
            if self.room != Room::None {
                written.len = self.queue.write_to(&mut self.transport, now)?;
                written.is_progress = written.len > 0 && self.room == Room::Made;
                self.room = if self.queue.is_empty() { Room::Ample } else { Room::None };
            }
        }
        if let Some(error) = self.queue.take_error() {
            return Err(error);
        }
        Ok(written)
    }

    /// Queues bytes that have to be written.
    pub(crate) fn queue(&mut self, bytes: &[u8], now: Instant) {
        self.queue.push(bytes, now);
    }

    /// Queues a whole message that may be dropped as long as none of it is written.
    pub(crate) fn queue_message(&mut self, bytes: &[u8], now: Instant) {
        self.queue.push_message(bytes, now);
    }

    /// Drops the oldest message that may be dropped; `false`: there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let is_dropped = self.queue.drop_oldest();
        if self.room != Room::None {
            self.queue.free_if_empty();
        }
        is_dropped
    }

    /// Ends our direction once all is written. It is over when the peer's has ended too.
    pub(crate) fn end(&mut self) -> Result<(), Gone> {
        if self.queued_len() == 0 {
            // All that was readable has been read, up to the end: closing the socket ends our direction too.
            if self.read_closed && !self.readable {
                return Err(Gone);
            }
            if !self.write_closed {
                self.write_closed = true;
                return self.transport.shutdown_write().map_err(|_| Gone);
            }
        }
        Ok(())
    }
}

/// A socket that takes a large payload from where it lies.
pub(crate) trait Direct {
    /// Takes `parts` to the socket, and what it does not take to the queue, and says how much the socket took. If that
    /// is nothing, nothing is queued either: it is not begun, and may be queued as what may be dropped.
    ///
    /// Nothing may wait in the queue. If the socket fails, the next write tells of it.
    fn write_direct(&mut self, parts: [&[u8]; 3], now: Instant) -> usize;

    /// How many bytes wait to be written.
    fn queued_len(&self) -> usize;
}

impl<T: Transport> Direct for Stream<T> {
    fn write_direct(&mut self, parts: [&[u8]; 3], now: Instant) -> usize {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut taken = 0;
        while self.room != Room::None && taken < len {
            let mut slices = parts.map(IoSlice::new);
            let mut slices = &mut slices[..];
            IoSlice::advance_slices(&mut slices, taken);
            let error = match self.transport.write_vectored(slices) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(some) => {
                    taken += some;
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::WouldBlock => self.room = Room::None,
                ErrorKind::Interrupted => {}
                _ => {
                    self.queue.fail(error, now);
                    break;
                }
            }
        }
        if taken == 0 {
            return 0;
        }
        let mut skip = taken;
        for part in parts {
            let rest = part.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part.len());
            self.queue.push(rest, now);
        }
        taken
    }

    fn queued_len(&self) -> usize {
        self.queue.len()
    }
}

impl fmt::Debug for dyn Direct + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").finish_non_exhaustive()
    }
}

/// The moment that is `timeout` from now; for one beyond what a clock can say, a year from now.
pub(crate) fn after(now: Instant, timeout: Duration) -> Instant {
    now + timeout.min(YEAR)
}

//! The socket of a connection: what is known of its readiness, and what waits to be written to it.

use crate::{Received, Transport, config::YEAR, socket::write_queue::WriteQueue};
use std::{
    fmt,
    io::{self, IoSlice},
    sync::Arc,
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

    /// The number of bytes that wait for the socket, here and in the transport.
    #[inline]
    pub(crate) fn queued_len(&self) -> usize {
        self.queue.len() + self.transport.unsent_len()
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
        self.queued_len() > 0 && self.queue.waits_since().is_some_and(|since| after(since, timeout) <= now)
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
            self.queue.free_if_empty(&self.transport);
        }
    }

    /// Reads what there is, up to a buffer full. `None`: there is nothing now; 0: the peer has ended its direction.
    #[inline]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        while self.readable {
            let received = self.transport.receive(buffer)?;
            if self.transport.wants_write() {
                self.transport.flush()?;
            }
            match received {
                Received::More(0) => {}
                Received::More(len) => return Ok(Some(len)),
                Received::Drained(0) => self.readable = false,
                Received::Drained(len) => {
                    // After the end of the peer's direction, no further edge comes.
                    self.readable = self.read_closed;
                    return Ok(Some(len));
                }
                Received::End => {
                    self.readable = false;
                    self.read_closed = true;
                    return Ok(Some(0));
                }
            }
        }
        Ok(None)
    }

    /// Takes `bytes` to the socket, behind what is queued, or to the queue.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8], now: Instant) -> io::Result<Written> {
        let mut written = Written { len: 0, is_progress: false };
        if self.queue.is_empty() && self.room != Room::None {
            written.len = self.transport.send(&mut [IoSlice::new(bytes)])?;
            self.room = if written.len == bytes.len() { Room::Ample } else { Room::None };
            self.queue.push(bytes.get(written.len..).unwrap_or_default(), now);
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
        self.note_unsent(now);
        Ok(written)
    }

    /// Waits for the socket, if the transport holds bytes that it has not taken.
    #[inline]
    fn note_unsent(&mut self, now: Instant) {
        if self.transport.unsent_len() > 0 {
            self.room = Room::None;
            self.queue.hold(now);
        }
    }

    /// Queues bytes that have to be written.
    pub(crate) fn queue(&mut self, bytes: &[u8], now: Instant) {
        self.queue.push(bytes, now);
    }

    /// The length of the queued frames that other connections have queued, too, in bytes.
    pub(crate) fn shared_len(&self) -> usize {
        self.queue.shared_len()
    }

    /// Drops the oldest message that may be dropped; `false`: there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let is_dropped = self.queue.drop_oldest();
        if self.room != Room::None {
            self.queue.free_if_empty(&self.transport);
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

    /// The number of bytes that wait to be written.
    fn queued_len(&self) -> usize;

    /// Queues bytes, and behind them a frame that other connections queue, too.
    fn queue_shared(&mut self, bytes: &[u8], frame: &Arc<[u8]>, is_message: bool, now: Instant);

    /// Queues a whole message that may be dropped as long as none of it is written.
    fn queue_message(&mut self, bytes: &[u8], now: Instant);
}

impl<T: Transport> Direct for Stream<T> {
    fn write_direct(&mut self, parts: [&[u8]; 3], now: Instant) -> usize {
        if self.room == Room::None {
            return 0;
        }
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let taken = match self.transport.send(&mut parts.map(IoSlice::new)) {
            Ok(taken) => taken,
            Err(error) => {
                self.queue.fail(error, now);
                return 0;
            }
        };
        if taken < len {
            self.room = Room::None;
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
        self.note_unsent(now);
        taken
    }

    fn queued_len(&self) -> usize {
        Stream::queued_len(self)
    }

    fn queue_shared(&mut self, bytes: &[u8], frame: &Arc<[u8]>, is_message: bool, now: Instant) {
        self.queue.push(bytes, now);
        self.queue.push_shared(frame, is_message, now);
    }

    fn queue_message(&mut self, bytes: &[u8], now: Instant) {
        self.queue.push_message(bytes, now);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A transport that encrypts, as TLS does: each call makes a record of a header and the complement of the
    /// bytes, and the record waits in the transport until the socket takes it.
    #[derive(Default)]
    struct Encrypting {
        records: Vec<u8>,
        on_the_wire: Vec<u8>,
        /// How many bytes the socket takes before it is full.
        room: usize,
        /// What is to be received: records of the peer's, none of which may hold data.
        received: Vec<Received>,
        has_ended: bool,
    }

    impl Encrypting {
        fn decrypted(&self) -> Vec<u8> {
            self.on_the_wire.iter().filter(|byte| **byte != b'#').map(|byte| !byte).collect()
        }
    }

    impl Transport for Encrypting {
        fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
            buffer.fill(b'x');
            let received = self.received.remove(0);
            if received == Received::More(0) {
                // A message of the handshake, which has an answer.
                self.records.push(b'#');
            }
            Ok(received)
        }

        fn send(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<usize> {
            if self.unsent_len() > 0 {
                return Ok(0);
            }
            self.records.push(b'#');
            self.records.extend(parts.iter().flat_map(|part| part.iter()).map(|byte| !byte));
            self.flush()?;
            Ok(parts.iter().map(|part| part.len()).sum())
        }

        fn unsent_len(&self) -> usize {
            self.records.len()
        }

        fn wants_write(&self) -> bool {
            !self.records.is_empty()
        }

        fn flush(&mut self) -> io::Result<usize> {
            let len = self.records.len().min(self.room);
            self.room -= len;
            self.on_the_wire.extend(self.records.drain(..len));
            Ok(len)
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            assert!(self.records.is_empty(), "nothing is unsent");
            self.has_ended = true;
            Ok(())
        }
    }

    #[test]
    fn what_a_transport_holds_counts_as_queued_and_keeps_the_order_and_the_deadline() {
        let start = Instant::now();
        let timeout = Duration::from_secs(30);
        let mut stream = Stream::new(Encrypting { room: 3, ..Encrypting::default() });
        assert_eq!(stream.write(b"first", start).unwrap().len, 5);
        assert_eq!(stream.queued_len(), 3, "of the record");
        assert_eq!(stream.write(b"second", start).unwrap().len, 0);
        assert_eq!(stream.queued_len(), 9);
        assert!(!stream.is_stalled(start + timeout - Duration::from_secs(1), timeout));
        assert!(stream.is_stalled(start + timeout, timeout));
        assert_eq!(stream.end(), Ok(()));
        assert!(!stream.transport().has_ended);

        // The socket takes two bytes: progress, and a new deadline.
        stream.transport().room = 2;
        stream.set_writable();
        assert!(stream.write(b"", start + timeout).unwrap().is_progress);
        assert!(!stream.is_stalled(start + timeout, timeout));
        stream.transport().room = 100;
        stream.set_writable();
        stream.write(b"third", start + timeout).unwrap();
        assert_eq!(stream.queued_len(), 0);
        assert!(!stream.is_stalled(start + 10 * timeout, timeout));
        assert_eq!(stream.transport().decrypted(), b"firstsecondthird");
        assert_eq!(stream.end(), Ok(()));
        assert!(stream.transport().has_ended);
    }

    #[test]
    fn a_large_message_that_a_transport_takes_waits_in_the_transport() {
        let now = Instant::now();
        let mut stream = Stream::new(Encrypting { room: 2, ..Encrypting::default() });
        assert_eq!(stream.write_direct([b"a", b"b", b"cde"], now), 5);
        assert_eq!((stream.queued_len(), stream.queue.len()), (4, 0));
        assert_eq!(stream.write_direct([b"f", b"", b""], now), 0, "it is not begun");
        stream.transport().room = 100;
        stream.set_writable();
        stream.write(b"g", now).unwrap();
        assert_eq!(stream.transport().decrypted(), b"abcdeg");
    }

    #[test]
    fn input_without_data_is_neither_the_end_nor_nothing() {
        let received = vec![Received::More(0), Received::More(2), Received::Drained(1), Received::Drained(0)];
        let mut stream = Stream::new(Encrypting { room: 9, received, ..Encrypting::default() });
        let mut buffer = [0; 2];
        assert_eq!(stream.read(&mut buffer).unwrap(), None, "it is not readable yet");
        stream.set_readable(false);
        assert_eq!(stream.read(&mut buffer).unwrap(), Some(2));
        assert_eq!(stream.transport().on_the_wire, b"#", "the answer of the handshake is written");
        assert_eq!(stream.read(&mut buffer).unwrap(), Some(1));
        assert!(!stream.is_readable());
        stream.set_readable(false);
        assert_eq!(stream.read(&mut buffer).unwrap(), None);
        stream.transport().received = vec![Received::End];
        stream.set_readable(true);
        assert_eq!(stream.read(&mut buffer).unwrap(), Some(0));
    }
}

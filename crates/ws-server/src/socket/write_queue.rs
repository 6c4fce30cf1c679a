//! What a socket did not take, kept in order until it does.

use crate::Transport;
use std::{
    collections::{TryReserveError, VecDeque},
    io::{self, ErrorKind, IoSlice},
    ops::Deref,
    sync::Arc,
    time::Instant,
};

/// Up to this many bytes, what comes later is appended to the last part instead of being a part of its own.
const PART_LEN: usize = 64 << 10;

/// How many parts are written with one call.
const PARTS_PER_WRITE: usize = 64;

/// Bytes that wait for their socket, in parts. Empty, it owns no memory, unless what waited was dropped.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue(Option<Box<Waiting>>);

#[derive(Debug)]
struct Waiting {
    parts: VecDeque<Part>,
    /// How many bytes of the first part are written already.
    written: usize,
    /// No part before this one can be dropped.
    oldest: usize,
    /// How many bytes wait.
    len: usize,
    /// The length of the shared parts, in bytes.
    shared_len: usize,
    /// When the socket last took something, or else the first of them came.
    since: Instant,
    /// What the socket failed with.
    error: Option<io::Error>,
}

#[derive(Debug)]
struct Part {
    bytes: Bytes,
    /// It is one whole message, which nothing later depends on.
    is_message: bool,
}

#[derive(Debug)]
enum Bytes {
    Own(Vec<u8>),
    /// A frame that other queues have, too.
    Shared(Arc<[u8]>),
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl WriteQueue {
    /// How many bytes wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.len)
    }

    /// Whether it owns nothing: nothing waits, nor did until it was dropped, and nothing has failed.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// When the socket last took something, or else the first of what waits came; `None`: nothing has waited.
    #[inline]
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        self.0.as_ref().map(|waiting| waiting.since)
    }

    /// The length of the frames that it shares with other queues, in bytes.
    pub(crate) fn shared_len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.shared_len)
    }

    /// The memory that it takes alone, in bytes.
    #[inline]
    pub(crate) fn held_len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.held_len())
    }

    /// Adds bytes that have to be written.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8], now: Instant) {
        if !bytes.is_empty() {
            self.waiting(now).push(bytes, false);
        }
    }

    /// Adds a whole message that may be dropped as long as none of it is written.
    pub(crate) fn push_message(&mut self, bytes: &[u8], now: Instant) {
        if !bytes.is_empty() {
            self.waiting(now).push(bytes, true);
        }
    }

    /// Adds a whole frame that other queues have, too, and that may be dropped if it is a message by itself.
    pub(crate) fn push_shared(&mut self, frame: &Arc<[u8]>, is_message: bool, now: Instant) {
        self.waiting(now).push_shared(frame, is_message);
    }

    /// Drops the oldest message that may be dropped; `false`: there is none. The socket has taken nothing by this, so what
    /// takes the place of the last message waits since the same moment, until [`free_if_empty`](Self::free_if_empty).
    pub(crate) fn drop_oldest(&mut self) -> bool {
        self.0.as_mut().is_some_and(|waiting| waiting.drop_oldest())
    }

    /// What nobody could be told: how the socket has failed, or that there was no memory to queue something.
    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.0.as_mut()?.error.take()
    }

    /// The socket has failed, where nobody could be told: the next write tells of it.
    pub(crate) fn fail(&mut self, error: io::Error, now: Instant) {
        self.waiting(now).error = Some(error);
    }

    /// Writes what the transport takes, and says how much that was.
    pub(crate) fn write_to(&mut self, transport: &mut impl Transport, now: Instant) -> io::Result<usize> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        let Some(waiting) = &mut self.0 else { return Ok(0) };
        let before = waiting.len;
        let flushed = if transport.wants_write() { transport.flush()? } else { 0 };
        // What the transport holds is first, so with nothing of its own left it takes more.
        if !transport.wants_write() {
            waiting.write_to(transport)?;
        }
        let taken = before - waiting.len + flushed;
        if taken > 0 {
            waiting.since = now;
        }
        self.free_if_empty(transport);
        Ok(taken)
    }

    fn waiting(&mut self, now: Instant) -> &mut Waiting {
        self.0.get_or_insert_with(|| {
            Box::new(Waiting {
                parts: VecDeque::new(),
                written: 0,
                oldest: 0,
                len: 0,
                shared_len: 0,
                since: now,
                error: None,
            })
        })
    }

    /// Notes since when a transport holds bytes that its socket has not taken.
    pub(crate) fn hold(&mut self, now: Instant) {
        self.waiting(now);
    }

    /// Frees the memory, if nothing waits any more, here or in the transport.
    pub(crate) fn free_if_empty(&mut self, transport: &impl Transport) {
        let is_held = transport.unsent_len() > 0;
        self.0.take_if(|waiting| waiting.len == 0 && waiting.error.is_none() && !is_held);
    }
}

impl Waiting {
    fn held_len(&self) -> usize {
        let own_len = (self.len + self.written).saturating_sub(self.shared_len);
        size_of::<Self>() + own_len + self.parts.capacity() * size_of::<Part>()
    }

    /// Adds bytes. Where the system has no memory for them, the stream cannot go on: nothing may be left out of it.
    fn push(&mut self, bytes: &[u8], is_message: bool) {
        if self.error.is_none() && self.try_push(bytes, is_message).is_err() {
            self.error = Some(ErrorKind::OutOfMemory.into());
        }
    }

    fn push_shared(&mut self, frame: &Arc<[u8]>, is_message: bool) {
        if self.error.is_none() && self.parts.try_reserve(1).is_err() {
            self.error = Some(ErrorKind::OutOfMemory.into());
        }
        if self.error.is_none() {
            self.parts.push_back(Part { bytes: Bytes::Shared(frame.clone()), is_message });
            self.len += frame.len();
            self.shared_len += frame.len();
        }
    }

    fn try_push(&mut self, bytes: &[u8], is_message: bool) -> Result<(), TryReserveError> {
        match self.parts.back_mut() {
            Some(Part { bytes: Bytes::Own(last), is_message: false })
                if !is_message && last.len() + bytes.len() <= PART_LEN =>
            {
                last.try_reserve(bytes.len())?;
                last.extend_from_slice(bytes);
            }
            _ => {
                let mut part = Vec::new();
                part.try_reserve_exact(bytes.len())?;
                part.extend_from_slice(bytes);
                self.parts.try_reserve(1)?;
                self.parts.push_back(Part { bytes: Bytes::Own(part), is_message });
            }
        }
        self.len += bytes.len();
        Ok(())
    }

    /// Finds the message without a scan: each part that stays is passed over once, and `oldest` remembers it.
    fn drop_oldest(&mut self) -> bool {
        self.oldest = self.oldest.max(usize::from(self.written > 0));
        while self.parts.get(self.oldest).is_some_and(|part| !part.is_message) {
            self.oldest += 1;
        }
        let Some(dropped) = self.parts.remove(self.oldest) else { return false };
        self.let_go(&dropped);
        self.len -= dropped.bytes.len();
        self.merge(self.oldest);
        true
    }

    /// Notes that a part is gone.
    fn let_go(&mut self, part: &Part) {
        if let Bytes::Shared(frame) = &part.bytes {
            self.shared_len -= frame.len();
        }
    }

    /// Appends this part to the one before, if both stay and are small: pongs between messages that are dropped would be
    /// as many parts otherwise.
    fn merge(&mut self, index: usize) {
        let own_len = |part: &Part| match &part.bytes {
            Bytes::Own(bytes) if !part.is_message => Some(bytes.len()),
            Bytes::Own(_) | Bytes::Shared(_) => None,
        };
        let Some(before) = index.checked_sub(1) else { return };
        let lens = (self.parts.get(before).and_then(own_len), self.parts.get(index).and_then(own_len));
        let (Some(before_len), Some(part_len)) = lens else { return };
        if before_len + part_len > PART_LEN {
            return;
        }
        // Without memory for it, they stay two parts.
        if let Some(Part { bytes: Bytes::Own(bytes), .. }) = self.parts.get_mut(before)
            && bytes.try_reserve(part_len).is_ok()
            && let Some(part) = self.parts.remove(index)
            && let Some(Part { bytes: Bytes::Own(bytes), .. }) = self.parts.get_mut(before)
        {
            bytes.extend_from_slice(&part.bytes);
        }
    }

    fn write_to(&mut self, transport: &mut impl Transport) -> io::Result<()> {
        while self.len > 0 {
            let mut slices = [IoSlice::new(&[]); PARTS_PER_WRITE];
            let (mut skip, mut count, mut len) = (self.written, 0, 0);
            for (slice, part) in slices.iter_mut().zip(&self.parts) {
                let rest = part.bytes.get(skip..).unwrap_or_default();
                *slice = IoSlice::new(rest);
                (skip, count, len) = (0, count + 1, len + rest.len());
            }
            let taken = transport.send(slices.get_mut(..count).unwrap_or_default())?;
            self.take(taken);
            if taken < len {
                break;
            }
        }
        Ok(())
    }

    /// Lets go of the first `len` bytes.
    fn take(&mut self, len: usize) {
        self.len -= len;
        self.written += len;
        while let Some(part) = self.parts.pop_front_if(|part| part.bytes.len() <= self.written) {
            self.let_go(&part);
            self.written -= part.bytes.len();
            self.oldest = self.oldest.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Socket;
    use std::io::{Read, Write};

    /// A socket that takes so many bytes in all, so many at a time, and is interrupted now and then.
    struct Slow {
        taken: Vec<u8>,
        room: usize,
        at_a_time: usize,
        calls: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                return Err(ErrorKind::Interrupted.into());
            }
            let len = bytes.len().min(self.room).min(self.at_a_time);
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= len;
            self.taken.extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let bytes: Vec<u8> =
                slices.iter().flat_map(|slice| slice.iter()).take(self.at_a_time).copied().collect();
            self.write(&bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Slow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    impl Socket for Slow {
        fn shutdown_write(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_is_written_once_and_in_order_however_slowly() {
        let now = Instant::now();
        for at_a_time in [1, 3, 1_000_000] {
            let (mut queue, mut socket) =
                (WriteQueue::default(), Slow { taken: vec![], room: 0, at_a_time, calls: 0 });
            let mut expect = Vec::new();
            for i in 0..200_u8 {
                let bytes = vec![i; usize::from(i) * 3];
                if i % 3 == 0 {
                    queue.push_message(&bytes, now);
                } else {
                    queue.push(&bytes, now);
                }
                expect.extend(bytes);
                socket.room = 100;
                let (before, taken) = (queue.len(), queue.write_to(&mut socket, now).unwrap());
                assert_eq!(queue.len(), before - taken);
                assert_eq!(socket.taken[..], expect[..socket.taken.len()]);
                assert!(queue.held_len() >= queue.len());
            }
            socket.room = usize::MAX;
            queue.write_to(&mut socket, now).unwrap();
            assert!(queue.is_empty() && socket.taken == expect && queue.held_len() == 0);
        }
    }

    #[test]
    fn only_whole_messages_that_are_not_begun_are_dropped_the_oldest_first() {
        let now = Instant::now();
        let (mut queue, mut socket) =
            (WriteQueue::default(), Slow { taken: vec![], room: 3, at_a_time: 9, calls: 0 });
        for (bytes, is_message) in
            [("one", true), ("two", true), ("-pong-", false), ("three", true), ("four", true)]
        {
            if is_message {
                queue.push_message(bytes.as_bytes(), now);
            } else {
                queue.push(bytes.as_bytes(), now);
            }
        }
        assert!(queue.drop_oldest());
        assert_eq!(queue.len(), 18);
        queue.write_to(&mut socket, now).unwrap();
        socket.room = 8;
        queue.write_to(&mut socket, now).unwrap();
        assert_eq!(socket.taken, b"two-pong-th");
        assert!(queue.drop_oldest(), "four, as three is begun");
        assert!(!queue.drop_oldest());
        socket.room = 100;
        queue.write_to(&mut socket, now).unwrap();
        assert_eq!((&*socket.taken, queue.len()), (&b"two-pong-three"[..], 0));
    }

    #[test]
    fn what_stays_between_dropped_messages_becomes_one_part_and_is_passed_over_once() {
        let now = Instant::now();
        let mut queue = WriteQueue::default();
        for _ in 0..10_000 {
            while queue.drop_oldest() {}
            queue.push_message(b"state", now);
            queue.push(b"-pong-", now);
        }
        let waiting = queue.0.as_ref().unwrap();
        assert_eq!((waiting.parts.len(), waiting.oldest, waiting.len), (3, 1, 60_005));
        let mut socket = Slow { taken: vec![], room: usize::MAX, at_a_time: 1 << 20, calls: 0 };
        queue.write_to(&mut socket, now).unwrap();
        assert_eq!(socket.taken, [&b"-pong-".repeat(9_999)[..], b"state-pong-"].concat());
    }

    #[test]
    fn dropping_writing_and_queueing_in_any_order_loses_only_what_is_dropped() {
        let now = Instant::now();
        let (mut queue, mut socket) =
            (WriteQueue::default(), Slow { taken: vec![], room: 0, at_a_time: 7, calls: 0 });
        // A sequence without a pattern, from a multiplicative generator.
        let mut random = 1_u32;
        let (mut stays, mut messages) = (0, 0);
        for i in 0..5_000_u32 {
            random = random.wrapping_mul(0x9e37_79b1) ^ (random >> 15) ^ i;
            match random % 5 {
                0 | 1 => {
                    queue.push(b"-", now);
                    stays += 1;
                }
                2 => {
                    queue.push_message(b"(ab)", now);
                    messages += 1;
                }
                3 => messages -= usize::from(queue.drop_oldest()),
                _ => {
                    socket.room += (random >> 8) as usize % 9;
                    queue.write_to(&mut socket, now).unwrap();
                }
            }
        }
        socket.room = usize::MAX;
        queue.write_to(&mut socket, now).unwrap();
        let text = String::from_utf8(socket.taken).unwrap();
        assert_eq!((text.matches('-').count(), text.matches("(ab)").count()), (stays, messages));
        assert_eq!(text.replace("(ab)", "").replace('-', ""), "", "nothing is cut");
    }
}

//! The other end of a connection, as the handler sees it.

use crate::{
    Config, ConnectionId, PeerAddr, PeerInfo, Remote, SlowConsumer,
    metrics::Counters,
    socket::{shared::SharedFrames, stream::Direct},
};
use std::{sync::Arc, time::Instant};
use ws_protocol::{
    AsMessage, CloseCode, CloseFrame, Message, Output, Prepared, SendError, Sender, ServerRole,
};

/// A payload of so many bytes is written from where it lies, if little else is to be written with it: one call for many
/// messages costs less than to copy them.
const DIRECT_LEN: usize = 24 << 10;

/// A frame of at least this length is shared where it has to wait in the queue anyway. A shorter one is copied, which
/// takes no more than to share it.
const SHARED_LEN: usize = 512;

/// A frame of at least this length is shared, whether it has to wait or not: it costs less to write it from where it lies.
const LARGE_SHARED_LEN: usize = 4 << 10;

/// The longest header of a frame that a server sends, in bytes (RFC 6455 §5.2).
const MAX_HEADER_LEN: usize = 10;

/// The peer of the connection that is being served: what is sent here goes to it.
///
/// Nothing here blocks. What is sent is written when the handler has had everything that was read, or earlier if it is
/// much.
#[derive(Debug)]
pub struct Peer<'a> {
    pub(crate) info: &'a PeerInfo,
    pub(crate) sender: &'a mut Sender<ServerRole>,
    /// The socket.
    pub(crate) stream: &'a mut (dyn Direct + 'a),
    /// Nothing is read from it for now.
    pub(crate) is_paused: &'a mut bool,
    /// How many bytes wait for it.
    pub(crate) queued: usize,
    /// What is to be written next, after that.
    pub(crate) out: &'a mut Output,
    /// How many bytes of input there were when the message that is being served began; none at any other time.
    pub(crate) input_len: usize,
    pub(crate) config: &'a Config,
    pub(crate) counters: &'a Counters,
    pub(crate) remote: &'a Remote,
    pub(crate) now: Instant,
    /// The frames that wait in the queues of several connections.
    pub(crate) shared: &'a mut SharedFrames,
}

/// What became of a message that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendStatus {
    /// It will be written.
    Sent,
    /// It will be written, but the peer lags: more than [`write_high_water`](crate::Flow::high_water_len) bytes
    /// wait for it. A handler that can hold back should, until [`on_drain`](crate::Handler::on_drain).
    Lagging,
    /// It was not sent: it did not fit [`max_write_queue`](crate::Limits::max_write_queue_len), or memory. The connection is
    /// being closed with 1008, or 1013.
    QueueFull,
    /// It was not sent: the system gave no memory for it. The connection is being closed with 1013.
    OutOfMemory,
    /// It was not sent: it did not fit the queue, and the [`SlowConsumer`] policy is not to close. The connection goes on.
    Dropped,
    /// It was not sent: the connection is closing.
    Closing,
    /// It was not sent: a ping or pong has over 125 bytes, a close a reason of over 123 or a code that is not for the
    /// wire.
    Invalid,
}

impl Peer<'_> {
    /// Sends a message, compressed where that was agreed and is worth it.
    #[inline]
    pub fn send(&mut self, message: impl AsMessage) -> SendStatus {
        let message = message.as_message();
        let len = message.as_bytes().len();
        if len >= DIRECT_LEN
            && len > self.input_len / 2
            && let Some(status) = self.send_direct(message)
        {
            return status;
        }
        self.message(len, |sender, out| sender.send(message, out))
    }

    /// Sends a message as it is: one that is compressed already, or that holds a secret beside something that an attacker
    /// has chosen (RFC 7692 §10.1).
    pub fn send_uncompressed(&mut self, message: impl AsMessage) -> SendStatus {
        let message = message.as_message();
        self.message(message.as_bytes().len(), |sender, out| sender.send_uncompressed(message, out))
    }

    /// Sends a ping with up to 125 bytes (RFC 6455 §5.5.2); see [`on_pong`](crate::Handler::on_pong).
    pub fn ping(&mut self, payload: &[u8]) -> SendStatus {
        self.queue(payload.len(), |sender, out| sender.ping(payload, out))
    }

    /// Starts the closing handshake (RFC 6455 §7.1.2): nothing can be sent after it. The reason has up to 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> SendStatus {
        match self.sender.close(CloseFrame { code, reason }, self.out) {
            Ok(()) => SendStatus::Sent,
            Err(SendError::Closing) => SendStatus::Closing,
            Err(_) => SendStatus::Invalid,
        }
    }

    /// Stops reading from this peer, until [`resume`](Self::resume) or [`Remote::resume`].
    ///
    /// For a handler that hands messages to something slower. After the callback that is running,
    /// [`on_message`](crate::Handler::on_message) is not called again; nothing is lost, as the peer is held back by TCP.
    /// Pings to the peer and their deadline wait, and so does everything else that has to be read: its close frame, and
    /// the end of its stream. Once this side closes the connection, it is read again, as the peer's close frame is behind
    /// what it has sent before.
    pub fn pause(&mut self) {
        *self.is_paused = self.sender.is_open();
    }

    /// Reads from this peer again.
    pub fn resume(&mut self) {
        *self.is_paused = false;
    }

    /// The way to the other connections of this server, and into this one from another thread.
    pub fn remote(&self) -> &Remote {
        self.remote
    }

    /// How many bytes wait to be written to this peer.
    #[inline]
    pub fn queued_len(&self) -> usize {
        self.queued + self.out.len()
    }

    /// The connection's id and the peer's address.
    #[inline]
    pub fn info(&self) -> &PeerInfo {
        self.info
    }

    /// The connection's id, for a [`Remote`].
    #[inline]
    pub fn id(&self) -> ConnectionId {
        self.info.id
    }

    /// The peer's address.
    #[inline]
    pub fn addr(&self) -> PeerAddr {
        self.info.addr
    }

    /// Sends a message that others get, too: it is encoded once for all, and compressed once for each set of parameters.
    pub fn send_prepared(&mut self, message: &Prepared) -> SendStatus {
        self.deliver(message, false)
    }

    /// Sends a message that many get, and which may be dropped from the queue if `may_be_dropped`.
    pub(crate) fn deliver(&mut self, message: &Prepared, may_be_dropped: bool) -> SendStatus {
        let len = message.len();
        let status = match self.make_room(len) {
            Err(status) => status,
            Ok(()) => match self.sender.prepared_frame(message, self.out) {
                Ok(Some(frame)) => self.queue_frame(frame, may_be_dropped),
                Ok(None) => return self.send(message.message()),
                Err(error) => self.failed(&error),
            },
        };
        self.count(status)
    }

    /// Queues a whole frame. Frames that have to wait anyway, and large ones, are shared with all that queue them.
    fn queue_frame(&mut self, frame: &Arc<[u8]>, may_be_dropped: bool) -> SendStatus {
        let shared_len = if self.queued > 0 { SHARED_LEN } else { LARGE_SHARED_LEN };
        if frame.len() >= shared_len {
            self.shared.note(frame);
            self.stream.queue_shared(self.out.as_bytes(), frame, may_be_dropped, self.now);
            self.out.clear();
            self.queued = self.stream.queued_len();
            return self.sent();
        }
        if self.out.buffer().try_reserve(frame.len()).is_err() {
            return self.out_of_memory();
        }
        if may_be_dropped {
            self.stream.queue_message(frame, self.now);
            self.queued = self.stream.queued_len();
        } else {
            self.out.buffer().extend_from_slice(frame);
        }
        self.sent()
    }

    /// Sends a large message without a copy of it, where that can be done.
    fn send_direct(&mut self, message: Message<'_>) -> Option<SendStatus> {
        let payload = message.as_bytes();
        let fits = self.out.len().saturating_add(payload.len()) <= self.config.limits.max_write_queue_len;
        if self.queued > 0 || !fits {
            return None;
        }
        let header = self.sender.send_header(message).ok()??;
        let taken = self.stream.write_direct([self.out.as_bytes(), header.as_ref(), payload], self.now);
        if taken == 0 {
            return None;
        }
        self.out.clear();
        self.queued = self.stream.queued_len();
        self.counters.bytes_sent.add(taken as u64);
        self.counters.messages_sent.add(1);
        Some(self.sent())
    }

    /// Whether the peer lags with what was sent.
    #[inline]
    fn sent(&self) -> SendStatus {
        if self.queued_len() > self.config.flow.high_water_len {
            SendStatus::Lagging
        } else {
            SendStatus::Sent
        }
    }

    #[inline]
    fn message(
        &mut self,
        len: usize,
        send: impl FnOnce(&mut Sender<ServerRole>, &mut Output) -> Result<(), SendError>,
    ) -> SendStatus {
        let status = self.queue(len, send);
        self.count(status)
    }

    /// Counts a message that was sent or dropped.
    #[inline]
    fn count(&mut self, status: SendStatus) -> SendStatus {
        match status {
            SendStatus::Sent | SendStatus::Lagging => self.counters.messages_sent.add(1),
            SendStatus::QueueFull | SendStatus::Dropped | SendStatus::OutOfMemory => {
                self.counters.messages_dropped.add(1);
            }
            SendStatus::Closing | SendStatus::Invalid => {}
        }
        status
    }

    #[inline]
    fn queue(
        &mut self,
        len: usize,
        send: impl FnOnce(&mut Sender<ServerRole>, &mut Output) -> Result<(), SendError>,
    ) -> SendStatus {
        if let Err(status) = self.make_room(len) {
            return status;
        }
        // Asked for softly, as the system may not give it: a frame is its payload and a header.
        if self.out.buffer().try_reserve(len.saturating_add(MAX_HEADER_LEN)).is_err() {
            return self.out_of_memory();
        }
        match send(self.sender, self.out) {
            Ok(()) => self.sent(),
            Err(error) => self.failed(&error),
        }
    }

    /// Checks that the queue has room for so many bytes. If not, the connection is closed, or the message dropped.
    #[inline]
    fn make_room(&mut self, len: usize) -> Result<(), SendStatus> {
        if self.queued_len().saturating_add(len) <= self.config.limits.max_write_queue_len {
            return Ok(());
        }
        if self.config.flow.slow_consumer != SlowConsumer::Close {
            return Err(SendStatus::Dropped);
        }
        Err(match self.close(CloseCode::POLICY_VIOLATION, "the peer does not read what it is sent") {
            SendStatus::Closing => SendStatus::Closing,
            _ => SendStatus::QueueFull,
        })
    }

    /// The status of a message that could not be encoded.
    #[cold]
    fn failed(&mut self, error: &SendError) -> SendStatus {
        match error {
            SendError::Closing => SendStatus::Closing,
            SendError::OutOfMemory => {
                self.close(CloseCode::TRY_AGAIN_LATER, &error.to_string());
                SendStatus::QueueFull
            }
            _ => SendStatus::Invalid,
        }
    }

    #[cold]
    fn out_of_memory(&mut self) -> SendStatus {
        match self.close(CloseCode::TRY_AGAIN_LATER, "the server has no memory left") {
            SendStatus::Closing => SendStatus::Closing,
            _ => SendStatus::OutOfMemory,
        }
    }
}

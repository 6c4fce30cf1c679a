//! The access log: a line for each connection that opens or closes and, if asked for, for each
//! message.

use crate::serve::log::{self, Line, Log};
use std::time::Instant;
use ws_server::{Disconnect, Message, Peer, PeerAddr, SendStatus};

/// The access log of a worker.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    log: Log,
    logs_messages: bool,
}

/// The session of a mode, with the log's entry for its connection.
pub(crate) struct Logged<S> {
    pub(crate) session: S,
    pub(crate) entry: Entry,
}

/// The log's entry for a connection; empty where connections are not logged.
pub(crate) struct Entry(Option<Box<Record>>);

struct Record {
    opened: Instant,
    /// Without its query, which may have a secret, and cut as the log cuts it.
    path: Box<str>,
    received: Traffic,
    sent: Traffic,
}

/// The messages of one direction, and their bytes before compression and framing.
#[derive(Default)]
struct Traffic {
    messages: u64,
    bytes: u64,
}

/// The client of the connection that is being served, as a mode sees it. Messages sent to it count
/// in the access log.
pub(crate) struct Client<'a, 'p> {
    peer: &'a mut Peer<'p>,
    log: &'a AccessLog,
    entry: &'a mut Entry,
}

impl AccessLog {
    /// Writes to `log`. With `logs_messages`, each message has a line too.
    pub(crate) fn new(log: Log, logs_messages: bool) -> Self {
        Self { log, logs_messages }
    }

    /// The log behind it, for lines of other kinds.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Begins the entry for a request with this path.
    pub(crate) fn begin(&self, path: &str) -> Entry {
        let (received, sent) = Default::default();
        let record = || Record { opened: Instant::now(), path: log::kept(path).into(), received, sent };
        Entry(self.log.is_on().then(|| Box::new(record())))
    }

    /// Logs that a connection has opened.
    pub(crate) fn opened(&self, entry: &Entry, address: PeerAddr) {
        if let Some(record) = &entry.0 {
            self.log.event("open", |line| record.name(line, address));
        }
    }

    /// Counts a message from the client.
    #[inline]
    pub(crate) fn received(&self, entry: &mut Entry, address: PeerAddr, message: Message<'_>) {
        if let Some(record) = &mut entry.0 {
            record.received.add(message);
            self.log_message(address, "in", message);
        }
    }

    /// Logs that a connection has closed.
    pub(crate) fn closed(&self, entry: &Entry, disconnect: &Disconnect<'_>) {
        if let Some(record) = &entry.0 {
            self.log.event("close", |line| {
                record.name(line, disconnect.peer.addr);
                record.sum_up(line, disconnect);
            });
        }
    }

    /// Counts a message to the client.
    #[inline]
    fn sent(&self, entry: &mut Entry, address: PeerAddr, message: Message<'_>) {
        if let Some(record) = &mut entry.0 {
            record.sent.add(message);
            self.log_message(address, "out", message);
        }
    }

    #[inline]
    fn log_message(&self, address: PeerAddr, direction: &str, message: Message<'_>) {
        if self.logs_messages {
            let kind = match message {
                Message::Text(_) => "text",
                Message::Binary(_) => "binary",
            };
            self.log.event("message", |line| {
                line.word("address", address).word("direction", direction);
                line.word("type", kind).value("bytes", message.as_bytes().len());
            });
        }
    }
}

impl Entry {
    /// Attaches the entry to the session of its connection.
    pub(crate) fn with<S>(self, session: S) -> Logged<S> {
        Logged { session, entry: self }
    }

    /// The memory that the entry has allocated, in bytes.
    pub(crate) fn allocated_len(&self) -> usize {
        self.0.as_ref().map_or(0, |record| size_of::<Record>() + record.path.len())
    }
}

impl<'a, 'p> Client<'a, 'p> {
    pub(crate) fn new(peer: &'a mut Peer<'p>, log: &'a AccessLog, entry: &'a mut Entry) -> Self {
        Self { peer, log, entry }
    }

    /// Sends a message, compressed where that was agreed.
    #[inline]
    pub(crate) fn send(&mut self, message: Message<'_>) {
        let status = self.peer.send(message);
        if matches!(status, SendStatus::Sent | SendStatus::Lagging) {
            self.log.sent(self.entry, self.peer.addr(), message);
        }
    }
}

impl Traffic {
    #[inline]
    fn add(&mut self, message: Message<'_>) {
        self.messages += 1;
        self.bytes += message.as_bytes().len() as u64;
    }
}

impl Record {
    fn name(&self, line: &mut Line, address: PeerAddr) {
        line.word("address", address).text("path", &self.path);
    }

    fn sum_up(&self, line: &mut Line, disconnect: &Disconnect<'_>) {
        let error = disconnect.error.map(ToString::to_string);
        line.value("code", disconnect.code.value()).text("reason", disconnect.reason);
        line.optional_text("error", error.as_deref());
        line.value("seconds", format_args!("{:.3}", self.opened.elapsed().as_secs_f64()));
        line.value("messages_in", self.received.messages).value("bytes_in", self.received.bytes);
        line.value("messages_out", self.sent.messages).value("bytes_out", self.sent.bytes);
        // Messages that the socket never took count as sent, so the line gives the bytes lost.
        line.value("unsent_bytes", disconnect.unsent_len);
    }
}

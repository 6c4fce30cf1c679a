//! What reaches connections from outside of the one being served: other connections, threads, async code.

use crate::{CloseCode, Config, ConnectionId, Message};
use crate::{
    admission::{Admission, Admitted},
    metrics::{Counters, Metrics, Unlogged},
};
use mio::{Waker, net::TcpStream};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io, mem,
    net::SocketAddr,
    ptr,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// While a handler has more bytes of commands for its own worker, no further message is read, so that they are carried
/// out first.
const CROWDED_LEN: usize = 1 << 20;

/// The way into a running server from any thread: `Clone`, `Send` and `Sync`, and never blocking.
///
/// Commands of one thread for one connection are carried out in order, at the end of the worker's turn. A connection that
/// is gone by then is not reached, and nobody else in its place.
///
/// Handlers may use a `Remote`, too, to reach connections other than the one being served. A handler's commands for
/// connections of its own worker wait in that worker and take no lock. While many commands of a handler wait, on whatever
/// worker, its own worker reads no further messages. So they meet the limit
/// ([`max_mailbox_len`](crate::Config::max_mailbox_len)) only where a single call of the handler sends that much, or where
/// another worker is stuck.
#[derive(Clone, Debug)]
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    /// Sends a message to a connection, compressed where that was agreed and is worth it.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; nothing was sent.
    pub fn send(&self, id: ConnectionId, message: impl Into<OwnedMessage>) -> Result<(), RemoteError> {
        self.command(id, Command::Send(id, message.into()))
    }

    /// Sends a message to a connection as it is: one that is compressed already, or that holds a secret beside something
    /// that an attacker has chosen (RFC 7692 §10.1).
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; nothing was sent.
    pub fn send_uncompressed(
        &self,
        id: ConnectionId,
        message: impl Into<OwnedMessage>,
    ) -> Result<(), RemoteError> {
        self.command(id, Command::SendUncompressed(id, message.into()))
    }

    /// Closes a connection with this code and a reason of up to 123 bytes.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; the connection goes on.
    pub fn close(
        &self,
        id: ConnectionId,
        code: CloseCode,
        reason: impl Into<String>,
    ) -> Result<(), RemoteError> {
        self.command(id, Command::Close(id, code, reason.into()))
    }

    /// Sends a message to every connection that is open. Each worker encodes it once, and compresses it once for all
    /// connections that share a compressor.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Full`] with the number of connections that miss the message, as their workers cannot take it; the
    /// others still do. [`RemoteError::Stopping`].
    pub fn broadcast(&self, message: impl Into<OwnedMessage>) -> Result<(), RemoteError> {
        self.command_all(&Command::Broadcast(Arc::new(message.into())))
    }

    /// Sends a message to every connection that is open, as it is; see [`send_uncompressed`](Self::send_uncompressed).
    ///
    /// # Errors
    ///
    /// As of [`broadcast`](Self::broadcast).
    pub fn broadcast_uncompressed(&self, message: impl Into<OwnedMessage>) -> Result<(), RemoteError> {
        self.command_all(&Command::BroadcastUncompressed(Arc::new(message.into())))
    }

    /// Stops the server: new connections get a 503 (pages are still served, so that a load balancer can see it), those
    /// that are open a close with 1001, each at a random moment of [`drain_window`](crate::Config::drain_window).
    /// [`Server::run`](crate::Server::run) returns when they have all ended, or
    /// [`close_timeout`](crate::Config::close_timeout) after the window.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        for mailbox in &self.shared.mailboxes {
            mailbox.shutdown();
        }
    }

    /// What the server has counted since it started. `to_string()` gives the text that Prometheus reads.
    pub fn metrics(&self) -> Metrics {
        Metrics::sum(self.shared.mailboxes.iter().map(|mailbox| &*mailbox.counters))
    }

    /// Whether the server shuts down.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn new(mailboxes: Vec<Mailbox>, admission: Admission) -> Self {
        let (admission, stopping) = (Arc::new(admission), AtomicBool::new(false));
        Self { shared: Arc::new(Shared { mailboxes, admission, stopping }) }
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.shared.admission
    }

    pub(crate) fn mailboxes(&self) -> &[Mailbox] {
        &self.shared.mailboxes
    }

    fn command(&self, id: ConnectionId, command: Command) -> Result<(), RemoteError> {
        let mailbox = self.mailboxes().get(usize::from(id.worker)).ok_or(RemoteError::Unknown)?;
        if self.is_stopping() {
            return Err(RemoteError::Stopping);
        }
        mailbox.command(command, 1)
    }

    fn command_all(&self, command: &Command) -> Result<(), RemoteError> {
        if self.is_stopping() {
            return Err(RemoteError::Stopping);
        }
        let mut missed = 0;
        for mailbox in self.mailboxes() {
            match mailbox.command(command.clone(), mailbox.counters.open.value()) {
                Err(RemoteError::Full { missed: connections }) => missed += connections,
                result => result?,
            }
        }
        if missed == 0 { Ok(()) } else { Err(RemoteError::Full { missed }) }
    }
}

/// Why a [`Remote`] could not pass something on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The worker has as much waiting as it may, by [`max_mailbox_commands`](crate::Config::max_mailbox_commands) or
    /// [`max_mailbox_len`](crate::Config::max_mailbox_len): it is outpaced. The metric `mailbox_missed` counts these, too.
    #[error("too many commands wait for the worker: {missed} connections are not reached")]
    Full {
        /// The number of connections that the command does not reach.
        missed: u64,
    },
    /// The server is shutting down, or has stopped.
    #[error("the server is shutting down")]
    Stopping,
    /// The id is of another server.
    #[error("the connection is not of this server")]
    Unknown,
}

/// A message that owns its bytes, to be handed to another thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedMessage {
    /// Text.
    Text(String),
    /// Binary.
    Binary(Vec<u8>),
}

impl OwnedMessage {
    /// The message, borrowed.
    pub fn as_message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for OwnedMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
        }
    }
}

/// What a worker is asked to do with its connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Send this message to this connection.
    Send(ConnectionId, OwnedMessage),
    /// Send this message to this connection, uncompressed.
    SendUncompressed(ConnectionId, OwnedMessage),
    /// Send this message to every open connection.
    Broadcast(Arc<OwnedMessage>),
    /// Send this message to every open connection, uncompressed.
    BroadcastUncompressed(Arc<OwnedMessage>),
    /// Close this connection with this code and reason.
    Close(ConnectionId, CloseCode, String),
    /// Close every connection with 1001.
    Shutdown,
}

impl Command {
    /// The memory that the command takes while it waits, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        let content_len = match self {
            Self::Send(_, message) | Self::SendUncompressed(_, message) => {
                message.as_message().as_bytes().len()
            }
            Self::Broadcast(message) | Self::BroadcastUncompressed(message) => {
                message.as_message().as_bytes().len()
            }
            Self::Close(_, _, reason) => reason.len(),
            Self::Shutdown => 0,
        };
        size_of::<Self>() + content_len
    }
}

#[derive(Debug)]
struct Shared {
    mailboxes: Vec<Mailbox>,
    admission: Arc<Admission>,
    stopping: AtomicBool,
}

/// What waits for one worker, and the way to wake it.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    /// What the worker counts.
    counters: Arc<Counters>,
    waker: Waker,
    max_commands: usize,
    max_len: usize,
}

/// Commands and new sockets, each in order.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) commands: Vec<Command>,
    /// The memory that the commands take, in bytes.
    len: usize,
    pub(crate) sockets: VecDeque<(Admitted<TcpStream>, SocketAddr)>,
    pub(crate) stopping: bool,
    ended: bool,
    missed: Unlogged,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker, config: &Config) -> Self {
        let (max_commands, max_len) = (config.max_mailbox_commands.max(1), config.max_waiting_len());
        Self { waiting: Mutex::default(), counters: Arc::default(), waker, max_commands, max_len }
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Puts a new socket in. The worker is woken by [`wake_for_sockets`](Self::wake_for_sockets), once for many.
    pub(crate) fn socket(&self, socket: Admitted<TcpStream>, remote_addr: SocketAddr) {
        let mut waiting = self.lock();
        if !waiting.ended {
            waiting.sockets.push_back((socket, remote_addr));
        }
    }

    pub(crate) fn wake_for_sockets(&self) {
        if !self.lock().sockets.is_empty() {
            wake(&self.waker);
        }
    }

    /// Takes all commands that wait, and up to `max_sockets` sockets. If there are more, the worker is woken for them.
    pub(crate) fn take(&self, max_sockets: usize) -> Waiting {
        let mut waiting = self.lock();
        let count = max_sockets.min(waiting.sockets.len());
        let sockets = waiting.sockets.drain(..count).collect();
        if !waiting.sockets.is_empty() {
            wake(&self.waker);
        }
        let Waiting { stopping, ended, .. } = *waiting;
        let (commands, len) = (mem::take(&mut waiting.commands), mem::take(&mut waiting.len));
        self.counters.mailbox_bytes.set(0);
        Waiting { commands, len, sockets, stopping, ended, missed: Unlogged::default() }
    }

    /// Nobody takes anything any more.
    pub(crate) fn end(&self) {
        let mut waiting = self.lock();
        *waiting = Waiting { stopping: true, ended: true, ..Waiting::default() };
        self.counters.mailbox_bytes.set(0);
    }

    /// Keeps the commands of this thread in `outbox` until the guard is dropped: the thread is the worker.
    pub(crate) fn is_of_this_thread(&self, outbox: Rc<Outbox>) -> impl Drop {
        /// Ends it.
        struct Guard;
        impl Drop for Guard {
            fn drop(&mut self) {
                OUTBOX.set(None);
            }
        }
        OUTBOX.set(Some((ptr::from_ref(self).addr(), outbox)));
        Guard
    }

    /// Puts in a command that is for so many connections.
    fn command(&self, command: Command, connections: u64) -> Result<(), RemoteError> {
        // A worker cannot take from its mailbox while it serves a handler, so what the handler sends must not fill it.
        let own = OUTBOX.with_borrow(Clone::clone);
        if let Some((mailbox, outbox)) = &own
            && *mailbox == ptr::from_ref(self).addr()
        {
            return outbox.push(command).map_err(|_| self.missed(self.lock(), connections));
        }
        let len = command.held_len();
        let mut waiting = self.lock();
        if waiting.stopping {
            return Err(RemoteError::Stopping);
        }
        let fits = waiting.commands.len() < self.max_commands && fits(waiting.len, len, self.max_len);
        if !fits || waiting.commands.try_reserve(1).is_err() {
            return Err(self.missed(waiting, connections));
        }
        self.wake_if_idle(&waiting);
        waiting.commands.push(command);
        waiting.len += len;
        self.counters.mailbox_bytes.set(waiting.len as u64);
        let is_half_full = waiting.len > self.max_len / 2 || waiting.commands.len() > self.max_commands / 2;
        if let Some((_, outbox)) = own
            && is_half_full
        {
            outbox.is_congested.set(true);
        }
        Ok(())
    }

    /// Counts and logs a command that does not fit.
    #[cold]
    fn missed(&self, mut waiting: MutexGuard<'_, Waiting>, connections: u64) -> RemoteError {
        // Several threads count here, but only under the lock.
        self.counters.mailbox_missed.add(connections);
        let missed = waiting.missed.add(connections, Instant::now());
        drop(waiting);
        if let Some(missed) = missed {
            tracing::warn!(missed, "too many commands wait for a worker, and connections miss messages");
        }
        RemoteError::Full { missed: connections }
    }

    fn shutdown(&self) {
        let mut waiting = self.lock();
        if !waiting.stopping {
            self.wake_if_idle(&waiting);
            waiting.commands.push(Command::Shutdown);
            waiting.stopping = true;
        }
    }

    /// Wakes the worker for a command, unless another waits already and so has woken it.
    fn wake_if_idle(&self, waiting: &Waiting) {
        if waiting.commands.is_empty() {
            wake(&self.waker);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code that could panic runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// The mailbox of the worker that this thread is, by its address, and the commands that the worker has for itself.
    static OUTBOX: RefCell<Option<(usize, Rc<Outbox>)>> = const { RefCell::new(None) };
}

/// Commands that a worker's own thread has for the worker's connections. They are carried out at the end of the turn.
#[derive(Debug)]
pub(crate) struct Outbox {
    commands: RefCell<Vec<Command>>,
    /// The memory that they take, in bytes.
    len: Cell<usize>,
    max_len: usize,
    /// In this turn, the handler has half filled the mailbox of another worker.
    is_congested: Cell<bool>,
}

impl Outbox {
    pub(crate) fn new(max_len: usize) -> Self {
        Self { commands: RefCell::default(), len: Cell::new(0), max_len, is_congested: Cell::new(false) }
    }

    /// The memory that the commands take, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Whether so much waits, here or for another worker, that no more should be read in this turn.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.len.get() > CROWDED_LEN.min(self.max_len / 4) || self.is_congested.get()
    }

    /// Takes all commands, and whether another worker should be given time.
    pub(crate) fn take(&self) -> (Vec<Command>, bool) {
        self.len.set(0);
        (self.commands.take(), self.is_congested.take())
    }

    fn push(&self, command: Command) -> Result<(), DoesNotFit> {
        let (mut commands, len) = (self.commands.borrow_mut(), command.held_len());
        if !fits(self.len.get(), len, self.max_len) || commands.try_reserve(1).is_err() {
            return Err(DoesNotFit);
        }
        commands.push(command);
        self.len.set(self.len.get() + len);
        Ok(())
    }
}

/// So much waits that there is no room for a command.
struct DoesNotFit;

/// Whether `len` more bytes fit. A single command may be larger than all that may wait.
fn fits(waiting_len: usize, len: usize, max_len: usize) -> bool {
    waiting_len == 0 || waiting_len.saturating_add(len) <= max_len
}

fn wake(waker: &Waker) {
    let woken: io::Result<()> = waker.wake();
    // It fails only if its counter cannot be written, which is when the worker is about to wake anyway.
    drop(woken);
}

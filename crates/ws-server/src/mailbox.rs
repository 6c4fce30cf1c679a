//! What reaches connections from outside of the one being served: other connections, threads, async code.

use crate::{CloseCode, ConnectionId, Message};
use crate::{
    admission::{Admission, Admitted},
    metrics::{Counters, Metrics},
};
use mio::{Waker, net::TcpStream};
use std::{
    collections::VecDeque,
    io, mem,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The way into a running server from any thread: `Clone`, `Send` and `Sync`, and never blocking.
///
/// What is asked for here is done in order, at the end of the worker's turn. A connection that is gone by then is not
/// reached, and nobody else in its place.
#[derive(Clone, Debug)]
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    /// Sends a message to a connection.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; nothing was sent.
    pub fn send(&self, id: ConnectionId, message: impl Into<OwnedMessage>) -> Result<(), RemoteError> {
        self.mailbox_of(id)?.command(Command::Send(id, message.into()))
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
        self.mailbox_of(id)?.command(Command::Close(id, code, reason.into()))
    }

    /// Sends a message to every connection that is open. Each worker encodes it once, and compresses it once for all
    /// connections that share a compressor.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] of the first worker that cannot take it; the others still do.
    pub fn broadcast(&self, message: impl Into<OwnedMessage>) -> Result<(), RemoteError> {
        let message = Arc::new(message.into());
        let sent =
            self.shared.mailboxes.iter().map(|mailbox| mailbox.command(Command::Broadcast(message.clone())));
        sent.fold(Ok(()), Result::and)
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

    fn mailbox_of(&self, id: ConnectionId) -> Result<&Mailbox, RemoteError> {
        self.shared.mailboxes.get(usize::from(id.worker)).ok_or(RemoteError::Unknown)
    }
}

/// Why a [`Remote`] could not pass something on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The worker has [`max_mailbox`](crate::Config::max_mailbox) commands waiting: it is outpaced.
    #[error("the worker has too many commands waiting")]
    Full,
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
    /// Send this message to every open connection.
    Broadcast(Arc<OwnedMessage>),
    /// Close this connection with this code and reason.
    Close(ConnectionId, CloseCode, String),
    /// Close every connection with 1001.
    Shutdown,
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
}

/// Commands and new sockets, each in order.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) commands: Vec<Command>,
    pub(crate) sockets: VecDeque<(Admitted<TcpStream>, SocketAddr)>,
    pub(crate) stopping: bool,
    ended: bool,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker, max_commands: usize) -> Self {
        Self { waiting: Mutex::default(), counters: Arc::default(), waker, max_commands }
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
        Waiting { commands: mem::take(&mut waiting.commands), sockets, stopping, ended }
    }

    /// Nobody takes anything any more.
    pub(crate) fn end(&self) {
        let mut waiting = self.lock();
        *waiting = Waiting { stopping: true, ended: true, ..Waiting::default() };
    }

    fn command(&self, command: Command) -> Result<(), RemoteError> {
        let mut waiting = self.lock();
        if waiting.stopping {
            return Err(RemoteError::Stopping);
        }
        if waiting.commands.len() >= self.max_commands {
            return Err(RemoteError::Full);
        }
        self.wake_if_idle(&waiting);
        waiting.commands.push(command);
        Ok(())
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

fn wake(waker: &Waker) {
    let woken: io::Result<()> = waker.wake();
    // It fails only if its counter cannot be written, which is when the worker is about to wake anyway.
    drop(woken);
}

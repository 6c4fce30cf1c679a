//! The way into a running server from any thread.

use crate::{
    CloseCode, Command, Config, ConnectionId, Metrics, Prepared,
    config::YEAR,
    connection::admission::Admission,
    worker::mailbox::{Mailbox, Rejected},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The way into a running server from any thread: `Clone`, `Send` and `Sync`, and never blocking.
///
/// Commands of one thread for one connection are carried out in order, at the end of the worker's turn. A connection that
/// is gone by then is not reached, and nobody else in its place.
///
/// Handlers may use a `Remote`, too, to reach connections other than the one being served. A handler's commands for
/// connections of its own worker wait in that worker and take no lock. While many commands of a handler wait, on whatever
/// worker, its own worker reads no further messages. So they meet the limit
/// ([`max_mailbox_len`](crate::Limits::max_mailbox_len)) only where a single call of the handler sends that much, or where
/// another worker is stuck.
#[derive(Clone, Debug)]
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    /// Sends a message to a connection, compressed where that was agreed and is worth it.
    ///
    /// A message for many connections is best made a [`Prepared`] once: it is then encoded once, compressed once for each
    /// set of parameters, and held in memory once. [`Prepared::uncompressed`] is never compressed.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; nothing was sent.
    pub fn send(&self, id: ConnectionId, message: impl Into<Prepared>) -> Result<(), RemoteError> {
        self.command(id, Command::Send(id, message.into()))
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

    /// Sends a message as [`send`](Self::send) does, and waits up to `timeout` for room where the worker is outpaced: for a
    /// thread that makes messages faster than clients take them.
    ///
    /// A handler must not wait: on a worker's thread, this is [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; nothing was sent. [`RemoteError::Full`] after that time.
    pub fn send_within(
        &self,
        timeout: Duration,
        id: ConnectionId,
        message: impl Into<Prepared>,
    ) -> Result<(), RemoteError> {
        let (message, deadline) = (message.into(), Instant::now() + timeout.min(YEAR));
        loop {
            let sent = self.command(id, Command::Send(id, message.clone()));
            match sent {
                Err(RemoteError::Full { .. }) if self.mailbox(id)?.wait_for_room(deadline) => {}
                sent => return sent,
            }
        }
    }

    /// Stops reading from a connection, as [`Peer::pause`](crate::Peer::pause) does.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; nothing was changed.
    pub fn pause(&self, id: ConnectionId) -> Result<(), RemoteError> {
        self.command(id, Command::Pause(id))
    }

    /// Reads from a connection again.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]; nothing was changed.
    pub fn resume(&self, id: ConnectionId) -> Result<(), RemoteError> {
        self.command(id, Command::Resume(id))
    }

    /// Whether a connection is open, or was a moment ago. Once this is false, it stays so.
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.mailbox(id).is_ok_and(|mailbox| mailbox.is_open(id))
    }

    /// Sends a message to every connection that is open, as [`send`](Self::send) does.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Full`] with the number of connections that miss the message, as their workers cannot take it; the
    /// others still do. [`RemoteError::Stopping`].
    pub fn broadcast(&self, message: impl Into<Prepared>) -> Result<(), RemoteError> {
        self.command_all(&Command::Broadcast(message.into()))
    }

    /// Stops the server: new connections get a 503 (pages are still served, so that a load balancer can see it), those
    /// that are open a close with 1001, each at a random moment of [`drain_window`](crate::Deadlines::drain_window).
    /// [`Server::run`](crate::Server::run) returns when they have all ended, or
    /// [`close_timeout`](crate::Deadlines::close_timeout) after the window.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        for mailbox in &self.shared.mailboxes {
            mailbox.shutdown();
        }
    }

    /// What the server has counted since it started. `to_string()` gives the text that Prometheus reads.
    pub fn metrics(&self) -> Metrics {
        Metrics::sum(self.shared.mailboxes.iter().map(|mailbox| &**mailbox.counters()))
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

    /// Notes that a connection has opened, or has ended.
    pub(crate) fn set_open(&self, id: ConnectionId, is_open: bool) {
        if let Ok(mailbox) = self.mailbox(id) {
            mailbox.set_open(id, is_open);
        }
    }

    /// One that reaches no server: its commands wait for whoever takes them.
    pub(crate) fn detached(workers: usize, config: &Config) -> Self {
        let mailboxes = (0..workers).map(|_| Mailbox::new(None, config)).collect();
        Self::new(mailboxes, Admission::new(config, usize::MAX))
    }

    fn mailbox(&self, id: ConnectionId) -> Result<&Mailbox, RemoteError> {
        self.mailboxes().get(usize::from(id.worker)).ok_or(RemoteError::Unknown)
    }

    fn command(&self, id: ConnectionId, command: Command) -> Result<(), RemoteError> {
        let mailbox = self.mailbox(id)?;
        if self.is_stopping() {
            return Err(RemoteError::Stopping);
        }
        mailbox.command(command, 1).map_err(|rejected| RemoteError::new(&rejected, 1))
    }

    fn command_all(&self, command: &Command) -> Result<(), RemoteError> {
        if self.is_stopping() {
            return Err(RemoteError::Stopping);
        }
        let mut missed = 0;
        for mailbox in self.mailboxes() {
            let connections = mailbox.counters().connections_open.value();
            match mailbox.command(command.clone(), connections) {
                Ok(()) => {}
                Err(Rejected::Full) => missed += connections,
                Err(Rejected::Stopping) => return Err(RemoteError::Stopping),
            }
        }
        if missed == 0 { Ok(()) } else { Err(RemoteError::Full { missed }) }
    }
}

#[derive(Debug)]
struct Shared {
    mailboxes: Vec<Mailbox>,
    admission: Arc<Admission>,
    stopping: AtomicBool,
}

/// Why a [`Remote`] could not pass something on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The worker has as much waiting as it may, by [`max_mailbox_commands`](crate::Limits::max_mailbox_commands) or
    /// [`max_mailbox_len`](crate::Limits::max_mailbox_len): it is outpaced. The metric `commands_missed` counts these, too.
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

impl RemoteError {
    /// The error of a command for so many connections.
    fn new(rejected: &Rejected, connections: u64) -> Self {
        match rejected {
            Rejected::Full => Self::Full { missed: connections },
            Rejected::Stopping => Self::Stopping,
        }
    }
}

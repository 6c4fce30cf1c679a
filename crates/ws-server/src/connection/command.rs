//! Commands for a worker's connections, from elsewhere than the connection that is being served.

use crate::{CloseCode, ConnectionId, Prepared};
use std::cell::{Cell, RefCell};

/// While a handler has more bytes of commands for its own worker, no further message is read, so that they are carried
/// out first.
const CROWDED_LEN: usize = 1 << 20;

/// A command for the connections of a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Send this message to this connection.
    Send(ConnectionId, Prepared),
    /// Send this message to every open connection.
    Broadcast(Prepared),
    /// Close this connection with this code and reason.
    Close(ConnectionId, CloseCode, String),
    /// Read nothing more from this connection for now.
    Pause(ConnectionId),
    /// Read from this connection again.
    Resume(ConnectionId),
    /// Close every connection with 1001.
    Shutdown,
}

impl Command {
    /// The memory that the command takes while it waits behind `previous`, in bytes. Commands that follow each other
    /// often have one message, which counts once.
    pub(crate) fn held_len(&self, previous: Option<&Self>) -> usize {
        let is_counted = match (self.message(), previous.and_then(Self::message)) {
            (Some(message), Some(previous)) => message.is_same(previous),
            _ => false,
        };
        let content_len = match self {
            Self::Send(..) | Self::Broadcast(_) if is_counted => 0,
            Self::Send(_, message) | Self::Broadcast(message) => message.len(),
            Self::Close(_, _, reason) => reason.len(),
            Self::Pause(_) | Self::Resume(_) | Self::Shutdown => 0,
        };
        size_of::<Self>() + content_len
    }

    fn message(&self) -> Option<&Prepared> {
        match self {
            Self::Send(_, message) | Self::Broadcast(message) => Some(message),
            Self::Close(..) | Self::Pause(_) | Self::Resume(_) | Self::Shutdown => None,
        }
    }
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

    /// Has the worker give another one time, which is outpaced.
    pub(crate) fn set_congested(&self) {
        self.is_congested.set(true);
    }

    pub(crate) fn push(&self, command: Command) -> Result<(), DoesNotFit> {
        let mut commands = self.commands.borrow_mut();
        let len = command.held_len(commands.last());
        if !fits(self.len.get(), len, self.max_len) || commands.try_reserve(1).is_err() {
            return Err(DoesNotFit);
        }
        commands.push(command);
        self.len.set(self.len.get() + len);
        Ok(())
    }
}

/// So much waits that there is no room for a command.
pub(crate) struct DoesNotFit;

/// Whether `len` more bytes fit. A single command may be larger than all that may wait.
pub(crate) fn fits(waiting_len: usize, len: usize, max_len: usize) -> bool {
    waiting_len == 0 || waiting_len.saturating_add(len) <= max_len
}

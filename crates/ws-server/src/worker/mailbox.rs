//! The mailbox of a worker: what other threads have for its connections, and new sockets.

use crate::{
    Command, Config, ConnectionId, PeerAddr,
    connection::{
        admission::Place,
        command::{Outbox, fits},
    },
    metrics::{Counters, Unlogged},
};
use mio::{Waker, net::TcpStream};
use std::{
    cell::RefCell,
    collections::VecDeque,
    io, mem, ptr,
    rc::Rc,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// What waits for one worker, and the way to wake it.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    /// What the worker counts.
    counters: Arc<Counters>,
    /// Wakes the worker; `None`: nobody waits.
    waker: Option<Waker>,
    /// Told when commands were taken.
    room: Condvar,
    /// The generation of the open connection in each slot, and 0 where there is none.
    open: Mutex<Vec<u32>>,
    max_commands: usize,
    max_len: usize,
}

/// A socket that was accepted and has a place.
#[derive(Debug)]
pub(crate) struct NewSocket {
    pub(crate) place: Place,
    pub(crate) socket: TcpStream,
    pub(crate) addr: PeerAddr,
}

/// Why a mailbox does not take a command.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// As many commands wait as may.
    Full,
    /// The server shuts down, or has stopped.
    Stopping,
}

/// Commands and new sockets, each in order.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) commands: Vec<Command>,
    /// The memory that the commands take, in bytes.
    len: usize,
    pub(crate) sockets: VecDeque<NewSocket>,
    pub(crate) stopping: bool,
    ended: bool,
    missed: Unlogged,
}

impl Mailbox {
    pub(crate) fn new(waker: Option<Waker>, config: &Config) -> Self {
        let (max_commands, max_len) = (config.limits.max_mailbox_commands.max(1), config.max_waiting_len());
        let (waiting, counters, room, open) = Default::default();
        Self { waiting, counters, waker, room, open, max_commands, max_len }
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Puts a new socket in. The worker is woken by [`wake_for_sockets`](Self::wake_for_sockets), once for many.
    pub(crate) fn socket(&self, socket: NewSocket) {
        let mut waiting = self.lock();
        if !waiting.ended {
            waiting.sockets.push_back(socket);
        }
    }

    pub(crate) fn wake_for_sockets(&self) {
        if !self.lock().sockets.is_empty() {
            wake(self.waker.as_ref());
        }
    }

    /// Takes all commands that wait, and up to `max_sockets` sockets. If there are more, the worker is woken for them.
    pub(crate) fn take(&self, max_sockets: usize) -> Waiting {
        let mut waiting = self.lock();
        let count = max_sockets.min(waiting.sockets.len());
        let sockets = waiting.sockets.drain(..count).collect();
        if !waiting.sockets.is_empty() {
            wake(self.waker.as_ref());
        }
        let Waiting { stopping, ended, .. } = *waiting;
        let (commands, len) = (mem::take(&mut waiting.commands), mem::take(&mut waiting.len));
        self.counters.mailbox_bytes.set(0);
        self.room.notify_all();
        Waiting { commands, len, sockets, stopping, ended, missed: Unlogged::default() }
    }

    /// Nobody takes anything any more.
    pub(crate) fn end(&self) {
        let mut waiting = self.lock();
        *waiting = Waiting { stopping: true, ended: true, ..Waiting::default() };
        self.counters.mailbox_bytes.set(0);
        self.room.notify_all();
    }

    /// Waits until commands are taken, until `deadline` at most. `false`: nothing was taken, or this is a worker's thread,
    /// which must not wait.
    pub(crate) fn wait_for_room(&self, deadline: Instant) -> bool {
        if OUTBOX.with_borrow(Option::is_some) {
            return false;
        }
        let timeout = deadline.saturating_duration_since(Instant::now());
        let is_full = |waiting: &mut Waiting| !waiting.commands.is_empty() && !waiting.stopping;
        let waited = self.room.wait_timeout_while(self.lock(), timeout, is_full);
        let (waiting, result) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        !result.timed_out()
    }

    /// Whether the connection is open.
    pub(crate) fn is_open(&self, id: ConnectionId) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(id.slot as usize).is_some_and(|generation| *generation == in_slot(id))
    }

    /// Notes that a connection has opened, or has ended.
    pub(crate) fn set_open(&self, id: ConnectionId, is_open: bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = id.slot as usize;
        if open.len() <= slot {
            open.resize(slot + 1, 0);
        }
        if let Some(generation) = open.get_mut(slot) {
            *generation = if is_open { in_slot(id) } else { 0 };
        }
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
    pub(crate) fn command(&self, command: Command, connections: u64) -> Result<(), Rejected> {
        // A worker cannot take from its mailbox while it serves a handler, so what the handler sends must not fill it.
        let own = OUTBOX.with_borrow(Clone::clone);
        if let Some((mailbox, outbox)) = &own
            && *mailbox == ptr::from_ref(self).addr()
        {
            return outbox.push(command).map_err(|_| self.missed(self.lock(), connections));
        }
        let mut waiting = self.lock();
        let len = command.held_len(waiting.commands.last());
        if waiting.stopping {
            return Err(Rejected::Stopping);
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
            outbox.set_congested();
        }
        Ok(())
    }

    /// Counts and logs a command that does not fit.
    #[cold]
    fn missed(&self, mut waiting: MutexGuard<'_, Waiting>, connections: u64) -> Rejected {
        // Several threads count here, but only under the lock.
        self.counters.commands_missed.add(connections);
        let missed = waiting.missed.add(connections, Instant::now());
        drop(waiting);
        if let Some(missed) = missed {
            tracing::warn!(missed, "too many commands wait for a worker, and connections miss messages");
        }
        Rejected::Full
    }

    pub(crate) fn shutdown(&self) {
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
            wake(self.waker.as_ref());
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

/// The generation of a connection as its slot has it: the last bits, and never 0.
fn in_slot(id: ConnectionId) -> u32 {
    u32::try_from(id.generation & 0x7fff_ffff).unwrap_or_default() + 1
}

fn wake(waker: Option<&Waker>) {
    let Some(waker) = waker else { return };
    let woken: io::Result<()> = waker.wake();
    // It fails only if its counter cannot be written, which is when the worker is about to wake anyway.
    drop(woken);
}

//! All connections of a worker: its loop without the waiting.

use crate::{
    Command, Config, ConnectionId, Handler, PeerAddr, PeerInfo, Prepared, Remote, Transport,
    config::YEAR,
    connection::{
        admission::{Place, Source},
        command::Outbox,
        compression::Budget,
        connection::Connection,
        context::{Context, Held},
        open::WRITE_CHUNK,
        refused::Refused,
    },
    metrics::{Counters, Metrics},
    socket::{shared::SharedFrames, stream::Gone},
};
use slab::Slab;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use ws_protocol::Output;

/// The capacity that the worker's write buffer keeps from one connection to the next, in bytes: what is to be written at
/// once, and a message beyond it.
const WRITE_BUFFER_LEN: usize = 2 * WRITE_CHUNK;

/// All connections of a worker, over sockets `T`: everything that a worker does, except waiting.
///
/// Sockets, readiness and the time are arguments, so that a test can have scripted ones; [`Server`](crate::Server) has
/// those of the system. After each wake-up: [`ready`](Self::ready) for each event, [`commands`](Self::commands) for what
/// others ask, then [`end_turn`](Self::end_turn).
pub struct Connections<H: Handler, T: Transport> {
    handler: H,
    config: Config,
    /// The way in, for the handler.
    remote: Remote,
    worker: u16,
    slots: Slab<Connection<H, T>>,
    next_generation: u64,
    read_buffer: Box<[u8]>,
    out: Output,
    budget: Budget,
    counters: Arc<Counters>,
    /// What all connections hold.
    held: Held,
    /// Frames that wait in the queues of several connections: they count once.
    shared: SharedFrames,
    /// The memory of the commands that are being carried out, in bytes.
    commands_len: usize,
    /// The most bytes that connections and waiting commands may hold.
    max_held_len: usize,
    /// Commands of the handler for this worker's connections.
    outbox: Rc<Outbox>,
    /// Another worker should be given time for what the handler has sent to its connections.
    is_congested: bool,
    /// How many seconds of input may wait in each socket, and until when.
    backlog: Option<(u32, Instant)>,
    /// The server shuts down.
    draining: bool,
    /// Whom the shutdown has yet to close, and when, the next one last.
    drain: Vec<(Instant, ConnectionId)>,
    /// Sockets beyond the limits, the oldest first; some may be gone.
    reserved: VecDeque<ConnectionId>,
    /// Connections that had their share of this turn and may have more to be read.
    unfinished: Vec<usize>,
    /// Connections that were sent something from outside, to be flushed at the end of the turn.
    touched: Vec<usize>,
}

/// What a socket is ready for. Each readiness is told once, when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// It has something to be read, or has ended, or has failed.
    pub readable: bool,
    /// It takes something to be written.
    pub writable: bool,
    /// The peer has ended its direction of the stream.
    pub read_closed: bool,
}

impl<H: Handler, T: Transport> Connections<H, T> {
    /// No connections, for the worker with this number, that nobody reaches from outside.
    pub fn new(worker: u16, handler: H, config: Config) -> Self {
        let remote = Remote::detached(usize::from(worker) + 1, &config);
        Self::with_remote(worker, handler, config, remote)
    }

    /// No connections, for the worker with this number.
    pub(crate) fn with_remote(worker: u16, handler: H, mut config: Config, remote: Remote) -> Self {
        let max_held_len = config.max_held_len();
        config.limits.max_write_queue_len = config.limits.max_write_queue_len.min(max_held_len);
        Self {
            handler,
            remote,
            worker,
            slots: Slab::new(),
            next_generation: 0,
            read_buffer: vec![0; config.flow.read_buffer_len.max(1)].into_boxed_slice(),
            out: Output::new(),
            budget: Budget::default(),
            counters: Arc::default(),
            held: Held::default(),
            shared: SharedFrames::default(),
            commands_len: 0,
            max_held_len,
            outbox: Rc::new(Outbox::new(config.max_waiting_len())),
            is_congested: false,
            backlog: None,
            draining: false,
            drain: Vec::new(),
            reserved: VecDeque::new(),
            unfinished: Vec::new(),
            touched: Vec::new(),
            config,
        }
    }

    /// Takes a new socket, before its opening handshake. The slot names it as long as it is here.
    pub fn insert(&mut self, socket: T, addr: impl Into<PeerAddr>, now: Instant) -> usize {
        self.insert_at(None, socket, addr.into(), now)
    }

    /// Takes a new socket that has a place. If it is in the reserve, and there are `reserve_len` there already, one of
    /// them gives way.
    pub(crate) fn admit(
        &mut self,
        place: Place,
        socket: T,
        addr: PeerAddr,
        reserve_len: usize,
        now: Instant,
    ) -> usize {
        if place.limit().is_none() {
            return self.insert_at(Some(place), socket, addr, now);
        }
        let mut reserved = mem::take(&mut self.reserved);
        reserved.retain(|id| self.slot_of(*id).is_some());
        if reserved.len() >= reserve_len {
            // Whoever has many of the places gives way to itself, so that nobody else's probe is lost.
            let source_of = |id: &ConnectionId| {
                self.slots.get(id.slot as usize).map(|connection| Source::of(connection.peer().addr))
            };
            let is_same = |id: &ConnectionId| source_of(id) == Some(Source::of(addr));
            let is_greedy = reserved.iter().filter(|id| is_same(id)).count() >= reserve_len.div_ceil(4);
            let index = if is_greedy { reserved.iter().position(is_same) } else { None };
            if let Some(id) = reserved.remove(index.unwrap_or_default()) {
                self.with(id.slot as usize, now, |connection, buffer, cx| {
                    connection.give_way(buffer, cx).map(|()| false)
                });
            }
        }
        let slot = self.insert_at(Some(place), socket, addr, now);
        reserved.extend(self.id(slot));
        self.reserved = reserved;
        slot
    }

    fn insert_at(&mut self, place: Option<Place>, socket: T, addr: PeerAddr, now: Instant) -> usize {
        let entry = self.slots.vacant_entry();
        let slot = entry.key();
        let id = ConnectionId {
            worker: self.worker,
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            generation: self.next_generation,
        };
        self.next_generation += 1;
        entry.insert(Connection::new(PeerInfo { id, addr }, socket, place, &self.config, now));
        slot
    }

    /// The socket in this slot.
    pub fn socket(&mut self, slot: usize) -> Option<&mut T> {
        self.slots.get_mut(slot).map(Connection::transport)
    }

    /// The id of the connection in this slot.
    pub fn id(&self, slot: usize) -> Option<ConnectionId> {
        self.slots.get(slot).map(|connection| connection.peer().id)
    }

    /// How many bytes wait for the socket in this slot.
    pub fn queued_len(&self, slot: usize) -> Option<usize> {
        self.slots.get(slot).map(Connection::queued_len)
    }

    /// Lets a connection go that was just inserted, and whose socket cannot be waited for.
    pub fn remove(&mut self, slot: usize) {
        if let Some(connection) = self.slots.try_remove(slot) {
            self.account(connection.held(), Held::default());
        }
    }

    /// How many bytes all connections hold: of unfinished messages, write queues, compression, sessions.
    pub fn held_len(&self) -> usize {
        self.held.len + self.shared.len()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the next turn should begin without waiting.
    pub fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty() || self.outbox.len() > 0
    }

    /// What has been counted so far.
    pub fn metrics(&self) -> Metrics {
        Metrics::sum([&*self.counters].into_iter())
    }

    /// Counts here from now on.
    pub(crate) fn count_in(&mut self, counters: Arc<Counters>) {
        self.counters = counters;
    }

    /// The application.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// Serves the connection in this slot, whose socket has become ready.
    pub fn ready(&mut self, slot: usize, readiness: Readiness, now: Instant) {
        self.with(slot, now, |connection, buffer, cx| {
            if readiness.readable {
                connection.set_readable(readiness.read_closed);
            }
            if readiness.writable {
                connection.set_writable(cx)?;
            }
            connection.serve(buffer, cx)
        });
    }

    /// Whether the next turn should begin a little later, as another worker is outpaced.
    pub(crate) fn is_congested(&self) -> bool {
        self.is_congested
    }

    /// Where the handler's commands for this worker's connections wait.
    pub(crate) fn outbox(&self) -> &Rc<Outbox> {
        &self.outbox
    }

    /// Carries out the handler's commands for this worker's connections.
    pub(crate) fn empty_outbox(&mut self, now: Instant) {
        let (commands, is_congested) = self.outbox.take();
        self.is_congested = is_congested;
        self.carry_out(commands, now);
    }

    /// Carries out commands in order, and frees each before the next ones are copied into queues.
    pub fn carry_out(&mut self, commands: Vec<Command>, now: Instant) {
        let mut lens = VecDeque::with_capacity(commands.len());
        let mut previous = None;
        for command in &commands {
            lens.push_back(command.held_len(previous));
            previous = Some(command);
        }
        self.commands_len = lens.iter().sum();
        let mut commands = commands.into_iter();
        while !commands.as_slice().is_empty() {
            let (mut count, mut len) = (0, 0);
            while let Some(command_len) = lens.pop_front() {
                (count, len) = (count + 1, len + command_len);
                if len >= WRITE_CHUNK {
                    break;
                }
            }
            self.commands(commands.as_slice().get(..count).unwrap_or_default(), now);
            commands.by_ref().take(count).for_each(drop);
            self.commands_len -= len;
        }
    }

    /// Carries out commands in order. Broadcasts that follow each other go to each connection in one write, as far as they
    /// are small.
    pub fn commands(&mut self, commands: &[Command], now: Instant) {
        let (mut broadcasts, mut len) = (Vec::new(), 0);
        for command in commands {
            if len >= WRITE_CHUNK || !matches!(command, Command::Broadcast(_)) {
                self.broadcast(&broadcasts, now);
                broadcasts.clear();
                len = 0;
            }
            match command {
                Command::Send(id, message) => {
                    self.touch(self.slot_of(*id), now, |connection, cx| connection.deliver([message], cx));
                }
                Command::Close(id, code, reason) => {
                    self.touch(self.slot_of(*id), now, |connection, cx| {
                        connection.with_peer(cx, |peer| {
                            peer.close(*code, reason);
                        });
                    });
                }
                Command::Pause(id) | Command::Resume(id) => {
                    let is_pause = matches!(command, Command::Pause(_));
                    self.touch(self.slot_of(*id), now, |connection, cx| {
                        connection.with_peer(cx, |peer| if is_pause { peer.pause() } else { peer.resume() });
                    });
                }
                Command::Broadcast(message) => {
                    len += message.len();
                    broadcasts.push(message);
                }
                Command::Shutdown => self.begin_drain(now),
            }
        }
        self.broadcast(&broadcasts, now);
    }

    /// Ends a turn: goes on with those that had more than their share, and writes what was sent from outside.
    pub fn end_turn(&mut self, now: Instant) {
        for slot in mem::take(&mut self.unfinished) {
            self.with(slot, now, |connection, buffer, cx| {
                connection.is_unfinished = false;
                connection.serve(buffer, cx)
            });
        }
        for slot in mem::take(&mut self.touched) {
            self.with(slot, now, |connection, buffer, cx| {
                connection.is_touched = false;
                connection.flush(cx)?;
                connection.serve(buffer, cx)
            });
        }
        if self.shared.len() > 0 && self.shared.is_short() {
            self.forget_shared();
        }
    }

    /// Closes those whose turn has come in a shutdown, and says when the next one's comes.
    pub fn drain(&mut self, now: Instant) -> Option<Instant> {
        while let Some((_, id)) = self.drain.pop_if(|(at, _)| *at <= now) {
            if let Some(slot) = self.slot_of(id) {
                self.with(slot, now, |connection, buffer, cx| {
                    connection.shut_down(buffer, cx).map(|()| false)
                });
            }
        }
        self.drain.last().map(|(at, _)| *at)
    }

    /// The time of a shutdown is over: closes those whose turn has not come.
    pub(crate) fn end_drain(&mut self, now: Instant) {
        self.drain.iter_mut().for_each(|(at, _)| *at = now);
        self.drain(now);
    }

    /// For so long, nobody was read from: the process was stopped, or a turn took that long. What the peers sent meanwhile
    /// comes at once, and counts as sent over all that time.
    pub fn catch_up(&mut self, delay: Duration, now: Instant) {
        let seconds = u32::try_from(delay.as_secs()).unwrap_or(u32::MAX);
        self.backlog = Some((seconds.saturating_add(2), now + delay.min(YEAR)));
    }

    /// Deals with every deadline that has passed. To be called about once a second.
    ///
    /// Input and room in the socket come before the verdict: the event that tells of them may be on its way, or the
    /// system may not tell of so little room. Who cannot be read from now is judged by a later sweep.
    pub fn sweep(&mut self, now: Instant) {
        self.backlog.take_if(|(_, until)| *until <= now);
        self.forget_shared();
        for slot in 0..self.slots.capacity() {
            let Some(connection) = self.slots.get(slot) else { continue };
            let is_overdue = connection.is_overdue(now, &self.config);
            if is_overdue && self.outbox.is_crowded() {
                continue;
            }
            if is_overdue || connection.queued_len() > 0 {
                self.with(slot, now, |connection, buffer, cx| {
                    connection.set_writable(cx)?;
                    let unfinished = connection.is_unfinished;
                    if is_overdue {
                        connection.set_readable(false);
                        // It is read from now, also if it waits for its next share of a turn.
                        connection.is_unfinished = false;
                    }
                    let served = connection.serve(buffer, cx);
                    connection.is_unfinished = unfinished;
                    served
                });
            }
            let is_overdue = |connection: &Connection<H, T>| connection.is_overdue(now, &self.config);
            if self.slots.get(slot).is_some_and(is_overdue) {
                self.with(slot, now, |connection, _, cx| connection.expire(cx).map(|()| false));
            }
        }
    }

    /// A socket was refused before it came here.
    pub(crate) fn refused(&mut self, refused: &Refused, addr: PeerAddr, status: Option<u16>) {
        let Self { handler, counters, .. } = self;
        let reported = catch_unwind(AssertUnwindSafe(|| {
            refused.report(addr, status, counters, |refusal| handler.on_refused(refusal));
        }));
        counters.handler_panics.add(u64::from(reported.is_err()));
    }

    /// The worker is about to end: whoever has begun a request is told so.
    pub(crate) fn refuse_unanswered(&mut self, now: Instant) {
        for slot in self.every_slot() {
            if self.slots.get(slot).is_some_and(Connection::is_handshaking) {
                self.with(slot, now, |connection, buffer, cx| {
                    connection.shut_down(buffer, cx).map(|()| false)
                });
            }
        }
    }

    /// Sends messages to all, to each all of them at once.
    fn broadcast(&mut self, messages: &[&Prepared], now: Instant) {
        if messages.is_empty() {
            return;
        }
        for slot in self.every_slot() {
            self.with(slot, now, |connection, buffer, cx| {
                connection.deliver(messages.iter().copied(), cx);
                connection.flush(cx)?;
                connection.serve(buffer, cx)
            });
        }
    }

    fn begin_drain(&mut self, now: Instant) {
        self.draining = true;
        // Each has a random moment of the window: its clients come back at as many.
        let (random, window) = (RandomState::new(), self.config.deadlines.drain_window.min(YEAR));
        let moment = |id| {
            let [a, b, c, d, ..] = random.hash_one(id).to_be_bytes();
            let share = f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX);
            now + window.mul_f64(share)
        };
        self.drain = self
            .slots
            .iter()
            .map(|(_, connection)| (moment(connection.peer().id), connection.peer().id))
            .collect();
        self.drain.sort_unstable_by_key(|(at, _)| Reverse(*at));
        self.drain(now);
    }

    /// Where a connection is, if it is still there.
    fn slot_of(&self, id: ConnectionId) -> Option<usize> {
        let slot = id.slot as usize;
        self.slots.get(slot).is_some_and(|connection| connection.peer().id == id).then_some(slot)
    }

    fn every_slot(&self) -> Vec<usize> {
        self.slots.iter().map(|(slot, _)| slot).collect()
    }

    /// Does something to a connection from outside, and has it flushed at the end of the turn.
    fn touch(
        &mut self,
        slot: Option<usize>,
        now: Instant,
        act: impl FnOnce(&mut Connection<H, T>, &mut Context<'_, H>),
    ) {
        let Some(slot) = slot else { return };
        self.with(slot, now, |connection, _, cx| {
            act(connection, cx);
            connection.queue(cx);
            Ok(false)
        });
        if let Some(connection) = self.slots.get_mut(slot)
            && !mem::replace(&mut connection.is_touched, true)
        {
            self.touched.push(slot);
        }
    }

    /// Serves one connection, and then sees to the memory.
    fn with(
        &mut self,
        slot: usize,
        now: Instant,
        serve: impl FnOnce(&mut Connection<H, T>, &mut [u8], &mut Context<'_, H>) -> Result<bool, Gone>,
    ) {
        self.serve(slot, now, serve);
        self.relieve(now);
    }

    /// Counts no shared frames any more that nobody has.
    fn forget_shared(&mut self) {
        self.shared.forget();
        self.counters.held_bytes.set(self.held_len() as u64);
    }

    /// Takes note of what a connection held, and holds now.
    fn account(&mut self, before: Held, now: Held) {
        if now != before {
            self.held.len = self.held.len - before.len + now.len;
            self.held.queued_len = self.held.queued_len - before.queued_len + now.queued_len;
            self.counters.held_bytes.set(self.held_len() as u64);
            self.counters.queued_bytes.set(self.held.queued_len as u64);
        }
    }

    /// If the connections hold more than they may, ends the largest ones of the address that holds the most, until it is
    /// clearly less. By address, so that many connections that each hold little do not push out a single one that holds
    /// more.
    fn relieve(&mut self, now: Instant) {
        let mailbox_len = usize::try_from(self.counters.mailbox_bytes.value()).unwrap_or(usize::MAX);
        let waiting_len = self.commands_len.saturating_add(self.outbox.len()).saturating_add(mailbox_len);
        // Waiting commands have limits of their own, so that half is always left for the connections.
        let max_len = self.max_held_len.saturating_sub(waiting_len).max(self.max_held_len / 2);
        if self.held_len() <= max_len {
            return;
        }
        self.forget_shared();
        if self.held_len() <= max_len {
            return;
        }
        let mut holders: HashMap<Source, BinaryHeap<(usize, usize)>> = HashMap::new();
        let mut sources: HashMap<Source, usize> = HashMap::new();
        for (slot, connection) in &self.slots {
            let len = connection.held().len + connection.shared_len();
            let source = Source::of(connection.peer().addr);
            if len > 0 {
                holders.entry(source).or_default().push((len, slot));
                *sources.entry(source).or_default() += len;
            }
        }
        let mut sources: BinaryHeap<_> = sources.into_iter().map(|(source, len)| (len, source)).collect();
        while self.held_len() > max_len / 8 * 7 {
            let Some((source_len, source)) = sources.pop() else { return };
            let Some((len, slot)) = holders.get_mut(&source).and_then(BinaryHeap::pop) else { continue };
            self.counters.connections_evicted.add(1);
            self.serve(slot, now, |connection, _, cx| connection.evict(cx).map(|()| false));
            self.forget_shared();
            sources.push((source_len - len, source));
        }
    }

    /// Serves one connection, and sees to it that whatever happens, also a panic of the handler, happens to no other.
    fn serve(
        &mut self,
        slot: usize,
        now: Instant,
        serve: impl FnOnce(&mut Connection<H, T>, &mut [u8], &mut Context<'_, H>) -> Result<bool, Gone>,
    ) {
        let Some(connection) = self.slots.get_mut(slot) else { return };
        let (before, was_open) = (connection.held(), connection.is_open());
        let buffer = &mut *self.read_buffer;
        let mut cx = Context {
            handler: &mut self.handler,
            config: &self.config,
            remote: &self.remote,
            out: &mut self.out,
            budget: &mut self.budget,
            now,
            seconds_of_input: self.backlog.map_or(1, |(seconds, _)| seconds),
            draining: self.draining,
            counters: &self.counters,
            shared: &mut self.shared,
            outbox: &self.outbox,
        };
        let served = catch_unwind(AssertUnwindSafe(|| {
            let served = serve(connection, buffer, &mut cx);
            connection.measure_session(cx.handler);
            served
        }));
        let mut panicked = |_| {
            cx.counters.handler_panics.add(1);
            catch_unwind(AssertUnwindSafe(|| connection.panicked(&mut cx).map(|()| false)))
        };
        // The second time, it is `on_close` that has panicked, and nothing more is called.
        let served = served.or_else(&mut panicked).or_else(&mut panicked).unwrap_or(Err(Gone));
        let mut held = connection.held();
        if was_open && !connection.is_open() {
            self.remote.set_open(connection.peer().id, false);
        }
        match served {
            Ok(false) => {}
            Ok(true) if mem::replace(&mut connection.is_unfinished, true) => {}
            Ok(true) => self.unfinished.push(slot),
            Err(Gone) => {
                self.slots.remove(slot);
                self.counters.unsent_bytes.add(held.queued_len as u64);
                held = Held::default();
            }
        }
        self.account(before, held);
        self.out.clear();
        self.out.buffer().shrink_to(WRITE_BUFFER_LEN);
    }
}

impl<H: Handler, T: Transport> Drop for Connections<H, T> {
    /// Every `on_open` is followed by an `on_close`, also where a worker ends with connections left, and also where the
    /// one before has panicked.
    fn drop(&mut self) {
        self.counters.unsent_bytes.add(self.held.queued_len as u64);
        for connection in self.slots.drain() {
            self.remote.set_open(connection.peer().id, false);
            let abandoned =
                catch_unwind(AssertUnwindSafe(|| connection.abandon(&mut self.handler, &self.counters)));
            self.counters.handler_panics.add(u64::from(abandoned.is_err()));
        }
        self.counters.connections_open.set(0);
        self.counters.held_bytes.set(0);
        self.counters.queued_bytes.set(0);
    }
}

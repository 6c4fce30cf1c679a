//! One connection, from its first byte to its last.
//!
//! Nothing here waits: each method does what can be done now. [`Gone`] means that whoever holds the connection is to drop
//! it, which closes its socket.

use crate::{
    CloseCode, Config, Disconnect, DisconnectError, Handler, Peer, PeerInfo, RefusalReason, SlowConsumer,
    Transport,
    app::peer::Broadcast,
    connection::{
        admission::{Place, RESERVE_TIMEOUT},
        compression::Agreed,
        context::{Context, Held, Pace, count, extend},
        handshake::{self, Handshake},
        refused::{Refused, unix_seconds},
    },
    metrics::Counters,
    socket::stream::{Gone, Stream, Written, after},
};
use std::{mem, time::Instant};
use ws_handshake::{HandshakeError, Request};
use ws_protocol::{CloseFrame, Event, Input, Protocol, Server};

/// What is to be written is written once it is this much, even while there is input left.
pub(crate) const WRITE_CHUNK: usize = 256 << 10;

/// A connection of the handler `H`, over the socket `T`.
pub(crate) struct Connection<H: Handler, T> {
    peer: PeerInfo,
    stream: Stream<T>,
    phase: Phase<H::Session>,
    /// Where connections are counted: its place.
    place: Option<Place>,
    deadline: Instant,
    /// More than the high water was queued, and the low water is not reached yet: nothing is read.
    lagging: bool,
    /// It is among those that are flushed at the end of the turn.
    pub(crate) touched: bool,
    /// It had its share of a turn, and goes on at the end of the next one.
    pub(crate) unfinished: bool,
}

enum Phase<S> {
    /// The opening handshake.
    Handshake(Handshake),
    /// Frames go both ways.
    Open(Open<S>),
    /// All is said. What is queued is written, then the stream is ended, and what still comes is passed over until the
    /// peer ends its own: a socket closed with unread input would be reset, and our last words lost. The session waits
    /// until it is known whether the peer has taken everything.
    Ending(Option<Box<Ended<S>>>),
}

/// How a session ended, unless its queue is given up.
struct Ended<S> {
    session: S,
    /// See [`Open::session_len`].
    session_len: u32,
    code: CloseCode,
    reason: Box<str>,
    error: Option<DisconnectError>,
}

struct Open<S> {
    protocol: Protocol<Server>,
    session: S,
    /// Input that was left when the peer began to lag.
    unread: Box<[u8]>,
    waiting_for: WaitingFor,
    /// How many messages there were in this second, if there is a limit.
    pace: Option<Box<Pace>>,
    /// What its compressor takes of the budget, in bytes.
    compressor_len: usize,
    /// The memory of the session, as the handler last reported it, in bytes.
    session_len: u32,
}

/// What a peer has to do before the deadline of an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitingFor {
    /// Send anything, else it is sent a ping.
    Anything,
    /// Send anything, now that it was sent a ping.
    Pong,
    /// Answer our close frame.
    Close,
}

impl<H: Handler, T: Transport> Connection<H, T> {
    pub(crate) fn new(
        peer: PeerInfo,
        transport: T,
        place: Option<Place>,
        config: &Config,
        now: Instant,
    ) -> Self {
        let limit = place.as_ref().and_then(Place::limit);
        let timeout = limit.map_or(config.deadlines.handshake_timeout, |_| {
            config.deadlines.handshake_timeout.min(RESERVE_TIMEOUT)
        });
        Self {
            peer,
            stream: Stream::new(transport),
            phase: Phase::Handshake(Handshake { limit, ..Handshake::default() }),
            place,
            deadline: after(now, timeout),
            lagging: false,
            touched: false,
            unfinished: false,
        }
    }

    pub(crate) fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    pub(crate) fn transport(&mut self) -> &mut T {
        self.stream.transport()
    }

    pub(crate) fn queued_len(&self) -> usize {
        self.stream.queued_len()
    }

    /// Asks the handler how much memory the session takes. Not asked in between, so that [`held`](Self::held) does not
    /// change by itself.
    #[inline]
    pub(crate) fn measure_session(&mut self, handler: &H) {
        if let Phase::Open(open) = &mut self.phase {
            open.session_len = u32::try_from(handler.session_len(&open.session)).unwrap_or(u32::MAX);
        }
    }

    /// What it holds for its peer, in bytes: input that is not used up, output that is not written, compression, the
    /// session.
    pub(crate) fn held(&self) -> Held {
        let phase_len = match &self.phase {
            Phase::Handshake(handshake) => handshake.head.capacity(),
            Phase::Open(open) => {
                let session_len = open.session_len as usize;
                open.unread.len() + open.protocol.held_len() + open.compressor_len + session_len
            }
            Phase::Ending(None) => 0,
            Phase::Ending(Some(ended)) => {
                size_of::<Ended<H::Session>>() + ended.reason.len() + ended.session_len as usize
            }
        };
        Held { len: self.stream.held_len() + phase_len, queued_len: self.stream.queued_len() }
    }

    /// Whether something was due by `now`. While the peer takes what is queued, however slowly, that is all it owes: what
    /// it should answer may be behind it, and a lagging peer's answers are not read.
    pub(crate) fn is_overdue(&self, now: Instant, config: &Config) -> bool {
        let has_queue = self.stream.queued_len() > 0;
        let is_due = match &self.phase {
            Phase::Handshake(_) => true,
            Phase::Open(open) => match open.waiting_for {
                WaitingFor::Anything | WaitingFor::Pong => !self.lagging,
                WaitingFor::Close => !has_queue,
            },
            Phase::Ending(_) => !has_queue,
        };
        (is_due && self.deadline <= now) || self.stream.is_stalled(now, config.deadlines.write_timeout)
    }

    /// Whether bytes are queued that the socket may have room for by now. The system reports room only when a good part
    /// of its buffer is free, which a slow peer may take minutes for.
    pub(crate) fn has_queue(&self) -> bool {
        self.stream.queued_len() > 0
    }

    /// The socket may be read from.
    pub(crate) fn set_readable(&mut self, read_closed: bool) {
        self.stream.set_readable(read_closed);
    }

    /// The socket may take more of what is queued.
    pub(crate) fn set_writable(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        self.stream.set_writable();
        if self.stream.queued_len() == 0 {
            return Ok(());
        }
        self.flush(cx)
    }

    /// Reads and serves what there is, up to the share of a turn. `true`: there may be more.
    pub(crate) fn serve(&mut self, buffer: &mut [u8], cx: &mut Context<'_, H>) -> Result<bool, Gone> {
        // A flood keeps its socket ready: its next share comes at the end of the next turn, and only then.
        if self.unfinished {
            return Ok(true);
        }
        // What the handler has sent to others on its worker is carried out before more of it is asked for.
        if cx.outbox.is_crowded() {
            return Ok(!self.lagging && (self.stream.is_readable() || self.has_unread()));
        }
        if let Phase::Open(open) = &mut self.phase
            && !self.lagging
            && !open.unread.is_empty()
        {
            let mut unread = mem::take(&mut open.unread);
            self.receive(&mut unread, cx)?;
        }
        let mut share = cx.config.flow.max_read_per_turn.max(1);
        while !self.lagging {
            if self.has_unread() {
                return Ok(true);
            }
            if share == 0 || cx.outbox.is_crowded() {
                return Ok(self.stream.is_readable());
            }
            match self.stream.read(buffer) {
                Ok(None) => break,
                Ok(Some(0)) => self.end_of_stream(cx)?,
                Ok(Some(len)) => {
                    cx.counters.bytes_received.add(len as u64);
                    share = share.saturating_sub(len);
                    self.receive(&mut buffer[..len], cx)?;
                }
                Err(error) => return Err(self.lost(error.into(), cx)),
            }
        }
        Ok(false)
    }

    fn has_unread(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if !open.unread.is_empty())
    }

    /// Has `act` done to the peer, if the connection is open. What it sends is in `out`, but for what is large and goes to
    /// the socket at once.
    pub(crate) fn with_peer(&mut self, cx: &mut Context<'_, H>, act: impl FnOnce(&mut Peer<'_>)) {
        if let Phase::Open(open) = &mut self.phase {
            act(&mut cx.peer(&self.peer, open.protocol.sender(), &mut self.stream).0);
        }
    }

    /// Queues what is in `out`, to be written by [`flush`](Self::flush).
    pub(crate) fn queue(&mut self, cx: &mut Context<'_, H>) {
        self.stream.queue(cx.out.as_bytes(), cx.now);
        cx.out.clear();
    }

    /// Has messages for all sent to the peer, and writes them, as far as the socket takes them.
    pub(crate) fn broadcast(
        &mut self,
        messages: &mut [Broadcast<'_>],
        cx: &mut Context<'_, H>,
    ) -> Result<(), Gone> {
        for message in messages {
            self.deliver(message.len(), cx, |peer| message.send(peer));
        }
        self.flush(cx)
    }

    /// Has a message of others sent to the peer, of `len` bytes, if the connection is open: as
    /// [`with_peer`](Self::with_peer) does, and with what the policy has for a peer whose queue is full. What may be
    /// dropped later is queued, and not in `out`.
    pub(crate) fn deliver(&mut self, len: usize, cx: &mut Context<'_, H>, send: impl FnOnce(&mut Peer<'_>)) {
        let Phase::Open(open) = &mut self.phase else { return };
        let (drops, max_len) = match cx.config.flow.slow_consumer {
            SlowConsumer::LatestOnly => (true, 0),
            SlowConsumer::DropOldest => (true, cx.config.limits.max_write_queue_len.saturating_sub(len)),
            SlowConsumer::Close | SlowConsumer::DropNewest => (false, usize::MAX),
        };
        // The peer's inflater has to see whatever its compressor remembers.
        let may_be_dropped = drops && open.compressor_len == 0;
        while self.stream.queued_len() > max_len && self.stream.drop_oldest() {
            cx.counters.drops.add(1);
        }
        send(&mut cx.peer(&self.peer, open.protocol.sender(), &mut self.stream).0);
        if may_be_dropped && open.protocol.sender().is_open() {
            self.stream.queue_message(cx.out.as_bytes(), cx.now);
            cx.out.clear();
        }
    }

    /// Writes what is queued and what is in `out`, as far as the socket takes it, and does what follows from it.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        match self.stream.write(cx.out.as_bytes(), cx.now) {
            Ok(Written { len, is_progress }) => {
                cx.counters.bytes_sent.add(len as u64);
                if is_progress {
                    self.progress(cx);
                }
            }
            Err(error) => {
                cx.out.clear();
                return Err(self.lost(error.into(), cx));
            }
        }
        cx.out.clear();
        if self.stream.queued_len() > cx.config.flow.high_water_len {
            cx.counters.pauses.add(u64::from(!self.lagging));
            self.lagging = true;
        } else if self.lagging && self.stream.queued_len() <= cx.config.flow.low_water_len {
            self.lagging = false;
            if let Phase::Open(open) = &mut self.phase {
                let (mut peer, handler) = cx.peer(&self.peer, open.protocol.sender(), &mut self.stream);
                handler.on_drain(&mut open.session, &mut peer);
                return self.flush(cx);
            }
        }
        self.watch_close(cx);
        self.end_stream(cx)
    }

    /// Does what the deadline was for.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        if self.stream.is_stalled(cx.now, cx.config.deadlines.write_timeout) {
            return Err(self.lost(DisconnectError::WriteTimeout, cx));
        }
        match &mut self.phase {
            Phase::Handshake(_) => self.refuse(HandshakeError::Timeout.into(), cx),
            Phase::Open(open) => match open.waiting_for {
                WaitingFor::Anything => {
                    open.waiting_for = WaitingFor::Pong;
                    self.deadline = after(cx.now, cx.config.deadlines.pong_timeout);
                    let _ = open.protocol.sender().ping(b"", cx.out);
                    self.flush(cx)
                }
                WaitingFor::Pong => {
                    self.fail(CloseCode::INTERNAL_ERROR, DisconnectError::PongTimeout, cx);
                    self.flush(cx)
                }
                WaitingFor::Close => Err(self.lost(DisconnectError::CloseTimeout, cx)),
            },
            Phase::Ending(_) => Err(Gone),
        }
    }

    /// The server shuts down.
    pub(crate) fn shut_down(&mut self, buffer: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        if let Phase::Handshake(_) = self.phase {
            return self.turn_away(HandshakeError::ShuttingDown.into(), buffer, cx);
        }
        self.with_peer(cx, |peer| {
            peer.close(CloseCode::GOING_AWAY, "the server is shutting down");
        });
        self.flush(cx)
    }

    /// The worker is about to end, and answers nothing any more.
    pub(crate) fn refuse_unanswered(
        &mut self,
        buffer: &mut [u8],
        cx: &mut Context<'_, H>,
    ) -> Result<(), Gone> {
        if let Phase::Handshake(_) = self.phase { self.shut_down(buffer, cx) } else { Ok(()) }
    }

    /// Leaves its place in the reserve to another socket.
    pub(crate) fn give_way(&mut self, buffer: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        if let Phase::Handshake(Handshake { limit: Some(limit), .. }) = self.phase {
            self.turn_away(limit.refused(), buffer, cx)?;
        }
        Err(Gone)
    }

    /// It holds too much: it is told 1013, unless that would have to wait behind what it does not read.
    pub(crate) fn evict(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let (connection, address, held_bytes) = (self.peer.id, self.peer.addr, self.held().len);
        tracing::warn!(%connection, %address, held_bytes, "the memory budget is spent, and this connection ends");
        self.fail(CloseCode::TRY_AGAIN_LATER, DisconnectError::OverBudget, cx);
        self.flush(cx)?;
        if self.stream.queued_len() == 0 { Ok(()) } else { Err(self.lost(DisconnectError::OverBudget, cx)) }
    }

    /// A panic while this connection was served, in the handler or in our own code. What was sent before stays sent.
    pub(crate) fn panicked(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let PeerInfo { id: connection, addr: address } = self.peer;
        tracing::error!(%connection, %address, "a panic while this connection was served");
        match self.phase {
            Phase::Handshake(_) => {
                self.respond(Refused::text(500, RefusalReason::HandlerFailed, "the server failed"), cx)
            }
            Phase::Open(_) => {
                self.fail(CloseCode::INTERNAL_ERROR, DisconnectError::Panicked, cx);
                self.flush(cx)
            }
            Phase::Ending(_) => self.flush(cx),
        }
    }

    fn receive(&mut self, bytes: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        match &mut self.phase {
            Phase::Handshake(_) => self.receive_request(bytes, cx),
            Phase::Open(_) => {
                self.sign_of_life(cx);
                self.receive_frames(bytes, cx)
            }
            Phase::Ending(_) => Ok(()),
        }
    }

    fn receive_request(&mut self, bytes: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let Phase::Handshake(Handshake { scanner, head, is_head, .. }) = &mut self.phase else {
            return Ok(());
        };
        // Most requests come in one piece and are parsed where they lie.
        let is_first = head.is_empty();
        if !is_first && !extend(head, bytes) {
            return self.respond(Refused::out_of_memory(), cx);
        }
        let received = if is_first { &*bytes } else { &**head };
        *is_head = Request::begins_head(received);
        let scanned = scanner.scan(received, cx.config.limits.max_request_len);
        match scanned {
            Ok(None) if is_first => {
                if !extend(head, bytes) {
                    return self.respond(Refused::out_of_memory(), cx);
                }
            }
            Ok(None) => {}
            Ok(Some(head_len)) if is_first => return self.answer(bytes, head_len, cx),
            Ok(Some(head_len)) => {
                let mut bytes = mem::take(head);
                return self.answer(&mut bytes, head_len, cx);
            }
            Err(error) => {
                let refused = Refused::from(error).of(received);
                return self.respond(refused, cx);
            }
        }
        Ok(())
    }

    /// Answers the request that is the first `head_len` of `bytes`; what follows it are frames already.
    fn answer(&mut self, bytes: &mut [u8], head_len: usize, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let Phase::Handshake(Handshake { limit, .. }) = self.phase else { return Ok(()) };
        let (head, frames) = bytes.split_at_mut(head_len);
        match handshake::answer(head, &self.peer, limit, cx) {
            Ok((session, agreed)) => self.open(session, &agreed, frames, cx),
            Err(refused) => self.respond(refused.of(head), cx),
        }
    }

    /// The 101 is in `out`.
    fn open(
        &mut self,
        session: H::Session,
        agreed: &Agreed,
        frames: &mut [u8],
        cx: &mut Context<'_, H>,
    ) -> Result<(), Gone> {
        cx.counters.handshake(101);
        cx.counters.open.add(1);
        if let Some(place) = &mut self.place {
            place.end_handshake();
        }
        self.deadline = after(cx.now, cx.config.deadlines.idle_timeout);
        self.phase = Phase::Open(Open {
            protocol: agreed.apply(Protocol::server(cx.config.message_limits())),
            compressor_len: cx.budget.take(agreed),
            session,
            unread: Box::default(),
            waiting_for: WaitingFor::Anything,
            pace: None,
            session_len: 0,
        });
        if let Phase::Open(open) = &mut self.phase {
            let (mut peer, handler) = cx.peer(&self.peer, open.protocol.sender(), &mut self.stream);
            handler.on_open(&mut open.session, &mut peer);
        }
        self.receive_frames(frames, cx)
    }

    /// Answers a request that waits in the socket, or refuses it if it is not whole.
    fn turn_away(
        &mut self,
        refused: Refused,
        buffer: &mut [u8],
        cx: &mut Context<'_, H>,
    ) -> Result<(), Gone> {
        // The socket may be new, and its readiness not reported yet.
        self.stream.set_readable(false);
        self.serve(buffer, cx)?;
        if let Phase::Handshake(_) = self.phase { self.refuse(refused, cx) } else { Ok(()) }
    }

    /// Refuses a request that is not whole. If none has begun, the socket is closed without a response, which a client
    /// would take for the answer to its next request.
    fn refuse(&mut self, refused: Refused, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        match &self.phase {
            Phase::Handshake(handshake) if handshake.head.is_empty() => {
                self.begin_ending(cx);
                refused.report(self.peer.addr, None, cx.handler, cx.counters);
                Err(Gone)
            }
            Phase::Handshake(handshake) => {
                let refused = refused.of(&handshake.head);
                self.respond(refused, cx)
            }
            Phase::Open(_) | Phase::Ending(_) => Ok(()),
        }
    }

    /// Sends a whole response, and nothing after it.
    fn respond(&mut self, mut refused: Refused, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        cx.out.clear();
        refused.response = refused.response.with_date(unix_seconds());
        let Phase::Handshake(handshake) = self.begin_ending(cx) else { return Ok(()) };
        let Refused { response, .. } = &refused;
        if handshake.is_head {
            response.encode_head(cx.out.buffer());
        } else {
            response.encode(cx.out.buffer());
        }
        cx.counters.handshake(response.status());
        refused.report(self.peer.addr, Some(response.status()), cx.handler, cx.counters);
        self.flush(cx)
    }

    fn receive_frames(&mut self, bytes: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let mut input = Input::new(bytes);
        while let Phase::Open(open) = &mut self.phase {
            cx.input_len = input.remaining().len();
            match open.protocol.receive(&mut input, cx.out) {
                Ok(None) => break,
                Ok(Some((Event::Close(CloseFrame { code, reason }), _))) => {
                    let reason = reason.into();
                    self.close(code, reason, None, cx);
                }
                Ok(Some((Event::Message(message), sender))) => {
                    cx.counters.messages_received.add(1);
                    if let Some(max_messages_per_second) = cx.config.limits.max_messages_per_second
                        && count(&mut open.pace, cx.now)
                            > max_messages_per_second.saturating_mul(cx.seconds_of_input)
                    {
                        let error = DisconnectError::TooManyMessages { max_messages_per_second };
                        self.fail(CloseCode::POLICY_VIOLATION, error, cx);
                        break;
                    }
                    let (mut peer, handler) = cx.peer(&self.peer, sender, &mut self.stream);
                    handler.on_message(&mut open.session, &mut peer, message);
                }
                Ok(Some((Event::Pong(payload), sender))) => {
                    let (mut peer, handler) = cx.peer(&self.peer, sender, &mut self.stream);
                    handler.on_pong(&mut open.session, &mut peer, payload);
                }
                Ok(Some(_)) => {} // a ping, which is answered
                Err(error) => {
                    let code = error.close_code();
                    self.close(code, Box::default(), Some(error.into()), cx);
                }
            }
            let high_water = cx.config.flow.high_water_len;
            if cx.out.len() >= WRITE_CHUNK.min(high_water) || self.stream.queued_len() > high_water {
                self.flush(cx)?;
            }
            // A handler that sends to others on its worker fills the outbox, which only the worker can empty.
            if self.lagging || cx.outbox.is_crowded() {
                return self.pause(&mut input, cx);
            }
        }
        cx.input_len = 0;
        self.flush(cx)
    }

    /// Keeps the rest of the input for later.
    #[cold]
    fn pause(&mut self, input: &mut Input<'_>, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        cx.input_len = 0;
        let Phase::Open(open) = &mut self.phase else { return self.flush(cx) };
        // The last message was answered, and is let go by this.
        let _ = open.protocol.receive(&mut Input::new(&mut []), cx.out);
        let mut unread = Vec::new();
        if extend(&mut unread, input.remaining()) {
            open.unread = unread.into_boxed_slice();
        } else {
            self.fail(CloseCode::TRY_AGAIN_LATER, DisconnectError::OutOfMemory, cx);
        }
        self.flush(cx)
    }

    /// The peer will send nothing more, but it may still read: what is queued is written.
    fn end_of_stream(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        match &mut self.phase {
            Phase::Handshake(handshake) if handshake.head.is_empty() => Err(Gone),
            Phase::Handshake(_) => self.refuse(HandshakeError::IncompleteHead.into(), cx),
            Phase::Open(open) => {
                let code = open.protocol.receive_eof();
                self.close(code, Box::default(), Some(DisconnectError::EndOfStream), cx);
                self.flush(cx)
            }
            Phase::Ending(_) => self.end_stream(cx),
        }
    }

    /// Tells the peer why its connection fails, and ends it.
    fn fail(&mut self, code: CloseCode, error: DisconnectError, cx: &mut Context<'_, H>) {
        if let Phase::Open(open) = &mut self.phase {
            let reason = error.to_string();
            let _ = open.protocol.sender().close(CloseFrame { code, reason: &reason }, cx.out);
        }
        self.close(code, Box::default(), Some(error), cx);
    }

    /// Nothing more can be read or written. A session that has ended, but whose queue is not written, ends with this.
    fn lost(&mut self, error: DisconnectError, cx: &mut Context<'_, H>) -> Gone {
        match &mut self.phase {
            Phase::Ending(Some(ended)) => {
                ended.error.get_or_insert(error);
            }
            _ => self.close(CloseCode::ABNORMAL, Box::default(), Some(error), cx),
        }
        self.conclude(cx.handler, cx.counters);
        Gone
    }

    /// Ends the session, if there is one and it has not ended. [`flush`](Self::flush) has to follow.
    fn close(
        &mut self,
        code: CloseCode,
        reason: Box<str>,
        error: Option<DisconnectError>,
        cx: &mut Context<'_, H>,
    ) {
        if let Phase::Open(open) = self.begin_ending(cx) {
            let Open { session, session_len, .. } = open;
            self.phase = Phase::Ending(Some(Box::new(Ended { session, session_len, code, reason, error })));
        }
    }

    /// Gives the phase that ends.
    fn begin_ending(&mut self, cx: &mut Context<'_, H>) -> Phase<H::Session> {
        if let Phase::Ending(_) = self.phase {
            return Phase::Ending(None);
        }
        if let Phase::Open(open) = &self.phase {
            cx.budget.give_back(open.compressor_len);
        }
        self.deadline = after(cx.now, cx.config.deadlines.close_timeout);
        mem::replace(&mut self.phase, Phase::Ending(None))
    }

    /// The peer has taken some of what was queued for it, which is a sign of life. Whatever it still has to do after the
    /// rest, it has its time for from here.
    fn progress(&mut self, cx: &Context<'_, H>) {
        match &self.phase {
            Phase::Open(open) if open.waiting_for != WaitingFor::Close => self.sign_of_life(cx),
            Phase::Open(_) | Phase::Ending(_) => {
                self.deadline = after(cx.now, cx.config.deadlines.close_timeout);
            }
            Phase::Handshake(_) => {}
        }
    }

    fn sign_of_life(&mut self, cx: &Context<'_, H>) {
        if let Phase::Open(open) = &mut self.phase
            && open.waiting_for != WaitingFor::Close
        {
            open.waiting_for = WaitingFor::Anything;
            self.deadline = after(cx.now, cx.config.deadlines.idle_timeout);
        }
    }

    /// Gives the peer a deadline for its close frame once ours is sent.
    fn watch_close(&mut self, cx: &Context<'_, H>) {
        if let Phase::Open(open) = &mut self.phase
            && open.protocol.close_expected()
            && open.waiting_for != WaitingFor::Close
        {
            open.waiting_for = WaitingFor::Close;
            self.deadline = after(cx.now, cx.config.deadlines.close_timeout);
        }
    }

    /// Ends the session and the stream once all is written, and the connection once the peer's has ended too.
    fn end_stream(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let Phase::Ending(_) = self.phase else { return Ok(()) };
        if self.stream.queued_len() == 0 {
            self.conclude(cx.handler, cx.counters);
        }
        self.stream.end()
    }
}

impl<H: Handler, T: Transport> Connection<H, T> {
    /// The worker ends: nothing is written any more.
    pub(crate) fn abandon(mut self, handler: &mut H, counters: &Counters) {
        let error = DisconnectError::WorkerEnded;
        self.phase = match mem::replace(&mut self.phase, Phase::Ending(None)) {
            Phase::Open(Open { session, session_len, .. }) => {
                let (code, reason, error) = (CloseCode::ABNORMAL, Box::default(), Some(error));
                Phase::Ending(Some(Box::new(Ended { session, session_len, code, reason, error })))
            }
            Phase::Ending(Some(mut ended)) => {
                ended.error.get_or_insert(error);
                Phase::Ending(Some(ended))
            }
            other => other,
        };
        self.conclude(handler, counters);
    }

    /// Tells the application how its session ended, once.
    fn conclude(&mut self, handler: &mut H, counters: &Counters) {
        let Phase::Ending(ended) = &mut self.phase else { return };
        let Some(ended) = ended.take() else { return };
        let Ended { session, code, reason, error, .. } = *ended;
        counters.open.add(1_u64.wrapping_neg());
        counters.close(code);
        let unsent_len = self.stream.queued_len();
        let (reason, error) = (&*reason, error.as_ref());
        handler.on_close(session, &Disconnect { peer: &self.peer, code, reason, error, unsent_len });
    }
}

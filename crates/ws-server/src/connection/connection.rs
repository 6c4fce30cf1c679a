//! One connection, from its first byte to its last: the phases, and the way from one to the next.
//!
//! Nothing here waits: each method does what can be done now. After [`Gone`], the connection is to be dropped.

use crate::{
    CloseCode, Config, DisconnectError, Handler, Peer, PeerInfo, Prepared, RefusalReason, Transport,
    config::YEAR,
    connection::{
        admission::{Place, RESERVE_TIMEOUT},
        context::{Context, Held},
        delivery,
        handshake::{Handshake, Outcome},
        linger::{Ended, Linger},
        link::Link,
        open::{End, Open},
        refused::Refused,
    },
    metrics::Counters,
    socket::stream::{Gone, after},
};
use std::{mem, time::Instant};
use ws_handshake::HandshakeError;
use ws_protocol::Input;

/// A connection of the handler `H`, over the transport `T`.
pub(crate) struct Connection<H: Handler, T> {
    link: Link<T>,
    phase: Phase<H::Session>,
    /// The place of the connection among all, where there is an admission.
    place: Option<Place>,
    /// The connection was sent something from elsewhere, and is flushed at the end of the turn.
    pub(crate) is_touched: bool,
    /// The connection had its share of a turn, and goes on at the end of the next one.
    pub(crate) is_unfinished: bool,
}

enum Phase<S> {
    Handshake(Handshake),
    Open(Open<S>),
    Linger(Linger<S>),
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
        let max_timeout = if limit.is_some() { RESERVE_TIMEOUT } else { YEAR };
        let timeout = config.deadlines.handshake_timeout.min(max_timeout);
        Self {
            link: Link::new(peer, transport, after(now, timeout)),
            phase: Phase::Handshake(Handshake::new(limit)),
            place,
            is_touched: false,
            is_unfinished: false,
        }
    }

    pub(crate) fn peer(&self) -> &PeerInfo {
        &self.link.peer
    }

    pub(crate) fn transport(&mut self) -> &mut T {
        self.link.stream.transport()
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Handshake(_))
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// The number of bytes that wait for the socket.
    pub(crate) fn queued_len(&self) -> usize {
        self.link.stream.queued_len()
    }

    /// Asks the handler for the memory that the session takes. Not asked in between, so that [`held`](Self::held) does
    /// not change by itself.
    #[inline]
    pub(crate) fn measure_session(&mut self, handler: &H) {
        if let Phase::Open(open) = &mut self.phase {
            open.measure_session(handler);
        }
    }

    /// The memory that it holds for its peer: input that is not used up, output that is not written, compression, the
    /// session.
    pub(crate) fn held(&self) -> Held {
        let phase_len = match &self.phase {
            Phase::Handshake(handshake) => handshake.held_len(),
            Phase::Open(open) => open.held_len(),
            Phase::Linger(linger) => linger.held_len(),
        };
        Held { len: self.link.stream.held_len() + phase_len, queued_len: self.queued_len() }
    }

    /// The length of the queued frames that other connections have queued, too, in bytes.
    pub(crate) fn shared_len(&self) -> usize {
        self.link.stream.shared_len()
    }

    /// Whether something was due by `now`. While the peer takes what is queued, however slowly, that is all it owes.
    pub(crate) fn is_overdue(&self, now: Instant, config: &Config) -> bool {
        let owes_something = match &self.phase {
            Phase::Handshake(_) => true,
            Phase::Open(open) => open.owes_something(&self.link),
            Phase::Linger(_) => self.queued_len() == 0,
        };
        let is_stalled = self.link.stream.is_stalled(now, config.deadlines.write_timeout);
        is_stalled || (owes_something && self.link.deadline <= now)
    }

    /// Notes that the socket may be read from.
    pub(crate) fn set_readable(&mut self, read_closed: bool) {
        self.link.stream.set_readable(read_closed);
    }

    /// Notes that the socket may take more of what is queued, and writes it.
    pub(crate) fn set_writable(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        self.link.stream.set_writable();
        if self.queued_len() == 0 {
            return Ok(());
        }
        self.flush(cx)
    }

    /// Reads and serves what there is, up to the share of a turn. `true`: there may be more.
    pub(crate) fn serve(&mut self, buffer: &mut [u8], cx: &mut Context<'_, H>) -> Result<bool, Gone> {
        // A flood keeps its socket ready: its next share comes at the end of the next turn, and only then.
        if self.is_unfinished {
            return Ok(true);
        }
        // What the handler has sent to others on its worker is carried out before more of it is asked for.
        if cx.outbox.is_crowded() {
            let may_have_more = self.link.stream.is_readable() || self.has_unread();
            return Ok(!self.link.is_held() && may_have_more);
        }
        if let Phase::Open(open) = &mut self.phase
            && !self.link.is_held()
            && open.has_unread()
        {
            let mut unread = open.take_unread();
            self.receive(&mut unread, cx)?;
        }
        let mut share = cx.config.flow.max_read_per_turn.max(1);
        while !self.link.is_held() {
            if self.has_unread() {
                return Ok(true);
            }
            if share == 0 || cx.outbox.is_crowded() {
                return Ok(self.link.stream.is_readable());
            }
            match self.link.stream.read(buffer) {
                Ok(None) => break,
                Ok(Some(0)) => self.end_of_input(cx)?,
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
        matches!(&self.phase, Phase::Open(open) if open.has_unread())
    }

    /// Calls `act` with the peer, if the connection is open. What it sends is to be written by [`flush`](Self::flush).
    pub(crate) fn with_peer(&mut self, cx: &mut Context<'_, H>, act: impl FnOnce(&mut Peer<'_>)) {
        if let Phase::Open(open) = &mut self.phase {
            open.with_peer(&mut self.link, cx, act);
        }
    }

    /// Sends messages of others to the peer, if the connection is open, to be written by [`flush`](Self::flush).
    pub(crate) fn deliver<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m Prepared>,
        cx: &mut Context<'_, H>,
    ) {
        if let Phase::Open(open) = &mut self.phase {
            messages.into_iter().for_each(|message| delivery::deliver(message, open, &mut self.link, cx));
        }
    }

    /// Queues what is in `out`, to be written by [`flush`](Self::flush).
    pub(crate) fn queue(&mut self, cx: &mut Context<'_, H>) {
        self.link.queue(cx);
    }

    /// Writes what is queued and what is in `out`, as far as the socket takes it, and does what follows from it.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        match &mut self.phase {
            Phase::Open(_) => self.with_open(cx, Open::flush),
            Phase::Linger(linger) => linger.flush(&mut self.link, cx),
            Phase::Handshake(_) => match self.link.write(cx) {
                Ok(_) => Ok(()),
                Err(error) => Err(self.lost(error.into(), cx)),
            },
        }
    }

    /// Does what the deadline was for.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        if self.link.stream.is_stalled(cx.now, cx.config.deadlines.write_timeout) {
            return Err(self.lost(DisconnectError::WriteTimeout, cx));
        }
        match &mut self.phase {
            Phase::Handshake(_) => self.refuse(Refused::timeout(), cx),
            Phase::Open(_) => self.with_open(cx, Open::expire),
            Phase::Linger(_) => Err(Gone),
        }
    }

    /// Closes the connection, as the server shuts down.
    pub(crate) fn shut_down(&mut self, buffer: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        if self.is_handshaking() {
            return self.turn_away(Refused::shutting_down(), buffer, cx);
        }
        self.with_peer(cx, |peer| {
            peer.close(CloseCode::GOING_AWAY, "the server is shutting down");
        });
        self.flush(cx)
    }

    /// Leaves the place in the reserve to another socket.
    pub(crate) fn give_way(&mut self, buffer: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        if let Phase::Handshake(handshake) = &self.phase
            && let Some(limit) = handshake.limit()
        {
            self.turn_away(limit.refused(), buffer, cx)?;
        }
        Err(Gone)
    }

    /// Ends a connection that holds too much. It is told 1013, unless that would have to wait behind what it does not
    /// read.
    pub(crate) fn evict(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let (PeerInfo { id: connection, addr: address }, held_bytes) = (self.peer(), self.held().len);
        tracing::warn!(%connection, %address, held_bytes, "the memory budget is spent, and this connection ends");
        self.fail(CloseCode::TRY_AGAIN_LATER, DisconnectError::OverBudget, cx)?;
        if self.queued_len() == 0 { Ok(()) } else { Err(self.lost(DisconnectError::OverBudget, cx)) }
    }

    /// Ends a connection during whose service there was a panic, in the handler or in our own code. What was sent before
    /// stays sent.
    pub(crate) fn panicked(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let PeerInfo { id, addr } = self.peer();
        tracing::error!(connection = %id, address = %addr, "a panic while this connection was served");
        match self.phase {
            Phase::Handshake(_) => {
                self.respond(Refused::text(500, RefusalReason::HandlerFailed, "the server failed"), cx)
            }
            Phase::Open(_) => self.fail(CloseCode::INTERNAL_ERROR, DisconnectError::Panicked, cx),
            Phase::Linger(_) => self.flush(cx),
        }
    }

    /// Fails an open connection, whose peer is told why.
    fn fail(&mut self, code: CloseCode, error: DisconnectError, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        self.with_open(cx, |open, _, cx| Err(open.fail(code, error, cx)))
    }

    fn receive(&mut self, bytes: &mut [u8], cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let mut input = Input::new(bytes);
        match &mut self.phase {
            Phase::Open(_) => self.with_open(cx, |open, link, cx| open.receive(&mut input, link, cx)),
            Phase::Handshake(handshake) => match handshake.receive(&mut input, &self.link.peer, cx) {
                Outcome::More => Ok(()),
                Outcome::Refused(refused) => self.respond(refused, cx),
                Outcome::Opened { session, agreed } => {
                    if let Some(place) = &mut self.place {
                        place.end_handshake();
                    }
                    self.phase = Phase::Open(Open::begin(session, &agreed, &mut self.link, cx));
                    self.with_open(cx, |open, link, cx| {
                        open.announce(link, cx);
                        open.receive_frames(&mut input, link, cx)
                    })
                }
            },
            Phase::Linger(_) => Ok(()),
        }
    }

    /// Answers a request that waits in the socket, or refuses it if it is not whole.
    fn turn_away(
        &mut self,
        refused: Refused,
        buffer: &mut [u8],
        cx: &mut Context<'_, H>,
    ) -> Result<(), Gone> {
        // The socket may be new, and its readiness not reported yet.
        self.link.stream.set_readable(false);
        self.serve(buffer, cx)?;
        if self.is_handshaking() { self.refuse(refused, cx) } else { Ok(()) }
    }

    /// Refuses a request that is not whole. If none has begun, the socket is closed without a response, which a client
    /// would take for the answer to its next request.
    fn refuse(&mut self, refused: Refused, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        let Phase::Handshake(handshake) = &self.phase else { return Ok(()) };
        if !handshake.received().is_empty() {
            let refused = refused.of(handshake.received());
            return self.respond(refused, cx);
        }
        self.phase = Phase::Linger(Linger::without_session());
        refused.report(self.link.peer.addr, None, cx.counters, |refusal| cx.handler.on_refused(refusal));
        Err(Gone)
    }

    /// Sends a whole response, and nothing after it.
    fn respond(&mut self, refused: Refused, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        self.link.set_timeout(cx.config.deadlines.close_timeout, cx);
        let linger = Phase::Linger(Linger::without_session());
        if let Phase::Handshake(handshake) = mem::replace(&mut self.phase, linger) {
            handshake.respond(refused, &self.link.peer, cx);
        }
        self.flush(cx)
    }

    /// Notes that the peer will send nothing more. It may still read: what is queued is written.
    fn end_of_input(&mut self, cx: &mut Context<'_, H>) -> Result<(), Gone> {
        match &mut self.phase {
            Phase::Handshake(handshake) if handshake.received().is_empty() => Err(Gone),
            Phase::Handshake(_) => self.refuse(HandshakeError::IncompleteHead.into(), cx),
            Phase::Open(_) => self.with_open(cx, |open, _, _| Err(open.end_of_input())),
            Phase::Linger(linger) => linger.end_stream(&mut self.link, cx),
        }
    }

    /// Lets an open connection `act`, and goes on to the next phase if that is its end.
    #[inline]
    fn with_open(
        &mut self,
        cx: &mut Context<'_, H>,
        act: impl FnOnce(&mut Open<H::Session>, &mut Link<T>, &mut Context<'_, H>) -> Result<(), End>,
    ) -> Result<(), Gone> {
        let Phase::Open(open) = &mut self.phase else { return Ok(()) };
        match act(open, &mut self.link, cx) {
            Ok(()) => Ok(()),
            Err(End::Lost(error)) => Err(self.lost(error, cx)),
            Err(End::Closed { code, reason, error }) => {
                self.begin_linger(code, reason, error, cx);
                self.flush(cx)
            }
        }
    }

    /// Gives up what is queued: nothing can be read or written any more.
    fn lost(&mut self, error: DisconnectError, cx: &mut Context<'_, H>) -> Gone {
        let mut given = Some(error);
        if let Phase::Open(_) = self.phase {
            self.begin_linger(CloseCode::ABNORMAL, Box::default(), given.take(), cx);
        }
        let Phase::Linger(linger) = &mut self.phase else { return Gone };
        linger.lost(given, &self.link, cx)
    }

    /// Ends the session of an open connection.
    fn begin_linger(
        &mut self,
        code: CloseCode,
        reason: Box<str>,
        error: Option<DisconnectError>,
        cx: &mut Context<'_, H>,
    ) {
        let linger = Phase::Linger(Linger::without_session());
        if let Phase::Open(open) = mem::replace(&mut self.phase, linger) {
            let (session, session_len) = open.into_session(cx);
            self.link.set_timeout(cx.config.deadlines.close_timeout, cx);
            self.phase = Phase::Linger(Linger::new(Ended { session, session_len, code, reason, error }));
        }
    }

    /// Ends the session of a connection whose worker ends: nothing is written any more.
    pub(crate) fn abandon(self, handler: &mut H, counters: &Counters) {
        let linger = match self.phase {
            Phase::Open(open) => {
                let (session, session_len) = open.into_abandoned();
                let (code, reason, error) = (CloseCode::ABNORMAL, Box::default(), None);
                Linger::new(Ended { session, session_len, code, reason, error })
            }
            Phase::Linger(linger) => linger,
            Phase::Handshake(_) => return,
        };
        linger.abandon(&self.link, handler, counters);
    }
}

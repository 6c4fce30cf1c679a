//! The phase of an open connection: frames go both ways.

use crate::{
    CloseCode, DisconnectError, Handler, Peer, Transport,
    connection::{
        compression::Agreed,
        context::{Context, extend},
        link::Link,
    },
};
use std::{
    mem,
    time::{Duration, Instant},
};
use ws_protocol::{CloseFrame, Event, Input, Protocol, ServerRole};

/// The length of output that is written even while there is input left, in bytes.
pub(crate) const WRITE_CHUNK: usize = 256 << 10;

/// An open connection with a session `S`.
pub(crate) struct Open<S> {
    pub(crate) protocol: Protocol<ServerRole>,
    session: S,
    /// Input that was left when the peer began to lag.
    unread: Box<[u8]>,
    waiting_for: WaitingFor,
    /// The messages of this second, if there is a limit.
    pace: Option<Box<Pace>>,
    /// The share of its compressor in the budget, in bytes.
    compressor_len: usize,
    /// The memory of the session, as the handler last reported it, in bytes.
    session_len: u32,
}

/// The duty of a peer before the deadline of an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitingFor {
    /// To send anything, else it is sent a ping.
    Anything,
    /// To send anything, now that it was sent a ping.
    Pong,
    /// To answer our close frame.
    Close,
}

/// The messages of a second.
#[derive(Debug)]
struct Pace {
    began: Instant,
    messages: u32,
}

/// The end of an open connection.
#[derive(Debug)]
pub(crate) enum End {
    /// Everything is said: what is queued is still to be written.
    Closed { code: CloseCode, reason: Box<str>, error: Option<DisconnectError> },
    /// Nothing can be read or written any more.
    Lost(DisconnectError),
}

impl End {
    fn failed(code: CloseCode, error: DisconnectError) -> Self {
        Self::Closed { code, reason: Box::default(), error: Some(error) }
    }
}

impl<S> Open<S> {
    /// Opens a connection, whose 101 is in `out`.
    pub(crate) fn begin<H: Handler<Session = S>>(
        session: S,
        agreed: &Agreed,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Self {
        cx.counters.handshake(101);
        cx.counters.connections_open.add(1);
        cx.remote.set_open(link.peer.id, true);
        link.set_timeout(cx.config.deadlines.idle_timeout, cx);
        Self {
            protocol: agreed.apply(Protocol::server(cx.config.message_limits())),
            compressor_len: cx.budget.take(agreed),
            session,
            unread: Box::default(),
            waiting_for: WaitingFor::Anything,
            pace: None,
            session_len: 0,
        }
    }

    /// Tells the handler that the connection is open.
    pub(crate) fn announce<H: Handler<Session = S>>(
        &mut self,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) {
        let (mut peer, handler) = link.peer(self.protocol.sender(), cx);
        handler.on_open(&mut self.session, &mut peer);
    }

    /// The session and the memory that it takes; the compressor is given back.
    pub(crate) fn into_session<H>(self, cx: &mut Context<'_, H>) -> (S, u32) {
        cx.budget.give_back(self.compressor_len);
        self.into_abandoned()
    }

    /// The session and the memory that it takes, of a worker that ends.
    pub(crate) fn into_abandoned(self) -> (S, u32) {
        (self.session, self.session_len)
    }

    /// The memory that it holds for its peer, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        self.unread.len() + self.protocol.held_len() + self.compressor_len + self.session_len as usize
    }

    /// Asks the handler for the memory that the session takes.
    #[inline]
    pub(crate) fn measure_session<H: Handler<Session = S>>(&mut self, handler: &H) {
        self.session_len = u32::try_from(handler.session_len(&self.session)).unwrap_or(u32::MAX);
    }

    /// Whether a compressor of its own remembers what was sent: no message can be dropped after that.
    pub(crate) fn has_own_compressor(&self) -> bool {
        self.compressor_len > 0
    }

    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// The input that was left when the peer began to lag.
    pub(crate) fn take_unread(&mut self) -> Box<[u8]> {
        mem::take(&mut self.unread)
    }

    /// Whether something is due at the deadline. While the peer takes what is queued, however slowly, that is all it owes:
    /// what it should answer may be behind it, and a lagging peer's answers are not read.
    pub(crate) fn owes_something(&self, link: &Link<impl Transport>) -> bool {
        match self.waiting_for {
            WaitingFor::Anything | WaitingFor::Pong => !link.is_held(),
            WaitingFor::Close => link.stream.queued_len() == 0,
        }
    }

    /// Takes input from the peer.
    pub(crate) fn receive<H: Handler<Session = S>>(
        &mut self,
        input: &mut Input<'_>,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Result<(), End> {
        self.sign_of_life(link, cx);
        self.receive_frames(input, link, cx)
    }

    /// Takes frames, which may have been part of the opening request's packet.
    pub(crate) fn receive_frames<H: Handler<Session = S>>(
        &mut self,
        input: &mut Input<'_>,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Result<(), End> {
        loop {
            let input_len = input.remaining().len();
            match self.protocol.receive(input, cx.out) {
                Ok(None) => break,
                Ok(Some((Event::Message(message), sender))) => {
                    cx.counters.messages_received.add(1);
                    if let Some(max_messages_per_second) = cx.config.limits.max_messages_per_second
                        && count(&mut self.pace, cx.now)
                            > max_messages_per_second.saturating_mul(cx.seconds_of_input)
                    {
                        let error = DisconnectError::TooManyMessages { max_messages_per_second };
                        return Err(self.fail(CloseCode::POLICY_VIOLATION, error, cx));
                    }
                    let (mut peer, handler) = link.peer(sender, cx);
                    peer.input_len = input_len;
                    handler.on_message(&mut self.session, &mut peer, message);
                }
                Ok(Some((Event::Pong(payload), sender))) => {
                    let (mut peer, handler) = link.peer(sender, cx);
                    handler.on_pong(&mut self.session, &mut peer, payload);
                }
                Ok(Some((Event::Close(CloseFrame { code, reason }), _))) => {
                    return Err(End::Closed { code, reason: reason.into(), error: None });
                }
                Ok(Some(_)) => {} // a ping, which is answered
                Err(error) => return Err(End::failed(error.close_code(), error.into())),
            }
            let high_water = cx.config.flow.high_water_len;
            if cx.out.len() >= WRITE_CHUNK.min(high_water) || link.stream.queued_len() > high_water {
                self.flush(link, cx)?;
            }
            // A handler that sends to others on its worker fills the outbox, which only the worker can empty.
            if link.is_held() || cx.outbox.is_crowded() {
                return self.pause(input, link, cx);
            }
        }
        self.flush(link, cx)
    }

    /// Keeps the rest of the input for later.
    #[cold]
    fn pause<H: Handler<Session = S>>(
        &mut self,
        input: &mut Input<'_>,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Result<(), End> {
        // The last message was answered, and is let go by this.
        let _ = self.protocol.receive(&mut Input::new(&mut []), cx.out);
        let mut unread = Vec::new();
        if !extend(&mut unread, input.remaining()) {
            return Err(self.fail(CloseCode::TRY_AGAIN_LATER, DisconnectError::OutOfMemory, cx));
        }
        self.unread = unread.into_boxed_slice();
        self.flush(link, cx)
    }

    /// Notes that the peer will send nothing more. It may still read: what is queued is written.
    pub(crate) fn end_of_input(&mut self) -> End {
        End::failed(self.protocol.receive_eof(), DisconnectError::EndOfStream)
    }

    /// Writes what is queued and what is in `out`, as far as the socket takes it.
    pub(crate) fn flush<H: Handler<Session = S>>(
        &mut self,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Result<(), End> {
        loop {
            let wrote = link.write(cx).map_err(|error| End::Lost(error.into()))?;
            if wrote.is_progress {
                self.progress(link, cx);
            }
            if !wrote.has_caught_up {
                break;
            }
            let (mut peer, handler) = link.peer(self.protocol.sender(), cx);
            handler.on_drain(&mut self.session, &mut peer);
        }
        self.watch_close(link, cx);
        Ok(())
    }

    /// Does what the deadline was for.
    pub(crate) fn expire<H: Handler<Session = S>>(
        &mut self,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Result<(), End> {
        match self.waiting_for {
            WaitingFor::Anything => {
                self.waiting_for = WaitingFor::Pong;
                link.set_timeout(cx.config.deadlines.pong_timeout, cx);
                let _ = self.protocol.sender().ping(b"", cx.out);
                self.flush(link, cx)
            }
            WaitingFor::Pong => Err(self.fail(CloseCode::INTERNAL_ERROR, DisconnectError::PongTimeout, cx)),
            WaitingFor::Close => Err(End::Lost(DisconnectError::CloseTimeout)),
        }
    }

    /// Calls `act` with the peer. What it sends is in `out`, except large messages, which go to the socket at once.
    pub(crate) fn with_peer<H: Handler<Session = S>>(
        &mut self,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
        act: impl FnOnce(&mut Peer<'_>),
    ) {
        act(&mut link.peer(self.protocol.sender(), cx).0);
    }

    /// Fails the connection: the peer is told why. The close frame is in `out`.
    pub(crate) fn fail<H>(
        &mut self,
        code: CloseCode,
        error: DisconnectError,
        cx: &mut Context<'_, H>,
    ) -> End {
        let reason = error.to_string();
        // It fails where a close frame was sent before.
        let _ = self.protocol.sender().close(CloseFrame { code, reason: &reason }, cx.out);
        End::failed(code, error)
    }

    /// The peer has taken some of what was queued for it, which is a sign of life. Whatever it still has to do after the
    /// rest, it has its time for from here.
    fn progress<H>(&mut self, link: &mut Link<impl Transport>, cx: &Context<'_, H>) {
        if self.waiting_for == WaitingFor::Close {
            link.set_timeout(cx.config.deadlines.close_timeout, cx);
        } else {
            self.sign_of_life(link, cx);
        }
    }

    fn sign_of_life<H>(&mut self, link: &mut Link<impl Transport>, cx: &Context<'_, H>) {
        if self.waiting_for != WaitingFor::Close {
            self.waiting_for = WaitingFor::Anything;
            link.set_timeout(cx.config.deadlines.idle_timeout, cx);
        }
    }

    /// Gives the peer a deadline for its close frame once ours is sent.
    fn watch_close<H>(&mut self, link: &mut Link<impl Transport>, cx: &Context<'_, H>) {
        if self.protocol.close_expected() && self.waiting_for != WaitingFor::Close {
            self.waiting_for = WaitingFor::Close;
            link.set_timeout(cx.config.deadlines.close_timeout, cx);
            // The peer's answer is behind everything that it has sent before.
            link.is_paused = false;
        }
    }
}

/// Counts a message, and returns the number of messages in its second.
fn count(pace: &mut Option<Box<Pace>>, now: Instant) -> u32 {
    let pace = pace.get_or_insert_with(|| Box::new(Pace { began: now, messages: 0 }));
    if now.saturating_duration_since(pace.began) >= Duration::from_secs(1) {
        **pace = Pace { began: now, messages: 0 };
    }
    pace.messages = pace.messages.saturating_add(1);
    pace.messages
}

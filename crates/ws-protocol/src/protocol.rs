//! The connection: both halves, and the conduct that ties them together (RFC 6455 §5.5, §7).

use crate::{
    ClientRole, Event, Input, MessageLimits, Output, ProtocolError, Role, Sender, ServerRole,
    receiver::{Received, Receiver},
};
#[cfg(feature = "deflate")]
use crate::{
    DeflateConfig,
    deflate::{Deflation, Inflation},
};
use alloc::string::ToString;
use ws_frame::{CloseCode, CloseFrame, Opcode};

/// One WebSocket connection after its opening handshake, in the role `R`.
///
/// # The contract
///
/// - After each read, call [`receive`](Self::receive) until it gives `None` or fails, then write `out`.
/// - At the end of the stream, or when the socket fails, call [`receive_eof`](Self::receive_eof).
/// - Once [`close_expected`](Self::close_expected) is true, give the peer a few seconds to end, and no more.
/// - Once [`is_finished`](Self::is_finished) is true, a server ends the TCP connection when `out` is written; a client
///   leaves that to the server (§7.1.1).
///
/// An idle connection owns no memory outside this value.
#[derive(Debug)]
pub struct Protocol<R> {
    receiver: Receiver,
    sender: Sender<R>,
    /// The code of the peer's close frame.
    close_received: Option<CloseCode>,
}

impl Protocol<ServerRole> {
    /// The server's side of a connection.
    #[inline]
    pub const fn server(limits: MessageLimits) -> Self {
        Self::new(limits, ServerRole)
    }
}

impl<K: FnMut() -> [u8; 4]> Protocol<ClientRole<K>> {
    /// The client's side of a connection. `masking_key` gives a fresh, unpredictable key for each frame that is sent.
    #[inline]
    pub const fn client(limits: MessageLimits, masking_key: K) -> Self {
        Self::new(limits, ClientRole(masking_key))
    }
}

impl<R> Protocol<R> {
    const fn new(limits: MessageLimits, role: R) -> Self
    where
        R: Role,
    {
        Self { receiver: Receiver::new(limits), sender: Sender::new(role), close_received: None }
    }
}

impl<R: Role> Protocol<R> {
    /// With permessage-deflate (RFC 7692), as the opening handshake has agreed on it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, config: &DeflateConfig) -> Self {
        self.receiver.set_inflation(Inflation::new(config));
        self.sender.set_deflation(Deflation::new(config));
        self
    }

    /// Takes the next event out of `input`, and lends it with the sending half. `None`: `input` is used up.
    ///
    /// Pings and the peer's close are answered into `out`; anything after the peer's close is passed over.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke. The close frame that tells it is in `out`, `input` is used up, and nothing more
    /// will be parsed: every later call gives `None`.
    #[inline]
    pub fn receive<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        out: &mut Output,
    ) -> Result<Option<(Event<'a>, &'a mut Sender<R>)>, ProtocolError> {
        let event = match self.receiver.next::<R>(input, &mut out.pool) {
            Ok(None) => return Ok(None),
            Ok(Some(Received::Message(message))) => Event::Message(message),
            Ok(Some(Received::Control(Opcode::Ping, payload))) => {
                // RFC 6455 §5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response,
                // unless it already received a Close frame."
                self.sender.answer_ping(payload, out);
                Event::Ping(payload)
            }
            Ok(Some(Received::Control(Opcode::Close, payload))) => match CloseFrame::decode(payload) {
                Ok(frame) => {
                    self.close_received = Some(frame.code);
                    // RFC 6455 §5.5.1: "If an endpoint receives a Close frame and did not previously send a Close
                    // frame, the endpoint MUST send a Close frame in response." "it typically echos the status code". We
                    // echo the reason, too: browsers report the one that they receive.
                    let _ = self.sender.close(frame, out); // fails where ours was sent before
                    Event::Close(frame)
                }
                Err(error) => return Err(Self::fail(&mut self.sender, error.into(), out)),
            },
            Ok(Some(Received::Control(_, payload))) => Event::Pong(payload),
            Err(error) => return Err(Self::fail(&mut self.sender, error, out)),
        };
        Ok(Some((event, &mut self.sender)))
    }

    /// The stream ended, or broke: the code by which the application is to know the connection's end (§7.1.5), that of
    /// the peer's close frame, or [`CloseCode::ABNORMAL`] if there was none. Nothing will be parsed any more.
    pub fn receive_eof(&mut self) -> CloseCode {
        self.receiver.end();
        // RFC 6455 §7.1.5: "If _The WebSocket Connection is Closed_ and no Close control frame was received by the
        // endpoint [...], _The WebSocket Connection Close Code_ is considered to be 1006."
        self.close_received.unwrap_or(CloseCode::ABNORMAL)
    }

    /// The sending half, to send what nothing received has asked for.
    #[inline]
    pub const fn sender(&mut self) -> &mut Sender<R> {
        &mut self.sender
    }

    /// Whether the connection should end soon: our close frame has been sent. The deadline is the caller's.
    #[inline]
    pub const fn close_expected(&self) -> bool {
        !self.sender.is_open()
    }

    /// Whether nothing will come of this connection any more: the peer's close frame was received (and answered), the
    /// connection has failed (and the close frame that says so is sent), or the stream has ended.
    #[inline]
    pub const fn is_finished(&self) -> bool {
        self.receiver.is_ended()
    }

    /// How many bytes the peer makes this connection keep at the moment: of an unfinished message, and of what later
    /// messages may refer to. A compressor of its own is not among them.
    #[inline]
    pub fn held_len(&self) -> usize {
        self.receiver.held_len()
    }

    /// RFC 6455 §7.1.7: _Fail the WebSocket Connection_: "an endpoint SHOULD send a Close frame with an appropriate
    /// status code".
    #[cold]
    fn fail(sender: &mut Sender<R>, error: ProtocolError, out: &mut Output) -> ProtocolError {
        let reason = error.to_string();
        let _ = sender.close(CloseFrame { code: error.close_code(), reason: &reason }, out); // fails if one was sent
        error
    }
}

//! The server's side of a connection.

use crate::{
    EndpointConfig, EndpointError,
    head::{Head, HeadError},
};
use alloc::string::{String, ToString};
use ws_handshake::{Accept, HandshakeError, Request, Response, Upgrade, with_fields};
use ws_protocol::{CloseCode, CloseFrame, Event, Input, Message, Output, Protocol, Sender, ServerRole};

/// The server's side of a connection, from the request's first byte on.
///
/// # The contract
///
/// - After each read, call [`receive`](Self::receive) until it returns `None` or fails, then write `out`
///   ([`receive_all`](Self::receive_all) is that loop).
/// - Answer each [`ServerEvent::Request`]. One that is dropped without an answer ends the connection.
/// - At the end of the stream, call [`receive_eof`](Self::receive_eof).
/// - Give a peer some seconds for its request, and, once [`close_expected`](Self::close_expected) is true, for the end.
/// - Once [`is_finished`](Self::is_finished) is true, end the stream when `out` is written.
#[derive(Debug, Default)]
pub struct ServerEndpoint {
    config: EndpointConfig,
    handshake: ServerHandshake,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Handshake,
    Open(Protocol<ServerRole>),
    Ended,
}

/// An event on the server's side, lent until the next call of [`receive`](ServerEndpoint::receive).
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A request, which has to be answered.
    Request(PendingRequest<'a>),
    /// A message, and the sending half, to answer it with.
    Message(Message<'a>, &'a mut Sender<ServerRole>),
    /// A ping, which was answered.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer's close frame, which was answered.
    Close(CloseFrame<'a>),
}

impl ServerEndpoint {
    /// An endpoint that waits for a request.
    pub fn new(config: EndpointConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Takes the next event out of `input`; `None`: `input` is used up.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]. What tells the peer so is in `out`, and nothing more will be received.
    pub fn receive<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        out: &mut Output,
    ) -> Result<Option<ServerEvent<'a>>, EndpointError> {
        let Self { config, handshake, phase } = self;
        match phase {
            Phase::Ended => {
                input.split_off(usize::MAX);
                Ok(None)
            }
            Phase::Handshake => match handshake.head.find(input, config.max_head_len) {
                Ok(None) => Ok(None),
                Ok(Some(len)) => {
                    *phase = Phase::Ended;
                    let head = handshake.head.take(input, len);
                    let is_head = Request::begins_head(head);
                    Ok(Some(ServerEvent::Request(PendingRequest { head, is_head, config, phase })))
                }
                Err(error) => {
                    *phase = Phase::Ended;
                    encode(&error.response(), handshake.is_head(), out);
                    Err(error.into())
                }
            },
            Phase::Open(protocol) => {
                handshake.forget();
                Ok(protocol.receive(input, out)?.map(|(event, sender)| match event {
                    Event::Message(message) => ServerEvent::Message(message, sender),
                    Event::Ping(payload) => ServerEvent::Ping(payload),
                    Event::Close(frame) => ServerEvent::Close(frame),
                    Event::Pong(payload) => ServerEvent::Pong(payload),
                    _ => ServerEvent::Pong(&[]),
                }))
            }
        }
    }

    /// Calls `serve` with each event in `bytes`, which are all used up.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_all(
        &mut self,
        bytes: &mut [u8],
        out: &mut Output,
        mut serve: impl FnMut(ServerEvent<'_>, &mut Output),
    ) -> Result<(), EndpointError> {
        let mut input = Input::new(bytes);
        while let Some(event) = self.receive(&mut input, out)? {
            serve(event, out);
        }
        Ok(())
    }

    /// The stream ended, or broke: the code by which the application is to know the connection's end (RFC 6455 §7.1.5).
    pub fn receive_eof(&mut self) -> CloseCode {
        match &mut self.phase {
            Phase::Open(protocol) => protocol.receive_eof(),
            Phase::Handshake | Phase::Ended => {
                self.phase = Phase::Ended;
                CloseCode::ABNORMAL
            }
        }
    }

    /// The sending half, once the connection is open.
    pub fn sender(&mut self) -> Option<&mut Sender<ServerRole>> {
        match &mut self.phase {
            Phase::Open(protocol) => Some(protocol.sender()),
            Phase::Handshake | Phase::Ended => None,
        }
    }

    /// Whether the connection is open: the request was accepted.
    pub fn is_open(&self) -> bool {
        matches!(&self.phase, Phase::Open(protocol) if !protocol.is_finished())
    }

    /// Whether our close frame was sent, so that the peer should end the connection soon.
    pub fn close_expected(&self) -> bool {
        matches!(&self.phase, Phase::Open(protocol) if protocol.close_expected())
    }

    /// Whether nothing will come of this connection any more: once `out` is written, a server ends it.
    pub fn is_finished(&self) -> bool {
        match &self.phase {
            Phase::Open(protocol) => protocol.is_finished(),
            Phase::Handshake => false,
            Phase::Ended => true,
        }
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct PendingRequest<'a> {
    head: &'a [u8],
    is_head: bool,
    config: &'a EndpointConfig,
    phase: &'a mut Phase,
}

impl<'a> PendingRequest<'a> {
    /// The head of the request, as it was sent.
    pub fn head(&self) -> &'a [u8] {
        self.head
    }

    /// Calls `read` with the request, if it is one: to see its path before it is answered.
    ///
    /// # Errors
    ///
    /// The rule of HTTP that the head breaks; `read` is not called.
    pub fn read<T>(&self, read: impl FnOnce(&Request<'_, '_>) -> T) -> Result<T, HandshakeError> {
        with_fields(self.config.max_headers, |fields| Ok(read(&Request::parse(self.head, fields)?)))
    }

    /// Accepts whoever asks for a WebSocket as RFC 6455 §4.2.1 demands. Anything else is refused.
    ///
    /// # Errors
    ///
    /// The response that was sent instead of a 101.
    pub fn accept(self, out: &mut Output) -> Result<(), Response> {
        self.answer(out, |_| Ok(Accept::new()))
    }

    /// Accepts the request as `decide` says, or refuses it with the response that `decide` returns. A request that asks
    /// for no WebSocket, or not in the right way, is refused before.
    ///
    /// # Errors
    ///
    /// The response that was sent instead of a 101: 500 if what `decide` accepts was not offered (RFC 6455 §4.2.2).
    pub fn answer(
        self,
        out: &mut Output,
        decide: impl for<'r> FnOnce(&Upgrade<'r, 'r>) -> Result<Accept<'r>, Response>,
    ) -> Result<(), Response> {
        let answered = with_fields(self.config.max_headers, |fields| {
            let upgrade = Request::parse(self.head, fields)?.upgrade()?;
            let mut accept = decide(&upgrade)?;
            let agreed = Agreed::on(&upgrade, self.config);
            let extensions = agreed.extensions();
            if let Some(extensions) = extensions.as_deref() {
                accept = accept.with_extensions(extensions);
            }
            accept
                .encode(&upgrade, out.buffer())
                .map_err(|error| Response::text(500, error.to_string() + "\n"))?;
            Ok(agreed.apply(Protocol::server(self.config.messages)))
        });
        match answered {
            Ok(protocol) => {
                *self.phase = Phase::Open(protocol);
                Ok(())
            }
            Err(response) => {
                encode(&response, self.is_head, out);
                Err(response)
            }
        }
    }

    /// Answers with a response that opens no connection: a page, or a refusal. It is the last: the connection ends.
    pub fn respond(self, response: &Response, out: &mut Output) {
        encode(response, self.is_head, out);
    }
}

fn encode(response: &Response, is_head: bool, out: &mut Output) {
    if is_head {
        response.encode_head(out.buffer());
    } else {
        response.encode(out.buffer());
    }
}

/// The agreement with one client on permessage-deflate.
#[cfg(feature = "deflate")]
struct Agreed(Option<crate::DeflateAgreement>);

#[cfg(feature = "deflate")]
impl Agreed {
    fn on(upgrade: &Upgrade<'_, '_>, config: &EndpointConfig) -> Self {
        Self(config.deflate.and_then(|offer| offer.accept(upgrade)))
    }

    fn extensions(&self) -> Option<String> {
        self.0.map(|agreement| agreement.to_string())
    }

    fn apply(&self, protocol: Protocol<ServerRole>) -> Protocol<ServerRole> {
        match &self.0 {
            Some(agreement) => protocol.with_deflate(&agreement.as_server()),
            None => protocol,
        }
    }
}

/// Without the feature `deflate`, nothing is agreed.
#[cfg(not(feature = "deflate"))]
struct Agreed;

#[cfg(not(feature = "deflate"))]
impl Agreed {
    fn on(_: &Upgrade<'_, '_>, _: &EndpointConfig) -> Self {
        Self
    }

    fn extensions(&self) -> Option<String> {
        None
    }

    fn apply(&self, protocol: Protocol<ServerRole>) -> Protocol<ServerRole> {
        protocol
    }
}

/// The opening handshake of a server by itself, for a caller that has phases of its own: it gathers the request's head.
#[derive(Debug, Default)]
pub struct ServerHandshake {
    head: Head,
    is_head: bool,
}

impl ServerHandshake {
    /// Takes bytes of the request, and returns its head once that is whole. What follows it stays in `input`: frames, if
    /// the request is accepted.
    ///
    /// # Errors
    ///
    /// The bytes are no head, or one of over `max_len` bytes, or there is no memory for it.
    pub fn receive<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        max_len: usize,
    ) -> Result<Option<&'a [u8]>, HeadError> {
        let Some(len) = self.head.find(input, max_len)? else { return Ok(None) };
        let head = self.head.take(input, len);
        self.is_head = Request::begins_head(head);
        Ok(Some(head))
    }

    /// Whether the request is a HEAD, as far as it has come: its response has no content.
    pub fn is_head(&self) -> bool {
        self.is_head || Request::begins_head(&self.head.received)
    }

    /// The part of the request that has come, while it is not whole, or after an error.
    pub fn received(&self) -> &[u8] {
        &self.head.received
    }

    /// The memory that it holds, in bytes.
    pub fn held_len(&self) -> usize {
        self.head.received.capacity()
    }

    /// Frees what it holds.
    fn forget(&mut self) {
        if self.held_len() > 0 {
            *self = Self::default();
        }
    }
}

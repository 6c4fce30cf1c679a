//! The application, as the server sees it.

use crate::{Disconnect, Peer, Refusal};
use std::net::SocketAddr;
use ws_handshake::{Request, Response, Upgrade};
use ws_protocol::Message;

/// The application. Each worker has a handler of its own, so it needs no lock for what its connections share, and each
/// connection has a [`Session`](Self::Session).
///
/// # The contract
///
/// - For a request or a socket that the server turns away, the last call is [`on_refused`](Self::on_refused).
/// - For each connection, the calls are [`on_request`](Self::on_request), [`on_open`](Self::on_open), any of the
///   others, and exactly one [`on_close`](Self::on_close). They come from one thread, one at a time.
/// - Nothing may block: while a handler works, the other connections of its worker wait.
/// - A handler that panics loses the connection that it was called for, with 1011, and no other.
/// - Rust's own panic hook writes to the standard error on the worker's thread. Where nobody reads the standard error,
///   such as a pipe that is full, that write blocks the worker and all its connections for ever. A program that may run
///   like this should install a hook ([`std::panic::set_hook`]) that hands the message to a thread of its own.
pub trait Handler {
    /// What is kept for each connection.
    type Session;

    /// A client asks for a connection: accept it, with its session, or refuse it with a response.
    ///
    /// The request has passed every check of RFC 6455 §4.2.1 and the policies of the [`Config`](crate::Config).
    ///
    /// # Errors
    ///
    /// The response that refuses it, such as `Response::text(401, "who are you?")`.
    fn on_request(
        &mut self,
        upgrade: &Upgrade<'_, '_>,
        remote_addr: SocketAddr,
    ) -> Result<Accept<Self::Session>, Response>;

    /// A GET or HEAD of a monitor, such as `/healthz`: the response, or `None`, the default, if the request is none of
    /// a monitor, and goes on to [`on_http`](Self::on_http).
    ///
    /// The request is answered whatever its `Host` is. A response to HEAD is sent without its content.
    fn on_probe(&mut self, request: &Request<'_, '_>) -> Option<Response> {
        let _ = request;
        None
    }

    /// A GET or HEAD that asks for no WebSocket: the page to answer it with. `None`, the default, is a 426.
    ///
    /// A response to HEAD is sent without its content. OPTIONS is answered for the handler.
    fn on_http(&mut self, request: &Request<'_, '_>) -> Option<Response> {
        let _ = request;
        None
    }

    /// A request or a socket was refused, by whatever: the policies and limits of the [`Config`](crate::Config), the
    /// rules of HTTP and RFC 6455, a deadline, a shutdown, or the handler itself. The response is already made.
    ///
    /// The same is reported as an event of `tracing`, at the level INFO and with the target `ws_server::refusal`.
    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        let _ = refusal;
    }

    /// The connection is open: the first thing that can be sent.
    fn on_open(&mut self, session: &mut Self::Session, peer: &mut Peer<'_>) {
        let _ = (session, peer);
    }

    /// A message arrived.
    fn on_message(&mut self, session: &mut Self::Session, peer: &mut Peer<'_>, message: Message<'_>);

    /// A pong arrived, asked for with [`Peer::ping`] or not. The server's own pings are not told apart: they are empty.
    fn on_pong(&mut self, session: &mut Self::Session, peer: &mut Peer<'_>, payload: &[u8]) {
        let _ = (session, peer, payload);
    }

    /// A peer that lagged, with more than [`write_high_water`](crate::Flow::high_water_len) bytes queued, has
    /// caught up to [`write_low_water`](crate::Flow::low_water_len).
    fn on_drain(&mut self, session: &mut Self::Session, peer: &mut Peer<'_>) {
        let _ = (session, peer);
    }

    /// The memory that a session has allocated, in bytes, so that it counts toward
    /// [`memory_budget`](crate::Limits::memory_budget). Asked after the connection was served; 0 by default.
    fn session_len(&self, session: &Self::Session) -> usize {
        let _ = session;
        0
    }

    /// The connection is over, and nothing can be sent to it.
    fn on_close(&mut self, session: Self::Session, disconnect: &Disconnect<'_>) {
        let _ = (session, disconnect);
    }
}

/// A connection that is accepted, and with what.
#[derive(Clone, Debug)]
pub struct Accept<S> {
    pub(crate) session: S,
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl<S> Accept<S> {
    /// Accepts the connection, with nothing but its session.
    pub fn new(session: S) -> Self {
        Self { session, subprotocol: None, headers: Vec::new() }
    }

    /// With this subprotocol, which must be one that the client offered: `upgrade.select_subprotocol(&["chat"])`. If it
    /// was not, the connection is refused with 500 (RFC 6455 §4.2.2).
    #[must_use]
    pub fn with_subprotocol(mut self, subprotocol: Option<&str>) -> Self {
        self.subprotocol = subprotocol.map(str::to_owned);
        self
    }

    /// With one more header field in the response, such as a `Set-Cookie`.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

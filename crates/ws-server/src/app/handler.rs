//! The application, as the server sees it.

use crate::{Disconnect, Peer, PeerInfo, Refusal};
use std::any::Any;
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
    /// The state of one connection.
    type Session: 'static;

    /// Called when a client asks for a connection: accepts it, with its session, or refuses it with a response.
    ///
    /// By default every connection is accepted, with a session of `()`. A handler with other sessions does not compile
    /// without this method. The request has passed every check of RFC 6455 §4.2.1 and the policies of the [`Config`](crate::Config).
    ///
    /// # Errors
    ///
    /// The response that refuses it, such as `Response::text(401, "who are you?")`.
    fn on_request(
        &mut self,
        request: &Upgrade<'_, '_>,
        peer: &PeerInfo,
    ) -> Result<Accepted<Self::Session>, Response> {
        let _ = (request, peer);
        const {
            assert!(
                size_of::<Self::Session>() == 0,
                "implement on_request: only a session of () has a default"
            );
        }
        let unit: &mut dyn Any = &mut Some(());
        let session = unit.downcast_mut::<Option<Self::Session>>().and_then(Option::take);
        session.map(Accepted::new).ok_or_else(|| Response::text(500, "the handler makes no sessions\n"))
    }

    /// A GET or HEAD of a monitor, such as `/healthz`: the response, or `None`, the default, if the request is none of
    /// a monitor, and goes on to [`on_http`](Self::on_http).
    ///
    /// The request is answered whatever its `Host` is. A response to HEAD is sent without its content.
    fn on_probe(&mut self, request: &Request<'_, '_>, peer: &PeerInfo) -> Option<Response> {
        let _ = (request, peer);
        None
    }

    /// A GET or HEAD that asks for no WebSocket: the page to answer it with. `None`, the default, is a 426.
    ///
    /// A response to HEAD is sent without its content. OPTIONS is answered for the handler.
    fn on_http(&mut self, request: &Request<'_, '_>, peer: &PeerInfo) -> Option<Response> {
        let _ = (request, peer);
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
pub struct Accepted<S> {
    pub(crate) session: S,
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl<S> Accepted<S> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionId;
    use std::net::SocketAddr;
    use ws_handshake::{EMPTY_HEADER, Request};

    /// A session of no size that is not `()`.
    struct Token;

    struct Plain<S>(std::marker::PhantomData<S>);

    impl<S: 'static> Handler for Plain<S> {
        type Session = S;

        fn on_message(&mut self, _: &mut S, _: &mut Peer<'_>, _: Message<'_>) {}
    }

    fn accepts<S: 'static>() -> Result<(), u16> {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 8];
        let request = Request::parse(head, &mut headers).unwrap();
        let id = ConnectionId { worker: 0, generation: 0, slot: 0 };
        let peer = PeerInfo { id, addr: SocketAddr::from(([127, 0, 0, 1], 1)).into() };
        let mut handler = Plain::<S>(std::marker::PhantomData);
        let accepted = handler.on_request(&request.upgrade().unwrap(), &peer);
        accepted.map(drop).map_err(|response| response.status())
    }

    #[test]
    fn a_handler_without_sessions_accepts_everybody() {
        assert_eq!(accepts::<()>(), Ok(()));
        assert_eq!(accepts::<Token>(), Err(500));
    }
}

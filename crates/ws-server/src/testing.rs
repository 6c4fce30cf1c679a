//! Handlers without sockets: clients in memory, and a clock that a test moves.
//!
//! ```
//! use ws_server::{Handler, Message, Peer, testing};
//!
//! struct Shout;
//!
//! impl Handler for Shout {
//!     type Session = ();
//!
//!     fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
//!         peer.send(message.as_text().unwrap_or("?").to_uppercase());
//!     }
//! }
//!
//! let mut client = testing::connect(Shout, "/path");
//! client.send("hi");
//! assert_eq!(client.next(), Some(testing::Received::Text("HI".into())));
//! assert_eq!(client.next(), None);
//! ```
//!
//! Everything that follows from a call has happened when it returns: there is no other thread, and nothing to wait for.
//! Several clients of one handler come from a [`Server`].

use crate::{
    CloseCode, Config, ConnectionId, Connections, Handler, OriginPolicy, Readiness, Remote, Socket,
    worker::mailbox::Waiting,
};
use std::{
    cell::{Ref, RefCell, RefMut},
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use ws_endpoint::{ClientEndpoint, ClientEvent, ClientRequest, EndpointConfig, EndpointError};
use ws_protocol::{AsMessage, CloseFrame, Message, Output};

/// The key of every frame: nobody looks on.
const MASKING_KEY: fn() -> [u8; 4] = || [0x37, 0xfa, 0x21, 0x3d];

/// The most turns that are taken for one call: more mean that a handler goes on for ever.
const MAX_TURNS: usize = 100_000;

/// Connects a client to a server with this handler, at this path with its query.
///
/// # Panics
///
/// The handler refuses the request: see [`Server::connect`].
pub fn connect<H: Handler>(handler: H, target: &str) -> Client<H> {
    Server::new(handler).connect(target).unwrap_or_else(|refused| {
        panic!("the connection was refused with {}: {}", refused.status, refused.body.trim_end())
    })
}

/// A server with one worker, in memory.
pub struct Server<H: Handler>(Rc<RefCell<Inner<H>>>);

struct Inner<H: Handler> {
    connections: Connections<H, Pipe>,
    remote: Remote,
    now: Instant,
}

/// A client of a [`Server`].
pub struct Client<H: Handler> {
    server: Server<H>,
    id: ConnectionId,
    pipe: Rc<RefCell<Wire>>,
    endpoint: ClientEndpoint<fn() -> [u8; 4]>,
    out: Output,
    received: VecDeque<Received>,
}

/// A frame or a message that a client has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, which was answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The server's close frame, which was answered.
    Close(CloseCode, String),
}

/// The response of a server that refuses a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The head, as it was sent.
    pub head: String,
    /// The content.
    pub body: String,
}

impl<H: Handler> Server<H> {
    /// A server that serves every origin.
    pub fn new(handler: H) -> Self {
        let mut config = Config::default();
        config.access.origins = OriginPolicy::Any;
        Self::with_config(handler, config)
    }

    /// A server with these settings, and one worker.
    pub fn with_config(handler: H, config: Config) -> Self {
        let config = Config { workers: Some(1), ..config };
        let remote = Remote::detached(1, &config);
        let connections = Connections::with_remote(0, handler, config, remote.clone());
        Self(Rc::new(RefCell::new(Inner { connections, remote, now: Instant::now() })))
    }

    /// Connects a client at this path with its query.
    ///
    /// # Errors
    ///
    /// The response that refuses it.
    pub fn connect(&self, target: &str) -> Result<Client<H>, Refused> {
        self.connect_with(target, &[])
    }

    /// Connects a client whose request has these header fields, such as `("Cookie", "user=1")`.
    ///
    /// # Errors
    ///
    /// The response that refuses it.
    ///
    /// # Panics
    ///
    /// The path or a field is illegal, or the field is one that a client writes by itself, such as `Host`.
    pub fn connect_with(&self, target: &str, fields: &[(&str, &str)]) -> Result<Client<H>, Refused> {
        let mut request = legal(ClientRequest::new("localhost", target, *b"the sample nonce"));
        for (name, value) in fields {
            request = legal(match name.to_ascii_lowercase().as_str() {
                "origin" => request.with_origin(value),
                "sec-websocket-protocol" => {
                    request.with_subprotocols(&value.split(',').map(str::trim).collect::<Vec<_>>())
                }
                _ => request.with_header((*name).to_owned(), (*value).to_owned()),
            });
        }
        let mut out = Output::new();
        let endpoint = legal(ClientEndpoint::new(request, EndpointConfig::default(), MASKING_KEY, &mut out));
        let pipe = Rc::new(RefCell::new(Wire::default()));
        let id = {
            let Inner { connections, now, .. } = &mut *self.inner();
            let addr = SocketAddr::from(([127, 0, 0, 1], 50_000));
            let slot = connections.insert(Pipe(pipe.clone()), addr, *now);
            connections.id(slot)
        };
        let Some(id) = id else { panic!("a connection that was just inserted is there") };
        let server = Self(self.0.clone());
        let mut client = Client { server, id, pipe, endpoint, out, received: VecDeque::new() };
        match client.exchange() {
            Ok(()) => Ok(client),
            Err(_) => Err(Refused::read(client.endpoint.response(), &client.pipe.borrow().to_client)),
        }
    }

    /// The handler, to look at.
    pub fn handler(&self) -> Ref<'_, H> {
        Ref::map(self.0.borrow(), |inner| inner.connections.handler())
    }

    /// The way in, as other threads have it. Its commands are carried out by the next call of a client, or by
    /// [`advance`](Self::advance).
    pub fn remote(&self) -> Remote {
        self.0.borrow().remote.clone()
    }

    /// Lets time pass: deadlines that are due are met, such as the ping after silence.
    pub fn advance(&self, time: Duration) {
        let mut inner = self.inner();
        inner.now += time;
        let now = inner.now;
        inner.connections.sweep(now);
        inner.settle();
    }

    fn inner(&self) -> RefMut<'_, Inner<H>> {
        self.0.borrow_mut()
    }
}

impl<H: Handler> Inner<H> {
    /// Carries out everything that is to be done.
    fn settle(&mut self) {
        let Self { connections, remote, now } = self;
        for _ in 0..MAX_TURNS {
            let Some(mailbox) = remote.mailboxes().first() else { return };
            let Waiting { commands, .. } = mailbox.take(0);
            let is_idle = commands.is_empty() && !connections.has_unfinished();
            connections.carry_out(commands, *now);
            connections.empty_outbox(*now);
            connections.end_turn(*now);
            if is_idle {
                return;
            }
        }
    }
}

impl<H: Handler> Client<H> {
    /// Sends a message.
    ///
    /// # Panics
    ///
    /// The connection has ended, or is closing.
    pub fn send(&mut self, message: impl AsMessage) {
        let message = message.as_message();
        legal(self.sender(|sender, out| sender.send(message, out)));
        self.go_on();
    }

    /// Sends a ping.
    ///
    /// # Panics
    ///
    /// The payload has over 125 bytes, or the connection has ended.
    pub fn ping(&mut self, payload: &[u8]) {
        legal(self.sender(|sender, out| sender.ping(payload, out)));
        self.go_on();
    }

    /// Closes the connection with this code and reason.
    ///
    /// # Panics
    ///
    /// The code is not for the wire, the reason has over 123 bytes, or the connection has ended.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        legal(self.sender(|sender, out| sender.close(CloseFrame { code, reason }, out)));
        self.go_on();
    }

    /// Takes the next thing that was received; `None`: there is nothing more for now.
    #[expect(clippy::should_implement_trait, reason = "there may be more after `None`")]
    pub fn next(&mut self) -> Option<Received> {
        self.go_on();
        self.received.pop_front()
    }

    /// Ends the stream without a close frame, as a client that vanishes does.
    pub fn vanish(self) {
        self.pipe.borrow_mut().has_ended = true;
        self.turn();
    }

    /// The id of the connection, for a [`Remote`].
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The server, to connect further clients, or to let time pass.
    pub fn server(&self) -> Server<H> {
        Server(self.server.0.clone())
    }

    fn sender<T>(
        &mut self,
        act: impl FnOnce(&mut ws_protocol::Sender<ws_protocol::ClientRole<fn() -> [u8; 4]>>, &mut Output) -> T,
    ) -> T {
        let Some(sender) = self.endpoint.sender() else { panic!("the connection is not open") };
        act(sender, &mut self.out)
    }

    /// Exchanges all there is to be exchanged. (What the server does wrong is in what was received.)
    fn go_on(&mut self) {
        if let Err(error) = self.exchange() {
            panic!("the server breaks a rule: {error}");
        }
    }

    fn exchange(&mut self) -> Result<(), EndpointError> {
        loop {
            self.pipe.borrow_mut().to_server.extend(self.out.as_bytes());
            self.out.clear();
            self.turn();
            let mut bytes = std::mem::take(&mut self.pipe.borrow_mut().to_client);
            if bytes.is_empty() {
                return Ok(());
            }
            let Self { endpoint, out, received, .. } = self;
            endpoint.receive_all(&mut bytes, out, |event, _| {
                received.extend(match event {
                    ClientEvent::Message(Message::Text(text), _) => Some(Received::Text(text.to_owned())),
                    ClientEvent::Message(Message::Binary(bytes), _) => {
                        Some(Received::Binary(bytes.to_owned()))
                    }
                    ClientEvent::Ping(payload) => Some(Received::Ping(payload.to_owned())),
                    ClientEvent::Pong(payload) => Some(Received::Pong(payload.to_owned())),
                    ClientEvent::Close(frame) => Some(Received::Close(frame.code, frame.reason.to_owned())),
                    _ => None,
                });
            })?;
        }
    }

    /// Lets the server serve this client, and everybody else who is touched by that.
    fn turn(&self) {
        let read_closed = self.pipe.borrow().has_ended;
        let mut inner = self.server.inner();
        let now = inner.now;
        let readiness = Readiness { readable: true, writable: true, read_closed };
        let slot = self.id.slot as usize;
        // Once the connection is gone, the slot may be another's.
        if inner.connections.id(slot) == Some(self.id) {
            inner.connections.ready(slot, readiness, now);
        }
        inner.settle();
    }
}

impl Refused {
    fn read(head: &[u8], rest: &[u8]) -> Self {
        let all = String::from_utf8_lossy(&[head, rest].concat()).into_owned();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// A value that only a mistake in the test can make an error.
fn legal<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// Both ends of a socket in memory.
#[derive(Debug, Default)]
struct Wire {
    to_server: VecDeque<u8>,
    to_client: Vec<u8>,
    /// The client has ended its direction.
    has_ended: bool,
}

#[derive(Debug)]
struct Pipe(Rc<RefCell<Wire>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.to_server.is_empty() && !wire.has_ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.to_server.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().to_client.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Pipe {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

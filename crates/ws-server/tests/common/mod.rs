//! Scripted sockets and a fake clock around [`Connections`].
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test crates, each of which uses a part of it"
)]

pub mod steps;

use proptest::test_runner::{Config as Cases, RngSeed};
use std::{
    cell::RefCell,
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use steps::{Call, Fault, Steps};
use ws_server::{
    Accepted, Config, Connections, Disconnect, Handler, Message, OriginPolicy, Peer, PeerInfo, Readiness,
    Request, Response, SendStatus, Upgrade,
};

pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
pub const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What a read of a scripted socket gives next. With nothing left, it would block.
#[derive(Debug)]
pub enum Step {
    Bytes(Vec<u8>),
    End,
    Fail(ErrorKind),
}

/// Both ends of a scripted socket.
#[derive(Debug, Default)]
pub struct Wire {
    pub to_server: VecDeque<Step>,
    pub to_client: Vec<u8>,
    /// How many more bytes the socket takes before it would block; `None`: all.
    pub room: Option<usize>,
    /// What the next write fails with.
    pub write_error: Option<ErrorKind>,
    pub reads: usize,
    pub writes: usize,
    /// The server has ended its direction.
    pub ended: bool,
    /// The server has closed the socket.
    pub dropped: bool,
    /// What goes wrong in which call.
    pub steps: Rc<RefCell<Steps>>,
    /// The client sends nothing any more.
    pub silent: bool,
    /// The socket takes nothing any more.
    pub stuck: bool,
    /// The socket has failed, with this.
    pub failed: Option<ErrorKind>,
    /// The calls after it had failed.
    pub calls_after_failure: usize,
    /// The socket is ready again, and the server is to be told.
    pub is_ready_again: bool,
}

impl Wire {
    /// The server makes this call: how many bytes it is about, at most, or how it fails.
    fn step(&mut self, call: Call) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            self.calls_after_failure += 1;
            return Err(kind.into());
        }
        let fault = self.steps.borrow_mut().next(call);
        match fault {
            None | Some(Fault::PanicBefore | Fault::PanicAfter) => {}
            Some(Fault::Fail(kind)) => {
                self.failed = Some(kind);
                return Err(kind.into());
            }
            Some(Fault::TakeNothing) => {
                self.failed = Some(ErrorKind::WriteZero);
                return Ok(0);
            }
            Some(Fault::Interrupt) => return Err(ErrorKind::Interrupted.into()),
            Some(Fault::End) => {
                self.silent = true;
                self.to_server = [Step::End].into();
            }
            Some(Fault::Stall) if call == Call::Read => {
                self.silent = true;
                self.to_server.clear();
            }
            Some(Fault::Stall) => {
                self.stuck = true;
                self.room = Some(0);
            }
            Some(Fault::Block) => {
                self.is_ready_again = true;
                return Err(ErrorKind::WouldBlock.into());
            }
            Some(Fault::OneByte) => {
                self.is_ready_again = true;
                return Ok(1);
            }
        }
        Ok(usize::MAX)
    }
}

#[derive(Debug)]
pub struct Socket(Rc<RefCell<Wire>>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        wire.reads += 1;
        let max_len = wire.step(Call::Read)?;
        match wire.to_server.pop_front() {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(Step::End) => {
                wire.to_server.push_front(Step::End);
                Ok(0)
            }
            Some(Step::Fail(kind)) => Err(kind.into()),
            Some(Step::Bytes(mut bytes)) => {
                let len = bytes.len().min(buffer.len()).min(max_len);
                buffer[..len].copy_from_slice(&bytes[..len]);
                if len < bytes.len() {
                    wire.to_server.push_front(Step::Bytes(bytes.split_off(len)));
                }
                Ok(len)
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        wire.writes += 1;
        assert!(!wire.ended, "nothing is written after the end");
        if let Some(kind) = wire.write_error {
            return Err(kind.into());
        }
        let max_len = wire.step(Call::Write)?;
        if max_len == 0 {
            return Ok(0);
        }
        let len = wire.room.map_or(bytes.len(), |room| room.min(bytes.len())).min(max_len);
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.room = wire.room.map(|room| room - len);
        wire.to_client.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.write(&bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ws_server::Socket for Socket {
    fn shutdown_write(&mut self) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        wire.step(Call::ShutdownWrite)?;
        wire.ended = true;
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
    }
}

/// The client's end of a scripted socket, and the slot that the server has it in.
#[derive(Clone, Debug)]
pub struct Client {
    pub wire: Rc<RefCell<Wire>>,
    pub slot: usize,
}

impl Client {
    /// Takes what the server has written since the last call.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.wire.borrow_mut().to_client)
    }

    /// The same, as text.
    pub fn take_text(&self) -> String {
        String::from_utf8(self.take()).unwrap()
    }

    pub fn is_dropped(&self) -> bool {
        self.wire.borrow().dropped
    }

    pub fn is_ended(&self) -> bool {
        self.wire.borrow().ended
    }

    /// What the server has not read yet.
    pub fn unread_len(&self) -> usize {
        let wire = self.wire.borrow();
        wire.to_server.iter().map(|step| if let Step::Bytes(bytes) = step { bytes.len() } else { 0 }).sum()
    }
}

/// A worker without threads, sockets or time.
pub struct World<H: Handler> {
    pub connections: Connections<H, Socket>,
    pub now: Instant,
}

impl<H: Handler> World<H> {
    pub fn new(handler: H, config: Config) -> Self {
        Self { connections: Connections::new(0, handler, config), now: Instant::now() }
    }

    /// A client that has connected and sent nothing.
    pub fn connect(&mut self) -> Client {
        self.connect_from(client_addr())
    }

    /// The same, from this address.
    pub fn connect_from(&mut self, addr: SocketAddr) -> Client {
        let wire = Rc::<RefCell<Wire>>::default();
        let slot = self.connections.insert(Socket(wire.clone()), addr, self.now);
        Client { wire, slot }
    }

    /// A client whose handshake is done, and whose 101 is taken.
    pub fn open(&mut self) -> Client {
        let client = self.connect();
        self.send(&client, REQUEST.as_bytes());
        let response = client.take_text();
        assert!(response.starts_with(RESPONSE), "{response}");
        client
    }

    /// The client sends these bytes, in one segment.
    pub fn send(&mut self, client: &Client, bytes: &[u8]) {
        client.wire.borrow_mut().to_server.push_back(Step::Bytes(bytes.to_vec()));
        self.wake(client, Readiness { readable: true, writable: true, read_closed: false });
    }

    /// The client ends its direction of the stream.
    pub fn end(&mut self, client: &Client) {
        client.wire.borrow_mut().to_server.push_back(Step::End);
        self.wake(client, Readiness { readable: true, writable: true, read_closed: true });
    }

    /// The next read of the socket fails.
    pub fn reset(&mut self, client: &Client) {
        client.wire.borrow_mut().to_server.push_back(Step::Fail(ErrorKind::ConnectionReset));
        self.wake(client, Readiness { readable: true, writable: true, read_closed: true });
    }

    /// The client reads so much of what is on its way; `None`: all there will ever be.
    pub fn make_room(&mut self, client: &Client, room: Option<usize>) {
        client.wire.borrow_mut().room = room;
        self.wake(client, Readiness { readable: false, writable: true, read_closed: false });
    }

    pub fn wake(&mut self, client: &Client, readiness: Readiness) {
        self.connections.ready(client.slot, readiness, self.now);
        self.finish_turns();
    }

    /// Ends the turn, and has those that follow at once.
    pub fn finish_turns(&mut self) {
        self.connections.end_turn(self.now);
        while self.connections.has_unfinished() {
            self.connections.end_turn(self.now);
        }
    }

    /// Time passes, and deadlines are looked at.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.connections.sweep(self.now);
        self.finish_turns();
    }
}

pub fn client_addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 40_000))
}

/// The defaults, for requests that come from no browser.
pub fn config() -> Config {
    let mut config = Config::default();
    config.access.origins = OriginPolicy::SameOrigin;
    config.workers = Some(1);
    config.deadlines.drain_window = Duration::ZERO;
    config
}

/// So many random cases, from a seed that a test shows when it fails, and that repeats them.
pub fn random(cases: u32) -> Cases {
    let mut config = Cases::with_cases(cases);
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(cases));
    }
    println!("PROPTEST_RNG_SEED={} repeats these cases", config.rng_seed);
    // The seed is all that it takes.
    config.failure_persistence = None;
    config
}

/// A masked frame of a client's (RFC 6455 §5.2), with the key 0, so that the payload can be read.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

pub fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

pub fn close(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// Takes the payloads of the server's unmasked frames that begin with `first`; any other is a failure.
pub fn payloads(bytes: &[u8], first: u8) -> Vec<Vec<u8>> {
    let (frames, cut) = frames(bytes);
    assert!(cut.is_empty() && frames.iter().all(|frame| frame.0 == first));
    frames.into_iter().map(|(_, payload)| payload).collect()
}

/// Takes the server's unmasked frames apart, into their first byte and their payload, and gives what is left of one
/// that is cut off.
pub fn frames(mut bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, &[u8]) {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (extended_len, len) = match (len, rest) {
            (126, [a, b, ..]) => (2, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                (8, usize::try_from(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])).unwrap())
            }
            (126.., _) => break,
            (len, _) => (0, usize::from(*len)),
        };
        let Some(payload) = rest.get(extended_len..extended_len + len) else { break };
        frames.push((*first, payload.to_vec()));
        bytes = &rest[extended_len + len..];
    }
    (frames, bytes)
}

/// Echoes, writes down every call that is made, and does what certain messages ask for.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    calls: Rc<RefCell<Vec<String>>>,
}

impl Recorder {
    /// Takes the calls since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.borrow_mut())
    }

    fn record(&self, call: impl Into<String>) {
        self.calls.borrow_mut().push(call.into());
    }
}

impl Handler for Recorder {
    type Session = String;

    fn on_request(&mut self, upgrade: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<String>, Response> {
        let path = upgrade.request().path();
        match path {
            "/refused" => Err(Response::text(401, "who are you?\n")),
            "/panic" => panic!("asked for"),
            "/bad" => Ok(Accepted::new(path.to_owned()).with_subprotocol(Some("never offered"))),
            _ => Ok(Accepted::new(path.to_owned())
                .with_subprotocol(upgrade.select_subprotocol(&["best", "good"]))
                .with_header("X-Served-By", "test")),
        }
        .map(|accept| if path == "/chat" { Accepted::new(path.to_owned()) } else { accept })
    }

    fn on_http(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        assert!(request.path() != "/page-panic", "asked for");
        (request.path() == "/page").then(|| Response::html(200, "<p>page</p>"))
    }

    fn on_probe(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        (request.path() == "/healthz").then(|| Response::text(200, "ok\n"))
    }

    fn on_open(&mut self, session: &mut String, peer: &mut Peer<'_>) {
        self.record(format!("open {session}"));
        if session == "/welcome" {
            peer.send("welcome");
        }
    }

    fn on_message(&mut self, _: &mut String, peer: &mut Peer<'_>, message: Message<'_>) {
        match message {
            Message::Text("panic") => panic!("asked for"),
            Message::Text("close") => {
                peer.close(ws_server::CloseCode::new(4000), "asked for");
            }
            Message::Text("ping") => {
                peer.ping(b"ours");
            }
            Message::Text("100 KB") => {
                if peer.send(&[7; 100_000][..]) == SendStatus::Lagging {
                    self.record("lagging");
                }
            }
            message => {
                peer.send(message);
            }
        }
    }

    fn on_pong(&mut self, _: &mut String, _: &mut Peer<'_>, payload: &[u8]) {
        self.record(format!("pong {}", String::from_utf8_lossy(payload)));
    }

    fn on_drain(&mut self, _: &mut String, _: &mut Peer<'_>) {
        self.record("drain");
    }

    fn on_close(&mut self, session: String, disconnect: &Disconnect<'_>) {
        let Disconnect { code, reason, error, unsent_len, .. } = disconnect;
        let error = error.map_or("ok".to_owned(), ToString::to_string);
        let unsent = if *unsent_len > 0 { format!(", {unsent_len} bytes unsent") } else { String::new() };
        self.record(format!("close {session} {code} {reason:?} {error}{unsent}"));
        assert!(session != "/panic-on-close", "asked for");
    }
}

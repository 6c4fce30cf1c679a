//! A client at the other end of such a socket, which sees to it that what the server writes is right.

use super::super::{
    connection::{self, Happening},
    frames,
    script::Script,
};
use super::{
    Echo, NEWS,
    socket::{Fault, Socket, Wire},
};
use std::{
    cell::{Ref, RefCell},
    collections::VecDeque,
    fmt, mem,
    net::SocketAddr,
    rc::Rc,
    time::Instant,
};
use ws_endpoint::DeflateOffer;
use ws_frame::{FrameHeader, Opcode};
use ws_handshake::{ClientRequest, EMPTY_HEADER, HeadScanner, ResponseHead};
use ws_protocol::{CloseCode, CloseFrame, Message, MessageLimits, Output, Protocol};
use ws_server::{Connections, Readiness};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const NONCE: [u8; 16] = *b"the sample nonce";

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Upgrade,
    UpgradeWithDeflate,
    UpgradeWithTakeover,
    Page,
}

type Key = fn() -> [u8; 4];

pub(super) struct Client {
    wire: Rc<RefCell<Wire>>,
    slot: usize,
    asked: Request,
    /// What it has sent, and has not left for the server yet.
    leaving: Vec<u8>,
    /// What has come of the response.
    head: Vec<u8>,
    protocol: Protocol<ws_protocol::ClientRole<Key>>,
    out: Output,
    state: State,
    /// The messages that have to come back.
    owed: VecDeque<Happening>,
    /// Something has happened that lets a server give up the connection.
    to_blame: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing or a part of the response has come.
    Asking,
    Open,
    /// Refused, or closed by the server.
    Over,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("slot", &self.slot).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn connect(connections: &mut Connections<Echo, Socket>, now: Instant) -> Self {
        let wire = Rc::<RefCell<Wire>>::default();
        let slot = connections.insert(Socket(wire.clone()), SocketAddr::from(([127, 0, 0, 1], 40_000)), now);
        Self {
            wire,
            slot,
            asked: Request::Page,
            leaving: Vec::new(),
            head: Vec::new(),
            protocol: protocol(),
            out: Output::new(),
            state: State::Asking,
            owed: VecDeque::new(),
            to_blame: false,
        }
    }

    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.wire().dropped
    }

    pub(super) fn has_ended(&self) -> bool {
        self.wire().ended_by_client || self.wire().reset
    }

    /// Whether everything that it has sent has come back.
    pub(super) fn has_all(&self) -> bool {
        self.owed.is_empty()
    }

    /// Whether it has given the server no reason to end the connection.
    pub(super) fn is_blameless(&self) -> bool {
        !self.to_blame && self.asked != Request::Page
    }

    pub(super) fn ask(&mut self, request: Request) {
        self.asked = request;
        if request == Request::Page {
            self.leaving.extend_from_slice(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
            return;
        }
        let offer = self.deflate().offer();
        self.request(&offer).encode(&mut self.leaving);
    }

    /// What it offers, if it offers compression.
    fn deflate(&self) -> DeflateOffer {
        let takeover = self.asked == Request::UpgradeWithTakeover;
        let (server_context_takeover, client_context_takeover) = (takeover, takeover);
        DeflateOffer { server_context_takeover, client_context_takeover, ..DeflateOffer::default() }
    }

    fn request(&self, offer: &str) -> ClientRequest {
        let request = ClientRequest::new("example.com", "/", NONCE).expect("a legal request");
        match self.asked {
            Request::UpgradeWithDeflate | Request::UpgradeWithTakeover => {
                request.with_extensions(offer).expect("a legal offer")
            }
            _ => request,
        }
    }

    /// Sends a message, whole or in fragments with a ping between them, once it may.
    pub(super) fn send(&mut self, script: &mut Script<'_>) {
        let flags = script.byte();
        let len = script.choose(&[5, 0, 126, 300, 5_000, 66_000]);
        if flags & 0x0f == 0x0f {
            self.to_blame = true;
            self.send_text("close");
        } else if flags & 1 == 0 {
            self.send_text(&["hello ", "größer "][usize::from(flags >> 1 & 1)].repeat(len / 6));
        } else {
            let bytes: Vec<u8> =
                (0..len).map(|i| (i * usize::from(flags | 1) % 251).to_le_bytes()[0]).collect();
            let (first, second) = bytes.split_at(len / 2);
            self.transmit(|sender, out| {
                sender.send_fragment(Message::Binary(first), false, out)?;
                sender.ping(b"between", out)?;
                sender.send_fragment(Message::Binary(second), true, out)
            });
            self.owe(Happening::Binary(bytes));
        }
    }

    pub(super) fn send_text(&mut self, text: &str) {
        self.transmit(|sender, out| sender.send(Message::Text(text), out));
        self.owe(Happening::Text(text.to_owned()));
    }

    fn owe(&mut self, message: Happening) {
        if self.state == State::Open && !self.to_blame {
            self.owed.push_back(message);
        }
    }

    fn transmit(
        &mut self,
        send: impl FnOnce(
            &mut ws_protocol::Sender<ws_protocol::ClientRole<Key>>,
            &mut Output,
        ) -> Result<(), ws_protocol::SendError>,
    ) {
        if self.state == State::Open {
            // Fails once it has sent or answered a close frame, and is to blame or over then.
            let _ = send(self.protocol.sender(), &mut self.out);
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.leaving.extend_from_slice(self.out.as_bytes());
        self.out.clear();
    }

    pub(super) fn send_garbage(&mut self, bytes: &[u8]) {
        self.to_blame = true;
        self.leaving.extend_from_slice(bytes);
    }

    /// Sends bytes as a compressed message, whatever they inflate to.
    pub(super) fn send_as_compressed(&mut self, script: &mut Script<'_>) {
        self.to_blame = true;
        let opcode = script.choose(&[Opcode::Text, Opcode::Binary]);
        let payload_len = usize::from(script.byte());
        let payload = script.take(payload_len);
        let header = FrameHeader::new(opcode, payload.len() as u64).expect("a short payload");
        self.leaving.extend(frames::encode(header.with_rsv1(), payload, Some(KEY)));
    }

    pub(super) fn close(&mut self) {
        self.to_blame = true;
        let frame = CloseFrame { code: CloseCode::GOING_AWAY, reason: "" };
        self.transmit(|sender, out| sender.close(frame, out));
    }

    /// Ends its direction, at once: what has not left never will.
    pub(super) fn end(&mut self) {
        self.to_blame = true;
        self.leaving.clear();
        let mut wire = self.wire.borrow_mut();
        (wire.ended_by_client, wire.becomes_readable) = (true, true);
    }

    pub(super) fn reset(&mut self) {
        self.to_blame = true;
        self.wire.borrow_mut().reset();
    }

    pub(super) fn set_room(&mut self, room: Option<usize>) {
        self.wire.borrow_mut().make_room(room);
    }

    pub(super) fn add_faults(&mut self, script: &mut Script<'_>) {
        for _ in 0..1 + script.byte() % 8 {
            let fault = match script.byte() {
                0..=99 => Fault::None,
                byte @ 100..=149 => Fault::Short(usize::from(byte - 99)),
                150..=199 => Fault::Block,
                200..=239 => Fault::Interrupt,
                240.. => {
                    self.to_blame = true;
                    Fault::Reset
                }
            };
            self.wire.borrow_mut().faults.push_back(fault);
        }
    }

    pub(super) fn be_faultless(&mut self) {
        let mut wire = self.wire.borrow_mut();
        wire.faults.clear();
        wire.make_room(None);
    }

    /// The connection may be closed from now on: a deadline has passed, or the application wants it so.
    pub(super) fn expect_close(&mut self) {
        self.to_blame = true;
    }

    /// The application sends something: one that lags may lag too far behind.
    pub(super) fn expect_command(&mut self) {
        let lags = self.wire().room.is_some() || !self.wire().faults.is_empty();
        self.to_blame |= lags;
    }

    /// The next bytes that it has sent come to the server's socket.
    pub(super) fn deliver(&mut self, max_len: usize) {
        let mut wire = self.wire.borrow_mut();
        let len = max_len.min(self.leaving.len());
        if !wire.ended_by_client && len > 0 {
            wire.to_server.extend(self.leaving.drain(..len));
            wire.becomes_readable = true;
        }
    }

    /// The system wakes the server without a reason.
    pub(super) fn wake_for_nothing(&mut self) {
        let mut wire = self.wire.borrow_mut();
        (wire.becomes_readable, wire.becomes_writable) = (true, true);
    }

    /// What the socket has become ready for since the last time; `None` for nothing, and once it is gone.
    pub(super) fn take_readiness(&self) -> Option<Readiness> {
        let mut wire = self.wire.borrow_mut();
        let readable = mem::take(&mut wire.becomes_readable);
        let writable = mem::take(&mut wire.becomes_writable);
        let read_closed = wire.ended_by_client || wire.reset;
        (!wire.dropped && (readable || writable)).then_some(Readiness { readable, writable, read_closed })
    }

    /// Looks at what the server has written.
    pub(super) fn look(&mut self) {
        let bytes = mem::take(&mut self.wire.borrow_mut().to_client);
        if self.state != State::Asking {
            return self.receive(&bytes);
        }
        self.head.extend(bytes);
        let end = HeadScanner::new().scan(&self.head, usize::MAX).expect("a legal head");
        if let Some(head_len) = end {
            let frames = self.head.split_off(head_len);
            self.take_response();
            self.receive(&frames);
        }
    }

    fn take_response(&mut self) {
        let mut headers = [EMPTY_HEADER; 16];
        let response = ResponseHead::parse(&self.head, &mut headers).expect("a right response");
        if response.status() != 101 {
            assert!(self.to_blame || self.asked == Request::Page, "{} for nothing", response.status());
            self.state = State::Over;
            return;
        }
        assert!(self.asked != Request::Page, "no page is an upgrade");
        let offer = self.deflate().offer();
        let established = response.check(&self.request(&offer)).expect("a right upgrade");
        if let Some(params) = self.deflate().check(&established).expect("a right agreement") {
            self.protocol = protocol().with_deflate(&params.as_client());
        }
        self.state = State::Open;
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.state == State::Over {
            return; // the body of a response, or nothing
        }
        let Self { protocol, out, owed, state, to_blame, .. } = self;
        connection::feed(protocol, bytes, out, |happening, _, _| match happening {
            Happening::Text(text) if text.starts_with(NEWS) => {}
            Happening::Text(_) | Happening::Binary(_) => match owed.pop_front() {
                Some(expected) => assert_eq!(happening, expected, "once and in order"),
                None => assert!(*to_blame, "{happening:?} was never sent"),
            },
            Happening::Ping(payload) => assert!(payload.len() <= 125),
            Happening::Pong(payload) => assert!(payload == b"between" || *to_blame, "{payload:?}"),
            Happening::Close(..) => *state = State::Over,
            Happening::Failure(error) => panic!("the server breaks a rule: {error}"),
        });
        // What answers the server leaves as anything else does.
        self.leave();
    }

    fn wire(&self) -> Ref<'_, Wire> {
        self.wire.borrow()
    }
}

fn protocol() -> Protocol<ws_protocol::ClientRole<Key>> {
    let key: Key = || KEY;
    Protocol::client(MessageLimits::default(), key)
}

//! One way to state what a connection does: frames in, events and frames out, in both roles and wherever it is cut.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test crates, each of which uses a part of it"
)]

#[cfg(feature = "deflate")]
pub mod compressed;
pub mod conversation;

use std::fmt::Write as _;
use ws_protocol::{CloseFrame, Event, Input, Message, MessageLimits, Output, Protocol, ProtocolError, Role};

use ws_frame::{FrameHeader, Masker, Opcode};

pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

/// Bytes written as spaced hex.
pub fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
}

/// A frame as the peer of `side` sends it: masked if that side is the server. The frame may break rules.
pub fn from_peer_of(side: Side, frame: &[u8]) -> Vec<u8> {
    if side == Side::Client {
        return frame.to_vec();
    }
    let header_len = match frame[1] & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let (header, payload) = frame.split_at(header_len);
    let mut masked = [header, &KEY, payload].concat();
    masked[1] |= 0x80;
    Masker::new(KEY).apply(&mut masked[header_len + 4..]);
    masked
}

/// What a connection makes of its input: its events and errors, then what it sent, each in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub events: Vec<String>,
    pub sent: Vec<String>,
}

/// What a connection is set up with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    pub limits: MessageLimits,
    #[cfg(feature = "deflate")]
    pub deflate: Option<ws_protocol::DeflateConfig>,
}

impl From<MessageLimits> for Setup {
    fn from(limits: MessageLimits) -> Self {
        Self {
            limits,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

impl Setup {
    fn apply<R: Role>(self, protocol: Protocol<R>) -> Protocol<R> {
        #[cfg(feature = "deflate")]
        if let Some(config) = self.deflate {
            return protocol.with_deflate(&config);
        }
        protocol
    }
}

/// Feeds the pieces to a connection that echoes its messages if `echo`.
pub fn run(side: Side, setup: impl Into<Setup>, pieces: &[&[u8]], echo: bool) -> Outcome {
    let mut events = Vec::new();
    let out = feed(side, setup.into(), pieces, echo, |event| {
        events.push(match event {
            Ok(event) => in_words(event),
            Err(error) => format!("error: {error}"),
        });
    });
    Outcome { events, sent: frames_in_words(out.as_bytes()) }
}

/// What a connection that echoes its messages has sent when these pieces have arrived: frames, as they are before they
/// are masked.
pub fn echo(side: Side, setup: impl Into<Setup>, pieces: &[&[u8]]) -> Vec<Frame> {
    frames(feed(side, setup.into(), pieces, true, |_| {}).as_bytes())
}

fn feed(
    side: Side,
    setup: Setup,
    pieces: &[&[u8]],
    echo: bool,
    watch: impl FnMut(Result<Event<'_>, ProtocolError>),
) -> Output {
    match side {
        Side::Server => drive(setup.apply(Protocol::server(setup.limits)), pieces, echo, watch),
        Side::Client => drive(setup.apply(Protocol::client(setup.limits, || KEY)), pieces, echo, watch),
    }
}

fn drive<R: Role>(
    mut protocol: Protocol<R>,
    pieces: &[&[u8]],
    echo: bool,
    mut watch: impl FnMut(Result<Event<'_>, ProtocolError>),
) -> Output {
    let mut out = Output::new();
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            match protocol.receive(&mut input, &mut out) {
                Ok(Some((event, sender))) => {
                    watch(Ok(event));
                    if let (Event::Message(message), true) = (event, echo) {
                        sender.send(message, &mut out).unwrap();
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    watch(Err(error));
                    let next = protocol.receive(&mut input, &mut out);
                    assert!(matches!(next, Ok(None)), "nothing comes after {error}");
                    break;
                }
            }
        }
        assert_eq!(input.remaining(), b"", "input is always used up");
    }
    out
}

fn in_words(event: Event<'_>) -> String {
    match event {
        Event::Message(Message::Text(text)) => format!("text {text}"),
        Event::Message(Message::Binary(bytes)) => format!("binary {bytes:02x?}"),
        Event::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
        Event::Pong(payload) => format!("pong {}", String::from_utf8_lossy(payload)),
        Event::Close(CloseFrame { code, reason }) => format!("close {code} {reason}"),
        _ => unreachable!("a kind of event that these tests do not know"),
    }
}

/// A frame that a side sent: its header, and its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub header: FrameHeader,
    pub payload: Vec<u8>,
}

/// The frames that a side sent. Each is whole, and legal.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((header, header_len)) = FrameHeader::decode(bytes).expect("what is sent is legal") {
        let (frame, rest) = bytes.split_at(header_len + usize::try_from(header.payload_len()).unwrap());
        let mut payload = frame[header_len..].to_vec();
        if let Some(key) = header.masking_key() {
            Masker::new(key).apply(&mut payload);
        }
        frames.push(Frame { header, payload });
        bytes = rest;
    }
    assert_eq!(bytes, b"", "what is sent are whole frames");
    frames
}

/// The frames that a side sent, in words. The reason of a close is left out: it is for people.
pub fn frames_in_words(bytes: &[u8]) -> Vec<String> {
    frames(bytes).iter().map(frame_in_words).collect()
}

fn frame_in_words(Frame { header, payload }: &Frame) -> String {
    let mut words = format!("{:?}", header.opcode()).to_lowercase();
    if !header.is_final() {
        words += " unfinished";
    }
    if header.rsv1() {
        words += " compressed";
    }
    match header.opcode() {
        Opcode::Close => {
            let frame = CloseFrame::decode(payload).expect("what is sent is legal");
            write!(words, " {}", frame.code).unwrap();
        }
        Opcode::Binary => write!(words, " {payload:02x?}").unwrap(),
        _ => write!(words, " {}", String::from_utf8_lossy(payload)).unwrap(),
    }
    words
}

/// A row of a table: its name, the peer's frames unmasked and in hex, the events, the frames sent.
pub type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

/// The row holds in both roles, in one piece, byte by byte and cut in two anywhere.
pub fn check(setup: impl Into<Setup>, (name, frames, events, sent): Row<'_>) {
    let setup = setup.into();
    let expect = Outcome {
        events: events.iter().map(ToString::to_string).collect(),
        sent: sent.iter().map(ToString::to_string).collect(),
    };
    for side in [Side::Server, Side::Client] {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| from_peer_of(side, &hex(frame))).collect();
        check_cuts(&format!("{name}, {side:?}"), side, setup, &bytes, &expect);
    }
}

/// These bytes have this outcome, in one piece, byte by byte and cut in two anywhere.
pub fn check_cuts(name: &str, side: Side, setup: impl Into<Setup>, bytes: &[u8], expect: &Outcome) {
    let setup = setup.into();
    assert_eq!(run(side, setup, &[bytes], false), *expect, "{name}");
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(side, setup, &pieces, false), *expect, "{name}, byte by byte");
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(run(side, setup, &[first, second], false), *expect, "{name}, cut at {cut}");
    }
}

//! An independent implementation as the other side: tungstenite, in both roles.

mod common;

use common::KEY;
use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Read, Write},
    rc::Rc,
};
use tungstenite::protocol::{self as theirs, WebSocket, frame::coding::CloseCode as TheirCode};
use ws_protocol::{CloseCode, CloseFrame, Event, Input, Message, MessageLimits, Output, Protocol, Role};

/// A socket in memory: what one side writes, the other reads, `CHUNK` bytes at a time.
#[derive(Clone, Default)]
struct Pipe {
    to_them: Rc<RefCell<VecDeque<u8>>>,
    to_us: Rc<RefCell<VecDeque<u8>>>,
}

const CHUNK: usize = 1_000;

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.to_them.borrow_mut();
        if bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = buffer.len().min(CHUNK);
        bytes.read(&mut buffer[..len])
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to_us.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Receives all that they sent, echoes messages, and says what came.
fn receive<R: Role>(protocol: &mut Protocol<R>, pipe: &Pipe) -> Vec<String> {
    let mut bytes: Vec<u8> = pipe.to_us.borrow_mut().drain(..).collect();
    let (mut events, mut out) = (Vec::new(), Output::new());
    for piece in bytes.chunks_mut(CHUNK) {
        let mut input = Input::new(piece);
        while let Some((event, sender)) = protocol.receive(&mut input, &mut out).unwrap() {
            events.push(match event {
                Event::Message(message) => {
                    sender.send(message, &mut out).unwrap();
                    format!("message of {}", message.as_bytes().len())
                }
                Event::Close(CloseFrame { code, reason }) => format!("close {code} {reason}"),
                event => format!("{event:?}"),
            });
        }
    }
    pipe.to_them.borrow_mut().extend(out.as_bytes());
    events
}

fn round_trip<R: Role>(mut ours: Protocol<R>, their_role: theirs::Role) {
    let pipe = Pipe::default();
    let mut peer = WebSocket::from_raw_socket(pipe.clone(), their_role, None);

    // Theirs to ours, and the echo back.
    for len in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
        let text = "é".repeat(len / 2);
        let binary: Vec<u8> = (0..=250).cycle().take(len).collect();
        for message in [tungstenite::Message::text(text), tungstenite::Message::binary(binary)] {
            peer.send(message.clone()).unwrap();
            assert_eq!(receive(&mut ours, &pipe), [format!("message of {}", message.len())]);
            assert_eq!(peer.read().unwrap(), message);
        }
    }
    peer.send(tungstenite::Message::Ping("are you there".into())).unwrap();
    assert_eq!(receive(&mut ours, &pipe), [format!("{:?}", Event::Ping(b"are you there"))]);
    assert_eq!(peer.read().unwrap(), tungstenite::Message::Pong("are you there".into()));

    // Ours to theirs: fragments with a ping between them.
    let mut out = Output::new();
    ours.sender().send_fragment(Message::Text("in "), false, &mut out).unwrap();
    ours.sender().ping(b"p", &mut out).unwrap();
    ours.sender().send_fragment(Message::Text("pieces"), true, &mut out).unwrap();
    pipe.to_them.borrow_mut().extend(out.as_bytes());
    assert_eq!(peer.read().unwrap(), tungstenite::Message::Ping("p".into()));
    assert_eq!(peer.read().unwrap(), tungstenite::Message::text("in pieces"));
    peer.flush().unwrap();
    assert_eq!(receive(&mut ours, &pipe), [format!("{:?}", Event::Pong(b"p"))]);

    // The closing handshake, begun by us.
    out.clear();
    ours.sender().close(CloseFrame { code: CloseCode::new(4001), reason: "done" }, &mut out).unwrap();
    pipe.to_them.borrow_mut().extend(out.as_bytes());
    let close = theirs::CloseFrame { code: TheirCode::Library(4001), reason: "done".into() };
    assert_eq!(peer.read().unwrap(), tungstenite::Message::Close(Some(close)));
    let _ = peer.flush();
    assert!(receive(&mut ours, &pipe)[0].starts_with("close 4001"));
    assert!(ours.is_finished());
}

/// The closing handshake, begun by them.
fn their_close<R: Role>(mut ours: Protocol<R>, their_role: theirs::Role) {
    let pipe = Pipe::default();
    let mut peer = WebSocket::from_raw_socket(pipe.clone(), their_role, None);
    let close = theirs::CloseFrame { code: TheirCode::Away, reason: "bye".into() };
    peer.close(Some(close)).unwrap();
    assert_eq!(receive(&mut ours, &pipe), ["close 1001 bye"]);
    assert!(
        matches!(peer.read().unwrap(), tungstenite::Message::Close(Some(frame)) if frame.code == TheirCode::Away)
    );
    assert!(ours.is_finished());
}

#[test]
fn their_client_and_our_server() {
    round_trip(Protocol::server(MessageLimits::default()), theirs::Role::Client);
    their_close(Protocol::server(MessageLimits::default()), theirs::Role::Client);
}

#[test]
fn their_server_and_our_client() {
    round_trip(Protocol::client(MessageLimits::default(), || KEY), theirs::Role::Server);
    their_close(Protocol::client(MessageLimits::default(), || KEY), theirs::Role::Server);
}

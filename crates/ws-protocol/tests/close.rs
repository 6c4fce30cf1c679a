//! RFC 6455 §5.5.1 and §7: the closing handshake. Each row holds in both roles and wherever its bytes are cut.

mod common;

use common::{KEY, Row, Side, check, frames, frames_in_words, from_peer_of, hex};
use ws_protocol::{
    CloseCode, CloseFrame, Event, Input, Message, MessageLimits, Output, Protocol, Role, SendError,
};

fn check_all(rows: &[Row<'_>]) {
    for row in rows {
        check(MessageLimits::default(), *row);
    }
}

#[test]
fn a_close_is_answered_with_its_code() {
    check_all(&[
        ("§5.5.1 no payload", &["88 00"], &["close 1005 "], &["close 1005"]),
        ("§5.5.1 a code", &["88 02 03 e8"], &["close 1000 "], &["close 1000"]),
        ("§5.5.1 a code and a reason", &["88 05 03 e9 62 79 65"], &["close 1001 bye"], &["close 1001"]),
        (
            "§5.4 a close between fragments: the message is given up",
            &["01 01 61", "88 02 03 e8", "80 01 62"],
            &["close 1000 "],
            &["close 1000"],
        ),
        (
            "§5.5.1 nothing after a close is read",
            &["88 02 03 e8", "81 01 61", "89 01 62", "88 00", "83 00"],
            &["close 1000 "],
            &["close 1000"],
        ),
    ]);
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999_u16]
    {
        let frame = format!("88 02 {:02x} {:02x}", code >> 8, code & 0xff);
        let row = (format!("§7.4 {code}"), [&*frame], [format!("close {code} ")], [format!("close {code}")]);
        check(MessageLimits::default(), (&row.0, &row.1, &[&row.2[0]], &[&row.3[0]]));
    }
}

#[test]
fn a_close_is_answered_with_its_reason() {
    fn check<R: Role>(side: Side, protocol: impl Fn() -> Protocol<R>) {
        for (code, reason) in [(1000, ""), (1001, "bye"), (4999, "größer"), (3000, &*"r".repeat(123))] {
            let close = CloseFrame { code: CloseCode::new(code), reason };
            let payload = close.encode().unwrap();
            let len = u8::try_from(payload.as_ref().len()).unwrap();
            let bytes = from_peer_of(side, &[&[0x88, len], payload.as_ref()].concat());
            for piece_len in [1, bytes.len()] {
                let (mut protocol, mut out) = (protocol(), Output::new());
                for piece in bytes.chunks(piece_len) {
                    let mut piece = piece.to_vec();
                    while protocol.receive(&mut Input::new(&mut piece), &mut out).unwrap().is_some() {}
                }
                let sent = frames(out.as_bytes());
                assert_eq!(sent.len(), 1, "{side:?}, {code}");
                assert_eq!(CloseFrame::decode(&sent[0].payload), Ok(close), "{side:?}");
            }
        }
    }
    check(Side::Server, || Protocol::server(MessageLimits::default()));
    check(Side::Client, || Protocol::client(MessageLimits::default(), || KEY));
}

#[test]
fn a_close_that_breaks_a_rule_is_answered_with_an_error() {
    check_all(&[
        (
            "§5.5.1 a payload of one byte",
            &["88 01 03"],
            &["error: the close code is cut off"],
            &["close 1002"],
        ),
        (
            "§5.5.1 a reason that is not UTF-8",
            &["88 04 03 e8 c3 28"],
            &["error: the close reason is not UTF-8"],
            &["close 1007"],
        ),
    ]);
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        let frame = format!("88 02 {:02x} {:02x}", code >> 8, code & 0xff);
        let error = format!("error: close code {code} is not allowed on the wire");
        check(MessageLimits::default(), (&format!("§7.4 {code}"), &[&*frame], &[&*error], &["close 1002"]));
    }
}

/// A server connection, what it has sent, and a way to feed it the peer's frames.
struct Connection {
    protocol: Protocol<ws_protocol::ServerRole>,
    out: Output,
}

impl Connection {
    fn new() -> Self {
        Self { protocol: Protocol::server(MessageLimits::default()), out: Output::new() }
    }

    /// Receives one frame, and says in words what event it was.
    fn receive(&mut self, frame: &str) -> Option<String> {
        let mut bytes = from_peer_of(Side::Server, &hex(frame));
        let mut input = Input::new(&mut bytes);
        let event = self.protocol.receive(&mut input, &mut self.out).unwrap();
        event.map(|(event, _)| match event {
            Event::Message(message) => format!("message {:02x?}", message.as_bytes()),
            Event::Close(frame) => format!("close {}", frame.code),
            event => format!("{event:?}"),
        })
    }

    fn close(&mut self, code: u16, reason: &str) -> Result<(), SendError> {
        let frame = CloseFrame { code: CloseCode::new(code), reason };
        self.protocol.sender().close(frame, &mut self.out)
    }
}

#[test]
fn our_close_waits_for_the_peers() {
    let mut connection = Connection::new();
    assert!(!connection.protocol.close_expected());
    connection.close(1001, "away").unwrap();
    assert_eq!(connection.out.as_bytes(), b"\x88\x06\x03\xe9away");
    assert!(connection.protocol.close_expected() && !connection.protocol.is_finished());

    // What the peer sent before it saw our close still counts, and its pings are answered (§5.5.2).
    assert_eq!(connection.receive("81 01 61").unwrap(), "message [61]");
    connection.out.clear();
    assert_eq!(connection.receive("89 01 70").unwrap(), "Ping([112])");
    assert_eq!(frames_in_words(connection.out.as_bytes()), ["pong p"]);

    connection.out.clear();
    assert_eq!(connection.receive("88 02 03 e9").unwrap(), "close 1001");
    assert_eq!(connection.out.as_bytes(), b"", "§5.5.1: it is not answered twice");
    assert!(connection.protocol.is_finished());
    assert_eq!(connection.protocol.receive_eof(), CloseCode::GOING_AWAY);
}

#[test]
fn closes_that_cross() {
    let mut connection = Connection::new();
    connection.close(1000, "").unwrap();
    assert_eq!(connection.receive("88 02 0f a0").unwrap(), "close 4000");
    assert_eq!(frames_in_words(connection.out.as_bytes()), ["close 1000"]);
    assert_eq!(
        connection.protocol.receive_eof().value(),
        4000,
        "§7.1.5: the code is that of the close received"
    );
}

#[test]
fn nothing_is_sent_after_our_close() {
    let mut connection = Connection::new();
    connection.close(1000, "").unwrap();
    connection.out.clear();
    let (sender, out) = (connection.protocol.sender(), &mut connection.out);
    assert!(!sender.is_open());
    assert_eq!(sender.send(Message::Text("late"), out), Err(SendError::Closing));
    assert_eq!(sender.send_fragment(Message::Text("late"), false, out), Err(SendError::Closing));
    assert_eq!(sender.ping(b"", out), Err(SendError::Closing));
    assert_eq!(sender.pong(b"", out), Err(SendError::Closing));
    assert_eq!(
        sender.close(CloseFrame { code: CloseCode::NORMAL, reason: "" }, out),
        Err(SendError::Closing)
    );
    assert_eq!(connection.out.as_bytes(), b"");
}

#[test]
fn a_failure_after_our_close_sends_no_second_one() {
    let mut connection = Connection::new();
    connection.close(1000, "").unwrap();
    let mut bytes = hex("83 80 00 00 00 00");
    assert!(connection.protocol.receive(&mut Input::new(&mut bytes), &mut connection.out).is_err());
    assert_eq!(frames_in_words(connection.out.as_bytes()), ["close 1000"]);
    assert!(connection.protocol.is_finished());
}

#[test]
fn the_end_of_the_stream_is_abnormal_unless_a_close_came_first() {
    let mut connection = Connection::new();
    assert_eq!(connection.protocol.receive_eof(), CloseCode::ABNORMAL, "§7.1.5");
    assert!(connection.protocol.is_finished());

    let mut connection = Connection::new();
    connection.close(1000, "").unwrap();
    assert_eq!(connection.protocol.receive_eof(), CloseCode::ABNORMAL, "our own close is none");

    let mut connection = Connection::new();
    assert_eq!(connection.receive("88 00").unwrap(), "close 1005");
    assert!(connection.protocol.is_finished() && connection.protocol.close_expected());
    assert_eq!(connection.protocol.receive_eof(), CloseCode::NO_STATUS);
}

#[test]
fn the_peer_is_told_why_it_was_refused() {
    let mut connection = Connection::new();
    let mut bytes = hex("81 00");
    let error = connection.protocol.receive(&mut Input::new(&mut bytes), &mut connection.out).unwrap_err();
    assert_eq!(error, ws_protocol::ProtocolError::Unmasked);
    assert_eq!(connection.out.as_bytes(), b"\x88\x25\x03\xeaa frame from a client is not masked");
}

/// Feeds a connection these frames of its peer, and says how many events and errors they were, up to nine.
fn feed<R: Role>(protocol: &mut Protocol<R>, side: Side, frames: &[&str], out: &mut Output) -> usize {
    let mut bytes: Vec<u8> = frames.iter().flat_map(|frame| from_peer_of(side, &hex(frame))).collect();
    let mut input = Input::new(&mut bytes);
    (0..9).take_while(|_| !matches!(protocol.receive(&mut input, out), Ok(None))).count()
}

#[test]
fn an_answer_or_a_failure_ends_the_sending_too() {
    fn check<R: Role>(name: &str, side: Side, mut protocol: Protocol<R>, frame: &str, sent: &str) {
        let mut out = Output::new();
        assert_eq!(feed(&mut protocol, side, &[frame], &mut out), 1, "{name}, {side:?}");
        assert_eq!(frames_in_words(out.as_bytes()), [sent], "{name}, {side:?}");
        // §7.1.7: a server closes the connection now, a client as soon as the server has.
        assert!(protocol.is_finished() && protocol.close_expected(), "{name}, {side:?}");
        let len = out.len();
        let late = protocol.sender().send(Message::Text("late"), &mut out);
        assert_eq!((late, out.len()), (Err(SendError::Closing), len), "{name}, {side:?}");
    }
    for (name, frame, sent) in [
        ("§5.5.1 an answer", "88 02 0f a0", "close 4000"),
        ("§7.1.7 a failure", "83 00", "close 1002"),
        ("§8.1 a failure of the text", "81 01 ff", "close 1007"),
    ] {
        check(name, Side::Server, Protocol::server(MessageLimits::default()), frame, sent);
        check(name, Side::Client, Protocol::client(MessageLimits::default(), || KEY), frame, sent);
    }
}

#[test]
fn a_stream_that_is_lost_within_a_message_fails_the_connection() {
    fn check<R: Role>(side: Side, mut protocol: Protocol<R>) {
        let mut out = Output::new();
        assert_eq!(feed(&mut protocol, side, &["01 01 61", "00 01 62"], &mut out), 0);
        assert_eq!(protocol.receive_eof(), CloseCode::ABNORMAL, "§7.2.1, {side:?}");
        assert!(protocol.is_finished(), "{side:?}");
        // Nothing is parsed any more, neither right nor wrong.
        assert_eq!(feed(&mut protocol, side, &["80 01 63", "89 00", "83 00"], &mut out), 0, "{side:?}");
        assert!(out.is_empty(), "{side:?}");
    }
    check(Side::Server, Protocol::server(MessageLimits::default()));
    check(Side::Client, Protocol::client(MessageLimits::default(), || KEY));
}

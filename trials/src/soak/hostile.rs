//! Clients that do what they may not, and have to be told so.

use super::visit::Visit;
use crate::Outcome;
use crate::attacks::{self, Flood};
use crate::client::{Client, Offer};
use crate::raw::{self, BINARY, CLOSE, CONTINUATION, FIRST_FRAGMENT, PING, TEXT};
use std::io::{ErrorKind, Read, Write};
use ws_endpoint::DeflateOffer;
use ws_protocol::{CloseCode, Message};

/// Breaks one rule, and is closed with the code for it.
pub(super) fn breaks_a_rule(visit: &mut Visit<'_>) -> Outcome {
    let mut rules = broken_rules();
    let (rule, bytes, code) = rules.swap_remove(visit.random.within(0..rules.len()));
    let mut stream = raw::open(visit.port)?;
    let mut sent = if visit.random.once_in(2) { raw::frame(PING, b"still fine") } else { Vec::new() };
    sent.extend(bytes);
    // The server may end the connection before all is sent.
    let cut = visit.random.within(1..sent.len() + 1);
    let _ = stream.write_all(&sent[..cut]).and_then(|()| stream.write_all(&sent[cut..]));
    match raw::close_code(&mut stream)? {
        Some(told) if told == code => Ok(()),
        told => Err(format!("{rule}: closed with {told:?} instead of {code}").into()),
    }
}

/// Each with the code that it is answered by (RFC 6455 §5, §7.4.1).
fn broken_rules() -> Vec<(&'static str, Vec<u8>, u16)> {
    vec![
        ("an unmasked frame", vec![TEXT, 1, b'a'], 1002),
        ("RSV1 without an extension", raw::frame(TEXT | 0x40, b"a"), 1002),
        ("RSV2", raw::frame(TEXT | 0x20, b"a"), 1002),
        ("a reserved opcode", raw::frame(0x83, b"a"), 1002),
        ("a reserved control opcode", raw::frame(0x8b, b"a"), 1002),
        ("a length that is not minimal", vec![BINARY, 0xfe, 0, 5, 0, 0, 0, 0], 1002),
        ("a length with its top bit set", raw::header(BINARY, 1 << 63), 1002),
        ("a fragmented control frame", raw::frame(PING & 0x7f, b"a"), 1002),
        ("a long control frame", raw::frame(PING, &[0; 126]), 1002),
        ("a continuation of nothing", raw::frame(CONTINUATION, b"a"), 1002),
        (
            "a message within a message",
            [raw::frame(FIRST_FRAGMENT, b"a"), raw::frame(TEXT, b"b")].concat(),
            1002,
        ),
        ("a payload of one byte in a close frame", raw::frame(CLOSE, b"a"), 1002),
        ("a code that no one may send", raw::close(1005), 1002),
        ("text that is not UTF-8", raw::frame(TEXT, b"\xff"), 1007),
        ("text that ends in the middle of a character", raw::frame(TEXT, b"\xe4\xb8"), 1007),
        ("a message that is too large", raw::header(BINARY, (1 << 20) + 1), 1009),
        ("a message of a tebibyte", raw::header(TEXT, 1 << 40), 1009),
    ]
}

/// Sends something else than a request, and is turned away.
pub(super) fn sends_garbage(visit: &mut Visit<'_>) -> Outcome {
    let len = visit.random.within(1..5_000);
    let garbage = match visit.random.within(0..6) {
        0 => visit.random.bytes(len),
        1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        3 => b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
        4 => format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20_000)).into_bytes(),
        _ => b"GET /no-such-page HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    };
    let mut stream = raw::connect(visit.port)?;
    // The server may end the connection before all is sent.
    let _ = stream.write_all(&garbage);
    let mut answer = Vec::new();
    match stream.take(1 << 20).read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err("its connection was not ended".into()),
        _ if answer.starts_with(b"HTTP/1.1 101") => Err("it was upgraded".into()),
        _ => Ok(()),
    }
}

/// Resets connections at every kind of moment.
pub(super) fn resets(visit: &mut Visit<'_>) -> Outcome {
    for _ in 0..visit.random.within(1..100) {
        if visit.is_over() {
            break;
        }
        let moment = visit.random.within(0..100);
        // The server may be the first to end it.
        let _ = attacks::reset_at(moment, visit.port, visit.random);
    }
    Ok(())
}

/// Sends small frames as fast as it can.
pub(super) fn floods(visit: &mut Visit<'_>) -> Outcome {
    let flood = *visit.random.one_of(&Flood::ALL);
    let reads = visit.random.once_in(2);
    let until = visit.within(1_500);
    flood.pour(raw::open(visit.port)?, reads, until);
    Ok(())
}

/// Sends a small message that becomes too large a one.
pub(super) fn sends_a_bomb(visit: &mut Visit<'_>) -> Outcome {
    let offer = Offer { deflate: Some(DeflateOffer::default()), ..Offer::default() };
    let mut client = Client::upgrade(raw::connect(visit.port)?, "localhost", "/soak", &offer)?;
    client.send(Message::Binary(&vec![0; 8 << 20]))?;
    match client.wait_for_close()? {
        CloseCode::MESSAGE_TOO_BIG => Ok(()),
        code => Err(format!("it was closed with {}", code.value()).into()),
    }
}

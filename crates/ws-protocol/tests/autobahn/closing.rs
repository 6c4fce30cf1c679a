//! Group 7: the closing handshake.

use crate::{
    CLOSE, INVALID_PAYLOAD, NO_STATUS, NORMAL, PROTOCOL_ERROR, Row, Setup, Side, check, encode, ids_of,
    in_words, sent,
};

const HELLO: &[u8] = b"Hello World!";

#[rustfmt::skip]
const HANDSHAKES: &[Row<'_>] = &[
    ("7.1.1", &[(0x81, HELLO)],                                     &[(0x81, HELLO)], NORMAL),
    ("7.1.2", &[CLOSE, (0x88, b"")],                                &[],              NORMAL),
    ("7.1.3", &[CLOSE, (0x89, b"")],                                &[],              NORMAL),
    ("7.1.4", &[CLOSE, (0x81, HELLO)],                              &[],              NORMAL),
    ("7.1.5", &[(0x01, b"fragment1"), CLOSE, (0x80, b"fragment2")], &[],              NORMAL),
    // 7.1.6 has a message of 256 KiB, and is below.
    ("7.3.1", &[(0x88, b"")],                                       &[],              NO_STATUS),
    ("7.3.2", &[(0x88, b"a")],                                      &[],              PROTOCOL_ERROR),
    ("7.3.3", &[CLOSE],                                             &[],              NORMAL),
    ("7.3.4", &[(0x88, b"\x03\xe8Hello World!")],                   &[],              NORMAL),
    ("7.3.5", &[(0x88, &close_with_reason::<125>())],               &[],              NORMAL),
    ("7.3.6", &[(0x88, &close_with_reason::<126>())],               &[],              PROTOCOL_ERROR),
    // 1002 would pass too.
    ("7.5.1", &[(0x88, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited")], &[], INVALID_PAYLOAD),
];

/// The payload of a close frame with 1000 and a reason that makes it this long.
const fn close_with_reason<const LEN: usize>() -> [u8; LEN] {
    let mut payload = [b'*'; LEN];
    [payload[0], payload[1]] = NORMAL.to_be_bytes();
    payload
}

/// A close frame with this code is answered with that one.
#[rustfmt::skip]
const CODES: [(&str, u16, u16); 24] = [
    ("7.7.1",  1000, 1000),
    ("7.7.2",  1001, 1001),
    ("7.7.3",  1002, 1002),
    ("7.7.4",  1003, 1003),
    ("7.7.5",  1007, 1007),
    ("7.7.6",  1008, 1008),
    ("7.7.7",  1009, 1009),
    ("7.7.8",  1010, 1010),
    ("7.7.9",  1011, 1011),
    ("7.7.10", 3000, 3000),
    ("7.7.11", 3999, 3999),
    ("7.7.12", 4000, 4000),
    ("7.7.13", 4999, 4999),
    ("7.9.1",     0, PROTOCOL_ERROR),
    ("7.9.2",   999, PROTOCOL_ERROR),
    ("7.9.3",  1004, PROTOCOL_ERROR),
    ("7.9.4",  1005, PROTOCOL_ERROR),
    ("7.9.5",  1006, PROTOCOL_ERROR),
    ("7.9.6",  1016, PROTOCOL_ERROR),
    ("7.9.7",  1100, PROTOCOL_ERROR),
    ("7.9.8",  2000, PROTOCOL_ERROR),
    ("7.9.9",  2999, PROTOCOL_ERROR),
    // Informational in the suite.
    ("7.13.1", 5000, PROTOCOL_ERROR),
    ("7.13.2", 65_535, PROTOCOL_ERROR),
];

const MESSAGE_BEFORE_CLOSE: &str = "7.1.6";

pub(crate) fn ids() -> Vec<String> {
    let codes = CODES.iter().map(|(id, ..)| String::from(*id));
    ids_of(HANDSHAKES).into_iter().chain(codes).chain([String::from(MESSAGE_BEFORE_CLOSE)]).collect()
}

#[test]
fn handshakes() {
    HANDSHAKES.iter().copied().for_each(check);
}

#[test]
fn codes() {
    for (id, code, answer) in CODES {
        check((id, &[(0x88, &code.to_be_bytes())], &[], answer));
    }
}

/// Informational in the suite, as a server may close before it has written what it was sent before. This one does not.
#[test]
fn messages_before_a_close_are_answered() {
    let large = b"BAsd7&jh23".repeat(26_215);
    let large = &large[..256 << 10];
    for side in [Side::Server, Side::Client] {
        let frames = [(0x81, large), (0x81, HELLO), CLOSE, (0x89, b"")];
        let bytes = frames.map(|frame| encode(side, frame)).concat();
        for pieces in [vec![&*bytes], bytes.chunks(997).collect()] {
            assert_eq!(
                sent(side, Setup::default(), &pieces),
                in_words([(0x81, large), (0x81, HELLO), CLOSE]),
                "case {MESSAGE_BEFORE_CLOSE}, {side:?}"
            );
        }
    }
}

//! Groups 1 to 5: messages of every length form, pings, reserved bits, reserved opcodes, fragments.

use crate::{NORMAL, PROTOCOL_ERROR, Row, Setup, Side, check, encode, ids_of, in_words, sent};

const HELLO: &[u8] = b"Hello, world!";
const BINARY: &[u8] = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff";
const UNASKED: &[u8] = b"unsolicited pong payload";

#[rustfmt::skip]
const MESSAGES: &[Row<'_>] = &[
    ("1.1.1",       &[(0x81, b"")],             &[(0x81, b"")],             NORMAL),
    ("1.1.2",       &[(0x81, &[b'*'; 125])],    &[(0x81, &[b'*'; 125])],    NORMAL),
    ("1.1.3",       &[(0x81, &[b'*'; 126])],    &[(0x81, &[b'*'; 126])],    NORMAL),
    ("1.1.4",       &[(0x81, &[b'*'; 127])],    &[(0x81, &[b'*'; 127])],    NORMAL),
    ("1.1.5",       &[(0x81, &[b'*'; 128])],    &[(0x81, &[b'*'; 128])],    NORMAL),
    ("1.1.6",       &[(0x81, &[b'*'; 65_535])], &[(0x81, &[b'*'; 65_535])], NORMAL),
    ("1.1.7 1.1.8", &[(0x81, &[b'*'; 65_536])], &[(0x81, &[b'*'; 65_536])], NORMAL),
    ("1.2.1",       &[(0x82, b"")],             &[(0x82, b"")],             NORMAL),
    ("1.2.2",       &[(0x82, &[0xfe; 125])],    &[(0x82, &[0xfe; 125])],    NORMAL),
    ("1.2.3",       &[(0x82, &[0xfe; 126])],    &[(0x82, &[0xfe; 126])],    NORMAL),
    ("1.2.4",       &[(0x82, &[0xfe; 127])],    &[(0x82, &[0xfe; 127])],    NORMAL),
    ("1.2.5",       &[(0x82, &[0xfe; 128])],    &[(0x82, &[0xfe; 128])],    NORMAL),
    ("1.2.6",       &[(0x82, &[0xfe; 65_535])], &[(0x82, &[0xfe; 65_535])], NORMAL),
    ("1.2.7 1.2.8", &[(0x82, &[0xfe; 65_536])], &[(0x82, &[0xfe; 65_536])], NORMAL),
];

#[rustfmt::skip]
const PINGS: &[Row<'_>] = &[
    ("2.1",     &[(0x89, b"")],                             &[(0x8a, b"")],             NORMAL),
    ("2.2",     &[(0x89, HELLO)],                           &[(0x8a, HELLO)],           NORMAL),
    ("2.3",     &[(0x89, BINARY)],                          &[(0x8a, BINARY)],          NORMAL),
    ("2.4 2.6", &[(0x89, &[0xfe; 125])],                    &[(0x8a, &[0xfe; 125])],    NORMAL),
    ("2.5",     &[(0x89, &[0xfe; 126])],                    &[],                        PROTOCOL_ERROR),
    ("2.7",     &[(0x8a, b"")],                             &[],                        NORMAL),
    ("2.8",     &[(0x8a, UNASKED)],                         &[],                        NORMAL),
    ("2.9",     &[(0x8a, UNASKED), (0x89, b"ping payload")], &[(0x8a, b"ping payload")], NORMAL),
    (
        "2.10 2.11",
        &[
            (0x89, b"payload-0"), (0x89, b"payload-1"), (0x89, b"payload-2"), (0x89, b"payload-3"),
            (0x89, b"payload-4"), (0x89, b"payload-5"), (0x89, b"payload-6"), (0x89, b"payload-7"),
            (0x89, b"payload-8"), (0x89, b"payload-9"),
        ],
        &[
            (0x8a, b"payload-0"), (0x8a, b"payload-1"), (0x8a, b"payload-2"), (0x8a, b"payload-3"),
            (0x8a, b"payload-4"), (0x8a, b"payload-5"), (0x8a, b"payload-6"), (0x8a, b"payload-7"),
            (0x8a, b"payload-8"), (0x8a, b"payload-9"),
        ],
        NORMAL,
    ),
];

#[rustfmt::skip]
const RESERVED: &[Row<'_>] = &[
    ("3.1",         &[(0x91, HELLO)],                              &[],              PROTOCOL_ERROR),
    ("3.2",         &[(0x81, HELLO), (0xa1, HELLO), (0x89, b"")],  &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("3.3",         &[(0x81, HELLO), (0xb1, HELLO), (0x89, b"")],  &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("3.4",         &[(0x81, HELLO), (0xc1, HELLO), (0x89, b"")],  &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("3.5",         &[(0xd2, BINARY)],                             &[],              PROTOCOL_ERROR),
    // It is described as a ping, and sends a binary message.
    ("3.6",         &[(0xe2, HELLO)],                              &[],              PROTOCOL_ERROR),
    ("3.7",         &[(0xf8, b"")],                                &[],              PROTOCOL_ERROR),
    ("4.1.1",       &[(0x83, b"")],                                &[],              PROTOCOL_ERROR),
    ("4.1.2",       &[(0x84, b"reserved opcode payload")],         &[],              PROTOCOL_ERROR),
    ("4.1.3",       &[(0x81, HELLO), (0x85, b""), (0x89, b"")],    &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("4.1.4",       &[(0x81, HELLO), (0x86, HELLO), (0x89, b"")],  &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("4.1.5",       &[(0x81, HELLO), (0x87, HELLO), (0x89, b"")],  &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("4.2.1",       &[(0x8b, b"")],                                &[],              PROTOCOL_ERROR),
    ("4.2.2",       &[(0x8c, b"reserved opcode payload")],         &[],              PROTOCOL_ERROR),
    ("4.2.3",       &[(0x81, HELLO), (0x8d, b""), (0x89, b"")],    &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("4.2.4",       &[(0x81, HELLO), (0x8e, HELLO), (0x89, b"")],  &[(0x81, HELLO)], PROTOCOL_ERROR),
    ("4.2.5",       &[(0x81, HELLO), (0x8f, HELLO), (0x89, b"")],  &[(0x81, HELLO)], PROTOCOL_ERROR),
];

const ONE: &[u8] = b"fragment1";
const TWO: &[u8] = b"fragment2";
const THREE: &[u8] = b"fragment3";
const FOUR: &[u8] = b"fragment4";
const FIVE: &[u8] = b"fragment5";
const LOST: &[u8] = b"non-continuation payload";
const BOTH: &[u8] = b"fragment1fragment2";
const PING: &[u8] = b"ping payload";

#[rustfmt::skip]
const FRAGMENTS: &[Row<'_>] = &[
    ("5.1",            &[(0x09, ONE), (0x80, TWO)],               &[],                         PROTOCOL_ERROR),
    ("5.2",            &[(0x0a, ONE), (0x80, TWO)],               &[],                         PROTOCOL_ERROR),
    ("5.3 5.4 5.5",    &[(0x01, ONE), (0x80, TWO)],               &[(0x81, BOTH)],             NORMAL),
    ("5.6 5.7 5.8",    &[(0x01, ONE), (0x89, PING), (0x80, TWO)], &[(0x8a, PING), (0x81, BOTH)], NORMAL),
    ("5.9 5.10 5.11",  &[(0x80, LOST), (0x81, HELLO)],            &[],                         PROTOCOL_ERROR),
    ("5.12 5.13 5.14", &[(0x00, LOST), (0x81, HELLO)],            &[],                         PROTOCOL_ERROR),
    (
        "5.15",
        &[(0x01, ONE), (0x80, TWO), (0x00, THREE), (0x81, FOUR)],
        &[(0x81, BOTH)],
        PROTOCOL_ERROR,
    ),
    (
        "5.16",
        &[(0x00, ONE), (0x01, TWO), (0x80, THREE), (0x00, ONE), (0x01, TWO), (0x80, THREE)],
        &[],
        PROTOCOL_ERROR,
    ),
    (
        "5.17",
        &[(0x80, ONE), (0x01, TWO), (0x80, THREE), (0x80, ONE), (0x01, TWO), (0x80, THREE)],
        &[],
        PROTOCOL_ERROR,
    ),
    ("5.18",           &[(0x01, ONE), (0x81, TWO)],               &[],                         PROTOCOL_ERROR),
    (
        "5.19 5.20",
        &[
            (0x01, ONE), (0x00, TWO), (0x89, b"pongme 1!"),
            (0x00, THREE), (0x00, FOUR), (0x89, b"pongme 2!"), (0x80, FIVE),
        ],
        &[
            (0x8a, b"pongme 1!"), (0x8a, b"pongme 2!"),
            (0x81, b"fragment1fragment2fragment3fragment4fragment5"),
        ],
        NORMAL,
    ),
];

pub(crate) fn ids() -> Vec<String> {
    [MESSAGES, PINGS, RESERVED, FRAGMENTS].map(ids_of).concat()
}

#[test]
fn messages() {
    MESSAGES.iter().copied().for_each(check);
}

#[test]
fn pings() {
    PINGS.iter().copied().for_each(check);
}

#[test]
fn reserved_bits_and_opcodes() {
    RESERVED.iter().copied().for_each(check);
}

#[test]
fn fragments() {
    FRAGMENTS.iter().copied().for_each(check);
}

/// 5.19 and 5.20: the suite waits for the first pong before it sends the rest of the message.
#[test]
fn a_ping_between_fragments_is_answered_at_once() {
    for side in [Side::Server, Side::Client] {
        let begun =
            [(0x01, ONE), (0x00, TWO), (0x89, b"pongme 1!".as_slice())].map(|frame| encode(side, frame));
        assert_eq!(
            sent(side, Setup::default(), &[&begun.concat()]),
            in_words([(0x8a, b"pongme 1!".as_slice())]),
            "{side:?}"
        );
    }
}

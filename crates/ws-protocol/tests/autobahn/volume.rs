//! Groups 9 and 10: large messages, many fragments, small pieces, many messages.

use crate::{CLOSE, Frame, Setup, Side, encode, in_fragments, in_words, sent};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// Text and binary messages of these lengths.
const LENGTHS: [(&str, &str, usize); 6] = [
    ("9.1.1", "9.2.1", 64 << 10),
    ("9.1.2", "9.2.2", 256 << 10),
    ("9.1.3", "9.2.3", 1 << 20),
    ("9.1.4", "9.2.4", 4 << 20),
    ("9.1.5", "9.2.5", 8 << 20),
    ("9.1.6", "9.2.6", 16 << 20),
];

/// Text and binary messages of 4 MiB in fragments of these lengths: up to 65,536 of them, and an empty one.
const FRAGMENT_LENGTHS: [(&str, &str, usize); 9] = [
    ("9.3.1", "9.4.1", 64),
    ("9.3.2", "9.4.2", 256),
    ("9.3.3", "9.4.3", 1 << 10),
    ("9.3.4", "9.4.4", 4 << 10),
    ("9.3.5", "9.4.5", 16 << 10),
    ("9.3.6", "9.4.6", 64 << 10),
    ("9.3.7", "9.4.7", 256 << 10),
    ("9.3.8", "9.4.8", 1 << 20),
    ("9.3.9", "9.4.9", 4 << 20),
];

/// Text and binary messages of 1 MiB in pieces of these lengths.
const PIECE_LENGTHS: [(&str, &str, usize); 6] = [
    ("9.5.1", "9.6.1", 64),
    ("9.5.2", "9.6.2", 128),
    ("9.5.3", "9.6.3", 256),
    ("9.5.4", "9.6.4", 512),
    ("9.5.5", "9.6.5", 1024),
    ("9.5.6", "9.6.6", 2048),
];

/// 1,000 text and binary messages of these lengths.
const MANY: [(&str, &str, usize); 6] = [
    ("9.7.1", "9.8.1", 0),
    ("9.7.2", "9.8.2", 16),
    ("9.7.3", "9.8.3", 64),
    ("9.7.4", "9.8.4", 256),
    ("9.7.5", "9.8.5", 1024),
    ("9.7.6", "9.8.6", 4096),
];

const AUTO_FRAGMENTATION: &str = "10.1.1";

pub(crate) fn ids() -> Vec<String> {
    [&LENGTHS[..], &FRAGMENT_LENGTHS, &PIECE_LENGTHS, &MANY]
        .concat()
        .into_iter()
        .flat_map(|(text, binary, _)| [text, binary])
        .chain([AUTO_FRAGMENTATION])
        .map(Into::into)
        .collect()
}

#[test]
fn large_texts() {
    for (id, _, len) in LENGTHS {
        check_cuts(id, &[(TEXT, &cycle(b"BAsd7&jh23", len))], TEXT, &[64 << 10, usize::MAX]);
    }
}

#[test]
fn large_binaries() {
    for (_, id, len) in LENGTHS {
        check_cuts(id, &[(BINARY, &cycle(b"\x00\xfe\x23\xfa\xf0", len))], BINARY, &[64 << 10, usize::MAX]);
    }
}

#[test]
fn fragmented_texts() {
    let payload = vec![b'*'; 4 << 20];
    for (id, _, fragment_len) in FRAGMENT_LENGTHS {
        check_cuts(id, &in_fragments(TEXT, &payload, fragment_len), TEXT, &[64 << 10]);
    }
}

#[test]
fn fragmented_binaries() {
    let payload = vec![0xfe; 4 << 20];
    for (_, id, fragment_len) in FRAGMENT_LENGTHS {
        check_cuts(id, &in_fragments(BINARY, &payload, fragment_len), BINARY, &[64 << 10]);
    }
}

#[test]
fn small_pieces() {
    let (text, binary) = (cycle(b"BAsd7&jh23", 1 << 20), cycle(b"\x00\xfe\x23\xfa\xf0", 1 << 20));
    for (text_id, binary_id, piece_len) in PIECE_LENGTHS {
        check_cuts(text_id, &[(TEXT, &text)], TEXT, &[piece_len]);
        check_cuts(binary_id, &[(BINARY, &binary)], BINARY, &[piece_len]);
    }
}

#[test]
fn many_messages() {
    for (text_id, binary_id, len) in MANY {
        for (id, first, octet) in [(text_id, TEXT, b'*'), (binary_id, BINARY, 0xfe)] {
            let payload = vec![octet; len];
            let message = (first, &*payload);
            for side in [Side::Server, Side::Client] {
                let frame = encode(side, message);
                let answers = sent(side, Setup::default(), &[&*frame; 1_000]);
                assert!(answers == in_words([message; 1_000]), "case {id}, {side:?}");
            }
        }
    }
}

#[test]
fn auto_fragmentation() {
    let frames = in_fragments(TEXT, &[b'*'; 65_536], 1_300);
    assert_eq!(frames.len(), 51);
    check_cuts(AUTO_FRAGMENTATION, &frames, TEXT, &[1, 1_300, usize::MAX]);
}

/// The message in these frames is answered in both roles, in pieces of each of these lengths.
fn check_cuts(id: &str, frames: &[Frame<'_>], first: u8, piece_lengths: &[usize]) {
    let message: Vec<u8> = frames.iter().flat_map(|(_, payload)| *payload).copied().collect();
    let answers = in_words([(first, &*message), CLOSE]);
    for side in [Side::Server, Side::Client] {
        let bytes: Vec<_> = frames.iter().chain(&[CLOSE]).map(|frame| encode(side, *frame)).collect();
        let bytes = bytes.concat();
        for piece_len in piece_lengths {
            let pieces: Vec<&[u8]> = bytes.chunks(*piece_len).collect();
            assert_eq!(sent(side, Setup::default(), &pieces), answers, "case {id}, {side:?}, {piece_len}");
        }
    }
}

/// The first `len` bytes of the unit repeated.
fn cycle(unit: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = unit.repeat(len / unit.len() + 1);
    bytes.truncate(len);
    bytes
}

//! Groups 12 and 13: permessage-deflate (RFC 7692), with different payloads and different parameters. The peer is made
//! of other parts than the connection: zlib-rs itself compresses, and miniz inflates.
//!
//! Fewer messages a case than the suite's 1,000: enough for each to refer to those before it, and for the window to
//! move on.

use crate::{Setup, Side, common::echo, encode, in_fragments};
use flate2::{Decompress, FlushDecompress};
use ws_frame::Opcode;
use ws_protocol::{DeflateConfig, WindowBits};
use zlib_rs::{Deflate, DeflateFlush};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Payload {
    Json,
    Bitmap,
    German,
    Html,
    /// What a PDF is, for the most part.
    Incompressible,
}

/// The payload, and what holds for both directions: context takeover, and the window in bits.
#[rustfmt::skip]
const GROUPS: [(&str, Payload, bool, u8); 12] = [
    ("12.1", Payload::Json,           true,  15),
    ("12.2", Payload::Bitmap,         true,  15),
    ("12.3", Payload::German,         true,  15),
    ("12.4", Payload::Html,           true,  15),
    ("12.5", Payload::Incompressible, true,  15),
    ("13.1", Payload::Json,           true,  15),
    ("13.2", Payload::Json,           false, 15),
    ("13.3", Payload::Json,           true,   9),
    // As 13.1, with the window asked for by its size.
    ("13.4", Payload::Json,           true,  15),
    ("13.5", Payload::Json,           false,  9),
    // As 13.2, with the window asked for by its size.
    ("13.6", Payload::Json,           false, 15),
    // The client offers three sets, and the server takes the first: as 13.5.
    ("13.7", Payload::Json,           false,  9),
];

/// The length of a message, and that of the fragments in which the peer sends it compressed.
const LENGTHS: [(u8, usize, Option<usize>); 18] = [
    (1, 16, None),
    (2, 64, None),
    (3, 256, None),
    (4, 1_024, None),
    (5, 4_096, None),
    (6, 8_192, None),
    (7, 16_384, None),
    (8, 32_768, None),
    (9, 65_536, None),
    (10, 131_072, None),
    (11, 8_192, Some(256)),
    (12, 16_384, Some(256)),
    (13, 32_768, Some(256)),
    (14, 65_536, Some(256)),
    (15, 131_072, Some(256)),
    (16, 131_072, Some(1_024)),
    (17, 131_072, Some(4_096)),
    (18, 131_072, Some(32_768)),
];

pub(crate) fn ids() -> Vec<String> {
    let ids = GROUPS.iter().flat_map(|(group, ..)| LENGTHS.map(|(number, ..)| format!("{group}.{number}")));
    ids.collect()
}

#[test]
fn different_payloads() {
    check_groups("12.");
}

#[test]
fn different_parameters() {
    check_groups("13.");
}

fn check_groups(prefix: &str) {
    for (group, payload, takeover, window_bits) in GROUPS {
        if !group.starts_with(prefix) {
            continue;
        }
        let source = payload.generate();
        for (number, len, fragment_len) in LENGTHS {
            let messages = messages(payload, &source, len);
            for side in [Side::Server, Side::Client] {
                let name = format!("case {group}.{number}, {side:?}");
                check(&name, side, payload.first_octet(), &messages, takeover, window_bits, fragment_len);
            }
        }
    }
}

fn check(
    name: &str,
    side: Side,
    first: u8,
    messages: &[&[u8]],
    takeover: bool,
    window_bits: u8,
    fragment_len: Option<usize>,
) {
    let mut config = DeflateConfig::default();
    (config.send_context_takeover, config.receive_context_takeover) = (takeover, takeover);
    let agreed_bits = WindowBits::new(window_bits).unwrap();
    (config.send_window_bits, config.receive_window_bits) = (agreed_bits, agreed_bits);
    config.min_len = 0;
    let mut peer =
        Peer { deflate: Deflate::new(6, false, window_bits), inflate: Decompress::new(false), takeover };
    let mut bytes = Vec::new();
    for message in messages {
        let compressed = peer.compress(message);
        // RFC 7692 §6.1: RSV1 is set on the first fragment.
        for frame in in_fragments(first | 0x40, &compressed, fragment_len.unwrap_or(usize::MAX)) {
            bytes.extend(encode(side, frame));
        }
    }
    let setup = Setup { deflate: Some(config), ..Setup::default() };
    let pieces: Vec<&[u8]> = bytes.chunks(64 << 10).collect();
    let frames = echo(side, setup, &pieces);
    assert_eq!(frames.len(), messages.len(), "{name}");
    for (frame, message) in frames.iter().zip(messages) {
        let opcode = if first == 0x81 { Opcode::Text } else { Opcode::Binary };
        assert_eq!((frame.header.opcode(), frame.header.is_final()), (opcode, true), "{name}");
        // A side that remembers what it has sent compresses all of it, but for what is long.
        assert!(frame.header.rsv1() || !takeover || message.len() > 64 << 10, "{name}: not compressed");
        if frame.header.rsv1() {
            assert!(peer.inflate(&frame.payload, message.len()).is_some_and(|it| it == *message), "{name}");
        } else {
            assert!(frame.payload == *message, "{name}");
        }
    }
}

/// The messages of a case, each from where the last one ended.
fn messages(payload: Payload, source: &[u8], len: usize) -> Vec<&[u8]> {
    let count = ((128 << 10) / len).clamp(3, 20);
    let mut start = 0;
    let next = || {
        if start + len > source.len() {
            start = 0;
        }
        let end = match str::from_utf8(source) {
            Ok(text) if payload.first_octet() == 0x81 => text.floor_char_boundary(start + len),
            _ => start + len,
        };
        let message = &source[start..end];
        start = end;
        message
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// The other side of the connection.
struct Peer {
    deflate: Deflate,
    inflate: Decompress,
    takeover: bool,
}

impl Peer {
    fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.deflate.reset();
        }
        let mut compressed = vec![0; message.len() * 2 + 100];
        let (total_in, total_out) = (self.deflate.total_in(), self.deflate.total_out());
        self.deflate.compress(message, &mut compressed, DeflateFlush::SyncFlush).unwrap();
        assert_eq!(self.deflate.total_in() - total_in, message.len() as u64);
        compressed.truncate(usize::try_from(self.deflate.total_out() - total_out).unwrap());
        assert_eq!(compressed.split_off(compressed.len() - 4), [0, 0, 0xff, 0xff]);
        compressed
    }

    fn inflate(&mut self, payload: &[u8], len: usize) -> Option<Vec<u8>> {
        if !self.takeover {
            self.inflate.reset(false);
        }
        let mut message = Vec::with_capacity(len + 1);
        let tailed = [payload, &[0, 0, 0xff, 0xff]].concat();
        self.inflate.decompress_vec(&tailed, &mut message, FlushDecompress::Sync).ok()?;
        Some(message)
    }
}

impl Payload {
    const fn first_octet(self) -> u8 {
        if matches!(self, Self::Json | Self::Html) { 0x81 } else { 0x82 }
    }

    /// Some 150 KB.
    fn generate(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::from(state.to_be_bytes()[0])
        };
        while bytes.len() < 150_000 {
            match self {
                Self::Json => {
                    let (id, name, share) = (bytes.len(), WORDS[random() % WORDS.len()], random());
                    bytes.extend(format!(r#"{{"id":{id},"name":"{name}","share":0.{share}}},"#).as_bytes());
                }
                Self::Bitmap => bytes.push(u8::try_from(bytes.len() % 512 / 4 + random() % 4).unwrap()),
                Self::German => bytes.extend([WORDS[random() % WORDS.len()].as_bytes(), b" "].concat()),
                Self::Html => {
                    let (word, number) = (WORDS[random() % WORDS.len()], random());
                    bytes.extend(
                        format!("<li class=\"item\"><a href=\"/{number}\">{word}</a></li>\n").as_bytes(),
                    );
                }
                Self::Incompressible => bytes.push(u8::try_from(random()).unwrap()),
            }
        }
        bytes
    }
}

#[rustfmt::skip]
const WORDS: [&str; 16] = [
    "Habe", "nun", "ach", "Philosophie", "Juristerei", "und", "Medizin", "leider", "auch", "Theologie",
    "durchaus", "studiert", "mit", "heißem", "Bemühn", "Zauberlehrling",
];

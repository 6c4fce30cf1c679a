//! Compressed messages: what is received inflates, or fails, as a naive inflater and a naive window say; what is sent
//! inflates there to the message, and refers no farther back than the window that was agreed.

use super::{
    connection::{Happening, client, feed, with},
    frames::{self, Frame},
    naive_inflate::inflate,
    script::{Script, cut},
};
use std::str;
use ws_frame::{FrameHeader, Opcode};
use ws_protocol::{DeflateConfig, Limits, Message, Output, Protocol, ProtocolError};

const MAX_MESSAGES: usize = 8;

/// A message as the peer sends it.
#[derive(Debug)]
struct Sent<'a> {
    is_text: bool,
    is_compressed: bool,
    fragments: Vec<&'a [u8]>,
}

/// The input is what was agreed (whether there is context takeover, a window, a level), a limit, the cuts, and up to
/// eight messages: flags (text, compressed, in how many fragments), a length and a payload each.
pub fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let takeover = script.byte() & 1 != 0;
    let window_bits = 15 - script.byte() % 8;
    let level = 1 + script.byte() % 9;
    let mut limits = Limits::default();
    limits.max_message_size = script.choose(&[100_000, 1_000, 100, 5, 0]);
    let cuts = usize::from(script.byte() % 8);
    let cuts = script.take(cuts);

    let mut config = DeflateConfig::default();
    (config.send_takeover, config.receive_takeover) = (takeover, takeover);
    (config.send_window_bits, config.receive_window_bits) = (window_bits, window_bits);
    (config.level, config.min_len) = (level, 1);

    let mut messages = Vec::new();
    while !script.is_empty() && messages.len() < MAX_MESSAGES {
        let flags = script.byte();
        let payload_len = usize::from(script.word()) % 4_096;
        let payload = script.take(payload_len);
        let fragment_len = payload.len() / (1 + usize::from(flags >> 2 & 3)) + 1;
        let mut fragments: Vec<_> = payload.chunks(fragment_len).collect();
        if fragments.is_empty() {
            fragments.push(payload);
        }
        messages.push(Sent { is_text: flags & 1 != 0, is_compressed: flags & 2 != 0, fragments });
    }

    check_receiving(&config, limits, &messages, cuts);
    check_sending(&config, &messages);
}

fn check_receiving(config: &DeflateConfig, limits: Limits, messages: &[Sent<'_>], cuts: &[u8]) {
    let wire: Vec<u8> = messages.iter().flat_map(encode).collect();
    let expected = naive(config, limits, messages);
    for pieces in [vec![wire.as_slice()], cut(&wire, cuts)] {
        let (mut happenings, mut out) = (Vec::new(), Output::new());
        let mut receiver = with(client(limits), Some(config));
        for piece in pieces {
            feed(&mut receiver, piece, &mut out, |happening, _, _| happenings.push(happening));
        }
        assert_eq!(happenings, expected);
    }
}

/// The message's frames, unmasked.
fn encode(message: &Sent<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, fragment) in message.fragments.iter().enumerate() {
        let opcode = match (index, message.is_text) {
            (1.., _) => Opcode::Continuation,
            (0, true) => Opcode::Text,
            (0, false) => Opcode::Binary,
        };
        let mut header = FrameHeader::new(opcode, fragment.len() as u64).expect("a short payload");
        if index + 1 < message.fragments.len() {
            header = header.not_final().expect("a data frame");
        }
        if index == 0 && message.is_compressed {
            header = header.with_rsv1();
        }
        bytes.extend(frames::encode(header, fragment, None));
    }
    bytes
}

/// What has to become of the messages.
fn naive(config: &DeflateConfig, limits: Limits, messages: &[Sent<'_>]) -> Vec<Happening> {
    let window_len = 1 << config.receive_window_bits;
    let (mut happenings, mut history) = (Vec::new(), Vec::new());
    for message in messages {
        match naive_message(message, &history, window_len, limits) {
            Ok(bytes) => {
                if config.receive_takeover && message.is_compressed {
                    history.extend(&bytes);
                    history.drain(..history.len().saturating_sub(window_len));
                }
                happenings.push(if message.is_text {
                    Happening::Text(String::from_utf8(bytes).expect("checked"))
                } else {
                    Happening::Binary(bytes)
                });
            }
            Err(error) => {
                happenings.push(Happening::Failure(error));
                break;
            }
        }
    }
    happenings
}

fn naive_message(
    message: &Sent<'_>,
    history: &[u8],
    window_len: usize,
    limits: Limits,
) -> Result<Vec<u8>, ProtocolError> {
    let Limits { max_message_size, .. } = limits;
    // The frames up to the one whose header says that they are too many bytes.
    let mut payload = Vec::new();
    let mut is_whole = true;
    for fragment in &message.fragments {
        is_whole = payload.len() + fragment.len() <= max_message_size;
        if !is_whole {
            break;
        }
        payload.extend_from_slice(fragment);
    }
    let (mut bytes, mut is_invalid, mut is_too_big) = (payload, false, false);
    if message.is_compressed {
        if is_whole {
            bytes.extend([0, 0, 0xff, 0xff]);
        }
        let inflated = inflate(&bytes, history, window_len);
        (bytes, is_invalid) = (inflated.bytes, inflated.is_invalid);
        is_too_big = bytes.len() > max_message_size;
        bytes.truncate(max_message_size);
    }
    // What is wrong first, in the order of the bytes.
    let is_end = is_whole && !is_too_big && !is_invalid;
    match str::from_utf8(&bytes) {
        Err(error) if message.is_text && (is_end || error.error_len().is_some()) => {
            Err(ProtocolError::InvalidUtf8)
        }
        _ if is_too_big => Err(ProtocolError::MessageTooBig { max_message_size }),
        _ if is_invalid => Err(ProtocolError::Inflate),
        _ if !is_whole => Err(ProtocolError::MessageTooBig { max_message_size }),
        _ => Ok(bytes),
    }
}

/// Sends the payloads as messages.
fn check_sending(config: &DeflateConfig, messages: &[Sent<'_>]) {
    let window_len = 1 << config.send_window_bits;
    let mut sender = Protocol::server(Limits::default()).with_deflate(config);
    let (mut out, mut history) = (Output::new(), Vec::new());
    for message in messages {
        let payload = message.fragments.concat();
        let message = match str::from_utf8(&payload) {
            Ok(text) if message.is_text => Message::Text(text),
            _ => Message::Binary(&payload),
        };
        out.clear();
        sender.sender().send(message, &mut out).expect("nothing was closed");
        let [Frame { header, payload: sent }] = &frames::parse(out.as_bytes(), false)[..] else {
            panic!("a message is sent in one frame");
        };
        if !header.rsv1() {
            assert_eq!(*sent, payload);
            continue;
        }
        let inflated = inflate(&[sent, &[0, 0, 0xff, 0xff][..]].concat(), &history, window_len);
        assert!(!inflated.is_invalid && inflated.bytes == payload, "it inflates to the message");
        assert!(inflated.max_distance <= window_len, "{} of {window_len} bytes", inflated.max_distance);
        if config.send_takeover {
            history.extend(payload);
            history.drain(..history.len().saturating_sub(window_len));
        }
    }
}

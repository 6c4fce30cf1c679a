//! Compressed messages: what is received inflates, or fails, as a naive inflater and a naive window say; what is sent
//! inflates there to the message, and refers no farther back than the window that was agreed.

use super::{
    connection::{Happening, client, feed, level, window_bits, with},
    frames::{self, Frame},
    naive_inflate::inflate,
    script::{Script, cut},
};
use std::str;
use ws_frame::{FrameHeader, Opcode};
use ws_protocol::{DeflateConfig, Message, MessageLimits, Output, Protocol, ProtocolError};

const MAX_MESSAGES: usize = 8;

/// RFC 7692 §7.2.2: what a receiver appends to a message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A message as the peer sends it.
#[derive(Debug)]
struct Sent<'a> {
    is_text: bool,
    is_compressed: bool,
    fragments: Vec<&'a [u8]>,
}

/// The input is what was agreed (whether there is context takeover, and how many fragments a message may have; a window,
/// a level), a limit, the cuts, and up to eight messages: flags (text, compressed, in how many fragments), a length and a
/// payload each.
pub fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let flags = script.byte();
    let takeover = flags & 1 != 0;
    let window_bits = window_bits(15 - script.byte() % 8);
    let level = level(1 + script.byte() % 9);
    let mut limits = MessageLimits::default();
    limits.max_message_len = script.choose(&[100_000, 1_000, 100, 5, 0]);
    limits.max_fragments = [limits.max_fragments, 10, 3, 0][usize::from(flags >> 1 & 3)];
    let cuts = usize::from(script.byte() % 8);
    let cuts = script.take(cuts);

    let mut config = DeflateConfig::default();
    (config.send_context_takeover, config.receive_context_takeover) = (takeover, takeover);
    (config.send_window_bits, config.receive_window_bits) = (window_bits, window_bits);
    (config.level, config.min_len) = (level, 1);

    let mut messages = Vec::new();
    while !script.is_empty() && messages.len() < MAX_MESSAGES {
        let flags = script.byte();
        let payload_len = usize::from(script.word());
        let payload = script.take(payload_len);
        let fragment_len = payload.len() / (1 + usize::from(flags >> 2 & 3)) + 1;
        let mut fragments: Vec<_> = payload.chunks(fragment_len).collect();
        if fragments.is_empty() {
            fragments.push(payload);
        }
        messages.push(Sent { is_text: flags & 1 != 0, is_compressed: flags & 2 != 0, fragments });
    }

    let received = check_receiving(&config, limits, &messages, cuts);
    // What was received inflates to more than what was sent, and fills larger windows.
    let payloads: Vec<_> = messages.iter().map(|message| message.fragments.concat()).collect();
    let payloads = payloads.iter().map(|payload| Message::Binary(payload));
    check_sending(&config, received.iter().filter_map(Happening::message).chain(payloads));
}

/// Gives what has happened.
fn check_receiving(
    config: &DeflateConfig,
    limits: MessageLimits,
    messages: &[Sent<'_>],
    cuts: &[u8],
) -> Vec<Happening> {
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
    expected
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
fn naive(config: &DeflateConfig, limits: MessageLimits, messages: &[Sent<'_>]) -> Vec<Happening> {
    let window_len = 1 << config.receive_window_bits.get();
    let (mut happenings, mut history) = (Vec::new(), Vec::new());
    for message in messages {
        match naive_message(message, &history, window_len, limits) {
            Ok(bytes) => {
                if config.receive_context_takeover && message.is_compressed {
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
    limits: MessageLimits,
) -> Result<Vec<u8>, ProtocolError> {
    let MessageLimits { max_message_len, max_fragments, .. } = limits;
    // A message may be that much longer while it is compressed.
    let max_len = max_message_len + if message.is_compressed { max_message_len / 7 + 64 } else { 0 };
    let payload = message.fragments.concat();
    let inflated = message.is_compressed.then(|| inflate(&payload, history, window_len));
    // The tail is an empty block, and so is nothing but that. A final block has ended by itself.
    let is_cut = inflated.as_ref().is_some_and(|it| {
        let whole = inflate(&[&*payload, &TAIL].concat(), history, window_len);
        let has_ended = payload.is_empty() || it.final_blocks.iter().any(|(end, _)| *end == payload.len());
        !has_ended && (whole.is_invalid || whole.is_cut || whole.bytes.len() != it.bytes.len())
    });
    // The first final block is free.
    let mut final_blocks = inflated.iter().flat_map(|it| &it.final_blocks).skip(1).peekable();

    // What is wrong with its frames and blocks, and how many bytes come before that, compressed and inflated.
    let (mut count, mut len, mut stop) = (0, 0, None);
    'frames: for (index, fragment) in message.fragments.iter().enumerate() {
        count += 1;
        if count > max_fragments.max(1) {
            stop = Some((len, usize::MAX, ProtocolError::TooManyFragments { max_fragments }));
            break;
        }
        if len + fragment.len() > max_len {
            stop = Some((len, usize::MAX, ProtocolError::MessageTooBig { max_message_len }));
            break;
        }
        len += fragment.len();
        let is_last = index + 1 == message.fragments.len();
        while let Some(&(_, inflated_len)) = final_blocks.next_if(|(end, _)| is_last || *end <= len) {
            count += 1;
            if count > max_fragments.max(1) {
                stop = Some((len, inflated_len, ProtocolError::TooManyFragments { max_fragments }));
                break 'frames;
            }
        }
    }
    let (mut bytes, mut is_invalid) = match (inflated, &stop) {
        (Some(inflated), None) => (inflated.bytes, inflated.is_invalid),
        (Some(inflated), Some((_, inflated_len, _))) if *inflated_len != usize::MAX => {
            (inflated.bytes[..*inflated_len].to_vec(), false)
        }
        (Some(_), Some((len, ..))) => {
            let inflated = inflate(&payload[..*len], history, window_len);
            (inflated.bytes, inflated.is_invalid)
        }
        (None, _) => (payload[..len].to_vec(), false),
    };
    let is_too_big = bytes.len() > max_message_len;
    is_invalid &= !is_too_big;
    bytes.truncate(max_message_len);
    // What is wrong first, in the order of the bytes.
    let is_end = stop.is_none() && !is_too_big && !is_invalid && !is_cut;
    match (str::from_utf8(&bytes), stop) {
        (Err(error), _) if message.is_text && (is_end || error.error_len().is_some()) => {
            Err(ProtocolError::InvalidUtf8)
        }
        _ if is_too_big => Err(ProtocolError::MessageTooBig { max_message_len }),
        _ if is_invalid => Err(ProtocolError::Inflate),
        (_, Some((.., error))) => Err(error),
        _ if is_cut => Err(ProtocolError::Inflate),
        _ => Ok(bytes),
    }
}

/// Sends these messages.
fn check_sending<'m>(config: &DeflateConfig, messages: impl Iterator<Item = Message<'m>>) {
    let window_len = 1 << config.send_window_bits.get();
    let mut sender = Protocol::server(MessageLimits::default()).with_deflate(config);
    let (mut out, mut history) = (Output::new(), Vec::new());
    for message in messages {
        let payload = message.as_bytes();
        out.clear();
        sender.sender().send(message, &mut out).expect("nothing was closed");
        let [Frame { header, payload: sent }] = &frames::parse(out.as_bytes(), false)[..] else {
            panic!("a message is sent in one frame");
        };
        if !header.rsv1() {
            assert_eq!(*sent, payload);
            continue;
        }
        let inflated = inflate(&[sent, &TAIL[..]].concat(), &history, window_len);
        assert!(!inflated.is_invalid && inflated.bytes == payload, "it inflates to the message");
        assert!(inflated.max_distance <= window_len, "{} of {window_len} bytes", inflated.max_distance);
        if config.send_context_takeover {
            history.extend(payload);
            history.drain(..history.len().saturating_sub(window_len));
        }
    }
}

//! The receiver: any bytes, cut anywhere, come to the same events and the same output; to those of a naive receiver that
//! has all bytes at once; and what is sent is what the other side of such a connection understands.

use super::{
    connection::{Happening, client, deflate, feed, mirrored, with},
    frames,
    script::{Script, cut},
};
use std::str;
use ws_frame::{CloseCode, CloseFrame, FrameHeader, Masker, Opcode};
use ws_protocol::{DeflateConfig, MessageLimits, Output, Protocol, ProtocolError, Role};

/// How the connection is set up.
#[derive(Clone, Copy, Debug)]
struct Setup {
    is_server: bool,
    echo: bool,
    limits: MessageLimits,
    deflate: Option<DeflateConfig>,
}

/// What became of a connection: what happened, and the bytes that it sent.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    happenings: Vec<Happening>,
    sent: Vec<u8>,
}

/// The input is the setup (the role and whether to echo, two limits, what was agreed on compression), the cuts (how many,
/// their lengths), and what the peer sends.
pub fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let flags = script.byte();
    let mut limits = MessageLimits::default();
    limits.max_message_len = script.choose(&[65_536, 1_000, 126, 125, 7, 1, 0]);
    limits.max_fragments = script.choose(&[100, 3, 2, 1, 0]);
    let deflate = deflate(&mut script);
    let setup = Setup { is_server: flags & 1 != 0, echo: flags & 2 != 0, limits, deflate };
    let cuts = usize::from(script.byte() % 16);
    let cuts = script.take(cuts);
    let bytes = script.rest();

    let whole = run(setup, &[bytes]);
    assert_eq!(run(setup, &cut(bytes, cuts)), whole, "cut in pieces of {cuts:?}");
    assert_eq!(run(setup, &cut(bytes, &[1])), whole, "byte by byte");
    if setup.deflate.is_none() {
        assert_eq!(whole.happenings, naive(setup, bytes), "as a naive receiver sees it");
    }
    for happening in &whole.happenings {
        let len = happening.message().map_or(0, |message| message.as_bytes().len());
        assert!(len <= limits.max_message_len, "{len} bytes");
    }
    check_sent(setup, &whole);
}

fn run(setup: Setup, pieces: &[&[u8]]) -> Outcome {
    if setup.is_server {
        drive(Protocol::server(setup.limits), setup, pieces)
    } else {
        drive(client(setup.limits), setup, pieces)
    }
}

fn drive<R: Role>(protocol: Protocol<R>, setup: Setup, pieces: &[&[u8]]) -> Outcome {
    let mut protocol = with(protocol, setup.deflate.as_ref());
    let (mut happenings, mut out) = (Vec::new(), Output::new());
    for piece in pieces {
        feed(&mut protocol, piece, &mut out, |happening, sender, out| {
            if let (Some(message), true) = (happening.message(), setup.echo) {
                sender.send(message, out).expect("nothing was closed");
            }
            happenings.push(happening);
        });
    }
    let code = happenings.iter().find_map(|happening| match happening {
        Happening::Close(code, _) => Some(*code),
        _ => None,
    });
    assert_eq!(protocol.receive_eof(), code.unwrap_or(CloseCode::ABNORMAL));
    Outcome { happenings, sent: out.as_bytes().to_vec() }
}

/// What is sent are whole, legal frames, and the other side sees in them what happened here.
fn check_sent(setup: Setup, outcome: &Outcome) {
    let limits = MessageLimits::default();
    frames::parse(&outcome.sent, !setup.is_server);
    let deflate = setup.deflate.as_ref().map(mirrored);
    let mut seen = Vec::new();
    let mut out = Output::new();
    let on = |happening, _: &mut _, _: &mut _| seen.push(happening);
    if setup.is_server {
        feed(&mut with(client(limits), deflate.as_ref()), &outcome.sent, &mut out, on);
    } else {
        let on = |happening, _: &mut _, _: &mut _| seen.push(happening);
        feed(&mut with(Protocol::server(limits), deflate.as_ref()), &outcome.sent, &mut out, on);
    }
    let expected = outcome.happenings.iter().filter_map(|happening| match happening {
        Happening::Ping(payload) => Some(Happening::Pong(payload.clone())),
        Happening::Pong(_) => None,
        Happening::Close(code, reason) => Some(Happening::Close(*code, reason.clone())),
        Happening::Failure(error) => Some(Happening::Close(error.close_code(), error.to_string())),
        message => setup.echo.then(|| message.clone()),
    });
    assert_eq!(seen, expected.collect::<Vec<_>>(), "as the other side sees it");
}

/// A receiver that has all bytes at once, copies everything, and knows no compression.
fn naive(setup: Setup, mut bytes: &[u8]) -> Vec<Happening> {
    let mut happenings = Vec::new();
    let mut message = None;
    loop {
        match naive_frame(setup, &mut bytes, &mut message) {
            Ok(None) => return happenings,
            Ok(Some(Frame::Fragment)) => {}
            Ok(Some(Frame::Whole(happening))) => {
                let is_close = matches!(happening, Happening::Close(..));
                happenings.push(happening);
                if is_close {
                    return happenings;
                }
            }
            Err(error) => {
                happenings.push(Happening::Failure(error));
                return happenings;
            }
        }
    }
}

/// What a frame brings.
enum Frame {
    Fragment,
    Whole(Happening),
}

/// A message of which some frames have come.
struct Begun {
    is_text: bool,
    frames: u32,
    announced_len: u64,
    bytes: Vec<u8>,
}

/// Takes a frame. `None`: the bytes end within it.
fn naive_frame(
    setup: Setup,
    bytes: &mut &[u8],
    message: &mut Option<Begun>,
) -> Result<Option<Frame>, ProtocolError> {
    let Some((header, header_len)) = FrameHeader::decode(bytes)? else { return Ok(None) };
    if header.masking_key().is_some() != setup.is_server {
        return Err(if setup.is_server { ProtocolError::Unmasked } else { ProtocolError::Masked });
    }
    if header.rsv1() {
        return Err(ProtocolError::Rsv1);
    }
    let opcode = header.opcode();
    let present = bytes.len() - header_len;
    let is_whole = header.payload_len() <= present as u64;
    let len = usize::try_from(header.payload_len()).unwrap_or(usize::MAX).min(present);
    let mut payload = bytes[header_len..header_len + len].to_vec();
    if let Some(key) = header.masking_key() {
        Masker::new(key).apply(&mut payload);
    }
    *bytes = &bytes[header_len + len..];

    if !opcode.is_control() {
        match (opcode, &message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            _ => {}
        }
        let MessageLimits { max_message_len, max_fragments, .. } = setup.limits;
        let is_text = opcode == Opcode::Text;
        let begun = message.get_or_insert(Begun { is_text, frames: 0, announced_len: 0, bytes: Vec::new() });
        begun.frames += 1;
        if begun.frames > max_fragments.max(1) {
            return Err(ProtocolError::TooManyFragments { max_fragments });
        }
        begun.announced_len += header.payload_len();
        if begun.announced_len > max_message_len as u64 {
            return Err(ProtocolError::MessageTooBig { max_message_len });
        }
        begun.bytes.extend(payload);
        let is_end = is_whole && header.is_final();
        if begun.is_text {
            match str::from_utf8(&begun.bytes) {
                Err(error) if is_end || error.error_len().is_some() => {
                    return Err(ProtocolError::InvalidUtf8);
                }
                _ => {}
            }
        }
        if !is_end {
            return Ok(is_whole.then_some(Frame::Fragment));
        }
        return Ok(message.take().map(|Begun { is_text, bytes, .. }| {
            Frame::Whole(if is_text {
                Happening::Text(String::from_utf8(bytes).expect("checked above"))
            } else {
                Happening::Binary(bytes)
            })
        }));
    }
    if !is_whole {
        return Ok(None);
    }
    Ok(Some(Frame::Whole(match opcode {
        Opcode::Ping => Happening::Ping(payload),
        Opcode::Pong => Happening::Pong(payload),
        _ => {
            let CloseFrame { code, reason } = CloseFrame::decode(&payload)?;
            Happening::Close(code, reason.to_owned())
        }
    })))
}

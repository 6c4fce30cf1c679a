//! The same bytes, the same events and the same refusal: against tungstenite, and for what is compressed against miniz
//! (by way of flate2).

mod common;

use common::{Outcome, Side, conversation::any_conversation, from_peer_of, hex, run};
use proptest::prelude::*;
use std::io::{self, Read, Write};
use tungstenite::{
    Error, Message,
    protocol::{Role, WebSocket, WebSocketConfig},
};
use ws_protocol::MessageLimits;

/// More than any frame of a conversation has, and less than some messages have.
const MAX_MESSAGE_SIZE: usize = 450;

/// What a connection makes of its input: its events, and how they end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Conduct {
    events: Vec<String>,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More may come.
    Waiting,
    /// The peer has closed it with this code.
    Closed(u16),
    /// The peer has broken a rule, and this is the code for it.
    Refused(u16),
}

fn ours(side: Side, bytes: &[u8]) -> Conduct {
    let mut limits = MessageLimits::default();
    limits.max_message_len = MAX_MESSAGE_SIZE;
    let Outcome { mut events, sent } = run(side, limits, &[bytes], false);
    let last = events.last().map_or("", String::as_str);
    let code = || sent.last().unwrap().strip_prefix("close ").unwrap().parse().unwrap();
    let end = match last.split(' ').next() {
        Some("close") => End::Closed(code()),
        Some("error:") => End::Refused(code()),
        _ => return Conduct { events, end: End::Waiting },
    };
    events.pop();
    Conduct { events, end }
}

fn tungstenite(side: Side, bytes: &[u8]) -> Conduct {
    let role = if side == Side::Server { Role::Server } else { Role::Client };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_SIZE))
        .max_frame_size(Some(MAX_MESSAGE_SIZE));
    let mut socket = WebSocket::from_raw_socket(Script(bytes), role, Some(config));
    let mut events = Vec::new();
    let end = loop {
        events.push(match socket.read() {
            Ok(Message::Text(text)) => format!("text {text}"),
            Ok(Message::Binary(bytes)) => format!("binary {:02x?}", &*bytes),
            Ok(Message::Ping(payload)) => format!("ping {}", String::from_utf8_lossy(&payload)),
            Ok(Message::Pong(payload)) => format!("pong {}", String::from_utf8_lossy(&payload)),
            Ok(Message::Frame(_)) => unreachable!("never given by read"),
            Ok(Message::Close(None)) => break End::Closed(1005),
            // A code that is not allowed is no error to it: it answers 1002, and reports that.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                break End::Refused(1002);
            }
            Ok(Message::Close(Some(frame))) => break End::Closed(frame.code.into()),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break End::Waiting,
            Err(Error::Protocol(_)) => break End::Refused(1002),
            Err(Error::Utf8(_)) => break End::Refused(1007),
            Err(Error::Capacity(_)) => break End::Refused(1009),
            Err(error) => panic!("{error}"),
        });
    };
    Conduct { events, end }
}

/// A socket on which these bytes have arrived, and which takes whatever is written.
struct Script<'a>(&'a [u8]);

impl Read for Script<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

impl Write for Script<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All that the two are known to differ in: why, the frames, how they end here, and how they end for tungstenite. First
/// for frames that are whole and well-formed.
const DIFFERENCES: [Difference; 2] = [
    ("1014 is registered with IANA (bad gateway)", "88 02 03 f6", End::Closed(1014), End::Refused(1002)),
    (
        "§5.5.1 a close frame with a wrong code and a wrong reason: it looks at the reason first",
        "88 03 03 ec ff",
        End::Refused(1002),
        End::Refused(1007),
    ),
];

/// Then for headers that it does not look at, and frames of which it waits for the rest before it judges them.
const DIFFERENCES_IN_BROKEN_FRAMES: [Difference; 9] = [
    ("§5.2 a length that is not minimal: it passes", "82 7e 00 01 61", End::Refused(1002), End::Waiting),
    ("§8.1 text that is invalid within a frame", "81 05 61 ff", End::Refused(1007), End::Waiting),
    ("§5.2 RSV1", "c1 05", End::Refused(1002), End::Waiting),
    ("§5.4 nothing to continue", "80 05", End::Refused(1002), End::Waiting),
    ("§5.4 a message within a message", "01 01 61 81 05", End::Refused(1002), End::Waiting),
    ("§5.5 a control frame of 126 bytes", "89 7e 00 7e", End::Refused(1002), End::Waiting),
    ("§5.5 a fragmented control frame", "09 05", End::Refused(1002), End::Waiting),
    ("a message that is too big by its headers", "02 02 00 00 80 7e 01 c1", End::Refused(1009), End::Waiting),
    (
        "§5.5 a control frame that is also over the limit: it looks at the limit first",
        "89 7e 01 c3",
        End::Refused(1002),
        End::Refused(1009),
    ),
];

type Difference = (&'static str, &'static str, End, End);

#[test]
fn the_known_differences() {
    for (why, frames, our_end, their_end) in DIFFERENCES.iter().chain(&DIFFERENCES_IN_BROKEN_FRAMES) {
        let bytes = hex(frames);
        assert_eq!(ours(Side::Client, &bytes).end, *our_end, "{why}");
        assert_eq!(tungstenite(Side::Client, &bytes).end, *their_end, "{why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]
    #[test]
    fn a_conversation_in_whole_frames(frames in any_conversation()) {
        for side in [Side::Server, Side::Client] {
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| from_peer_of(side, frame)).collect();
            let (ours, theirs) = (ours(side, &bytes), tungstenite(side, &bytes));
            if DIFFERENCES.iter().any(|known| (known.2, known.3) == (ours.end, theirs.end)) {
                prop_assert_eq!(ours.events, theirs.events);
            } else {
                prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn a_conversation_with_a_few_bits_flipped(
        frames in any_conversation(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
    ) {
        for side in [Side::Server, Side::Client] {
            let mut bytes: Vec<u8> = frames.iter().flat_map(|frame| from_peer_of(side, frame)).collect();
            for (at, bit) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let (ours, theirs) = (ours(side, &bytes), tungstenite(side, &bytes));
            match (ours.end, theirs.end) {
                (End::Closed(1014), End::Refused(1002)) => prop_assert_eq!(ours.events, theirs.events),
                // It waits for the rest of the frame, or goes on after a length that is not minimal, or names another of
                // the rules that are broken.
                (End::Refused(_), End::Waiting | End::Refused(_)) | (End::Refused(1002), End::Closed(_)) => {
                    prop_assert!(theirs.events.starts_with(&ours.events));
                }
                _ => prop_assert_eq!(ours, theirs),
            }
        }
    }
}

#[cfg(feature = "deflate")]
mod compressed {
    use super::common::KEY;
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
    use proptest::prelude::*;
    use ws_frame::{FrameHeader, Opcode};
    use ws_protocol::{DeflateConfig, Event, Input, MessageLimits, Output, Protocol};

    const MAX_MESSAGE_SIZE: usize = 40_000;

    /// What we make of the payload of a compressed message; `None` if it is refused.
    fn ours(payload: &[u8]) -> Option<Vec<u8>> {
        let mut limits = MessageLimits::default();
        limits.max_message_len = MAX_MESSAGE_SIZE;
        let mut protocol = Protocol::client(limits, || KEY).with_deflate(&DeflateConfig::default());
        let header = FrameHeader::new(Opcode::Binary, payload.len() as u64).unwrap().with_rsv1();
        let mut bytes = [header.encode().as_ref(), payload].concat();
        match protocol.receive(&mut Input::new(&mut bytes), &mut Output::new()) {
            Ok(Some((Event::Message(message), _))) => Some(message.as_bytes().to_vec()),
            Ok(_) => panic!("a whole frame is a message"),
            Err(_) => None,
        }
    }

    /// What miniz makes of it; `None` as well if it ends within a block, with the tail that RFC 7692 §7.2.2 appends.
    fn miniz(payload: &[u8]) -> Option<Vec<u8>> {
        let (message, has_ended) = inflate(payload)?;
        if payload.is_empty() || has_ended {
            return Some(message);
        }
        let (whole, has_ended) = inflate(&[payload, &TAIL].concat())?;
        (whole == message && (has_ended || is_whole_blocks(payload))).then_some(message)
    }

    /// Whether it is whole blocks to miniz: an empty one that follows, with BFINAL, ends them.
    fn is_whole_blocks(payload: &[u8]) -> bool {
        inflate(&[payload, &TAIL, &[0x03, 0x00]].concat()).is_some_and(|(_, ended)| ended)
    }

    const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

    /// What there is of a stream, and whether it ends with a block with BFINAL.
    fn inflate(stream: &[u8]) -> Option<(Vec<u8>, bool)> {
        let (mut rest, mut message) = (stream, Vec::new());
        loop {
            // It ends at a block with BFINAL, where a message need not. It is begun anew then, with a block without
            // compression that holds the window.
            let window = &message[message.len() - message.len().min(32 << 10)..];
            let window_len = u16::try_from(window.len()).unwrap();
            let window = [&[0], &window_len.to_le_bytes()[..], &(!window_len).to_le_bytes(), window].concat();
            let mut inflated = vec![0; usize::from(window_len) + MAX_MESSAGE_SIZE + 1];
            let mut inflate = Decompress::new(false);
            let stream = [&window, rest].concat();
            let status = inflate.decompress(&stream, &mut inflated, FlushDecompress::Finish).ok()?;
            inflated.truncate(usize::try_from(inflate.total_out()).unwrap());
            message.extend_from_slice(&inflated[usize::from(window_len)..]);
            if message.len() > MAX_MESSAGE_SIZE {
                return None;
            }
            rest = &rest[usize::try_from(inflate.total_in()).unwrap() - window.len()..];
            if status != Status::StreamEnd || rest.is_empty() {
                return Some((message, status == Status::StreamEnd));
            }
        }
    }

    /// Blocks of every kind, some with BFINAL.
    fn any_payload() -> impl Strategy<Value = Vec<u8>> {
        let text = prop_oneof![
            "[a-e]{0,100}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..100),
            (0..2_000_usize, 1..250_u8).prop_map(|(len, step)| (0..=step).cycle().take(len).collect()),
            "[a-e]{10,40}".prop_map(|unit| unit.repeat(40).into_bytes()),
        ];
        let part = (text, 0..=9_u32, any::<bool>()).prop_map(|(text, level, last)| {
            let mut deflate = Compress::new(Compression::new(level), false);
            let mut bytes = Vec::with_capacity(text.len() + 1_000);
            let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
            deflate.compress_vec(&text, &mut bytes, flush).unwrap();
            bytes
        });
        prop::collection::vec(part, 1..4).prop_map(|parts| {
            let mut payload = parts.concat();
            if payload.ends_with(&[0, 0, 0xff, 0xff]) {
                payload.truncate(payload.len() - 4);
            } else {
                payload.push(0);
            }
            payload
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn what_is_well_formed(payload in any_payload()) {
            let message = ours(&payload);
            prop_assert!(message.is_some());
            prop_assert_eq!(message, miniz(&payload));
        }

        #[test]
        fn what_has_a_few_bits_flipped(
            mut payload in any_payload(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
        ) {
            for (at, bit) in flips {
                let at = at.index(payload.len());
                payload[at] ^= 1 << bit;
            }
            // The two see some errors earlier or later within the header of a block, so that it must not be the last.
            // What follows is empty blocks.
            payload.extend([0, 0, 0xff, 0xff, 0].repeat(100));
            prop_assert_eq!(ours(&payload), miniz(&payload));
        }

        #[test]
        fn what_is_cut(payload in any_payload(), len in any::<prop::sample::Index>()) {
            let payload = &payload[..len.index(payload.len())];
            prop_assert_eq!(ours(payload), miniz(payload));
        }
    }
}

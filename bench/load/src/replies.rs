//! What has to come back: every reply's opcode, length and number are checked, and the full content of one in sixteen.

use crate::Outcome;
use crate::cycle::{Cycle, Frames};
use flate2::{Decompress, FlushDecompress};

/// One reply in so many is compared to its last byte.
const COMPARED: u64 = 16;

/// What every reply is compared in, beside its header: the number at the beginning of its payload.
const NUMBER_LEN: usize = 8;

/// What of compressed JSON is compared in every reply: `{"number":"00000000"`.
const JSON_NUMBER_LEN: usize = 20;

/// The longest header of a server's frame.
const MAX_HEADER_LEN: usize = 10;

/// What a connection has received so far.
pub(crate) struct Progress {
    /// Spreads over the connections which replies are compared in full.
    phase: u64,
    /// Replies that have come in whole.
    pub(crate) messages: u64,
    /// How much of the next one has come.
    offset: usize,
    /// Where replies cannot be foretold: what has come of the next one.
    partial: Vec<u8>,
    inflater: Option<Box<Decompress>>,
}

impl Progress {
    pub(crate) fn new(connection: usize) -> Self {
        Self { phase: connection as u64, messages: 0, offset: 0, partial: Vec::new(), inflater: None }
    }

    fn is_compared(&self) -> bool {
        (self.messages + self.phase).is_multiple_of(COMPARED)
    }
}

/// What replies are checked against.
pub(crate) enum Replies {
    /// The bytes are known beforehand.
    Verbatim {
        /// As they have to come.
        frames: Frames,
        /// How much of each is compared at the least.
        head_len: usize,
    },
    /// The payloads are known, and compressed in the server's own way.
    Compressed {
        /// As they were before.
        cycle: Cycle,
        /// Whether a message may refer to earlier ones.
        takeover: bool,
        /// Where they are inflated.
        inflated: Vec<u8>,
        /// What was received in payloads, compressed and inflated.
        received: Ratio,
    },
}

/// Lengths before and after.
#[derive(Default)]
pub(crate) struct Ratio {
    pub(crate) compressed: u64,
    pub(crate) inflated: u64,
}

impl Replies {
    /// The frames, each as it is.
    pub(crate) fn verbatim(frames: Frames) -> Self {
        let first = frames.range(0, 1);
        let masked_len = if frames.bytes(first.clone())[1] & 0x80 == 0 { 0 } else { 4 };
        let header_len = match frames.bytes(first)[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        Self::Verbatim { frames, head_len: header_len + masked_len + NUMBER_LEN }
    }

    /// The messages, as a server may compress them.
    pub(crate) fn compressed(cycle: Cycle, takeover: bool) -> Self {
        Self::Compressed { cycle, takeover, inflated: Vec::new(), received: Ratio::default() }
    }

    /// Forgets what was received: it does not count.
    pub(crate) fn forget(&mut self) {
        if let Self::Compressed { received, .. } = self {
            *received = Ratio::default();
        }
    }

    /// Checks what has come next on a connection, and counts it in `progress`.
    pub(crate) fn check(&mut self, progress: &mut Progress, received: &[u8]) -> Outcome {
        match self {
            Self::Verbatim { frames, head_len } => check_verbatim(frames, *head_len, progress, received),
            Self::Compressed { cycle, takeover, inflated, received: ratio } => {
                let mut partial = std::mem::take(&mut progress.partial);
                partial.extend_from_slice(received);
                let mut rest = partial.as_slice();
                while let Some((first, payload, after)) = split_frame(rest) {
                    let expect = &cycle.payloads[(progress.messages % cycle.payloads.len() as u64) as usize];
                    let message = match first ^ cycle.opcode {
                        0x80 => payload,
                        0xc0 => {
                            inflate(&mut progress.inflater, payload, *takeover, expect.len(), inflated)?;
                            &*inflated
                        }
                        _ => return Err(wrong(progress, &[first])),
                    };
                    let len = if progress.is_compared() { expect.len() } else { JSON_NUMBER_LEN };
                    if message.len() != expect.len() || message[..len] != expect[..len] {
                        return Err(wrong(progress, message));
                    }
                    ratio.compressed += payload.len() as u64;
                    ratio.inflated += message.len() as u64;
                    progress.messages += 1;
                    rest = after;
                }
                let used = partial.len() - rest.len();
                partial.drain(..used);
                progress.partial = partial;
                Ok(())
            }
        }
    }
}

fn check_verbatim(frames: &Frames, head_len: usize, progress: &mut Progress, mut received: &[u8]) -> Outcome {
    while !received.is_empty() {
        let expect = &frames.bytes(frames.range(progress.messages, 1))[progress.offset..];
        let len = expect.len().min(received.len());
        let compared =
            if progress.is_compared() { len } else { head_len.saturating_sub(progress.offset).min(len) };
        if received[..compared] != expect[..compared] {
            return Err(wrong(progress, received));
        }
        progress.offset += len;
        if len == expect.len() {
            progress.messages += 1;
            progress.offset = 0;
        }
        received = &received[len..];
    }
    Ok(())
}

/// The first byte of a server's frame, its payload, and what follows; `None` if it has not come in whole.
fn split_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (len, rest) = match short {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*len)).ok()?, rest)
        }
        // With the bit for a mask, it is a length that no reply has.
        short => (usize::from(short), rest),
    };
    let (payload, after) = rest.split_at_checked(len)?;
    Some((first, payload, after))
}

/// RFC 7692 §7.2.2.
fn inflate(
    inflater: &mut Option<Box<Decompress>>,
    payload: &[u8],
    takeover: bool,
    len: usize,
    inflated: &mut Vec<u8>,
) -> Outcome {
    let inflater = inflater.get_or_insert_with(|| Box::new(Decompress::new(false)));
    if !takeover {
        inflater.reset(false);
    }
    inflated.clear();
    inflated.reserve(2 * len);
    inflater.decompress_vec(payload, inflated, FlushDecompress::Sync)?;
    inflater.decompress_vec(&[0, 0, 0xff, 0xff], inflated, FlushDecompress::Sync)?;
    Ok(())
}

fn wrong(progress: &Progress, received: &[u8]) -> Box<dyn std::error::Error> {
    let shown = &received[..received.len().min(MAX_HEADER_LEN + JSON_NUMBER_LEN)];
    format!(
        "reply {} of connection {} is wrong, from its byte {}: {shown:02x?}",
        progress.messages, progress.phase, progress.offset
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::{Progress, Replies};
    use crate::Payload;
    use crate::cycle::{Cycle, Frames};

    const LEN: usize = 300;

    /// Two rounds of frames, and what follows.
    fn stream(frames: &Frames, messages: u64) -> Vec<u8> {
        (0..messages).flat_map(|message| frames.bytes(frames.range(message, 1)).to_vec()).collect()
    }

    /// How many replies were counted, unless one was wrong.
    fn check(mut replies: Replies, stream: &[u8], piece_len: usize) -> Option<u64> {
        let mut progress = Progress::new(0);
        for piece in stream.chunks(piece_len) {
            replies.check(&mut progress, piece).ok()?;
        }
        Some(progress.messages)
    }

    #[test]
    fn replies_in_any_pieces_are_counted() {
        let cycle = Cycle::new(Payload::Text, LEN, 1);
        let stream = stream(&cycle.replies(), 600);
        for piece_len in [1, 7, LEN, 5000, stream.len()] {
            assert_eq!(
                check(Replies::verbatim(cycle.replies()), &stream, piece_len),
                Some(600),
                "{piece_len}"
            );
        }
    }

    #[test]
    fn a_reply_that_is_wrong_is_found() {
        let cycle = Cycle::new(Payload::Text, LEN, 1);
        let stream = stream(&cycle.replies(), 64);
        let frame_len = stream.len() / 64;
        for (what, at) in [
            ("opcode", 5 * frame_len),
            ("length", 5 * frame_len + 3),
            ("number", 5 * frame_len + 11),
            ("content of one in sixteen", 16 * frame_len + 200),
        ] {
            let mut stream = stream.clone();
            stream[at] ^= 1;
            assert_eq!(check(Replies::verbatim(cycle.replies()), &stream, 4096), None, "{what}");
        }
        let swapped = [&stream[frame_len..2 * frame_len], &stream[..frame_len]].concat();
        assert_eq!(check(Replies::verbatim(cycle.replies()), &swapped, 4096), None, "order");
    }

    #[test]
    fn compressed_replies_are_inflated() {
        // A client's frame differs from a server's in its mask only.
        let unmasked = |masked: &[u8]| {
            let (header_len, len) = match masked[1] & 0x7f {
                126 => (4, u16::from_be_bytes([masked[2], masked[3]]) as usize),
                len => (2, usize::from(len)),
            };
            let key = &masked[header_len..header_len + 4];
            let payload =
                masked[header_len + 4..].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
            let mut frame = masked[..header_len].to_vec();
            frame[1] &= 0x7f;
            frame.extend(payload);
            assert_eq!(frame.len(), header_len + len);
            frame
        };
        for takeover in [false, true] {
            let cycle = || Cycle::new(Payload::Json, 1024, 1);
            let requests = cycle().compressed_requests(1, takeover).unwrap();
            let frames: Vec<u8> =
                (0..400).flat_map(|message| unmasked(requests.bytes(requests.range(message, 1)))).collect();
            for piece_len in [1, 100, frames.len()] {
                let replies = Replies::compressed(cycle(), takeover);
                assert_eq!(check(replies, &frames, piece_len), Some(400), "takeover: {takeover}");
            }
            let mut wrong = frames.clone();
            // In the first reply, which is compared in full.
            wrong[100] ^= 1;
            assert_eq!(check(Replies::compressed(cycle(), takeover), &wrong, frames.len()), None);
        }
    }
}

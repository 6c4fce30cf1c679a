//! Messages that are built beforehand and sent round and round.

use crate::{Outcome, Payload};
use flate2::{Compress, Compression, FlushCompress};
use std::ops::Range;

/// RFC 6455 §5.3 wants a new one for each frame. The server does the same work for any but zero.
const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// About as much as is sent round and round, where messages are small.
const CYCLE_LEN: usize = 256 * 1024;

/// How many messages of JSON a cycle has at the least: none may be found again in what a window of 32 KiB holds.
const JSON_MESSAGES: usize = 80;

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const FINAL: u8 = 0x80;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;

/// The messages of a connection, and how their frames begin again after the last one.
///
/// Each begins with its number in the cycle, so that none can be mistaken for another.
pub(crate) struct Cycle {
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) opcode: u8,
}

/// Frames that lie one behind the other, so that any few of them are one write.
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Where each frame begins, and where the last one ends.
    starts: Vec<usize>,
    /// How many frames come before the cycle, once.
    lead: u64,
    period: u64,
}

impl Cycle {
    /// Messages of this length, for connections with so many of them on their way at once.
    pub(crate) fn new(payload: Payload, payload_len: usize, depth: usize) -> Self {
        // Odd, so that no message always has the same place among those of one write.
        let messages = (2 * depth).max((CYCLE_LEN / payload_len).min(254)) | 1;
        let messages = if payload == Payload::Json { messages.max(JSON_MESSAGES) } else { messages };
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let payloads = (0..messages).map(|number| match payload {
            Payload::Binary => binary(number, payload_len, &mut random),
            Payload::Text => {
                text(number, payload_len, &['a', 'e', 'i', 'n', 's', 't', ' ', '.'], &mut random)
            }
            Payload::Mixed => {
                text(number, payload_len, &['a', 'e', ' ', 'é', 'ß', '語', '本', '🦀'], &mut random)
            }
            Payload::Json => json(number, payload_len, &mut random),
        });
        let opcode = if payload == Payload::Binary { BINARY } else { TEXT };
        Self { payloads: payloads.collect(), opcode }
    }

    /// As a client sends them: masked.
    pub(crate) fn requests(&self, depth: usize) -> Frames {
        self.frames(depth, |payload, frame| append_masked(FINAL | self.opcode, payload, frame))
    }

    /// As a server sends them.
    pub(crate) fn replies(&self) -> Frames {
        self.frames(0, |payload, frame| {
            append_header(FINAL | self.opcode, 0, payload.len(), frame);
            frame.extend_from_slice(payload);
        })
    }

    /// As a client sends them when permessage-deflate is agreed (RFC 7692 §7.2.1).
    pub(crate) fn compressed_requests(&self, depth: usize, takeover: bool) -> Outcome<Frames> {
        let mut deflater = Compress::new(Compression::default(), false);
        let mut frames = Vec::new();
        // With takeover, a message is compressed differently when there is nothing before it. The second time round it
        // refers to what it will refer to ever after.
        let lead = if takeover { self.payloads.len() } else { 0 };
        for payload in self.payloads.iter().cycle().take(lead + self.payloads.len()) {
            if !takeover {
                deflater.reset();
            }
            let mut deflated = Vec::with_capacity(2 * payload.len() + 64);
            deflater.compress_vec(payload, &mut deflated, FlushCompress::Sync)?;
            let body = deflated.strip_suffix(&[0, 0, 0xff, 0xff]).ok_or("deflate was not flushed")?;
            let mut frame = Vec::new();
            append_masked(FINAL | RSV1 | self.opcode, body, &mut frame);
            frames.push(frame);
        }
        Ok(Frames::new(&frames, lead, depth))
    }

    fn frames(&self, depth: usize, append: impl Fn(&[u8], &mut Vec<u8>)) -> Frames {
        let frames = self.payloads.iter().map(|payload| {
            let mut frame = Vec::with_capacity(payload.len() + 14);
            append(payload, &mut frame);
            frame
        });
        Frames::new(&frames.collect::<Vec<_>>(), 0, depth)
    }
}

impl Frames {
    /// `lead` of the frames come once, the others again and again. Any `depth` of them can be taken at once.
    fn new(frames: &[Vec<u8>], lead: usize, depth: usize) -> Self {
        let period = frames.len() - lead;
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for frame in frames.iter().chain(frames[lead..].iter().cycle().take(depth)) {
            starts.push(bytes.len());
            bytes.extend_from_slice(frame);
        }
        starts.push(bytes.len());
        Self { bytes, starts, lead: lead as u64, period: period as u64 }
    }

    /// Where the frames of these messages lie. There are `depth` of them at most.
    pub(crate) fn range(&self, first: u64, count: usize) -> Range<usize> {
        let slot = self.slot(first);
        self.starts[slot]..self.starts[slot + count]
    }

    /// The bytes at such a place.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    fn slot(&self, message: u64) -> usize {
        let slot =
            if message < self.lead { message } else { self.lead + (message - self.lead) % self.period };
        slot as usize
    }
}

fn append_masked(first: u8, payload: &[u8], frame: &mut Vec<u8>) {
    append_header(first, MASKED, payload.len(), frame);
    frame.extend_from_slice(&MASKING_KEY);
    frame.extend(payload.iter().zip(MASKING_KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
}

fn append_header(first: u8, masked: u8, payload_len: usize, frame: &mut Vec<u8>) {
    frame.push(first);
    if payload_len < 126 {
        frame.push(masked | payload_len as u8);
    } else if payload_len <= usize::from(u16::MAX) {
        frame.push(masked | 126);
        frame.extend_from_slice(&(payload_len as u16).to_be_bytes());
    } else {
        frame.push(masked | 127);
        frame.extend_from_slice(&(payload_len as u64).to_be_bytes());
    }
}

fn binary(number: usize, len: usize, random: &mut Random) -> Vec<u8> {
    let mut payload = (number as u64).to_be_bytes().to_vec();
    payload.resize_with(len, || random.next() as u8);
    payload
}

fn text(number: usize, len: usize, characters: &[char], random: &mut Random) -> Vec<u8> {
    let mut payload = format!("{number:08}");
    while payload.len() < len {
        let character = random.pick(characters);
        payload.push(if payload.len() + character.len_utf8() > len { '.' } else { character });
    }
    payload.into_bytes()
}

/// What a program tells another every second: the same fields each time, and values that differ. zlib makes it 2.75 times
/// smaller when each message is by itself, and 5.4 times when it may refer to earlier ones.
fn json(number: usize, len: usize, random: &mut Random) -> Vec<u8> {
    let mut payload = format!("{{\"number\":\"{number:08}\",\"readings\":[");
    loop {
        let place =
            ["north pier", "south gate", "roof terrace", "cellar door", "engine room", "harbour office"];
        let remark = ["within the expected range", "calibrated this morning", "last contact was interrupted"];
        let reading = format!(
            "{{\"sensor\":\"{}\",\"serial\":\"{:012x}\",\"value\":{}.{:03},\"unit\":\"{}\",\"time\":{},\"remark\":\"{}\"}},",
            random.pick(&place),
            random.next(),
            random.next() % 100,
            random.next() % 1000,
            random.pick(&["°C", "hPa", "%", "lx"]),
            1_780_000_000 + random.next() % 10_000_000,
            random.pick(&remark),
        );
        if payload.len() + reading.len() + 2 > len {
            break;
        }
        payload.push_str(&reading);
    }
    payload.pop();
    payload.push(']');
    let rest = len.saturating_sub(payload.len() + 1);
    payload.extend(std::iter::repeat_n(' ', rest));
    payload.push('}');
    payload.into_bytes()
}

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.next() as usize % among.len()]
    }
}

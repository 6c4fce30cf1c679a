//! permessage-deflate, the transformation of data (RFC 7692 §7.2).
//!
//! A compressed message is a sequence of DEFLATE blocks without its last four bytes, `00 00 ff ff`, marked by RSV1 on its
//! first frame. What the two sides agree on is whether a message may refer to those before it (*context takeover*), and
//! how far back (the window).

use crate::{Limits, ProtocolError, assembly::Assembly};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use zlib_rs::{DeflateFlush, Inflate, InflateFlush, Status};

/// What ends every message before it is sent, and is not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The largest window there is, in bits: 32 KiB.
const MAX_WINDOW_BITS: u8 = 15;

/// How much is inflated or compressed at a time.
const CHUNK_LEN: usize = 16 << 10;

/// About what an inflater takes of memory, in bytes.
const INFLATER_LEN: usize = 48_000;

/// How many inflaters are kept for the next messages. More exist only while as many messages are under way.
const SPARE_INFLATERS: usize = 4;

/// What was agreed on permessage-deflate (RFC 7692 §7.1), as this side sees it, and how this side makes use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateConfig {
    /// What is sent may refer to messages before it: this connection has a compressor of its own. Not so by default:
    /// those that share an [`Output`](crate::Output) share its compressor.
    pub send_takeover: bool,
    /// The window that the peer has for what is sent, in bits: 8 to 15, by default 15.
    pub send_window_bits: u8,
    /// What is received may refer to messages before it: their last bytes are kept, a window at most. Not so by
    /// default.
    pub receive_takeover: bool,
    /// The window that the peer needs for what it sends, in bits: 8 to 15, by default 15.
    pub receive_window_bits: u8,
    /// Messages of fewer bytes are sent as they are; 128 by default.
    pub min_len: usize,
    /// How hard the compressor tries: 1, the fastest, to 9; 6 by default.
    pub level: u8,
}

impl DeflateConfig {
    /// About how many bytes a compressor takes that a connection has to itself, with
    /// [`send_takeover`](Self::send_takeover): 250 KB, and four times its window. 0 without.
    pub const fn own_compressor_len(&self) -> usize {
        if self.send_takeover { 249_000 + (4 << self.send_window_bits) } else { 0 }
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            send_takeover: false,
            send_window_bits: MAX_WINDOW_BITS,
            receive_takeover: false,
            receive_window_bits: MAX_WINDOW_BITS,
            min_len: 128,
            level: 6,
        }
    }
}

/// What connections share: compressors and inflaters, between one message and the next.
#[derive(Default)]
pub(crate) struct Codec {
    /// One for each window and level that a connection has asked for.
    compressors: Vec<Compressor>,
    #[expect(clippy::vec_box, reason = "they go to a connection and come back: that moves a pointer")]
    inflaters: Vec<Box<Inflate>>,
    /// What is being inflated.
    chunk: Vec<u8>,
    /// The message that was compressed last, and what was there before.
    compressed: Vec<u8>,
}

/// The window and the level of a shared compressor.
pub(crate) type Shared = (u8, u8);

/// How a connection sends.
pub(crate) struct Compression {
    window_bits: u8,
    level: u8,
    min_len: usize,
    /// The compressor of this connection alone: it remembers what it has sent.
    own: Option<Box<Compressor>>,
}

/// How a connection receives.
pub(crate) struct Inflation {
    takeover: bool,
    window_len: usize,
    /// The last bytes of what was received, a window at most, if messages may refer to them.
    history: Vec<u8>,
    /// In use for the message under way.
    inflater: Option<Box<Inflate>>,
}

struct Compressor {
    deflate: zlib_rs::Deflate,
    window_bits: u8,
    level: u8,
}

impl Compression {
    pub(crate) fn new(config: &DeflateConfig) -> Self {
        let DeflateConfig { send_window_bits: window_bits, level, min_len, .. } = *config;
        // No compressor can do with a window of 8 bits. Short messages can: see `applies_to`.
        let own = config.send_takeover && window_bits > 8;
        Self { window_bits, level, min_len, own: own.then(|| Box::new(Compressor::new(window_bits, level))) }
    }

    /// Whether a message of this length is to be compressed.
    pub(crate) fn applies_to(&self, len: usize) -> bool {
        // With 8 bits agreed, the peer has a window of 256 bytes. A message that fits it cannot refer further back,
        // whatever the window of its compressor.
        len >= self.min_len.max(1) && (self.window_bits > 8 || len <= 256)
    }

    /// What connections that share a compressor have in common: the same message is the same bytes for all of them.
    pub(crate) fn shared_with(&self) -> Option<Shared> {
        self.own.is_none().then_some((self.window_bits.max(9), self.level))
    }

    /// Compresses a message, and gives its payload (RFC 7692 §7.2.1). `None`: it would not get smaller, and is better
    /// sent as it is.
    pub(crate) fn compress<'c>(&mut self, message: &[u8], codec: &'c mut Codec) -> Option<&'c [u8]> {
        let out = &mut codec.compressed;
        out.truncate(4 * CHUNK_LEN);
        out.shrink_to(4 * CHUNK_LEN);
        if let Some(compressor) = &mut self.own {
            // It remembers the message, so the peer has to have it too, whatever it has become.
            return Some(compressor.compress(message, out));
        }
        let wanted = (self.window_bits.max(9), self.level);
        let index = codec.compressors.iter().position(|it| (it.window_bits, it.level) == wanted);
        let compressor = match index.and_then(|index| codec.compressors.get_mut(index)) {
            Some(compressor) => compressor,
            None => codec.compressors.push_mut(Compressor::new(wanted.0, wanted.1)),
        };
        // RFC 7692 §7.1.1.1: without context takeover, each message is compressed as if it were the first.
        compressor.deflate.reset();
        Some(compressor.compress(message, out)).filter(|compressed| compressed.len() < message.len())
    }
}

impl Compressor {
    fn new(window_bits: u8, level: u8) -> Self {
        Self { deflate: zlib_rs::Deflate::new(i32::from(level), false, window_bits), window_bits, level }
    }

    /// RFC 7692 §7.2.1: compresses the message, to the end of an empty block without compression, and leaves out its
    /// last four bytes. `buffer` is written over from its start, and made longer where it has to be.
    fn compress<'b>(&mut self, mut message: &[u8], buffer: &'b mut Vec<u8>) -> &'b [u8] {
        let mut len = 0;
        loop {
            if buffer.len() < len + CHUNK_LEN {
                buffer.resize(len + CHUNK_LEN, 0);
            }
            let (total_in, total_out) = (self.deflate.total_in(), self.deflate.total_out());
            let status = self.deflate.compress(message, &mut buffer[len..], DeflateFlush::SyncFlush);
            let taken = progress(total_in, self.deflate.total_in());
            len += progress(total_out, self.deflate.total_out());
            message = message.get(taken..).unwrap_or_default();
            // All is taken, and flushed to the last byte, once there is room left. (It fails only where it could do
            // nothing at all.)
            if status.is_err() || (message.is_empty() && len < buffer.len()) {
                break;
            }
        }
        let compressed = &buffer[..len];
        compressed.strip_suffix(&TAIL).unwrap_or(compressed)
    }
}

impl Inflation {
    pub(crate) fn new(config: &DeflateConfig) -> Self {
        Self {
            takeover: config.receive_takeover,
            window_len: 1 << config.receive_window_bits.clamp(8, MAX_WINDOW_BITS),
            history: Vec::new(),
            inflater: None,
        }
    }

    /// What it takes of memory, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        self.history.capacity() + if self.inflater.is_some() { INFLATER_LEN } else { 0 }
    }

    /// Inflates the next bytes of a compressed message into `message`.
    ///
    /// # Errors
    ///
    /// They do not inflate, or to more than the limit, or to what is no UTF-8.
    pub(crate) fn inflate(
        &mut self,
        mut piece: &[u8],
        message: &mut Assembly,
        limits: Limits,
        codec: &mut Codec,
    ) -> Result<(), ProtocolError> {
        let inflater = self.inflater.get_or_insert_with(|| {
            let mut inflater =
                codec.inflaters.pop().unwrap_or_else(|| Box::new(Inflate::new(false, MAX_WINDOW_BITS)));
            restart(&mut inflater, &self.history);
            inflater
        });
        codec.chunk.resize(CHUNK_LEN, 0);
        loop {
            let (total_in, total_out) = (inflater.total_in(), inflater.total_out());
            let status = inflater.decompress(piece, &mut codec.chunk, InflateFlush::NoFlush);
            let taken = progress(total_in, inflater.total_in());
            let made = progress(total_out, inflater.total_out());
            piece = piece.get(taken..).unwrap_or_default();
            message.push_inflated(codec.chunk.get(..made).unwrap_or_default(), limits)?;
            match status.map_err(|_| ProtocolError::Inflate)? {
                // RFC 7692 §7.2.3.5: a block with BFINAL set is not the end of the message. What follows goes on with
                // the same window.
                Status::StreamEnd => {
                    let window = last_bytes(&self.history, &message.tail(self.window_len), self.window_len);
                    restart(inflater, &window);
                    if piece.is_empty() {
                        return Ok(());
                    }
                }
                // It waits for more.
                _ if made < CHUNK_LEN && (piece.is_empty() || taken == 0) => return Ok(()),
                _ => {}
            }
        }
    }

    /// Ends a compressed message (RFC 7692 §7.2.2).
    ///
    /// # Errors
    ///
    /// As [`inflate`](Self::inflate).
    pub(crate) fn finish(
        &mut self,
        message: &mut Assembly,
        limits: Limits,
        codec: &mut Codec,
    ) -> Result<(), ProtocolError> {
        self.inflate(&TAIL, message, limits, codec)?;
        if self.takeover {
            let newer = message.tail(self.window_len);
            let excess = (self.history.len() + newer.len()).saturating_sub(self.window_len);
            self.history.drain(..excess);
            self.history.reserve_exact(newer.len());
            self.history.extend_from_slice(&newer);
        }
        codec.inflaters.extend(self.inflater.take());
        codec.inflaters.truncate(SPARE_INFLATERS);
        Ok(())
    }
}

/// Begins a new stream that may refer to `window`.
fn restart(inflater: &mut Inflate, window: &[u8]) {
    inflater.reset(false);
    if !window.is_empty() {
        // It fails in the middle of a stream only.
        let _ = inflater.set_dictionary(window);
    }
}

/// The last `max_len` bytes of `older` and then `newer`.
fn last_bytes(older: &[u8], newer: &[u8], max_len: usize) -> Vec<u8> {
    let newer = &newer[newer.len().saturating_sub(max_len)..];
    let older = &older[older.len().saturating_sub(max_len - newer.len())..];
    [older, newer].concat()
}

/// What a counter has moved by.
fn progress(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or_default()
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression").finish_non_exhaustive()
    }
}

impl fmt::Debug for Inflation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflation").finish_non_exhaustive()
    }
}

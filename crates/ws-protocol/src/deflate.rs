//! permessage-deflate, the transformation of data (RFC 7692 §7.2).
//!
//! A compressed message is a sequence of DEFLATE blocks without its last four bytes, `00 00 ff ff`, marked by RSV1 on its
//! first frame. What the two sides agree on is whether a message may refer to those before it (*context takeover*), and
//! how far back (the window).

use crate::{
    CompressionLevel, DeflateConfig, MessageLimits, Prepared, ProtocolError, WindowBits,
    assembly::{Assembly, last_bytes},
    deflate_config::compressor_len,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{fmt, mem};
use zlib_rs::{DeflateFlush, Inflate, InflateError, InflateFlush, Status};

/// The end of every compressed message, which is not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How many bytes are inflated or compressed at a time.
const CHUNK_LEN: usize = 16 << 10;

/// About what an inflater takes of memory, in bytes.
const INFLATER_LEN: usize = 48_000;

/// How many inflaters are kept for the next messages. More exist only while as many messages are under way.
const SPARE_INFLATERS: usize = 4;

/// The longest message that is compressed at all, in bytes. Level 1 takes up to 0.012 µs a byte.
const MAX_COMPRESSED_LEN: usize = 2 << 20;

/// What connections share: compressors and inflaters, between one message and the next.
#[derive(Default)]
pub(crate) struct CodecPool {
    /// One for each window that a connection has asked for.
    compressors: Vec<Compressor>,
    #[expect(clippy::vec_box, reason = "they go to a connection and come back: that moves a pointer")]
    inflaters: Vec<Box<Inflate>>,
    /// What is being inflated.
    chunk: Vec<u8>,
    /// The message that was compressed last, and what was there before.
    compressed: Vec<u8>,
}

/// How a connection sends.
pub(crate) struct Deflation {
    window_bits: WindowBits,
    level: CompressionLevel,
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
    /// The message has a block with BFINAL set.
    has_final_block: bool,
    /// The last block was such a block: the inflater has to begin a new stream before it can go on.
    is_at_end: bool,
}

struct Compressor {
    deflate: zlib_rs::Deflate,
    window_bits: WindowBits,
}

impl Deflation {
    pub(crate) fn new(config: &DeflateConfig) -> Self {
        let DeflateConfig { send_context_takeover, send_window_bits: window_bits, level, min_len, .. } =
            *config;
        // No compressor can do with a window of 8 bits. Short messages can: see `applies_to`.
        let own = send_context_takeover && window_bits >= WindowBits::MIN_COMPRESSOR;
        // RFC 7692 §7.1.1.1: a side "MAY" take over its window. Without memory for a compressor, this one does not.
        let own = own.then(|| Compressor::new(window_bits, level)).flatten().map(Box::new);
        Self { window_bits, level, min_len, own }
    }

    /// Whether a message of this length is to be compressed.
    pub(crate) fn applies_to(&self, len: usize) -> bool {
        // With 8 bits agreed, the peer has a window of 256 bytes. A message that fits it cannot refer further back,
        // whatever the window of its compressor.
        let has_compressor = self.window_bits >= WindowBits::MIN_COMPRESSOR;
        let max_len = if has_compressor { MAX_COMPRESSED_LEN } else { self.window_bits.window_len() };
        len >= self.min_len.max(1) && len <= max_len
    }

    /// The frame of a message for all connections that share this compressor; `None`: this connection has its own.
    pub(crate) fn prepare<'p>(
        &mut self,
        prepared: &'p Prepared,
        pool: &mut CodecPool,
    ) -> Option<&'p Arc<[u8]>> {
        if self.own.is_some() {
            return None;
        }
        let window_bits = self.window_bits.max(WindowBits::MIN_COMPRESSOR);
        let key = (window_bits, self.level.for_len(prepared.len()));
        let message = prepared.message();
        Some(prepared.compressed(key, || self.compress(message.as_bytes(), pool)))
    }

    /// Compresses a message, and gives its payload (RFC 7692 §7.2.1). `None`: it would not get smaller, or there is no
    /// memory for it, and it is to be sent as it is.
    pub(crate) fn compress<'c>(&mut self, message: &[u8], pool: &'c mut CodecPool) -> Option<&'c [u8]> {
        let CodecPool { compressed: out, compressors, .. } = pool;
        out.truncate(4 * CHUNK_LEN);
        out.shrink_to(4 * CHUNK_LEN);
        let level = self.level.for_len(message.len());
        let len = match &mut self.own {
            Some(own) if level == self.level => own.compress_in_context(message, out),
            Some(own) => {
                let len = own.compress_alone(message, level, out);
                // RFC 7692 §7.2.2: a message is inflated with "the LZ77 sliding window used to process the last
                // compressed message". One that goes uncompressed leaves that window as it was.
                own.begin(self.level, if len.is_some() { message } else { &[] });
                len
            }
            None => {
                let window_bits = self.window_bits.max(WindowBits::MIN_COMPRESSOR);
                let index = compressors.iter().position(|it| it.window_bits == window_bits);
                let compressor = match index.and_then(|index| compressors.get_mut(index)) {
                    Some(compressor) => compressor,
                    None => compressors.push_mut(Compressor::new(window_bits, level)?),
                };
                compressor.compress_alone(message, level, out)
            }
        };
        out.get(..len?)
    }

    /// The peer did not get the message that was compressed last: none of the next ones may refer to it.
    pub(crate) fn forget(&mut self) {
        if let Some(own) = &mut self.own {
            own.begin(self.level, &[]);
        }
    }
}

impl Compressor {
    /// `None`: there is no memory for it.
    fn new(window_bits: WindowBits, level: CompressionLevel) -> Option<Self> {
        let bits = window_bits.get();
        // zlib-rs panics where it gets no memory.
        has_memory_for(compressor_len(window_bits)).then(|| Self {
            deflate: zlib_rs::Deflate::new(i32::from(level.get()), false, bits),
            window_bits,
        })
    }

    /// Begins anew, at this level, after messages that end with these bytes.
    fn begin(&mut self, level: CompressionLevel, before: &[u8]) {
        self.deflate.reset();
        // These fail in the middle of a stream only.
        let _ = self.deflate.set_level(i32::from(level.get()));
        if !before.is_empty() {
            let _ = self.deflate.set_dictionary(last_bytes(before, self.window_bits.window_len()));
        }
    }

    /// Compresses a message that refers to no other. Gives the length of its payload, if that is less.
    fn compress_alone(
        &mut self,
        message: &[u8],
        level: CompressionLevel,
        buffer: &mut Vec<u8>,
    ) -> Option<usize> {
        // RFC 7692 §7.1.1.1: without context takeover, each message is compressed as if it were the first.
        self.begin(level, &[]);
        self.compress(message, buffer).filter(|len| *len < message.len())
    }

    /// Compresses a message that may refer to those before it. It becomes one of them, so the peer has to have it, too,
    /// even if it got no smaller.
    fn compress_in_context(&mut self, message: &[u8], buffer: &mut Vec<u8>) -> Option<usize> {
        let len = self.compress(message, buffer);
        if len.is_none() {
            self.deflate.reset();
        }
        len
    }

    /// RFC 7692 §7.2.1: compresses the message, to the end of an empty block without compression, and leaves out its
    /// last four bytes. `buffer` is written over from its start, and made longer where it has to be. `None`: that it
    /// cannot be.
    fn compress(&mut self, mut message: &[u8], buffer: &mut Vec<u8>) -> Option<usize> {
        let mut len = 0;
        loop {
            if buffer.len() < len + CHUNK_LEN {
                buffer.try_reserve(len + CHUNK_LEN - buffer.len()).ok()?;
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
        Some(compressed.strip_suffix(&TAIL).unwrap_or(compressed).len())
    }
}

impl CodecPool {
    /// An inflater in any state.
    fn inflater(&mut self) -> Result<Box<Inflate>, ProtocolError> {
        if let Some(inflater) = self.inflaters.pop() {
            return Ok(inflater);
        }
        // zlib-rs panics where it gets no memory.
        if !has_memory_for(INFLATER_LEN) {
            return Err(ProtocolError::OutOfMemory);
        }
        Ok(Box::new(Inflate::new(false, WindowBits::MAX.get())))
    }
}

impl Inflation {
    pub(crate) fn new(config: &DeflateConfig) -> Self {
        Self {
            takeover: config.receive_context_takeover,
            window_len: config.receive_window_bits.window_len(),
            history: Vec::new(),
            inflater: None,
            has_final_block: false,
            is_at_end: false,
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
    /// They do not inflate, or to more than a limit, or to what is no UTF-8, or there is no memory for them.
    pub(crate) fn inflate(
        &mut self,
        mut piece: &[u8],
        message: &mut Assembly,
        limits: MessageLimits,
        pool: &mut CodecPool,
    ) -> Result<(), ProtocolError> {
        let inflater = match &mut self.inflater {
            Some(inflater) => inflater,
            None => {
                let inflater = self.inflater.insert(pool.inflater()?);
                begin(inflater, [self.history.as_slice()]);
                (self.has_final_block, self.is_at_end) = (false, false);
                inflater
            }
        };
        let chunk = &mut pool.chunk;
        chunk.try_reserve_exact(CHUNK_LEN - chunk.len())?;
        chunk.resize(CHUNK_LEN, 0);
        loop {
            if piece.is_empty() && self.is_at_end {
                return Ok(());
            }
            let Step { status, taken, made } = if mem::take(&mut self.is_at_end) {
                next_stream(inflater, &self.history, message, self.window_len, piece, chunk)
            } else {
                step(inflater, piece, chunk)
            };
            piece = piece.get(taken..).unwrap_or_default();
            message.push_inflated(chunk.get(..made).unwrap_or_default(), limits)?;
            match status.map_err(|_| ProtocolError::Inflate)? {
                Status::StreamEnd => {
                    // Many senders end each message with such a block, so that the first is free.
                    if mem::replace(&mut self.has_final_block, true) {
                        message.count_fragment(limits)?;
                    }
                    self.is_at_end = true;
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
    /// It ends within a block, or there is no memory for what the next message may refer to.
    pub(crate) fn finish(&mut self, message: &Assembly, pool: &mut CodecPool) -> Result<(), ProtocolError> {
        if !self.ends_with_a_block(&mut pool.chunk) {
            return Err(ProtocolError::Inflate);
        }
        if self.takeover {
            let newer = message.tail(self.window_len);
            let newer_len = newer.map(<[u8]>::len).iter().sum();
            let kept_len = last_bytes(&self.history, self.window_len.saturating_sub(newer_len)).len();
            self.history.drain(..self.history.len() - kept_len);
            self.history.try_reserve_exact(newer_len)?;
            newer.into_iter().for_each(|part| self.history.extend_from_slice(part));
        }
        pool.inflaters.extend(self.inflater.take());
        pool.inflaters.truncate(SPARE_INFLATERS);
        Ok(())
    }
}

impl Inflation {
    /// Whether the message ends where a block does: one that is cut is not what its sender meant. RFC 7692 §7.2.1: a
    /// message is "one or more DEFLATE blocks". What a sender has left out, an empty block, makes nothing, unless bytes are
    /// missing that it stands for.
    fn ends_with_a_block(&mut self, chunk: &mut [u8]) -> bool {
        /// Ends a stream, but only between two blocks.
        const FINAL_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];
        let Some(inflater) = &mut self.inflater else { return true };
        // A final block that is the last has no tail. Nothing at all, which is no block, is what some senders make of an
        // empty message.
        if self.is_at_end || (inflater.total_in() == 0 && !self.has_final_block) {
            return true;
        }
        let tail = step(inflater, &TAIL, chunk);
        if tail.made > 0 {
            return false;
        }
        match tail.status {
            Ok(Status::StreamEnd) => tail.taken == TAIL.len(),
            Ok(_) => {
                let end = step(inflater, &FINAL_BLOCK, chunk);
                end.status == Ok(Status::StreamEnd) && end.made == 0
            }
            Err(_) => false,
        }
    }
}

/// What an inflater did with the bytes that it was given.
struct Step {
    status: Result<Status, InflateError>,
    /// How many of them it took.
    taken: usize,
    /// How many it made of them.
    made: usize,
}

fn step(inflater: &mut Inflate, piece: &[u8], chunk: &mut [u8]) -> Step {
    let (total_in, total_out) = (inflater.total_in(), inflater.total_out());
    let status = inflater.decompress(piece, chunk, InflateFlush::NoFlush);
    Step {
        status,
        taken: progress(total_in, inflater.total_in()),
        made: progress(total_out, inflater.total_out()),
    }
}

/// The first step behind a block with BFINAL set, which is not the end of the message: what follows goes on with the same
/// window (RFC 7692 §7.2.3.5).
///
/// The window is copied only for blocks that refer to it, or that do not end within this step. So a block costs little
/// more than its bytes, even where each has BFINAL set.
fn next_stream(
    inflater: &mut Inflate,
    history: &[u8],
    message: &Assembly,
    window_len: usize,
    piece: &[u8],
    chunk: &mut [u8],
) -> Step {
    begin(inflater, []);
    let alone = step(inflater, piece, chunk);
    if alone.status == Ok(Status::StreamEnd) {
        return alone;
    }
    let [newer, cut] = message.tail(window_len);
    let older = last_bytes(history, window_len.saturating_sub(newer.len() + cut.len()));
    begin(inflater, [older, newer, cut]);
    step(inflater, piece, chunk)
}

/// Begins a new stream that may refer to the bytes of this window, in order.
fn begin<const N: usize>(inflater: &mut Inflate, window: [&[u8]; N]) {
    inflater.reset(false);
    for part in window {
        // It fails in the middle of a stream only.
        let _ = inflater.set_dictionary(part);
    }
}

/// Whether this many bytes can be had, now.
fn has_memory_for(len: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(len).is_ok()
}

/// What a counter has moved by.
fn progress(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or_default()
}

impl fmt::Debug for CodecPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodecPool").finish_non_exhaustive()
    }
}

impl fmt::Debug for Deflation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflation").finish_non_exhaustive()
    }
}

impl fmt::Debug for Inflation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflation").finish_non_exhaustive()
    }
}

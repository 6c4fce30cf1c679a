//! The bytes that are to be written.

use crate::deflate::CodecPool;
use alloc::vec::Vec;

/// Bytes for the peer, in order, and what it takes to make them. The caller's: one is enough for any number of
/// connections that are served one after another.
///
/// Where messages are compressed, this is where the compressor and the inflaters live that those connections share
/// (about 300 KB, made when first needed). A connection that is idle has none of its own, unless both sides agreed to
/// context takeover.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    pub(crate) pool: CodecPool,
}

impl Output {
    /// Nothing to be written.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is to be written.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer itself, to write something before the frames, such as the response to a handshake.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// How much there is to be written.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to be written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// It has been written.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The buffer, and beside it what is shared.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut Vec<u8>, &mut CodecPool) {
        (&mut self.bytes, &mut self.pool)
    }
}

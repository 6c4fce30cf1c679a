//! The bytes that one read brought.

/// Bytes from the peer, in the caller's buffer, and how far they have been used up.
///
/// They are unmasked in place. Once [`receive`](crate::Protocol::receive) has given `None`, all of them are used up
/// and the buffer is free for the next read, of this connection or of another.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    used: usize,
}

impl<'b> Input<'b> {
    /// All of `bytes`, none of them used up.
    #[inline]
    pub const fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// The bytes that are not used up yet, as they came. A caller that stops early has to keep them, and to put them
    /// before what it reads next.
    #[inline]
    pub fn remaining(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// Uses up the next `len` bytes, or all that there are, and gives them to whoever knows what they are:
    /// before the first frame, they may be part of an opening handshake.
    pub fn split_off(&mut self, len: usize) -> &mut [u8] {
        self.take(len as u64)
    }

    /// Uses up to `max_len` bytes and gives them.
    #[inline]
    pub(crate) fn take(&mut self, max_len: u64) -> &mut [u8] {
        let rest = self.bytes.get_mut(self.used..).unwrap_or_default();
        let len = usize::try_from(max_len).map_or(rest.len(), |len| len.min(rest.len()));
        self.used += len;
        &mut rest[..len]
    }
}

//! A message that did not arrive in one piece: the only copy a payload goes through (RFC 6455 §5.4).

use crate::{Message, MessageLimits, ProtocolError};
use alloc::{string::String, vec::Vec};
use ws_frame::{FrameHeader, Opcode, Utf8Validator};

/// The message under way, as far as it has come.
#[derive(Debug)]
pub(crate) struct Assembly {
    content: Content,
    compressed: bool,
    /// Its frames so far, and the DEFLATE blocks that count as such.
    fragments: u32,
    /// The payload lengths of its frames so far, by their headers.
    announced_len: usize,
    /// How many bytes have been pushed.
    len: usize,
}

#[derive(Debug)]
enum Content {
    Text(String, Utf8Validator),
    Binary(Vec<u8>),
}

impl Assembly {
    /// A message that begins with a frame with this header.
    pub(crate) const fn new(header: &FrameHeader) -> Self {
        let content = match header.opcode() {
            Opcode::Text => Content::Text(String::new(), Utf8Validator::new()),
            _ => Content::Binary(Vec::new()),
        };
        Self { content, compressed: header.rsv1(), fragments: 0, announced_len: 0, len: 0 }
    }

    /// Whether the frames hold the message compressed (RFC 7692 §6).
    pub(crate) const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Counts one more frame with this payload length.
    pub(crate) fn begin_frame(
        &mut self,
        payload_len: u64,
        limits: MessageLimits,
    ) -> Result<(), ProtocolError> {
        self.count_fragment(limits)?;
        let MessageLimits { max_message_len, .. } = limits;
        let max_len = if self.compressed { max_compressed_len(max_message_len) } else { max_message_len };
        self.announced_len += check_len(payload_len, self.announced_len, max_len, limits)?;
        Ok(())
    }

    /// Counts one more frame, or something that costs as much.
    pub(crate) fn count_fragment(&mut self, limits: MessageLimits) -> Result<(), ProtocolError> {
        let MessageLimits { max_fragments, .. } = limits;
        if self.fragments > 0 && self.fragments >= max_fragments {
            return Err(ProtocolError::TooManyFragments { max_fragments });
        }
        self.fragments += 1;
        Ok(())
    }

    /// Takes the next bytes, unmasked, of a frame that is the message's last or not.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        last: bool,
        limits: MessageLimits,
    ) -> Result<(), ProtocolError> {
        if last {
            // The whole is known. Once a quarter of it has come, room is made for all of it at once.
            self.extend(piece, 4, self.announced_len)
        } else {
            self.extend(piece, 2, limits.max_message_len)
        }
    }

    /// Takes the next bytes that a compressed message has inflated to.
    #[cfg(feature = "deflate")]
    pub(crate) fn push_inflated(&mut self, piece: &[u8], limits: MessageLimits) -> Result<(), ProtocolError> {
        let MessageLimits { max_message_len, .. } = limits;
        // What fits is taken, and checked, before what does not: however it is cut, the first byte that is wrong counts.
        let (fits, beyond) = piece.split_at(piece.len().min(max_message_len - self.len));
        self.extend(fits, 2, max_message_len)?;
        if beyond.is_empty() { Ok(()) } else { Err(ProtocolError::MessageTooBig { max_message_len }) }
    }

    /// The last bytes that were pushed, `max_len` at most: those before a cut character, then those of it.
    #[cfg(feature = "deflate")]
    pub(crate) fn tail(&self, max_len: usize) -> [&[u8]; 2] {
        let (bytes, cut) = match &self.content {
            Content::Text(text, validator) => (text.as_bytes(), validator.cut()),
            Content::Binary(bytes) => (&**bytes, &[][..]),
        };
        let cut = last_bytes(cut, max_len);
        [last_bytes(bytes, max_len - cut.len()), cut]
    }

    fn extend(&mut self, piece: &[u8], factor: usize, max_len: usize) -> Result<(), ProtocolError> {
        self.len += piece.len();
        match &mut self.content {
            Content::Text(text, validator) => {
                let validated = validator.push(piece)?;
                let more = validated.rest.len() + validated.completed.map_or(0, char::len_utf8);
                text.try_reserve_exact(growth(text.len(), text.capacity(), more, factor, max_len))?;
                text.extend(validated.completed);
                text.push_str(validated.rest);
            }
            Content::Binary(bytes) => {
                bytes.try_reserve_exact(growth(
                    bytes.len(),
                    bytes.capacity(),
                    piece.len(),
                    factor,
                    max_len,
                ))?;
                bytes.extend_from_slice(piece);
            }
        }
        Ok(())
    }

    /// What it takes of memory, in bytes.
    pub(crate) const fn held_len(&self) -> usize {
        match &self.content {
            Content::Text(text, _) => text.capacity(),
            Content::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Ends the message: text must not end within a character.
    pub(crate) fn finish(&self) -> Result<(), ProtocolError> {
        if let Content::Text(_, validator) = &self.content {
            validator.finish()?;
        }
        Ok(())
    }

    pub(crate) fn message(&self) -> Message<'_> {
        match &self.content {
            Content::Text(text, _) => Message::Text(text),
            Content::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// Whether a message that has `announced_len` bytes of `max_len` can take a frame with `payload_len` more.
#[inline]
pub(crate) fn check_len(
    payload_len: u64,
    announced_len: usize,
    max_len: usize,
    limits: MessageLimits,
) -> Result<usize, ProtocolError> {
    let MessageLimits { max_message_len, .. } = limits;
    match usize::try_from(payload_len) {
        Ok(len) if len <= max_len.saturating_sub(announced_len) => Ok(len),
        _ => Err(ProtocolError::MessageTooBig { max_message_len }),
    }
}

/// The most bytes that a message of `len` takes when it is compressed badly. DEFLATE makes 9 bits of a byte at worst (RFC
/// 1951 §3.2.6, fixed codes); the rest, 1 in 56, is for the headers of blocks.
const fn max_compressed_len(len: usize) -> usize {
    len.saturating_add(len / 7).saturating_add(64)
}

/// How much to reserve so that `more` bytes fit: nothing if they do, else so that there is room for `factor` times what
/// has come, but not beyond `max_len`. It follows what has come, never what was merely declared.
fn growth(len: usize, capacity: usize, more: usize, factor: usize, max_len: usize) -> usize {
    let needed = len + more;
    if needed <= capacity { 0 } else { needed.max(needed.saturating_mul(factor).min(max_len)) - len }
}

#[cfg(feature = "deflate")]
pub(crate) fn last_bytes(bytes: &[u8], max_len: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(max_len)..]
}

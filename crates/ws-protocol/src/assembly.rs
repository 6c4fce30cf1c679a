//! A message that did not arrive in one piece: the only copy a payload goes through (RFC 6455 §5.4).

use crate::{Limits, Message, ProtocolError};
use alloc::{string::String, vec::Vec};
use ws_frame::{FrameHeader, Opcode, Utf8Validator};

/// The message under way, as far as it has come.
#[derive(Debug)]
pub(crate) struct Assembly {
    content: Content,
    compressed: bool,
    frames: u32,
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
        Self { content, compressed: header.rsv1(), frames: 0, announced_len: 0, len: 0 }
    }

    /// Whether the frames hold the message compressed (RFC 7692 §6).
    pub(crate) const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Counts one more frame with this payload length.
    pub(crate) fn begin_frame(&mut self, payload_len: u64, limits: Limits) -> Result<(), ProtocolError> {
        let Limits { max_fragments, .. } = limits;
        if self.frames > 0 && self.frames >= max_fragments {
            return Err(ProtocolError::TooManyFragments { max_fragments });
        }
        self.frames += 1;
        self.announced_len += check_len(payload_len, self.announced_len, limits)?;
        Ok(())
    }

    /// Takes the next bytes, unmasked, of a frame that is the message's last or not.
    pub(crate) fn push(&mut self, piece: &[u8], last: bool, limits: Limits) -> Result<(), ProtocolError> {
        if last {
            // The whole is known. Once a quarter of it has come, room is made for all of it at once.
            self.extend(piece, 4, self.announced_len)
        } else {
            self.extend(piece, 2, limits.max_message_size)
        }
    }

    /// Takes the next bytes that a compressed message has inflated to.
    #[cfg(feature = "deflate")]
    pub(crate) fn push_inflated(&mut self, piece: &[u8], limits: Limits) -> Result<(), ProtocolError> {
        let Limits { max_message_size, .. } = limits;
        // What fits is taken, and checked, before what does not: however it is cut, the first byte that is wrong counts.
        let (fits, beyond) = piece.split_at(piece.len().min(max_message_size - self.len));
        self.extend(fits, 2, max_message_size)?;
        if beyond.is_empty() { Ok(()) } else { Err(ProtocolError::MessageTooBig { max_message_size }) }
    }

    /// The last bytes that were pushed, up to `max_len` and a cut character.
    #[cfg(feature = "deflate")]
    pub(crate) fn tail(&self, max_len: usize) -> Vec<u8> {
        let (bytes, cut) = match &self.content {
            Content::Text(text, validator) => (text.as_bytes(), validator.cut()),
            Content::Binary(bytes) => (&**bytes, &[][..]),
        };
        [&bytes[bytes.len().saturating_sub(max_len)..], cut].concat()
    }

    fn extend(&mut self, piece: &[u8], factor: usize, max_len: usize) -> Result<(), ProtocolError> {
        self.len += piece.len();
        match &mut self.content {
            Content::Text(text, validator) => {
                let validated = validator.push(piece)?;
                let more = validated.rest.len() + validated.completed.map_or(0, char::len_utf8);
                text.reserve_exact(growth(text.len(), text.capacity(), more, factor, max_len));
                text.extend(validated.completed);
                text.push_str(validated.rest);
            }
            Content::Binary(bytes) => {
                bytes.reserve_exact(growth(bytes.len(), bytes.capacity(), piece.len(), factor, max_len));
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

/// Whether a message that has `announced_len` bytes can take a frame with `payload_len` more.
#[inline]
pub(crate) fn check_len(
    payload_len: u64,
    announced_len: usize,
    limits: Limits,
) -> Result<usize, ProtocolError> {
    let Limits { max_message_size, .. } = limits;
    match usize::try_from(payload_len) {
        Ok(len) if len <= max_message_size.saturating_sub(announced_len) => Ok(len),
        _ => Err(ProtocolError::MessageTooBig { max_message_size }),
    }
}

/// How much to reserve so that `more` bytes fit: nothing if they do, else so that there is room for `factor` times what
/// has come, but not beyond `max_len`. It follows what has come, never what was merely declared.
fn growth(len: usize, capacity: usize, more: usize, factor: usize, max_len: usize) -> usize {
    let needed = len + more;
    if needed <= capacity { 0 } else { needed.max(needed.saturating_mul(factor).min(max_len)) - len }
}

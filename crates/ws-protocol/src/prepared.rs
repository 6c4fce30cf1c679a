//! A message that a server sends to many recipients, encoded once for all of them.

use crate::{AsMessage, Message};
#[cfg(feature = "deflate")]
use crate::{CompressionLevel, WindowBits};
#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::{sync::Arc, vec::Vec};
use core::str;
#[cfg(feature = "deflate")]
use once_cell::sync::OnceCell;
use ws_frame::{FrameHeader, Opcode};

/// A message that a server sends to many recipients.
///
/// It is encoded when it is made, and compressed once for each set of parameters that recipients have
/// agreed on, by whichever connection needs it first. A clone is the same message: it costs a counter,
/// and any thread may have one. (A client has nothing like it, as it masks each frame anew.)
///
/// ```
/// use ws_protocol::{MessageLimits, Output, Prepared, Protocol};
///
/// let mut out = Output::new();
/// let news = Prepared::from("news");
/// for mut connection in [Protocol::server(MessageLimits::default()), Protocol::server(MessageLimits::default())] {
///     connection.sender().send_prepared(&news, &mut out)?;
/// }
/// assert_eq!(out.as_bytes(), b"\x81\x04news\x81\x04news");
/// # Ok::<(), ws_protocol::SendError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Encodings>);

#[derive(Debug)]
struct Encodings {
    is_text: bool,
    is_compressible: bool,
    /// The frame without compression.
    plain: Arc<[u8]>,
    /// The length of the header of that frame, in bytes.
    header_len: usize,
    #[cfg(feature = "deflate")]
    compressed: CompressedFrames,
}

/// The window and the level of a message that refers to no other: what decides its bytes.
#[cfg(feature = "deflate")]
pub(crate) type SharedKey = (WindowBits, CompressionLevel);

/// A list of frames, each made once and never changed. A thread that needs a frame that another one is
/// making waits for it.
#[cfg(feature = "deflate")]
#[derive(Debug, Default)]
struct CompressedFrames(OnceCell<Box<CompressedFrame>>);

#[cfg(feature = "deflate")]
#[derive(Debug)]
struct CompressedFrame {
    key: SharedKey,
    /// `None`: the message gets no smaller, or there was no memory to compress it.
    frame: OnceCell<Option<Arc<[u8]>>>,
    next: CompressedFrames,
}

impl Prepared {
    /// Prepares a message.
    pub fn new(message: Message<'_>) -> Self {
        Self::encode(message, true)
    }

    /// Prepares a message that is sent without compression: one that is compressed already, or that holds a
    /// secret beside something that an attacker has chosen (RFC 7692 §10.1).
    pub fn uncompressed(message: impl AsMessage) -> Self {
        Self::encode(message.as_message(), false)
    }

    fn encode(message: Message<'_>, is_compressible: bool) -> Self {
        let (opcode, is_text) = match message {
            Message::Text(_) => (Opcode::Text, true),
            Message::Binary(_) => (Opcode::Binary, false),
        };
        let (frame, header_len) = frame(opcode, false, message.as_bytes());
        Self(Arc::new(Encodings {
            is_text,
            is_compressible,
            plain: frame.into(),
            header_len,
            #[cfg(feature = "deflate")]
            compressed: CompressedFrames::default(),
        }))
    }

    /// The message.
    pub fn message(&self) -> Message<'_> {
        let payload = self.0.plain.get(self.0.header_len..).unwrap_or_default();
        if self.0.is_text {
            // It was text, so this does not fail.
            return Message::Text(str::from_utf8(payload).unwrap_or_default());
        }
        Message::Binary(payload)
    }

    /// The length of the message, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a message may well be empty, and nobody asks")]
    pub fn len(&self) -> usize {
        self.0.plain.len() - self.0.header_len
    }

    /// Whether this is the same message as `other`: one is a clone of the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The number of different frames that it has become so far.
    pub fn encodings(&self) -> usize {
        #[cfg(feature = "deflate")]
        let compressed = self.0.compressed.iter().count();
        #[cfg(not(feature = "deflate"))]
        let compressed = 0;
        1 + compressed
    }

    pub(crate) fn is_compressible(&self) -> bool {
        self.0.is_compressible
    }

    /// The frame without compression.
    pub(crate) fn plain(&self) -> &Arc<[u8]> {
        &self.0.plain
    }

    /// The frame for connections whose compressors make the same of it. `compress` makes the payload, if
    /// nobody has yet.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressed<'c>(
        &self,
        key: SharedKey,
        compress: impl FnOnce() -> Option<&'c [u8]>,
    ) -> &Arc<[u8]> {
        let opcode = if self.0.is_text { Opcode::Text } else { Opcode::Binary };
        let make = || compress().map(|payload| frame(opcode, true, payload).0.into());
        self.0.compressed.of(key).get_or_init(make).as_ref().unwrap_or(&self.0.plain)
    }
}

#[cfg(feature = "deflate")]
impl CompressedFrames {
    fn of(&self, key: SharedKey) -> &OnceCell<Option<Arc<[u8]>>> {
        let mut place = self;
        loop {
            let new = || Box::new(CompressedFrame { key, frame: OnceCell::new(), next: Self::default() });
            let found = place.0.get_or_init(new);
            if found.key == key {
                return &found.frame;
            }
            place = &found.next;
        }
    }

    fn iter(&self) -> impl Iterator<Item = &CompressedFrame> {
        core::iter::successors(self.0.get(), |frame| frame.next.0.get()).map(|frame| &**frame)
    }
}

/// A final frame, unmasked, and the length of its header.
fn frame(opcode: Opcode, rsv1: bool, payload: &[u8]) -> (Vec<u8>, usize) {
    // A slice is never too long for a frame of data, so there always is a header.
    let header = FrameHeader::new(opcode, payload.len() as u64);
    let header = header.map(|header| if rsv1 { header.with_rsv1() } else { header }.encode());
    let header = header.as_ref().map_or(&[][..], AsRef::as_ref);
    let mut frame = Vec::with_capacity(header.len() + payload.len());
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    (frame, header.len())
}

impl<M: AsMessage> From<M> for Prepared {
    fn from(message: M) -> Self {
        Self::new(message.as_message())
    }
}

impl From<&Prepared> for Prepared {
    fn from(prepared: &Prepared) -> Self {
        prepared.clone()
    }
}

//! What a connection receives, lent to its user.

use ws_frame::CloseFrame;

/// Something that arrived, lent until the next call of [`receive`](crate::Protocol::receive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole message (§5.6), its fragments joined.
    Message(Message<'a>),
    /// A ping with this payload (§5.5.2), at most 125 bytes. It has been answered already.
    Ping(&'a [u8]),
    /// A pong with this payload (§5.5.3), at most 125 bytes. Whether it was asked for is the caller's to know.
    Pong(&'a [u8]),
    /// The peer's close frame (§5.5.1), the last event there is. It has been answered, unless ours came first.
    Close(CloseFrame<'a>),
}

/// A message, received or to be sent (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, opcode 0x1.
    Text(&'a str),
    /// Binary, opcode 0x2.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The bytes of the message.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

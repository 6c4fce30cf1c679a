//! What a connection receives, lent to its user.

use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    string::String,
    sync::Arc,
    vec::Vec,
};
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
    /// The text, if the message is text.
    #[inline]
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The bytes of the message.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A value that can be sent as a message: text or bytes, borrowed or owned.
///
/// ```
/// use ws_protocol::{AsMessage, Message};
///
/// assert_eq!("hi".as_message(), Message::Text("hi"));
/// assert_eq!(String::from("hi").as_message(), Message::Text("hi"));
/// assert_eq!(b"hi".as_message(), Message::Binary(b"hi"));
/// assert_eq!(vec![104, 105].as_message(), Message::Binary(b"hi"));
/// ```
pub trait AsMessage {
    /// The message, borrowed.
    fn as_message(&self) -> Message<'_>;
}

impl AsMessage for Message<'_> {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        *self
    }
}

impl AsMessage for str {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        Message::Text(self)
    }
}

impl AsMessage for String {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        Message::Text(self)
    }
}

impl AsMessage for [u8] {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        Message::Binary(self)
    }
}

impl<const N: usize> AsMessage for [u8; N] {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        Message::Binary(self)
    }
}

impl AsMessage for Vec<u8> {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        Message::Binary(self)
    }
}

impl<T: AsMessage + ?Sized> AsMessage for &T {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        (**self).as_message()
    }
}

impl<T: AsMessage + ?Sized> AsMessage for Box<T> {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        (**self).as_message()
    }
}

impl<T: AsMessage + ?Sized> AsMessage for Arc<T> {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        (**self).as_message()
    }
}

impl<T: AsMessage + ToOwned + ?Sized> AsMessage for Cow<'_, T> {
    #[inline]
    fn as_message(&self) -> Message<'_> {
        (**self).as_message()
    }
}

//! What the peer did wrong, and what the caller did wrong.

use alloc::collections::TryReserveError;
use ws_frame::{CloseCode, CloseFrameError, FrameError, InvalidUtf8};

/// What the peer did wrong. The connection has failed (RFC 6455 §7.1.7): its close frame is in `out`, and nothing more
/// is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame header that no frame may have (§5.2, §5.5).
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A client sent a frame that is not masked (§5.1).
    #[error("a frame from a client is not masked")]
    Unmasked,
    /// A server sent a masked frame (§5.1).
    #[error("a frame from a server is masked")]
    Masked,
    /// RSV1 is set where no extension gives it a meaning: on any frame if none was agreed on, else on any but the first
    /// of a message (§5.2; RFC 7692 §6).
    #[error("a reserved bit (RSV1) is set")]
    Rsv1,
    /// A continuation frame, and no message that it could continue (§5.4).
    #[error("a continuation frame has nothing to continue")]
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before (§5.4).
    #[error("a message begins inside a fragmented message")]
    UnfinishedMessage,
    /// The message, by its headers so far, has more bytes than [`max_message_len`](crate::MessageLimits::max_message_len).
    #[error("a message is larger than {max_message_len} bytes")]
    MessageTooBig {
        /// The limit.
        max_message_len: usize,
    },
    /// The message has more frames than [`max_fragments`](crate::MessageLimits::max_fragments), or more DEFLATE blocks with
    /// BFINAL set, each of which counts as a frame (RFC 7692 §7.2.3.5).
    #[error("a message has more than {max_fragments} fragments")]
    TooManyFragments {
        /// The limit.
        max_fragments: u32,
    },
    /// A text message that is not UTF-8 (§8.1).
    #[error("a text message is not UTF-8")]
    InvalidUtf8,
    /// A compressed message that is no DEFLATE stream (RFC 7692 §7.2.2).
    #[error("a compressed message does not inflate")]
    Inflate,
    /// There is no memory for the message, which is within the limits: not the peer's fault, but the end of its
    /// connection all the same.
    #[error("there is no memory for a message")]
    OutOfMemory,
    /// A close frame whose payload breaks a rule (§5.5.1, §7.4).
    #[error(transparent)]
    CloseFrame(#[from] CloseFrameError),
}

impl ProtocolError {
    /// The code that the peer is told (§7.4.1). The one place where an error becomes a close code.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Frame(_)
            | Self::Unmasked
            | Self::Masked
            | Self::Rsv1
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage => CloseCode::PROTOCOL_ERROR,
            Self::MessageTooBig { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
            Self::OutOfMemory => CloseCode::TRY_AGAIN_LATER,
            Self::InvalidUtf8 | Self::Inflate | Self::CloseFrame(CloseFrameError::ReasonNotUtf8) => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::CloseFrame(_) => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl From<InvalidUtf8> for ProtocolError {
    fn from(InvalidUtf8: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

impl From<TryReserveError> for ProtocolError {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

impl From<TryReserveError> for SendError {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

/// What the caller asked for and cannot have. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A close frame has been sent: nothing may follow it (§5.5.1).
    #[error("the connection is closing: a close frame has been sent")]
    Closing,
    /// A message was begun with [`send_fragment`](crate::Sender::send_fragment) and is not finished (§5.4).
    #[error("a fragmented message is not finished")]
    UnfinishedMessage,
    /// A text fragment in a binary message, or the other way round (§5.4, §5.6).
    #[error("the fragments of a message are all text or all binary")]
    MixedFragments,
    /// There is no memory for the frame.
    #[error("there is no memory for a frame")]
    OutOfMemory,
    /// A ping or pong of over 125 bytes (§5.5).
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A close frame with a code that is not for the wire, or a reason of over 123 bytes (§5.5.1, §7.4).
    #[error(transparent)]
    CloseFrame(#[from] CloseFrameError),
}

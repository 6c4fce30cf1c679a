//! The two sides of a connection, and all that differs between them: who masks (RFC 6455 §5.1).

use ws_frame::FrameHeader;

use crate::ProtocolError;

/// A side of the connection: [`ServerRole`] or [`ClientRole`].
pub trait Role: sealed::Sealed {
    /// Whether the other side masks what it sends.
    #[doc(hidden)]
    const PEER_MASKS: bool;

    /// The masking key for the next frame that this side sends; `None` if it does not mask.
    #[doc(hidden)]
    fn next_masking_key(&mut self) -> Option<[u8; 4]>;

    /// Whether the other side masked this frame exactly if it has to.
    #[doc(hidden)]
    fn check_mask(header: &FrameHeader) -> Result<(), ProtocolError>;
}

/// The server's side: receives masked frames, sends unmasked ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerRole;

impl Role for ServerRole {
    const PEER_MASKS: bool = true;

    #[inline]
    fn next_masking_key(&mut self) -> Option<[u8; 4]> {
        None
    }

    #[inline]
    fn check_mask(header: &FrameHeader) -> Result<(), ProtocolError> {
        // RFC 6455 §5.1: "The server MUST close the connection upon receiving a frame that is not masked."
        if header.masking_key().is_none() { Err(ProtocolError::Unmasked) } else { Ok(()) }
    }
}

/// The client's side: receives unmasked frames, sends masked ones.
///
/// `K` makes the masking keys. RFC 6455 §5.3: a key "needs to be unpredictable", from a strong source of entropy and
/// fresh for each frame, so that a page cannot choose the bytes that intermediaries see.
#[derive(Clone, Copy, Debug)]
pub struct ClientRole<K>(pub(crate) K);

impl<K: FnMut() -> [u8; 4]> Role for ClientRole<K> {
    const PEER_MASKS: bool = false;

    #[inline]
    fn next_masking_key(&mut self) -> Option<[u8; 4]> {
        Some((self.0)())
    }

    #[inline]
    fn check_mask(header: &FrameHeader) -> Result<(), ProtocolError> {
        // RFC 6455 §5.1: "A client MUST close a connection if it detects a masked frame."
        if header.masking_key().is_some() { Err(ProtocolError::Masked) } else { Ok(()) }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ServerRole {}
    impl<K: FnMut() -> [u8; 4]> Sealed for super::ClientRole<K> {}
}

//! The end of a connection by a fault.

#[cfg(feature = "deflate")]
use crate::DeflateError;
use crate::HeadError;
use ws_handshake::{ClientError, EncodeError};
use ws_protocol::ProtocolError;

/// The fault that ends a connection. Nothing more will be received; what `out` holds is still to be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The peer's head is none. A server's refusal is in `out`.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The server's response does not accept the client's request.
    #[error(transparent)]
    Response(#[from] ClientError),
    /// The server's response does not accept permessage-deflate as it was offered.
    #[cfg(feature = "deflate")]
    #[error(transparent)]
    Deflate(#[from] DeflateError),
    /// The client's request cannot be written.
    #[error(transparent)]
    Request(#[from] EncodeError),
    /// The peer broke the protocol, or sent more than it may. The close frame that says so is in `out`.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

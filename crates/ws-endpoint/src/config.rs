//! The settings of an endpoint.

#[cfg(feature = "deflate")]
use crate::DeflateOffer;
use ws_protocol::MessageLimits;

/// The settings of an endpoint. The defaults suit a peer that nobody knows.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// The longest head of a request or a response, in bytes; 16 KiB by default.
    pub max_head_len: usize,
    /// The most header fields in it; 100 by default.
    pub max_headers: usize,
    /// The limits on what a peer may send.
    pub messages: MessageLimits,
    /// The wishes about permessage-deflate (RFC 7692): a server accepts it, and a client offers it. `None`, the
    /// default, compresses nothing.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateOffer>,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            max_head_len: 16 << 10,
            max_headers: 100,
            messages: MessageLimits::default(),
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

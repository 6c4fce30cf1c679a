//! The mistakes of a caller that wants to send something.

/// Why something that the caller wants to send cannot be written: it would not be a legal message, or it
/// would smuggle another one in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The name of a header field is not a token.
    #[error("the name of a header field is not a token")]
    HeaderName,
    /// The value of a header field has a control character.
    #[error("the value of a header field has a control character")]
    HeaderValue,
    /// The header field is one that is written for the caller, such as `Connection` or `Sec-WebSocket-Key`.
    #[error("the header field is not one that a caller may add")]
    HeaderReserved,
    /// The host is no `uri-host [":" port]`.
    #[error("the host is not a host with an optional port")]
    Host,
    /// The request target does not begin with `/`, or has characters that must be percent-encoded.
    #[error("the request target is not a path with an optional query")]
    RequestTarget,
    /// The origin is neither `null` nor `scheme://host[:port]`.
    #[error("the origin is neither null nor scheme://host[:port]")]
    Origin,
    /// A subprotocol is not a token, or is there twice.
    #[error("subprotocols must be tokens, and each may be there once")]
    Subprotocol,
    /// The subprotocol is none of those that the client offered.
    #[error("the subprotocol was not offered by the client")]
    SubprotocolNotOffered,
    /// The extensions are outside the grammar of RFC 6455 §9.1, or more than 32 with 16 parameters.
    #[error("the extensions are malformed")]
    Extensions,
    /// An extension is none of those that the client offered.
    #[error("the extension was not offered by the client")]
    ExtensionNotOffered,
}

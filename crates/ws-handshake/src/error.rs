//! What can go wrong, by who is to blame: the peer that asks ([`HandshakeError`]), the peer that answers
//! ([`ClientError`]), or the caller that wants to write something illegal ([`EncodeError`](crate::EncodeError)).

use alloc::format;

use crate::response::{PAGE_METHODS, Response};

/// Why a request is refused.
///
/// [`status`](Self::status) is the one place where an error becomes an HTTP status, and
/// [`response`](Self::response) turns it into the bytes of the refusal. No variant carries bytes of the peer,
/// so no refusal can echo them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first byte cannot begin an HTTP/1.x message, or more than one empty line comes before it.
    #[error("this is not an HTTP/1.1 request")]
    NotHttp,
    /// The first byte is that of a TLS record: an `https` or `wss` client on a plain port.
    #[error("this is a TLS handshake, and this port speaks plain HTTP: use ws:// or http://")]
    TlsHello,
    /// The connection preface of HTTP/2 (RFC 9113 §3.4).
    #[error("this is HTTP/2, and only HTTP/1.1 is spoken here")]
    Http2Preface,
    /// A CR without its LF, or an LF without its CR.
    #[error("lines must end in CR LF, and neither may stand alone")]
    BareLineBreak,
    /// NUL or another control character.
    #[error("control characters are not allowed in a head")]
    ControlCharacter,
    /// The head does not end within the length that it may have.
    #[error("the head is longer than the limit")]
    HeadTooLong,
    /// There are more header fields than may be.
    #[error("there are more header fields than the limit")]
    TooManyHeaders,
    /// The head does not end in an empty line, or does so before its last byte.
    #[error("the head is not one complete head")]
    IncompleteHead,
    /// The first line is not `method SP request-target SP HTTP-version`.
    #[error("the request line is malformed")]
    RequestLine,
    /// A handshake over HTTP/1.0, which has no `Upgrade`.
    #[error("a WebSocket handshake needs HTTP/1.1")]
    OldHttpVersion,
    /// A major version of HTTP other than 1.
    #[error("only HTTP/1.1 is spoken here")]
    ForeignHttpVersion,
    /// A request for a page with a method other than GET, HEAD and OPTIONS.
    #[error("only GET and HEAD are allowed")]
    MethodNotAllowed,
    /// A handshake with a method other than GET.
    #[error("a WebSocket handshake must be a GET")]
    UpgradeMethod,
    /// The request target is neither a path nor an absolute URI.
    #[error("the request target is neither a path nor an absolute http URI")]
    RequestTarget,
    /// A header line outside the grammar: white space before the colon, a folded line, a bad name or value.
    #[error("a header line is malformed")]
    HeaderLine,
    /// There is no `Host`.
    #[error("the Host header field is missing")]
    HostMissing,
    /// There is more than one `Host`.
    #[error("the Host header field is repeated")]
    HostRepeated,
    /// `Host` is no `uri-host [":" port]`.
    #[error("the Host header field is not a host with an optional port")]
    HostMalformed,
    /// There is more than one `Origin`.
    #[error("the Origin header field is repeated")]
    OriginRepeated,
    /// `Origin` has bytes that no origin has.
    #[error("the Origin header field is malformed")]
    OriginMalformed,
    /// The request announces a body.
    #[error("a request with a body is not served")]
    Body,
    /// A plain page request where there is no page.
    #[error("this is a WebSocket endpoint, and the request asks for no upgrade")]
    UpgradeRequired,
    /// No `Upgrade` field names `websocket`.
    #[error("the Upgrade header field does not contain the word websocket")]
    UpgradeField,
    /// No `Connection` field has the token `Upgrade`.
    #[error("the Connection header field does not contain the token Upgrade")]
    ConnectionField,
    /// `Sec-WebSocket-Version` is missing or is not `13`.
    #[error("the only supported Sec-WebSocket-Version is 13")]
    VersionNotSupported,
    /// There is more than one `Sec-WebSocket-Version`.
    #[error("the Sec-WebSocket-Version header field is repeated")]
    VersionRepeated,
    /// There is no `Sec-WebSocket-Key`.
    #[error("the Sec-WebSocket-Key header field is missing")]
    KeyMissing,
    /// There is more than one `Sec-WebSocket-Key`.
    #[error("the Sec-WebSocket-Key header field is repeated")]
    KeyRepeated,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64.
    #[error("the Sec-WebSocket-Key header field is not 16 bytes in base64")]
    KeyMalformed,
    /// `Sec-WebSocket-Protocol` is no list of tokens.
    #[error("the Sec-WebSocket-Protocol header field is malformed")]
    SubprotocolMalformed,
    /// A subprotocol is offered twice.
    #[error("the Sec-WebSocket-Protocol header field names a subprotocol twice")]
    SubprotocolRepeated,
    /// `Sec-WebSocket-Extensions` is outside the grammar of RFC 6455 §9.1.
    #[error("the Sec-WebSocket-Extensions header field is malformed")]
    ExtensionsMalformed,
    /// `Sec-WebSocket-Extensions` has more than 32 offers, or more than 16 parameters in all of them.
    #[error("the Sec-WebSocket-Extensions header field has more than 32 offers or 16 parameters")]
    TooManyExtensions,
}

impl HandshakeError {
    /// The HTTP status that says this.
    pub fn status(self) -> u16 {
        use HandshakeError as E;
        match self {
            E::NotHttp | E::TlsHello | E::Http2Preface | E::BareLineBreak | E::ControlCharacter => 400,
            E::IncompleteHead | E::RequestLine | E::RequestTarget | E::HeaderLine | E::Body => 400,
            E::HostMissing | E::HostRepeated | E::HostMalformed => 400,
            E::OriginRepeated | E::OriginMalformed => 400,
            E::UpgradeField | E::ConnectionField | E::VersionRepeated => 400,
            E::KeyMissing | E::KeyRepeated | E::KeyMalformed => 400,
            E::SubprotocolMalformed | E::SubprotocolRepeated | E::ExtensionsMalformed => 400,
            E::OldHttpVersion => 400,
            E::MethodNotAllowed | E::UpgradeMethod => 405,
            E::UpgradeRequired | E::VersionNotSupported => 426,
            E::HeadTooLong | E::TooManyHeaders | E::TooManyExtensions => 431,
            E::ForeignHttpVersion => 505,
        }
    }

    /// The refusal: a short plain-text body that says what was wrong, and the fields that its status demands.
    pub fn response(self) -> Response {
        let status = self.status();
        let response = Response::text(status, format!("{self}\n"));
        match status {
            // RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
            405 if self == HandshakeError::UpgradeMethod => response.with_known_header("Allow", "GET"),
            405 => response.with_known_header("Allow", PAGE_METHODS),
            // RFC 9110 §15.5.22: "The server MUST send an Upgrade header field in a 426 response". RFC 6455
            // §4.4: "it MUST respond with a |Sec-WebSocket-Version| header field [...] containing all
            // versions it is willing to use."
            426 => response
                .with_known_header("Upgrade", "websocket")
                .with_known_header("Sec-WebSocket-Version", "13"),
            _ => response,
        }
    }
}

impl From<HandshakeError> for Response {
    fn from(error: HandshakeError) -> Self {
        error.response()
    }
}

/// Why a client must fail the connection after it has seen the server's answer (RFC 6455 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The answer is no head of an HTTP/1.1 response.
    #[error("the response is malformed: {0}")]
    Head(#[from] HandshakeError),
    /// The status line is not one of HTTP/1.1.
    #[error("the status line is malformed")]
    StatusLine,
    /// The server answers with something other than 101: a refusal, a redirect, a demand for credentials.
    #[error("the server answered with status {0} and not with 101")]
    Status(u16),
    /// `Upgrade` is missing or is not `websocket`.
    #[error("the Upgrade header field of the response is not websocket")]
    UpgradeField,
    /// `Connection` is missing or has no token `Upgrade`.
    #[error("the Connection header field of the response does not contain the token Upgrade")]
    ConnectionField,
    /// `Sec-WebSocket-Accept` is missing, repeated, or not the answer to the key that was sent.
    #[error("the Sec-WebSocket-Accept header field of the response does not answer the key")]
    AcceptField,
    /// The server names a subprotocol that was not offered, or more than one.
    #[error("the server chose a subprotocol that was not offered")]
    SubprotocolNotOffered,
    /// `Sec-WebSocket-Extensions` is outside the grammar of RFC 6455 §9.1, or has more than 32 extensions or 16
    /// parameters.
    #[error("the Sec-WebSocket-Extensions header field of the response is malformed")]
    ExtensionsMalformed,
    /// The server names an extension that was not offered.
    #[error("the server chose an extension that was not offered")]
    ExtensionNotOffered,
}

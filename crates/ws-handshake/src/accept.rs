//! The server's opening handshake: the 101 (RFC 6455 §4.2.2).

use alloc::{borrow::Cow, vec::Vec};

use crate::{
    encode_error::EncodeError,
    extension::parse_extensions,
    fields::{CallerFields, write_field},
    upgrade::Upgrade,
};

/// What a server says when it accepts a handshake.
///
/// ```
/// # use ws_handshake::{Accept, EMPTY_HEADER, Request};
/// # let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
/// #     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
/// #     Sec-WebSocket-Protocol: chat\r\n\r\n";
/// # let mut headers = [EMPTY_HEADER; 8];
/// # let upgrade = Request::parse(head, &mut headers)?.upgrade()?;
/// let accept = Accept::new()
///     .with_subprotocol(upgrade.select_subprotocol(&["chat", "superchat"]))
///     .with_header("Set-Cookie", "session=1")?;
/// let mut out = Vec::new();
/// accept.encode(&upgrade, &mut out)?;
/// assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept<'a> {
    subprotocol: Option<&'a str>,
    extensions: Option<&'a str>,
    fields: CallerFields,
}

impl<'a> Accept<'a> {
    /// No subprotocol, no extension, no further header field.
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks this one of the subprotocols that the client offers, or none.
    #[must_use]
    pub fn with_subprotocol(mut self, subprotocol: impl Into<Option<&'a str>>) -> Self {
        self.subprotocol = subprotocol.into();
        self
    }

    /// Uses these of the extensions that the client offers, with their parameters, as the value of
    /// `Sec-WebSocket-Extensions` has them; or none.
    #[must_use]
    pub fn with_extensions(mut self, extensions: impl Into<Option<&'a str>>) -> Self {
        self.extensions = extensions.into();
        self
    }

    /// Adds a header field.
    ///
    /// # Errors
    ///
    /// The name or the value is illegal, or the field is one that [`encode`](Self::encode) writes.
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<Self, EncodeError> {
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Appends the response that accepts `upgrade`. What is appended after it are frames.
    ///
    /// # Errors
    ///
    /// The subprotocol or an extension is none that `upgrade` offers. Nothing is appended then.
    pub fn encode(&self, upgrade: &Upgrade<'_, '_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        // RFC 6455 §4.2.2: "if the server does not agree to any of the client's requested subprotocols, the
        // only acceptable value is null."
        if let Some(subprotocol) = self.subprotocol
            && !upgrade.subprotocols().any(|offered| offered == subprotocol)
        {
            return Err(EncodeError::SubprotocolNotOffered);
        }
        if let Some(extensions) = self.extensions {
            check_extensions(extensions, upgrade)?;
        }
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        write_field(out, "Upgrade", b"websocket");
        write_field(out, "Connection", b"Upgrade");
        write_field(out, "Sec-WebSocket-Accept", &upgrade.accept_key());
        if let Some(subprotocol) = self.subprotocol {
            write_field(out, "Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        if let Some(extensions) = self.extensions {
            write_field(out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        self.fields.encode(out);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

fn check_extensions(extensions: &str, upgrade: &Upgrade<'_, '_>) -> Result<(), EncodeError> {
    let extensions =
        parse_extensions([extensions.as_bytes()].into_iter()).map_err(|_| EncodeError::Extensions)?;
    // RFC 6455 §4.2.2: "Extensions not listed by the client MUST NOT be listed."
    let is_offered = |name| upgrade.extensions().any(|offer| offer.name() == name);
    if extensions.iter().all(|extension| is_offered(extension.name())) {
        Ok(())
    } else {
        Err(EncodeError::ExtensionNotOffered)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::{Accept, EncodeError};
    use crate::{EMPTY_HEADER, Request};

    /// Accepts the handshake of the RFC (§1.3) with extensions: the response without its first four lines.
    #[track_caller]
    fn check(rule: &str, accept: &Accept<'_>, expect: Result<&str, EncodeError>) {
        let head = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
            Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Extensions: x; y; z, w\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 16];
        let upgrade = Request::parse(head, &mut headers).unwrap().upgrade().unwrap();
        let mut out = Vec::from(*b"before ");
        let outcome = accept.encode(&upgrade, &mut out);
        let out = String::from_utf8(out).unwrap();
        match expect {
            Ok(lines) => {
                assert_eq!(outcome, Ok(()), "{rule}");
                let start = "before HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
                assert_eq!(out.strip_prefix(start), Some(lines), "{rule}");
            }
            Err(error) => {
                assert_eq!(outcome, Err(error), "{rule}");
                assert_eq!(out, "before ", "{rule}: nothing is written");
            }
        }
    }

    #[test]
    fn of_the_rfc() {
        check("alone", &Accept::new(), Ok("\r\n"));
        let accept = Accept::new().with_subprotocol("chat");
        check("with its subprotocol", &accept, Ok("Sec-WebSocket-Protocol: chat\r\n\r\n"));
    }

    #[test]
    fn nothing_that_was_not_offered() {
        for (rule, accept, expect) in [
            (
                "the second",
                Accept::new().with_subprotocol("superchat"),
                Ok("Sec-WebSocket-Protocol: superchat\r\n\r\n"),
            ),
            ("none", Accept::new().with_subprotocol(None), Ok("\r\n")),
            ("not offered", Accept::new().with_subprotocol("soap"), Err(EncodeError::SubprotocolNotOffered)),
            ("another case", Accept::new().with_subprotocol("Chat"), Err(EncodeError::SubprotocolNotOffered)),
            (
                "two at once",
                Accept::new().with_subprotocol("chat, superchat"),
                Err(EncodeError::SubprotocolNotOffered),
            ),
            ("empty", Accept::new().with_subprotocol(""), Err(EncodeError::SubprotocolNotOffered)),
            (
                "an extension",
                Accept::new().with_extensions("w; v=1"),
                Ok("Sec-WebSocket-Extensions: w; v=1\r\n\r\n"),
            ),
            ("both", Accept::new().with_extensions("x, w"), Ok("Sec-WebSocket-Extensions: x, w\r\n\r\n")),
            ("no extension", Accept::new().with_extensions(None), Ok("\r\n")),
            ("an unknown one", Accept::new().with_extensions("x, v"), Err(EncodeError::ExtensionNotOffered)),
            (
                "the name of a parameter",
                Accept::new().with_extensions("y"),
                Err(EncodeError::ExtensionNotOffered),
            ),
            ("outside the grammar", Accept::new().with_extensions("x;"), Err(EncodeError::Extensions)),
            (
                "a line break",
                Accept::new().with_extensions("x\r\nSet-Cookie: a=b"),
                Err(EncodeError::Extensions),
            ),
            ("a line break at the end", Accept::new().with_extensions("x\r\n"), Err(EncodeError::Extensions)),
            ("empty extensions", Accept::new().with_extensions(""), Err(EncodeError::Extensions)),
        ] {
            check(rule, &accept, expect);
        }
    }

    #[test]
    fn header_fields() {
        let accept = Accept::new().with_header("X-A", "1").unwrap().with_header("X-A", "2").unwrap();
        check("twice", &accept, Ok("X-A: 1\r\nX-A: 2\r\n\r\n"));
        assert_eq!(Accept::new().with_header("X", "a\r\nb"), Err(EncodeError::HeaderValue));
        assert_eq!(Accept::new().with_header("Sec-WebSocket-Accept", "a"), Err(EncodeError::HeaderReserved));
    }
}

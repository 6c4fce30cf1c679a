//! The client's side: its opening handshake, and what it demands of the answer (RFC 6455 §4.1).

use alloc::{
    borrow::{Cow, ToOwned},
    string::String,
    vec::Vec,
};

use httparse::Header;

use crate::{
    authority::Authority,
    encode_error::EncodeError,
    error::{ClientError, HandshakeError},
    extension::{Extension, parse_extensions},
    fields::{CallerFields, at_most_one, elements, has_token, token, values, write_field},
    head::HeadScanner,
    key::{accept_key, encode_key},
    origin::is_origin,
    target::Target,
    upgrade::has_duplicates,
};

/// A client's opening handshake. One that exists is legal.
///
/// It is needed again for the answer: [`ResponseHead::check`] compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequest {
    host: String,
    target: String,
    key: [u8; 24],
    origin: Option<String>,
    subprotocols: Vec<String>,
    extensions: Option<String>,
    fields: CallerFields,
}

impl ClientRequest {
    /// A handshake with `host`, which has its port if that is not the default one, about `target`, a path
    /// with an optional query.
    ///
    /// RFC 6455 §4.1 demands a nonce of 16 bytes that is "selected randomly for each connection".
    ///
    /// # Errors
    ///
    /// The host or the target is illegal.
    pub fn new(host: &str, target: &str, nonce: [u8; 16]) -> Result<Self, EncodeError> {
        Authority::parse(host).ok_or(EncodeError::Host)?;
        if Target::parse(target).is_none_or(|target| target.authority.is_some()) {
            return Err(EncodeError::RequestTarget);
        }
        let key = encode_key(nonce);
        let fields = CallerFields::default();
        let (host, target) = (host.to_owned(), target.to_owned());
        Ok(Self { host, target, key, origin: None, subprotocols: Vec::new(), extensions: None, fields })
    }

    /// Says which page the request comes from, as browsers do: `scheme://host[:port]` or `null`.
    ///
    /// # Errors
    ///
    /// The origin is neither.
    pub fn with_origin(mut self, origin: &str) -> Result<Self, EncodeError> {
        if !is_origin(origin) {
            return Err(EncodeError::Origin);
        }
        self.origin = Some(origin.to_owned());
        Ok(self)
    }

    /// Offers these subprotocols, the one that the client likes best first.
    ///
    /// # Errors
    ///
    /// One of them is not a token, or is there twice.
    pub fn with_subprotocols(mut self, subprotocols: &[&str]) -> Result<Self, EncodeError> {
        // RFC 6455 §4.1: "non-empty strings with characters in the range U+0021 to U+007E not including
        // separator characters [...] and MUST all be unique strings."
        if subprotocols.iter().any(|name| token(name.as_bytes()).is_none()) || has_duplicates(subprotocols) {
            return Err(EncodeError::Subprotocol);
        }
        self.subprotocols = subprotocols.iter().map(|name| (*name).to_owned()).collect();
        Ok(self)
    }

    /// Offers these extensions with their parameters, as the value of `Sec-WebSocket-Extensions` has them.
    ///
    /// # Errors
    ///
    /// They are outside the grammar of RFC 6455 §9.1, or more than a server of ours accepts: 32 extensions,
    /// 16 parameters.
    pub fn with_extensions(mut self, extensions: impl Into<String>) -> Result<Self, EncodeError> {
        let extensions = extensions.into();
        parse_extensions([extensions.as_bytes()].into_iter()).map_err(|_| EncodeError::Extensions)?;
        self.extensions = Some(extensions);
        Ok(self)
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

    /// Appends the request. RFC 6455 §4.1: the client "MUST wait for a response from the server before
    /// sending any further data."
    pub fn encode(&self, out: &mut Vec<u8>) {
        for part in ["GET ", &self.target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        write_field(out, "Host", self.host.as_bytes());
        write_field(out, "Upgrade", b"websocket");
        write_field(out, "Connection", b"Upgrade");
        write_field(out, "Sec-WebSocket-Key", &self.key);
        write_field(out, "Sec-WebSocket-Version", b"13");
        if let Some(origin) = &self.origin {
            write_field(out, "Origin", origin.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            write_field(out, "Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(extensions) = &self.extensions {
            write_field(out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        self.fields.encode(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// The head of a server's answer.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'b, 'h> {
    status: u16,
    headers: &'h [Header<'b>],
}

impl<'b, 'h> ResponseHead<'b, 'h> {
    /// Reads a complete head, which [`HeadScanner`] has found, from its first byte to its empty line.
    ///
    /// `headers` is where the header fields go, and its length is how many there may be; fill it with
    /// [`EMPTY_HEADER`](crate::EMPTY_HEADER).
    ///
    /// # Errors
    ///
    /// It is no such head of an HTTP/1.1 response.
    pub fn parse(head: &'b [u8], headers: &'h mut [Header<'b>]) -> Result<Self, ClientError> {
        // httparse takes an LF alone for the end of a line; the scanner does not.
        if HeadScanner::new().scan(head, usize::MAX)? != Some(head.len()) {
            return Err(HandshakeError::IncompleteHead.into());
        }
        // Only a request may have an empty line before it (RFC 9112 §2.2).
        if head.starts_with(b"\r\n") {
            return Err(ClientError::StatusLine);
        }
        let mut response = httparse::Response::new(headers);
        match response.parse(head) {
            Ok(_) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(HandshakeError::TooManyHeaders.into()),
            Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
                return Err(HandshakeError::HeaderLine.into());
            }
            Err(_) => return Err(ClientError::StatusLine),
        }
        let (Some(1), Some(status)) = (response.version, response.code) else {
            return Err(ClientError::StatusLine);
        };
        Ok(Self { status, headers: response.headers })
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of the first field of this name, in any case. `None` also if it is not UTF-8; then
    /// [`headers`](Self::headers) has its bytes.
    pub fn header(&self, name: &str) -> Option<&'b str> {
        values(self.headers, name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// All header fields, in the order in which they were sent.
    pub fn headers(&self) -> impl Iterator<Item = &'h Header<'b>> {
        self.headers.iter()
    }

    /// Whether this accepts `request`, and with what.
    ///
    /// # Errors
    ///
    /// It does not, or says something that `request` does not allow: the connection has to be failed. After
    /// [`ClientError::Status`], this head says more; a 1xx status is followed by another response.
    pub fn check(&self, request: &ClientRequest) -> Result<Established<'b>, ClientError> {
        if self.status != 101 {
            return Err(ClientError::Status(self.status));
        }
        // RFC 6455 §4.1: "If the response lacks an |Upgrade| header field or the |Upgrade| header field
        // contains a value that is not an ASCII case-insensitive match for the value "websocket", the client
        // MUST _Fail the WebSocket Connection_." So there is no other protocol beside it, either.
        let mut upgrades = values(self.headers, "Upgrade").flat_map(elements);
        let (Some(upgrade), None) = (upgrades.next(), upgrades.next()) else {
            return Err(ClientError::UpgradeField);
        };
        if !upgrade.eq_ignore_ascii_case(b"websocket") {
            return Err(ClientError::UpgradeField);
        }
        // RFC 6455 §4.1: "a token that is an ASCII case-insensitive match for the value "Upgrade"".
        if !has_token(self.headers, "Connection", "Upgrade") {
            return Err(ClientError::ConnectionField);
        }
        // RFC 6455 §11.3.3: "The |Sec-WebSocket-Accept| header MUST NOT appear more than once in an HTTP
        // response."
        let accept = at_most_one(self.headers, "Sec-WebSocket-Accept", ClientError::AcceptField)?;
        if accept != Some(&accept_key(&request.key)) {
            return Err(ClientError::AcceptField);
        }
        let subprotocol = self.subprotocol(request)?;
        Ok(Established { subprotocol, extensions: self.extensions(request)? })
    }

    fn subprotocol(&self, request: &ClientRequest) -> Result<Option<&'b str>, ClientError> {
        // RFC 6455 §11.3.4: "MUST NOT appear more than once in an HTTP response." §4.1: a subprotocol "that
        // was not present in the client's handshake" fails the connection.
        let error = ClientError::SubprotocolNotOffered;
        match at_most_one(self.headers, "Sec-WebSocket-Protocol", error)?.map(str::from_utf8) {
            None => Ok(None),
            Some(Ok(subprotocol)) if request.subprotocols.iter().any(|name| name == subprotocol) => {
                Ok(Some(subprotocol))
            }
            Some(_) => Err(error),
        }
    }

    fn extensions(&self, request: &ClientRequest) -> Result<Vec<Extension<'b>>, ClientError> {
        // RFC 6455 §4.2.2 lets a server split the field, §11.3.2 does not; we take either.
        let extensions = parse_extensions(values(self.headers, "Sec-WebSocket-Extensions"))
            .map_err(|_| ClientError::ExtensionsMalformed)?;
        let offered = parse_extensions(request.extensions.iter().map(String::as_bytes)).unwrap_or_default();
        // RFC 6455 §4.1: "the use of an extension that was not present in the client's handshake" fails it.
        if extensions.iter().all(|extension| offered.iter().any(|offer| offer.name() == extension.name())) {
            Ok(extensions)
        } else {
            Err(ClientError::ExtensionNotOffered)
        }
    }
}

/// What client and server have agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Established<'b> {
    subprotocol: Option<&'b str>,
    extensions: Vec<Extension<'b>>,
}

impl<'b> Established<'b> {
    /// The _Subprotocol In Use_: one of those that were offered, or none.
    pub fn subprotocol(&self) -> Option<&'b str> {
        self.subprotocol
    }

    /// The _Extensions In Use_, in the order in which they apply. Whether their parameters are legal is for
    /// the extension to say.
    pub fn extensions(&self) -> impl Iterator<Item = &Extension<'b>> {
        self.extensions.iter()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec::Vec};

    use super::{ClientError, ClientRequest, EncodeError, Extension, HandshakeError, ResponseHead};
    use crate::EMPTY_HEADER;

    /// The nonce of RFC 6455 §1.3.
    const NONCE: [u8; 16] = *b"the sample nonce";

    fn request() -> ClientRequest {
        ClientRequest::new("server.example.com", "/chat", NONCE).unwrap()
    }

    #[test]
    fn the_request_of_the_rfc() {
        let request = request().with_origin("http://example.com").unwrap();
        let request = request.with_subprotocols(&["chat", "superchat"]).unwrap();
        let request = request.with_extensions("x; y=1, z").unwrap().with_header("Cookie", "a=b").unwrap();
        let mut out = Vec::from(*b"before ");
        request.encode(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "before GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: x; y=1, z\r\n\
             Cookie: a=b\r\n\r\n"
        );
    }

    #[test]
    fn what_was_not_asked_for_is_not_in_the_request() {
        let mut out = Vec::new();
        request().with_subprotocols(&[]).unwrap().encode(&mut out);
        assert!(out.ends_with(b"\r\nSec-WebSocket-Version: 13\r\n\r\n"));
    }

    #[test]
    fn illegal_requests_cannot_be_built() {
        let new = |host, target| ClientRequest::new(host, target, NONCE).map(|_| ());
        assert_eq!(new("[::1]:9001", "/a?b"), Ok(()));
        for host in ["", "a/b", "a\r\nb", "a b", "user@a", "a:b"] {
            assert_eq!(new(host, "/"), Err(EncodeError::Host), "{host:?}");
        }
        for target in ["", "a", "http://a/", "*", "/a b", "/a\r\nb", "/ä", "/#"] {
            assert_eq!(new("a", target), Err(EncodeError::RequestTarget), "{target:?}");
        }
        for origin in ["", "a", "http://a/", "http://a\r\nb"] {
            assert_eq!(request().with_origin(origin), Err(EncodeError::Origin), "{origin:?}");
        }
        for subprotocols in [&[""][..], &["a,b"], &["a b"], &["a\r\nb"], &["a", "a"]] {
            let outcome = ClientRequest::new("a", "/", NONCE).unwrap().with_subprotocols(subprotocols);
            assert_eq!(outcome, Err(EncodeError::Subprotocol), "{subprotocols:?}");
        }
        for extensions in ["", "a;", "a\r\nb", "a\r\n"] {
            assert_eq!(request().with_extensions(extensions), Err(EncodeError::Extensions), "{extensions:?}");
        }
        for (name, error) in [("X\r\n", EncodeError::HeaderName), ("Host", EncodeError::HeaderReserved)] {
            assert_eq!(request().with_header(name, "a"), Err(error), "{name:?}");
        }
    }

    const STATUS_LINE: &str = "HTTP/1.1 101 Switching Protocols";
    /// The fields of the answer of RFC 6455 §1.3.
    const FIELDS: [&str; 3] =
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="];

    /// Checks an answer to a request that offers the subprotocols a and b and the extensions x and y. It has
    /// the fields of the RFC, with `changed` in place of the ones of that name, or behind all others.
    fn check(
        rule: &str,
        status_line: &str,
        changed: &[&str],
        expect: Result<(Option<&str>, &[&str]), ClientError>,
    ) {
        let name = |field: &str| field.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let kept = FIELDS.iter().filter(|field| changed.iter().all(|it| name(it) != name(field)));
        let fields: Vec<&str> =
            kept.copied().chain(changed.iter().copied().filter(|it| it.contains(": "))).collect();
        let head = format!("{status_line}\r\n{}\r\n\r\n", fields.join("\r\n"));

        let request =
            request().with_subprotocols(&["a", "b"]).unwrap().with_extensions("x; p, y; q").unwrap();
        let mut headers = [EMPTY_HEADER; 8];
        let outcome = ResponseHead::parse(head.as_bytes(), &mut headers).and_then(|it| it.check(&request));
        let outcome = outcome.as_ref().map_err(|error| *error);
        let extensions: Vec<_> = outcome.iter().flat_map(|it| it.extensions()).map(Extension::name).collect();
        assert_eq!(outcome.map(|it| (it.subprotocol(), &extensions[..])), expect, "{rule}");
    }

    #[test]
    fn status_lines() {
        for (line, expect) in [
            ("HTTP/1.1 101 Switching Protocols", Ok((None, &[][..]))),
            ("HTTP/1.1 101 ", Ok((None, &[]))),
            ("HTTP/1.1 101", Ok((None, &[]))),
            ("HTTP/1.1 200 OK", Err(ClientError::Status(200))),
            ("HTTP/1.1 100 Continue", Err(ClientError::Status(100))),
            ("HTTP/1.1 426 Upgrade Required", Err(ClientError::Status(426))),
            ("HTTP/1.0 101 Switching Protocols", Err(ClientError::StatusLine)),
            ("HTTP/2.0 101 Switching Protocols", Err(ClientError::StatusLine)),
            ("HTTP/1.1 1010", Err(ClientError::StatusLine)),
            ("HTTP/1.1 10", Err(ClientError::StatusLine)),
            ("GET / HTTP/1.1", Err(ClientError::StatusLine)),
            ("\r\nHTTP/1.1 101 Switching Protocols", Err(ClientError::StatusLine)),
        ] {
            check(line, line, &[], expect);
        }
    }

    #[test]
    fn fields_of_the_answer() {
        use ClientError::{AcceptField, ConnectionField, UpgradeField};
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        for (rule, changed, expect) in [
            ("of the RFC", &[][..], Ok((None, &[][..]))),
            ("any case", &["UPGRADE: WebSocket", "connection: UPGRADE"], Ok((None, &[]))),
            ("more options", &["Connection: keep-alive, Upgrade"], Ok((None, &[]))),
            ("no Upgrade", &["Upgrade"], Err(UpgradeField)),
            ("another Upgrade", &["Upgrade: h2c"], Err(UpgradeField)),
            ("part of a token", &["Upgrade: websockets"], Err(UpgradeField)),
            ("two protocols", &["Upgrade: websocket, h2c"], Err(UpgradeField)),
            ("two protocols in two lines", &["Upgrade: websocket", "Upgrade: h2c"], Err(UpgradeField)),
            ("no Connection", &["Connection"], Err(ConnectionField)),
            ("another option", &["Connection: close"], Err(ConnectionField)),
            ("no accept key", &["Sec-WebSocket-Accept"], Err(AcceptField)),
            ("twice the same", &[accept, accept], Err(AcceptField)),
            ("for another key", &["Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="], Err(AcceptField)),
            ("another case", &["Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO="], Err(AcceptField)),
        ] {
            check(rule, STATUS_LINE, changed, expect);
        }
    }

    #[test]
    fn what_the_server_chose() {
        use ClientError::{ExtensionNotOffered, ExtensionsMalformed, SubprotocolNotOffered};
        for (rule, changed, expect) in [
            ("a subprotocol", &["Sec-WebSocket-Protocol: b"][..], Ok((Some("b"), &[][..]))),
            ("not offered", &["Sec-WebSocket-Protocol: c"], Err(SubprotocolNotOffered)),
            ("another case", &["Sec-WebSocket-Protocol: A"], Err(SubprotocolNotOffered)),
            ("two", &["Sec-WebSocket-Protocol: a, b"], Err(SubprotocolNotOffered)),
            (
                "two lines",
                &["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"],
                Err(SubprotocolNotOffered),
            ),
            ("an empty one", &["Sec-WebSocket-Protocol: "], Err(SubprotocolNotOffered)),
            ("an extension", &["Sec-WebSocket-Extensions: y; r=1"], Ok((None, &["y"]))),
            ("both", &["Sec-WebSocket-Extensions: y, x"], Ok((None, &["y", "x"]))),
            (
                "in two lines",
                &["Sec-WebSocket-Extensions: y", "Sec-WebSocket-Extensions: x"],
                Ok((None, &["y", "x"])),
            ),
            ("an unknown one", &["Sec-WebSocket-Extensions: x, z"], Err(ExtensionNotOffered)),
            ("the name of a parameter", &["Sec-WebSocket-Extensions: p"], Err(ExtensionNotOffered)),
            ("outside the grammar", &["Sec-WebSocket-Extensions: x;"], Err(ExtensionsMalformed)),
            ("no extension", &["Sec-WebSocket-Extensions: "], Err(ExtensionsMalformed)),
        ] {
            check(rule, STATUS_LINE, changed, expect);
        }
    }

    #[test]
    fn nothing_was_offered_and_something_is_chosen() {
        for (field, error) in [
            ("Sec-WebSocket-Protocol: a", ClientError::SubprotocolNotOffered),
            ("Sec-WebSocket-Extensions: a", ClientError::ExtensionNotOffered),
        ] {
            let head = format!("{STATUS_LINE}\r\n{}\r\n{field}\r\n\r\n", FIELDS.join("\r\n"));
            let mut headers = [EMPTY_HEADER; 8];
            let head = ResponseHead::parse(head.as_bytes(), &mut headers).unwrap();
            assert_eq!(head.check(&request()).map(|_| ()), Err(error), "{field}");
        }
    }

    #[test]
    fn heads_that_are_none() {
        for (rule, head, expect) in [
            ("no empty line", &b"HTTP/1.1 101 a\r\nb: c\r\n"[..], HandshakeError::IncompleteHead),
            ("a byte behind it", b"HTTP/1.1 101 a\r\n\r\n\x81", HandshakeError::IncompleteHead),
            ("LF alone", b"HTTP/1.1 101 a\nb: c\r\n\r\n", HandshakeError::BareLineBreak),
            ("white space before the colon", b"HTTP/1.1 101 a\r\nb : c\r\n\r\n", HandshakeError::HeaderLine),
            ("a folded line", b"HTTP/1.1 101 a\r\nb: c\r\n d\r\n\r\n", HandshakeError::HeaderLine),
            (
                "more than two fields",
                b"HTTP/1.1 101 a\r\nb:\r\nc:\r\nd:\r\n\r\n",
                HandshakeError::TooManyHeaders,
            ),
        ] {
            let mut headers = [EMPTY_HEADER; 2];
            let outcome = ResponseHead::parse(head, &mut headers).map(|_| ());
            assert_eq!(outcome, Err(ClientError::Head(expect)), "{rule}");
        }
    }

    #[test]
    fn what_a_refusal_tells() {
        let head = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nX: \xff\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 4];
        let head = ResponseHead::parse(head, &mut headers).unwrap();
        assert_eq!(head.status(), 401);
        assert_eq!(
            (head.header("www-authenticate"), head.header("X"), head.header("Y")),
            (Some("Basic"), None, None)
        );
        assert_eq!(head.headers().map(|it| it.name).collect::<Vec<_>>(), ["WWW-Authenticate", "X"]);
    }
}

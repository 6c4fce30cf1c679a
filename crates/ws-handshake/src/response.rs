//! Responses that end a connection: pages, refusals, health checks (RFC 9112 §4).

use alloc::{borrow::Cow, format, vec::Vec};

use crate::{
    date::HttpDate,
    encode_error::EncodeError,
    fields::{CallerFields, write_field},
};

/// The methods of a page, as `Allow` names them (RFC 9110 §10.2.1).
pub(crate) const PAGE_METHODS: &str = "GET, HEAD";

/// A complete HTTP/1.1 response, after which the connection is closed.
///
/// ```
/// use ws_handshake::Response;
///
/// let mut out = Vec::new();
/// Response::text(404, "there is nothing here\n").encode(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 404 Not Found\r\n"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    /// Fields that this crate adds.
    known: Vec<(&'static str, &'static str)>,
    fields: CallerFields,
    date: Option<HttpDate>,
    body: Cow<'static, [u8]>,
}

impl Response {
    /// A response without a `Content-Type`, which [`with_header`](Self::with_header) can add.
    ///
    /// # Panics
    ///
    /// If `status` is not in 200-599: nothing else ends an exchange.
    #[track_caller]
    pub fn new(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        assert!((200..=599).contains(&status), "{status} is not the status of a final response");
        Self { status, known: Vec::new(), fields: CallerFields::default(), date: None, body: body.into() }
    }

    /// A response with a plain text in UTF-8.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn text(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, into_bytes(body.into()))
            .with_known_header("Content-Type", "text/plain; charset=utf-8")
    }

    /// A response with a page in UTF-8.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn html(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, into_bytes(body.into()))
            .with_known_header("Content-Type", "text/html; charset=utf-8")
    }

    /// The response to OPTIONS: the methods of a page, in `Allow`.
    pub fn options() -> Self {
        Self::new(204, b"").with_known_header("Allow", PAGE_METHODS)
    }

    /// Sets `Date` to this time, in seconds since the beginning of 1970 in UTC. RFC 9110 §6.6.1: "An origin server with
    /// a clock [...] MUST generate a Date header field in all 2xx (Successful), 3xx (Redirection), and 4xx (Client Error)
    /// responses".
    #[must_use]
    pub fn with_date(mut self, unix_seconds: u64) -> Self {
        self.date = Some(HttpDate(unix_seconds));
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

    /// Adds a header field that is known to be legal.
    pub(crate) fn with_known_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.known.push((name, value));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What follows the head.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Appends the whole response.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        if self.has_content() {
            out.extend_from_slice(&self.body);
        }
    }

    /// Appends the response to a HEAD: the head of the whole response, with the `Content-Length` of the content that is
    /// left out (RFC 9110 §8.6, §9.3.2).
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        let Self { status, known, fields, date, body } = self;
        out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(*status)).as_bytes());
        for (name, value) in known {
            write_field(out, name, value.as_bytes());
        }
        fields.encode(out);
        if let Some(date) = date {
            write_field(out, "Date", format!("{date}").as_bytes());
        }
        // RFC 9110 §7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
        let upgrades = known.iter().any(|(name, _)| *name == "Upgrade");
        write_field(out, "Connection", if upgrades { b"close, Upgrade" } else { b"close" });
        // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of
        // [...] 204 (No Content)."
        if self.has_content() {
            write_field(out, "Content-Length", format!("{}", body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }

    /// RFC 9110 §15.3.5, §15.4.5: a 204 and a 304 end with their head.
    fn has_content(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }
}

fn into_bytes(text: Cow<'static, str>) -> Cow<'static, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The phrase behind the status, which nobody has to read (RFC 9112 §4), so the list need not be complete.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::{EncodeError, Response};
    use crate::HandshakeError;

    fn check(response: &Response, expect: &str) {
        let mut out = Vec::from(*b"before ");
        response.encode(&mut out);
        assert_eq!(String::from_utf8(out).unwrap().strip_prefix("before "), Some(expect));
    }

    #[test]
    fn pages() {
        check(
            &Response::html(200, "<p>ä"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\
             Content-Length: 5\r\n\r\n<p>ä",
        );
        check(
            &Response::text(503, "not ready\n").with_header("Retry-After", "1").unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n\
             Connection: close\r\nContent-Length: 10\r\n\r\nnot ready\n",
        );
        check(
            &Response::new(302, b"").with_header("Location", "/").unwrap(),
            "HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
    }

    #[test]
    fn a_status_without_content_has_none() {
        check(&Response::new(204, b"lost"), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        check(&Response::new(304, b"lost"), "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn what_head_and_options_get() {
        let mut out = Vec::new();
        Response::html(200, "<p>ä").encode_head(&mut out);
        let expect = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\
             Content-Length: 5\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        check(
            &Response::options(),
            "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n",
        );
    }

    #[test]
    fn a_date() {
        check(
            &Response::new(200, b"").with_date(784_111_777),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\
             Content-Length: 0\r\n\r\n",
        );
    }

    #[test]
    fn any_status_and_any_bytes() {
        let mut out = Vec::new();
        let response = Response::new(599, b"\xff\0");
        response.encode(&mut out);
        assert_eq!(out, b"HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 2\r\n\r\n\xff\0");
        assert_eq!((response.status(), response.body()), (599, &b"\xff\0"[..]));
    }

    #[test]
    fn refusals() {
        check(
            &HandshakeError::KeyMissing.response(),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
             Content-Length: 46\r\n\r\nthe Sec-WebSocket-Key header field is missing\n",
        );
        check(
            &HandshakeError::MethodNotAllowed.response(),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nAllow: GET, HEAD\r\n\
             Connection: close\r\nContent-Length: 30\r\n\r\nonly GET and HEAD are allowed\n",
        );
        check(
            &HandshakeError::UpgradeMethod.response(),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nAllow: GET\r\n\
             Connection: close\r\nContent-Length: 36\r\n\r\na WebSocket handshake must be a GET\n",
        );
        check(
            &HandshakeError::VersionNotSupported.response(),
            "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nConnection: close, Upgrade\r\nContent-Length: 47\r\n\r\n\
             the only supported Sec-WebSocket-Version is 13\n",
        );
    }

    #[test]
    fn a_response_has_the_status_of_the_error() {
        use HandshakeError as E;
        for (error, status) in [
            (E::NotHttp, 400),
            (E::MethodNotAllowed, 405),
            (E::UpgradeMethod, 405),
            (E::UpgradeRequired, 426),
            (E::HeadTooLong, 431),
            (E::TooManyHeaders, 431),
            (E::ForeignHttpVersion, 505),
        ] {
            assert_eq!((error.status(), error.response().status()), (status, status), "{error}");
            assert_ne!(super::reason(status), "", "{status}");
        }
    }

    #[test]
    fn statuses_that_an_application_may_want_have_their_phrases() {
        for (status, phrase) in [
            (301, "Moved Permanently"),
            (302, "Found"),
            (307, "Temporary Redirect"),
            (308, "Permanent Redirect"),
            (401, "Unauthorized"),
            (404, "Not Found"),
            (429, "Too Many Requests"),
            (500, "Internal Server Error"),
        ] {
            let mut out = Vec::new();
            Response::text(status, "").encode(&mut out);
            let start = alloc::format!("HTTP/1.1 {status} {phrase}\r\n");
            assert!(out.starts_with(start.as_bytes()), "{status}");
        }
    }

    #[test]
    fn no_field_that_a_caller_may_not_add() {
        let response = Response::text(200, "");
        assert_eq!(response.clone().with_header("X", "a\r\n\r\nb"), Err(EncodeError::HeaderValue));
        assert_eq!(response.clone().with_header("X\n", "a"), Err(EncodeError::HeaderName));
        assert_eq!(response.with_header("content-length", "1"), Err(EncodeError::HeaderReserved));
    }

    #[test]
    #[should_panic(expected = "101 is not the status of a final response")]
    fn a_101_is_no_final_response() {
        Response::new(101, b"");
    }

    #[test]
    #[should_panic(expected = "600 is not the status of a final response")]
    fn a_600_is_no_response() {
        Response::new(600, b"");
    }
}

//! The client's request, as HTTP (RFC 9112 §3): what holds for a page and for an upgrade alike.

use alloc::borrow::Cow;
use httparse::Header;
use percent_encoding::percent_decode_str;

use crate::{
    authority::Authority,
    error::HandshakeError,
    fields::{at_most_one, has_token, is_sec_websocket, token, values},
    head::HeadScanner,
    target::Target,
};

/// A legal GET, HEAD or OPTIONS without a body, over HTTP/1.0 or HTTP/1.1.
///
/// Over HTTP/1.1 it has one `Host`. Whether it is a WebSocket handshake is judged by [`upgrade`](Self::upgrade) alone.
///
/// `'b` is the head, which is lent and never copied; `'h` the array that holds its header fields.
#[derive(Debug, Clone, Copy)]
pub struct Request<'b, 'h> {
    method: &'b str,
    is_http_1_0: bool,
    target: Target<'b>,
    authority: Option<Authority<'b>>,
    origin: Option<&'b str>,
    headers: &'h [Header<'b>],
}

impl<'b, 'h> Request<'b, 'h> {
    /// Reads a complete head, which [`HeadScanner`] has found, from its first byte to its empty line.
    ///
    /// `headers` is where the header fields go, and its length is how many there may be; fill it with
    /// [`EMPTY_HEADER`](crate::EMPTY_HEADER).
    ///
    /// # Errors
    ///
    /// Whatever makes it no such request. A version or a method that is not served is refused as that, whatever else
    /// is wrong with the host, the body or the target.
    pub fn parse(head: &'b [u8], headers: &'h mut [Header<'b>]) -> Result<Self, HandshakeError> {
        // httparse takes an LF alone for the end of a line; the scanner does not.
        if HeadScanner::new().scan(head, usize::MAX)? != Some(head.len()) {
            return Err(HandshakeError::IncompleteHead);
        }
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let line_len = head.iter().position(|&byte| byte == b'\r').unwrap_or(head.len());
        let (line, fields) = head.split_at(line_len);
        let RequestLine { method, target, is_http_1_0 } = parse_request_line(line)?;
        let headers = parse_fields(fields.strip_prefix(b"\r\n").unwrap_or(fields), headers)?;
        if !matches!(method, "GET" | "HEAD" | "OPTIONS") {
            let is_upgrade = has_handshake_fields(headers);
            return Err(if is_upgrade {
                HandshakeError::UpgradeMethod
            } else {
                HandshakeError::MethodNotAllowed
            });
        }
        let target = match (method, target) {
            ("OPTIONS", b"*") => Target::ASTERISK,
            _ => {
                let target = str::from_utf8(target).ok().and_then(Target::parse);
                target.ok_or(HandshakeError::RequestTarget)?
            }
        };
        check_no_body(headers)?;
        let host = parse_host(headers, is_http_1_0)?;
        Ok(Self {
            method,
            is_http_1_0,
            target,
            // RFC 9112 §3.2.2: "an origin server [...] MUST ignore the received Host header field (if any)
            // and instead use the host information of the request-target."
            authority: target.authority.or(host),
            origin: parse_origin(headers)?,
            headers,
        })
    }

    /// Whether `received`, the first bytes of a request, begin a HEAD. No response to it may have content, whatever
    /// else is wrong with the request: see [`Response::encode_head`](crate::Response::encode_head).
    pub fn begins_head(received: &[u8]) -> bool {
        received.strip_prefix(b"\r\n").unwrap_or(received).starts_with(b"HEAD ")
    }

    /// The method: `GET`, `HEAD` or `OPTIONS`.
    pub fn method(&self) -> &'b str {
        self.method
    }

    /// The request target as it was sent: a path with a query, an absolute URI, or the `*` of an OPTIONS.
    pub fn target(&self) -> &'b str {
        self.target.text
    }

    /// The path as it was sent, with its percent-encoding; it begins with `/`, except for the `*` of an OPTIONS.
    ///
    /// RFC 6455 §3 calls this, with the query, the resource name.
    pub fn path(&self) -> &'b str {
        self.target.path
    }

    /// What follows the first `?` of the target, as it was sent.
    pub fn query(&self) -> Option<&'b str> {
        self.target.query
    }

    /// The names and values of the query, decoded as a form: `+` is a space, and `%41` is `A`. A `%` that begins no byte stays
    /// as it is, and bytes that are not UTF-8 become U+FFFD. A name without `=` has an empty value.
    ///
    /// ```
    /// # use ws_handshake::{Request, with_fields};
    /// let head = b"GET /chat?room=caf%C3%A9+%26+bar&quiet HTTP/1.1\r\nHost: a\r\n\r\n";
    /// with_fields(100, |fields| {
    ///     let request = Request::parse(head, fields)?;
    ///     let pairs: Vec<_> = request.query_pairs().collect();
    ///     assert_eq!(pairs, [("room".into(), "café & bar".into()), ("quiet".into(), "".into())]);
    ///     Ok::<(), ws_handshake::HandshakeError>(())
    /// })?;
    /// # Ok::<(), ws_handshake::HandshakeError>(())
    /// ```
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'b, str>, Cow<'b, str>)> + use<'b> {
        form_urlencoded::parse(self.query().unwrap_or_default().as_bytes())
    }

    /// The value of the first cookie of this name (RFC 6265 §5.4), without the quotes that it may stand in, and with
    /// percent-encoding decoded, as pages often encode values. A value that decodes to no UTF-8 is as it was sent.
    pub fn cookie(&self, name: &str) -> Option<Cow<'b, str>> {
        let fields = values(self.headers, "Cookie").filter_map(|value| str::from_utf8(value).ok());
        let mut pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(found, _)| found.trim_ascii() == name)?;
        let value = value.trim_ascii();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        Some(percent_decode_str(value).decode_utf8().unwrap_or(Cow::Borrowed(value)))
    }

    /// The host that is asked for, with its port if one is named: from `Host`, or from an absolute target. Only
    /// a request over HTTP/1.0 may have none.
    pub fn host(&self) -> Option<&'b str> {
        self.authority.map(|authority| authority.text)
    }

    /// The value of `Origin`. A browser always sends one, other clients seldom do.
    pub fn origin(&self) -> Option<&'b str> {
        self.origin
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

    /// Whether the request asks for a WebSocket: an `Upgrade` names `websocket`, or there is a `Sec-WebSocket-` field.
    ///
    /// Only a request that has nothing of the kind may be answered with a page. An offer of another protocol, such as
    /// h2c, is none of a handshake (RFC 9110 §7.8: "A server MAY ignore a received Upgrade header field").
    pub fn is_upgrade(&self) -> bool {
        has_handshake_fields(self.headers)
    }

    /// [`host`](Self::host), taken apart.
    pub(crate) fn authority(&self) -> Option<Authority<'b>> {
        self.authority
    }

    pub(crate) fn is_http_1_0(&self) -> bool {
        self.is_http_1_0
    }

    pub(crate) fn fields(&self) -> &'h [Header<'b>] {
        self.headers
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3)
struct RequestLine<'b> {
    method: &'b str,
    target: &'b [u8],
    is_http_1_0: bool,
}

fn parse_request_line(line: &[u8]) -> Result<RequestLine<'_>, HandshakeError> {
    // It is followed by bytes that are no header fields, but is a head of HTTP/1 so far.
    if line == b"PRI * HTTP/2.0" {
        return Err(HandshakeError::Http2Preface);
    }
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next().and_then(token), parts.next(), parts.next(), parts.next())
    else {
        return Err(HandshakeError::RequestLine);
    };
    // `HTTP-version = HTTP-name "/" DIGIT "." DIGIT` (RFC 9112 §2.3)
    let is_http_1_0 = match version.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'0']) => true,
        // RFC 9110 §2.5: a higher minor version is processed "as if it was in the highest minor version within
        // that major version" that is known.
        Some([b'1', b'.', b'1'..=b'9']) => false,
        Some([b'0'..=b'9', b'.', b'0'..=b'9']) => return Err(HandshakeError::ForeignHttpVersion),
        _ => return Err(HandshakeError::RequestLine),
    };
    Ok(RequestLine { method, target, is_http_1_0 })
}

fn has_handshake_fields(headers: &[Header<'_>]) -> bool {
    has_token(headers, "Upgrade", "websocket") || headers.iter().any(|header| is_sec_websocket(header.name))
}

/// Reads the header lines and the empty line behind them.
fn parse_fields<'b, 'h>(
    lines: &'b [u8],
    headers: &'h mut [Header<'b>],
) -> Result<&'h [Header<'b>], HandshakeError> {
    match httparse::parse_headers(lines, headers) {
        Ok(httparse::Status::Complete((_, headers))) => Ok(headers),
        Ok(httparse::Status::Partial) => Err(HandshakeError::IncompleteHead),
        Err(httparse::Error::TooManyHeaders) => Err(HandshakeError::TooManyHeaders),
        Err(_) => Err(HandshakeError::HeaderLine),
    }
}

/// Refuses a request with a body: what follows the head has to be frames, and never a second request.
fn check_no_body(headers: &[Header<'_>]) -> Result<(), HandshakeError> {
    let no_length = values(headers, "Content-Length").all(|value| value == b"0");
    if no_length && values(headers, "Transfer-Encoding").next().is_none() {
        Ok(())
    } else {
        Err(HandshakeError::Body)
    }
}

fn parse_host<'b>(
    headers: &[Header<'b>],
    is_http_1_0: bool,
) -> Result<Option<Authority<'b>>, HandshakeError> {
    // RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
    // message that lacks a Host header field and to any request message that contains more than one Host
    // header field line or a Host header field with an invalid field value."
    match at_most_one(headers, "Host", HandshakeError::HostRepeated)? {
        None if is_http_1_0 => Ok(None),
        None => Err(HandshakeError::HostMissing),
        Some(host) => {
            let host = str::from_utf8(host).ok().and_then(Authority::parse);
            host.map(Some).ok_or(HandshakeError::HostMalformed)
        }
    }
}

/// An `Origin` that cannot be read must not pass for none, as a request with none is trusted more.
fn parse_origin<'b>(headers: &[Header<'b>]) -> Result<Option<&'b str>, HandshakeError> {
    // RFC 6454 §7.3: "The user agent MUST NOT include more than one Origin header field in any HTTP request."
    let origin = at_most_one(headers, "Origin", HandshakeError::OriginRepeated)?;
    origin.map(str::from_utf8).transpose().map_err(|_| HandshakeError::OriginMalformed)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{HandshakeError, Request};
    use crate::EMPTY_HEADER;

    /// Parses `head` with room for four header fields.
    #[track_caller]
    fn check(rule: &str, head: &[u8], expect: Result<(), HandshakeError>) {
        let mut headers = [EMPTY_HEADER; 4];
        assert_eq!(Request::parse(head, &mut headers).map(|_| ()), expect, "{rule}");
    }

    fn check_line(line: &str, expect: Result<(), HandshakeError>) {
        check(line, &[line.as_bytes(), b"\r\nHost: a\r\n\r\n"].concat(), expect);
    }

    fn check_fields(rule: &str, fields: &[u8], expect: Result<(), HandshakeError>) {
        check(rule, &[b"GET / HTTP/1.1\r\n", fields, b"\r\n"].concat(), expect);
    }

    #[test]
    fn the_request_line() {
        use HandshakeError as E;
        for (line, expect) in [
            ("GET / HTTP/1.1", Ok(())),
            ("GET / HTTP/1.2", Ok(())),
            ("GET / HTTP/1.9", Ok(())),
            ("GET http://a/b HTTP/1.1", Ok(())),
            ("GET / HTTP/1.0", Ok(())),
            ("HEAD / HTTP/1.1", Ok(())),
            ("HEAD / HTTP/1.0", Ok(())),
            ("OPTIONS / HTTP/1.1", Ok(())),
            ("OPTIONS * HTTP/1.1", Ok(())),
            ("OPTIONS / HTTP/1.0", Ok(())),
            ("OPTIONS http://a HTTP/1.1", Ok(())),
            ("POST / HTTP/1.0", Err(E::MethodNotAllowed)),
            ("GET / HTTP/2.0", Err(E::ForeignHttpVersion)),
            ("GET / HTTP/0.9", Err(E::ForeignHttpVersion)),
            ("GET / HTTP/3.0", Err(E::ForeignHttpVersion)),
            ("PRI * HTTP/2.0", Err(E::Http2Preface)),
            ("GET / HTTP/1", Err(E::RequestLine)),
            ("GET / HTTP/2", Err(E::RequestLine)),
            ("GET / HTTP/1.", Err(E::RequestLine)),
            ("GET / HTTP/1.10", Err(E::RequestLine)),
            ("GET / HTTP/1,1", Err(E::RequestLine)),
            ("GET / HTTP/01.1", Err(E::RequestLine)),
            ("GET / http/1.1", Err(E::RequestLine)),
            ("GET / HTTPS/1.1", Err(E::RequestLine)),
            ("GET / ", Err(E::RequestLine)),
            ("GET /", Err(E::RequestLine)),
            ("GET", Err(E::RequestLine)),
            ("GET  / HTTP/1.1", Err(E::RequestLine)),
            ("GET /  HTTP/1.1", Err(E::RequestLine)),
            ("GET / HTTP/1.1 ", Err(E::RequestLine)),
            ("GET\t/\tHTTP/1.1", Err(E::RequestLine)),
            ("GET / a HTTP/1.1", Err(E::RequestLine)),
            ("G@T / HTTP/1.1", Err(E::RequestLine)),
            ("get / HTTP/1.1", Err(E::MethodNotAllowed)),
            ("POST / HTTP/1.1", Err(E::MethodNotAllowed)),
            ("head / HTTP/1.1", Err(E::MethodNotAllowed)),
            ("CONNECT a:80 HTTP/1.1", Err(E::MethodNotAllowed)),
            ("GETS / HTTP/1.1", Err(E::MethodNotAllowed)),
            ("GET * HTTP/1.1", Err(E::RequestTarget)),
            ("HEAD * HTTP/1.1", Err(E::RequestTarget)),
            ("OPTIONS ** HTTP/1.1", Err(E::RequestTarget)),
            ("GET a:80 HTTP/1.1", Err(E::RequestTarget)),
            ("GET a HTTP/1.1", Err(E::RequestTarget)),
            ("GET /ä HTTP/1.1", Err(E::RequestTarget)),
            ("GET /#a HTTP/1.1", Err(E::RequestTarget)),
        ] {
            check_line(line, expect);
        }
        check("a target that is not UTF-8", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Err(E::RequestTarget));
    }

    #[test]
    fn the_header_lines() {
        use HandshakeError::{HeaderLine, TooManyHeaders};
        for (rule, fields, expect) in [
            ("no white space", &b"Host:a\r\n"[..], Ok(())),
            ("white space around the value", b"Host: \t a\t \r\n", Ok(())),
            ("an empty value", b"Host: a\r\nb:\r\n", Ok(())),
            ("bytes above ASCII in a value", b"Host: a\r\nb: \x80\xff\r\n", Ok(())),
            ("as many as there may be", b"Host: a\r\nb: 2\r\nc: 3\r\nd: 4\r\n", Ok(())),
            ("one more", b"Host: a\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\n", Err(TooManyHeaders)),
            ("white space before the colon", b"Host : a\r\n", Err(HeaderLine)),
            ("a tab before the colon", b"Host\t: a\r\n", Err(HeaderLine)),
            ("a folded line", b"Host: a\r\n b\r\n", Err(HeaderLine)),
            ("a line folded with a tab", b"Host: a\r\n\tb\r\n", Err(HeaderLine)),
            ("white space before the first field", b" Host: a\r\n", Err(HeaderLine)),
            ("no colon", b"Host: a\r\nb\r\n", Err(HeaderLine)),
            ("no name", b"Host: a\r\n: b\r\n", Err(HeaderLine)),
            ("a name that is no token", b"Host: a\r\nb(c): d\r\n", Err(HeaderLine)),
            ("a name above ASCII", b"Host: a\r\n\xe4: d\r\n", Err(HeaderLine)),
            ("NUL", b"Host: a\r\nb: \0\r\n", Err(HandshakeError::ControlCharacter)),
            ("DEL", b"Host: a\r\nb: \x7f\r\n", Err(HandshakeError::ControlCharacter)),
            ("LF alone", b"Host: a\nb: c\r\n", Err(HandshakeError::BareLineBreak)),
            ("CR alone", b"Host: a\rb: c\r\n", Err(HandshakeError::BareLineBreak)),
        ] {
            check_fields(rule, fields, expect);
        }
    }

    #[test]
    fn a_head_is_complete_and_nothing_follows_it() {
        check("one empty line before", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(()));
        check("two", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HandshakeError::NotHttp));
        check("no empty line", b"GET / HTTP/1.1\r\nHost: a\r\n", Err(HandshakeError::IncompleteHead));
        check("a byte behind it", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nb", Err(HandshakeError::IncompleteHead));
        check("nothing", b"", Err(HandshakeError::IncompleteHead));
    }

    #[test]
    fn there_is_no_body() {
        for (rule, fields, expect) in [
            ("a length of 0", &b"Content-Length: 0\r\n"[..], Ok(())),
            ("0 twice", b"Content-Length: 0\r\ncontent-length: 0\r\n", Ok(())),
            ("a length", b"Content-Length: 1\r\n", Err(HandshakeError::Body)),
            ("0, then a length", b"Content-Length: 0\r\nCONTENT-LENGTH: 5\r\n", Err(HandshakeError::Body)),
            ("a list", b"Content-Length: 0, 0\r\n", Err(HandshakeError::Body)),
            ("another zero", b"Content-Length: 00\r\n", Err(HandshakeError::Body)),
            ("a sign", b"Content-Length: +0\r\n", Err(HandshakeError::Body)),
            ("an empty length", b"Content-Length:\r\n", Err(HandshakeError::Body)),
            ("chunked", b"Transfer-Encoding: chunked\r\n", Err(HandshakeError::Body)),
            ("any coding", b"transfer-encoding: identity\r\n", Err(HandshakeError::Body)),
            ("no coding", b"Transfer-Encoding:\r\n", Err(HandshakeError::Body)),
        ] {
            check_fields(rule, &[b"Host: a\r\n", fields].concat(), expect);
        }
    }

    #[test]
    fn a_method_that_is_not_served_comes_before_what_else_is_wrong() {
        for (rule, fields, expect) in [
            ("no host", &b""[..], HandshakeError::MethodNotAllowed),
            ("a body", b"Host: a\r\nContent-Length: 3\r\n", HandshakeError::MethodNotAllowed),
            ("an offer of h2c", b"Host: a\r\nUpgrade: h2c\r\n", HandshakeError::MethodNotAllowed),
            ("a handshake", b"Host: a\r\nUpgrade: websocket\r\n", HandshakeError::UpgradeMethod),
        ] {
            check(rule, &[b"POST / HTTP/1.1\r\n", fields, b"\r\n"].concat(), Err(expect));
        }
    }

    #[test]
    fn http_1_0_needs_no_host() {
        for (rule, fields, expect, host) in [
            ("none", "", Ok(()), None),
            ("one", "Host: a:80\r\n", Ok(()), Some("a:80")),
            ("repeated", "Host: a\r\nHost: a\r\n", Err(HandshakeError::HostRepeated), None),
            ("malformed", "Host: a/b\r\n", Err(HandshakeError::HostMalformed), None),
        ] {
            let head = alloc::format!("GET / HTTP/1.0\r\n{fields}\r\n");
            check(rule, head.as_bytes(), expect);
            let mut headers = [EMPTY_HEADER; 4];
            let request = Request::parse(head.as_bytes(), &mut headers).ok();
            assert_eq!(request.and_then(|request| request.host()), host, "{rule}");
        }
    }

    #[test]
    fn the_first_bytes_of_a_head_request() {
        for (received, expect) in [
            ("HEAD / HTTP/1.1\r\n", true),
            ("\r\nHEAD /", true),
            ("HEAD ", true),
            ("HEAD", false),
            ("HEADER / HTTP/1.1\r\n", false),
            ("head / HTTP/1.1\r\n", false),
            ("GET /HEAD ", false),
            ("", false),
        ] {
            assert_eq!(Request::begins_head(received.as_bytes()), expect, "{received:?}");
        }
    }

    #[test]
    fn there_is_one_legal_host() {
        for (rule, fields, expect) in [
            ("a name", &b"Host: example.com\r\n"[..], Ok(())),
            ("any case", b"hOST: example.com\r\n", Ok(())),
            ("an address and a port", b"Host: [::1]:9001\r\n", Ok(())),
            ("missing", b"Hosts: a\r\n", Err(HandshakeError::HostMissing)),
            ("repeated", b"Host: a\r\nhost: a\r\n", Err(HandshakeError::HostRepeated)),
            ("empty", b"Host:\r\n", Err(HandshakeError::HostMalformed)),
            ("a path", b"Host: a/b\r\n", Err(HandshakeError::HostMalformed)),
            ("a user", b"Host: a@b\r\n", Err(HandshakeError::HostMalformed)),
            ("a port that is none", b"Host: a:b\r\n", Err(HandshakeError::HostMalformed)),
            ("white space", b"Host: a b\r\n", Err(HandshakeError::HostMalformed)),
            ("not ASCII", b"Host: \xe4\r\n", Err(HandshakeError::HostMalformed)),
        ] {
            check_fields(rule, fields, expect);
        }
    }

    #[test]
    fn there_is_at_most_one_origin_and_it_can_be_read() {
        for (rule, fields, expect) in [
            ("one", &b"Origin: http://a\r\n"[..], Ok(())),
            ("repeated", b"Origin: http://a\r\norigin: http://a\r\n", Err(HandshakeError::OriginRepeated)),
            ("not UTF-8", b"Origin: http://\xe4\r\n", Err(HandshakeError::OriginMalformed)),
        ] {
            check_fields(rule, &[b"Host: a\r\n", fields].concat(), expect);
        }
    }

    #[test]
    fn what_a_request_tells() {
        let head =
            b"GET /chat?room=1 HTTP/1.1\r\nHost: a:80\r\nOrigin: http://b\r\nX: 1\r\nx: 2\r\ny: \xff\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 8];
        let request = Request::parse(head, &mut headers).unwrap();
        assert_eq!(request.target(), "/chat?room=1");
        assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
        assert_eq!((request.host(), request.origin()), (Some("a:80"), Some("http://b")));
        assert_eq!(request.method(), "GET");
        assert_eq!((request.header("x"), request.header("X")), (Some("1"), Some("1")));
        assert_eq!((request.header("y"), request.header("z")), (None, None));
        let headers: Vec<_> = request.headers().map(|header| (header.name, header.value)).collect();
        assert_eq!(headers[2..], [("X", &b"1"[..]), ("x", b"2"), ("y", b"\xff")]);
    }

    #[test]
    fn the_host_of_an_absolute_target_comes_first() {
        let head = b"GET http://b:81/c HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 1];
        let request = Request::parse(head, &mut headers).unwrap();
        let asked = (request.host(), request.path(), request.target());
        assert_eq!(asked, (Some("b:81"), "/c", "http://b:81/c"));
        check(
            "its Host must be legal nevertheless",
            b"GET http://b/ HTTP/1.1\r\n\r\n",
            Err(HandshakeError::HostMissing),
        );
    }

    #[test]
    fn cookies() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=\"two words\";c=%7B%22d%22%3A1%7D; empty=; =x; bad=%ff\r\n\
            cookie: e=5; a=2;nothing\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 4];
        let request = Request::parse(head, &mut headers).unwrap();
        for (name, expect) in [
            ("a", Some("1")),
            ("b", Some("two words")),
            ("c", Some("{\"d\":1}")),
            ("empty", Some("")),
            ("bad", Some("%ff")),
            ("e", Some("5")),
            ("A", None),
            ("nothing", None),
            ("d", None),
        ] {
            assert_eq!(request.cookie(name).as_deref(), expect, "{name}");
        }
        let mut headers = [EMPTY_HEADER; 4];
        let without = Request::parse(b"GET /?%zz=%e9 HTTP/1.1\r\nHost: a\r\n\r\n", &mut headers).unwrap();
        assert_eq!(without.cookie("a"), None);
        assert!(without.query_pairs().eq([("%zz".into(), "\u{fffd}".into())]));
        let mut headers = [EMPTY_HEADER; 4];
        let without = Request::parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut headers).unwrap();
        assert_eq!(without.query_pairs().count(), 0);
    }
}

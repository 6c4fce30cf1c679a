//! An answer that opens no connection: a page, or a refusal with its cause.

use crate::{PeerAddr, Refusal, RefusalReason, Transport, metrics::Counters};
use std::{
    io::IoSlice,
    time::{SystemTime, UNIX_EPOCH},
};
use ws_handshake::{HandshakeError, Response};

/// The most characters that are kept of a text that comes from a peer.
const MAX_TEXT_LEN: usize = 200;

/// An answer that opens no connection.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) response: Response,
    /// `None` for a page.
    pub(crate) cause: Option<Box<Cause>>,
}

/// Why a request was refused, and what it asked for.
#[derive(Debug)]
pub(crate) struct Cause {
    pub(crate) reason: RefusalReason,
    detail: String,
    host: Option<String>,
    origin: Option<String>,
    path: Option<String>,
    user_agent: Option<String>,
}

impl Refused {
    pub(crate) fn page(response: Response) -> Self {
        Self { response, cause: None }
    }

    pub(crate) fn new(response: Response, reason: RefusalReason, detail: impl Into<String>) -> Self {
        let (detail, (host, origin, path, user_agent)) = (detail.into(), Default::default());
        Self { response, cause: Some(Box::new(Cause { reason, detail, host, origin, path, user_agent })) }
    }

    /// Refuses with a plain text that says what is wrong. A value of the peer in it has to be [`printable`].
    pub(crate) fn text(status: u16, reason: RefusalReason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(Response::text(status, format!("{detail}\n")), reason, detail)
    }

    /// The request did not arrive in the time that it has.
    pub(crate) fn timeout() -> Self {
        Self::text(408, RefusalReason::Timeout, "the request did not arrive in time")
    }

    /// No connection is taken any more.
    pub(crate) fn shutting_down() -> Self {
        Self::text(503, RefusalReason::ShuttingDown, "the server is shutting down")
    }

    /// The system gave no memory for the request.
    pub(crate) fn out_of_memory() -> Self {
        Self::text(503, RefusalReason::OutOfMemory, "the server has no memory left for this request")
    }

    /// Sends the response to a peer whose request is not waited for, and ends the stream. Returns the status, if the
    /// transport takes the response, which fits the empty buffer of a socket.
    pub(crate) fn send_at_once(&self, transport: &mut impl Transport) -> Option<u16> {
        let mut bytes = Vec::new();
        self.response.clone().with_date(unix_seconds()).encode(&mut bytes);
        let taken = transport.send(&mut [IoSlice::new(&bytes)]).ok().filter(|taken| *taken > 0);
        // An error changes nothing: the socket is closed next.
        let _ = transport.shutdown_write();
        taken.map(|_| self.response.status())
    }

    /// Counts a refusal, and reports it to `on_refused` and to `tracing`. A page is no refusal.
    pub(crate) fn report(
        &self,
        addr: PeerAddr,
        status: Option<u16>,
        counters: &Counters,
        on_refused: impl FnOnce(&Refusal<'_>),
    ) {
        let Some(cause) = &self.cause else { return };
        counters.refusal(cause.reason);
        let refusal = cause.refusal(addr, status);
        refusal.trace();
        on_refused(&refusal);
    }

    /// Adds what the request asked for, as far as it can be made out of the bytes that came of it.
    pub(crate) fn of(mut self, received: &[u8]) -> Self {
        if let Some(cause) = &mut self.cause {
            let cause = &mut **cause;
            cause.path = path(received);
            for line in received.split(|byte| *byte == b'\n').skip(1) {
                let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
                let (name, value) = line.split_at(colon);
                let field = match name.to_ascii_lowercase().as_slice() {
                    b"host" => &mut cause.host,
                    b"origin" => &mut cause.origin,
                    b"user-agent" => &mut cause.user_agent,
                    _ => continue,
                };
                field.get_or_insert_with(|| cut(value.get(1..).unwrap_or_default().trim_ascii()));
            }
        }
        self
    }
}

/// The path of a request whose head begins with these bytes.
fn path(received: &[u8]) -> Option<String> {
    let line = received.trim_ascii_start().split(|byte| *byte == b'\r').next()?;
    let target = line.split(|byte| *byte == b' ').nth(1)?;
    let path = target.split(|byte| *byte == b'?').next()?;
    (path.starts_with(b"/") || path.starts_with(b"http")).then(|| cut(path))
}

fn cut(text: &[u8]) -> String {
    let text = text.get(..4 * MAX_TEXT_LEN).unwrap_or(text);
    String::from_utf8_lossy(text).chars().take(MAX_TEXT_LEN).collect()
}

impl Cause {
    pub(crate) fn refusal(&self, addr: PeerAddr, status: Option<u16>) -> Refusal<'_> {
        Refusal {
            addr,
            reason: self.reason,
            status,
            detail: &self.detail,
            host: self.host.as_deref(),
            origin: self.origin.as_deref(),
            path: self.path.as_deref(),
            user_agent: self.user_agent.as_deref(),
        }
    }
}

impl From<HandshakeError> for RefusalReason {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::TlsHello => Self::Tls,
            HandshakeError::UpgradeRequired => Self::NoUpgrade,
            HandshakeError::OldHttpVersion | HandshakeError::Http2Preface => Self::Version,
            _ => match error.status() {
                405 => Self::Method,
                426 | 505 => Self::Version,
                431 => Self::TooLong,
                _ => Self::Malformed,
            },
        }
    }
}

impl From<HandshakeError> for Refused {
    fn from(error: HandshakeError) -> Self {
        Self::new(error.response(), error.into(), error.to_string())
    }
}

/// The time of now, in seconds since the beginning of 1970 in UTC.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `text` as a response may repeat it: printable ASCII, and not much of it.
pub(crate) fn printable(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String =
        chars.by_ref().take(MAX_TEXT_LEN).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
    if chars.next().is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Received;
    use std::{io, net::SocketAddr};

    #[test]
    fn the_reasons_of_a_handshake() {
        use HandshakeError as E;
        for (error, expect) in [
            (E::NotHttp, "malformed"),
            (E::Body, "malformed"),
            (E::KeyMissing, "malformed"),
            (E::TlsHello, "tls"),
            (E::Http2Preface, "version"),
            (E::ForeignHttpVersion, "version"),
            (E::OldHttpVersion, "version"),
            (E::VersionNotSupported, "version"),
            (E::HeadTooLong, "too_long"),
            (E::TooManyHeaders, "too_long"),
            (E::MethodNotAllowed, "method"),
            (E::UpgradeMethod, "method"),
            (E::UpgradeRequired, "no_upgrade"),
        ] {
            assert_eq!(RefusalReason::from(error).name(), expect, "{error}");
        }
    }

    #[test]
    fn what_can_be_made_out_of_a_request() {
        let all =
            "GET /a?secret HTTP/1.1\r\nHOST: a:1\r\norigin:http://b\r\nUser-Agent: c d \r\nHost: e\r\n\r\n";
        let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let long = format!("/{}", "\u{e4}".repeat(5_000));
        let cut_long: String = long.chars().take(MAX_TEXT_LEN).collect();
        for (received, expect) in [
            (all, [Some("a:1"), Some("http://b"), Some("/a"), Some("c d")]),
            (&format!("\r\n{all}"), [Some("a:1"), Some("http://b"), Some("/a"), Some("c d")]),
            (&head("http://a/b"), [Some("a"), None, Some("http://a/b"), None]),
            (&head("*"), [Some("a"), None, None, None]),
            (&head(&long), [Some("a"), None, Some(&cut_long), None]),
            ("GET /a HTTP/1.1\r\nHost", [None, None, Some("/a"), None]),
            ("GET /a", [None, None, Some("/a"), None]),
            ("GE", [None; 4]),
            ("\x16\x03\x01\x02\0\x01 a: b\n: c\n", [None; 4]),
            ("", [None; 4]),
        ] {
            let refused = Refused::timeout().of(received.as_bytes());
            let cause = refused.cause.unwrap();
            let Refusal { host, origin, path, user_agent, .. } =
                cause.refusal(SocketAddr::from(([127, 0, 0, 1], 1)).into(), None);
            assert_eq!([host, origin, path, user_agent], expect, "{received:?}");
        }
    }

    #[test]
    fn what_a_response_repeats_of_a_peer() {
        let long = "a".repeat(MAX_TEXT_LEN);
        for (text, expect) in [
            ("https://a.example:8443", "https://a.example:8443".to_owned()),
            ("a\r\n\0\x7fb", "a????b".to_owned()),
            ("\u{202e}\u{e4}", "??".to_owned()),
            (&long, long.clone()),
            (&format!("{long}b"), format!("{long}...")),
        ] {
            assert_eq!(printable(text), expect, "{text:?}");
        }
    }

    /// A socket that takes so many bytes.
    struct Taking {
        room: usize,
        taken: Vec<u8>,
        has_ended: bool,
    }

    impl Transport for Taking {
        fn receive(&mut self, _: &mut [u8]) -> io::Result<Received> {
            Ok(Received::Drained(0))
        }

        fn send(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<usize> {
            let before = self.taken.len();
            self.taken.extend(parts.iter().flat_map(|part| part.iter()).take(self.room));
            Ok(self.taken.len() - before)
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            self.has_ended = true;
            Ok(())
        }
    }

    #[test]
    fn a_response_that_is_sent_at_once_is_reported_as_sent_only_if_it_was() {
        for (room, expect) in [(usize::MAX, Some(503)), (0, None)] {
            let mut socket = Taking { room, taken: vec![], has_ended: false };
            let refused = Refused::text(503, RefusalReason::MaxConnections, "full");
            assert_eq!(refused.send_at_once(&mut socket), expect);
            let response = String::from_utf8(socket.taken).unwrap();
            assert!(socket.has_ended);
            if expect.is_some() {
                assert!(
                    response.starts_with("HTTP/1.1 503 ") && response.contains("\r\nDate: "),
                    "{response}"
                );
                assert!(response.ends_with("\r\n\r\nfull\n"), "{response}");
            }
        }
    }
}

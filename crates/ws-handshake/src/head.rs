//! Where the head of a message ends (RFC 9112 §2.1), while it arrives in pieces.

use crate::{error::HandshakeError, fields::is_tchar};

/// The first byte of a TLS record that holds a handshake message (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// Finds the end of a head that arrives in pieces.
///
/// It remembers how far it has looked, so that the work over all pieces is linear in the bytes sent, and it
/// finds what can be no head as soon as that is there. A scanner serves one head, of a request or of a
/// response, and is one word large: it can live in each connection that is still handshaking.
///
/// ```
/// use ws_handshake::HeadScanner;
///
/// let mut scanner = HeadScanner::new();
/// assert_eq!(scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r\n", 8192), Ok(None));
/// assert_eq!(scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x80", 8192), Ok(Some(27)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct HeadScanner {
    /// So many bytes are looked at, and are right.
    scanned: usize,
}

impl HeadScanner {
    /// A scanner that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at what is new in `bytes`, which are all bytes from the first on: those of the last call, and
    /// more.
    ///
    /// `Some(len)`: the head is `bytes[..len]`, with its final empty line, and what follows is no part of it.
    /// `None`: there has to be more. A head of `max_len` bytes is legal, a longer one is not.
    ///
    /// # Errors
    ///
    /// The first thing that no head can have: a first byte that begins no HTTP message, a control character,
    /// a CR or an LF alone, or no end within `max_len` bytes. How the bytes were cut makes no difference.
    pub fn scan(&mut self, bytes: &[u8], max_len: usize) -> Result<Option<usize>, HandshakeError> {
        let within = &bytes[..bytes.len().min(max_len)];
        while let Some(&byte) = within.get(self.scanned) {
            let before = &within[..self.scanned];
            check_byte(before, byte)?;
            if byte == b'\n' && before.ends_with(b"\r\n\r") {
                return Ok(Some(self.scanned + 1));
            }
            self.scanned += 1;
            // Behind text, any text is right: that is most of a head.
            if is_text(byte) {
                self.scanned += within[self.scanned..].iter().take_while(|&&byte| is_text(byte)).count();
            }
        }
        if bytes.len() < max_len { Ok(None) } else { Err(HandshakeError::HeadTooLong) }
    }
}

/// Whether `byte` may follow `before`, which is legal so far.
fn check_byte(before: &[u8], byte: u8) -> Result<(), HandshakeError> {
    match before {
        [] if byte == TLS_HANDSHAKE => return Err(HandshakeError::TlsHello),
        // RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at
        // least one empty line (CRLF) received prior to the request-line." One is also all that is ignored
        // here.
        [] if byte == b'\r' => return Ok(()),
        // Both a method and `HTTP/1.1` begin with a character of a token.
        [] | [b'\r', b'\n'] if !is_tchar(byte) => return Err(HandshakeError::NotHttp),
        _ => {}
    }
    match (before.last(), byte) {
        // RFC 9112 §2.2: "A recipient of such a bare CR MUST consider that element to be invalid". It also
        // lets a recipient take an LF alone for the end of a line; we do not, as others on the way may see it
        // differently.
        (Some(b'\r'), b'\n') => Ok(()),
        (Some(b'\r'), _) | (_, b'\n') => Err(HandshakeError::BareLineBreak),
        (_, byte) if byte == b'\r' || is_text(byte) => Ok(()),
        _ => Err(HandshakeError::ControlCharacter),
    }
}

/// Whether a line may have this byte (RFC 9110 §5.5).
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec, vec::Vec};

    use super::{HandshakeError, HeadScanner};

    type Outcome = Result<Option<usize>, HandshakeError>;

    /// Scans `bytes` whole, cut once at every position, and byte by byte: always with the same outcome.
    fn check(rule: &str, bytes: &[u8], max_len: usize, expect: Outcome) {
        assert_eq!(HeadScanner::new().scan(bytes, max_len), expect, "{rule}, whole");
        for cut in 0..=bytes.len() {
            assert_eq!(scan_in_pieces(bytes, &[cut, bytes.len()], max_len), expect, "{rule}, cut at {cut}");
        }
        let every: Vec<usize> = (0..=bytes.len()).collect();
        assert_eq!(scan_in_pieces(bytes, &every, max_len), expect, "{rule}, byte by byte");
    }

    /// The first outcome that decides, when the bytes arrive up to one of `ends` after the other.
    fn scan_in_pieces(bytes: &[u8], ends: &[usize], max_len: usize) -> Outcome {
        let mut scanner = HeadScanner::new();
        ends.iter()
            .map(|&end| scanner.scan(&bytes[..end], max_len))
            .find(|it| *it != Ok(None))
            .unwrap_or(Ok(None))
    }

    #[test]
    fn the_end_of_a_head() {
        check("nothing yet", b"", 99, Ok(None));
        check("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 99, Ok(Some(27)));
        check("no header fields", b"GET / HTTP/1.1\r\n\r\n", 99, Ok(Some(18)));
        check("a response", b"HTTP/1.1 101 \r\nUpgrade: a\r\n\r\n", 99, Ok(Some(29)));
        check(
            "frames in the same segment",
            b"GET / HTTP/1.1\r\n\r\n\x81\x80\0\0\0\0\r\n\r\n",
            99,
            Ok(Some(18)),
        );
        check("a tab, and bytes above ASCII", b"GET / HTTP/1.1\r\na:\t\x80\xff\r\n\r\n", 99, Ok(Some(25)));
        check("cut before the last LF", b"GET / HTTP/1.1\r\n\r", 99, Ok(None));
        check("one line only", b"GET / HTTP/1.1\r\n", 99, Ok(None));
    }

    #[test]
    fn one_empty_line_before_the_first_line_is_passed_over() {
        check("one", b"\r\nGET / HTTP/1.1\r\n\r\n", 99, Ok(Some(20)));
        check("its CR", b"\r", 99, Ok(None));
        check("itself", b"\r\n", 99, Ok(None));
        check("two", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 99, Err(HandshakeError::NotHttp));
        check("a CR alone", b"\rGET / HTTP/1.1\r\n\r\n", 99, Err(HandshakeError::BareLineBreak));
    }

    #[test]
    fn what_begins_no_http_message_is_an_error_at_once() {
        check("a TLS hello", b"\x16\x03\x01\x02\x00", 99, Err(HandshakeError::TlsHello));
        check("a TLS hello behind an empty line", b"\r\n\x16", 99, Err(HandshakeError::NotHttp));
        for first in [b'\0', b'\n', b'\t', b' ', b':', b'{', 0x7f, 0x80, 0xff] {
            check("the first byte", &[first], 99, Err(HandshakeError::NotHttp));
            check(
                "the first byte behind an empty line",
                &[b'\r', b'\n', first],
                99,
                Err(HandshakeError::NotHttp),
            );
        }
    }

    #[test]
    fn bare_line_breaks_and_control_characters_are_errors_at_once() {
        check("LF alone", b"GET / HTTP/1.1\n", 99, Err(HandshakeError::BareLineBreak));
        check("LF alone at the end", b"GET / HTTP/1.1\r\na: b\r\n\n", 99, Err(HandshakeError::BareLineBreak));
        check("CR alone", b"GET / HTTP/1.1\ra", 99, Err(HandshakeError::BareLineBreak));
        check("CR CR LF", b"GET / HTTP/1.1\r\r\n", 99, Err(HandshakeError::BareLineBreak));
        for control in (0..=0x1f).chain([0x7f]).filter(|it| !b"\t\r\n".contains(it)) {
            check("control", &[b'G', b' ', control], 99, Err(HandshakeError::ControlCharacter));
        }
    }

    #[test]
    fn a_head_longer_than_max_len_is_an_error_at_once() {
        let head = b"GET / HTTP/1.1\r\n\r\n";
        check("as long as may be", head, 18, Ok(Some(18)));
        check("frames behind it do not count", &[&head[..], &[0x81; 50]].concat(), 18, Ok(Some(18)));
        check("its end is there, but too late", head, 17, Err(HandshakeError::HeadTooLong));
        check(
            "its end is not there, and cannot be in time",
            &head[..17],
            17,
            Err(HandshakeError::HeadTooLong),
        );
        check("its end may still be in time", &head[..16], 17, Ok(None));
        check("an error before the limit comes first", b"GET\n", 4, Err(HandshakeError::BareLineBreak));
        check("an error behind the limit is not seen", b"GET\n", 3, Err(HandshakeError::HeadTooLong));
    }

    #[test]
    fn nothing_is_looked_at_twice() {
        // What was scanned is overwritten with bytes that would be errors, but for the three that decide
        // whether an empty line is complete. So each call looks at what is new and at three bytes, whatever
        // came before.
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.extend(format!("a: {}\r\n\r\n", "b".repeat(10_000)).into_bytes());
        let mut seen = vec![];
        let mut scanner = HeadScanner::new();
        for (at, &byte) in head.iter().enumerate() {
            seen.push(byte);
            let expect = if at + 1 == head.len() { Some(head.len()) } else { None };
            assert_eq!(scanner.scan(&seen, 20_000), Ok(expect), "byte {at}");
            if let Some(overwritten) = seen.len().checked_sub(4) {
                seen[overwritten] = 0;
            }
        }
    }

    #[test]
    fn a_decision_stands_when_asked_again() {
        let mut scanner = HeadScanner::new();
        let head = b"GET / HTTP/1.1\r\n\r\nHELLO\n";
        assert_eq!(scanner.scan(head, 99), Ok(Some(18)));
        assert_eq!(scanner.scan(head, 99), Ok(Some(18)));

        let mut scanner = HeadScanner::new();
        assert_eq!(scanner.scan(b"GET\n", 99), Err(HandshakeError::BareLineBreak));
        assert_eq!(scanner.scan(b"GET\n", 99), Err(HandshakeError::BareLineBreak));
    }
}

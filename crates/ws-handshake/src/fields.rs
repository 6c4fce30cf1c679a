//! Header fields (RFC 9110 §5): how their values are read, and how the ones of a caller are written.

use alloc::{borrow::Cow, vec, vec::Vec};

use httparse::{EMPTY_HEADER, Header};

use crate::encode_error::EncodeError;

/// The number of header fields for which no memory is allocated.
const USUAL_FIELDS: usize = 128;

/// Calls `read` with room for this many header fields, as [`Request::parse`](crate::Request::parse) and
/// [`ResponseHead::parse`](crate::ResponseHead::parse) need it. Up to 128 are on the stack.
///
/// ```
/// use ws_handshake::{Request, with_fields};
///
/// let head = b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n";
/// let path = with_fields(100, |fields| Request::parse(head, fields).map(|request| request.path()))?;
/// assert_eq!(path, "/chat");
/// # Ok::<(), ws_handshake::HandshakeError>(())
/// ```
pub fn with_fields<'b, T>(max_fields: usize, read: impl FnOnce(&mut [Header<'b>]) -> T) -> T {
    let mut usual = [EMPTY_HEADER; USUAL_FIELDS];
    match usual.get_mut(..max_fields) {
        Some(fields) => read(fields),
        None => read(&mut vec![EMPTY_HEADER; max_fields]),
    }
}

/// The values of all fields of this name, in order.
pub(crate) fn values<'b, 'h>(
    headers: &'h [Header<'b>],
    name: &'h str,
) -> impl Iterator<Item = &'b [u8]> + 'h {
    // RFC 6455 §4.2.1 and RFC 9110 §5.1: field names are case-insensitive.
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// The value of the field of this name, which may be there once; else `repeated`.
pub(crate) fn at_most_one<'b, E>(
    headers: &[Header<'b>],
    name: &str,
    repeated: E,
) -> Result<Option<&'b [u8]>, E> {
    let mut values = values(headers, name);
    let first = values.next();
    if values.next().is_some() { Err(repeated) } else { Ok(first) }
}

/// Whether the fields of this name, which are lists, have an element that is `token` in any case.
pub(crate) fn has_token(headers: &[Header<'_>], name: &str, token: &str) -> bool {
    values(headers, name).flat_map(elements).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), without the white space around them.
///
/// A quoted comma is taken for a separator, too; none of the lists of a handshake has a legal one.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    // RFC 9110 §5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements".
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// `bytes` without the optional white space around them (RFC 9110 §5.6.3). A line break is none.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// `bytes` as text, if they are a token (RFC 9110 §5.6.2).
pub(crate) fn token(bytes: &[u8]) -> Option<&str> {
    let is_token = !bytes.is_empty() && bytes.iter().copied().all(is_tchar);
    str::from_utf8(bytes).ok().filter(|_| is_token)
}

/// Whether a token may have this character (RFC 9110 §5.6.2).
pub(crate) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Fields of a caller, which are legal, and are none of those that are written for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallerFields(Vec<(Cow<'static, str>, Cow<'static, str>)>);

impl CallerFields {
    /// Adds a field behind the others.
    pub(crate) fn push(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), EncodeError> {
        let (name, value) = (name.into(), value.into());
        if token(name.as_bytes()).is_none() {
            return Err(EncodeError::HeaderName);
        }
        if is_reserved(&name) {
            return Err(EncodeError::HeaderReserved);
        }
        // A line break would begin another field, or another message.
        if value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err(EncodeError::HeaderValue);
        }
        self.0.push((name, value));
        Ok(())
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            write_field(out, name, value.as_bytes());
        }
    }
}

/// Appends one line of a head.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Whether a field is left to this crate: it decides where the message ends, or is the handshake itself.
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 7] =
        ["Connection", "Content-Length", "Date", "Host", "Origin", "Transfer-Encoding", "Upgrade"];
    is_sec_websocket(name) || RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// Whether this is the name of a field of RFC 6455 §11.3, or looks like one.
pub(crate) fn is_sec_websocket(name: &str) -> bool {
    const PREFIX: &[u8] = b"Sec-WebSocket-";
    name.as_bytes().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::{CallerFields, EncodeError, elements, has_token, token};
    use httparse::Header;

    #[test]
    fn elements_of_a_list() {
        let elements = |value| elements(value).collect::<Vec<_>>();
        assert_eq!(elements(b"a"), [b"a"]);
        assert_eq!(elements(b" a\t,b , c"), [b"a", b"b", b"c"]);
        assert_eq!(elements(b",, a,,"), [b"a"]);
        assert_eq!(elements(b""), [b""; 0]);
        assert_eq!(elements(b"a\r\n, \x0cb"), [&b"a\r\n"[..], b"\x0cb"]);
    }

    #[test]
    fn a_token_is_a_whole_element() {
        for (rule, lines, expect) in [
            ("alone", &["upgrade"][..], true),
            ("any case", &["uPGRADE"], true),
            ("one of several", &["keep-alive, Upgrade"], true),
            ("in a second line", &["keep-alive", "upgrade"], true),
            ("part of a token", &["upgraded"], false),
            ("beside another word", &["keep-alive Upgrade"], false),
            ("quoted", &["\"upgrade\""], false),
            ("no line", &[], false),
            ("an empty line", &[""], false),
        ] {
            let mut headers: Vec<Header<'_>> =
                lines.iter().map(|line| Header { name: "connection", value: line.as_bytes() }).collect();
            headers.push(Header { name: "Other", value: b"upgrade" });
            assert_eq!(has_token(&headers, "Connection", "Upgrade"), expect, "{rule}");
        }
    }

    #[test]
    fn the_characters_of_a_token() {
        // RFC 6455 §4.1: U+0021 to U+007E without the separators of RFC 2616 §2.2.
        for byte in 0..=u8::MAX {
            let expect = (0x21..=0x7e).contains(&byte) && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
            assert_eq!(token(&[byte]).is_some(), expect, "{byte:#04x}");
            assert_eq!(token(&[b'a', byte]).is_some(), expect, "a {byte:#04x}");
        }
        assert_eq!(token(b""), None);
    }

    #[test]
    fn the_fields_of_a_caller() {
        for (rule, name, value, expect) in [
            ("a field", "X-Request-Id", "7", Ok("X-Request-Id: 7\r\n")),
            ("an empty value", "X-Empty", "", Ok("X-Empty: \r\n")),
            ("a tab and text above ASCII", "X-Text", "a\tä", Ok("X-Text: a\tä\r\n")),
            ("no name", "", "a", Err(EncodeError::HeaderName)),
            ("a space in the name", "X Y", "a", Err(EncodeError::HeaderName)),
            ("a colon in the name", "X:", "a", Err(EncodeError::HeaderName)),
            ("a line break in the name", "X\r\nY", "a", Err(EncodeError::HeaderName)),
            ("CR in the value", "X", "a\rb", Err(EncodeError::HeaderValue)),
            ("LF in the value", "X", "a\nb", Err(EncodeError::HeaderValue)),
            ("NUL in the value", "X", "a\0b", Err(EncodeError::HeaderValue)),
            ("DEL in the value", "X", "a\x7fb", Err(EncodeError::HeaderValue)),
            ("Connection", "connection", "a", Err(EncodeError::HeaderReserved)),
            ("Content-Length", "Content-length", "0", Err(EncodeError::HeaderReserved)),
            ("Date", "date", "a", Err(EncodeError::HeaderReserved)),
            ("Transfer-Encoding", "Transfer-Encoding", "a", Err(EncodeError::HeaderReserved)),
            ("Upgrade", "Upgrade", "a", Err(EncodeError::HeaderReserved)),
            ("Host", "Host", "a", Err(EncodeError::HeaderReserved)),
            ("Origin", "Origin", "a", Err(EncodeError::HeaderReserved)),
            ("Sec-WebSocket-Anything", "sec-websocket-anything", "a", Err(EncodeError::HeaderReserved)),
        ] {
            let mut fields = CallerFields::default();
            let mut out = Vec::new();
            let outcome = fields.push(name, value).map(|()| {
                fields.encode(&mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(outcome.as_deref(), expect.as_ref().copied(), "{rule}");
        }
    }
}

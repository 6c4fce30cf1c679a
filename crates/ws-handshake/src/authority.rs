//! The authority of a URI: a host and a port, as `Host` and an absolute URI have them (RFC 9110 §7.2).

use core::net::{IpAddr, Ipv6Addr};

/// `uri-host [ ":" port ]` (RFC 9110 §7.2): what `Host` has, and an absolute URI behind its `//`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority<'b> {
    /// As it was sent.
    pub(crate) text: &'b str,
    /// The `uri-host`: a name without the dot that makes it absolute, or an address, an IPv6 one in its
    /// brackets.
    pub(crate) name: &'b str,
    pub(crate) port: Option<u16>,
}

impl<'b> Authority<'b> {
    /// `None`: the text is outside the grammar, has no host, or a port above 65535.
    pub(crate) fn parse(text: &'b str) -> Option<Self> {
        let name_len =
            if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
        let (name, rest) = text.split_at(name_len);
        let port = match rest.strip_prefix(':') {
            Some(digits) => parse_port(digits)?,
            None if rest.is_empty() => None,
            None => return None,
        };
        let name = match name.strip_suffix('.') {
            Some(relative) if !relative.is_empty() => relative,
            _ => name,
        };
        is_uri_host(name).then_some(Self { text, name, port })
    }

    /// Whether this is the machine of whoever asks, whatever a name server says.
    pub(crate) fn is_loopback(self) -> bool {
        let address = match parse_ipv6(self.name) {
            Some(address) => Some(IpAddr::V6(address)),
            None => self.name.parse().ok(),
        };
        match address {
            Some(address) => address.to_canonical().is_loopback(),
            // RFC 6761 §6.3: "The domain "localhost." and any names falling within ".localhost."".
            None => self.name.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("localhost")),
        }
    }
}

/// `port = *DIGIT` (RFC 3986 §3.2.3). The outer `None`: it is none; the inner: it is empty, which means the
/// default.
fn parse_port(digits: &str) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    // `u16::from_str` takes a sign, too.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten().map(Some)
}

/// A name, an IPv4 address, or an IPv6 address in brackets (RFC 3986 §3.2.2).
///
/// RFC 9110 §4.2.1: "A recipient that processes such a URI reference MUST reject it as invalid" if the host
/// is empty. `IPvFuture` is refused: there is no such address.
fn is_uri_host(host: &str) -> bool {
    parse_ipv6(host).is_some() || (!host.is_empty() && is_reg_name(host.as_bytes()))
}

/// `reg-name = *( unreserved / pct-encoded / sub-delims )`, which an IPv4 address is, too.
fn is_reg_name(mut rest: &[u8]) -> bool {
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            _ if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte) => after,
            _ => return false,
        };
    }
    true
}

/// Whether both are the same host.
pub(crate) fn is_same_host(host: &str, other: &str) -> bool {
    match (parse_ipv6(host), parse_ipv6(other)) {
        (Some(address), Some(other)) => address == other,
        _ => host.eq_ignore_ascii_case(other),
    }
}

fn parse_ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Authority;

    #[test]
    fn authorities() {
        for (text, expect) in [
            ("example.com", Some(("example.com", None))),
            ("example.com:8080", Some(("example.com", Some(8080)))),
            ("example.com:", Some(("example.com", None))),
            ("example.com:0080", Some(("example.com", Some(80)))),
            ("example.com:65535", Some(("example.com", Some(65535)))),
            ("127.0.0.1:80", Some(("127.0.0.1", Some(80)))),
            ("[::1]", Some(("[::1]", None))),
            ("[2001:db8::7]:443", Some(("[2001:db8::7]", Some(443)))),
            ("b%C3%BCcher.example", Some(("b%C3%BCcher.example", None))),
            ("example.com.", Some(("example.com", None))),
            ("example.com.:80", Some(("example.com", Some(80)))),
            ("127.0.0.1.", Some(("127.0.0.1", None))),
            (".", Some((".", None))),
            ("a-b_c~d!$&'()*+,;=", Some(("a-b_c~d!$&'()*+,;=", None))),
            ("", None),
            (":80", None),
            ("example.com:65536", None),
            ("example.com:+80", None),
            ("example.com:80a", None),
            ("example.com:80:81", None),
            ("example.com/", None),
            ("user@example.com", None),
            ("example com", None),
            ("bücher.example", None),
            ("a%zz", None),
            ("a%c", None),
            ("a%cz", None),
            ("a%zc", None),
            ("a[b]", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]80", None),
            ("[]", None),
            ("[127.0.0.1]", None),
            ("[fe80::1%eth0]", None),
            ("[v1.a]", None),
            ("]", None),
        ] {
            let outcome = Authority::parse(text).map(|authority| (authority.name, authority.port));
            assert_eq!(outcome, expect, "{text:?}");
        }
    }
}

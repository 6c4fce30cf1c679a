//! Hosts: the grammar of `Host` (RFC 9110 §7.2), and which ones are ours.

use alloc::{string::String, vec::Vec};
use core::{fmt, net::Ipv6Addr, str::FromStr};

use crate::{error::PatternError, request::Request};

/// Which hosts may be asked for.
///
/// A server that can be reached under a known name should say so: a page that rebinds its own name to the
/// server's address (DNS rebinding) is then refused, whatever its origin is.
///
/// ```
/// use ws_handshake::HostPolicy;
///
/// let policy: HostPolicy = "example.com, *.example.com:8443, localhost:*".parse()?;
/// # Ok::<(), ws_handshake::PatternError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostPolicy {
    /// Every legal host.
    #[default]
    Any,
    /// The hosts that one of the patterns matches, and no other.
    List(Vec<HostPattern>),
}

impl HostPolicy {
    /// Whether the host of this request is one of ours. A request without a host, which only HTTP/1.0 can have, passes
    /// every policy: it comes from no browser, so no page can have rebound a name.
    pub fn allows(&self, request: &Request<'_, '_>) -> bool {
        let Some(authority) = request.authority() else { return true };
        match self {
            HostPolicy::Any => true,
            HostPolicy::List(patterns) => patterns.iter().any(|pattern| pattern.matches(authority)),
        }
    }
}

/// `any`, or patterns with commas between them.
impl FromStr for HostPolicy {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text {
            "any" => Ok(HostPolicy::Any),
            _ => parse_list(text).map(Self::List),
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for HostPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPolicy::Any => f.write_str("any"),
            HostPolicy::List(patterns) => write_list(f, patterns),
        }
    }
}

/// A host, or all hosts below a name, with or without a port.
///
/// - `example.com` and `[::1]` match that host at any port.
/// - `example.com:8080` matches that port alone. A `Host` without a port has the default port of its scheme,
///   which the handshake does not show, so it matches `:80` and `:443`.
/// - `*.example.com` matches one or more whole labels in front: `a.example.com` and `a.b.example.com`, but
///   not `example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    name: NamePattern,
    port: Option<u16>,
}

impl HostPattern {
    fn matches(&self, authority: Authority<'_>) -> bool {
        let port_matches = match (self.port, authority.port) {
            (None, _) => true,
            (Some(port), Some(asked)) => port == asked,
            (Some(port), None) => matches!(port, 80 | 443),
        };
        port_matches && self.name.matches(authority.name)
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (name, port) = parse_pattern(text)?;
        let port = match port {
            PortPattern::Any | PortPattern::Default => None,
            PortPattern::Only(port) => Some(port),
        };
        Ok(Self { name, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A host name, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamePattern {
    /// The whole name, or with `below` the end of it, from a dot on.
    name: String,
    below: bool,
}

impl NamePattern {
    pub(crate) fn matches(&self, host: &str) -> bool {
        let (host, name) = (host.as_bytes(), self.name.as_bytes());
        match host.len().checked_sub(name.len()) {
            Some(0) => !self.below && host.eq_ignore_ascii_case(name),
            Some(front) => self.below && host[front..].eq_ignore_ascii_case(name),
            None => false,
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*" } else { "" }, self.name)
    }
}

/// What a pattern says about the port.
pub(crate) enum PortPattern {
    /// Nothing.
    Default,
    /// `:*`
    Any,
    /// `:8080`
    Only(u16),
}

/// Reads patterns with commas between them.
pub(crate) fn parse_list<P: FromStr>(text: &str) -> Result<Vec<P>, P::Err> {
    text.split(',').map(|pattern| pattern.trim().parse()).collect()
}

/// Writes patterns with commas between them.
pub(crate) fn write_list<P: fmt::Display>(f: &mut fmt::Formatter<'_>, patterns: &[P]) -> fmt::Result {
    for (index, pattern) in patterns.iter().enumerate() {
        write!(f, "{}{pattern}", if index > 0 { ", " } else { "" })?;
    }
    Ok(())
}

/// Reads `host[:port]`, where the host may begin with `*.` and the port may be `*`.
pub(crate) fn parse_pattern(text: &str) -> Result<(NamePattern, PortPattern), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.contains('/') {
        return Err(PatternError::Path);
    }
    let (text, any_port) = match text.strip_suffix(":*") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (text, below) = match text.strip_prefix('*') {
        Some(text) if text.starts_with('.') && text != "." => (text, true),
        _ => (text, false),
    };
    // RFC 3986 lets a host have a `*`, but no host has one, and in a pattern it is a mistake.
    if text.contains('*') {
        return Err(PatternError::Wildcard);
    }
    let Authority { name, port, .. } = Authority::parse(text).ok_or(PatternError::Host)?;
    let port = match port {
        Some(_) if any_port => return Err(PatternError::Host),
        Some(port) => PortPattern::Only(port),
        None if any_port => PortPattern::Any,
        None => PortPattern::Default,
    };
    Ok((NamePattern { name: name.into(), below }, port))
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2): what `Host` has, and an absolute URI behind its `//`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority<'b> {
    /// As it was sent.
    pub(crate) text: &'b str,
    /// The `uri-host`: a name or an address, an IPv6 one in its brackets.
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
        is_uri_host(name).then_some(Self { text, name, port })
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
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && is_reg_name(host.as_bytes()),
    }
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

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{Authority, HostPattern, HostPolicy, PatternError};

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

    #[test]
    fn host_patterns() {
        for (pattern, host, expect) in [
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com:8080", true),
            ("example.com:*", "example.com:8080", true),
            ("example.com", "example.org", false),
            ("example.com", "a.example.com", false),
            ("example.com", "com", false),
            ("example.com:8080", "example.com:8080", true),
            ("example.com:8080", "example.com:8081", false),
            ("example.com:8080", "example.com", false),
            ("example.com:80", "example.com", true),
            ("example.com:443", "example.com", true),
            ("example.com:443", "example.com:80", false),
            ("[::1]:9001", "[::1]:9001", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.Example.com:80", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "aexample.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com:80", "a.example.com:81", false),
        ] {
            let pattern: HostPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(Authority::parse(host).unwrap()), expect, "{pattern:?} and {host}");
        }
    }

    #[test]
    fn what_is_no_host_pattern() {
        for (text, expect) in [
            ("", PatternError::Empty),
            ("example.com/", PatternError::Path),
            ("https://example.com", PatternError::Path),
            ("*", PatternError::Wildcard),
            ("*.", PatternError::Wildcard),
            ("*example.com", PatternError::Wildcard),
            ("a.*.example.com", PatternError::Wildcard),
            ("*.*.example.com", PatternError::Wildcard),
            ("example.com:8*", PatternError::Wildcard),
            ("example.com:80:*", PatternError::Host),
            ("example.com:port", PatternError::Host),
            (":80", PatternError::Host),
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(expect), "{text:?}");
        }
    }

    #[test]
    fn host_policies_are_any_or_a_list() {
        assert_eq!("any".parse(), Ok(HostPolicy::Any));
        let patterns = ["a", "b:1"].map(|it| it.parse().unwrap()).into();
        assert_eq!("a, b:1".parse(), Ok(HostPolicy::List(patterns)));
        for text in ["any", "a, b:1, *.example.com:8443, [::1]"] {
            assert_eq!(text.parse::<HostPolicy>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<HostPolicy>(), Err(PatternError::Empty));
        assert_eq!("a,".parse::<HostPolicy>(), Err(PatternError::Empty));
    }
}

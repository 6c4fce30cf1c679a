//! Hosts: the grammar of `Host` (RFC 9110 §7.2), and which ones are ours.

use alloc::{string::String, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

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
    /// The hosts that are this machine to whoever asks: `localhost` and the names below it (RFC 6761 §6.3),
    /// 127.0.0.0/8 and `[::1]`. No page from elsewhere can rebind one of these.
    Loopback,
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
            HostPolicy::Loopback => authority.is_loopback(),
            HostPolicy::List(patterns) => patterns.iter().any(|pattern| pattern.matches(authority)),
        }
    }
}

/// `any`, `loopback`, or patterns with commas between them.
impl FromStr for HostPolicy {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text.trim() {
            "any" => Ok(HostPolicy::Any),
            "loopback" => Ok(HostPolicy::Loopback),
            list => parse_list(list, &["any", "loopback"]).map(Self::List),
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for HostPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPolicy::Any => f.write_str("any"),
            HostPolicy::Loopback => f.write_str("loopback"),
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
///
/// Names are the same in any case, and with the dot of an absolute name or without: `localhost.` is
/// `localhost`. IPv6 addresses are the same in any notation.
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

/// Which hosts a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamePattern {
    /// All.
    Any,
    /// This one.
    Only(String),
    /// Those that end in this, from a dot on, and have a label in front.
    Below(String),
}

impl NamePattern {
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            NamePattern::Any => true,
            NamePattern::Only(name) => is_same_host(name, host),
            NamePattern::Below(end) => {
                let front_len = host.len().saturating_sub(end.len());
                front_len > 0 && host.as_bytes()[front_len..].eq_ignore_ascii_case(end.as_bytes())
            }
        }
    }
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

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamePattern::Any => f.write_str("*"),
            NamePattern::Only(name) => f.write_str(name),
            NamePattern::Below(end) => write!(f, "*{end}"),
        }
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

/// Reads patterns with commas between them, of which none is one of the words that mean a policy of their own.
pub(crate) fn parse_list<P: FromStr<Err = PatternError>>(
    text: &str,
    words: &[&str],
) -> Result<Vec<P>, PatternError> {
    let patterns = text.split(',').map(str::trim);
    patterns
        .map(|pattern| if words.contains(&pattern) { Err(PatternError::NotInList) } else { pattern.parse() })
        .collect()
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
    if text == "*" {
        return Err(PatternError::Everything);
    }
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
    let name = name.into();
    Ok((if below { NamePattern::Below(name) } else { NamePattern::Only(name) }, port))
}

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
    fn is_loopback(self) -> bool {
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
            ("localhost", "localhost.", true),
            ("localhost", "LocalHost.:9999", true),
            ("localhost.", "localhost", true),
            ("localhost.:80", "localhost", true),
            ("*.example.com", "a.example.com.", true),
            ("*.example.com.", "a.example.com", true),
            ("*.example.com", "example.com.", false),
            ("localhost", "localhost..", false),
            ("[::1]", "[0:0:0:0:0:0:0:1]", true),
            ("[2001:DB8:0::7]", "[2001:db8::7]", true),
            ("[::1]", "[::2]", false),
            ("localhost", "[::1]", false),
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
            ("*", PatternError::Everything),
            ("*:*", PatternError::Everything),
            ("*:80", PatternError::Wildcard),
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
        assert_eq!(" loopback".parse(), Ok(HostPolicy::Loopback));
        let patterns = ["a", "b:1"].map(|it| it.parse().unwrap()).into();
        assert_eq!("a, b:1".parse(), Ok(HostPolicy::List(patterns)));
        for text in ["any", "loopback", "a, b:1, *.example.com:8443, [::1]"] {
            assert_eq!(text.parse::<HostPolicy>().unwrap().to_string(), text);
        }
        for (text, expect) in [
            ("", PatternError::Empty),
            ("a,", PatternError::Empty),
            ("*", PatternError::Everything),
            ("a, *", PatternError::Everything),
            ("a,any", PatternError::NotInList),
            ("loopback, a", PatternError::NotInList),
        ] {
            assert_eq!(text.parse::<HostPolicy>(), Err(expect), "{text:?}");
        }
    }

    #[test]
    fn loopback_hosts() {
        for (host, expect) in [
            ("localhost", true),
            ("LOCALHOST:9999", true),
            ("localhost.", true),
            ("app.localhost:80", true),
            ("127.0.0.1:9999", true),
            ("127.255.255.254", true),
            ("[::1]:9999", true),
            ("[0:0:0:0:0:0:0:1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example.com", false),
            ("notlocalhost", false),
            ("127.0.0.1.example.com", false),
            ("127.example.com", false),
            ("128.0.0.1", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("[::2]", false),
            ("example.com", false),
        ] {
            let head = alloc::format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let mut headers = [crate::EMPTY_HEADER; 1];
            let request = crate::Request::parse(head.as_bytes(), &mut headers).unwrap();
            assert_eq!(HostPolicy::Loopback.allows(&request), expect, "{host}");
        }
    }
}

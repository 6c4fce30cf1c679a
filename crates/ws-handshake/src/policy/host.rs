//! The hosts that are served.

use crate::{
    Request,
    authority::Authority,
    policy::pattern::{NamePattern, PatternError, PortPattern, parse_list, parse_pattern, write_list},
};
use alloc::vec::Vec;
use core::{fmt, str::FromStr};

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

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{Authority, HostPattern, HostPolicy, PatternError};

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

//! The origins that may open a connection (RFC 6455 §10.2).

use crate::{
    Request,
    origin::{NULL, Tuple, default_port, is_scheme, is_web},
    policy::pattern::{NamePattern, PatternError, PortPattern, parse_list, parse_pattern, write_list},
};
use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

/// Which pages may open a connection from a browser.
///
/// The same-origin policy of browsers does not hold for WebSocket: any page may try, with the cookies that
/// the user has for the server. What keeps it out is this check, so the default is
/// [`SameOrigin`](Self::SameOrigin).
///
/// A request without `Origin` does not come from a browser (RFC 6455 §4.2.1) and passes every policy: a
/// program could claim any origin.
///
/// ```
/// use ws_handshake::OriginPolicy;
///
/// let policy: OriginPolicy = "https://example.com, https://*.example.com, http://localhost:*".parse()?;
/// # Ok::<(), ws_handshake::PatternError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// All pages.
    Any,
    /// Pages that come from the host and port that the request asks for: those of `Origin` are compared with
    /// those of `Host`, which a proxy has to pass on as the browser sent it. No other field counts.
    ///
    /// `http` and `https` are not told apart, but for their default ports: which of them the server is seen
    /// as depends on the proxies before it, and is not in the handshake.
    #[default]
    SameOrigin,
    /// Pages whose origin one of the patterns matches. To let in the server's own pages as well, name their
    /// origin.
    List(Vec<OriginPattern>),
}

impl OriginPolicy {
    /// Whether this request may open a connection.
    pub fn allows(&self, request: &Request<'_, '_>) -> bool {
        let Some(origin) = request.origin() else { return true };
        match self {
            OriginPolicy::Any => true,
            OriginPolicy::SameOrigin => {
                let asked = request.authority();
                Tuple::parse(origin).zip(asked).is_some_and(|(origin, asked)| origin.is_of(asked))
            }
            OriginPolicy::List(patterns) => patterns.iter().any(|pattern| pattern.matches(origin)),
        }
    }
}

/// `any`, `same-origin`, or patterns with commas between them.
impl FromStr for OriginPolicy {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text.trim() {
            "any" => Ok(OriginPolicy::Any),
            "same-origin" => Ok(OriginPolicy::SameOrigin),
            list => parse_list(list, &["any", "same-origin"]).map(Self::List),
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for OriginPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginPolicy::Any => f.write_str("any"),
            OriginPolicy::SameOrigin => f.write_str("same-origin"),
            OriginPolicy::List(patterns) => write_list(f, patterns),
        }
    }
}

/// An origin, or several that differ in labels or in the port.
///
/// - `https://example.com` and `http://localhost:8080` match that origin. Without a port, the default of the
///   scheme is meant.
/// - `https://*.example.com` matches one or more whole labels in front: `https://a.example.com` and
///   `https://a.b.example.com`, but not `https://example.com`.
/// - `http://localhost:*` matches any port.
/// - `moz-extension://*` matches all origins of that scheme, such as those of browser extensions and of the
///   web views of programs, whose hosts are often drawn at random. There is no such pattern for `http` and
///   `https`.
/// - `file://` matches that origin, which has no host: local files in Chromium and in web views.
/// - `null` matches the origin of pages that have none: sandboxed frames, and local files in Firefox and
///   Safari. Any page can make such a frame, so this lets in all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Null,
    Tuple { scheme: String, name: NamePattern, port: Port },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Port {
    Any,
    /// `None`: the scheme has no default port that we know, and none is named.
    Only(Option<u16>),
}

impl OriginPattern {
    fn matches(&self, origin: &str) -> bool {
        match &self.0 {
            Kind::Null => origin == NULL,
            Kind::Tuple { scheme, name, port } => Tuple::parse(origin).is_some_and(|origin| {
                let port_matches = match port {
                    Port::Any => true,
                    Port::Only(port) => *port == origin.port,
                };
                port_matches && scheme.eq_ignore_ascii_case(origin.scheme) && name.matches(origin.host)
            }),
        }
    }
}

impl FromStr for OriginPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text {
            "" => return Err(PatternError::Empty),
            "*" | "*://*" => return Err(PatternError::Everything),
            NULL => return Ok(Self(Kind::Null)),
            _ => {}
        }
        let (scheme, rest) = text.split_once("://").ok_or(PatternError::Scheme)?;
        if !is_scheme(scheme) {
            return Err(PatternError::Scheme);
        }
        let (name, port) = match rest {
            "*" if !is_web(scheme) => (NamePattern::Any, Port::Any),
            "" if !is_web(scheme) => (NamePattern::Only(String::new()), Port::Only(None)),
            _ => {
                let (name, port) = parse_pattern(rest)?;
                let port = match port {
                    PortPattern::Any => Port::Any,
                    PortPattern::Only(port) => Port::Only(Some(port)),
                    PortPattern::Default => Port::Only(default_port(scheme)),
                };
                (name, port)
            }
        };
        Ok(Self(Kind::Tuple { scheme: scheme.into(), name, port }))
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kind::Tuple { scheme, name, port } = &self.0 else { return f.write_str(NULL) };
        write!(f, "{scheme}://{name}")?;
        match port {
            Port::Any if *name == NamePattern::Any => Ok(()),
            Port::Any => f.write_str(":*"),
            Port::Only(port) if *port == default_port(scheme) => Ok(()),
            Port::Only(port) => port.map_or(Ok(()), |port| write!(f, ":{port}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::{OriginPattern, OriginPolicy, PatternError};
    use crate::{EMPTY_HEADER, Request};

    /// Asks `policy` about a request with this `Host`, and this `Origin` if it is not empty.
    #[track_caller]
    fn check(policy: &OriginPolicy, host: &str, origin: &str, expect: bool) {
        let origin_line = if origin.is_empty() { "".into() } else { format!("Origin: {origin}\r\n") };
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{origin_line}\r\n");
        let mut headers = [EMPTY_HEADER; 4];
        let request = Request::parse(head.as_bytes(), &mut headers).unwrap();
        assert_eq!(policy.allows(&request), expect, "{policy:?}, Host {host}, Origin {origin}");
    }

    #[test]
    fn any_page() {
        for origin in ["", "null", "https://example.org", "nonsense"] {
            check(&OriginPolicy::Any, "example.com", origin, true);
        }
    }

    #[test]
    fn pages_of_the_host_itself() {
        for (host, origin, expect) in [
            ("example.com", "", true),
            ("example.com", "http://example.com", true),
            ("example.com", "https://example.com", true),
            ("example.com", "HTTPS://EXAMPLE.com", true),
            ("example.com:80", "http://example.com", true),
            ("example.com:443", "https://example.com", true),
            ("example.com", "https://example.com:443", true),
            ("example.com:8080", "http://example.com:8080", true),
            ("[::1]:9001", "http://[::1]:9001", true),
            ("[0:0:0:0:0:0:0:1]:9001", "http://[::1]:9001", true),
            ("localhost.:9999", "http://localhost:9999", true),
            ("localhost:9999", "http://localhost.:9999", true),
            ("example.com.", "https://example.com", true),
            ("example.com:443", "http://example.com", false),
            ("example.com:80", "https://example.com", false),
            ("example.com:8080", "http://example.com", false),
            ("example.com", "http://example.com:8080", false),
            ("example.com", "https://example.org", false),
            ("example.com", "https://a.example.com", false),
            ("a.example.com", "https://example.com", false),
            ("example.com", "https://example.com.evil.example", false),
            ("example.com", "https://evil.example/example.com", false),
            ("example.com", "https://example.com https://evil.example", false),
            ("example.com", "chrome-extension://example.com", false),
            ("example.com", "example.com", false),
            ("example.com", "null", false),
            ("null", "null", false),
            ("example.com", "file://", false),
            ("file", "file://file", false),
        ] {
            check(&OriginPolicy::SameOrigin, host, origin, expect);
        }
    }

    #[test]
    fn the_host_of_an_absolute_target_counts_and_not_the_field() {
        let head = b"GET http://example.com/ HTTP/1.1\r\nHost: a\r\nOrigin: http://example.com\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 4];
        assert!(OriginPolicy::SameOrigin.allows(&Request::parse(head, &mut headers).unwrap()));
    }

    #[test]
    fn an_empty_origin_is_an_origin_that_is_not_allowed() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nOrigin:\r\n\r\n";
        let mut headers = [EMPTY_HEADER; 4];
        let request = Request::parse(head, &mut headers).unwrap();
        assert!(!OriginPolicy::SameOrigin.allows(&request));
        assert!(!"http://a".parse::<OriginPolicy>().unwrap().allows(&request));
    }

    #[test]
    fn pages_of_a_list() {
        let policy =
            "https://example.com, https://*.example.com,http://localhost:*, http://[::1]:8080, app://desk"
                .parse();
        let policy: OriginPolicy = policy.unwrap();
        for (origin, expect) in [
            ("", true),
            ("https://example.com", true),
            ("https://example.com:443", true),
            ("Https://Example.com", true),
            ("https://a.example.com", true),
            ("https://a.b.example.com", true),
            ("http://localhost", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("app://desk", true),
            ("http://example.com", false),
            ("https://example.com:8443", false),
            ("https://a.example.com:8443", false),
            ("https://aexample.com", false),
            ("https://example.com.evil.example", false),
            ("https://localhost:8080", false),
            ("http://[::1]", false),
            ("app://desk:80", false),
            ("null", false),
        ] {
            check(&policy, "other.example", origin, expect);
        }
    }

    #[test]
    fn extensions_web_views_and_local_files() {
        const UUID: &str = "00112233-4455-6677-8899-aabbccddeeff";
        let extension = &*format!("moz-extension://{UUID}");
        for (policy, origin, expect) in [
            ("moz-extension://*", extension, true),
            ("moz-extension://*", "Moz-Extension://a", true),
            ("vscode-webview://*", &format!("vscode-webview://{UUID}"), true),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop", true),
            ("capacitor://localhost", "capacitor://localhost", true),
            ("https://a, moz-extension://*", "https://a", true),
            ("file://", "file://", true),
            ("FILE://", "file://", true),
            ("file://*", "file://", true),
            ("app://.", "app://.", true),
            ("moz-extension://*", "chrome-extension://a", false),
            ("moz-extension://*", "https://a", false),
            ("moz-extension://*", "null", false),
            ("moz-extension://*", "moz-extension://a/b", false),
            ("moz-extension://*", "moz-extension", false),
            ("chrome-extension://a", "chrome-extension://b", false),
            ("file://", "null", false),
            ("file://", "file://a", false),
            ("file://", "file:///", false),
            ("null", "file://", false),
            ("https://a", extension, false),
        ] {
            check(&policy.parse().unwrap(), "example.com", origin, expect);
        }
    }

    #[test]
    fn null_has_to_be_named() {
        let policy: OriginPolicy = "null".parse().unwrap();
        check(&policy, "example.com", "null", true);
        check(&policy, "example.com", "NULL", false);
        check(&policy, "example.com", "https://example.com", false);
    }

    #[test]
    fn a_policy_is_shown_as_it_is_read() {
        for text in [
            "any",
            "same-origin",
            "null",
            "https://a.b, http://*.c:*, wss://d:80, ws://e",
            "x-y://*, file://",
        ] {
            assert_eq!(text.parse::<OriginPolicy>().unwrap().to_string(), text);
        }
        assert_eq!("https://a:443".parse::<OriginPolicy>().unwrap().to_string(), "https://a");
    }

    #[test]
    fn policies_are_any_or_same_origin_or_a_list() {
        assert_eq!("any".parse(), Ok(OriginPolicy::Any));
        assert_eq!("same-origin".parse(), Ok(OriginPolicy::SameOrigin));
        assert_eq!(OriginPolicy::default(), OriginPolicy::SameOrigin);
        let patterns = ["http://a", "null"].map(|it| it.parse().unwrap()).into();
        assert_eq!("http://a,null".parse(), Ok(OriginPolicy::List(patterns)));
        for (text, expect) in [
            ("", PatternError::Empty),
            ("http://a,", PatternError::Empty),
            ("*", PatternError::Everything),
            ("http://a, *", PatternError::Everything),
            ("http://a,any", PatternError::NotInList),
            ("same-origin, http://a", PatternError::NotInList),
        ] {
            assert_eq!(text.parse::<OriginPolicy>(), Err(expect), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_origin_pattern() {
        for (text, expect) in [
            ("", PatternError::Empty),
            ("http://", PatternError::Empty),
            ("example.com", PatternError::Scheme),
            ("://example.com", PatternError::Scheme),
            ("1http://example.com", PatternError::Scheme),
            ("ht_tp://example.com", PatternError::Scheme),
            ("https://example.com/", PatternError::Path),
            ("https://example.com/chat", PatternError::Path),
            ("https://*", PatternError::Everything),
            ("https://*:*", PatternError::Everything),
            ("HTTP://*", PatternError::Everything),
            ("*", PatternError::Everything),
            ("*://*", PatternError::Everything),
            ("https://*:8443", PatternError::Wildcard),
            ("moz-extension://a*", PatternError::Wildcard),
            ("file:///", PatternError::Path),
            ("*://example.com", PatternError::Scheme),
            ("https://a*.example.com", PatternError::Wildcard),
            ("https://user@example.com", PatternError::Host),
            ("https://example.com:port", PatternError::Host),
        ] {
            assert_eq!(text.parse::<OriginPattern>(), Err(expect), "{text:?}");
        }
    }
}

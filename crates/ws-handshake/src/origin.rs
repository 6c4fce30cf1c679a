//! The grammar of an origin (RFC 6454 §7).

use crate::authority::{Authority, is_same_host};

/// Whether `Origin` may have this value (RFC 6454 §7.1).
pub(crate) fn is_origin(text: &str) -> bool {
    text == NULL || Tuple::parse(text).is_some()
}

/// What a browser sends for an origin that it does not name (RFC 6454 §7.1).
pub(crate) const NULL: &str = "null";

/// `scheme "://" host [ ":" port ]` (RFC 6454 §7.1). The host may be empty, but not for `http` and `https`
/// (RFC 9110 §4.2.1).
pub(crate) struct Tuple<'b> {
    pub(crate) scheme: &'b str,
    pub(crate) host: &'b str,
    /// The one that is named, or the default of the scheme.
    pub(crate) port: Option<u16>,
}

impl<'b> Tuple<'b> {
    pub(crate) fn parse(text: &'b str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        if authority.is_empty() && !is_web(scheme) {
            return is_scheme(scheme).then_some(Self { scheme, host: "", port: None });
        }
        let Authority { name: host, port, .. } = Authority::parse(authority)?;
        is_scheme(scheme).then(|| Self { scheme, host, port: port.or(default_port(scheme)) })
    }

    /// Whether this is the origin of pages that `asked` serves over HTTP.
    pub(crate) fn is_of(&self, asked: Authority<'_>) -> bool {
        // The page and its server see the same port as the default one, so the scheme of the page decides for
        // both.
        let default = default_port(self.scheme);
        default.is_some() && is_same_host(self.host, asked.name) && self.port == asked.port.or(default)
    }
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986 §3.1)
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether any web page may have an origin of this scheme.
pub(crate) fn is_web(scheme: &str) -> bool {
    default_port(scheme).is_some()
}

/// The port that an origin of this scheme does not name (RFC 9110 §4.2).
pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    [("http", 80), ("https", 443)]
        .iter()
        .find(|(name, _)| scheme.eq_ignore_ascii_case(name))
        .map(|(_, port)| *port)
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn what_is_an_origin() {
        for origin in ["null", "https://example.com", "moz-extension://a-b", "file://"] {
            assert!(is_origin(origin), "{origin}");
        }
        for no_origin in ["", "example.com", "https://", "://", "https://a/", "https://a b", "https://a\r\nb"]
        {
            assert!(!is_origin(no_origin), "{no_origin:?}");
        }
    }
}

//! The request target (RFC 9112 §3.2).

use crate::authority::Authority;

/// The schemes of an absolute target. RFC 6455 §4.2.1 names http and https; the others mean the same
/// resource.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

/// A request target that GET, HEAD and OPTIONS may have, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'b> {
    pub(crate) text: &'b str,
    pub(crate) path: &'b str,
    pub(crate) query: Option<&'b str>,
    /// Only an absolute target has one.
    pub(crate) authority: Option<Authority<'b>>,
}

impl<'b> Target<'b> {
    /// RFC 9112 §3.2.4: "The asterisk-form of request-target is only used for a server-wide OPTIONS request".
    pub(crate) const ASTERISK: Target<'static> =
        Target { text: "*", path: "*", query: None, authority: None };

    /// `None`: the text is neither in origin form nor in absolute form. (The other forms are for other
    /// methods.)
    pub(crate) fn parse(text: &'b str) -> Option<Self> {
        if !text.bytes().all(is_target_char) {
            return None;
        }
        let (authority, origin_form) = match text.strip_prefix('/') {
            Some(_) => (None, text),
            None => {
                let (scheme, rest) = text.split_once("://")?;
                SCHEMES.iter().find(|known| scheme.eq_ignore_ascii_case(known))?;
                let (authority, origin_form) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (Some(Authority::parse(authority)?), origin_form)
            }
        };
        let (path, query) = match origin_form.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (origin_form, None),
        };
        // RFC 9110 §4.2.3: "an empty path component is equivalent to an absolute path of "/"".
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { text, path, query, authority })
    }
}

/// Whether a target may have this character.
///
/// More than RFC 3986 §3.3 has, as browsers leave `|`, `^`, `{` and their like in a query as they are; but
/// not what they always encode, and never a fragment.
fn is_target_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::Target;

    fn check(text: &str, expect: Option<(&str, Option<&str>, Option<&str>)>) {
        let target = Target::parse(text);
        assert_eq!(target.is_some(), expect.is_some(), "{text}");
        if let (Some(target), Some((path, query, authority))) = (target, expect) {
            assert_eq!(target.text, text);
            assert_eq!((target.path, target.query), (path, query), "{text}");
            assert_eq!(target.authority.map(|it| it.text), authority, "{text}");
        }
    }

    #[test]
    fn origin_form() {
        check("/", Some(("/", None, None)));
        check("/chat", Some(("/chat", None, None)));
        check("/chat?", Some(("/chat", Some(""), None)));
        check("/chat?a=b?c/d", Some(("/chat", Some("a=b?c/d"), None)));
        check("//two", Some(("//two", None, None)));
        check("/%C3%A4%00?%zz", Some(("/%C3%A4%00", Some("%zz"), None)));
        check("/a?[x]={y}|^`\\'", Some(("/a", Some("[x]={y}|^`\\'"), None)));
    }

    #[test]
    fn absolute_form() {
        check("http://example.com/chat?a", Some(("/chat", Some("a"), Some("example.com"))));
        check("HTTPS://example.com:8443/", Some(("/", None, Some("example.com:8443"))));
        check("ws://[::1]:9001/a", Some(("/a", None, Some("[::1]:9001"))));
        check("wss://example.com", Some(("/", None, Some("example.com"))));
        check("http://example.com?a", Some(("/", Some("a"), Some("example.com"))));
    }

    #[test]
    fn neither() {
        for text in [
            "",
            "*",
            "chat",
            "?a",
            "example.com:80",
            "http:/a",
            "http://",
            "http:///a",
            "ftp://a/",
            "://a/",
            "http://user@a/",
            "http://a:b/",
            "http://a:65536/",
            "/a#b",
            "/#",
            "/a\"",
            "/<",
            "/>",
            "/a b",
            "/ä",
            "/\x7f",
            "/\0",
        ] {
            check(text, None);
        }
    }
}

//! The client's opening handshake, as read by a server (RFC 6455 §4.2.1).

use alloc::vec::Vec;

use httparse::Header;

use crate::{
    error::HandshakeError,
    extension::{Extension, parse_extensions},
    fields::{at_most_one, elements, has_token, token, values},
    key::{accept_key, is_key},
    request::Request,
};

/// An opening handshake that is right: all that is left is whether the server wants it.
///
/// It is accepted with an [`Accept`](crate::Accept), and refused with a [`Response`](crate::Response).
#[derive(Debug, Clone)]
pub struct Upgrade<'b, 'h> {
    request: Request<'b, 'h>,
    key: &'b [u8],
    subprotocols: Vec<&'b str>,
    extensions: Vec<Extension<'b>>,
}

impl<'b, 'h> Request<'b, 'h> {
    /// The opening handshake in this request (RFC 6455 §4.2.1).
    ///
    /// # Errors
    ///
    /// [`UpgradeRequired`](HandshakeError::UpgradeRequired) if the request is no handshake at all, and what
    /// is wrong with it if it is one.
    pub fn upgrade(&self) -> Result<Upgrade<'b, 'h>, HandshakeError> {
        Upgrade::read(*self)
    }
}

impl<'b, 'h> Upgrade<'b, 'h> {
    /// Reads what `request` says beside HTTP.
    fn read(request: Request<'b, 'h>) -> Result<Self, HandshakeError> {
        if !request.is_upgrade() {
            return Err(HandshakeError::UpgradeRequired);
        }
        // RFC 6455 §4.2.1: "An HTTP/1.1 or higher GET request".
        if request.method() != "GET" {
            return Err(HandshakeError::UpgradeMethod);
        }
        if request.is_http_1_0() {
            return Err(HandshakeError::OldHttpVersion);
        }
        let headers = request.fields();
        // RFC 6455 §4.2.1: "An |Upgrade| header field containing the value "websocket", treated as an ASCII
        // case-insensitive value."
        if !has_token(headers, "Upgrade", "websocket") {
            return Err(HandshakeError::UpgradeField);
        }
        // RFC 6455 §4.2.1: "A |Connection| header field that includes the token "Upgrade"".
        if !has_token(headers, "Connection", "Upgrade") {
            return Err(HandshakeError::ConnectionField);
        }
        // Before what only this version of the protocol demands.
        check_version(headers)?;
        Ok(Self {
            request,
            key: read_key(headers)?,
            subprotocols: read_subprotocols(headers)?,
            extensions: parse_extensions(values(headers, "Sec-WebSocket-Extensions"))?,
        })
    }

    /// The request that this handshake came in.
    pub fn request(&self) -> &Request<'b, 'h> {
        &self.request
    }

    /// The value of `Sec-WebSocket-Accept` that answers this handshake.
    pub fn accept_key(&self) -> [u8; 28] {
        accept_key(self.key)
    }

    /// The subprotocols that the client offers, the one that it likes best first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'b str> {
        self.subprotocols.iter().copied()
    }

    /// The first of `supported` that the client offers: the server's preference decides.
    pub fn select_subprotocol<'s>(&self, supported: &[&'s str]) -> Option<&'s str> {
        supported.iter().copied().find(|name| self.subprotocols.contains(name))
    }

    /// The extensions that the client offers, the one that it likes best first.
    ///
    /// An extension may be there several times, with other parameters. One that is not known is no error: it
    /// is declined by not accepting it.
    pub fn extensions(&self) -> impl Iterator<Item = &Extension<'b>> {
        self.extensions.iter()
    }
}

fn check_version(headers: &[Header<'_>]) -> Result<(), HandshakeError> {
    // RFC 6455 §11.3.5: "the |Sec-WebSocket-Version| header field MUST NOT appear more than once in an HTTP
    // request." RFC 6455 §4.2.2: "If this version does not match a version understood by the server, the
    // server MUST abort".
    match at_most_one(headers, "Sec-WebSocket-Version", HandshakeError::VersionRepeated)? {
        Some(b"13") => Ok(()),
        _ => Err(HandshakeError::VersionNotSupported),
    }
}

fn read_key<'b>(headers: &[Header<'b>]) -> Result<&'b [u8], HandshakeError> {
    // RFC 6455 §11.3.1: "The |Sec-WebSocket-Key| header field MUST NOT appear more than once in an HTTP
    // request."
    let key = at_most_one(headers, "Sec-WebSocket-Key", HandshakeError::KeyRepeated)?;
    let key = key.ok_or(HandshakeError::KeyMissing)?;
    if is_key(key) { Ok(key) } else { Err(HandshakeError::KeyMalformed) }
}

fn read_subprotocols<'b>(headers: &[Header<'b>]) -> Result<Vec<&'b str>, HandshakeError> {
    const NAME: &str = "Sec-WebSocket-Protocol";
    // RFC 6455 §11.3.4: "The |Sec-WebSocket-Protocol| header field MAY appear multiple times in an HTTP
    // request".
    let subprotocols = values(headers, NAME).flat_map(elements).map(token).collect::<Option<Vec<_>>>();
    let subprotocols = subprotocols.ok_or(HandshakeError::SubprotocolMalformed)?;
    // RFC 6455 §4.1: "The ABNF for the value of this header field is 1#token", which is one at least.
    if subprotocols.is_empty() && values(headers, NAME).next().is_some() {
        return Err(HandshakeError::SubprotocolMalformed);
    }
    // RFC 6455 §4.1: "MUST all be unique strings".
    if has_duplicates(&subprotocols) {
        return Err(HandshakeError::SubprotocolRepeated);
    }
    Ok(subprotocols)
}

/// Whether a name is there twice. Sorted, as a peer may send thousands of them.
pub(crate) fn has_duplicates(names: &[&str]) -> bool {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec::Vec};

    use super::{Extension, HandshakeError};
    use crate::{EMPTY_HEADER, Request};

    /// The fields of the RFC's own handshake (§1.3).
    const FIELDS: [&str; 5] = [
        "Host: server.example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];

    fn head(fields: &[&str]) -> String {
        format!("GET /chat HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"))
    }

    /// Reads the handshake of the RFC with `changed` in place of the fields of that name, or behind all
    /// others.
    #[track_caller]
    fn check(rule: &str, changed: &[&str], expect: Result<(), HandshakeError>) {
        let name = |field: &str| field.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let kept = FIELDS.iter().filter(|field| changed.iter().all(|it| name(it) != name(field)));
        let fields: Vec<&str> =
            kept.copied().chain(changed.iter().copied().filter(|it| it.contains(": "))).collect();
        let head = head(&fields);
        let mut headers = [EMPTY_HEADER; 16];
        let request = Request::parse(head.as_bytes(), &mut headers).unwrap();
        assert!(request.is_upgrade(), "{rule}: it is no page");
        assert_eq!(request.upgrade().map(|_| ()), expect, "{rule}");
    }

    #[test]
    fn upgrade_field() {
        use HandshakeError::UpgradeField;
        for (rule, changed, expect) in [
            ("as in the RFC", &[][..], Ok(())),
            ("any case", &["UPGRADE: WebSocket"], Ok(())),
            ("one of several", &["Upgrade: h2c, websocket"], Ok(())),
            ("in a second line", &["Upgrade: h2c", "Upgrade: websocket"], Ok(())),
            ("missing", &["Upgrade"], Err(UpgradeField)),
            ("another protocol", &["Upgrade: h2c"], Err(UpgradeField)),
            ("part of a token", &["Upgrade: websockets"], Err(UpgradeField)),
            ("with a version", &["Upgrade: websocket/13"], Err(UpgradeField)),
        ] {
            check(rule, changed, expect);
        }
    }

    #[test]
    fn connection_field() {
        use HandshakeError::ConnectionField;
        for (rule, changed, expect) in [
            ("any case", &["CONNECTION: upgrade"][..], Ok(())),
            ("of Firefox", &["Connection: keep-alive, Upgrade"], Ok(())),
            ("in a second line", &["Connection: keep-alive", "Connection: Upgrade"], Ok(())),
            ("missing", &["Connection"], Err(ConnectionField)),
            ("another option", &["Connection: keep-alive"], Err(ConnectionField)),
            ("part of a token", &["Connection: Upgraded"], Err(ConnectionField)),
            ("no separator", &["Connection: keep-alive Upgrade"], Err(ConnectionField)),
        ] {
            check(rule, changed, expect);
        }
    }

    #[test]
    fn version_field() {
        use HandshakeError::{VersionNotSupported, VersionRepeated};
        for (rule, changed, expect) in [
            ("missing", &["Sec-WebSocket-Version"][..], Err(VersionNotSupported)),
            ("an older one", &["Sec-WebSocket-Version: 8"], Err(VersionNotSupported)),
            ("a newer one", &["Sec-WebSocket-Version: 14"], Err(VersionNotSupported)),
            ("a leading zero", &["Sec-WebSocket-Version: 013"], Err(VersionNotSupported)),
            ("a sign", &["Sec-WebSocket-Version: +13"], Err(VersionNotSupported)),
            ("a fraction", &["Sec-WebSocket-Version: 13.0"], Err(VersionNotSupported)),
            ("empty", &["Sec-WebSocket-Version: "], Err(VersionNotSupported)),
            ("a list", &["Sec-WebSocket-Version: 13, 8"], Err(VersionNotSupported)),
            ("a list of the same", &["Sec-WebSocket-Version: 13, 13"], Err(VersionNotSupported)),
            ("repeated", &["Sec-WebSocket-Version: 13", "sec-websocket-version: 13"], Err(VersionRepeated)),
            ("before the key", &["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key"], Err(VersionNotSupported)),
        ] {
            check(rule, changed, expect);
        }
    }

    #[test]
    fn key_field() {
        use HandshakeError::{KeyMalformed, KeyMissing, KeyRepeated};
        let repeated =
            &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];
        for (rule, changed, expect) in [
            ("missing", &["Sec-WebSocket-Key"][..], Err(KeyMissing)),
            ("repeated", repeated, Err(KeyRepeated)),
            ("empty", &["Sec-WebSocket-Key: "], Err(KeyMalformed)),
            ("not base64", &["Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="], Err(KeyMalformed)),
            ("15 bytes", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"], Err(KeyMalformed)),
            ("17 bytes", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="], Err(KeyMalformed)),
        ] {
            check(rule, changed, expect);
        }
    }

    #[test]
    fn subprotocol_field() {
        use HandshakeError::{SubprotocolMalformed, SubprotocolRepeated};
        for (rule, changed, expect) in [
            ("one", &["Sec-WebSocket-Protocol: chat"][..], Ok(())),
            ("several lines", &["Sec-WebSocket-Protocol: a, b", "sec-websocket-protocol: c"], Ok(())),
            ("empty elements", &["Sec-WebSocket-Protocol: , a,, b,"], Ok(())),
            ("differing in case", &["Sec-WebSocket-Protocol: a, A"], Ok(())),
            ("empty", &["Sec-WebSocket-Protocol: "], Err(SubprotocolMalformed)),
            ("empty elements alone", &["Sec-WebSocket-Protocol: ,,"], Err(SubprotocolMalformed)),
            ("no token", &["Sec-WebSocket-Protocol: a, b c"], Err(SubprotocolMalformed)),
            ("a URL", &["Sec-WebSocket-Protocol: http://a"], Err(SubprotocolMalformed)),
            ("twice", &["Sec-WebSocket-Protocol: a, b, a"], Err(SubprotocolRepeated)),
            (
                "twice in two lines",
                &["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"],
                Err(SubprotocolRepeated),
            ),
        ] {
            check(rule, changed, expect);
        }
    }

    #[test]
    fn extensions_field() {
        use HandshakeError::ExtensionsMalformed;
        for (rule, changed, expect) in [
            ("known to nobody", &["Sec-WebSocket-Extensions: x-unknown; a=1"][..], Ok(())),
            (
                "several lines",
                &["Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: b; c=\"1\""],
                Ok(()),
            ),
            ("empty", &["Sec-WebSocket-Extensions: "], Err(ExtensionsMalformed)),
            ("outside the grammar", &["Sec-WebSocket-Extensions: a; =1"], Err(ExtensionsMalformed)),
            (
                "in the second line",
                &["Sec-WebSocket-Extensions: a", "sec-websocket-extensions: b;"],
                Err(ExtensionsMalformed),
            ),
            (
                "more than 32",
                &[&*format!("Sec-WebSocket-Extensions: {}", ["a"].repeat(33).join(","))],
                Err(HandshakeError::TooManyExtensions),
            ),
        ] {
            check(rule, changed, expect);
        }
    }

    #[test]
    fn a_page_is_only_what_has_nothing_of_a_handshake() {
        for (rule, field, expect) in [
            ("nothing", "Accept: text/html", HandshakeError::UpgradeRequired),
            ("Connection is no part of it", "Connection: Upgrade", HandshakeError::UpgradeRequired),
            ("a name that is shorter", "Sec-WebSocket: a", HandshakeError::UpgradeRequired),
            ("an offer of h2c", "upgrade: h2c", HandshakeError::UpgradeRequired),
            ("an offer of what contains the word", "Upgrade: websockets", HandshakeError::UpgradeRequired),
            ("an Upgrade", "upgrade: h2c, WebSocket", HandshakeError::ConnectionField),
            ("a key", "sec-websocket-key: a", HandshakeError::UpgradeField),
            ("a version", "Sec-WebSocket-Version: 12", HandshakeError::UpgradeField),
            ("extensions", "Sec-WebSocket-Extensions: a", HandshakeError::UpgradeField),
            ("a field of an old draft", "Sec-WebSocket-Key1: a", HandshakeError::UpgradeField),
        ] {
            let head = head(&["Host: a", field]);
            let mut headers = [EMPTY_HEADER; 4];
            let request = Request::parse(head.as_bytes(), &mut headers).unwrap();
            assert_eq!(request.upgrade().map(|_| ()), Err(expect), "{rule}");
            assert_eq!(request.is_upgrade(), expect != HandshakeError::UpgradeRequired, "{rule}");
        }
    }

    #[test]
    fn what_a_handshake_offers() {
        let offers = [
            "Sec-WebSocket-Protocol: soap, wamp",
            "Sec-WebSocket-Protocol: chat",
            "Sec-WebSocket-Extensions: x, y; z",
        ];
        let head = head(&[&FIELDS[..], &offers].concat());
        let mut headers = [EMPTY_HEADER; 16];
        let upgrade = Request::parse(head.as_bytes(), &mut headers).unwrap().upgrade().unwrap();
        assert_eq!(upgrade.request().path(), "/chat");
        assert_eq!(&upgrade.accept_key(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(upgrade.subprotocols().collect::<Vec<_>>(), ["soap", "wamp", "chat"]);
        assert_eq!(upgrade.extensions().map(Extension::name).collect::<Vec<_>>(), ["x", "y"]);

        assert_eq!(
            upgrade.select_subprotocol(&["chat", "soap"]),
            Some("chat"),
            "the first preference of the server"
        );
        assert_eq!(
            upgrade.select_subprotocol(&["mqtt", "soap"]),
            Some("soap"),
            "what is not offered is passed over"
        );
        assert_eq!(
            upgrade.select_subprotocol(&["mqtt", "Chat"]),
            None,
            "subprotocols are told apart by case"
        );
        assert_eq!(upgrade.select_subprotocol(&[]), None);
    }

    #[test]
    fn duplicates_among_thousands() {
        let names: Vec<String> = (0..65_536).map(|it| format!("{it:x}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(!super::has_duplicates(&names));
        names.push("0");
        assert!(super::has_duplicates(&names));
    }
}

//! Properties that hold for any input: no panic, the same with every cut, and what is written can be read.

use proptest::{collection::vec, option, prelude::*, sample::select, string::string_regex};
use ws_handshake::{ClientRequest, EMPTY_HEADER, HeadScanner, Header, Request, Response, ResponseHead};

const HANDSHAKE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: c; d=\"e\", f; g=1\r\nOrigin: http://a\r\n\r\n";

/// Text that matches `pattern`.
fn text(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).unwrap()
}

/// The right handshake with some of its bytes replaced, mostly by ones that mean something.
fn damaged_handshake() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(&b"\r\n\0\t :;,=\"\\/%[]"[..]), any::<u8>()];
    vec((0..HANDSHAKE.len(), byte), 0..8).prop_map(|damages| {
        let mut head = HANDSHAKE.to_vec();
        for (at, byte) in damages {
            head[at] = byte;
        }
        head
    })
}

/// Everything that can be asked of a head.
fn read_all(head: &[u8]) -> Option<String> {
    let mut headers = [EMPTY_HEADER; 16];
    let _ = ResponseHead::parse(head, &mut headers);
    let mut headers = [EMPTY_HEADER; 16];
    let request = Request::parse(head, &mut headers).ok()?;
    Some(format!("{request:?} {:?}", request.upgrade()))
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..256)) {
        let _ = HeadScanner::new().scan(&bytes, 128);
        read_all(&bytes);
    }

    #[test]
    fn a_damaged_head_is_the_same_however_it_is_cut(bytes in damaged_handshake(), cut in 0..HANDSHAKE.len()) {
        let whole = HeadScanner::new().scan(&bytes, 512);
        let mut scanner = HeadScanner::new();
        let cut = match scanner.scan(&bytes[..cut], 512) {
            Ok(None) => scanner.scan(&bytes, 512),
            decided => decided,
        };
        prop_assert_eq!(&cut, &whole);
        if let Ok(Some(head_len)) = whole {
            read_all(&bytes[..head_len]);
        }
    }

    #[test]
    fn a_request_that_is_written_can_be_read(
        host in text("[a-z0-9.-]{1,12}(:[0-9]{1,4})?"),
        target in text("/[!$-;=?-Z^-~]{0,20}"),
        nonce in any::<[u8; 16]>(),
        origin in option::of(text("https?://[a-z.]{1,9}(:[0-9]{1,4})?")),
        subprotocols in vec(text("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,6}"), 0..4),
        field in option::of(text("[ -~\\t\u{80}-\u{ff}]{0,20}")),
    ) {
        let mut offered: Vec<&str> = subprotocols.iter().map(String::as_str).collect();
        offered.sort_unstable();
        offered.dedup();
        let request = ClientRequest::new(&host, &target, nonce).unwrap();
        let mut request = request.with_subprotocols(&offered).unwrap();
        if let Some(origin) = &origin {
            request = request.with_origin(origin).unwrap();
        }
        if let Some(value) = &field {
            request = request.with_header("X-Field", value.clone()).unwrap();
        }
        let mut wire = Vec::new();
        request.encode(&mut wire);

        prop_assert_eq!(HeadScanner::new().scan(&wire, 4096), Ok(Some(wire.len())));
        let mut headers = [EMPTY_HEADER; 16];
        let upgrade = Request::parse(&wire, &mut headers).unwrap().upgrade().unwrap();
        prop_assert_eq!(upgrade.request().host(), Some(&*host));
        prop_assert_eq!(upgrade.request().target(), target);
        prop_assert_eq!(upgrade.request().origin(), origin.as_deref());
        prop_assert_eq!(upgrade.subprotocols().collect::<Vec<_>>(), offered);
        let value = upgrade.request().header("X-Field");
        prop_assert_eq!(value, field.as_deref().map(|value| value.trim_matches([' ', '\t'])));
    }

    #[test]
    fn nothing_breaks_out_of_its_field(
        name in text("[ -~\r\n\0]{0,3}X?"),
        value in prop_oneof![any::<String>(), text("[a-z: \t\r\n\0]{0,9}")],
        body in text("[a-z\r\n: ]{0,20}"),
    ) {
        let Ok(response) = Response::text(200, body.clone()).with_header(name.clone(), value.clone()) else {
            return Ok(());
        };
        let mut wire = Vec::new();
        response.encode(&mut wire);
        let head_len = HeadScanner::new().scan(&wire, 4096).unwrap().unwrap();
        prop_assert_eq!(&wire[head_len..], body.as_bytes());
        let mut headers = [EMPTY_HEADER; 8];
        let head = ResponseHead::parse(&wire[..head_len], &mut headers).unwrap();
        let fields: Vec<&Header<'_>> = head.headers().collect();
        prop_assert_eq!(fields.iter().map(|field| field.name).collect::<Vec<_>>(),
            ["Content-Type", &name, "Connection", "Content-Length"]);
        prop_assert_eq!(fields[1].value, value.trim_matches([' ', '\t']).as_bytes());
    }
}

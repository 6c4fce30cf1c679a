//! The head of an opening request: wherever it is cut, its end or its error is found at the same place; what is accepted
//! is read the same by httparse alone, and accepted by tungstenite; what is refused is answered with legal HTTP; and a
//! client takes the answer to an upgrade.

use super::script::{Script, cut};
use tungstenite::{handshake::derive_accept_key, http};
use ws_endpoint::DeflateOffer;
use ws_handshake::{
    Accept, EMPTY_HEADER, HandshakeError, HeadScanner, HostPolicy, OriginPolicy, Request, ResponseHead,
    Upgrade,
};

/// The most header fields that a head may have.
const MAX_HEADERS: usize = 16;

/// The input is a limit, the cuts (how many, their lengths), and the bytes of the client.
pub fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let max_len = script.choose(&[4_096, 200, 20, 0]);
    let cuts = usize::from(script.byte() % 16);
    let cuts = script.take(cuts);
    let bytes = script.rest();

    let whole = HeadScanner::new().scan(bytes, max_len);
    assert_eq!(scan_in_pieces(bytes, cuts, max_len), whole, "cut in pieces of {cuts:?}");
    assert_eq!(scan_in_pieces(bytes, &[1], max_len), whole, "byte by byte");
    let outcome = whole.and_then(|end| {
        let Some(head_len) = end else { return Ok(()) };
        assert!(head_len <= max_len && bytes[..head_len].ends_with(b"\r\n\r\n"));
        let head = &bytes[..head_len];
        let outcome = check_head(head);
        if !head.starts_with(b"\r\n") {
            let after_an_empty_line = check_head(&[b"\r\n", head].concat());
            assert_eq!(after_an_empty_line, outcome, "one empty line before it changes nothing");
        }
        outcome
    });
    if let Err(error) = outcome {
        check_refusal(&error);
    }
}

/// The first answer that decides, when the bytes arrive in pieces.
fn scan_in_pieces(bytes: &[u8], cuts: &[u8], max_len: usize) -> Result<Option<usize>, HandshakeError> {
    let mut scanner = HeadScanner::new();
    let mut len = 0;
    for piece in cut(bytes, cuts) {
        len += piece.len();
        let scanned = scanner.scan(&bytes[..len], max_len);
        if scanned != Ok(None) {
            return scanned;
        }
    }
    Ok(None)
}

fn check_head(head: &[u8]) -> Result<(), HandshakeError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let request = Request::parse(head, &mut headers)?;
    check_against_httparse(&request, head);
    // These decide by what was parsed, and have to decide at all.
    let _ = OriginPolicy::SameOrigin.allows(&request);
    let _ = HostPolicy::default().allows(&request);
    let upgrade = request.upgrade()?;
    check_against_tungstenite(&upgrade);
    check_accept(&upgrade);
    Ok(())
}

/// httparse, which is given the request line too, reads the same.
fn check_against_httparse(ours: &Request<'_, '_>, head: &[u8]) {
    // It knows no minor version above 1.
    let line_end = head.windows(2).skip(1).position(|it| it == b"\r\n").expect("a line") + 1;
    let mut head = head.to_vec();
    head[line_end - 1] = b'1';
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut theirs = httparse::Request::new(&mut headers);
    assert_eq!(theirs.parse(&head), Ok(httparse::Status::Complete(head.len())));
    assert_eq!(
        (theirs.method, theirs.path, theirs.version),
        (Some(ours.method()), Some(ours.target()), Some(1))
    );
    let theirs: Vec<_> = theirs.headers.iter().map(|field| (field.name, field.value)).collect();
    let ours: Vec<_> = ours.headers().map(|field| (field.name, field.value)).collect();
    assert_eq!(theirs, ours);
}

/// tungstenite answers with the same key, where it takes the request: it looks at the first field of a name only, its
/// targets are those that the crate `http` takes, and it wants the spare bits of a key to be zero, which those of the RFC's
/// own example are not.
fn check_against_tungstenite(upgrade: &Upgrade<'_, '_>) {
    let request = upgrade.request();
    let key = request.header("Sec-WebSocket-Key").expect("an upgrade has a key");
    let answer = derive_accept_key(key.as_bytes());
    assert_eq!(answer.as_bytes(), upgrade.accept_key());

    let is_first = |name: &str, token: &str| {
        let field = request.header(name).filter(|field| field.is_ascii()).unwrap_or_default();
        field.split([' ', ',']).any(|it| it.eq_ignore_ascii_case(token))
    };
    let is_websocket = request.header("Upgrade").is_some_and(|it| it.eq_ignore_ascii_case("websocket"));
    let mut theirs = http::Request::builder().uri(request.target());
    for field in request.headers() {
        theirs = theirs.header(field.name, field.value);
    }
    let Ok(theirs) = theirs.body(()) else { return };
    let has_no_spare_bits = ["A==", "Q==", "g==", "w=="].iter().any(|end| key.ends_with(end));
    if is_websocket && has_no_spare_bits && is_first("Connection", "Upgrade") {
        let response = tungstenite::handshake::server::create_response(&theirs).expect("accepted by both");
        assert_eq!(response.headers()["Sec-WebSocket-Accept"].as_bytes(), upgrade.accept_key());
    }
}

/// The answer to an upgrade is legal, and says what was selected.
fn check_accept(upgrade: &Upgrade<'_, '_>) {
    let params = DeflateOffer::default().accept(upgrade).map(|params| params.to_string());
    let accept =
        Accept::new().with_subprotocol(upgrade.subprotocols().last()).with_extensions(params.as_deref());
    let mut answer = Vec::new();
    accept.encode(upgrade, &mut answer).expect("what is selected is what was offered");
    assert_eq!(HeadScanner::new().scan(&answer, usize::MAX), Ok(Some(answer.len())));
    let mut headers = [EMPTY_HEADER; 8];
    let response = ResponseHead::parse(&answer, &mut headers).expect("our answer is legal");
    assert_eq!(response.status(), 101);
    let key = upgrade.accept_key();
    assert_eq!(response.header("Sec-WebSocket-Accept").map(str::as_bytes), Some(&key[..]));
    assert_eq!(response.header("Sec-WebSocket-Protocol"), upgrade.subprotocols().last());
    assert_eq!(response.header("Sec-WebSocket-Extensions"), params.as_deref());
}

/// A refusal is an HTTP response, with a status that says that it is one.
fn check_refusal(error: &HandshakeError) {
    let mut answer = Vec::new();
    error.response().encode(&mut answer);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(&answer).expect("a legal response");
    assert!(parsed.is_complete());
    assert_eq!(response.code, Some(error.status()));
    assert!((400..600).contains(&error.status()), "{error}");
}

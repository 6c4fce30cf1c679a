//! An independent implementation on the other side: tungstenite accepts our requests, and we accept its.

use std::io::{self, Read, Write};

use tungstenite::{
    client::{ClientRequestBuilder, IntoClientRequest, client},
    handshake::{
        derive_accept_key,
        server::{Request as TheirRequest, Response as TheirResponse},
    },
    http::HeaderValue,
};
use ws_handshake::{
    Accept, ClientRequest, EMPTY_HEADER, HeadScanner, Request, Response, ResponseHead, accept_key,
};

/// A connection in memory: what is written goes to the other side when something is read.
struct Pipe<F> {
    written: Vec<u8>,
    unread: io::Cursor<Vec<u8>>,
    /// The other side: what is written, to what can be read.
    respond: F,
}

impl<F: FnMut(&[u8]) -> Vec<u8>> Pipe<F> {
    fn new(unread: Vec<u8>, respond: F) -> Self {
        Self { written: Vec::new(), unread: io::Cursor::new(unread), respond }
    }
}

impl<F: FnMut(&[u8]) -> Vec<u8>> Read for Pipe<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.written.is_empty() {
            self.unread = io::Cursor::new((self.respond)(&std::mem::take(&mut self.written)));
        }
        self.unread.read(buffer)
    }
}

impl<F> Write for Pipe<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn their_server_accepts_our_client() {
    let request = ClientRequest::new("example.com:9001", "/chat?room=1", [7; 16]).unwrap();
    let request =
        request.with_subprotocols(&["soap", "chat"]).unwrap().with_origin("http://example.com").unwrap();
    let mut wire = Vec::new();
    request.encode(&mut wire);

    let mut response = Vec::new();
    let mut pipe = Pipe::new(wire, |_: &[u8]| Vec::new());
    #[expect(clippy::result_large_err, reason = "tungstenite wants it so")]
    let on_request = |request: &TheirRequest, mut response: TheirResponse| {
        assert_eq!(request.uri(), "/chat?room=1");
        assert_eq!(request.headers()["Host"], "example.com:9001");
        assert_eq!(request.headers()["Origin"], "http://example.com");
        assert_eq!(request.headers()["Sec-WebSocket-Protocol"], "soap, chat");
        response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("chat"));
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(&mut pipe, on_request).unwrap();
    response.append(&mut socket.get_mut().written);

    let head_len = HeadScanner::new().scan(&response, 4096).unwrap();
    assert_eq!(head_len, Some(response.len()));
    let mut headers = [EMPTY_HEADER; 16];
    let established = ResponseHead::parse(&response, &mut headers).unwrap().check(&request).unwrap();
    assert_eq!(established.subprotocol(), Some("chat"));
    assert_eq!(established.extensions().count(), 0);
}

#[test]
fn our_server_accepts_their_client() {
    let request = ClientRequestBuilder::new("ws://example.com:9001/chat?room=1".parse().unwrap())
        .with_sub_protocol("soap")
        .with_sub_protocol("chat")
        .with_header("Origin", "http://example.com");
    let pipe = Pipe::new(Vec::new(), |wire: &[u8]| {
        assert_eq!(HeadScanner::new().scan(wire, 4096), Ok(Some(wire.len())));
        let mut headers = [EMPTY_HEADER; 16];
        let upgrade = Request::parse(wire, &mut headers).unwrap().upgrade().unwrap();
        assert_eq!(upgrade.request().target(), "/chat?room=1");
        assert_eq!(upgrade.request().host(), Some("example.com:9001"));
        assert_eq!(upgrade.request().origin(), Some("http://example.com"));
        assert_eq!(upgrade.subprotocols().collect::<Vec<_>>(), ["soap", "chat"]);
        let mut out = Vec::new();
        let accept = Accept::new().with_subprotocol("chat").with_header("Set-Cookie", "a=b").unwrap();
        accept.encode(&upgrade, &mut out).unwrap();
        out
    });
    let (_, response) = client(request, pipe).unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "chat");
    assert_eq!(response.headers()["Set-Cookie"], "a=b");
}

#[test]
fn their_client_understands_our_refusal() {
    let request = "ws://example.com/".into_client_request().unwrap();
    let pipe = Pipe::new(Vec::new(), |_: &[u8]| {
        let mut out = Vec::new();
        Response::text(403, "this origin is not allowed\n").encode(&mut out);
        out
    });
    match client(request, pipe) {
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            assert_eq!(response.status(), 403);
            assert_eq!(response.headers()["Connection"], "close");
            assert_eq!(response.body().as_deref(), Some(&b"this origin is not allowed\n"[..]));
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[test]
fn the_accept_key_is_the_same() {
    for nonce in 0..=u8::MAX {
        let mut wire = Vec::new();
        ClientRequest::new("a", "/", [nonce; 16]).unwrap().encode(&mut wire);
        let mut headers = [EMPTY_HEADER; 8];
        let request = Request::parse(&wire, &mut headers).unwrap();
        let key = request.header("Sec-WebSocket-Key").unwrap();
        assert_eq!(accept_key(key.as_bytes())[..], *derive_accept_key(key.as_bytes()).as_bytes());
    }
}

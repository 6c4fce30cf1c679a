//! Whole connections, from the first byte to the last: under every cut, both roles against each other, and each role
//! against tungstenite.

use proptest::prelude::*;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};
use ws_endpoint::{
    Accept, ClientEndpoint, ClientEvent, ClientRequest, CloseCode, CloseFrame, DeflateOffer, EndpointConfig,
    EndpointError, Message, MessageLimits, Output, Response, ServerEndpoint, ServerEvent,
};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Protocol: chat, soap\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const KEY: fn() -> [u8; 4] = || [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame with a key of zeroes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    assert!(len < 126);
    [&[first, 0x80 | len, 0, 0, 0, 0], payload].concat()
}

/// The events and the output of an echo server that gets `wire` in pieces that end here, and the error, if any.
fn serve(
    config: &EndpointConfig,
    wire: &[u8],
    ends: &[usize],
) -> (Vec<String>, Vec<u8>, Option<String>, bool) {
    let (mut endpoint, mut out, mut events) =
        (ServerEndpoint::new(config.clone()), Output::new(), Vec::new());
    let (mut start, mut error) = (0, None);
    for end in ends {
        let mut piece = wire[start..*end].to_vec();
        start = *end;
        let received = endpoint.receive_all(&mut piece, &mut out, |event, out| match event {
            ServerEvent::Request(request) => {
                let path = request.read(|request| request.path().to_owned());
                let answered = request.accept(out).map_err(|response| response.status());
                events.push(format!("request {path:?} {answered:?}"));
            }
            ServerEvent::Message(message, sender) => {
                events.push(format!("{message:?}"));
                sender.send(message, out).unwrap();
            }
            event => events.push(format!("{event:?}")),
        });
        error = error.or(received.err().map(|error| error.to_string()));
    }
    (events, out.as_bytes().to_vec(), error, endpoint.is_finished())
}

/// The same, however `wire` is cut.
fn check(config: &EndpointConfig, wire: &[u8]) -> (Vec<String>, Vec<u8>, Option<String>, bool) {
    let whole = serve(config, wire, &[wire.len()]);
    for cut in 0..wire.len() {
        assert_eq!(serve(config, wire, &[cut, wire.len()]), whole, "cut at {cut}");
    }
    let every: Vec<usize> = (1..=wire.len()).collect();
    assert_eq!(serve(config, wire, &every), whole, "byte by byte");
    whole
}

#[test]
fn a_conversation_under_every_cut() {
    let frames = [
        frame(0x81, b"hello"),
        frame(0x01, b"in "),
        frame(0x89, b"ping"),
        frame(0x80, b"two"),
        frame(0x82, &[0xff]),
        frame(0x88, b"\x03\xe8bye"),
    ];
    let wire = [REQUEST.as_bytes(), &frames.concat()].concat();
    let (events, out, error, is_finished) = check(&EndpointConfig::default(), &wire);
    assert_eq!(
        events,
        [
            "request Ok(\"/chat\") Ok(())",
            "Text(\"hello\")",
            "Ping([112, 105, 110, 103])",
            "Text(\"in two\")",
            "Binary([255])",
            "Close(CloseFrame { code: CloseCode(1000), reason: \"bye\" })",
        ]
    );
    let expect = b"\x81\x05hello\x8a\x04ping\x81\x06in two\x82\x01\xff\x88\x05\x03\xe8bye";
    assert_eq!(out, [RESPONSE.as_bytes(), expect].concat());
    assert_eq!((error, is_finished), (None, true));
}

#[test]
fn faults_under_every_cut() {
    let small = EndpointConfig {
        max_head_len: REQUEST.len(),
        messages: MessageLimits { max_message_len: 10, ..MessageLimits::default() },
        ..EndpointConfig::default()
    };
    let with = |bytes: &[u8]| [REQUEST.as_bytes(), bytes].concat();
    let page = REQUEST.replace("Upgrade: websocket\r\n", "").replace("Connection: Upgrade\r\n", "");
    let long = REQUEST.replace("/chat", "/chat-and-more");
    for (name, wire, status, error) in [
        ("no HTTP", b"(hello)\r\n".to_vec(), 400, true),
        ("a head that is too long", long.into_bytes(), 431, true),
        (
            "a version of the protocol that is none of ours",
            REQUEST.replace(": 13", ": 12").into_bytes(),
            426,
            false,
        ),
        ("a page", page.replace("Sec-WebSocket", "X").into_bytes(), 426, false),
        ("an unmasked frame", with(b"\x81\x01a"), 101, true),
        ("a message that is too long", with(&frame(0x81, b"0123456789a")), 101, true),
    ] {
        let (_, out, found, is_finished) = check(&small, &wire);
        let out = String::from_utf8_lossy(&out);
        assert!(out.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {out}");
        assert_eq!((found.is_some(), is_finished), (error, true), "{name}: {found:?}");
    }
}

/// The server's output for `REQUEST`, answered by `answer`.
fn answered(request: &str, answer: impl Fn(ServerEvent<'_>, &mut Output)) -> (String, ServerEndpoint) {
    let (mut endpoint, mut out) = (ServerEndpoint::default(), Output::new());
    endpoint.receive_all(&mut request.as_bytes().to_vec(), &mut out, answer).unwrap();
    (String::from_utf8(out.as_bytes().to_vec()).unwrap(), endpoint)
}

#[test]
fn a_request_is_answered_as_the_caller_says() {
    let (out, endpoint) = answered(REQUEST, |event, out| {
        let ServerEvent::Request(request) = event else { panic!("{event:?}") };
        request
            .answer(out, |upgrade| Ok(Accept::new().with_subprotocol(upgrade.select_subprotocol(&["soap"]))))
            .unwrap();
    });
    assert!(out.contains("\r\nSec-WebSocket-Protocol: soap\r\n") && endpoint.is_open(), "{out}");

    let (out, endpoint) = answered(REQUEST, |event, out| {
        let ServerEvent::Request(request) = event else { panic!("{event:?}") };
        let refused = request.answer(out, |_| Err(Response::text(401, "who are you?\n")));
        assert_eq!(refused.unwrap_err().status(), 401);
    });
    assert!(out.starts_with("HTTP/1.1 401 ") && out.ends_with("\r\n\r\nwho are you?\n"), "{out}");
    assert!(endpoint.is_finished() && !endpoint.is_open());

    let (out, _) = answered(REQUEST, |event, out| {
        let ServerEvent::Request(request) = event else { panic!("{event:?}") };
        let refused = request.answer(out, |_| Ok(Accept::new().with_subprotocol("not offered")));
        assert_eq!(refused.unwrap_err().status(), 500);
    });
    assert!(out.starts_with("HTTP/1.1 500 "), "{out}");

    let (out, endpoint) = answered("HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n", |event, out| {
        let ServerEvent::Request(request) = event else { panic!("{event:?}") };
        request.respond(&Response::text(200, "a page"), out);
    });
    assert!(out.starts_with("HTTP/1.1 200 ") && out.ends_with("\r\n\r\n") && endpoint.is_finished(), "{out}");

    let (out, endpoint) = answered(REQUEST, |_, _| {});
    assert_eq!((&*out, endpoint.is_finished()), ("", true), "a request that is dropped ends the connection");
}

fn client(config: &EndpointConfig, out: &mut Output) -> ClientEndpoint<fn() -> [u8; 4]> {
    let request = ClientRequest::new("example.com", "/chat", *b"the sample nonce").unwrap();
    ClientEndpoint::new(request, config.clone(), KEY, out).unwrap()
}

#[test]
fn a_response_that_refuses_is_an_error_and_can_be_seen() {
    for ends in [vec![1000], vec![5, 1000], (1..=100).collect::<Vec<usize>>()] {
        let mut out = Output::new();
        let mut endpoint = client(&EndpointConfig::default(), &mut out);
        let wire = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let (mut start, mut errors) = (0, Vec::new());
        for end in ends.into_iter().map(|end| end.min(wire.len())) {
            let mut piece = wire[start..end].to_vec();
            start = end;
            errors.extend(endpoint.receive_all(&mut piece, &mut out, |event, _| panic!("{event:?}")).err());
        }
        let [EndpointError::Response(error)] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!(error.to_string(), "the server answered with status 403 and not with 101");
        let response = endpoint.response();
        assert!(response.starts_with(b"HTTP/1.1 403 Forbidden\r\n") && wire.starts_with(response));
        assert!(endpoint.is_finished() && endpoint.sender().is_none());
        assert_eq!(endpoint.receive_eof(), CloseCode::ABNORMAL);
    }
}

/// Both roles of ours: the client sends messages and closes, the server sends them back. All that one writes reaches the
/// other in pieces of these lengths.
fn converse(config: &EndpointConfig, messages: &[String], lens: &[usize]) {
    let (mut to_server, mut to_client) = (Output::new(), Output::new());
    let mut client = client(config, &mut to_server);
    let mut server = ServerEndpoint::new(config.clone());
    let (mut received, mut closed, mut at) = (Vec::new(), None, 0);
    let mut next_len = || {
        at += 1;
        lens[at % lens.len()]
    };
    while !(to_server.is_empty() && to_client.is_empty()) {
        let mut wire = to_server.as_bytes().to_vec();
        to_server.clear();
        while !wire.is_empty() {
            let mut piece: Vec<u8> = wire.drain(..next_len().min(wire.len())).collect();
            let serve = |event: ServerEvent<'_>, out: &mut Output| match event {
                ServerEvent::Request(request) => request.accept(out).unwrap(),
                ServerEvent::Message(message, sender) => sender.send(message, out).unwrap(),
                _ => {}
            };
            server.receive_all(&mut piece, &mut to_client, serve).unwrap();
        }
        let mut wire = to_client.as_bytes().to_vec();
        to_client.clear();
        while !wire.is_empty() {
            let mut piece: Vec<u8> = wire.drain(..next_len().min(wire.len())).collect();
            let receive = |event: ClientEvent<'_, _>, out: &mut Output| match event {
                ClientEvent::Open(_, sender) => {
                    for message in messages {
                        sender.send(Message::Text(message), out).unwrap();
                    }
                    sender.close(CloseFrame::NORMAL, out).unwrap();
                }
                ClientEvent::Message(message, _) => received.push(message.as_text().unwrap().to_owned()),
                ClientEvent::Close(frame) => closed = Some(frame.code),
                _ => {}
            };
            client.receive_all(&mut piece, &mut to_server, receive).unwrap();
        }
    }
    assert_eq!((received.as_slice(), closed), (messages, Some(CloseCode::NORMAL)));
    assert!(client.is_finished() && server.is_finished());
    assert_eq!(client.deflate().is_some(), config.deflate.is_some());
    assert_eq!((client.receive_eof(), server.receive_eof()), (CloseCode::NORMAL, CloseCode::NORMAL));
}

proptest! {
    #[test]
    fn our_roles_understand_each_other(
        messages in prop::collection::vec("[a-zé ]{0,300}", 0..6),
        lens in prop::collection::vec(1..200_usize, 1..6),
        deflate in prop::option::of(any::<(bool, bool)>()),
    ) {
        let deflate = deflate.map(|(server_context_takeover, client_context_takeover)| {
            DeflateOffer { server_context_takeover, client_context_takeover, ..DeflateOffer::default() }
        });
        converse(&EndpointConfig { deflate, ..EndpointConfig::default() }, &messages, &lens);
    }
}

#[test]
fn tungstenites_client_and_our_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut endpoint, mut out, mut buffer) = (ServerEndpoint::default(), Output::new(), [0; 100]);
        while !endpoint.is_finished() {
            let len = socket.read(&mut buffer).unwrap();
            let serve = |event: ServerEvent<'_>, out: &mut Output| match event {
                ServerEvent::Request(request) => request.accept(out).unwrap(),
                ServerEvent::Message(message, sender) => sender.send(message, out).unwrap(),
                _ => {}
            };
            endpoint.receive_all(&mut buffer[..len], &mut out, serve).unwrap();
            socket.write_all(out.as_bytes()).unwrap();
            out.clear();
        }
        endpoint.receive_eof()
    });
    let stream = TcpStream::connect(addr).unwrap();
    let (mut theirs, _) = tungstenite::client(format!("ws://{addr}/"), stream).unwrap();
    for text in ["hello", &"long ".repeat(1_000)] {
        theirs.send(tungstenite::Message::text(text)).unwrap();
        assert_eq!(theirs.read().unwrap().into_text().unwrap(), text);
    }
    theirs.close(None).unwrap();
    while theirs.read().is_ok() {}
    assert_eq!(server.join().unwrap(), CloseCode::NO_STATUS);
}

#[test]
fn our_client_and_tungstenites_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut theirs = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        while let Ok(message) = theirs.read() {
            if message.is_text() {
                theirs.send(message).unwrap();
            }
        }
    });
    let (mut socket, mut out, mut buffer) = (TcpStream::connect(addr).unwrap(), Output::new(), [0; 100]);
    let mut endpoint = client(&EndpointConfig::default(), &mut out);
    let mut received = Vec::new();
    loop {
        socket.write_all(out.as_bytes()).unwrap();
        out.clear();
        let len = socket.read(&mut buffer).unwrap();
        if len == 0 {
            break;
        }
        let receive = |event: ClientEvent<'_, _>, out: &mut Output| match event {
            ClientEvent::Open(_, sender) => sender.send(Message::Text("hello"), out).unwrap(),
            ClientEvent::Message(message, sender) => {
                received.push(message.as_text().unwrap().to_owned());
                sender.close(CloseFrame::NORMAL, out).unwrap();
            }
            _ => {}
        };
        endpoint.receive_all(&mut buffer[..len], &mut out, receive).unwrap();
    }
    assert_eq!((received, endpoint.receive_eof()), (vec!["hello".to_owned()], CloseCode::NORMAL));
    server.join().unwrap();
}

//! What a client may send, and what it gets: a test for each row of the table of outcomes that is not about
//! time.
//!
//! The server here is the whole path of a request through the crate, and the head arrives whole, cut once at
//! each position, and byte by byte: always with the same answer, and with the same bytes left over.

use ws_handshake::{Accept, EMPTY_HEADER, HeadScanner, HostPolicy, OriginPolicy, Request, Response};

const MAX_REQUEST_LEN: usize = 1024;
const MAX_HEADERS: usize = 16;

/// The handshake of RFC 6455 §1.3, without its offers.
const LINES: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// An answer in bytes, and how many bytes of the peer it has used up.
type Answer = (Vec<u8>, usize);

/// Reads `wire` in pieces that end at `ends` until there is an answer.
fn serve(wire: &[u8], ends: impl Iterator<Item = usize>) -> Option<Answer> {
    let mut scanner = HeadScanner::new();
    for end in ends {
        let mut out = Vec::new();
        match scanner.scan(&wire[..end], MAX_REQUEST_LEN) {
            Ok(None) => continue,
            Ok(Some(head_len)) => {
                if let Some(response) = answer(&wire[..head_len], &mut out) {
                    encode(&response, wire, &mut out);
                }
                return Some((out, head_len));
            }
            Err(error) => {
                encode(&error.response(), wire, &mut out);
                return Some((out, 0));
            }
        }
    }
    None
}

fn encode(response: &Response, received: &[u8], out: &mut Vec<u8>) {
    if Request::begins_head(received) { response.encode_head(out) } else { response.encode(out) }
}

/// A server with a page, subprotocols, and policies. What does not open a connection is returned.
fn answer(head: &[u8], out: &mut Vec<u8>) -> Option<Response> {
    open(head, out).unwrap_or_else(Some)
}

fn open(head: &[u8], out: &mut Vec<u8>) -> Result<Option<Response>, Response> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let request = Request::parse(head, &mut headers)?;
    let hosts: HostPolicy = "server.example.com, localhost:9001, [::1]".parse().unwrap();
    if !hosts.allows(&request) {
        return Err(Response::text(403, "this host is not served here\n"));
    }
    match (request.is_upgrade(), request.method(), request.path()) {
        (false, "OPTIONS", _) => return Ok(Some(Response::options())),
        (false, _, "/") => return Ok(Some(Response::html(200, "<p>the page"))),
        _ => {}
    }
    let upgrade = request.upgrade()?;
    let origins: OriginPolicy = "http://example.com, https://*.example.com".parse().unwrap();
    if !origins.allows(&request) {
        return Err(Response::text(403, "this origin is not allowed\n"));
    }
    let accept = Accept::new()
        .with_subprotocol(upgrade.select_subprotocol(&["superchat", "chat"]))
        .with_header("X-Target", format!("{} {:?}", request.path(), request.query()))
        .unwrap();
    accept.encode(&upgrade, out).unwrap();
    Ok(None)
}

/// The answer to `wire`, however it is cut.
#[track_caller]
fn answer_to(rule: &str, wire: &[u8]) -> Option<Answer> {
    let whole = serve(wire, [wire.len()].into_iter());
    for cut in 0..wire.len() {
        assert_eq!(serve(wire, [cut, wire.len()].into_iter()), whole, "{rule}: cut at {cut}");
    }
    assert_eq!(serve(wire, 0..=wire.len()), whole, "{rule}: byte by byte");
    whole
}

/// Expects a refusal with `status`, in the form that every refusal has, and returns it.
#[track_caller]
fn refused(rule: &str, wire: &[u8], status: u16) -> String {
    let (response, _) = answer_to(rule, wire).unwrap_or_else(|| panic!("{rule}: there is no answer"));
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{rule}: {response}");
    assert!(head.contains("\r\nConnection: close"), "{rule}: {response}");
    assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8"), "{rule}: {response}");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{rule}: {response}");
    assert!((2..100).contains(&body.len()) && body.ends_with('\n'), "{rule}: a short text: {response}");
    response
}

/// Expects a 101, and returns what it says after the accept key.
#[track_caller]
fn accepted(rule: &str, wire: &[u8]) -> String {
    let (response, _) = answer_to(rule, wire).unwrap_or_else(|| panic!("{rule}: there is no answer"));
    let response = String::from_utf8(response).unwrap();
    let start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    response.strip_prefix(start).unwrap_or_else(|| panic!("{rule}: {response}")).to_owned()
}

fn head(lines: &[&str]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// The handshake with its first line that begins with `start` replaced by `line`; an empty line removes it.
fn with(start: &str, line: &str) -> Vec<u8> {
    assert_eq!(LINES.iter().filter(|it| it.starts_with(start)).count(), 1, "one line begins with {start}");
    let lines = LINES.map(|it| if it.starts_with(start) { line } else { it });
    head(&lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>())
}

/// The handshake with more lines.
fn and(lines: &[&str]) -> Vec<u8> {
    head(&[&LINES, lines].concat())
}

#[test]
fn the_request_of_the_rfc() {
    let wire = and(&["Origin: http://example.com", "Sec-WebSocket-Protocol: chat, superchat"]);
    let rest = accepted("RFC 6455 §1.3", &wire);
    assert_eq!(rest, "Sec-WebSocket-Protocol: superchat\r\nX-Target: /chat None\r\n\r\n");
}

#[test]
fn names_in_any_case_and_lists_in_several_lines() {
    let lower = LINES.map(|line| match line.split_once(": ") {
        Some((name, value)) => format!("{}:{value}", name.to_lowercase()),
        None => line.to_owned(),
    });
    accepted("lower case, no white space", &head(&lower.each_ref().map(String::as_str)));
    let upper = lower.map(|line| match line.split_once(':') {
        Some((name, value)) => format!("{}: \t {value} \t", name.to_uppercase()),
        None => line,
    });
    accepted("upper case, much white space", &head(&upper.each_ref().map(String::as_str)));
    accepted("a list", &with("Connection", "Connection: keep-alive, Upgrade"));
    accepted("a list in lines", &with("Connection", "Connection: keep-alive\r\nConnection: ,upgrade"));
    accepted("any case of a token", &with("Upgrade", "Upgrade: WEBSOCKET"));
}

#[test]
fn frames_behind_the_head_are_left_over() {
    let head = and(&[]);
    let frames = b"\x81\x85\0\0\0\0hello\r\n\r\nGET";
    let wire = [&head[..], frames].concat();
    accepted("frames in the same segment", &wire);
    let (_, used) = answer_to("frames in the same segment", &wire).unwrap();
    assert_eq!(&wire[used..], frames);
}

#[test]
fn an_unfinished_head_has_no_answer() {
    let wire = and(&[]);
    assert_eq!(answer_to("without its last byte", &wire[..wire.len() - 1]), None);
}

#[test]
fn targets() {
    for (target, expect) in [
        ("/chat", "/chat None"),
        ("/chat?room=a%20b&x", "/chat Some(\"room=a%20b&x\")"),
        ("/%E4%00%zz", "/%E4%00%zz None"),
        ("http://server.example.com/chat?a", "/chat Some(\"a\")"),
        ("http://server.example.com", "/ None"),
    ] {
        let rest = accepted(target, &with("GET", &format!("GET {target} HTTP/1.1")));
        assert_eq!(rest, format!("X-Target: {expect}\r\n\r\n"), "{target}");
    }
}

#[test]
fn methods_other_than_get() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get", "GETX"] {
        let response = refused(method, &with("GET", &format!("{method} /chat HTTP/1.1")), 405);
        assert!(response.contains("\r\nAllow: GET\r\n"), "{response}");
    }
    for (rule, wire) in [
        ("a page", "POST / HTTP/1.1\r\nHost: localhost:9001\r\n\r\n"),
        ("before a missing Host and a body", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"),
        ("before a target of another method", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        ("HTTP/1.0", "POST / HTTP/1.0\r\n\r\n"),
    ] {
        let response = refused(rule, wire.as_bytes(), 405);
        assert!(response.contains("\r\nAllow: GET, HEAD\r\n"), "{response}");
    }
}

#[test]
fn head_gets_what_get_gets_without_the_content() {
    for (rule, lines) in [
        ("a page", &["GET / HTTP/1.1", "Host: localhost:9001"][..]),
        ("over HTTP/1.0", &["GET / HTTP/1.0"]),
        ("no page", &["GET /none HTTP/1.1", "Host: localhost:9001"]),
        ("no host", &["GET / HTTP/1.1"]),
        ("another host", &["GET / HTTP/1.1", "Host: a"]),
        ("a body", &["GET / HTTP/1.1", "Host: localhost:9001", "Content-Length: 3"]),
        ("a bad line", &["GET / HTTP/1.1", "X"]),
        ("an error within the head", &["GET / HTTP/1.1", "X: \x01"]),
    ] {
        let get = head(lines);
        let head = [b"HEAD".as_slice(), &get[3..]].concat();
        let [get, head] = [get, head].map(|wire| answer_to(rule, &wire).unwrap().0);
        let get_head_len = get.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        assert!(get.len() > get_head_len, "{rule}: there is content");
        assert_eq!(String::from_utf8(head), String::from_utf8(get[..get_head_len].to_vec()), "{rule}");
    }
    let (response, _) = answer_to("HEAD", &with("GET", "HEAD / HTTP/1.1")).unwrap();
    let expect = "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nAllow: GET\r\n\
        Connection: close\r\nContent-Length: 36\r\n\r\n";
    assert_eq!(String::from_utf8(response).unwrap(), expect, "a handshake is a GET");
}

#[test]
fn options_gets_the_methods_of_a_page() {
    for lines in [
        &["OPTIONS / HTTP/1.0"][..],
        &["OPTIONS / HTTP/1.1", "Host: localhost:9001"],
        &["OPTIONS * HTTP/1.1", "Host: localhost:9001"],
        &["OPTIONS /none HTTP/1.1", "Host: localhost:9001", "Upgrade: h2c"],
    ] {
        let (response, _) = answer_to("OPTIONS", &head(lines)).unwrap();
        let expect = "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(response).unwrap(), expect, "{lines:?}");
    }
}

#[test]
fn versions_of_http() {
    accepted("a later minor version", &with("GET", "GET /chat HTTP/1.2"));
    refused("a handshake over 1.0", &with("GET", "GET /chat HTTP/1.0"), 400);
    refused("none", &with("GET", "GET /chat"), 400);
    refused("no version", &with("GET", "GET /chat FTP/1.1"), 400);
    refused("2.0", &with("GET", "GET /chat HTTP/2.0"), 505);
    refused("0.9", &with("GET", "GET /chat HTTP/0.9"), 505);
}

#[test]
fn what_is_no_http_1() {
    refused("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0", 400);
    refused("a TLS hello", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 400);
    refused("garbage", b"\xde\xad\xbe\xef", 400);
    refused("a NUL", b"\0", 400);
    refused("a text", b"{\"jsonrpc\": \"2.0\"}\n", 400);
}

#[test]
fn plain_page_requests() {
    let (page, _) =
        answer_to("a page", &head(&["GET / HTTP/1.1", "Host: localhost:9001", "Accept: */*"])).unwrap();
    assert!(page.starts_with(b"HTTP/1.1 200 OK\r\n") && page.ends_with(b"\r\n\r\n<p>the page"));
    for (rule, lines) in [
        ("HTTP/1.0", &["GET / HTTP/1.0"][..]),
        ("HTTP/1.0 with a host", &["GET / HTTP/1.0", "Host: localhost:9001"]),
        (
            "an offer of h2c",
            &[
                "GET / HTTP/1.1",
                "Host: localhost:9001",
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
            ],
        ),
        ("an offer of TLS", &["GET / HTTP/1.1", "Host: localhost:9001", "Upgrade: TLS/1.2, HTTP/2.0"]),
        ("a length of 0", &["GET / HTTP/1.1", "Host: localhost:9001", "Content-Length: 0"]),
    ] {
        assert_eq!(answer_to(rule, &head(lines)).unwrap().0, page, "{rule}");
    }
    let response = refused("no page", &head(&["GET /none HTTP/1.1", "Host: localhost:9001"]), 426);
    assert!(response.contains("\r\nUpgrade: websocket\r\n"), "{response}");
}

#[test]
fn parts_of_a_handshake_are_never_a_page() {
    for (field, status) in [
        ("Upgrade: websocket", 400),
        ("Upgrade: h2c, websocket", 400),
        ("Upgrade: h2c\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400),
        ("Sec-WebSocket-Version: 13", 400),
        ("Sec-WebSocket-Version: 8", 400),
        ("Sec-WebSocket-Protocol: chat", 400),
        ("Sec-WebSocket-Extensions: x", 400),
        ("Upgrade: websocket\r\nConnection: Upgrade", 426),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13", 400),
    ] {
        refused(field, &head(&["GET / HTTP/1.1", "Host: localhost:9001", field]), status);
    }
    for line in &LINES[2..] {
        let name = line.split(':').next().unwrap();
        let status = if name == "Sec-WebSocket-Version" { 426 } else { 400 };
        refused(name, &with(name, ""), status);
    }
}

#[test]
fn words_that_are_part_of_a_token() {
    for line in ["Connection: Upgraded", "Connection: keep-alive Upgrade", "Connection: x-upgrade"] {
        refused(line, &with("Connection", line), 400);
    }
    for line in
        ["Upgrade: websockets", "Upgrade: web socket", "Upgrade: websocket/13", "Upgrade: \"websocket\""]
    {
        refused(line, &with("Upgrade", line), 400);
    }
}

#[test]
fn versions_of_the_protocol() {
    for value in ["", "8", "12", "14", "013", "+13", "13.0", "13 13", "0x0d", "13, 13", "13,8", "113", "١٣"]
    {
        let response =
            refused(value, &with("Sec-WebSocket-Version", &format!("Sec-WebSocket-Version: {value}")), 426);
        assert!(response.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{response}");
        assert!(response.contains("\r\nUpgrade: websocket\r\n"), "{response}");
    }
    refused("missing", &with("Sec-WebSocket-Version", ""), 426);
    refused("repeated", &and(&["Sec-WebSocket-Version: 13"]), 400);
    refused("repeated, with another", &and(&["sec-websocket-version: 8"]), 400);
}

#[test]
fn keys() {
    let wire = with("Sec-WebSocket-Key", "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==");
    let (response, _) = answer_to("the example of RFC 6455 §4.1", &wire).unwrap();
    assert!(response.starts_with(b"HTTP/1.1 101 "));
    refused("missing", &with("Sec-WebSocket-Key", ""), 400);
    refused("repeated", &and(&[LINES[4]]), 400);
    for key in ["", "short", "AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA=", "!!!!!!!!!!!!!!!!!!!!!!=="] {
        refused(key, &with("Sec-WebSocket-Key", &format!("Sec-WebSocket-Key: {key}")), 400);
    }
}

#[test]
fn hosts() {
    refused("missing", &with("Host", ""), 400);
    refused("repeated", &and(&["Host: server.example.com"]), 400);
    for host in ["", "a b", "a/b", "user@a", "a:b", "a:65536", "[::1", "::1", "a,b/c", "ä", "a%zz"] {
        refused(host, &with("Host", &format!("Host: {host}")), 400);
    }
    accepted("ours", &with("Host", "Host: [::1]:9001"));
    refused("not ours", &with("Host", "Host: rebound.example"), 403);
    refused("not our port", &with("Host", "Host: localhost:9002"), 403);
}

#[test]
fn bytes_outside_the_grammar() {
    for (rule, line) in [
        ("a bare CR", "X: a\rb"),
        ("a bare LF", "X: a\nY: b"),
        ("NUL", "X: a\0b"),
        ("NUL in a name", "X\0: a"),
        ("another control", "X: a\x01b"),
        ("a folded line", "X: a\r\n b"),
        ("a line folded with a tab", "X: a\r\n\tb"),
        ("white space before a colon", "X : a"),
        ("a tab before a colon", "X\t: a"),
        ("no colon", "X"),
        ("no name", ": a"),
        ("a name that is no token", "X/Y: a"),
    ] {
        refused(rule, &and(&[line]), 400);
    }
    for line in [
        "GET  /chat HTTP/1.1",
        "GET\t/chat HTTP/1.1",
        "GET /chat HTTP/1.1 ",
        " GET /chat HTTP/1.1",
        "GET / x HTTP/1.1",
    ] {
        refused(line, &with("GET", line), 400);
    }
    for target in ["chat", "*", "/ä", "/#", "ftp://a/", "http://", "a:80"] {
        refused(target, &with("GET", &format!("GET {target} HTTP/1.1")), 400);
    }
}

#[test]
fn bodies() {
    accepted("no body", &and(&["Content-Length: 0"]));
    refused("a length", &and(&["Content-Length: 5"]), 400);
    refused("no number", &and(&["Content-Length: x"]), 400);
    refused("two lengths", &and(&["Content-Length: 0", "Content-Length: 5"]), 400);
    refused("a coding", &and(&["Transfer-Encoding: chunked"]), 400);
    refused("a coding, with a length", &and(&["Content-Length: 0", "Transfer-Encoding: chunked"]), 400);
    refused("a coding, before a length", &and(&["Transfer-Encoding: chunked", "Content-Length: 0"]), 400);
    refused("a coding that is none", &and(&["Transfer-Encoding: identity"]), 400);
    refused("a coding in disguise", &and(&["Transfer-Encoding: xchunked"]), 400);
    refused("a coding after a blank", &and(&["Transfer-Encoding : chunked"]), 400);
    refused("a coding in a folded line", &and(&["X: a\r\n Transfer-Encoding: chunked"]), 400);
    refused("a coding behind a bare LF", &and(&["X: a\nTransfer-Encoding: chunked"]), 400);
    refused("two lengths in one field", &and(&["Content-Length: 0, 5"]), 400);
    for length in
        ["-1", "+0", "-0", "00", "0x0", "0.0", "1e1", "18446744073709551616", "99999999999999999999", ""]
    {
        refused(length, &and(&[&format!("Content-Length: {length}")]), 400);
    }
    refused(
        "of a page request",
        &head(&["GET / HTTP/1.1", "Host: localhost:9001", "Content-Length: 5"]),
        400,
    );
}

#[test]
fn limits() {
    let room = MAX_REQUEST_LEN - and(&["X: "]).len();
    accepted("the longest head", &and(&[&format!("X: {}", "x".repeat(room))]));
    refused("a byte more", &and(&[&format!("X: {}", "x".repeat(room + 1))]), 431);
    let endless = [b"GET /".as_slice(), &[b'x'; MAX_REQUEST_LEN]].concat();
    refused("no end", &endless, 431);
    assert_eq!(answer_to("not yet", &endless[..MAX_REQUEST_LEN - 1]), None);

    let fields = MAX_HEADERS - (LINES.len() - 1);
    accepted("as many fields as may be", &and(&vec!["X: a"; fields]));
    refused("one field more", &and(&vec!["X: a"; fields + 1]), 431);
}

#[test]
fn origins() {
    accepted("none: no browser", &and(&[]));
    accepted("allowed", &and(&["Origin: https://app.example.com"]));
    for origin in
        ["https://evil.example", "null", "", "http://example.com.evil.example", "https://example.com"]
    {
        refused(origin, &and(&[&format!("Origin: {origin}")]), 403);
    }
    refused("repeated", &and(&["Origin: http://example.com", "Origin: https://evil.example"]), 400);
}

#[test]
fn subprotocols() {
    for (offers, expect) in [
        (&["Sec-WebSocket-Protocol: chat, superchat"][..], "Sec-WebSocket-Protocol: superchat\r\n"),
        (
            &["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"],
            "Sec-WebSocket-Protocol: superchat\r\n",
        ),
        (&["Sec-WebSocket-Protocol: soap,chat"], "Sec-WebSocket-Protocol: chat\r\n"),
        (&["Sec-WebSocket-Protocol: soap"], ""),
        (&["Sec-WebSocket-Protocol: CHAT"], ""),
    ] {
        assert_eq!(accepted(offers[0], &and(offers)), format!("{expect}X-Target: /chat None\r\n\r\n"));
    }
    for line in ["Sec-WebSocket-Protocol: ", "Sec-WebSocket-Protocol: a b", "Sec-WebSocket-Protocol: a, a"] {
        refused(line, &and(&[line]), 400);
    }
}

#[test]
fn extensions() {
    for line in [
        "Sec-WebSocket-Extensions: x-unknown",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99, x; y=\"z\"",
    ] {
        let rest = accepted(line, &and(&[line]));
        assert!(!rest.contains("Extensions"), "it is declined: {rest}");
    }
    for value in ["", ";", "a;", "a; =b", "a; b=", "a; b=\"", "a; b=\"\"", "a; b=\"c d\"", "a b", "a/b"] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        refused(&line, &and(&[&line]), 400);
    }
}

#[test]
fn empty_lines_before_the_request_line() {
    accepted("one", &[b"\r\n", &and(&[])[..]].concat());
    refused("two", &[b"\r\n\r\n", &and(&[])[..]].concat(), 400);
    refused("one that is a bare LF", &[b"\n", &and(&[])[..]].concat(), 400);
}

#[test]
fn a_refusal_repeats_nothing() {
    for (rule, wire) in [
        ("a target", with("GET", "GET <script> HTTP/1.1")),
        ("a method", with("GET", "<script> / HTTP/1.1")),
        ("a host", with("Host", "Host: <script>")),
        ("a version", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: <script>")),
        ("an origin", and(&["Origin: <script>"])),
        ("a subprotocol", and(&["Sec-WebSocket-Protocol: <script>"])),
    ] {
        let (response, _) = answer_to(rule, &wire).unwrap();
        assert!(!String::from_utf8(response).unwrap().contains("script"), "{rule}");
    }
}

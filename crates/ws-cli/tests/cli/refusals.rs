//! The log lines of those that are not let in.

use crate::support::{Server, upgrade_request};
use serde_json::{Value, json};
use std::io::Write;

#[test]
fn each_refusal_is_one_line() {
    let mut server = Server::start(&["--host", "localhost, a.example", "--origin", "https://a.example"]);
    let browser = "Origin: https://evil.example\r\nUser-Agent: Firefox\r\n";
    let rows = [
        (
            upgrade_request(browser).replace("/chat", "/chat?token=secret"),
            "reason=origin status=403 detail=\"the origin https://evil.example is not allowed, only https://a.example\" \
             host=\"localhost\" origin=\"https://evil.example\" path=\"/chat\" user_agent=\"Firefox\"",
        ),
        (
            upgrade_request("").replace("Host: localhost", "Host: 10.1.2.3:9999"),
            "reason=host status=403 detail=\"the host 10.1.2.3:9999 is not served here, only localhost, a.example\" \
             host=\"10.1.2.3:9999\" path=\"/chat\"",
        ),
        (
            upgrade_request("").replace("Sec-WebSocket-Key", "X"),
            "reason=malformed status=400 detail=\"the Sec-WebSocket-Key header field is missing\" host=\"localhost\" \
             path=\"/chat\"",
        ),
        (
            upgrade_request("User-Agent: \x1b[31m\u{202e}\r\n"),
            "reason=malformed status=400 detail=\"control characters are not allowed in a head\" host=\"localhost\" \
             path=\"/chat\" user_agent=\"\\u001b[31m\\u202e\"",
        ),
        (
            "\x16\x03\x01\x02\0\x01\0\x01".to_owned(),
            "reason=tls status=400 detail=\"this is a TLS handshake, and this port speaks plain HTTP: use ws:// or http://\"",
        ),
    ];
    for (request, expect) in rows {
        let mut stream = server.connect();
        let address = stream.local_addr().unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let line = server.next_line();
        let (_, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest, format!("refused address={address} {expect}"));
    }
    let client = server.open();
    let line = server.next_line();
    assert!(
        line.contains(&format!(" open  address={}", client.addr())),
        "no second line for a refusal: {line}"
    );
}

#[test]
fn the_same_for_programs() {
    let mut server = Server::start(&["--log-format", "json", "--max-connections", "1"]);
    let _open = server.open();
    server.lines_until(|line| line.contains("\"open\""));
    let response = server.http(&upgrade_request("User-Agent: a\"b\r\n"));
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    let silent = server.connect();
    let mut lines = server.lines_until(|line| line.contains("\"status\":null"));
    let silent_line: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let mut refused: Value = serde_json::from_str(line).unwrap();
    for key in ["time", "address"] {
        assert!(refused.as_object_mut().unwrap().remove(key).unwrap().is_string(), "{line}");
    }
    let expect = json!({
        "event": "refused", "reason": "max_connections", "status": 503,
        "detail": "the server has no room for another connection",
        "host": "localhost", "origin": null, "path": "/chat", "user_agent": "a\"b",
    });
    assert_eq!(refused, expect);
    assert_eq!(silent_line["address"], json!(silent.local_addr().unwrap().to_string()));
    assert_eq!((&silent_line["reason"], &silent_line["path"]), (&json!("timeout"), &Value::Null));
}

#[test]
fn pages_and_sockets_that_say_nothing_and_go_leave_no_line() {
    let mut server = Server::start(&[]);
    for request in
        ["GET /healthz HTTP/1.0\r\n\r\n", "OPTIONS / HTTP/1.0\r\n\r\n", "GET /none HTTP/1.0\r\n\r\n"]
    {
        server.http(request);
    }
    drop(server.connect());
    server.open();
    let line = server.next_line();
    assert!(line.contains(" open  "), "{line}");
}

//! Runs the example as a user does.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Runs `answer_request` with this on standard input: what it says, and its exit code.
fn answer_request(stdin: &[u8]) -> (String, Option<i32>) {
    let mut example = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--package", "ws-handshake", "--example", "answer_request"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    example.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = example.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn answer_request_answers() {
    let (response, code) = answer_request(
        b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Protocol: chat\r\n\r\n",
    );
    assert_eq!(
        response,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
    assert_eq!(code, Some(0));

    let (response, code) = answer_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{response}");
    assert_eq!(code, Some(1));

    assert_eq!(answer_request(b"GET / HTTP/1.1\r\n"), (String::new(), Some(2)));
}

//! The program as an echo: where it listens, what it accepts, what it sends back.

use crate::support::{Client, Frame, Server, shell, upgrade_request};
use std::{
    io::{Read, Write},
    net::TcpListener,
};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

#[test]
fn it_tells_where_it_listens() {
    let server = Server::start(&[]);
    let port = server.port;
    assert_eq!(
        server.announcement,
        format!("ws-cli listening on ws://localhost:{port} (console: http://localhost:{port})")
    );
}

#[test]
fn messages_come_back_as_they_are() {
    let server = Server::start(&[]);
    let mut client = server.open();
    let long: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    for (first_byte, payload) in [
        (TEXT, "I have high ground".as_bytes()),
        (TEXT, "Grüße, 世界 👋".as_bytes()),
        (TEXT, b""),
        (BINARY, b"\x00\xff\x80"),
        (BINARY, b""),
        (BINARY, &long[..125]),
        (BINARY, &long[..126]),
        (BINARY, &long[..65_536]),
        (BINARY, &long),
    ] {
        client.send(first_byte, payload);
        let frame = client.receive();
        assert_eq!((frame.first_byte, frame.payload.len()), (first_byte, payload.len()));
        assert!(frame.payload == payload, "{} bytes changed on their way", payload.len());
    }
}

#[test]
fn fragments_come_back_as_one_message() {
    let server = Server::start(&[]);
    let mut client = server.open();
    client.send(0x01, b"I have ");
    client.send(0x00, b"high ");
    client.send(0x80, b"ground");
    assert_eq!(client.receive(), Frame { first_byte: TEXT, payload: b"I have high ground".to_vec() });
}

#[test]
fn a_close_is_answered() {
    let server = Server::start(&[]);
    let mut client = server.open();
    client.send(CLOSE, b"\x03\xe8bye");
    let frame = client.receive();
    assert_eq!((frame.first_byte, &frame.payload[..2]), (CLOSE, &b"\x03\xe8"[..]));
    assert!(client.ends());
}

#[test]
fn localhost_is_both_loopback_addresses() {
    let server = Server::start(&[]);
    let mut ips = vec!["127.0.0.1"];
    if TcpListener::bind("[::1]:0").is_ok() {
        ips.push("::1");
    }
    for ip in ips {
        let mut client = Client::open(server.connect_to(ip), "");
        client.send(TEXT, ip.as_bytes());
        assert_eq!(client.receive().payload, ip.as_bytes());
    }
}

// Elsewhere, 127.0.0.1 may be the only address of its network that the machine has.
#[cfg(target_os = "linux")]
#[test]
fn it_listens_where_it_is_told_to() {
    for flags in [&["--bind", "127.0.0.2,127.0.0.3"][..], &["--bind", "127.0.0.2", "--bind", "127.0.0.3"]] {
        let server = Server::start(flags);
        let port = server.port;
        assert_eq!(
            server.announcement,
            format!(
                "ws-cli listening on ws://127.0.0.2:{port}, ws://127.0.0.3:{port} (console: http://127.0.0.2:{port})"
            )
        );
        server.connect_to("127.0.0.2");
        server.connect_to("127.0.0.3");
    }
}

#[test]
fn the_unspecified_addresses_are_those_of_this_machine() {
    for (bind, ips) in [("0.0.0.0", &["127.0.0.1"][..]), ("::", &["127.0.0.1", "::1"])] {
        if TcpListener::bind((bind, 0)).is_err() {
            println!("not checked: this machine has no {bind}");
            continue;
        }
        let server = Server::start(&["--bind", bind]);
        let (port, announcement) = (server.port, &server.announcement);
        assert!(
            announcement.starts_with(&format!("ws-cli listening on ws://localhost:{port}")),
            "{announcement}"
        );
        assert!(announcement.ends_with(&format!(" (console: http://localhost:{port})")), "{announcement}");
        assert!(!announcement.contains("//0.0.0.0:") && !announcement.contains("//[::]:"), "{announcement}");
        for ip in ips {
            let mut client = Client::open(server.connect_to(ip), "");
            client.send(TEXT, ip.as_bytes());
            assert_eq!(client.receive().payload, ip.as_bytes(), "{bind}");
        }
    }
}

#[test]
fn clients_of_every_kind_may_be_listed() {
    let origins =
        "https://example.com, moz-extension://*, chrome-extension://abcdefghijklmnop, file://, null";
    let server = Server::start(&["--origin", origins]);
    for (origin, expect) in [
        ("moz-extension://00112233-4455-6677-8899-aabbccddeeff", "101"),
        ("chrome-extension://abcdefghijklmnop", "101"),
        ("chrome-extension://ponmlkjihgfedcba", "403"),
        ("file://", "101"),
        ("null", "101"),
        ("https://example.com", "101"),
        ("https://example.org", "403"),
    ] {
        let mut stream = server.connect();
        stream.write_all(upgrade_request(&format!("Origin: {origin}\r\n")).as_bytes()).unwrap();
        let mut response = [0; 12];
        stream.read_exact(&mut response).unwrap();
        assert_eq!(response, format!("HTTP/1.1 {expect}").as_bytes(), "{origin}");
    }
}

#[test]
fn the_first_subprotocol_of_the_client_is_accepted() {
    let server = Server::start(&[]);
    let client = Client::open(server.connect(), "Sec-WebSocket-Protocol: chat, superchat\r\n");
    assert!(client.response.contains("\r\nSec-WebSocket-Protocol: chat\r\n"), "{}", client.response);
    assert!(!server.open().response.contains("Sec-WebSocket-Protocol"));
}

#[test]
fn pages_may_connect_from_anywhere_unless_told_otherwise() {
    const FOREIGN: &str = "Origin: https://example.com\r\n";
    Client::open(Server::start(&[]).connect(), FOREIGN);
    for (flags, expect) in [
        (&["--origin", "same-origin"][..], "HTTP/1.1 403 "),
        (&["--origin", "http://localhost:*,https://example.org"], "HTTP/1.1 403 "),
        (&["--host", "example.com"], "HTTP/1.1 403 "),
        (&["--origin", "moz-extension://*"], "HTTP/1.1 403 "),
    ] {
        let response = Server::start(flags).http(&upgrade_request(FOREIGN));
        assert!(response.starts_with(expect), "{flags:?}: {response}");
    }
}

#[test]
fn flags_reach_the_server() {
    let server = Server::start(&["--max-message-size", "4B", "--max-headers", "5"]);
    let mut client = server.open();
    client.send(TEXT, b"four");
    assert_eq!(client.receive().payload, b"four");
    client.send(TEXT, b"fives");
    assert_eq!((client.receive().first_byte, client.ends()), (CLOSE, true));

    let response = server.http(&upgrade_request("A-Sixth: 1\r\n"));
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
}

#[test]
fn broken_handshakes_are_refused() {
    let server = Server::start(&[]);
    let good = upgrade_request("");
    for (rule, request, status) in [
        ("no version", good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("an old version", good.replace(": 13", ": 8"), 426),
        ("no key", good.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400),
        ("a bad key", good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        ("no host", good.replace("Host: localhost\r\n", ""), 400),
        ("no upgrade", good.replace("Upgrade: websocket\r\n", ""), 400),
        ("not GET", good.replace("GET", "POST"), 405),
        ("not HTTP", "hello\r\n\r\n".to_owned(), 400),
    ] {
        let response = server.http(&request);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{rule}: {response}");
    }
    assert!(server.open().response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn a_client_that_breaks_the_rules_disturbs_no_other() {
    let server = Server::start(&["--workers", "1"]);
    let (mut good, mut bad) = (server.open(), server.open());
    bad.send(0x83, b"");
    let close = bad.receive();
    assert_eq!((close.first_byte, &close.payload[..2]), (CLOSE, &1002_u16.to_be_bytes()[..]));
    assert!(bad.ends());
    server.connect().write_all(b"\x16\x03\x01").unwrap();
    good.send(TEXT, b"still here");
    assert_eq!(good.receive().payload, b"still here");
}

#[cfg(target_os = "linux")]
#[test]
fn it_takes_all_the_open_files_it_may_have() {
    let server = Server::spawn(&mut shell("ulimit -S -n 64 && exec \"$0\" --port 0"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let (soft, hard) = limit.trim().split_once(' ').unwrap();
    assert!(hard.trim_start().starts_with(&format!("{soft} ")), "{limit}");
}

//! Plain HTTP: what monitors, proxies and browsers send, and get.

use crate::support::{Client, Server, connect, http, port, upgrade_request};
use std::{
    io::{Read, Write},
    net::SocketAddr,
};

/// A server that also serves metrics, and the addresses of both.
struct Listening {
    server: Server,
    addr: SocketAddr,
    metrics: SocketAddr,
}

impl Listening {
    fn start(flags: &[&str]) -> Self {
        let mut server = Server::start(&[&["--metrics", "127.0.0.1:0"], flags].concat());
        let [addr, metrics] =
            [server.port, port(&server.next_line())].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        Self { server, addr, metrics }
    }
}

/// Asks, and takes the response apart into its head and its content.
fn ask(addr: SocketAddr, request: &str) -> (String, String) {
    let response = http(connect(addr), request);
    let (head, content) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request}: {response}"));
    (head.to_owned(), content.to_owned())
}

#[track_caller]
fn has_status(addr: SocketAddr, request: &str, status: u16) -> String {
    let (head, _) = ask(addr, request);
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
    head
}

#[test]
fn every_page_is_served_as_an_http_server_does() {
    let it = Listening::start(&[]);
    let pages =
        ["/", "/console.css", "/console.js", "/healthz", "/readyz", "/none"].map(|path| (it.addr, path));
    let metrics =
        [(it.metrics, "/metrics"), (it.metrics, "/healthz"), (it.metrics, "/readyz"), (it.metrics, "/none")];
    for (addr, path) in pages.into_iter().chain(metrics) {
        let (get, content) = ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(
            get.starts_with(if path == "/none" { "HTTP/1.1 404 " } else { "HTTP/1.1 200 " }),
            "{path}: {get}"
        );
        for field in ["Date: ", "Connection: close", "Content-Type: "] {
            assert!(get.lines().any(|line| line.starts_with(field)), "{path}: {field}: {get}");
        }
        let len = get.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(len, content.len().to_string());
        let status = &get[..get.find("\r\n").unwrap()];
        for request in [
            format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            format!("HEAD {path} HTTP/1.0\r\n\r\n"),
        ] {
            let (head, content) = ask(addr, &request);
            assert_eq!(content, "", "{request}");
            let fields =
                |head: &str| head.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect();
            let (head_fields, get_fields): (Vec<_>, Vec<_>) = (fields(&head), fields(&get));
            assert_eq!(head_fields, get_fields, "{request}");
            // The metrics have counted something since.
            assert!(path == "/metrics" || head.ends_with(&format!("Content-Length: {len}")), "{head}");
        }
        for request in [
            format!("GET {path} HTTP/1.0\r\n\r\n"),
            format!("GET {path} HTTP/1.0\r\nHost: upstream\r\nConnection: close\r\n\r\n"),
            format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                 HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
            ),
        ] {
            let (head, content) = ask(addr, &request);
            assert!(head.starts_with(status) && !content.is_empty(), "{request}: {head}");
        }
        for request in [
            format!("OPTIONS {path} HTTP/1.0\r\n\r\n"),
            "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        ] {
            let head = has_status(addr, &request, 204);
            assert!(head.contains("\r\nAllow: GET, HEAD\r\n") && head.contains("\r\nDate: "), "{head}");
        }
        for request in [
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
            format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"),
        ] {
            let head = has_status(addr, &request, 405);
            assert!(head.contains("\r\nAllow: GET, HEAD\r\n"), "{head}");
        }
    }
}

#[test]
fn a_probe_reaches_a_full_server_with_a_host_list() {
    let it = Listening::start(&["--max-connections", "1", "--host", "localhost", "--log-format", "off"]);
    let _open = it.server.open();
    let _silent: Vec<_> = (0..40).map(|_| connect(it.addr)).collect();
    for addr in [it.addr, it.metrics] {
        for path in ["/healthz", "/readyz"] {
            has_status(addr, &format!("GET {path} HTTP/1.1\r\nHost: 10.1.2.3:9999\r\n\r\n"), 200);
        }
    }
    has_status(it.addr, "GET / HTTP/1.1\r\nHost: 10.1.2.3:9999\r\n\r\n", 403);
    has_status(it.addr, &upgrade_request(""), 503);
}

#[test]
fn silent_and_slow_sockets_do_not_hold_up_the_metrics() {
    let it = Listening::start(&["--log-format", "off"]);
    let silent: Vec<_> = (0..200).map(|_| connect(it.metrics)).collect();
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for path in ["/metrics", "/healthz", "/readyz"] {
        has_status(it.metrics, &get(path), 200);
    }
    for mut socket in silent {
        let mut answer = String::new();
        // A reset is an end, too.
        let _ = socket.read_to_string(&mut answer);
        assert_eq!(answer, "", "closed without a response");
    }
    let mut unread: Vec<_> = (0..200).map(|_| connect(it.metrics)).collect();
    for socket in &mut unread {
        // The socket may have given way to a later one.
        let _ = socket.write_all(get("/metrics").as_bytes());
    }
    has_status(it.metrics, &get("/healthz"), 200);
}

#[test]
fn while_the_server_drains_it_is_alive_and_not_ready() {
    let it = Listening::start(&["--max-connections", "2", "--host", "localhost", "--log-format", "off"]);
    let (mut first, mut second) = (it.server.open(), it.server.open());
    it.server.signal("TERM");
    for client in [&mut first, &mut second] {
        assert_eq!(client.receive().first_byte, 0x88);
    }
    for addr in [it.addr, it.metrics] {
        has_status(addr, "GET /healthz HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n", 200);
        has_status(addr, "GET /readyz HTTP/1.0\r\n\r\n", 503);
    }
    has_status(it.addr, &upgrade_request(""), 503);
    let ends = |client: &mut Client| {
        client.send(0x88, b"\x03\xe9");
        client.ends()
    };
    assert!(ends(&mut first) && ends(&mut second));
    drop((first, second));
    assert_eq!(it.server.end().0, Some(0));
}

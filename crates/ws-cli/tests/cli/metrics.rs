//! The listener for whoever watches.

use crate::support::{Ended, Server, connect, http, port, run, upgrade_request, ws_cli};
use std::net::{SocketAddr, TcpListener};

const METRICS: [&str; 2] = ["--metrics", "127.0.0.1:0"];

/// Starts a server, and gives the address of its metrics.
fn start(flags: &[&str]) -> (Server, SocketAddr) {
    let mut server = Server::start(&[&METRICS, flags].concat());
    let line = server.next_line();
    let port = port(&line);
    assert_eq!(line, format!("ws-cli tells its metrics at http://127.0.0.1:{port}/metrics"));
    (server, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn every_notation_of_an_address() {
    for (metrics, url) in [("localhost:0", "http://localhost:"), (":0", "http://localhost:")] {
        let mut server = Server::start(&["--metrics", metrics]);
        let line = server.next_line();
        assert!(line.starts_with(&format!("ws-cli tells its metrics at {url}")), "{metrics}: {line}");
        let response = get(SocketAddr::from(([127, 0, 0, 1], port(&line))), "/metrics");
        assert!(response.starts_with("HTTP/1.1 200 "), "{metrics}: {response}");
    }
}

#[test]
fn a_proxy_asks_for_the_name_that_it_has_for_this_machine() {
    let (_server, metrics) = start(&[]);
    let response = http(connect(metrics), "GET /metrics HTTP/1.1\r\nHost: upstream\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[test]
fn the_port_of_the_server_is_no_other_programs() {
    // Whoever takes this port in the meantime has it for a moment only.
    let stderr = (0..10).map(|_| {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let flags = format!("--port {port} --metrics :{port}");
        let Ended { code, stderr, .. } = run(&mut ws_cli(&flags.split(' ').collect::<Vec<_>>()));
        assert_eq!(code, Some(1), "{stderr}");
        stderr
    });
    let mut others = Vec::new();
    for stderr in stderr {
        if stderr.contains(": ws-cli itself uses this port, for --port (try another port in --metrics)\n") {
            return;
        }
        others.push(stderr);
    }
    panic!("{others:?}");
}

fn get(addr: SocketAddr, path: &str) -> String {
    http(connect(addr), &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

#[test]
fn the_counters_of_the_server() {
    let (server, metrics) = start(&[]);
    let mut client = server.open();
    client.send(0x81, b"hello");
    client.receive();
    let response = get(metrics, "/metrics");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    for line in [
        "ws_connections_accepted_total 1",
        "ws_connections_open 1",
        "ws_messages_received_total 1",
        "ws_messages_sent_total 1",
        "ws_handshakes_total{status=\"101\"} 1",
    ] {
        assert!(body.lines().any(|it| it == line), "{line}: {body}");
    }

    client.send(0x88, b"\x03\xe8");
    client.receive();
    // It is counted when its queue is written, before its stream is ended.
    assert!(client.ends());
    let body = get(metrics, "/metrics?ignored=1");
    for line in ["ws_connections_open 0", "ws_connections_closed_total{code=\"1000\"} 1"] {
        assert!(body.lines().any(|it| it == line), "{line}: {body}");
    }
}

#[test]
fn probes_and_nothing_else() {
    let (server, metrics) = start(&[]);
    for (path, expect) in [("/healthz", 200), ("/readyz", 200), ("/", 404), ("/metrics/", 404)] {
        let response = get(metrics, path);
        assert!(response.starts_with(&format!("HTTP/1.1 {expect} ")), "{path}: {response}");
    }
    let response = http(connect(metrics), &upgrade_request(""));
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    let response = server.http("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
}

#[test]
fn it_answers_as_long_as_the_server_shuts_down_and_ends_with_it() {
    let (server, metrics) = start(&["--drain-window", "1ms", "--log-format", "off"]);
    let mut client = server.open();
    server.signal("TERM");
    let close = client.receive();
    for (path, expect) in [("/healthz", 200), ("/readyz", 503), ("/metrics", 200)] {
        let response = get(metrics, path);
        assert!(response.starts_with(&format!("HTTP/1.1 {expect} ")), "{path}: {response}");
    }
    client.send(0x88, &close.payload);
    assert!(client.ends());
    drop(client);
    assert_eq!(server.end().0, Some(0));
    TcpListener::bind(metrics).expect("the port is free again");
}

#[test]
fn a_taken_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let Ended { code, stdout, stderr } = run(&mut ws_cli(&["--port", "0", "--metrics", &addr]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(
        stderr,
        format!(
            "ws-cli: cannot listen on {addr}: the port is taken by another program (try another port in --metrics)\n"
        )
    );
}

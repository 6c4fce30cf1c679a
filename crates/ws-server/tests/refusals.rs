//! What the handler is told of those that are not let in: each once, by its reason.

mod common;

use common::{REQUEST, World, config};
use std::time::Duration;
use ws_server::{Accepted, Command, Handler, Message, Peer, PeerInfo, Refusal, Request, Response, Upgrade};

/// Writes down the refusals.
#[derive(Default)]
struct Watcher(Vec<String>);

impl Handler for Watcher {
    type Session = ();

    fn on_request(&mut self, upgrade: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<()>, Response> {
        match upgrade.request().path() {
            "/refused" => Err(Response::text(401, "who are you?\n")),
            "/panic" => panic!("asked for"),
            "/bad" => Ok(Accepted::new(()).with_subprotocol(Some("never offered"))),
            _ => Ok(Accepted::new(())),
        }
    }

    fn on_http(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        (request.path() == "/page").then(|| Response::text(200, "a page\n"))
    }

    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        let Refusal { reason, status, detail, host, origin, path, user_agent, .. } = *refusal;
        assert_eq!(refusal.addr, common::client_addr().into());
        let asked = [host, origin, path, user_agent].map(|it| it.unwrap_or("-")).join(" ");
        let status = status.map_or("-".to_owned(), |status| status.to_string());
        self.0.push(format!("{reason} {status} {asked}: {detail}"));
    }

    fn on_message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) {}
}

/// What the handler was told, which the metrics have counted.
#[track_caller]
fn told(world: &World<Watcher>) -> &[String] {
    let told = &world.connections.handler().0;
    let metrics = world.connections.metrics();
    let counted: u64 = metrics.refusals.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, told.len() as u64);
    for (reason, count) in metrics.refusals {
        let start = format!("{reason} ");
        assert_eq!(told.iter().filter(|it| it.starts_with(&start)).count() as u64, count, "{reason}");
    }
    told
}

/// A request whose fields have these in the place of some, or behind them.
fn request(replace: &str, by: &str) -> String {
    let request = REQUEST.replace("\r\n\r\n", "\r\nUser-Agent: test/1\r\n\r\n");
    assert!(request.contains(replace), "{replace}");
    request.replace(replace, by)
}

#[test]
fn every_refusal_is_told_once_with_what_was_asked_for() {
    let mut config = config();
    config.access.hosts = Some("example.com".parse().unwrap());
    let with = |line: &str| request("User-Agent", &format!("{line}\r\nUser-Agent"));
    let rows = [
        (
            request("Host: example.com", "Host: example.org"),
            "host 403 example.org - /chat test/1: the host example.org is not served here, only example.com",
        ),
        (
            with("Origin: http://a"),
            "origin 403 example.com http://a /chat test/1: the origin http://a is not allowed, only pages of the host \
             that is asked for, example.com",
        ),
        (
            request("Sec-WebSocket-Key", "X-Key"),
            "malformed 400 example.com - /chat test/1: the Sec-WebSocket-Key header field is missing",
        ),
        (
            request("Host: example.com\r\n", ""),
            "malformed 400 - - /chat test/1: the Host header field is missing",
        ),
        (
            request("Version: 13", "Version: 8"),
            "version 426 example.com - /chat test/1: the only supported Sec-WebSocket-Version is 13",
        ),
        (
            request("HTTP/1.1", "HTTP/1.0"),
            "version 400 example.com - /chat test/1: a WebSocket handshake needs HTTP/1.1",
        ),
        (
            request("HTTP/1.1", "HTTP/2.0"),
            "version 505 example.com - /chat test/1: only HTTP/1.1 is spoken here",
        ),
        (
            request("GET /chat", "POST /chat?secret"),
            "method 405 example.com - /chat test/1: a WebSocket handshake must be a GET",
        ),
        (
            "DELETE /page HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "method 405 a - /page -: only GET and HEAD are allowed",
        ),
        (
            "GET /none HTTP/1.1\r\nHost: example.com\r\n\r\n".to_owned(),
            "no_upgrade 426 example.com - /none -: this is a WebSocket endpoint, and the request asks for no upgrade",
        ),
        (
            with(&format!("X: {}", "x".repeat(20_000))),
            "too_long 431 example.com - /chat test/1: the head is longer than the limit",
        ),
        (
            request("/chat", "/refused"),
            "application 401 example.com - /refused test/1: the application refused the request",
        ),
        (
            request("/chat", "/bad"),
            "handler_failed 500 example.com - /bad test/1: the server's answer is not valid: the subprotocol was not \
             offered by the client",
        ),
        (request("/chat", "/panic"), "handler_failed 500 - - - -: the server failed"),
        (
            "\x16\x03\x01\x02\0\x01\0\x01".to_owned(),
            "tls 400 - - - -: this is a TLS handshake, and this port speaks plain HTTP: use ws:// or http://",
        ),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            "version 400 - - - -: this is HTTP/2, and only HTTP/1.1 is spoken here",
        ),
        ("{}".to_owned(), "malformed 400 - - - -: this is not an HTTP/1.1 request"),
    ];
    let mut world = World::new(Watcher::default(), config);
    for (count, (request, expect)) in rows.iter().enumerate() {
        let client = world.connect();
        world.send(&client, request.as_bytes());
        assert_eq!(told(&world)[count..], [*expect]);
        assert!(client.is_ended(), "{expect}");
        world.end(&client);
        assert_eq!(told(&world).len(), count + 1, "the end is no other refusal");
    }
}

#[test]
fn pages_are_no_refusals_and_neither_are_sockets_that_say_nothing_and_go() {
    let mut world = World::new(Watcher::default(), config());
    for request in [
        "GET /page HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /page HTTP/1.0\r\n\r\n",
        "OPTIONS / HTTP/1.0\r\n\r\n",
        REQUEST,
        "",
    ] {
        let client = world.connect();
        if !request.is_empty() {
            world.send(&client, request.as_bytes());
        }
        world.end(&client);
    }
    assert_eq!(told(&world), [""; 0]);
}

#[test]
fn timeouts_ends_and_a_shutdown() {
    let config = config();
    let timeout = config.deadlines.handshake_timeout;
    let mut world = World::new(Watcher::default(), config);
    let begun = &REQUEST.as_bytes()[..44];

    let (_silent, slow, cut) = (world.connect(), world.connect(), world.connect());
    world.send(&slow, begun);
    world.send(&cut, begun);
    world.end(&cut);
    world.pass(timeout);
    let (silent, half) = (world.connect(), world.connect());
    world.send(&half, begun);
    world.connections.commands(&[Command::Shutdown], world.now);
    let late = world.connect();
    world.send(&late, REQUEST.as_bytes());
    let mut told = told(&world).to_vec();
    // A shutdown comes to each at a random moment.
    told[3..5].sort();
    assert_eq!(
        told,
        [
            "malformed 400 example.com - /chat -: the head is not one complete head",
            "timeout - - - - -: the request did not arrive in time",
            "timeout 408 example.com - /chat -: the request did not arrive in time",
            "shutting_down - - - - -: the server is shutting down",
            "shutting_down 503 example.com - /chat -: the server is shutting down",
            "shutting_down 503 example.com - /chat -: the server is shutting down",
        ]
    );
    assert!(silent.is_dropped() && silent.take().is_empty());
    world.pass(Duration::from_secs(10));
    assert!(world.connections.is_empty());
}

/// Panics when it is told of a refusal.
struct Panicking;

impl Handler for Panicking {
    type Session = ();

    fn on_refused(&mut self, _: &Refusal<'_>) {
        panic!("asked for");
    }

    fn on_message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) {}
}

#[test]
fn a_handler_that_panics_when_it_is_told_costs_nobody_his_response() {
    let mut world = World::new(Panicking, config());
    let (open, silent) = (world.open(), world.connect());
    let refused = world.connect();
    world.send(&refused, b"GET / HTTP/1.1\r\n\r\n");
    let response = refused.take_text();
    assert!(
        response.starts_with("HTTP/1.1 400 ") && response.matches("HTTP/1.1 ").count() == 1,
        "{response}"
    );
    assert!(refused.is_ended());
    world.pass(Duration::from_secs(10));
    world.pass(Duration::from_secs(5));
    assert!(silent.is_dropped() && silent.take().is_empty() && refused.is_dropped());
    assert!(!open.is_dropped());
    let metrics = world.connections.metrics();
    assert_eq!(metrics.handler_panics, 2);
    assert_eq!(metrics.refusals.iter().map(|(_, count)| count).sum::<u64>(), 2);
}

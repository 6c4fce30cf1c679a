//! The opening handshake, as the server conducts it: RFC 6455 §4.2 over sockets that cut, stall and go wrong.

mod common;

use common::{REQUEST, RESPONSE, Recorder, Step, World, config, frame, text};
use std::time::{Duration, Instant};
use ws_server::{Command, Config, HostPolicy};

fn world() -> World<Recorder> {
    World::new(Recorder::default(), config())
}

/// One request, and the response. The connection has to end after it.
fn refused(config: Config, request: &str) -> String {
    let mut world = World::new(Recorder::default(), config);
    let client = world.connect();
    world.send(&client, request.as_bytes());
    let response = client.take_text();
    assert!(response.contains("\r\nConnection: close"), "{response}");
    let date = response.lines().find_map(|line| line.strip_prefix("Date: ")).expect("a date");
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    assert!(client.is_ended() && !client.is_dropped(), "ended, and not cut before the client has read it");
    world.end(&client);
    assert!(client.is_dropped());
    assert_eq!(world.connections.handler().take(), [""; 0], "no session was there to open or to close");
    response
}

fn request(path: &str, more: &str) -> String {
    REQUEST.replace("/chat", path).replace("Version: 13\r\n", &format!("Version: 13\r\n{more}"))
}

#[test]
fn the_rfcs_own_request_is_answered_as_it_says() {
    let mut world = world();
    let client = world.connect();
    world.send(&client, REQUEST.as_bytes());
    assert_eq!(client.take_text(), RESPONSE);
    assert_eq!(world.connections.handler().take(), ["open /chat"]);
}

#[test]
fn a_head_cut_anywhere_with_frames_behind_it() {
    let bytes = [REQUEST.as_bytes(), &text("early"), &text("bird")].concat();
    let expect = [RESPONSE.as_bytes(), b"\x81\x05early\x81\x04bird"].concat();
    let mut world = world();
    for cut in 1..bytes.len() {
        let client = world.connect();
        world.send(&client, &bytes[..cut]);
        world.send(&client, &bytes[cut..]);
        assert_eq!(client.take(), expect, "cut at {cut}");
    }
    let client = world.connect();
    for byte in &bytes {
        world.send(&client, &[*byte]);
    }
    assert_eq!(client.take(), expect, "byte by byte");
}

#[test]
fn what_on_open_sends_follows_the_response() {
    let mut world = world();
    let client = world.connect();
    let request = request("/welcome", "Sec-WebSocket-Protocol: other, good, best\r\n");
    world.send(&client, &[request.as_bytes(), &text("a")].concat());
    let response =
        RESPONSE.replace("xOo=\r\n", "xOo=\r\nSec-WebSocket-Protocol: best\r\nX-Served-By: test\r\n");
    assert_eq!(client.take(), [response.as_bytes(), b"\x81\x07welcome\x81\x01a"].concat());
    assert_eq!(client.wire.borrow().writes, 1, "all of it in one write");
}

#[test]
fn an_extension_that_is_offered_is_declined_and_not_used() {
    let mut world = world();
    let client = world.connect();
    let offer = "Sec-WebSocket-Extensions: x-unknown; a=1, permessage-deflate; not-a-parameter\r\n";
    world.send(&client, request("/chat", offer).as_bytes());
    assert_eq!(client.take_text(), RESPONSE);
    world.send(&client, &frame(0xc1, b"\x02\x00"));
    let sent = client.take();
    assert_eq!((sent[0], &sent[2..4]), (0x88, &1002_u16.to_be_bytes()[..]));
}

#[test]
fn a_page_or_a_refusal_is_a_whole_http_response() {
    let rows = [
        ("GET /page HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK"),
        ("GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 Upgrade Required"),
        ("GET /page HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK"),
        ("GET /page HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "HTTP/1.1 200 OK"),
        ("HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK"),
        ("OPTIONS / HTTP/1.0\r\n\r\n", "HTTP/1.1 204 No Content"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content"),
        ("POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        ("POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 Method Not Allowed"),
        (&REQUEST.replace("GET", "POST"), "HTTP/1.1 405 Method Not Allowed"),
        (&REQUEST.replace("HTTP/1.1", "HTTP/1.0"), "HTTP/1.1 400 Bad Request"),
        ("GET /page HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (&REQUEST.replace("13", "12"), "HTTP/1.1 426 Upgrade Required"),
        (
            &REQUEST.replace("Upgrade: websocket\r\n", "").replace("/chat", "/page"),
            "HTTP/1.1 400 Bad Request",
        ),
        (&request("/refused", ""), "HTTP/1.1 401 Unauthorized"),
        (&request("/bad", ""), "HTTP/1.1 500 Internal Server Error"),
        (&request("/panic", ""), "HTTP/1.1 500 Internal Server Error"),
        ("\x16\x03\x01\x02\x00", "HTTP/1.1 400 Bad Request"),
    ];
    for (request, expect) in rows {
        let response = refused(config(), request);
        assert!(response.starts_with(expect), "{request:?}: {response}");
    }
    let response = refused(config(), "GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(response.contains("\r\nUpgrade: websocket\r\n"), "{response}");
}

#[test]
fn what_follows_a_refused_request_is_never_a_second_one() {
    let response =
        refused(config(), &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{REQUEST}"));
    assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
}

#[test]
fn what_follows_an_upgrade_is_frames_and_never_a_second_request() {
    let mut world = world();
    let client = world.connect();
    world.send(&client, format!("{REQUEST}GET /page HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let sent = client.take();
    let close = sent.strip_prefix(RESPONSE.as_bytes()).expect("the 101");
    // The `G` is a text frame's first byte with two reserved bits.
    assert_eq!((close[0], &close[2..4]), (0x88, &1002_u16.to_be_bytes()[..]));
}

#[test]
fn any_number_of_fields_is_taken_or_refused() {
    let mut config = config();
    config.limits.max_request_len = 1 << 20;
    assert_eq!(config.limits.max_headers, 100);
    let fields = REQUEST.matches("\r\n").count() - 2;
    for (count, status) in [(5, 101), (6, 101), (99, 101), (100, 101), (101, 431), (102, 431), (10_000, 431)]
    {
        let mut world = World::new(Recorder::default(), config.clone());
        let client = world.connect();
        world.send(&client, request("/chat", &"X: y\r\n".repeat(count - fields)).as_bytes());
        let response = client.take_text();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{count} fields: {response}");
        assert_eq!(world.connections.metrics().handler_panics, 0, "{count} fields");
    }
    for (fields, status) in [("", 400), ("Host: a\r\n", 200), ("Upgrade: websocket\r\n", 400)] {
        let response = refused(config.clone(), &format!("GET /page HTTP/1.1\r\n{fields}\r\n"));
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{fields}: {response}");
    }
}

/// Of a head that comes byte by byte, only the new byte is looked at. Quadratic work would take 256 times as long for 16
/// times the bytes.
#[test]
fn a_head_byte_by_byte_costs_what_its_length_is() {
    let mut config = config();
    config.limits.max_request_len = 1 << 20;
    let times = |len: usize| {
        let head = request("/chat", &format!("X: {}\r\n", "y".repeat(len)));
        let config = config.clone();
        (0..3).map(move |_| {
            let mut world = World::new(Recorder::default(), config.clone());
            let client = world.connect();
            let start = Instant::now();
            for byte in head.as_bytes() {
                world.send(&client, &[*byte]);
            }
            let time = start.elapsed();
            assert_eq!(client.take_text(), RESPONSE);
            time
        })
    };
    // Other work on the machine makes a run longer and never shorter: one within the limit is enough.
    let small = times(4 << 10).min().unwrap();
    let within = times(64 << 10).find(|time| *time < small * 64);
    assert!(within.is_some(), "{small:?} for 4 KiB, too long for 64 KiB");
}

#[test]
fn head_gets_what_get_gets_without_the_content() {
    let requests = [
        "GET /page HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET /other HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /page-panic HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /page HTTP/1.1\r\n\r\n",
        "GET /page HTTP/1.1\r\nHost: a\r\nX: \x01",
        &format!("GET /{}", "a".repeat(20_000)),
    ];
    // The clock may go on in between.
    let without_date = |response: &str| {
        response.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect::<String>()
    };
    for request in requests {
        let get = without_date(&refused(config(), request));
        let head = without_date(&refused(config(), &request.replacen("GET", "HEAD", 1)));
        let (get_head, content) = get.split_once("\r\n\r\n").unwrap();
        assert_eq!(head, format!("{get_head}\r\n\r\n"), "{request}");
        assert!(get_head.ends_with(&format!("Content-Length: {}", content.len())), "{get}");
        assert!(!content.is_empty(), "{get}");
    }
}

#[test]
fn a_refusal_of_a_host_or_an_origin_names_what_was_compared() {
    let mut hosts = config();
    hosts.access.hosts = Some("other.example, *.example:80".parse::<HostPolicy>().unwrap());
    let mut origins = config();
    origins.access.origins = "https://a.example".parse().unwrap();
    let rows = [
        (hosts.clone(), "", "the host example.com is not served here, only other.example, *.example:80\n"),
        (
            config(),
            "Origin: https://evil.example\r\n",
            "the origin https://evil.example is not allowed, only pages of the host that is asked for, example.com\n",
        ),
        (origins.clone(), "Origin: null\r\n", "the origin null is not allowed, only https://a.example\n"),
        (
            origins.clone(),
            "Origin: <b>\u{e4}\t\u{202e}</b>\r\n",
            "the origin <b>???</b> is not allowed, only https://a.example\n",
        ),
        (
            origins,
            &format!("Origin: {}\r\n", "a".repeat(5_000)),
            &format!("the origin {}... is not allowed, only https://a.example\n", "a".repeat(200)),
        ),
    ];
    for (config, more, expect) in rows {
        let response = refused(config, &request("/chat", more));
        let (head, content) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain"), "{head}");
        assert_eq!(content, expect);
    }
    let response = refused(hosts, "GET /page HTTP/1.1\r\nHost: a.com\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 403 "), "a page has to be asked for by our name, too: {response}");

    let mut world = world();
    let client = world.connect();
    world.send(&client, request("/chat", "Origin: http://example.com\r\n").as_bytes());
    assert_eq!(client.take_text(), RESPONSE, "the page of the same host");
}

#[test]
fn probes_are_answered_whatever_host_they_ask_for() {
    let mut config = config();
    config.access.hosts = Some("example.com".parse::<HostPolicy>().unwrap());
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nHost: 10.1.2.3:9999\r\n\r\n", 200),
        ("HEAD /healthz HTTP/1.1\r\nHost: 10.1.2.3:9999\r\n\r\n", 200),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("OPTIONS / HTTP/1.1\r\nHost: 10.1.2.3:9999\r\n\r\n", 204),
        ("GET /page HTTP/1.0\r\n\r\n", 200),
        ("GET /page HTTP/1.1\r\nHost: 10.1.2.3:9999\r\n\r\n", 403),
        (&self::request("/healthz", "").replace("example.com", "10.1.2.3"), 403),
    ] {
        let response = refused(config.clone(), request);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
    }
}

#[test]
fn while_the_server_drains_pages_are_answered_and_handshakes_are_not() {
    let mut config = config();
    config.deadlines.drain_window = Duration::from_secs(10);
    let mut world = World::new(Recorder::default(), config);
    let open = world.open();
    let (silent, half) = (world.connect(), world.connect());
    world.send(&half, b"GET /healthz HTTP/1.1\r\n");
    let [unread_probe, unread_half] =
        ["GET /healthz HTTP/1.0\r\n\r\n", "GET /healthz HTTP/1.0\r\n"].map(|request| {
            let client = world.connect();
            client.wire.borrow_mut().to_server.push_back(Step::Bytes(request.into()));
            client
        });
    world.connections.commands(&[Command::Shutdown], world.now);
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET /page HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (REQUEST, 503),
    ] {
        let client = world.connect();
        world.send(&client, request.as_bytes());
        let response = client.take_text();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
    }
    world.now += Duration::from_secs(10);
    world.connections.drain(world.now);
    assert!(half.take_text().starts_with("HTTP/1.1 503 "), "a request that is half received");
    assert!(unread_probe.take_text().starts_with("HTTP/1.1 200 "), "it waited in the socket");
    assert!(unread_half.take_text().starts_with("HTTP/1.1 503 "), "so did this one");
    assert!(half.is_ended() && !half.is_dropped(), "ended, and not cut before the client has read it");
    assert_eq!((silent.take_text().as_str(), silent.is_dropped()), ("", true), "nothing was asked");
    assert!(open.take().starts_with(b"\x88"), "the close frame of the one that was open");
}

#[test]
fn a_head_that_is_too_long_is_refused_at_once() {
    let mut config = config();
    (config.limits.max_request_len, config.limits.max_headers) = (200, 7);
    let endless = format!("GET /{} HTTP/1.1\r\n", "a".repeat(300));
    assert!(refused(config.clone(), &endless).starts_with("HTTP/1.1 431 "));
    config.limits.max_request_len = 8_000;
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(7));
    assert!(refused(config, &many).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_head_that_does_not_end_in_time() {
    let mut world = world();
    let (silent, slow) = (world.connect(), world.connect());
    for byte in &REQUEST.as_bytes()[..9] {
        world.send(&slow, &[*byte]);
        world.pass(Duration::from_secs(1));
    }
    assert!(!silent.is_dropped() && !slow.is_ended());
    world.pass(Duration::from_secs(1));
    assert!(slow.take_text().starts_with("HTTP/1.1 408 ") && slow.is_ended());
    assert_eq!((silent.take_text().as_str(), silent.is_dropped()), ("", true), "nothing was asked");
    world.pass(Duration::from_secs(5));
    assert!(slow.is_dropped(), "it has to end its side too, in close_timeout");
    assert!(world.connections.is_empty());
}

#[test]
fn a_client_that_goes_away_during_its_handshake() {
    let mut world = world();
    let (ended, reset) = (world.connect(), world.connect());
    world.send(&ended, b"GET / HT");
    world.end(&ended);
    world.reset(&reset);
    assert!(ended.is_dropped() && reset.is_dropped());
    assert!(ended.take_text().starts_with("HTTP/1.1 400 "), "it may still read");
    assert_eq!(world.connections.handler().take(), [""; 0]);
}

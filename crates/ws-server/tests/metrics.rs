//! What is counted, and when.

mod common;

use common::{REQUEST, Recorder, World, close, config, frame, text};
use ws_server::{Command, Metrics};

fn of(values: &[(u16, u64)], key: u16) -> u64 {
    values.iter().find(|(it, _)| *it == key).map(|(_, value)| *value).unwrap()
}

#[test]
fn a_connection_is_counted_from_its_handshake_to_its_close() {
    let mut world = World::new(Recorder::default(), config());
    let client = world.open();
    let Metrics { connections_open: open, bytes_received, bytes_sent, .. } = world.connections.metrics();
    assert_eq!((open, bytes_received), (1, REQUEST.len() as u64));
    assert_eq!(of(&world.connections.metrics().handshakes, 101), 1);

    let bytes = [text("a"), frame(0x82, &[7; 100]), frame(0x89, b"p")].concat();
    world.send(&client, &bytes);
    let metrics = world.connections.metrics();
    assert_eq!((metrics.messages_received, metrics.messages_sent), (2, 2), "a ping is no message");
    assert_eq!(metrics.bytes_received - bytes_received, bytes.len() as u64);
    assert_eq!(metrics.bytes_sent - bytes_sent, client.take().len() as u64);

    world.send(&client, &close(4000));
    let metrics = world.connections.metrics();
    assert_eq!(
        (metrics.connections_open, of(&metrics.closes, 0)),
        (0, 1),
        "the codes of applications count together"
    );
}

#[test]
fn what_goes_wrong_is_counted_by_its_kind() {
    let mut config = config();
    (config.flow.high_water_len, config.flow.low_water_len, config.limits.max_write_queue_len) =
        (1_000, 100, 150_000);
    let mut world = World::new(Recorder::default(), config);
    let refused = world.connect();
    world.send(&refused, b"GET / HTTP/1.1\r\n\r\n");
    let lagging = world.open();
    lagging.wire.borrow_mut().room = Some(0);
    world.send(&lagging, &text("100 KB"));
    let Metrics { held_bytes, queued_bytes, .. } = world.connections.metrics();
    assert!(held_bytes >= queued_bytes && queued_bytes >= 100_000, "{held_bytes}, {queued_bytes}");
    let id = world.connections.id(lagging.slot).unwrap();
    let command = Command::Send(id, ws_server::Prepared::from(vec![7; 100_000]));
    world.connections.commands(&[command], world.now);
    let panicking = world.open();
    world.send(&panicking, &text("panic"));
    let lost = world.open();
    world.end(&lost);

    let metrics = world.connections.metrics();
    assert_eq!((metrics.read_pauses, metrics.messages_dropped, metrics.handler_panics), (1, 1, 1));
    assert_eq!((of(&metrics.handshakes, 400), of(&metrics.handshakes, 101)), (1, 3));
    assert_eq!((of(&metrics.closes, 1006), of(&metrics.closes, 1011)), (1, 1));
    lagging.wire.borrow_mut().write_error = Some(std::io::ErrorKind::BrokenPipe);
    world.make_room(&lagging, None);
    let metrics = world.connections.metrics();
    assert_eq!((metrics.held_bytes, metrics.queued_bytes, metrics.connections_open), (0, 0, 0));
}

#[test]
fn whoever_is_not_let_in_is_counted_by_the_reason() {
    let mut config = config();
    config.access.hosts = Some("example.com".parse().unwrap());
    let timeout = config.deadlines.handshake_timeout;
    let mut world = World::new(Recorder::default(), config);
    let with = |line: &str| REQUEST.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
    let rows = [
        (REQUEST.replace("GET", "G@T"), "malformed"),
        (with(&format!("X: {}", "x".repeat(20_000))), "too_long"),
        (REQUEST.replace("\r\n\r\n", "\r\n"), "timeout"),
        (REQUEST.replace("GET", "POST"), "method"),
        ("GET /none HTTP/1.1\r\nHost: example.com\r\n\r\n".to_owned(), "no_upgrade"),
        (REQUEST.replace("Version: 13", "Version: 8"), "version"),
        (REQUEST.replace("Host: example.com", "Host: example.org"), "host"),
        (with("Origin: http://example.org"), "origin"),
        (REQUEST.replace("/chat", "/refused"), "application"),
        (REQUEST.replace("/chat", "/panic"), "handler_failed"),
        (REQUEST.replace("/chat", "/bad"), "handler_failed"),
    ];
    for (request, reason) in rows {
        let client = world.connect();
        world.send(&client, request.as_bytes());
        if reason == "timeout" {
            world.pass(timeout);
        }
        let refusals = world.connections.metrics().refusals;
        assert_eq!(
            refusals.iter().find(|(it, _)| *it == reason).unwrap().1,
            1 + u64::from(request.contains("/bad")),
            "{request}"
        );
    }
    let page = world.connect();
    world.send(&page, b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n");
    world.connections.commands(&[Command::Shutdown], world.now);
    let late = world.connect();
    world.send(&late, REQUEST.as_bytes());
    let refusals = world.connections.metrics().refusals;
    assert_eq!(
        refusals.iter().map(|(_, count)| count).sum::<u64>(),
        12,
        "a page is no refusal: {refusals:?}"
    );
}

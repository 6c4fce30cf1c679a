//! Deadlines see progress, and input comes before verdicts: what a peer has sent, and the room that it has made, count
//! also where no event has told of them yet.

mod common;

use common::{Client, Recorder, Step, World, close, config, frame, frames, text};
use std::time::Duration;
use ws_server::{Command, Config, Handler, Prepared, Readiness, Response, SlowConsumer};

const KB: usize = 1_000;
const SECOND: Duration = Duration::from_secs(1);

/// Deadlines of 3 s, but for the idle time of 10 s, the pong's of 5 s and the close's of 1 s.
fn short() -> Config {
    let mut config = config();
    (config.flow.high_water_len, config.flow.low_water_len) = (200 * KB, 20 * KB);
    config.limits.max_write_queue_len = 2_000 * KB;
    config.deadlines.idle_timeout = 10 * SECOND;
    config.deadlines.pong_timeout = 5 * SECOND;
    (config.deadlines.handshake_timeout, config.deadlines.write_timeout, config.deadlines.close_timeout) =
        (3 * SECOND, 3 * SECOND, SECOND);
    config
}

fn opened(config: Config) -> (World<Recorder>, Client) {
    let mut world = World::new(Recorder::default(), config);
    let client = world.open();
    world.connections.handler().take();
    (world, client)
}

/// The peer reads so many bytes a second for so many seconds, all of them in every other second, which is seldom enough for
/// a `close_timeout` to pass in between. The system never says that there is room.
fn read_slowly<H: Handler>(world: &mut World<H>, client: &Client, seconds: usize, len: usize) -> Vec<u8> {
    let mut received = Vec::new();
    for second in 0..seconds {
        client.wire.borrow_mut().room = Some(if second % 2 == 0 { 2 * len } else { 0 });
        world.pass(SECOND);
        received.extend(client.take());
    }
    received
}

#[test]
fn a_peer_that_reads_slowly_and_steadily_is_served_to_its_end() {
    // Below and above the high water.
    for len in [100 * KB, 400 * KB] {
        let (mut world, client) = opened(short());
        client.wire.borrow_mut().room = Some(0);
        world.send(&client, &frame(0x82, &vec![7; len]));
        let received = read_slowly(&mut world, &client, len / (2 * KB) + 1, 2 * KB);
        // It was idle for longer than every deadline, but taking bytes is a sign of life.
        assert_eq!(frames(&received), (vec![(0x82, vec![7; len])], &[][..]), "{len} bytes");
        assert!(!client.is_dropped(), "{len} bytes");
    }
}

#[test]
fn a_pong_behind_a_download_is_not_waited_for() {
    // The queue is below the high water, so the peer is read from and owes a pong.
    let (mut world, client) = opened(short());
    client.wire.borrow_mut().room = Some(0);
    world.send(&client, &frame(0x82, &[7; 150 * KB]));
    read_slowly(&mut world, &client, 74, 2 * KB);
    assert_eq!(world.connections.handler().take(), [] as [&str; 0]);
    assert!(!client.is_dropped());
}

#[test]
fn what_an_empty_socket_takes_is_no_sign_of_life() {
    let (mut world, client) = opened(short());
    let id = world.connections.id(client.slot).unwrap();
    let mut pings = 0;
    // It is sent something every second, by others and as an answer to nobody, and the system takes it all.
    for _ in 0..15 {
        world.connections.commands(&[Command::Send(id, "news".into())], world.now);
        world.pass(SECOND);
        world.wake(&client, Readiness { readable: false, writable: true, read_closed: false });
        pings += frames(&client.take()).0.iter().filter(|frame| frame.0 == 0x89).count();
    }
    assert_eq!(pings, 1);
    let expect = r#"close /chat 1011 "" the peer did not answer a ping in time"#;
    assert_eq!(world.connections.handler().take(), [expect]);
}

#[test]
fn a_lagging_peer_owes_no_pong_as_it_is_not_read_from() {
    let mut config = short();
    config.deadlines.write_timeout = 60 * SECOND;
    let (mut world, client) = opened(config);
    client.wire.borrow_mut().room = Some(0);
    world.send(&client, &frame(0x82, &[7; 300 * KB]));
    client.wire.borrow_mut().to_server.push_back(Step::Bytes(frame(0x8a, b"")));
    read_slowly(&mut world, &client, 59, 0);
    assert_eq!(world.connections.handler().take(), [] as [&str; 0]);
    read_slowly(&mut world, &client, 1, 0);
    let expect = r#"close /chat 1006 "" the peer did not read what it was sent in time, 300010 bytes unsent"#;
    assert_eq!(world.connections.handler().take(), [expect]);
}

#[test]
fn whatever_comes_before_a_close_is_written_as_long_as_the_peer_takes_it() {
    let echo = frame(0x82, &[7; 100 * KB]);
    for (what, end, last, told) in [
        ("its close", close(1000), (0x88, vec![0x03, 0xe8]), r#"close /chat 1000 "" ok"#),
        ("its mistake", frame(0x83, b""), (0x88, vec![0x03, 0xea]), "close /chat 1002"),
    ] {
        let (mut world, client) = opened(short());
        client.wire.borrow_mut().room = Some(0);
        world.send(&client, &[&echo[..], &end].concat());
        assert_eq!(
            world.connections.handler().take(),
            [] as [&str; 0],
            "{what}: it is not known yet how it ends"
        );
        let received = read_slowly(&mut world, &client, 60, 2 * KB);
        let (frames, _) = frames(&received);
        assert_eq!(frames[0], (0x82, vec![7; 100 * KB]), "{what}");
        assert!(frames[1].0 == last.0 && frames[1].1.starts_with(&last.1), "{what}: {:?}", frames[1]);
        let calls = world.connections.handler().take();
        assert!(calls.len() == 1 && calls[0].starts_with(told), "{what}: {calls:?}");
        assert!(!calls[0].contains("unsent"), "{what}: {calls:?}");
        assert!(client.wire.borrow().ended && client.is_dropped(), "{what}");
    }
}

#[test]
fn a_peer_that_stops_sending_still_gets_what_is_queued() {
    let (mut world, client) = opened(short());
    client.wire.borrow_mut().room = Some(0);
    world.send(&client, &frame(0x82, &[7; 100 * KB]));
    world.end(&client);
    assert_eq!(world.connections.handler().take(), [] as [&str; 0]);
    let received = read_slowly(&mut world, &client, 60, 2 * KB);
    assert_eq!(frames(&received).0[0], (0x82, vec![7; 100 * KB]));
    let expect = r#"close /chat 1006 "" the peer ended the stream without a close frame"#;
    assert_eq!(world.connections.handler().take(), [expect]);
    assert!(client.is_dropped());
}

#[test]
fn a_peer_that_closes_and_takes_nothing_is_cut_and_the_application_hears_of_it() {
    let (mut world, client) = opened(short());
    client.wire.borrow_mut().room = Some(30 * KB);
    world.send(&client, &[&frame(0x82, &[7; 100 * KB])[..], &close(1000)].concat());
    world.pass(2 * SECOND);
    assert!(!client.is_dropped());
    world.pass(SECOND);
    assert!(client.is_dropped());
    let expect = r#"close /chat 1000 "" the peer did not read what it was sent in time, 70014 bytes unsent"#;
    assert_eq!(world.connections.handler().take(), [expect]);
    let metrics = world.connections.metrics();
    assert_eq!((metrics.connections_open, metrics.queued_bytes, metrics.unsent_bytes), (0, 0, 70_014));
}

#[test]
fn messages_that_replace_each_other_are_no_progress() {
    for slow_consumer in [SlowConsumer::LatestOnly, SlowConsumer::DropOldest] {
        let mut config = short();
        (config.flow.slow_consumer, config.limits.max_write_queue_len) = (slow_consumer, KB);
        let (mut world, client) = opened(config);
        let id = world.connections.id(client.slot).unwrap();
        client.wire.borrow_mut().room = Some(0);
        // Each message is all that may be queued, so it takes the place of the one before.
        for second in 0..3 {
            let command = Command::Send(id, Prepared::from(vec![7; 900]));
            world.connections.commands(&[command], world.now);
            world.finish_turns();
            assert!(!client.is_dropped(), "{slow_consumer:?}, second {second}");
            world.pass(SECOND);
        }
        assert!(client.is_dropped(), "{slow_consumer:?}");
        let expect =
            r#"close /chat 1006 "" the peer did not read what it was sent in time, 904 bytes unsent"#;
        let calls = world.connections.handler().take();
        assert_eq!(calls.last().map(String::as_str), Some(expect), "{slow_consumer:?}");
    }
}

#[test]
fn what_piles_up_while_nobody_is_read_from_is_no_flood() {
    const STOPPED: Duration = Duration::from_secs(10);
    let mut config = short();
    config.limits.max_messages_per_second = Some(2);
    let (mut world, client) = opened(config);
    world.send(&client, &text("a").repeat(2));
    // The worker's clock shows hardly more than before.
    world.connections.catch_up(STOPPED, world.now);
    world.send(&client, &text("b").repeat(20));
    assert_eq!(frames(&client.take()).0.len(), 22);
    assert_eq!(world.connections.handler().take(), [] as [&str; 0]);
    // More than its messages of all that time are a flood, and so are those that come later.
    let other = world.open();
    world.send(&other, &text("c").repeat(25));
    assert!(other.take().ends_with(b"more than 2 messages a second"));
    world.pass(STOPPED);
    world.send(&client, &text("d").repeat(3));
    assert!(client.take().ends_with(b"more than 2 messages a second"));
}

/// Shows a page that is larger than a socket takes at once.
struct Pages;

impl Handler for Pages {
    type Session = ();

    fn on_request(
        &mut self,
        _: &ws_server::Upgrade<'_, '_>,
        _: &ws_server::PeerInfo,
    ) -> Result<ws_server::Accepted<()>, Response> {
        Err(Response::text(401, "a".repeat(100 * KB)))
    }

    fn on_message(&mut self, (): &mut (), _: &mut ws_server::Peer<'_>, _: ws_server::Message<'_>) {}
}

#[test]
fn a_response_is_written_as_long_as_the_peer_takes_it() {
    let mut world = World::new(Pages, short());
    let client = world.connect();
    client.wire.borrow_mut().room = Some(0);
    world.send(&client, common::REQUEST.as_bytes());
    let received = read_slowly(&mut world, &client, 60, 2 * KB);
    assert!(received.starts_with(b"HTTP/1.1 401 ") && received.ends_with(&b"a".repeat(100 * KB)));
    assert!(client.is_dropped(), "it never ended its side, and had its time for it");
    assert_eq!(world.connections.metrics().unsent_bytes, 0);

    let client = world.connect();
    client.wire.borrow_mut().room = Some(KB);
    world.send(&client, common::REQUEST.as_bytes());
    let queued_len = world.connections.queued_len(client.slot).unwrap();
    assert!(queued_len > 98 * KB, "{queued_len}");
    world.pass(3 * SECOND);
    assert!(client.is_dropped());
    assert_eq!(world.connections.metrics().unsent_bytes, queued_len as u64, "what it never got is counted");
}

#[test]
fn input_that_no_event_has_told_of_comes_before_the_verdict() {
    let (mut world, client) = opened(short());
    world.pass(10 * SECOND);
    assert_eq!(client.take(), b"\x89\0");
    client.wire.borrow_mut().to_server.push_back(Step::Bytes(frame(0x8a, b"")));
    world.pass(20 * SECOND);
    assert_eq!(world.connections.handler().take(), ["pong "]);

    let mut world = World::new(Recorder::default(), short());
    let client = world.connect();
    let (first, rest) = common::REQUEST.as_bytes().split_at(50);
    world.send(&client, first);
    client.wire.borrow_mut().to_server.push_back(Step::Bytes([rest, &text("hi")].concat()));
    world.pass(20 * SECOND);
    assert!(client.take().ends_with(b"\r\n\r\n\x81\x02hi"));
    assert_eq!(world.connections.handler().take(), ["open /chat"]);

    // A close that was answered, though nobody has looked.
    let (mut world, client) = opened(short());
    world.send(&client, &text("close"));
    client.wire.borrow_mut().to_server.push_back(Step::Bytes(close(4000)));
    world.connections.handler().take();
    world.pass(20 * SECOND);
    assert_eq!(world.connections.handler().take(), [r#"close /chat 4000 "" ok"#]);
}

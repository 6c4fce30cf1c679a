//! An open connection: messages, the closing handshake, and each way in which it can go wrong.

mod common;

use common::{Client, Recorder, Step, World, close, config, frame, payloads, text};
use std::{io::ErrorKind, time::Duration};
use ws_server::{CloseCode, Command, Prepared, Readiness};

fn world() -> World<Recorder> {
    World::new(Recorder::default(), config())
}

fn opened(world: &mut World<Recorder>) -> Client {
    let client = world.open();
    assert_eq!(world.connections.handler().take(), ["open /chat"]);
    client
}

#[test]
fn many_messages_in_one_segment_are_answered_in_one_write() {
    let mut world = world();
    let client = opened(&mut world);
    let (reads, writes) = (client.wire.borrow().reads, client.wire.borrow().writes);
    world.send(&client, &[text("a"), text("b"), frame(0x82, &[1, 2]), frame(0x89, b"p")].concat());
    assert_eq!(client.take(), b"\x81\x01a\x81\x01b\x82\x02\x01\x02\x8a\x01p");
    // One read, since it was short and so has emptied the socket; one write.
    assert_eq!((client.wire.borrow().reads - reads, client.wire.borrow().writes - writes), (1, 1));
}

#[test]
fn a_message_larger_than_the_read_buffer() {
    let mut world = world();
    let client = opened(&mut world);
    let payload: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    for piece in frame(0x82, &payload).chunks(77_777) {
        world.send(&client, piece);
    }
    assert!(payloads(&client.take(), 0x82) == [payload]);
}

#[test]
fn a_close_is_answered_and_the_stream_ended() {
    let mut world = world();
    let client = opened(&mut world);
    world.send(&client, &[text("last"), close(1000), text("too late")].concat());
    assert_eq!(client.take(), b"\x81\x04last\x88\x02\x03\xe8");
    assert_eq!(world.connections.handler().take(), [r#"close /chat 1000 "" ok"#]);
    assert!(
        client.is_ended() && !client.is_dropped(),
        "the server ends its direction first (RFC 6455 §7.1.1)"
    );
    world.send(&client, &text("much too late"));
    world.end(&client);
    assert!(client.is_dropped() && client.take().is_empty());
    assert_eq!(world.connections.handler().take(), [""; 0]);
}

#[test]
fn a_close_without_a_code_is_1005() {
    let mut world = world();
    let client = opened(&mut world);
    world.send(&client, &frame(0x88, b""));
    assert_eq!(client.take(), b"\x88\x00");
    assert_eq!(world.connections.handler().take(), [r#"close /chat 1005 "" ok"#]);
}

#[test]
fn a_close_of_the_handlers_waits_for_the_peers() {
    let mut world = world();
    let client = opened(&mut world);
    world.send(&client, &[text("close"), text("not echoed")].concat());
    assert_eq!(client.take(), b"\x88\x0b\x0f\xa0asked for");
    assert!(!client.is_ended());
    world.send(&client, &frame(0x88, b"\x0f\xa0yes"));
    assert!(client.is_ended());
    assert_eq!(world.connections.handler().take(), [r#"close /chat 4000 "yes" ok"#]);
}

#[test]
fn a_close_that_is_never_answered_has_a_deadline() {
    let mut world = world();
    let client = opened(&mut world);
    world.send(&client, &text("close"));
    world.pass(Duration::from_millis(4_900));
    // Whatever it sends but a close changes nothing.
    world.send(&client, &text("still here"));
    assert!(!client.is_dropped());
    world.pass(Duration::from_millis(100));
    assert!(client.is_dropped());
    let expect = r#"close /chat 1006 "" the peer did not answer the close frame in time"#;
    assert_eq!(world.connections.handler().take(), [expect]);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_and_left() {
    let rows: [(&str, Vec<u8>, u16, &str); 4] = [
        ("unmasked", b"\x81\x01a".to_vec(), 1002, "a frame from a client is not masked"),
        ("not UTF-8", frame(0x81, b"\xff"), 1007, "a text message is not UTF-8"),
        (
            "too large",
            b"\x82\xff\x00\x00\x00\x00\x01\x00\x00\x01\0\0\0\0".to_vec(),
            1009,
            "a message is larger than 16777216 bytes",
        ),
        ("a close of one byte", frame(0x88, b"\x03"), 1002, "the close code is cut off"),
    ];
    for (name, bytes, code, error) in rows {
        let mut world = world();
        let (client, other) = (opened(&mut world), opened(&mut world));
        world.send(&client, &[text("before"), bytes, text("after")].concat());
        let sent = client.take();
        assert_eq!(sent[..8], *b"\x81\x06before", "{name}");
        assert_eq!(sent[8], 0x88, "{name}");
        assert_eq!(sent[10..12], code.to_be_bytes(), "{name}");
        assert_eq!(
            world.connections.handler().take(),
            [format!(r#"close /chat {code} "" {error}"#)],
            "{name}"
        );
        assert!(client.is_ended() && !client.is_dropped(), "{name}");
        world.send(&other, &text("unaffected"));
        assert_eq!(other.take(), b"\x81\x0aunaffected", "{name}");
        world.pass(Duration::from_secs(5));
        assert!(client.is_dropped(), "{name}: it never ended its side");
    }
}

#[test]
fn an_end_of_stream_without_a_close_is_1006_once() {
    let mut world = world();
    let client = opened(&mut world);
    // The last message and the end come with the same edge: what was sent is still answered.
    client.wire.borrow_mut().to_server.extend([Step::Bytes(text("bye")), Step::End]);
    world.wake(&client, Readiness { readable: true, writable: true, read_closed: true });
    assert_eq!(client.take(), b"\x81\x03bye");
    let expect = r#"close /chat 1006 "" the peer ended the stream without a close frame"#;
    assert_eq!(world.connections.handler().take(), [expect]);
    assert!(client.is_dropped() && world.connections.is_empty());
}

#[test]
fn a_half_closed_peer_still_gets_what_is_queued() {
    let mut world = world();
    let client = opened(&mut world);
    client.wire.borrow_mut().room = Some(10);
    world.send(&client, &frame(0x82, &[7; 50_000]));
    world.end(&client);
    assert!(!client.is_dropped() && !client.is_ended());
    world.make_room(&client, None);
    assert_eq!(payloads(&client.take(), 0x82), [vec![7; 50_000]]);
    assert!(client.is_dropped());
}

#[test]
fn a_socket_that_fails() {
    let mut world = world();
    let (reading, writing) = (opened(&mut world), opened(&mut world));
    world.send(&reading, &text("a"));
    world.reset(&reading);
    writing.wire.borrow_mut().write_error = Some(ErrorKind::BrokenPipe);
    world.send(&writing, &text("a"));
    for (client, error) in [(reading, "connection reset"), (writing, "broken pipe")] {
        assert!(client.is_dropped());
        let expect = format!(r#"close /chat 1006 "" the socket failed: {error}"#);
        assert!(world.connections.handler().take().contains(&expect) || error == "broken pipe");
    }
    assert!(world.connections.is_empty());
}

#[test]
fn a_wake_up_for_nothing_and_an_interrupted_read_change_nothing() {
    let mut world = world();
    let client = opened(&mut world);
    world.wake(&client, Readiness { readable: true, writable: true, read_closed: false });
    client.wire.borrow_mut().to_server.push_back(Step::Fail(ErrorKind::Interrupted));
    world.send(&client, &text("a"));
    assert_eq!(client.take(), b"\x81\x01a");
    assert_eq!(world.connections.handler().take(), [""; 0]);
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut world = world();
    let client = opened(&mut world);
    world.pass(Duration::from_secs(29));
    assert!(client.take().is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(client.take(), b"\x89\x00");
    world.pass(Duration::from_secs(19));
    world.send(&client, &frame(0x8a, b""));
    assert_eq!(world.connections.handler().take(), ["pong "]);
    // It is alive: the silence begins anew.
    world.pass(Duration::from_secs(29));
    assert!(client.take().is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(client.take(), b"\x89\x00");
    world.pass(Duration::from_secs(20));
    assert_eq!(client.take()[2..4], 1011_u16.to_be_bytes());
    let expect = r#"close /chat 1011 "" the peer did not answer a ping in time"#;
    assert_eq!(world.connections.handler().take(), [expect]);
    world.pass(Duration::from_secs(5));
    assert!(client.is_dropped());
}

#[test]
fn a_peer_that_sends_too_many_messages_in_a_second_is_closed() {
    let mut config = config();
    config.limits.max_messages_per_second = Some(3);
    let mut world = World::new(Recorder::default(), config);
    let client = opened(&mut world);
    for _ in 0..5 {
        world.send(&client, &[text("a").repeat(3), frame(0x89, b"").repeat(9)].concat());
        assert_eq!(client.take().len(), 3 * 3 + 9 * 2);
        world.pass(Duration::from_secs(1));
    }
    world.send(&client, &text("a").repeat(4));
    let sent = client.take();
    assert_eq!((&sent[..9], &sent[9..13]), (&b"\x81\x01a\x81\x01a\x81\x01a"[..], &b"\x88\x2e\x03\xf0"[..]));
    let expect = r#"close /chat 1008 "" the peer sends more than 3 messages a second"#;
    assert_eq!(world.connections.handler().take(), [expect]);
}

#[test]
fn a_ping_of_the_handlers_comes_back_to_it() {
    let mut world = world();
    let client = opened(&mut world);
    world.send(&client, &text("ping"));
    assert_eq!(client.take(), b"\x89\x04ours");
    world.send(&client, &frame(0x8a, b"ours"));
    assert_eq!(world.connections.handler().take(), ["pong ours"]);
}

#[test]
fn a_handler_that_panics_loses_that_connection_and_no_other() {
    let mut world = world();
    let (client, other) = (opened(&mut world), opened(&mut world));
    world.send(&client, &[text("a"), text("panic"), text("b")].concat());
    assert_eq!(client.take(), b"\x81\x01a\x88\x2a\x03\xf3a panic while this connection was served");
    assert_eq!(
        world.connections.handler().take(),
        [r#"close /chat 1011 "" a panic while this connection was served"#]
    );
    world.send(&other, &text("unaffected"));
    assert_eq!(other.take(), b"\x81\x0aunaffected");
    world.end(&client);
    assert!(client.is_dropped());
}

#[test]
fn a_handler_that_panics_while_it_is_told_of_the_end() {
    let mut world = world();
    let client = world.connect();
    world.send(&client, common::REQUEST.replace("/chat", "/panic-on-close").as_bytes());
    client.take();
    world.send(&client, &close(1000));
    assert_eq!(client.take(), b"\x88\x02\x03\xe8");
    world.end(&client);
    assert!(client.is_dropped());
    assert_eq!(world.connections.handler().take().len(), 2, "one open, one close");
}

#[test]
fn commands_reach_their_connection_and_no_other() {
    let mut world = world();
    let first = opened(&mut world);
    let id = world.connections.id(first.slot).unwrap();
    let command = |world: &mut World<Recorder>, command| {
        world.connections.commands(&[command], world.now);
        world.finish_turns();
    };
    command(&mut world, Command::Send(id, Prepared::from("hello")));
    assert_eq!(first.take(), b"\x81\x05hello");
    world.end(&first);

    // The slot is used again; the id is not.
    let second = opened_after(&mut world);
    assert_eq!(second.slot, first.slot);
    command(&mut world, Command::Send(id, Prepared::from("for the first")));
    command(&mut world, Command::Close(id, CloseCode::NORMAL, String::new()));
    assert_eq!(second.take(), b"");

    let id = world.connections.id(second.slot).unwrap();
    command(&mut world, Command::Close(id, CloseCode::new(4002), "enough".into()));
    assert_eq!(second.take(), b"\x88\x08\x0f\xa2enough");
}

fn opened_after(world: &mut World<Recorder>) -> Client {
    world.connections.handler().take();
    opened(world)
}

#[test]
fn large_messages_that_come_together_are_answered_in_one_write() {
    let mut world = world();
    let client = world.open();
    let writes = client.wire.borrow().writes;
    let (payload, mut frames, mut expect) = (vec![7; 30_000], Vec::new(), Vec::new());
    for _ in 0..8 {
        frames.extend(frame(0x82, &payload));
        expect.extend([&b"\x82\x7e\x75\x30"[..], &payload].concat());
    }
    world.send(&client, &frames);
    assert!(client.take() == expect);
    assert_eq!(client.wire.borrow().writes - writes, 1);
}

#[test]
fn a_broadcast_reaches_all_that_are_open_in_one_write_each() {
    let mut world = world();
    let (a, b, handshaking) = (opened(&mut world), opened(&mut world), world.connect());
    let message = Prepared::from("news");
    let writes = a.wire.borrow().writes;
    world
        .connections
        .commands(&[Command::Broadcast(message.clone()), Command::Broadcast(message)], world.now);
    world.finish_turns();
    assert_eq!(a.take(), b"\x81\x04news\x81\x04news");
    assert_eq!(b.take(), b"\x81\x04news\x81\x04news");
    assert_eq!(a.wire.borrow().writes - writes, 1);
    assert_eq!(handshaking.take(), b"");
}

#[test]
fn broadcasts_and_what_is_sent_to_one_keep_their_order() {
    let mut world = world();
    let (one, other) = (opened(&mut world), opened(&mut world));
    let id = world.connections.id(one.slot).unwrap();
    let broadcast = |text: &str| Command::Broadcast(Prepared::from(text));
    let commands = [
        Command::Send(id, "1".into()),
        broadcast("2"),
        broadcast("3"),
        Command::Send(id, "4".into()),
        broadcast("5"),
        Command::Close(id, CloseCode::new(4000), String::new()),
        broadcast("6"),
    ];
    world.connections.commands(&commands, world.now);
    world.finish_turns();
    assert_eq!(one.take(), b"\x81\x011\x81\x012\x81\x013\x81\x014\x81\x015\x88\x02\x0f\xa0");
    assert_eq!(other.take(), b"\x81\x012\x81\x013\x81\x015\x81\x016");
}

#[test]
fn many_broadcasts_go_out_in_portions() {
    let mut world = world();
    let client = opened(&mut world);
    let broadcast = |byte: u8| Command::Broadcast(Prepared::from(vec![byte; 30_000]));
    let commands: Vec<_> = (0..36).map(broadcast).collect();
    let writes = client.wire.borrow().writes;
    world.connections.commands(&commands, world.now);
    world.finish_turns();
    assert_eq!(client.wire.borrow().writes - writes, 4, "nine are more than 256 KiB");
    let expect: Vec<u8> =
        (0..36).flat_map(|byte| [&b"\x82\x7e\x75\x30"[..], &[byte; 30_000]].concat()).collect();
    assert!(client.take() == expect);
}

#[test]
fn a_shutdown_closes_all_with_1001() {
    let mut world = world();
    let (open, handshaking) = (opened(&mut world), world.connect());
    world.connections.commands(&[Command::Shutdown], world.now);
    world.finish_turns();
    assert!(handshaking.is_dropped());
    assert_eq!(open.take(), b"\x88\x1d\x03\xe9the server is shutting down");
    world.send(&open, &close(1001));
    world.end(&open);
    assert!(open.is_dropped() && world.connections.is_empty());
    assert_eq!(world.connections.handler().take(), [r#"close /chat 1001 "" ok"#]);
}

#[test]
fn a_shutdown_is_spread_over_its_window() {
    let mut config = config();
    config.deadlines.drain_window = Duration::from_secs(10);
    let mut world = World::new(Recorder::default(), config);
    let clients: Vec<_> = (0..200).map(|_| world.open()).collect();
    world.connections.commands(&[Command::Shutdown], world.now);

    // Meanwhile nobody is let in, but pages are served.
    for (request, expect) in
        [(common::REQUEST, "HTTP/1.1 503 "), ("GET /page HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ")]
    {
        let client = world.connect();
        world.send(&client, request.as_bytes());
        assert!(client.take_text().starts_with(expect));
    }
    let mut closed = Vec::new();
    for _ in 0..=10 {
        assert!(world.connections.drain(world.now).is_none_or(|next| next > world.now));
        closed.push(clients.iter().filter(|client| !client.wire.borrow().to_client.is_empty()).count());
        world.now += Duration::from_secs(1);
    }
    assert_eq!(*closed.last().unwrap(), 200);
    // A fair share of them in each second: 20, and hardly ever none or 60.
    assert!(closed.windows(2).all(|two| (1..60).contains(&(two[1] - two[0]))), "{closed:?}");
    assert_eq!(world.connections.drain(world.now), None);
}

#[test]
fn durations_beyond_what_a_clock_can_say_do_no_harm() {
    let mut config = config();
    (config.deadlines.drain_window, config.deadlines.idle_timeout, config.deadlines.close_timeout) =
        (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut world = World::new(Recorder::default(), config);
    let client = world.open();
    world.connections.commands(&[Command::Shutdown], world.now);
    let moment = world.connections.drain(world.now).unwrap();
    assert!(moment - world.now <= Duration::from_secs(365 * 24 * 60 * 60));
    world.connections.drain(moment);
    assert_eq!(client.take()[..4], *b"\x88\x1d\x03\xe9");
}

#[test]
fn connections_that_are_dropped_with_their_worker_are_closed_too() {
    let mut world = world();
    opened(&mut world);
    opened(&mut world);
    let handler = world.connections.handler().clone();
    drop(world);
    assert_eq!(handler.take(), [r#"close /chat 1006 "" the worker ended"#; 2]);
}

#[test]
fn a_handler_that_panics_as_its_worker_ends() {
    let mut world = world();
    for path in ["/panic-on-close", "/chat", "/panic-on-close"] {
        let client = world.connect();
        world.send(&client, common::REQUEST.replace("/chat", path).as_bytes());
    }
    let handler = world.connections.handler().clone();
    handler.take();
    drop(world);
    let close = |path: &str| format!(r#"close {path} 1006 "" the worker ended"#);
    assert_eq!(handler.take(), [close("/panic-on-close"), close("/chat"), close("/panic-on-close")]);
}

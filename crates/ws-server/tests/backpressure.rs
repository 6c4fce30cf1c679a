//! A peer that does not read: what it can make the server keep, and what it gets when it reads again.

mod common;

use common::{Client, Recorder, Step, World, config, frame, payloads, text};
use std::time::Duration;
use ws_server::{CloseCode, Command, Config, Handler, Message, Peer, Prepared, Readiness, SendStatus};

const KB: usize = 1_000;

/// High water at 100 KB, low water at 20 KB, at most 300 KB queued; reads of 10 KB, 30 KB a turn.
fn small() -> Config {
    let mut config = config();
    (config.flow.high_water_len, config.flow.low_water_len) = (100 * KB, 20 * KB);
    config.limits.max_write_queue_len = 300 * KB;
    (config.flow.read_buffer_len, config.flow.max_read_per_turn) = (10 * KB, 30 * KB);
    config
}

fn opened(world: &mut World<Recorder>) -> Client {
    let client = world.open();
    world.connections.handler().take();
    client
}

#[test]
fn reading_pauses_over_high_water_and_goes_on_where_it_stopped() {
    let mut world = World::new(Recorder::default(), small());
    let client = opened(&mut world);
    client.wire.borrow_mut().room = Some(0);
    let messages: Vec<Vec<u8>> = (0..=255).map(|i| vec![i; 1_000 + usize::from(i)]).collect();
    let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(0x82, message)).collect();
    world.send(&client, &bytes);
    let unread = client.unread_len();
    assert!(unread > 0 && bytes.len() - unread < 130 * KB, "paused after {} bytes", bytes.len() - unread);

    // No more edges come for what is there: it has to be remembered.
    let mut received = Vec::new();
    for _ in 0..200 {
        world.make_room(&client, Some(5_000));
        received.extend(client.take());
    }
    assert!(payloads(&received, 0x82) == messages, "all of it, once and in order");
    assert_eq!(client.unread_len(), 0);
    assert!(world.connections.handler().take().iter().all(|call| call == "drain"));

    world.make_room(&client, None);
    world.send(&client, &text("as before"));
    assert_eq!(client.take(), b"\x81\x09as before");
}

#[test]
fn a_peer_lags_from_above_the_high_water_down_to_the_low_water() {
    let mut world = World::new(Recorder::default(), small());
    let client = opened(&mut world);
    client.wire.borrow_mut().room = Some(0);
    // Exactly the high water: not above it.
    world.send(&client, &frame(0x82, &vec![7; 100 * KB - 10]));
    assert_eq!(world.connections.queued_len(client.slot), Some(100 * KB));
    world.send(&client, &text("a"));
    assert_eq!(client.unread_len(), 0, "it is read from");
    world.send(&client, &text("b"));
    assert_eq!(client.unread_len(), text("b").len(), "it is not read from");
    // 100,003 bytes wait. One above the low water is not enough.
    world.make_room(&client, Some(80_002));
    assert_eq!((client.unread_len(), world.connections.handler().take().len()), (text("b").len(), 0));
    world.make_room(&client, Some(1));
    assert_eq!((client.unread_len(), world.connections.handler().take()), (0, vec!["drain".to_owned()]));
}

#[test]
fn a_flood_has_its_share_of_a_turn_however_often_its_socket_is_ready() {
    let mut world = World::new(Recorder::default(), small());
    let client = opened(&mut world);
    let flood = frame(0x8a, &[7; 94]).repeat(20_000);
    client.wire.borrow_mut().to_server.push_back(Step::Bytes(flood));
    let readable = Readiness { readable: true, writable: false, read_closed: false };
    for turn in 0..50 {
        let unread_len = client.unread_len();
        world.connections.ready(client.slot, readable, world.now);
        world.connections.end_turn(world.now);
        let read_len = unread_len - client.unread_len();
        // In the first turn, there is nobody between its share of that turn and the next one.
        let max_len = if turn == 0 { 60 * KB } else { 30 * KB };
        assert!(read_len > 0 && read_len <= max_len, "{read_len} bytes in turn {turn}");
    }
}

#[test]
fn answers_much_larger_than_their_questions_stop_within_one_read() {
    let mut world = World::new(Recorder::default(), small());
    let client = opened(&mut world);
    client.wire.borrow_mut().room = Some(0);
    // 50 questions in one read, each with an answer of 100 KB: only the first is answered now.
    world.send(&client, &text("100 KB").repeat(50));
    assert_eq!(client.unread_len(), 0, "it was all in one read");
    assert_eq!(world.connections.queued_len(client.slot), Some(100 * KB + 10));
    assert_eq!(world.connections.handler().take(), ["lagging"]);

    let mut received = Vec::new();
    for _ in 0..300 {
        world.make_room(&client, Some(50_000));
        received.extend(client.take());
    }
    assert_eq!(payloads(&received, 0x82).len(), 50);
    assert_eq!(world.connections.queued_len(client.slot), Some(0));
}

#[test]
fn a_peer_that_never_reads_what_others_send_it_is_closed() {
    let mut world = World::new(Recorder::default(), small());
    let (client, other) = (opened(&mut world), opened(&mut world));
    client.wire.borrow_mut().room = Some(0);
    let id = world.connections.id(client.slot).unwrap();
    for _ in 0..20 {
        let command = Command::Send(id, Prepared::from(vec![7; 100 * KB]));
        world.connections.commands(&[command], world.now);
        world.finish_turns();
    }
    let queued = world.connections.queued_len(client.slot).unwrap();
    assert!(queued <= 300 * KB + 127, "{queued}");
    // Its close frame is behind what it does not read, so it cannot have answered it.
    world.pass(Duration::from_secs(29));
    assert!(!client.is_dropped());
    world.pass(Duration::from_secs(1));
    assert!(client.is_dropped());
    let expect = r#"close /chat 1006 "" the peer did not read what it was sent in time, 200062 bytes unsent"#;
    assert_eq!(world.connections.handler().take(), [expect]);
    assert_eq!(other.take(), b"\x89\0", "a ping, after so long");
    world.send(&other, &text("unaffected"));
    assert_eq!(other.take(), b"\x81\x0aunaffected");
}

#[test]
fn a_slow_peer_that_was_closed_gets_what_was_accepted_and_then_the_close() {
    let mut world = World::new(Recorder::default(), small());
    let client = opened(&mut world);
    client.wire.borrow_mut().room = Some(0);
    let id = world.connections.id(client.slot).unwrap();
    for _ in 0..5 {
        let command = Command::Send(id, Prepared::from(vec![7; 100 * KB]));
        world.connections.commands(&[command], world.now);
    }
    world.finish_turns();
    world.make_room(&client, None);
    let received = client.take();
    let messages_len = 2 * (100 * KB + 10);
    assert_eq!(payloads(&received[..messages_len], 0x82), [vec![7; 100 * KB], vec![7; 100 * KB]]);
    assert_eq!(received[messages_len], 0x88);
    assert_eq!(received[messages_len + 2..messages_len + 4], 1008_u16.to_be_bytes());
}

#[test]
fn a_peer_that_lags_lives_as_long_as_it_reads() {
    let mut world = World::new(Recorder::default(), small());
    let client = opened(&mut world);
    client.wire.borrow_mut().room = Some(0);
    world.send(&client, &frame(0x82, &[7; 120 * KB]));
    for _ in 0..20 {
        world.pass(Duration::from_secs(29));
        world.make_room(&client, Some(100));
    }
    assert!(!client.is_dropped());
    world.pass(Duration::from_secs(30));
    assert!(client.is_dropped());
    let expect = r#"close /chat 1006 "" the peer did not read what it was sent in time, 118010 bytes unsent"#;
    assert_eq!(world.connections.handler().take(), [expect]);
}

#[test]
fn a_flood_has_its_share_of_a_turn_and_no_more() {
    let mut world = World::new(Recorder::default(), small());
    let (flood, other) = (opened(&mut world), opened(&mut world));
    let reads = flood.wire.borrow().reads;
    flood.wire.borrow_mut().to_server.push_back(common::Step::Bytes(frame(0x89, b"").repeat(50_000)));
    let edge = ws_server::Readiness { readable: true, writable: true, read_closed: false };
    world.connections.ready(flood.slot, edge, world.now);
    assert_eq!(flood.wire.borrow().reads - reads, 3, "30 KB, in reads of 10 KB");
    assert!(world.connections.has_unfinished());
    other.wire.borrow_mut().to_server.push_back(common::Step::Bytes(text("hello")));
    world.connections.ready(other.slot, edge, world.now);
    assert_eq!(other.take(), b"\x81\x05hello");
    world.finish_turns();
    assert_eq!(payloads(&flood.take(), 0x8a).len(), 50_000);
}

#[test]
fn a_peer_that_takes_nothing_of_what_is_queued_is_cut() {
    let mut world = World::new(Recorder::default(), small());
    let client = opened(&mut world);
    client.wire.borrow_mut().room = Some(0);
    // Less than the high water: it is still read from, and it is alive.
    world.send(&client, &text("not taken"));
    for _ in 0..29 {
        world.pass(Duration::from_secs(1));
        world.send(&client, &frame(0x8a, b""));
    }
    world.connections.handler().take();
    world.make_room(&client, Some(1));
    for _ in 0..29 {
        world.pass(Duration::from_secs(1));
        world.send(&client, &frame(0x8a, b""));
    }
    assert!(!client.is_dropped(), "it took a byte in time");
    world.connections.handler().take();
    world.pass(Duration::from_secs(1));
    assert!(client.is_dropped());
    let expect = r#"close /chat 1006 "" the peer did not read what it was sent in time, 10 bytes unsent"#;
    assert_eq!(world.connections.handler().take(), [expect]);
}

/// Sends messages of the sizes that it is asked for, and writes down what it is told.
#[derive(Default)]
struct Sizes(Vec<SendStatus>);

impl Handler for Sizes {
    type Session = ();

    fn on_message(&mut self, (): &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        assert_eq!(peer.id().to_string(), "0-0");
        let Message::Text(sizes) = message else { panic!("a text of sizes") };
        for size in sizes.split(' ') {
            self.0.push(peer.send(&vec![7; size.parse().unwrap()][..]));
        }
        self.0.push(peer.ping(&[0; 126]));
        self.0.push(peer.close(CloseCode::ABNORMAL, ""));
    }
}

#[test]
fn a_handler_is_told_what_became_of_what_it_sends() {
    use SendStatus::{Closing, Invalid, Lagging, QueueFull, Sent};
    for (sizes, expect) in [
        ("1 99987", &[Sent, Sent, Invalid, Invalid][..]),
        ("1 99988", &[Sent, Lagging, Invalid, Invalid]),
        ("100000 199990", &[Lagging, Lagging, QueueFull, Invalid]),
        ("100000 199991 1", &[Lagging, QueueFull, Closing, Closing, Invalid]),
    ] {
        let mut world = World::new(Sizes::default(), small());
        let client = world.open();
        client.wire.borrow_mut().room = Some(0);
        world.send(&client, &text(sizes));
        assert_eq!(world.connections.handler().0, expect, "{sizes}");
    }
}

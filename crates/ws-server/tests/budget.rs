//! The budget for the whole: limits for each connection do not bound a process.

mod common;

use common::{Client, Recorder, World, config, frame, text};
use ws_server::{Command, Config, OwnedMessage};

const MB: usize = 1_000_000;

/// Three quarters of it may be held.
fn with_budget(memory_budget: usize) -> Config {
    let mut config = config();
    config.memory_budget = memory_budget;
    config
}

#[test]
fn unfinished_messages_stay_within_the_budget() {
    let mut world = World::new(Recorder::default(), with_budget(20 * MB));
    let bystander = world.open();
    world.send(&bystander, &frame(0x02, &[7; 1_000])[..500]);
    let clients: Vec<Client> = (0..100).map(|_| world.open()).collect();
    // Each begins a message of 16 MB, a little at a time.
    let unfinished = frame(0x82, &vec![7; 16 * MB]);
    for piece in 0..40 {
        for client in &clients {
            if !client.is_ended() {
                world.send(client, &unfinished[piece * 100_000..][..100_000]);
                assert!(world.connections.held_len() <= 15 * MB, "{}", world.connections.held_len());
            }
        }
    }
    let ended = clients.iter().filter(|client| client.is_ended()).count();
    assert!((90..100).contains(&ended), "{ended}: the largest are ended, and no more than it takes");
    for client in clients.iter().filter(|client| client.is_ended()) {
        assert_eq!(client.take()[2..4], 1013_u16.to_be_bytes());
    }
    let calls = world.connections.handler().take();
    let expect = r#"close /chat 1013 "" the server is out of memory for this connection"#;
    assert_eq!(calls.iter().filter(|call| *call == expect).count(), ended);
    world.send(&bystander, &frame(0x02, &[7; 1_000])[500..]);
    world.send(&bystander, &frame(0x80, b""));
    assert_eq!(bystander.take().len(), 4 + 1_000, "who holds little is not touched");
}

#[test]
fn write_queues_stay_within_the_budget() {
    let mut world = World::new(Recorder::default(), with_budget(10 * MB));
    let clients: Vec<Client> = (0..20).map(|_| world.open()).collect();
    for client in &clients {
        client.wire.borrow_mut().room = Some(0);
    }
    for _ in 0..3 {
        for client in &clients {
            if let Some(id) = world.connections.id(client.slot).filter(|_| !client.is_dropped()) {
                let command = Command::Send(id, OwnedMessage::from(vec![7; MB]));
                world.connections.commands(&[command], world.now);
                assert!(world.connections.held_len() <= 7_500_000, "{}", world.connections.held_len());
            }
        }
        world.finish_turns();
    }
    let dropped = clients.iter().filter(|client| client.is_dropped()).count();
    assert!(dropped >= 10, "{dropped}: behind what they do not read, a close would free nothing");
}

#[test]
fn what_is_let_go_is_counted_back() {
    let mut world = World::new(Recorder::default(), with_budget(10 * MB));
    let client = world.open();
    for _ in 0..30 {
        let message = frame(0x82, &vec![7; 3 * MB]);
        world.send(&client, &message[..2 * MB]);
        assert!(world.connections.held_len() >= 2 * MB - 20);
        world.send(&client, &message[2 * MB..]);
        client.take();
        assert_eq!(world.connections.held_len(), 0);
    }
    world.send(&client, &frame(0x82, &vec![7; 3 * MB])[..2 * MB]);
    world.reset(&client);
    assert_eq!(world.connections.held_len(), 0);
    let half = world.connect();
    world.send(&half, b"GET / HTTP/1.1\r\n");
    assert!(world.connections.held_len() > 0);
    world.end(&half);
    assert_eq!(world.connections.held_len(), 0);
    let client = world.open();
    world.send(&client, &text("as ever"));
    assert_eq!(client.take(), b"\x81\x07as ever");
}

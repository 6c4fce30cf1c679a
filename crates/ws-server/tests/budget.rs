//! The budget for the whole: limits for each connection do not bound a process.

mod common;

use common::{Client, Recorder, World, config, frame, text};
use std::net::SocketAddr;
use ws_server::{
    Accepted, CloseCode, Command, Config, Disconnect, Handler, Message, Peer, PeerInfo, Prepared, Response,
    Upgrade,
};

const MB: usize = 1_000_000;

/// Nine sixteenths of it may be held.
fn with_budget(memory_budget: usize) -> Config {
    let mut config = config();
    config.limits.memory_budget = Some(memory_budget as u64);
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
                assert!(world.connections.held_len() <= 11_250_000, "{}", world.connections.held_len());
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
                let command = Command::Send(id, Prepared::from(vec![7; MB]));
                world.connections.commands(&[command], world.now);
                assert!(world.connections.held_len() <= 5_625_000, "{}", world.connections.held_len());
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

/// A client from this address.
fn open_from(world: &mut World<impl Handler>, ip: [u8; 4]) -> Client {
    let client = world.connect_from(SocketAddr::from((ip, 40_000)));
    world.send(&client, common::REQUEST.as_bytes());
    client.take();
    client
}

#[test]
fn a_crowd_from_one_address_does_not_push_out_a_large_message_from_another() {
    let mut world = World::new(Recorder::default(), with_budget(20 * MB));
    let honest = open_from(&mut world, [10, 0, 0, 2]);
    let large = frame(0x82, &vec![7; 4 * MB]);
    world.send(&honest, &large[..3 * MB]);
    // Sixty unfinished messages, each far smaller, and all together far more.
    let crowd: Vec<Client> = (0..60).map(|_| open_from(&mut world, [10, 0, 0, 1])).collect();
    for client in &crowd {
        world.send(client, &frame(0x02, &vec![7; MB])[..MB]);
        assert!(world.connections.held_len() <= 11_250_000, "{}", world.connections.held_len());
    }
    let ended = crowd.iter().filter(|client| client.is_ended()).count();
    assert!(ended >= 50, "{ended}: the address that holds the most pays");
    world.send(&honest, &large[3 * MB..]);
    assert_eq!(honest.take().len(), 10 + 4 * MB, "the large message comes back");
}

#[test]
fn the_largest_connections_of_an_address_end_first() {
    let mut world = World::new(Recorder::default(), with_budget(20 * MB));
    let small = open_from(&mut world, [10, 0, 0, 1]);
    world.send(&small, &frame(0x02, &[7; 1_000])[..500]);
    let large: Vec<Client> = (0..3).map(|_| open_from(&mut world, [10, 0, 0, 1])).collect();
    for client in &large {
        world.send(client, &frame(0x82, &vec![7; 16 * MB])[..6 * MB]);
    }
    assert!(large.iter().any(Client::is_ended));
    world.send(&small, &frame(0x02, &[7; 1_000])[500..]);
    world.send(&small, &frame(0x80, b""));
    assert_eq!(small.take().len(), 4 + 1_000, "who holds little is not touched");
}

#[test]
fn waiting_commands_take_from_what_connections_may_hold() {
    let mut world = World::new(Recorder::default(), with_budget(20 * MB));
    let holder = open_from(&mut world, [10, 0, 0, 1]);
    world.send(&holder, &frame(0x82, &vec![7; 9 * MB])[..8 * MB]);
    assert!(!holder.is_ended());
    let reader = open_from(&mut world, [10, 0, 0, 2]);
    let id = world.connections.id(reader.slot).unwrap();
    // They are carried out one after another, and those that wait are held meanwhile.
    let commands = (0..4).map(|_| Command::Send(id, Prepared::from(vec![7; MB]))).collect();
    world.connections.carry_out(commands, world.now);
    world.finish_turns();
    assert!(holder.is_ended(), "9 MB and 4 MB are more than 11 MB");
    assert_eq!(reader.take().len(), 4 * (10 + MB));
    assert_eq!(world.connections.held_len(), 0);
}

#[test]
fn a_broadcast_that_waits_for_many_is_held_once() {
    // Copies for all would be 2 GB, and the budget would end most of the connections.
    let mut world = World::new(Recorder::default(), with_budget(64 * MB));
    let slow: Vec<Client> =
        (0..1_000_u16).map(|i| open_from(&mut world, [10, 0, i.to_be_bytes()[0], 1])).collect();
    for client in &slow {
        client.wire.borrow_mut().room = Some(0);
    }
    let before = world.connections.held_len();
    for (byte, len) in [(1, MB), (2, MB), (3, 600)] {
        world.connections.commands(&[Command::Broadcast(Prepared::from(vec![byte; len]))], world.now);
        world.finish_turns();
    }
    let held_len = world.connections.held_len() - before;
    assert!((2 * MB..2 * MB + 1_000 * 1_000).contains(&held_len), "{held_len}");
    assert_eq!(world.connections.queued_len(slow[7].slot), Some(2 * (10 + MB) + 4 + 600));
    for client in &slow {
        assert!(!client.is_ended());
        world.make_room(client, None);
    }
    let wanted = [frame_of(1, MB), frame_of(2, MB), frame_of(3, 600)].concat();
    assert!(slow.iter().all(|client| client.take() == wanted));
    world.finish_turns();
    assert_eq!(world.connections.held_len(), before);
}

/// The frame of a binary message from the server.
fn frame_of(byte: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u16::try_from(len) {
        Ok(len) => {
            frame.push(126);
            frame.extend(len.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(vec![byte; len]);
    frame
}

#[test]
fn a_message_that_was_answered_is_not_held_while_its_peer_lags() {
    // 18 MB may be held: the message or its answer, but not both at once.
    let mut world = World::new(Recorder::default(), with_budget(32 * MB));
    let client = world.open();
    client.wire.borrow_mut().room = Some(0);
    let message = frame(0x82, &vec![7; 16 * MB]);
    world.send(&client, &message);
    assert!(!client.is_ended() && !client.is_dropped(), "{:?}", world.connections.handler().take());
    assert!(world.connections.held_len() < 17 * MB, "{}", world.connections.held_len());
    world.make_room(&client, None);
    assert_eq!(client.take().len(), 10 + 16 * MB);
}

/// Keeps what each client has sent.
struct Keeper;

impl Handler for Keeper {
    type Session = Vec<u8>;

    fn on_request(&mut self, _: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<Vec<u8>>, Response> {
        Ok(Accepted::new(vec![0; 1_000]))
    }

    fn on_message(&mut self, kept: &mut Vec<u8>, peer: &mut Peer<'_>, message: Message<'_>) {
        kept.extend_from_slice(message.as_bytes());
        if message.as_bytes() == b"close" {
            peer.close(CloseCode::NORMAL, "");
        }
    }

    fn session_len(&self, kept: &Vec<u8>) -> usize {
        kept.len()
    }

    fn on_close(&mut self, _: Vec<u8>, _: &Disconnect<'_>) {}
}

#[test]
fn sessions_are_held_as_their_handler_reports_them() {
    let mut world = World::new(Keeper, with_budget(20 * MB));
    let clients: Vec<Client> = (0..30).map(|_| world.open()).collect();
    assert_eq!(world.connections.held_len(), 30 * 1_000);
    for client in &clients {
        world.send(client, &frame(0x82, &vec![7; MB]));
        assert!(world.connections.held_len() <= 11_250_000, "{}", world.connections.held_len());
    }
    assert!(clients.iter().any(Client::is_ended), "a session counts like anything else");
    for client in clients.iter().filter(|client| !client.is_ended()) {
        world.send(client, &text("close"));
        world.send(client, &common::close(1000));
    }
    assert_eq!(world.connections.held_len(), 0);
}

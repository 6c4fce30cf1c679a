//! What happens to what others send to a peer that does not read.

mod common;

use common::{Client, Recorder, World, config, payloads, text};
use ws_server::{Command, Prepared, SlowConsumer};

const KB: usize = 1_000;

/// A peer that reads nothing, with a queue of at most 10 KB.
fn stuck(slow_consumer: SlowConsumer) -> (World<Recorder>, Client) {
    let mut config = config();
    (config.flow.high_water_len, config.flow.low_water_len, config.limits.max_write_queue_len) =
        (5 * KB, KB, 10 * KB);
    config.flow.slow_consumer = slow_consumer;
    let mut world = World::new(Recorder::default(), config);
    let client = world.open();
    client.wire.borrow_mut().room = Some(0);
    (world, client)
}

/// Others send it messages of 1 KB with these numbers.
fn send(world: &mut World<Recorder>, client: &Client, numbers: impl Iterator<Item = u8>) {
    let id = world.connections.id(client.slot).unwrap();
    for number in numbers {
        let command = Command::Send(id, Prepared::from(vec![number; KB]));
        world.connections.commands(&[command], world.now);
        world.finish_turns();
    }
}

/// The numbers of the messages that the peer gets once it reads again, all of them whole.
fn received(world: &mut World<Recorder>, client: &Client) -> Vec<u8> {
    world.make_room(client, None);
    let received = client.take();
    let messages = payloads(&received, 0x82);
    assert!(
        messages.iter().all(|message| message.len() == KB && message.iter().all(|byte| *byte == message[0]))
    );
    messages.iter().map(|message| message[0]).collect()
}

#[test]
fn drop_oldest_keeps_the_last_ones() {
    let (mut world, client) = stuck(SlowConsumer::DropOldest);
    send(&mut world, &client, 0..25);
    assert!(world.connections.queued_len(client.slot).unwrap() <= 10 * KB);
    assert_eq!(received(&mut world, &client), (16..25).collect::<Vec<_>>());
    assert_eq!(world.connections.metrics().messages_dropped, 16);
    send(&mut world, &client, 25..30);
    assert_eq!(received(&mut world, &client), (25..30).collect::<Vec<_>>(), "as ever");
}

#[test]
fn drop_oldest_leaves_what_is_begun() {
    let (mut world, client) = stuck(SlowConsumer::DropOldest);
    send(&mut world, &client, 0..3);
    world.make_room(&client, Some(500));
    send(&mut world, &client, 3..25);
    let received = received(&mut world, &client);
    assert_eq!((received[0], received.last()), (0, Some(&24)));
    let first_kept = received[1];
    assert_eq!(received[1..], (first_kept..25).collect::<Vec<_>>());
}

#[test]
fn drop_newest_keeps_the_first_ones() {
    let (mut world, client) = stuck(SlowConsumer::DropNewest);
    send(&mut world, &client, 0..25);
    assert_eq!(received(&mut world, &client), (0..9).collect::<Vec<_>>());
    assert_eq!(world.connections.metrics().messages_dropped, 16);
    send(&mut world, &client, 25..30);
    assert_eq!(received(&mut world, &client), (25..30).collect::<Vec<_>>(), "as ever");
}

#[test]
fn latest_only_keeps_the_last_one() {
    let (mut world, client) = stuck(SlowConsumer::LatestOnly);
    send(&mut world, &client, 0..25);
    assert_eq!(received(&mut world, &client), [24]);
    send(&mut world, &client, 25..30);
    assert_eq!(
        received(&mut world, &client),
        (25..30).collect::<Vec<_>>(),
        "a peer that reads misses nothing"
    );
}

#[test]
fn what_the_handler_sends_is_never_dropped_from_the_queue() {
    for policy in [SlowConsumer::DropOldest, SlowConsumer::DropNewest, SlowConsumer::LatestOnly] {
        let (mut world, client) = stuck(policy);
        world.send(&client, &text("echo"));
        send(&mut world, &client, 0..25);
        world.make_room(&client, None);
        assert!(client.take().starts_with(b"\x81\x04echo"), "{policy:?}");
        world.send(&client, &text("100 KB"));
        assert_eq!(client.take(), b"", "{policy:?}: it does not fit, and is not sent");
        world.send(&client, &text("and goes on"));
        assert_eq!(client.take(), b"\x81\x0band goes on", "{policy:?}");
    }
}

#[test]
fn a_large_message_of_which_nothing_is_written_is_dropped_like_any_other() {
    for (policy, expect) in [(SlowConsumer::LatestOnly, vec![2]), (SlowConsumer::Close, vec![0, 1, 2])] {
        let mut config = config();
        config.flow.slow_consumer = policy;
        let mut world = World::new(Recorder::default(), config);
        let client = world.open();
        client.wire.borrow_mut().room = Some(0);
        let id = world.connections.id(client.slot).unwrap();
        for number in 0..3 {
            let message = Prepared::from(vec![number; 30_000]);
            world.connections.commands(&[Command::Send(id, message)], world.now);
        }
        world.finish_turns();
        world.make_room(&client, None);
        let received: Vec<u8> = payloads(&client.take(), 0x82).iter().map(|payload| payload[0]).collect();
        assert_eq!(received, expect, "{policy:?}");
    }
}

//! permessage-deflate, as the server agrees on it and pays for it (RFC 7692 §7.1).
#![cfg(feature = "deflate")]

mod common;

use common::{Client, REQUEST, Recorder, World, config, frame};
use std::iter;
use ws_server::{Command, Compression, Config, Prepared, WindowBits};

fn with(compression: Compression) -> Config {
    let mut config = config();
    config.compression = Some(compression);
    config
}

/// A client that offers this, and what the server says to it.
fn offer(world: &mut World<Recorder>, offer: &str) -> (Client, Option<String>) {
    let client = world.connect();
    let request = REQUEST.replace("13\r\n", &format!("13\r\nSec-WebSocket-Extensions: {offer}\r\n"));
    world.send(&client, request.as_bytes());
    let response = client.take_text();
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    let field = response.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    (client, field.map(str::to_owned))
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    iter::repeat_with(step).take(len).collect()
}

/// "Hello", compressed, as a client sends it (RFC 7692 §7.2.3.1).
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn what_is_offered_is_answered_as_configured() {
    let mut takeover = Compression::takeover();
    takeover.client_max_window_bits = WindowBits::new(10).unwrap();
    let mut smallest = takeover.clone();
    smallest.client_max_window_bits = WindowBits::MIN;
    let shared = Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    let rows = [
        ("off", None, "permessage-deflate", None),
        ("another extension", Some(Compression::default()), "x-webkit-deflate-frame", None),
        ("by default", Some(Compression::default()), "permessage-deflate; client_max_window_bits", shared),
        (
            "a bad offer is passed over",
            Some(Compression::default()),
            "permessage-deflate; x, permessage-deflate",
            shared,
        ),
        (
            "takeover, and a window that the client can be told",
            Some(takeover.clone()),
            "permessage-deflate; client_max_window_bits",
            Some("permessage-deflate; client_max_window_bits=10"),
        ),
        (
            "no client is asked for a window that zlib does not have",
            Some(smallest),
            "permessage-deflate; client_max_window_bits",
            Some("permessage-deflate; client_max_window_bits=9"),
        ),
        (
            "a client that wants to be told our window",
            Some(takeover),
            "permessage-deflate; server_max_window_bits=14",
            Some("permessage-deflate; server_max_window_bits=14"),
        ),
    ];
    for (name, compression, offered, expect) in rows {
        let mut config = config();
        config.compression = compression;
        let mut world = World::new(Recorder::default(), config);
        assert_eq!(offer(&mut world, offered).1.as_deref(), expect, "{name}");
    }
}

#[test]
fn compressed_messages_are_echoed_compressed_if_that_is_worth_it() {
    let mut world = World::new(Recorder::default(), with(Compression::default()));
    let (client, _) = offer(&mut world, "permessage-deflate");
    world.send(&client, &frame(0xc1, HELLO));
    assert_eq!(client.take(), b"\x81\x05Hello", "too small");
    world.send(&client, &frame(0x81, "Hello ".repeat(50).as_bytes()));
    let echo = client.take();
    assert_eq!(echo[0], 0xc1);
    assert!(echo.len() < 30, "{} bytes", echo.len());

    let mut world = World::new(Recorder::default(), config());
    let (client, _) = offer(&mut world, "permessage-deflate");
    world.send(&client, &frame(0xc1, HELLO));
    assert_eq!(client.take()[2..4], 1002_u16.to_be_bytes(), "not agreed");
}

#[test]
fn a_broadcast_is_compressed_for_those_who_agreed() {
    let mut world = World::new(Recorder::default(), with(Compression::default()));
    let (compressed, _) = offer(&mut world, "permessage-deflate");
    let plain = world.open();
    let news = "news ".repeat(50);
    let command = Command::Broadcast(Prepared::from(news.clone()));
    world.connections.commands(&[command], world.now);
    world.finish_turns();
    assert_eq!(compressed.take()[0], 0xc1);
    assert_eq!(plain.take(), [b"\x81\x7e\x00\xfa", news.as_bytes()].concat());
}

#[test]
fn a_broadcast_is_compressed_for_two_windows_at_most() {
    // Digits, which get smaller by any window, and come again after distances for which one of 9, 10 or 13 bits is needed.
    let digits: Vec<u8> = noise(1, 5_000).iter().map(|byte| b'0' + byte % 10).collect();
    let news = [200, 600, 5_000].map(|len| digits[..len].repeat(2)).concat();
    for ours in [15, 12] {
        let compression =
            Compression { server_max_window_bits: WindowBits::new(ours).unwrap(), ..Compression::default() };
        let mut world = World::new(Recorder::default(), with(compression));
        let clients: Vec<_> = (8..=15)
            .map(|bits| {
                let offered = format!("permessage-deflate; server_max_window_bits={bits}");
                let (client, said) = offer(&mut world, &offered);
                assert!(said.unwrap().ends_with(&format!("server_max_window_bits={bits}")));
                client
            })
            .collect();
        world.connections.commands(&[Command::Broadcast(Prepared::from(news.clone()))], world.now);
        world.finish_turns();
        let mut frames: Vec<_> = clients.iter().map(Client::take).collect();
        assert_eq!(frames[0][0], 0x82, "no compressor has a window of 8 bits");
        frames.remove(0);
        frames.dedup();
        assert_eq!(frames.iter().map(|frame| frame[0]).collect::<Vec<_>>(), [0xc2, 0xc2], "{ours} bits");
    }
}

#[test]
fn a_secret_of_others_is_sent_as_it_is() {
    // What is compressed together with a secret tells of it by its length (RFC 7692 §10.1).
    let mut world = World::new(Recorder::default(), with(Compression::default()));
    let (client, _) = offer(&mut world, "permessage-deflate");
    let secret = "secret ".repeat(30);
    let id = world.connections.id(client.slot).unwrap();
    let own = || Prepared::from(&*secret);
    let as_it_is = || Prepared::uncompressed(&*secret);
    let commands = [
        Command::Send(id, as_it_is()),
        Command::Broadcast(as_it_is()),
        Command::Broadcast(own()),
        Command::Broadcast(as_it_is()),
        Command::Send(id, own()),
    ];
    world.connections.commands(&commands, world.now);
    world.finish_turns();
    let sent = common::frames(&client.take()).0;
    let first_bytes: Vec<u8> = sent.iter().map(|(first, _)| *first).collect();
    assert_eq!(first_bytes, [0x81, 0x81, 0xc1, 0x81, 0xc1], "in order");
    for (_, payload) in sent.iter().filter(|(first, _)| *first == 0x81) {
        assert_eq!(*payload, secret.as_bytes());
    }
}

#[test]
fn what_is_sent_refers_no_further_back_than_our_window() {
    // So much later, a message comes again. Random bytes between the two leave nothing else to refer to.
    for (window_bits, between, expect) in [(12, 1, true), (12, 6, false), (15, 6, true), (15, 40, false)] {
        let mut compression = Compression::takeover();
        compression.server_max_window_bits = WindowBits::new(window_bits).unwrap();
        let mut world = World::new(Recorder::default(), with(compression));
        let (client, _) = offer(&mut world, "permessage-deflate");
        let mut echo_len = |message: &[u8]| {
            world.send(&client, &frame(0x82, message));
            client.take().len()
        };
        let message = noise(1, 1000);
        assert!(echo_len(&message) > 1000, "it is new");
        (0..between).for_each(|other| assert!(echo_len(&noise(other + 2, 1000)) > 1000, "it is new"));
        assert_eq!(echo_len(&message) < 100, expect, "{between} messages later, with {window_bits} bits");
    }
}

#[test]
fn compressors_of_single_connections_stay_within_their_budget() {
    let mut compression = Compression { server_context_takeover: true, ..Compression::default() };
    compression.max_compressors_len = 700_000;
    let mut world = World::new(Recorder::default(), with(compression));
    let own = Some("permessage-deflate; client_no_context_takeover".to_owned());
    let shared =
        Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned());
    let (first, said) = offer(&mut world, "permessage-deflate");
    assert_eq!(said, own);
    assert_eq!(offer(&mut world, "permessage-deflate").1, own);
    assert_eq!(offer(&mut world, "permessage-deflate").1, shared, "two of 380 KB are spent");
    world.reset(&first);
    assert_eq!(offer(&mut world, "permessage-deflate").1, own, "one was given back");
    assert_eq!(offer(&mut world, "permessage-deflate").1, shared);
}

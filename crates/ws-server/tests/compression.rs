//! permessage-deflate, as the server agrees on it and pays for it (RFC 7692 §7.1).
#![cfg(feature = "deflate")]

mod common;

use common::{Client, REQUEST, Recorder, World, config, frame};
use ws_server::{Command, Compression, Config, OwnedMessage, WindowBits};

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

/// "Hello", compressed, as a client sends it (RFC 7692 §7.2.3.1).
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn what_is_offered_is_answered_as_configured() {
    let mut takeover = Compression::default();
    (takeover.server_takeover, takeover.client_takeover) = (true, true);
    (takeover.server_max_window_bits, takeover.client_max_window_bits) =
        (WindowBits::new(12).unwrap(), WindowBits::new(10).unwrap());
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
            "takeover and windows",
            Some(takeover),
            "permessage-deflate; client_max_window_bits",
            Some("permessage-deflate; server_max_window_bits=12; client_max_window_bits=10"),
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
    let command = Command::Broadcast(OwnedMessage::from(&*news).into());
    world.connections.command(&command, world.now);
    world.finish_turns();
    assert_eq!(compressed.take()[0], 0xc1);
    assert_eq!(plain.take(), [b"\x81\x7e\x00\xfa", news.as_bytes()].concat());
}

#[test]
fn compressors_of_single_connections_stay_within_their_budget() {
    let mut compression = Compression::default();
    compression.server_takeover = true;
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

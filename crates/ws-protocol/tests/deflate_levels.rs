//! RFC 7692: how hard a message is compressed, and that both sides stay in step.
#![cfg(feature = "deflate")]

mod common;

use common::compressed::{agreement, compressed_with, deflate, letters, noise, round_trip};
use ws_frame::FrameHeader;
use ws_protocol::{CompressionLevel, Message, MessageLimits, Output, Protocol, WindowBits};

/// What zlib makes of a message at this level, by itself.
fn compressed_at(level: u8, message: &[u8]) -> Vec<u8> {
    compressed_with(i32::from(level), zlib_rs::Strategy::Default, message)
}

#[test]
fn long_messages_are_compressed_at_lower_levels_and_very_long_ones_not_at_all() {
    const KIB: usize = 1 << 10;
    let text = letters(2_100_000);
    // The level that was asked for, a length, and the level that is used.
    for (asked, len, expect) in [
        (9, 8 * KIB, Some(9)),
        (9, 8 * KIB + 1, Some(6)),
        (7, 64 * KIB, Some(6)),
        (6, 64 * KIB, Some(6)),
        (3, 64 * KIB, Some(3)),
        (9, 64 * KIB + 1, Some(1)),
        (3, 64 * KIB + 1, Some(1)),
        (1, 1_000, Some(1)),
        (9, 1_000, Some(9)),
        (1, 2_048 * KIB, Some(1)),
        (6, 2_048 * KIB + 1, None),
    ] {
        for takeover in [false, true] {
            let mut config = deflate(takeover);
            config.level = CompressionLevel::new(asked).unwrap();
            let mut protocol = Protocol::server(MessageLimits::default()).with_deflate(&config);
            let message = &text[..len];
            let mut out = Output::new();
            protocol.sender().send(Message::Binary(message), &mut out).unwrap();
            let (header, header_len) = FrameHeader::decode(out.as_bytes()).unwrap().unwrap();
            assert_eq!(header.rsv1(), expect.is_some(), "{len} bytes, level {asked}");
            let payload = match expect {
                Some(level) => compressed_at(level, message),
                None => message.to_vec(),
            };
            assert!(
                out.as_bytes()[header_len..] == payload,
                "{len} bytes, level {asked}, takeover: {takeover}"
            );
        }
    }
}

#[test]
fn a_message_at_another_level_or_uncompressed_leaves_both_windows_in_step() {
    let known = letters(20_000);
    for window_bits in 9..=15 {
        for level in [1, 6, 9] {
            let window_bits = WindowBits::new(window_bits).unwrap();
            let window_len = 1 << window_bits.get();
            let level = CompressionLevel::new(level).unwrap();
            let (server, client) = agreement((true, true), (window_bits, window_bits), 0, level);
            let large = [noise(70_000), known[..300].to_vec()].concat();
            let messages = [
                known[..500].to_vec(),
                // Level 6, if 9 was asked for; level 1; by level 1 no smaller, and so as it is; not compressed.
                known.repeat(2),
                known.repeat(6),
                large.clone(),
                vec![7; 5 << 20],
                known[..500].to_vec(),
                b"and then".repeat(10),
                known[100..400].to_vec(),
            ];
            round_trip(&server, &client, &messages, 100_000);
            // What comes next refers to the end of a message that was compressed at another level, as to any other.
            let mut protocol = Protocol::server(MessageLimits::default()).with_deflate(&server);
            let end = &noise(window_len / 4);
            let long = [vec![7; 70_000], end.clone()].concat();
            for (message, most) in [
                (&long[40_000..], 1_000 + end.len() * 2),
                (end, 20 + end.len() / 10),
                (&long, 1_000 + end.len() * 2),
                (end, 20 + end.len() / 10),
            ] {
                let mut out = Output::new();
                protocol.sender().send(Message::Binary(message), &mut out).unwrap();
                assert!(out.len() < most, "{} of {} bytes, {window_bits:?}", out.len(), message.len());
            }
        }
    }
}

#[test]
fn windows_and_levels_are_those_that_zlib_has() {
    for bits in 0..=u8::MAX {
        assert_eq!(WindowBits::new(bits).map(WindowBits::get), (8..=15).contains(&bits).then_some(bits));
    }
    for level in 0..=u8::MAX {
        let expect = (1..=9).contains(&level).then_some(level);
        assert_eq!(CompressionLevel::new(level).map(CompressionLevel::get), expect);
    }
    assert_eq!((WindowBits::MIN.get(), WindowBits::MAX.get()), (8, 15));
    assert_eq!((CompressionLevel::MIN.get(), CompressionLevel::MAX.get()), (1, 9));
}

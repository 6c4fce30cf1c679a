//! RFC 7692: what a compressed message may be, may take and may cost.
#![cfg(feature = "deflate")]

mod common;

use common::{
    KEY, Row, Side, check,
    compressed::{compressed_after, compressed_by_oracle, compressed_with, deflate, frame, noise, setup},
    from_peer_of, run,
};
use ws_protocol::{Input, MessageLimits, Output, Protocol, WindowBits};

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let bomb = compressed_by_oracle(&vec![0; 20 << 20]);
    assert!(bomb.len() < 30_000);
    let outcome = run(Side::Client, setup(false), &[&frame(0xc2, &bomb)], false);
    assert_eq!(outcome.events, ["error: a message is larger than 16777216 bytes"]);
    assert_eq!(outcome.sent, ["close 1009"]);
    let pieces: Vec<_> = frame(0xc1, &bomb);
    let outcome = run(Side::Client, setup(true), &pieces.chunks(100).collect::<Vec<_>>(), false);
    assert_eq!(outcome.sent, ["close 1009"]);
}

#[test]
fn a_bomb_is_stopped_at_the_limit_in_fragments_and_across_takeover() {
    let mut limits = MessageLimits::default();
    limits.max_message_len = 1 << 20;
    let mut receiver = Protocol::client(limits, || KEY).with_deflate(&deflate(true));
    let mut out = Output::new();
    // Each message is the first one again and again, by reference to it.
    let text = noise(20_000);
    for (count, expect) in [(1, None), (50, None), (2_000, Some("a message is larger than 1048576 bytes"))] {
        let payload = compressed_after(if count == 1 { b"" } else { &text }, &text.repeat(count));
        let mut error = None;
        let fragments: Vec<&[u8]> = payload.chunks(100).collect();
        for (index, fragment) in fragments.iter().enumerate() {
            let first =
                if index == 0 { 0x42 } else { 0 } | if index + 1 == fragments.len() { 0x80 } else { 0 };
            let mut bytes = frame(first, fragment);
            error = receiver.receive(&mut Input::new(&mut bytes), &mut out).err();
            let held = receiver.held_len();
            assert!(held < (1 << 20) + 100_000, "{held} bytes are held");
            if error.is_some() {
                break;
            }
        }
        assert_eq!(error.map(|error| error.to_string()).as_deref(), expect, "{count} times");
    }
}

#[test]
fn the_limit_is_on_what_comes_out() {
    let mut setup = setup(true);
    setup.limits.max_message_len = 5;
    check(setup, ("as large as allowed", &["c1 07 f2 48 cd c9 c9 07 00"], &["text Hello"], &[]));
    check(setup, ("in fragments", &["41 03 f2 48 cd", "80 04 c9 c9 07 00"], &["text Hello"], &[]));
    setup.limits.max_message_len = 4;
    let too_big = &["error: a message is larger than 4 bytes"];
    check(setup, ("one byte more", &["c1 07 f2 48 cd c9 c9 07 00"], too_big, &["close 1009"]));
    // A seventh of 700 bytes, and 64: DEFLATE does not make more of 700 bytes.
    setup.limits.max_message_len = 700;
    let too_big = &["error: a message is larger than 700 bytes"];
    check(setup, ("too many bytes for any message within it", &["c2 7e 03 61"], too_big, &["close 1009"]));
    let full = [&[0x42, 0x7e, 0x03, 0x60][..], &[0, 0, 0, 0xff, 0xff].repeat(172), &[0, 0, 0, 0xff]].concat();
    for side in [Side::Server, Side::Client] {
        let full = from_peer_of(side, &full);
        assert!(run(side, setup, &[&full], false).sent.is_empty(), "as many bytes as that, {side:?}");
        let pieces = [&*full, &from_peer_of(side, &[0x80, 0x01])];
        assert_eq!(
            run(side, setup, &pieces, false).sent,
            ["close 1009"],
            "one more, in a fragment, {side:?}"
        );
    }
    // 8 bytes in, 9 out: what is wrong first counts, wherever it is cut.
    setup.limits.max_message_len = 8;
    let nine = compressed_by_oracle(b"aaaaaaaaa");
    assert!(nine.len() <= 8);
    for first in [0xc2, 0x42] {
        let outcome = run(Side::Client, setup, &[&frame(first, &nine)], false);
        assert_eq!(outcome.events, ["error: a message is larger than 8 bytes"]);
    }
}

#[test]
fn a_message_at_the_limit_is_taken_however_badly_it_was_compressed() {
    for limit in [1, 2, 127, 1_000, 16_383, 16_384, 16_385, 65_536, 1 << 20] {
        let mut setup = setup(false);
        setup.limits.max_message_len = limit;
        // Bytes above 143 have nine bits in the fixed codes.
        let high: Vec<u8> = noise(limit + 1).iter().map(|byte| byte | 0x90).collect();
        for (name, message) in
            [("noise", noise(limit + 1)), ("nine bits a byte", high), ("zeros", vec![0; limit + 1])]
        {
            for level in [0, 1, 6] {
                for strategy in [zlib_rs::Strategy::Default, zlib_rs::Strategy::Fixed] {
                    for len in [limit, limit + 1] {
                        let payload = compressed_with(level, strategy, &message[..len]);
                        let name = format!("{len} bytes of {name}, level {level}, {strategy:?}");
                        let (first, last) = payload.split_at(payload.len() / 2);
                        for bytes in [frame(0xc2, &payload), [frame(0x42, first), frame(0x80, last)].concat()]
                        {
                            let outcome = run(Side::Client, setup, &[&bytes], false);
                            let sent: &[&str] = if len > limit { &["close 1009"] } else { &[] };
                            assert_eq!((outcome.events.len(), outcome.sent.len()), (1, sent.len()), "{name}");
                            assert_eq!(outcome.sent, sent, "{name}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn text_that_fills_the_window_and_ends_within_a_character_is_invalid() {
    for bits in 8..=15_u8 {
        for cut in ["\u{e9}", "\u{20ac}", "\u{1f600}"].map(str::as_bytes) {
            for cut in (1..cut.len()).map(|len| &cut[..len]) {
                let mut setup = setup(true);
                setup.deflate.as_mut().unwrap().receive_window_bits = WindowBits::new(bits).unwrap();
                let window_len = 1 << bits;
                for len in [window_len - cut.len(), window_len - 1, window_len, window_len + 1] {
                    let text = [&b"a".repeat(len), cut].concat();
                    let bytes = frame(0xc1, &compressed_by_oracle(&text));
                    let outcome = run(Side::Client, setup, &[&bytes], false);
                    assert_eq!(
                        outcome.events,
                        ["error: a text message is not UTF-8"],
                        "{bits} bits, {cut:02x?}"
                    );
                    assert_eq!(outcome.sent, ["close 1007"], "{bits} bits, {cut:02x?}");
                }
            }
        }
    }
}

/// Blocks with BFINAL set (RFC 7692 §7.2.3.5): these pieces, each of which refers to all before it within the window.
fn final_blocks(before: &[u8], pieces: &[&[u8]], window_len: usize) -> Vec<u8> {
    let (mut all, mut payload) = (before.to_vec(), Vec::new());
    for piece in pieces {
        let mut deflate = zlib_rs::Deflate::new(9, false, 15);
        let window = &all[all.len().saturating_sub(window_len)..];
        if !window.is_empty() {
            deflate.set_dictionary(window).unwrap();
        }
        let mut block = vec![0; piece.len() + 100];
        deflate.compress(piece, &mut block, zlib_rs::DeflateFlush::Finish).unwrap();
        payload.extend_from_slice(&block[..usize::try_from(deflate.total_out()).unwrap()]);
        all.extend_from_slice(piece);
    }
    payload.push(0);
    payload
}

#[test]
fn blocks_after_a_final_one_refer_to_what_was_before_it() {
    let known = "größer als das, was hier schon stand; ".repeat(9);
    let new = "was neu ist, ohne Bezug ".to_owned();
    let (known, new) = (known.as_bytes(), new.as_bytes());
    let rows: [(&str, &[&[u8]]); 6] = [
        ("to the message before", &[known]),
        ("to nothing", &[new]),
        ("to nothing, then to the message before, then to this one", &[new, known, new]),
        ("empty ones between them", &[b"", known, b"", b"", new, b""]),
        (
            "a character that is cut by a block's end",
            &[b"gr\xc3", b"\xb6\xc3\x9f", b"er als das", b"\xe2", b"\x82", b"\xac"],
        ),
        ("more than a window", &[&known.repeat(200), new, &known.repeat(3)]),
    ];
    for window_bits in [9, 12, 15_u8] {
        for (name, pieces) in rows {
            let mut setup = setup(true);
            setup.deflate.as_mut().unwrap().receive_window_bits = WindowBits::new(window_bits).unwrap();
            let payload = final_blocks(known, pieces, 1 << window_bits);
            let text = |bytes: &[u8]| format!("text {}", str::from_utf8(bytes).unwrap());
            let events = [text(known), text(&pieces.concat()), text(known)];
            let again = compressed_after(last(&[known, &pieces.concat()].concat(), 1 << window_bits), known);
            let bytes =
                [frame(0xc1, &compressed_by_oracle(known)), frame(0xc1, &payload), frame(0xc1, &again)]
                    .concat();
            for piece_len in [1, 7, bytes.len()] {
                let cuts: Vec<&[u8]> = bytes.chunks(piece_len).collect();
                let outcome = run(Side::Client, setup, &cuts, false);
                assert!(outcome.events == events, "{name}, {window_bits} bits, in pieces of {piece_len}");
            }
        }
    }
}

fn last(bytes: &[u8], len: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(len)..]
}

#[test]
fn final_blocks_count_as_fragments() {
    let error = "error: a message has more than 3 fragments";
    let mut setup = setup(true);
    setup.limits.max_fragments = 3;
    let rows: [Row<'_>; 7] = [
        ("the first is free", &["c1 08 f3 48 cd c9 c9 07 00 00"], &["text Hello"], &[]),
        ("two more", &["c2 07 03 00 03 00 03 00 00"], &["binary []"], &[]),
        ("three more", &["c2 09 03 00 03 00 03 00 03 00 00"], &[error], &["close 1008"]),
        ("they are refused before the end", &["42 08 03 00 03 00 03 00 03 00"], &[error], &["close 1008"]),
        ("beside fragments", &["42 02 03 00", "00 02 03 00", "80 03 03 00 00"], &[error], &["close 1008"]),
        (
            "blocks without compression, and what pads them",
            &["c2 14 01 00 00 ff ff f9 00 00 ff ff 03 fc 01 00 00 ff ff 03 00 00"],
            &[error],
            &["close 1008"],
        ),
        (
            "each message has its own",
            &["c2 07 03 00 03 00 03 00 00", "c2 07 03 00 03 00 03 00 00"],
            &["binary []", "binary []"],
            &[],
        ),
    ];
    for row in rows {
        check(setup, row);
    }
    setup.limits.max_fragments = 0;
    check(setup, ("within any limit", &["c1 08 f3 48 cd c9 c9 07 00 00"], &["text Hello"], &[]));
    let begin = final_blocks(b"", &[b"abcdef"], 9);
    let (_, begin) = begin.split_last().unwrap();
    let refers = final_blocks(b"abcdef", &[b"abcdef"], 9);
    let (_, refers) = refers.split_last().unwrap();
    for (name, block) in [("a byte each", &[0x63, 0, 0][..]), ("a reference each", refers)] {
        assert!(block.len() < 6, "{name}");
        let payload = [begin, &block.repeat(140_000)].concat();
        let outcome = run(Side::Client, self::setup(false), &[&frame(0xc2, &payload)], false);
        assert_eq!(outcome.events, ["error: a message has more than 131072 fragments"], "{name}");
    }
}

#[test]
fn a_message_goes_on_with_another_output() {
    let text = noise(40_000);
    for payload in [compressed_by_oracle(&text), final_blocks(b"", &[&text[..20_000], &text], 32 << 10)] {
        let mut receiver = Protocol::client(MessageLimits::default(), || KEY).with_deflate(&deflate(true));
        let mut messages = 0;
        for piece in frame(0xc2, &payload).chunks_mut(1_000) {
            let (mut input, mut out) = (Input::new(piece), Output::new());
            while receiver.receive(&mut input, &mut out).unwrap().is_some() {
                messages += 1;
            }
        }
        assert_eq!(messages, 1);
    }
}

//! RFC 7692 §6, §7.2: compressed messages. Each row holds in both roles and wherever its bytes are cut.
#![cfg(feature = "deflate")]

mod common;

use common::{KEY, Row, Setup, Side, check, from_peer_of, run};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;
use ws_frame::{FrameHeader, Opcode};
use ws_protocol::{
    CompressionLevel, DeflateConfig, Event, Input, Limits, Message, Output, PreparedMessage, Protocol,
    WindowBits,
};

/// Agreed, with or without context takeover, and everything compressed that may be.
fn deflate(takeover: bool) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    (config.send_takeover, config.receive_takeover, config.min_len) = (takeover, takeover, 0);
    config
}

fn setup(takeover: bool) -> Setup {
    Setup { deflate: Some(deflate(takeover)), ..Setup::default() }
}

fn check_all(rows: &[Row<'_>]) {
    for row in rows {
        for takeover in [true, false] {
            check(setup(takeover), *row);
        }
    }
}

#[test]
fn the_messages_of_the_rfcs_examples() {
    check_all(&[
        ("§7.2.3.1 one block", &["c1 07 f2 48 cd c9 c9 07 00"], &["text Hello"], &[]),
        ("§7.2.3.1 in fragments", &["41 03 f2 48 cd", "80 04 c9 c9 07 00"], &["text Hello"], &[]),
        (
            "§7.2.3.3 a block without compression",
            &["c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00"],
            &["text Hello"],
            &[],
        ),
        ("§7.2.3.4 a block with BFINAL", &["c1 08 f3 48 cd c9 c9 07 00 00"], &["text Hello"], &[]),
        ("§7.2.3.5 two blocks", &["c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00"], &["text Hello"], &[]),
        ("§7.2.3.6 an empty message", &["c1 01 00"], &["text "], &[]),
    ]);
    let rows: [Row<'_>; 2] = [
        (
            "§7.2.3.2 the second refers to the first",
            &["c1 07 f2 48 cd c9 c9 07 00", "c1 05 f2 00 11 00 00"],
            &["text Hello", "text Hello"],
            &[],
        ),
        (
            "§7.2.3.2 also where the first had BFINAL, or was binary, or came between pings and uncompressed ones",
            &["c2 08 f3 48 cd c9 c9 07 00 00", "89 00", "81 02 68 69", "c1 05 f2 00 11 00 00"],
            &["binary [48, 65, 6c, 6c, 6f]", "ping ", "text hi", "text Hello"],
            &["pong "],
        ),
    ];
    for row in rows {
        check(setup(true), row);
        check(
            setup(false),
            (
                row.0,
                row.1,
                &[&row.2[..row.2.len() - 1], &[NOT_DEFLATE]].concat(),
                &[row.3, &["close 1007"]].concat(),
            ),
        );
    }
}

const NOT_DEFLATE: &str = "error: a compressed message does not inflate";

#[test]
fn what_is_not_compressed_is_as_before() {
    check_all(&[
        ("§6 uncompressed", &["81 05 48 65 6c 6c 6f"], &["text Hello"], &[]),
        ("§6 uncompressed fragments", &["01 03 48 65 6c", "80 02 6c 6f"], &["text Hello"], &[]),
        (
            "§6.1 control frames between compressed fragments",
            &["41 03 f2 48 cd", "89 01 70", "80 04 c9 c9 07 00"],
            &["ping p", "text Hello"],
            &["pong p"],
        ),
    ]);
}

#[test]
fn rsv1_is_for_the_first_frame_of_a_message() {
    let error = &["error: a reserved bit (RSV1) is set"];
    check_all(&[
        ("§6.1 on a continuation", &["41 03 f2 48 cd", "c0 04 c9 c9 07 00"], error, &["close 1002"]),
        (
            "§6.1 on a continuation of an uncompressed message",
            &["01 01 61", "c0 01 62"],
            error,
            &["close 1002"],
        ),
        ("§6.1 on a ping", &["c9 00"], error, &["close 1002"]),
        ("§6.1 on a pong", &["ca 00"], error, &["close 1002"]),
        ("§6.1 on a close", &["c8 00"], error, &["close 1002"]),
        ("RSV2 beside it", &["e1 00"], &["error: a reserved bit (RSV2 or RSV3) is set"], &["close 1002"]),
    ]);
    check(Setup::default(), ("not agreed", &["c1 07 f2 48 cd c9 c9 07 00"], error, &["close 1002"]));
}

#[test]
fn what_does_not_inflate_fails_the_connection() {
    check_all(&[
        ("a reserved block type", &["c1 01 07"], &[NOT_DEFLATE], &["close 1007"]),
        (
            "a stored block whose lengths do not agree",
            &["c1 05 00 05 00 00 00"],
            &[NOT_DEFLATE],
            &["close 1007"],
        ),
        ("a distance before the first byte", &["c1 05 f2 00 11 00 00"], &[NOT_DEFLATE], &["close 1007"]),
        ("in a first fragment", &["41 01 07"], &[NOT_DEFLATE], &["close 1007"]),
    ]);
}

#[test]
fn text_is_utf8_after_inflating() {
    let stored = |text: &[u8]| {
        let len = u8::try_from(text.len()).unwrap();
        let block = [&[0, len, 0, !len, 0xff], text, &[0]].concat();
        format!(
            "c1 {:02x} {}",
            block.len(),
            block.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" ")
        )
    };
    let invalid = &["error: a text message is not UTF-8"];
    check_all(&[
        ("valid", &[&stored("grüße".as_bytes())], &["text grüße"], &[]),
        ("invalid", &[&stored(b"a\xff")], invalid, &["close 1007"]),
        ("cut at its end", &[&stored(b"a\xce")], invalid, &["close 1007"]),
        ("before it is over", &[&stored(b"a\xff").replace("c1", "41")], invalid, &["close 1007"]),
    ]);
}

/// A message as zlib's other implementation compresses it.
fn compressed_by_oracle(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 1_000);
    Compress::new(Compression::best(), false).compress_vec(message, &mut bytes, FlushCompress::Sync).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader::new(Opcode::Binary, payload.len() as u64).unwrap().encode();
    [&[first], &header.as_ref()[1..], payload].concat()
}

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
    let mut limits = Limits::default();
    limits.max_message_size = 1 << 20;
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

/// A message as zlib compresses it after others that end with these bytes.
fn compressed_after(before: &[u8], message: &[u8]) -> Vec<u8> {
    let mut deflate = zlib_rs::Deflate::new(9, false, 15);
    if !before.is_empty() {
        deflate.set_dictionary(before).unwrap();
    }
    let mut payload = vec![0; message.len() + 1_000];
    deflate.compress(message, &mut payload, zlib_rs::DeflateFlush::SyncFlush).unwrap();
    payload.truncate(usize::try_from(deflate.total_out()).unwrap() - 4);
    payload
}

#[test]
fn the_limit_is_on_what_comes_out() {
    let mut setup = setup(true);
    setup.limits.max_message_size = 5;
    check(setup, ("as large as allowed", &["c1 07 f2 48 cd c9 c9 07 00"], &["text Hello"], &[]));
    check(setup, ("in fragments", &["41 03 f2 48 cd", "80 04 c9 c9 07 00"], &["text Hello"], &[]));
    setup.limits.max_message_size = 4;
    let too_big = &["error: a message is larger than 4 bytes"];
    check(setup, ("one byte more", &["c1 07 f2 48 cd c9 c9 07 00"], too_big, &["close 1009"]));
    // A seventh of 700 bytes, and 64: DEFLATE does not make more of 700 bytes.
    setup.limits.max_message_size = 700;
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
    setup.limits.max_message_size = 8;
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
        setup.limits.max_message_size = limit;
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

fn compressed_with(level: i32, strategy: zlib_rs::Strategy, message: &[u8]) -> Vec<u8> {
    let mut config = zlib_rs::DeflateConfig::new(level);
    (config.window_bits, config.strategy) = (-15, strategy);
    let mut deflate = zlib_rs::Deflate::new_with_config(config);
    let mut payload = vec![0; message.len() * 2 + 100];
    deflate.compress(message, &mut payload, zlib_rs::DeflateFlush::SyncFlush).unwrap();
    payload.truncate(usize::try_from(deflate.total_out()).unwrap() - 4);
    payload
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

/// Bytes that do not get smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Text of four letters, as in a genome.
fn letters(len: usize) -> Vec<u8> {
    noise(len).iter().map(|byte| b"acgt"[usize::from(byte >> 6)]).collect()
}

/// A server and a client that have agreed on this, and what each has to write.
fn round_trip(server: &DeflateConfig, client: &DeflateConfig, messages: &[Vec<u8>], piece_len: usize) {
    let mut sender = Protocol::client(Limits::default(), || KEY).with_deflate(client);
    let mut receiver = Protocol::server(Limits::default()).with_deflate(server);
    let (mut shared, mut echoes) = (Output::new(), Output::new());
    for message in messages {
        shared.clear();
        sender.sender().send(as_text(message), &mut shared).unwrap();
        let mut bytes = shared.as_bytes().to_vec();
        echoes.clear();
        let mut received = 0;
        for piece in bytes.chunks_mut(piece_len) {
            let mut input = Input::new(piece);
            while let Some((event, sender)) = receiver.receive(&mut input, &mut echoes).unwrap() {
                let Event::Message(echo) = event else { panic!("{event:?}") };
                assert!(echo.as_bytes() == message);
                sender.send(echo, &mut echoes).unwrap();
                received += 1;
            }
        }
        assert_eq!(received, 1);
        // What was lent is let go with the next call.
        assert!(receiver.receive(&mut Input::new(&mut []), &mut echoes).unwrap().is_none());
        let most = if server.receive_takeover { 1 << server.receive_window_bits.get() } else { 0 };
        let held = receiver.held_len();
        assert!(held <= most, "{held} bytes are kept of messages that may refer {most} back");
        let mut bytes = echoes.as_bytes().to_vec();
        let mut input = Input::new(&mut bytes);
        let (event, _) = sender.receive(&mut input, &mut shared).unwrap().unwrap();
        assert!(event == Event::Message(as_text(message)));
    }
}

/// As text, if it is.
fn as_text(message: &[u8]) -> Message<'_> {
    str::from_utf8(message).map_or(Message::Binary(message), Message::Text)
}

/// The two sides' views of one agreement.
fn agreement(
    takeover: (bool, bool),
    window_bits: (WindowBits, WindowBits),
    min_len: usize,
    level: CompressionLevel,
) -> (DeflateConfig, DeflateConfig) {
    let mut server = DeflateConfig::default();
    (server.send_takeover, server.receive_takeover) = takeover;
    (server.send_window_bits, server.receive_window_bits) = window_bits;
    (server.min_len, server.level) = (min_len, level);
    let mut client = server;
    (client.send_takeover, client.receive_takeover) = (takeover.1, takeover.0);
    (client.send_window_bits, client.receive_window_bits) = (window_bits.1, window_bits.0);
    (server, client)
}

fn any_window() -> impl Strategy<Value = WindowBits> {
    (8..=15_u8).prop_map(|bits| WindowBits::new(bits).unwrap())
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[a-e ]{0,3000}".prop_map(String::into_bytes),
        "[a-cé€😀]{0,3000}".prop_map(String::into_bytes),
        ("[aé€😀]{1,9}", 1..20_000_usize).prop_map(|(unit, count)| unit.repeat(count).into_bytes()),
        (0..100_000_usize, 1..250_u8).prop_map(|(len, step)| (0..=step).cycle().take(len).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_agreement_brings_every_message_back(
        takeover: (bool, bool),
        window_bits in (any_window(), any_window()),
        level in (1..=9_u8).prop_map(|level| CompressionLevel::new(level).unwrap()),
        min_len in prop_oneof![Just(0_usize), Just(128)],
        messages in prop::collection::vec(any_message(), 1..6),
        piece_len in prop_oneof![1..20_usize, Just(100_000)],
    ) {
        let (server, client) = agreement(takeover, window_bits, min_len, level);
        // The same messages again: with takeover, they refer to the first ones.
        let messages = [messages.clone(), messages].concat();
        round_trip(&server, &client, &messages, piece_len);
    }

    #[test]
    fn any_compressed_bytes_do_no_harm_wherever_they_are_cut(
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[ab]{0,60}".prop_map(|text| compressed_by_oracle(text.as_bytes())),
            // About a window of text, which ends anywhere within a character.
            (any_window(), "[aé€😀]{1,4}", 0..9_usize).prop_map(|(window_bits, unit, excess)| {
                let len = (1 << window_bits.get()) + excess;
                compressed_by_oracle(&unit.repeat(len).as_bytes()[..len])
            }),
            (prop::collection::vec(prop_oneof![Just(0xc3), Just(0xa9), Just(b'a'), any::<u8>()], 0..40), any::<prop::sample::Index>(), any::<u8>())
                .prop_map(|(text, at, with)| {
                    let mut bytes = compressed_by_oracle(&text);
                    let at = at.index(bytes.len());
                    bytes[at] ^= with & 1;
                    bytes
                }),
        ],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        max_message_size in prop_oneof![Just(20_usize), Just(1_000), Just(100_000)],
        window_bits in any_window(),
        takeover: bool,
        first in prop_oneof![Just(0xc1), Just(0xc2)],
    ) {
        let mut setup = setup(takeover);
        setup.limits.max_message_size = max_message_size;
        setup.deflate.as_mut().unwrap().receive_window_bits = window_bits;
        let bytes = from_peer_of(Side::Server, &frame(first, &payload)).repeat(2);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(run(Side::Server, setup, &pieces, false), run(Side::Server, setup, &[&bytes], false));
    }

    #[test]
    fn another_implementation_inflates_what_we_send(messages in prop::collection::vec(any_message(), 1..5), takeover: bool) {
        let mut protocol = Protocol::server(Limits::default()).with_deflate(&deflate(takeover));
        let mut oracle = Decompress::new(false);
        let mut out = Output::new();
        for message in &messages {
            out.clear();
            protocol.sender().send(Message::Binary(message), &mut out).unwrap();
            let (header, header_len) = FrameHeader::decode(out.as_bytes()).unwrap().unwrap();
            let payload = &out.as_bytes()[header_len..];
            if !header.rsv1() {
                prop_assert!(payload == message && (!takeover || message.is_empty()));
                continue;
            }
            if !takeover {
                oracle.reset(false);
            }
            let mut inflated = Vec::with_capacity(message.len() + 1_000);
            let tailed = [payload, &[0, 0, 0xff, 0xff]].concat();
            oracle.decompress_vec(&tailed, &mut inflated, FlushDecompress::Sync).unwrap();
            prop_assert!(inflated == *message);
        }
    }

    #[test]
    fn we_inflate_what_another_implementation_sends(message in any_message()) {
        let bytes = frame(0xc2, &compressed_by_oracle(&message));
        let outcome = run(Side::Client, setup(false), &[&bytes], false);
        prop_assert_eq!(outcome.events, [format!("binary {message:02x?}")]);
    }
}

#[test]
fn nothing_refers_further_back_than_was_agreed() {
    // Text that repeats after 400 bytes and after 40,000: with a small window it must not be found again.
    let block = noise(400);
    for window_bits in 8..=15_u8 {
        for takeover in [true, false] {
            let mut config = deflate(takeover);
            config.send_window_bits = WindowBits::new(window_bits).unwrap();
            let mut protocol = Protocol::server(Limits::default()).with_deflate(&config);
            let mut inflate = zlib_rs::Inflate::new(false, window_bits);
            for message in [&block[..250], &block.repeat(3), &block[..250], &block.repeat(100), &block[..100]]
            {
                let mut out = Output::new();
                protocol.sender().send(Message::Binary(message), &mut out).unwrap();
                let (header, header_len) = FrameHeader::decode(out.as_bytes()).unwrap().unwrap();
                assert!(header.rsv1() || window_bits == 8 || !takeover, "{window_bits} bits");
                if header.rsv1() {
                    let mut inflated = vec![0; 50_000];
                    if !takeover {
                        inflate = zlib_rs::Inflate::new(false, window_bits);
                    }
                    let (before, payload) =
                        (inflate.total_out(), [&out.as_bytes()[header_len..], &[0, 0, 0xff, 0xff]].concat());
                    // A window of this size refuses a distance beyond it, as long as it is given little room at a time.
                    let (mut taken, mut made) = (0, 0);
                    while taken < payload.len() {
                        let (from_in, from_out) = (inflate.total_in(), inflate.total_out());
                        let room = made + 64;
                        inflate
                            .decompress(
                                &payload[taken..],
                                &mut inflated[made..room],
                                zlib_rs::InflateFlush::SyncFlush,
                            )
                            .unwrap();
                        taken += usize::try_from(inflate.total_in() - from_in).unwrap();
                        made += usize::try_from(inflate.total_out() - from_out).unwrap();
                    }
                    assert_eq!(inflate.total_out() - before, message.len() as u64);
                    assert!(inflated[..made] == *message, "{window_bits} bits, takeover: {takeover}");
                }
            }
        }
    }
}

#[test]
fn small_and_incompressible_messages_go_as_they_are() {
    let mut config = deflate(false);
    config.min_len = 128;
    let mut protocol = Protocol::server(Limits::default()).with_deflate(&config);
    let noise = noise(200);
    let rows: [(&str, &[u8], bool); 4] = [
        ("127 bytes", &[7; 127], false),
        ("128 bytes", &[7; 128], true),
        ("noise", &noise, false),
        ("nothing", &[], false),
    ];
    for (name, message, compressed) in rows {
        let mut out = Output::new();
        protocol.sender().send(Message::Binary(message), &mut out).unwrap();
        assert_eq!(FrameHeader::decode(out.as_bytes()).unwrap().unwrap().0.rsv1(), compressed, "{name}");
        out.clear();
        protocol.sender().send_uncompressed(Message::Binary(message), &mut out).unwrap();
        assert!(!FrameHeader::decode(out.as_bytes()).unwrap().unwrap().0.rsv1(), "{name}, asked for");
    }
}

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
            let mut protocol = Protocol::server(Limits::default()).with_deflate(&config);
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
            let mut protocol = Protocol::server(Limits::default()).with_deflate(&server);
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

#[test]
fn a_prepared_message_is_compressed_once_for_each_set_of_parameters() {
    let text = "the same for many ".repeat(20);
    let mut prepared = PreparedMessage::new(Message::Text(&text));
    let mut small_window = deflate(false);
    small_window.send_window_bits = WindowBits::new(9).unwrap();
    let setups = [
        None,
        Some(deflate(false)),
        Some(small_window),
        Some(deflate(true)),
        Some(deflate(true)),
        None,
        Some(deflate(false)),
    ];
    for (i, deflate) in setups.into_iter().enumerate() {
        let protocol = || match &deflate {
            Some(config) => Protocol::server(Limits::default()).with_deflate(config),
            None => Protocol::server(Limits::default()),
        };
        let (mut sent, mut expect) = (Output::new(), Output::new());
        protocol().sender().send_prepared(&mut prepared, &mut sent).unwrap();
        protocol().sender().send(Message::Text(&text), &mut expect).unwrap();
        assert_eq!(sent.as_bytes(), expect.as_bytes(), "{i}");
        assert_eq!(sent.as_bytes()[0] & 0x40 != 0, deflate.is_some(), "{i}");
    }
    assert_eq!(prepared.encodings(), 3, "none, 15 bits, 9 bits; those with takeover have their own");
}

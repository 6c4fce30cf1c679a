//! RFC 7692 §6, §7.2: compressed messages. Each row holds in both roles and wherever its bytes are cut.
#![cfg(feature = "deflate")]

mod common;

use common::{
    Row, Setup, Side, check,
    compressed::{agreement, compressed_by_oracle, deflate, frame, noise, round_trip, setup},
    from_peer_of, run,
};
use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;
use ws_frame::FrameHeader;
use ws_protocol::{CompressionLevel, Message, MessageLimits, Output, Prepared, Protocol, WindowBits};

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
fn a_message_that_ends_within_a_block_is_not_delivered() {
    check_all(&[
        ("among symbols", &["c1 04 f2 48 cd c9"], &[NOT_DEFLATE], &["close 1007"]),
        ("before its last byte", &["c1 06 f2 48 cd c9 c9 07"], &[NOT_DEFLATE], &["close 1007"]),
        ("in fragments", &["41 03 f2 48 cd", "80 01 c9"], &[NOT_DEFLATE], &["close 1007"]),
        // What is appended would be taken for what is missing.
        ("among stored bytes", &["c2 07 00 06 00 f9 ff 48 65"], &[NOT_DEFLATE], &["close 1007"]),
        ("within the lengths of a stored block", &["c2 02 00 05"], &[NOT_DEFLATE], &["close 1007"]),
        ("within the codes of a dynamic block", &["c2 03 04 c0 81"], &[NOT_DEFLATE], &["close 1007"]),
        ("behind a final block", &["c1 09 f3 48 cd c9 c9 07 00 f2 48"], &[NOT_DEFLATE], &["close 1007"]),
        ("a final block is an end", &["c1 07 f3 48 cd c9 c9 07 00"], &["text Hello"], &[]),
        ("nothing is an empty message", &["c1 00"], &["text "], &[]),
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
        max_message_len in prop_oneof![Just(20_usize), Just(1_000), Just(100_000)],
        window_bits in any_window(),
        takeover: bool,
        first in prop_oneof![Just(0xc1), Just(0xc2)],
    ) {
        let mut setup = setup(takeover);
        setup.limits.max_message_len = max_message_len;
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
        let mut protocol = Protocol::server(MessageLimits::default()).with_deflate(&deflate(takeover));
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
            let mut protocol = Protocol::server(MessageLimits::default()).with_deflate(&config);
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
    let mut protocol = Protocol::server(MessageLimits::default()).with_deflate(&config);
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

#[test]
fn a_prepared_message_is_compressed_once_for_each_set_of_parameters() {
    let text = "the same for many ".repeat(20);
    let prepared = Prepared::new(Message::Text(&text));
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
            Some(config) => Protocol::server(MessageLimits::default()).with_deflate(config),
            None => Protocol::server(MessageLimits::default()),
        };
        let (mut sent, mut expect) = (Output::new(), Output::new());
        protocol().sender().send_prepared(&prepared, &mut sent).unwrap();
        protocol().sender().send(Message::Text(&text), &mut expect).unwrap();
        assert_eq!(sent.as_bytes(), expect.as_bytes(), "{i}");
        assert_eq!(sent.as_bytes()[0] & 0x40 != 0, deflate.is_some(), "{i}");
    }
    assert_eq!(prepared.encodings(), 3, "none, 15 bits, 9 bits; those with takeover have their own");
}

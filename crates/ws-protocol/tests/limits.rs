//! What a peer can make grow has a limit, and reaching it has an outcome.

mod common;

use common::{Side, check, from_peer_of, hex, run};
use ws_protocol::MessageLimits;

fn limits(max_message_len: usize, max_fragments: u32) -> MessageLimits {
    let mut limits = MessageLimits::default();
    (limits.max_message_len, limits.max_fragments) = (max_message_len, max_fragments);
    limits
}

#[test]
fn a_message_over_the_size_is_refused_by_its_header() {
    let error = &["error: a message is larger than 4 bytes"];
    let rows: [common::Row<'_>; 8] = [
        ("as large as allowed", &["81 04 61 62 63 64"], &["text abcd"], &[]),
        ("one byte more: no payload is needed to tell", &["81 05"], error, &["close 1009"]),
        ("the largest length there is", &["82 7f 7f ff ff ff ff ff ff ff"], error, &["close 1009"]),
        ("as large as allowed, in fragments", &["01 02 61 62", "00 00", "80 02 63 64"], &["text abcd"], &[]),
        ("one byte more, in fragments", &["01 02 61 62", "80 03"], error, &["close 1009"]),
        ("a cut character counts", &["01 04 61 62 63 ce", "80 01"], error, &["close 1009"]),
        (
            "control frames do not count",
            &["01 04 61 62 63 64", "89 05 48 65 6c 6c 6f", "80 00"],
            &["ping Hello", "text abcd"],
            &["pong Hello"],
        ),
        (
            "each message has its own",
            &["81 04 61 62 63 64", "81 04 61 62 63 64"],
            &["text abcd", "text abcd"],
            &[],
        ),
    ];
    for row in rows {
        check(limits(4, 100), row);
    }
}

#[test]
fn a_message_in_too_many_fragments_is_refused() {
    let rows: [common::Row<'_>; 4] = [
        ("as many as allowed", &["01 01 61", "00 01 62", "80 01 63"], &["text abc"], &[]),
        (
            "one more",
            &["01 00", "00 00", "00 00", "80 00"],
            &["error: a message has more than 3 fragments"],
            &["close 1008"],
        ),
        (
            "each message has its own",
            &["01 00", "00 00", "80 00", "01 00", "00 00", "80 01 61"],
            &["text ", "text a"],
            &[],
        ),
        (
            "pings do not count",
            &["01 00", "89 00", "89 00", "89 00", "80 01 61"],
            &["ping ", "ping ", "ping ", "text a"],
            &["pong ", "pong ", "pong "],
        ),
    ];
    for row in rows {
        check(limits(100, 3), row);
    }
}

#[test]
fn a_message_in_one_frame_is_within_any_limit_on_fragments() {
    check(limits(100, 0), ("one frame", &["81 01 61"], &["text a"], &[]));
}

#[test]
fn the_defaults_take_what_conformance_suites_send() {
    // 65,536 fragments and an empty last one (Autobahn 9.3.1), and 16 MiB in one frame.
    let mut bytes = from_peer_of(Side::Server, &hex("02 01 61"));
    for _ in 0..65_535 {
        bytes.extend(from_peer_of(Side::Server, &hex("00 01 61")));
    }
    bytes.extend(from_peer_of(Side::Server, &hex("80 01 61")));
    let outcome = run(Side::Server, MessageLimits::default(), &[&bytes], false);
    assert_eq!((outcome.events.len(), outcome.sent.len()), (1, 0));

    let mut frame = hex("82 7f 00 00 00 00 01 00 00 00");
    frame.resize(10 + (16 << 20), 0);
    let outcome =
        run(Side::Client, MessageLimits::default(), &frame.chunks(100_000).collect::<Vec<_>>(), false);
    assert!(outcome.events[0].starts_with("binary"));
    frame[6..10].copy_from_slice(&hex("01 00 00 01"));
    let outcome = run(Side::Client, MessageLimits::default(), &[&frame], false);
    assert_eq!(outcome.sent, ["close 1009"]);
}

/// Lengths around 2^53, where the numbers of other languages get coarse, and around 2^63 and 2^64.
#[test]
fn lengths_beyond_any_memory_are_refused_or_waited_for() {
    let too_big = &["error: a message is larger than 16777216 bytes"];
    let top_bit = &["error: the payload length has its top bit set"];
    let rows: [common::Row<'_>; 9] = [
        ("2^53 - 1", &["82 7f 00 1f ff ff ff ff ff ff"], too_big, &["close 1009"]),
        ("2^53", &["82 7f 00 20 00 00 00 00 00 00"], too_big, &["close 1009"]),
        ("2^53 + 1", &["82 7f 00 20 00 00 00 00 00 01"], too_big, &["close 1009"]),
        ("2^32, 0 where lengths have 32 bits", &["82 7f 00 00 00 01 00 00 00 00"], too_big, &["close 1009"]),
        ("2^63 - 1", &["82 7f 7f ff ff ff ff ff ff ff"], too_big, &["close 1009"]),
        ("2^63 - 1, in a fragment", &["02 01 61", "80 7f 7f ff ff ff ff ff ff ff"], too_big, &["close 1009"]),
        ("2^63", &["82 7f 80 00 00 00 00 00 00 00"], top_bit, &["close 1002"]),
        ("2^64 - 1", &["82 7f ff ff ff ff ff ff ff ff"], top_bit, &["close 1002"]),
        ("2^64 - 1, in a fragment", &["02 01 61", "80 7f ff ff ff ff ff ff ff ff"], top_bit, &["close 1002"]),
    ];
    for row in rows {
        check(MessageLimits::default(), row);
    }
    // Without limits, nothing overflows and nothing is allocated for what was declared.
    let rows: [common::Row<'_>; 6] = [
        ("2^53 + 1", &["82 7f 00 20 00 00 00 00 00 01 61"], &[], &[]),
        ("2^63 - 1", &["81 7f 7f ff ff ff ff ff ff ff 61"], &[], &[]),
        (
            "text that is none, of 2^63 - 1 bytes",
            &["81 7f 7f ff ff ff ff ff ff ff ff"],
            &["error: a text message is not UTF-8"],
            &["close 1007"],
        ),
        ("two fragments", &["02 01 61", "80 7f 7f ff ff ff ff ff ff ff 63"], &[], &[]),
        ("the top bit", &["82 7f 80 00 00 00 00 00 00 00"], top_bit, &["close 1002"]),
        ("an ordinary message", &["01 01 61", "80 01 62"], &["text ab"], &[]),
    ];
    for row in rows {
        check(limits(usize::MAX, u32::MAX), row);
    }
}

#[test]
fn what_is_kept_grows_with_what_came_and_is_gone_when_it_is_used() {
    let mut protocol = ws_protocol::Protocol::server(MessageLimits::default());
    let mut out = ws_protocol::Output::new();
    let mut receive = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let mut input = ws_protocol::Input::new(&mut bytes);
        while protocol.receive(&mut input, &mut out).unwrap().is_some() {}
        protocol.held_len()
    };
    assert_eq!(receive(b""), 0);
    // 16 MiB are declared, and 1,000 bytes come.
    let header = hex("82 ff 00 00 00 00 01 00 00 00 00 00 00 00");
    let begun = receive(&header);
    assert!(begun < 100, "{begun} bytes for what was declared alone");
    for kib in 1..=64 {
        let held = receive(&[0; 1024]) - begun;
        assert!((kib * 1024..=kib * 4096).contains(&held), "{held} bytes for {kib} KiB");
    }
    let rest = vec![0; (16 << 20) - (64 << 10)];
    assert_eq!(receive(&rest), 0);
    assert!(receive(&hex("89 fd 00 00 00 00 61 62")) >= 2, "a ping that is cut");
    assert_eq!(receive(&[0; 123]), 0);
}

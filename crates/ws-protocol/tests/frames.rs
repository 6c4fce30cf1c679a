//! RFC 6455 §5: framing. Each row holds in both roles and wherever its bytes are cut.

mod common;

use common::{Outcome, Row, Side, check, check_cuts, hex};
use ws_protocol::MessageLimits;

fn check_all(rows: &[Row<'_>]) {
    for row in rows {
        check(MessageLimits::default(), *row);
    }
}

#[test]
fn masking_is_demanded_of_clients_and_forbidden_to_servers() {
    let rows = [
        (
            "§5.1 a frame from a client that is not masked",
            Side::Server,
            "81 05 48 65 6c 6c 6f",
            "a frame from a client is not masked",
        ),
        (
            "§5.1 a ping from a client that is not masked",
            Side::Server,
            "89 00",
            "a frame from a client is not masked",
        ),
        (
            "§5.1 an empty close from a client that is not masked",
            Side::Server,
            "88 00",
            "a frame from a client is not masked",
        ),
        (
            "§5.1 a masked frame from a server",
            Side::Client,
            "81 85 37 fa 21 3d 7f 9f 4d 51 58",
            "a frame from a server is masked",
        ),
        (
            "§5.1 a masked ping from a server",
            Side::Client,
            "89 80 37 fa 21 3d",
            "a frame from a server is masked",
        ),
        (
            "§5.1 a masked close from a server, with a key that changes nothing",
            Side::Client,
            "88 82 00 00 00 00 03 e8",
            "a frame from a server is masked",
        ),
    ];
    for (name, side, bytes, error) in rows {
        let expect = Outcome { events: vec![format!("error: {error}")], sent: vec!["close 1002".into()] };
        check_cuts(name, side, MessageLimits::default(), &hex(bytes), &expect);
    }
}

#[test]
fn the_frames_of_the_rfcs_examples() {
    check_all(&[
        ("§5.7 a single-frame text message", &["81 05 48 65 6c 6c 6f"], &["text Hello"], &[]),
        ("§5.7 a fragmented text message", &["01 03 48 65 6c", "80 02 6c 6f"], &["text Hello"], &[]),
        ("§5.7 a ping", &["89 05 48 65 6c 6c 6f"], &["ping Hello"], &["pong Hello"]),
        ("§5.7 a pong", &["8a 05 48 65 6c 6c 6f"], &["pong Hello"], &[]),
        ("a binary message", &["82 03 00 ff 80"], &["binary [00, ff, 80]"], &[]),
    ]);
    let mut long = vec![0x82, 0x7e, 0x01, 0x00];
    long.resize(4 + 256, 7);
    let expect = Outcome { events: vec![format!("binary {:02x?}", [7; 256])], sent: vec![] };
    check_cuts("§5.7 256 bytes", Side::Client, MessageLimits::default(), &long, &expect);
}

#[test]
fn reserved_bits_and_opcodes_fail_the_connection() {
    check_all(&[
        ("§5.2 RSV1", &["c1 00"], &["error: a reserved bit (RSV1) is set"], &["close 1002"]),
        (
            "§5.2 RSV1 on a continuation",
            &["01 01 61", "c0 00"],
            &["error: a reserved bit (RSV1) is set"],
            &["close 1002"],
        ),
        ("§5.2 RSV1 on a ping", &["c9 00"], &["error: a reserved bit (RSV1) is set"], &["close 1002"]),
        ("§5.2 RSV2", &["a1 00"], &["error: a reserved bit (RSV2 or RSV3) is set"], &["close 1002"]),
        ("§5.2 RSV3", &["91 00"], &["error: a reserved bit (RSV2 or RSV3) is set"], &["close 1002"]),
        ("§5.2 opcode 3", &["83 00"], &["error: opcode 0x3 is reserved"], &["close 1002"]),
        ("§5.2 opcode b", &["8b 00"], &["error: opcode 0xb is reserved"], &["close 1002"]),
        (
            "what came before it was served",
            &["81 01 61", "89 01 62", "83 00", "81 01 63"],
            &["text a", "ping b", "error: opcode 0x3 is reserved"],
            &["pong b", "close 1002"],
        ),
    ]);
}

#[test]
fn lengths_that_are_not_minimal_fail_the_connection() {
    let error = &["error: the payload length is not in its shortest form"];
    check_all(&[
        ("§5.2 1 in 16 bits", &["82 7e 00 01 61"], error, &["close 1002"]),
        ("§5.2 1 in 64 bits", &["82 7f 00 00 00 00 00 00 00 01 61"], error, &["close 1002"]),
        (
            "§5.2 the top bit of 64",
            &["82 7f 80 00 00 00 00 00 00 01 61"],
            &["error: the payload length has its top bit set"],
            &["close 1002"],
        ),
    ]);
}

#[test]
fn control_frames_are_short_and_whole() {
    let long = &["error: a control frame has over 125 bytes of payload"];
    let fragmented = &["error: a control frame is fragmented"];
    check_all(&[
        ("§5.5 a ping of 126 bytes", &["89 7e 00 7e"], long, &["close 1002"]),
        ("§5.5 a close of 126 bytes", &["88 7e 00 7e"], long, &["close 1002"]),
        ("§5.5 a pong of 64 KiB", &["8a 7f 00 00 00 00 00 01 00 00"], long, &["close 1002"]),
        ("§5.5 a fragmented ping", &["09 00", "80 00"], fragmented, &["close 1002"]),
        ("§5.5 a fragmented close", &["08 00", "80 00"], fragmented, &["close 1002"]),
        ("§5.5 a fragmented pong", &["0a 00", "80 00"], fragmented, &["close 1002"]),
        ("§5.5.2 an empty ping", &["89 00"], &["ping "], &["pong "]),
        ("§5.5.2 two pings", &["89 01 61", "89 01 62"], &["ping a", "ping b"], &["pong a", "pong b"]),
        ("§5.5.3 a pong nobody asked for", &["8a 01 61"], &["pong a"], &[]),
        (
            "§5.5.3 the same pong again and again",
            &["8a 01 61", "8a 01 61", "8a 01 61"],
            &["pong a", "pong a", "pong a"],
            &[],
        ),
        (
            "§5.5.3 a pong within a message",
            &["01 01 61", "8a 01 61", "8a 00", "80 01 62"],
            &["pong a", "pong ", "text ab"],
            &[],
        ),
        ("§5.5.1 a pong after a close", &["88 02 03 e8", "8a 01 61"], &["close 1000 "], &["close 1000"]),
    ]);
    let ping = [&[0x89, 0x7d][..], &[b'p'; 125]].concat();
    let payload = "p".repeat(125);
    let expect = Outcome { events: vec![format!("ping {payload}")], sent: vec![format!("pong {payload}")] };
    check_cuts("§5.5 a ping of 125 bytes", Side::Client, MessageLimits::default(), &ping, &expect);
}

#[test]
fn fragments_are_joined_in_order() {
    check_all(&[
        ("§5.4 two", &["01 01 61", "80 01 62"], &["text ab"], &[]),
        ("§5.4 three", &["02 01 61", "00 01 62", "80 01 63"], &["binary [61, 62, 63]"], &[]),
        ("§5.4 empty ones", &["01 00", "00 00", "00 01 61", "80 00"], &["text a"], &[]),
        ("§5.4 nothing but empty ones", &["01 00", "00 00", "80 00"], &["text "], &[]),
        ("§5.6 an empty text message", &["81 00"], &["text "], &[]),
        ("§5.6 an empty binary message", &["82 00"], &["binary []"], &[]),
        (
            "§5.4 one message after another",
            &["01 01 61", "80 01 62", "81 01 63"],
            &["text ab", "text c"],
            &[],
        ),
        (
            "§5.4 control frames between fragments",
            &["01 01 61", "89 01 70", "00 01 62", "8a 01 71", "89 00", "80 01 63"],
            &["ping p", "pong q", "ping ", "text abc"],
            &["pong p", "pong "],
        ),
        (
            "§5.4 a continuation with nothing to continue",
            &["80 01 61"],
            &["error: a continuation frame has nothing to continue"],
            &["close 1002"],
        ),
        (
            "§5.4 a continuation after the last fragment",
            &["01 01 61", "80 01 62", "00 01 63"],
            &["text ab", "error: a continuation frame has nothing to continue"],
            &["close 1002"],
        ),
        (
            "§5.4 a text message inside a fragmented one",
            &["01 01 61", "81 01 62"],
            &["error: a message begins inside a fragmented message"],
            &["close 1002"],
        ),
        (
            "§5.4 a binary fragment inside a fragmented text",
            &["01 01 61", "02 01 62"],
            &["error: a message begins inside a fragmented message"],
            &["close 1002"],
        ),
    ]);
}

#[test]
fn text_is_utf8() {
    let invalid = &["error: a text message is not UTF-8"];
    check_all(&[
        ("§8.1 a character cut by its frame", &["01 01 ce", "80 01 ba"], &["text κ"], &[]),
        (
            "§8.1 a character in four fragments",
            &["01 01 f0", "00 01 9f", "00 01 98", "80 01 80"],
            &["text 😀"],
            &[],
        ),
        ("§8.1 an overlong form", &["81 02 c0 af"], invalid, &["close 1007"]),
        ("§8.1 a surrogate", &["81 03 ed a0 80"], invalid, &["close 1007"]),
        ("§8.1 above U+10FFFF", &["81 04 f4 90 80 80"], invalid, &["close 1007"]),
        ("§8.1 a text that ends within a character", &["81 02 61 ce"], invalid, &["close 1007"]),
        (
            "§8.1 a fragmented text that ends within a character",
            &["01 01 61", "80 01 ce"],
            invalid,
            &["close 1007"],
        ),
        ("§8.1 in a first fragment", &["01 01 ff"], invalid, &["close 1007"]),
        ("§8.1 in a later fragment", &["01 01 61", "00 01 ff"], invalid, &["close 1007"]),
        ("§8.1 across fragments", &["01 01 ed", "00 01 a0"], invalid, &["close 1007"]),
        (
            "§8.1 in the middle of a frame that never ends",
            &["81 7e 01 00 61 62 ff"],
            invalid,
            &["close 1007"],
        ),
        ("§5.6 binary is anything", &["82 02 c0 af"], &["binary [c0, af]"], &[]),
    ]);
}

#[test]
fn nothing_is_parsed_after_a_failure() {
    check_all(&[(
        "§7.1.7 another error, a message, a ping and a close",
        &["83 00", "83 00", "81 01 61", "89 00", "88 00"],
        &["error: opcode 0x3 is reserved"],
        &["close 1002"],
    )]);
}

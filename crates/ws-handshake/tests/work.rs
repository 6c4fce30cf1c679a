//! Heads that are made to cost a lot: the work stays linear in what was sent, whatever the fields hold.
//!
//! Each head is read at two sizes of which one is 16 times the other. Linear work takes 16 times as long, quadratic work 256
//! times; the limit lies between them. (That no byte is scanned twice while a head arrives is counted in `head.rs`.)

use std::{hint::black_box, time::Duration, time::Instant};
use ws_handshake::{EMPTY_HEADER, HeadScanner, OriginPolicy, Request};

const SMALL_LEN: usize = 8 << 10;
const FACTOR: usize = 16;

/// Between linear and quadratic, and far from both: the machine may have other work.
const MAX_GROWTH: u32 = 64;

/// The best of several runs is the one that was interrupted least.
const RUNS: usize = 5;

const START: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Does all that a server does with a head, and gives whether it is a legal handshake.
fn read(head: &[u8], headers: usize) -> bool {
    let mut scanner = HeadScanner::new();
    let mut headers = vec![EMPTY_HEADER; headers];
    let Ok(Some(len)) = scanner.scan(head, head.len()) else { return false };
    let Ok(request) = Request::parse(&head[..len], &mut headers) else { return false };
    let policy: OriginPolicy = "https://*.example.com".parse().unwrap();
    black_box(policy.allows(&request));
    request.upgrade().is_ok()
}

/// The shortest time in which a head of this length is read.
fn time(make: &impl Fn(usize) -> String, len: usize, is_legal: bool) -> Duration {
    let head = format!("{START}{}\r\n", make(len)).into_bytes();
    let headers = len;
    let runs = (0..RUNS).map(|_| {
        let start = Instant::now();
        assert_eq!(read(black_box(&head), headers), is_legal);
        start.elapsed()
    });
    runs.min().unwrap()
}

#[track_caller]
fn check(rule: &str, is_legal: bool, make: impl Fn(usize) -> String) {
    let small = time(&make, SMALL_LEN, is_legal);
    let large = time(&make, SMALL_LEN * FACTOR, is_legal);
    assert!(
        large < small * MAX_GROWTH,
        "{rule}: {small:?} for {SMALL_LEN} bytes, {large:?} for {FACTOR} times that"
    );
}

/// A field whose value repeats a part.
fn repeated(name: &str, part: &str, len: usize) -> String {
    format!("{name}: {}\r\n", part.repeat(len / part.len()))
}

#[test]
fn long_values_cost_what_their_length_is() {
    // CVE-2021-32640: blanks before what is no separator made a regular expression try each of them.
    for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
        check("blanks, and no separator", false, |len| format!("{name}: a{}b\r\n", " ".repeat(len)));
        check("tabs, and no separator", false, |len| format!("{name}: a{}b\r\n", "\t".repeat(len)));
        check("blanks at the end", true, |len| format!("{name}: a{}\r\n", " ".repeat(len)));
        check("empty elements", true, |len| format!("{}{name}: a\r\n", repeated(name, ",", len)));
        check("empty elements with blanks", true, |len| {
            format!("{}{name}: a\r\n", repeated(name, " , ", len))
        });
        check("one long token", true, |len| repeated(name, "a", len));
        check("a field for each element", name.ends_with("Protocol"), |len| {
            (0..len / 40).map(|index| format!("{name}: a{index}\r\n")).collect()
        });
    }
    check("different subprotocols", true, |len| {
        let names: Vec<String> = (0..len / 8).map(|index| format!("a{index}")).collect();
        format!("Sec-WebSocket-Protocol: {}\r\n", names.join(", "))
    });
    check("the same subprotocol", false, |len| repeated("Sec-WebSocket-Protocol", "a,", len));
    for part in ["a,", "a;b,", ";", "a;b=\"", "\\\"", "a;b=c;"] {
        check(part, false, |len| repeated("Sec-WebSocket-Extensions", part, len));
    }
    check("quoted backslashes", false, |len| {
        format!("Sec-WebSocket-Extensions: a;b=\"{}", "\\a".repeat(len / 2))
    });
    check("a quoted token", true, |len| {
        format!("Sec-WebSocket-Extensions: a;b=\"{}\"\r\n", "\\a".repeat(len / 2))
    });
    check("other words in Connection", true, |len| repeated("Connection", "close, ", len));
    check("an origin of many labels", true, |len| format!("Origin: https://{}\r\n", "a.".repeat(len / 2)));
    check("fields that nobody knows", true, |len| "X: y\r\n".repeat(len / 6));
}

#[test]
fn lines_that_are_no_field_cost_what_their_length_is() {
    check("no colon", false, |len| "a".repeat(len) + "\r\n");
    check("folded lines", false, |len| "X: y\r\n z\r\n".repeat(len / 10));
    check("bare CR at the end", false, |len| format!("X: {}\r", "a".repeat(len)));
}

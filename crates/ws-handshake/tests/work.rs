//! Heads that are made to cost a lot: the work stays linear in what was sent, whatever the fields hold.
//!
//! One long head is compared with short ones of the same length together. Linear work takes the same time for both, quadratic
//! work 16 times as long; the limit lies between. (That no byte is scanned twice while a head arrives is counted in `head.rs`.)

use std::{hint::black_box, time::Duration, time::Instant};
use ws_handshake::{EMPTY_HEADER, HeadScanner, Header, OriginPolicy, Request};

const SHORT_LEN: usize = 8 << 10;
const FACTOR: usize = 16;

/// Between linear and quadratic, and far from both.
const MAX_GROWTH: u32 = 4;

/// Long and short heads take turns, so that other work on the machine meets both. If it meets one of them far more often,
/// another attempt is enough: quadratic work fails every one.
const ROUNDS: usize = 3;
const ATTEMPTS: usize = 5;

const START: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// The time of all that a server does with a head.
fn time(head: &[u8], is_legal: bool) -> Duration {
    // As many as there are bytes: their allocation is not what is measured.
    let mut headers = vec![EMPTY_HEADER; head.len()];
    let start = Instant::now();
    let outcome = read(black_box(head), &mut headers);
    let time = start.elapsed();
    assert_eq!(outcome, is_legal);
    time
}

/// Whether a head is a legal handshake.
fn read<'b>(head: &'b [u8], headers: &mut [Header<'b>]) -> bool {
    let mut scanner = HeadScanner::new();
    let Ok(Some(len)) = scanner.scan(head, head.len()) else { return false };
    let Ok(request) = Request::parse(&head[..len], headers) else { return false };
    let policy: OriginPolicy = "https://*.example.com".parse().unwrap();
    black_box(policy.allows(&request));
    request.upgrade().is_ok()
}

#[track_caller]
fn check(rule: &str, is_legal: bool, make: impl Fn(usize) -> String) {
    let head = |len| format!("{START}{}\r\n", make(len)).into_bytes();
    let (short, long) = (head(SHORT_LEN), head(SHORT_LEN * FACTOR));
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        let (mut short_time, mut long_time) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..ROUNDS {
            long_time += time(&long, is_legal);
            short_time += (0..FACTOR).map(|_| time(&short, is_legal)).sum::<Duration>();
        }
        if long_time < short_time * MAX_GROWTH {
            return;
        }
        seen.push((short_time, long_time));
    }
    panic!("{rule}: short heads, and long ones of the same length: {seen:?}");
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

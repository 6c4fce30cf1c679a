//! The log: what its lines tell, that nothing breaks them, and that nobody waits for their reader.

use crate::support::{Client, Server, upgrade_request};
use serde_json::{Value, json};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

/// What follows the time of a line.
#[track_caller]
fn after_time(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.len() == "2026-11-22T18:03:11.123Z".len() && time.ends_with('Z'), "{line}");
    rest
}

/// An object with these keys, and no others.
#[track_caller]
fn object(line: &str, keys: &[&str]) -> Value {
    let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let mut found: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expect = keys.to_vec();
    found.sort_unstable();
    expect.sort_unstable();
    assert_eq!(found, expect);
    object
}

/// Has two messages echoed, and closes the connection.
fn talk(client: &mut Client) {
    client.send(TEXT, b"hello");
    client.receive();
    client.send(BINARY, &[7; 1000]);
    client.receive();
    client.send(CLOSE, b"\x0f\xa0bye");
    client.receive();
}

#[test]
fn a_line_when_a_connection_opens_and_one_when_it_closes() {
    let mut server = Server::start(&[]);
    let mut client = server.open();
    let address = client.addr();
    assert_eq!(after_time(&server.next_line()), format!("open  address={address} path=\"/chat\""));
    talk(&mut client);
    let line = server.next_line();
    let close = format!("close address={address} path=\"/chat\" code=4000 reason=\"bye\" seconds=");
    let seconds = after_time(&line).strip_prefix(&close).unwrap_or_else(|| panic!("{line}"));
    let (seconds, rest) = seconds.split_once(' ').unwrap();
    assert!(seconds.parse::<f64>().is_ok(), "{line}");
    assert_eq!(rest, "messages_in=2 bytes_in=1005 messages_out=2 bytes_out=1005 unsent_bytes=0");
}

#[test]
fn the_same_for_programs() {
    let mut server = Server::start(&["--log-format", "json"]);
    object(&server.announcement, &["time", "event", "message"]);
    let mut client = server.open();
    let address = client.addr().to_string();
    let open = object(&server.next_line(), &["time", "event", "address", "path"]);
    assert_eq!(
        (&open["event"], &open["address"], &open["path"]),
        (&json!("open"), &json!(address), &json!("/chat"))
    );
    talk(&mut client);
    let keys = [
        "time",
        "event",
        "address",
        "path",
        "code",
        "reason",
        "error",
        "seconds",
        "messages_in",
        "bytes_in",
        "messages_out",
        "bytes_out",
        "unsent_bytes",
    ];
    let close = object(&server.next_line(), &keys);
    for (key, expect) in [
        ("event", json!("close")),
        ("address", json!(address)),
        ("path", json!("/chat")),
        ("code", json!(4000)),
        ("reason", json!("bye")),
        ("error", Value::Null),
        ("messages_in", json!(2)),
        ("bytes_in", json!(1005)),
        ("messages_out", json!(2)),
        ("bytes_out", json!(1005)),
        ("unsent_bytes", json!(0)),
    ] {
        assert_eq!(close[key], expect, "{key}");
    }
    assert!(close["seconds"].is_f64());
}

#[test]
fn an_end_without_a_close_frame_has_its_error() {
    let mut server = Server::start(&[]);
    drop(server.open());
    let line = server.lines_until(|line| line.contains(" close ")).pop().unwrap();
    let expect = " code=1006 reason=\"\" error=\"the peer ended the stream without a close frame\" seconds=";
    assert!(line.contains(expect), "{line}");
}

#[test]
fn nothing_that_a_peer_sends_breaks_a_line() {
    let path = "/%0a\\'{}=[x]";
    let request = upgrade_request("").replace("/chat", &format!("{path}?token=secret"));
    let reason = "a\r\n\x1b[31m\" \\ \u{202e}ü👋\0";
    let payload = [&1000_u16.to_be_bytes()[..], reason.as_bytes()].concat();
    for format in ["text", "json"] {
        let mut server = Server::start(&["--log-format", format]);
        let mut client = Client::open_with(server.connect(), &request);
        client.send(CLOSE, &payload);
        client.receive();
        for event in ["open", "close"] {
            let line = server.next_line();
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
            assert!(line.contains(event) && !line.contains("secret"), "{line}");
            if format == "json" {
                let object: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(object["path"], path);
                assert_eq!(object["reason"], if event == "open" { Value::Null } else { json!(reason) });
            } else {
                assert!(line.contains(" path=\"/%0a\\\\'{}=[x]\""), "{line}");
            }
        }
    }
}

#[test]
fn messages_are_logged_if_that_is_asked_for() {
    let mut server = Server::start(&["--log-messages"]);
    let mut client = server.open();
    let address = client.addr();
    talk(&mut client);
    let lines = server.lines_until(|line| line.contains(" close "));
    let messages: Vec<_> = lines[1..5].iter().map(|line| after_time(line)).collect();
    let message = |rest| format!("message address={address} {rest}");
    assert_eq!(
        messages,
        [
            message("direction=in type=text bytes=5"),
            message("direction=out type=text bytes=5"),
            message("direction=in type=binary bytes=1000"),
            message("direction=out type=binary bytes=1000"),
        ]
    );
    assert_eq!(lines.len(), 6);
}

#[test]
fn what_the_library_tells_is_logged() {
    let mut server = Server::start(&["--memory-budget", "1MiB", "--workers", "1"]);
    let mut client = server.open();
    let address = client.addr();
    client.send(0x02, &vec![7; 2 << 20]);
    let lines = server.lines_until(|line| line.contains(" close "));
    let warning = after_time(&lines[1]);
    let start = "warn  message=\"the memory budget is spent, and this connection ends\" connection=";
    assert!(warning.starts_with(start), "{warning}");
    assert!(warning.contains(&format!(" address=\"{address}\" held_bytes=")), "{warning}");
    assert!(lines[2].contains(" code=1013 "), "{lines:?}");
}

#[test]
fn off_prints_nothing_more() {
    let server = Server::start(&["--log-format", "off"]);
    let mut client = server.open();
    talk(&mut client);
    assert!(client.ends());
    drop(client);
    server.signal("TERM");
    assert_eq!(server.end(), (Some(0), String::new()));
}

#[test]
fn the_last_lines_are_written_before_the_end() {
    let server = Server::start(&[]);
    let mut clients = [server.open(), server.open()];
    server.signal("TERM");
    for client in &mut clients {
        let close = client.receive();
        client.send(CLOSE, &close.payload);
        assert!(client.ends());
    }
    drop(clients);
    let (code, stderr) = server.end();
    assert_eq!((code, stderr.matches(" close address=").count()), (Some(0), 2), "{stderr}");
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    let mut server = Server::start(&["--log-messages"]);
    server.close_stderr();
    for _ in 0..20 {
        talk(&mut server.open());
    }
}

#[test]
fn a_reader_that_stalls_stops_nobody_and_is_told_what_it_missed() {
    const MESSAGES: usize = 10_000;
    const AT_ONCE: usize = 100;
    let mut server = Server::start(&["--log-messages", "--workers", "1"]);
    let mut client = server.open();
    for _ in 0..MESSAGES / AT_ONCE {
        for _ in 0..AT_ONCE {
            client.send(TEXT, b"x");
        }
        for _ in 0..AT_ONCE {
            assert_eq!(client.receive().payload, b"x");
        }
    }
    let lines = server.lines_until(|line| line.contains("lines were dropped"));
    let dropped: usize = lines.last().unwrap().rsplit('=').next().unwrap().parse().unwrap();
    // The other lines: that of the opening, and that of the loss itself.
    assert_eq!(lines.len() - 2 + dropped, 2 * MESSAGES);
}

//! The log: what its lines tell, that nothing breaks them, and that nobody waits for their reader.

use crate::support::{Client, PATIENCE, Server, shell, upgrade_request, ws_cli};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

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
    // Nine sixteenths of it may be held: not two unfinished messages of half the budget.
    let mut server =
        Server::start(&["--memory-budget", "1MiB", "--max-message-size", "512KiB", "--workers", "1"]);
    let (mut other, mut client) = (server.open(), server.open());
    let address = client.addr();
    other.send(0x02, &vec![7; 200_000]);
    other.send(0x89, b"");
    assert_eq!(other.receive().first_byte, 0x8a);
    client.send(0x02, &vec![7; 500_000]);
    let lines = server.lines_until(|line| line.contains(" close "));
    let warning = after_time(&lines[2]);
    let start = "warn  message=\"the memory budget is spent, and this connection ends\" connection=";
    assert!(warning.starts_with(start), "{warning}");
    assert!(warning.contains(&format!(" address=\"{address}\" held_bytes=")), "{warning}");
    assert!(lines[3].contains(" code=1013 "), "{lines:?}");
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
    let mut server =
        Server::start(&["--log-messages", "--workers", "1", "--max-log-lines-per-second", "1000000"]);
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

#[test]
fn a_standard_error_that_does_not_block_loses_no_line() {
    const MESSAGES: usize = 2_000;
    let (reader, stderr) = UnixStream::pair().unwrap();
    // As where another program that has the same pipe or socket needs it so.
    stderr.set_nonblocking(true).unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    let mut command = ws_cli(&["--port", "0", "--log-messages"]);
    let server = Server::spawn_into(&mut command, OwnedFd::from(stderr), || lines.next().unwrap());
    let mut client = server.open();
    for _ in 0..MESSAGES {
        client.send(TEXT, b"x");
        client.receive();
    }
    // Some 400 KB of lines have waited for this reader: less than the log keeps, and more than the
    // socket holds.
    let lines = lines.skip_while(|line| line.starts_with("ws-cli "));
    let events: Vec<_> = lines.skip(1).take(2 * MESSAGES).collect();
    let count = |direction| events.iter().filter(|line| line.contains(direction)).count();
    assert_eq!((count(" direction=in "), count(" direction=out ")), (MESSAGES, MESSAGES));
}

/// The file of a test, gone when the test ends.
struct LogFile(PathBuf);

impl LogFile {
    fn create(name: &str) -> (Self, File) {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let file = File::options().create(true).append(true).open(&path).unwrap();
        (Self(path), file)
    }

    /// Its text, once that is as it should be.
    fn text_when(&self, is_there: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(&self.0).unwrap();
            if is_there(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "{text}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_at_its_limit_ends_nothing_and_the_lines_lost_are_reported() {
    // Some 25 KB of lines: more than the limit, and less than twice as much, so that what is left
    // fits the emptied file.
    const LIMIT: usize = 16 << 10;
    const CONNECTIONS: usize = 100;
    let (log, stderr) = LogFile::create("at-its-limit");
    let truncated = stderr.try_clone().unwrap();
    let mut command = shell("ulimit -f 32; exec \"$0\" --port 0");
    let server = Server::spawn_into(&mut command, stderr, || {
        log.text_when(|text| text.contains('\n')).lines().next().unwrap().to_owned()
    });
    for _ in 0..CONNECTIONS {
        talk(&mut server.open());
    }
    let full = log.text_when(|text| text.len() == LIMIT);
    // Writing the last lines has failed by now, or it succeeds from here on: they are counted or
    // written.
    truncated.set_len(0).unwrap();
    let text = log.text_when(|text| text.contains("lines were lost"));
    let report = text.lines().find(|line| line.contains("lines were lost")).unwrap();
    assert!(report.contains(" error=\"File too large"), "{report}");
    talk(&mut server.open());
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));

    let text = fs::read_to_string(&log.0).unwrap();
    let lines = |text: &str| text.lines().filter(|line| line.contains(" address=")).count();
    let lost: usize = text
        .lines()
        .filter(|line| line.contains("lines were lost"))
        .map(|line| line.rsplit('=').next().unwrap().parse::<usize>().unwrap())
        .sum();
    let (whole, _cut) = full.rsplit_once('\n').unwrap();
    assert_eq!(lines(whole) + lines(&text) + lost, 2 * (CONNECTIONS + 1), "{full}{text}");
}

#[test]
fn a_closed_standard_error_is_not_mistaken_for_a_socket() {
    let (log, stderr) = LogFile::create("closed");
    // The program opens its first sockets under the lowest free numbers, among which 2 would be.
    let mut command = shell("exec \"$0\" --port 0 --log-messages 2>&-");
    let mut child = command.stderr(stderr).spawn().unwrap();
    let fd = format!("/proc/{}/fd/2", child.id());
    let deadline = Instant::now() + PATIENCE;
    let is_null = || fs::read_link(&fd).is_ok_and(|path| path.as_os_str() == "/dev/null");
    while !is_null() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    let is_null = is_null();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_null);
    assert_eq!(fs::read_to_string(&log.0).unwrap(), "");
}

#[test]
fn a_flood_of_lines_is_cut_and_its_number_is_logged() {
    const MESSAGES: usize = 500;
    let server =
        Server::start(&["--log-messages", "--max-log-lines-per-second", "10", "--log-format", "json"]);
    let mut client = server.open();
    for _ in 0..MESSAGES {
        client.send(TEXT, b"x");
        client.receive();
    }
    client.send(CLOSE, b"");
    client.receive();
    drop(client);
    server.signal("TERM");
    let (code, stderr) = server.end();
    assert_eq!(code, Some(0));
    let lines: Vec<Value> = stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |event| lines.iter().filter(|line| line["event"] == event).count();
    let left_out: u64 = lines
        .iter()
        .filter(|line| line["events"] == "message")
        .filter_map(|line| line["lines"].as_u64())
        .sum();
    assert_eq!((count("open"), count("close")), (1, 1), "one sort does not hide another: {stderr}");
    assert!((100..200).contains(&count("message")), "{stderr}");
    assert_eq!(count("message") + usize::try_from(left_out).unwrap(), 2 * MESSAGES);
}

#[test]
fn a_level_leaves_out_the_lines_below_it() {
    for (level, lines) in [("error", 0), ("warn", 0), ("info", 2), ("debug", 3)] {
        let server = Server::start(&["--log-level", level]);
        let mut client = server.open();
        talk(&mut client);
        assert!(client.ends());
        drop(client);
        server.signal("TERM");
        let (code, stderr) = server.end();
        assert_eq!((code, stderr.lines().count()), (Some(0), lines), "{level}: {stderr}");
    }
}

//! What happens without a file descriptor left.

#![cfg(target_os = "linux")]

use crate::support::{Client, Server, connect, http, port, shell, upgrade_request};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

/// The processor time that a process has taken, in ticks of the system: a hundredth of a second
/// each.
fn ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    // The fields after the program's name, from the third on; the times are the 14th and the 15th.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn accepting_pauses_until_there_is_one() {
    let mut server = Server::start(&["--workers", "1"]);
    // Only once it runs: what it finds at the start, it keeps within.
    let limit = ["--pid", &server.id().to_string(), "--nofile=40:"];
    assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    let mut waiting: Vec<_> = (0..100).map(|_| server.connect()).collect();
    let mut last = waiting.pop().unwrap();
    let mut served: Vec<_> = waiting.drain(..10).map(|stream| Client::open(stream, "")).collect();
    let lines = server.lines_until(|line| line.contains("accepting pauses"));
    let line = lines.last().unwrap();
    assert!(line.contains(" warn ") && line.contains(" error=\"Too many open files"), "{line}");

    // Those that are open are served; the last one waits, and nobody is kept busy by it.
    let before = ticks(&server);
    last.write_all(upgrade_request("").as_bytes()).unwrap();
    last.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let error = last.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    for client in &mut served {
        client.send(0x81, b"still here");
        assert_eq!(client.receive().payload, b"still here");
    }
    let taken = ticks(&server) - before;
    assert!(taken < 30, "{taken} ticks");

    drop(waiting);
    let mut answer = [0; 12];
    last.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    last.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    let lines = server.lines_until(|line| line.contains("accepting goes on"));
    assert!(!lines.iter().any(|line| line.contains("accepting pauses")), "{lines:#?}");
}

#[test]
fn nothing_is_said_of_them_if_they_suffice() {
    let script = "ulimit -n 400 && exec \"$0\" --port 0 --workers 1 --max-connections 248";
    let server = Server::spawn(&mut shell(script));
    assert!(server.budget.ends_with(" 248 at once (--max-connections)"), "{}", server.budget);
}

#[test]
fn those_beyond_the_descriptors_are_refused_and_others_still_served() {
    let script = "ulimit -n 128 && exec \"$0\" --port 0 --workers 1 --metrics 127.0.0.1:0";
    let mut command = shell(script);
    let mut server = Server::spawn(&mut command);
    let metrics_port = port(&server.next_line());
    let budget = server.budget.clone();
    let max = budget.split("serves at most ").nth(1).and_then(|rest| rest.split(' ').next());
    let max: usize = max.and_then(|max| max.parse().ok()).unwrap_or_else(|| panic!("{budget}"));
    assert!((64..120).contains(&max), "{budget}");
    assert!(budget.contains("for 100000, ws-cli needs ") && budget.contains(" may have 128 "), "{budget}");

    let _open: Vec<_> = (0..max).map(|_| server.open()).collect();
    for _ in 0..30 {
        assert!(server.http(&upgrade_request("")).starts_with("HTTP/1.1 503 "));
    }
    // More than there are descriptors, of clients that do not go when they are refused, and of some
    // that say nothing.
    let mut held: Vec<_> = (0..150).map(|_| server.connect()).collect();
    for stream in &mut held[..100] {
        // It fails for those that are refused at once.
        let _ = stream.write_all(upgrade_request("").as_bytes());
    }
    // Without waiting for the deadlines of those, which are 2 s.
    let start = Instant::now();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let stream = connect(SocketAddr::from(([127, 0, 0, 1], metrics_port)));
        let answer = http(stream, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
}

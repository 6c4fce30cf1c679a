//! What happens without a file descriptor left.

#![cfg(target_os = "linux")]

use crate::support::{Client, Server, shell, upgrade_request};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    time::Duration,
};

/// The processor time that a process has taken, in ticks of the system: a hundredth of a second each.
fn ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    // The fields after the program's name, from the third on; the times are the 14th and the 15th.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn accepting_pauses_until_there_is_one() {
    let script = "ulimit -n 40 && exec \"$0\" --port 0 --workers 1";
    let mut server = Server::spawn(&mut shell(script));
    let shortage = "needs 100152 open files for --max-connections 100000, and may have 40: ";
    assert!(server.limits[0].contains(shortage), "{:?}", server.limits);
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
    assert_eq!(server.limits.len(), 1, "{:?}", server.limits);
}

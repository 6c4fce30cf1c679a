//! How the program ends.

use crate::support::{Frame, Server, shell};
use nix::sys::signal::SigSet;
use std::{thread, time::Duration};

/// A close frame with 1001.
fn assert_going_away(frame: &Frame) {
    assert_eq!((frame.first_byte, &frame.payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]), "{frame:?}");
}

#[test]
fn a_signal_closes_the_connections_and_ends_the_server() {
    for signal in ["INT", "TERM"] {
        let server = Server::start(&["--log-format", "off"]);
        let mut clients = [server.open(), server.open()];
        for client in &mut clients {
            client.send(0x81, b"are you there?");
            assert_eq!(client.receive().payload, b"are you there?");
        }
        server.signal(signal);
        for client in &mut clients {
            let close = client.receive();
            assert_going_away(&close);
            client.send(0x88, &close.payload);
            assert!(client.ends());
        }
        drop(clients);
        let farewell = "ws-cli closing 2 connections, for up to 6s (a second Ctrl-C stops at once)\n";
        assert_eq!(server.end(), (Some(0), farewell.to_owned()), "SIG{signal}");
    }
}

#[test]
fn without_connections_it_ends_without_a_word() {
    let server = Server::start(&["--log-format", "off"]);
    // Neither a socket that has said nothing yet, nor one that has gone, is a connection.
    let _silent = server.connect();
    let mut gone = server.open();
    gone.send(0x88, b"");
    assert_eq!((gone.receive().first_byte, gone.ends()), (0x88, true));
    drop(gone);
    server.signal("TERM");
    assert_eq!(server.end(), (Some(0), String::new()));
}

#[test]
fn a_client_that_does_not_answer_is_waited_for_no_longer_than_told() {
    let server = Server::start(&["--close-timeout", "1ms"]);
    let mut silent = server.open();
    server.signal("INT");
    assert_going_away(&silent.receive());
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_process_that_is_stopped_while_it_shuts_down_still_says_that_it_goes_away() {
    let server = Server::start(&["--workers", "1", "--drain-window", "2s", "--close-timeout", "100ms"]);
    let mut clients: Vec<_> = (0..20).map(|_| server.open()).collect();
    server.signal("TERM");
    server.signal("STOP");
    thread::sleep(Duration::from_secs(4));
    server.signal("CONT");
    for client in &mut clients {
        assert_going_away(&client.receive());
    }
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn messages_that_come_while_the_process_is_stopped_are_no_flood() {
    let server = Server::start(&["--workers", "1", "--max-messages-per-second", "10"]);
    let mut client = server.open();
    server.signal("STOP");
    // Five a second.
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(200));
        client.send(0x81, b"hi");
    }
    server.signal("CONT");
    for number in 0..20 {
        assert_eq!(client.receive().payload, b"hi", "{number}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second, code) in [("INT", "INT", 130), ("TERM", "TERM", 143), ("INT", "TERM", 143)] {
        let server = Server::start(&["--close-timeout", "1h"]);
        let mut silent = server.open();
        server.signal(first);
        assert_going_away(&silent.receive());
        server.signal(second);
        assert_eq!(server.end().0, Some(code), "SIG{first}, SIG{second}");
    }
}

#[test]
fn it_goes_on_when_nobody_reads_what_it_says() {
    let mut server = Server::start(&[]);
    server.close_stderr();
    let mut client = server.open();
    server.signal("INT");
    assert_going_away(&client.receive());
    drop(client);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_signal_that_the_parent_blocked_ends_it_all_the_same() {
    for signal in ["INT", "TERM"] {
        let before = SigSet::thread_get_mask().unwrap();
        SigSet::all().thread_block().unwrap();
        let server = Server::start(&["--log-format", "off"]);
        before.thread_set_mask().unwrap();
        server.signal(signal);
        assert_eq!(server.end().0, Some(0), "SIG{signal}");
    }
}

#[test]
fn a_signal_that_the_parent_ignored_ends_it_all_the_same() {
    for signal in ["INT", "TERM"] {
        let server = Server::spawn(&mut shell("trap '' INT TERM HUP; exec \"$0\" --port 0 --log-format off"));
        server.signal(signal);
        assert_eq!(server.end().0, Some(0), "SIG{signal}");
    }
}

#[test]
fn signals_without_a_meaning_are_a_line_and_end_nothing() {
    let mut server = Server::start(&["--log-format", "off"]);
    let mut client = server.open();
    for (signal, expect) in [
        ("HUP", "ws-cli goes on after SIGHUP: there is nothing to reload"),
        ("USR1", "ws-cli goes on after SIGUSR1: it has no effect"),
        ("USR2", "ws-cli goes on after SIGUSR2: it has no effect"),
    ] {
        server.signal(signal);
        assert_eq!(server.next_line(), expect);
    }
    for signal in ["XFSZ", "PIPE", "STOP", "CONT", "WINCH"] {
        server.signal(signal);
    }
    client.send(0x81, b"are you there?");
    assert_eq!(client.receive().payload, b"are you there?");
    server.signal("TERM");
    assert_going_away(&client.receive());
    // While it ends, too.
    server.signal("HUP");
    drop(client);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_quit_ends_it_at_once() {
    let server = Server::spawn(&mut shell("ulimit -c 0; exec \"$0\" --port 0"));
    let mut client = server.open();
    server.signal("QUIT");
    assert!(client.ends());
    assert_eq!(server.end().0, None, "ended by the signal");
}

//! The memory that the server may have, and what it does at its limits.

#![cfg(target_os = "linux")]

use crate::support::{Client, Server, connect, http, port, run, shell, upgrade_request, ws_cli};
use std::net::SocketAddr;

/// The budget that a server announces, in MiB.
fn budget_mib(server: &Server) -> u64 {
    let budget = server.budget.split("at most ").nth(1).and_then(|rest| rest.split("MiB").next());
    budget.and_then(|budget| budget.parse().ok()).unwrap_or_else(|| panic!("{}", server.budget))
}

#[test]
fn the_budget_follows_the_address_space() {
    let server = Server::spawn(&mut shell("ulimit -v 524288 && exec \"$0\" --port 0 --workers 2"));
    assert_eq!(budget_mib(&server), 128);
    // A quarter of it would do for no worker, and half of it for one.
    let script = "ulimit -v 262144 && exec \"$0\" --port 0 --workers 4 --max-message-size 48MiB";
    let server = Server::spawn(&mut shell(script));
    assert_eq!(budget_mib(&server), 96);
    assert!(server.budget.contains(" in 1 worker,"), "{}", server.budget);
}

#[test]
fn a_budget_that_cannot_hold_a_message_is_refused_at_the_start() {
    let ended = run(&mut ws_cli(&["--port", "0", "--memory-budget", "64MiB", "--workers", "4"]));
    assert_eq!(ended.code, Some(2));
    let message = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["--memory-budget (64MiB)", "--max-message-size (16MiB)", "128MiB in all"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn unfinished_messages_do_not_end_a_server_with_little_address_space() {
    const MIB: usize = 1 << 20;
    // A masked binary frame that is not the last of its message (RFC 6455 §5.2), with a mask of
    // zeros.
    let mut unfinished = vec![0x02, 0xff];
    unfinished.extend((15 * MIB as u64).to_be_bytes());
    unfinished.resize(14 + 15 * MIB, 0);
    for (flags, why) in [
        ("", "the memory budget is spent, and this connection ends"),
        // The system has less than the budget, and refuses an allocation.
        ("--memory-budget 4GiB", "there is no memory for a message"),
    ] {
        let script = format!("ulimit -v 524288 && exec \"$0\" --port 0 --workers 2 {flags}");
        let mut server = Server::spawn(&mut shell(&script));
        let _clients: Vec<_> = (0..40)
            .map(|_| {
                let mut client = server.open();
                // The server may end the connection meanwhile.
                let _ = client.send_raw(&unfinished);
                client
            })
            .collect();
        let lines = server.lines_until(move |line| line.contains(why));
        assert!(lines.last().unwrap().contains(why), "{lines:#?}");
        let mut client = server.open();
        client.send(0x81, b"as ever");
        assert_eq!(client.receive().payload, b"as ever");
    }
}

#[test]
fn the_path_is_kept_as_far_as_it_is_logged() {
    let mut server = Server::start(&["--metrics", "127.0.0.1:0", "--workers", "1"]);
    let metrics = SocketAddr::from(([127, 0, 0, 1], port(&server.next_line())));
    let request = upgrade_request("").replacen("/chat", &format!("/{}", "a".repeat(16_000)), 1);
    let _clients: Vec<_> = (0..10).map(|_| Client::open_with(server.connect(), &request)).collect();
    let metrics = http(connect(metrics), "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let held = metrics.lines().find_map(|line| line.strip_prefix("ws_held_bytes ")).unwrap();
    let held: usize = held.parse().unwrap();
    assert!((10 * 200..10 * 400).contains(&held), "{held} bytes of 10 sessions");
}

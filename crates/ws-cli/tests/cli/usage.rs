//! Flags, environment variables, and what is said about those that are wrong.

use crate::support::{Ended, Server, run, shell, ws_cli};
use std::net::TcpListener;

/// Runs the program with mistakes, and checks that it complains with these words.
#[track_caller]
fn check_usage_error(flags: &[&str], variables: &[(&str, &str)], words: &[&str]) {
    let Ended { code, stdout, stderr } = run(ws_cli(flags).envs(variables.iter().copied()));
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{flags:?} {variables:?}: {stderr}");
    assert!(
        stderr.starts_with("error: ") && !stderr.contains("panicked"),
        "{flags:?} {variables:?}: {stderr}"
    );
    for word in words {
        assert!(stderr.contains(word), "{flags:?} {variables:?} has no {word}: {stderr}");
    }
}

#[test]
fn wrong_flags() {
    for (flags, words) in [
        (&["--prot", "80"][..], &["--prot", "--port"][..]),
        (&["9999"], &["9999"]),
        (&["--port"], &["--port"]),
        (&["--port", "65536"], &["65536", "--port"]),
        (&["--bind", "localhost:80"], &["localhost:80", "--bind"]),
        (&["--bind", "127.0.0.1:80"], &["--bind", "the port is given with --port"]),
        (&["--workers", "0"], &["--workers", "1..=1024"]),
        (&["--metrics", "9998"], &["--metrics", "9998", "such as 127.0.0.1:9998"]),
        (&["--metrics", "localhost:9998"], &["--metrics", "such as 127.0.0.1:9998"]),
        (&["--log-format", "xml"], &["--log-format", "text, json, off"]),
        (&["--origin", "example.com"], &["--origin", "example.com"]),
        (&["--host", "http://localhost"], &["--host", "http://localhost"]),
        (&["--max-message-size", "16M"], &["--max-message-size", "16M", "MiB"]),
        (&["--max-fragments", "0"], &["--max-fragments"]),
        (&["--max-headers", "0"], &["--max-headers"]),
        (&["--read-buffer-len", "0"], &["--read-buffer-len", "at least 1 byte"]),
        (&["--read-buffer-len", "65MiB"], &["--read-buffer-len", "at most 64MiB"]),
        (&["--idle-timeout", "10"], &["--idle-timeout", "such as 500ms, 10s or 2m"]),
        (&["--idle-timeout", "0s"], &["--idle-timeout", "at least 1ms"]),
    ] {
        check_usage_error(flags, &[], words);
    }
}

#[test]
fn wrong_variables_are_named() {
    check_usage_error(&[], &[("WS_PORT", "abc")], &["'abc' for 'WS_PORT'"]);
    check_usage_error(&[], &[("WS_BIND", "127.0.0.1,x")], &["'x' for 'WS_BIND'"]);
    check_usage_error(&[], &[("WS_IDLE_TIMEOUT", "5")], &["'5' for 'WS_IDLE_TIMEOUT'"]);
    // The flag is looked at first, whatever the variables have.
    check_usage_error(&["--port", "abc"], &[("WS_PORT", "abc")], &["'abc' for '--port <PORT>'"]);
    check_usage_error(&["--port", "abc"], &[("WS_WORKERS", "x")], &["'abc' for '--port <PORT>'"]);
}

#[test]
fn contradictions() {
    check_usage_error(
        &["--write-low-water", "2MiB", "--write-high-water", "1536KiB"],
        &[],
        &["--write-low-water (2MiB) is above --write-high-water (1536KiB)"],
    );
    check_usage_error(
        &[],
        &[("WS_MAX_MESSAGE_SIZE", "1GiB")],
        &["--max-message-size (1GiB) is above --max-write-queue (64MiB)"],
    );
    check_usage_error(
        &["--log-format", "off"],
        &[("WS_LOG_MESSAGES", "true")],
        &["--log-messages asks for lines that --log-format off leaves out"],
    );
}

#[test]
fn variables_stand_for_flags_and_flags_win() {
    let server = Server::spawn(ws_cli(&[]).env("WS_PORT", "0").env("WS_BIND", "127.0.0.1"));
    let port = server.port;
    assert!(server.announcement.contains(&format!("ws://127.0.0.1:{port} ")), "{}", server.announcement);

    let server = Server::spawn(ws_cli(&["--port", "0"]).env("WS_PORT", "abc"));
    server.open();
}

#[test]
fn help_tells_unit_and_default_of_every_flag() {
    let Ended { code, stdout, stderr } = run(&mut ws_cli(&["--help"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for (flag, default) in [
        ("-p, --port <PORT>", "9999"),
        ("--bind <ADDR>", "localhost"),
        ("--workers <N>", "one for each core"),
        ("--log-format <FORMAT>", "text"),
        ("--metrics <ADDR:PORT>", "nowhere"),
        ("--origin <ORIGINS>", "any"),
        ("--host <HOSTS>", "any"),
        ("--max-message-size <SIZE>", "16MiB"),
        ("--max-fragments <N>", "131072"),
        ("--max-request-len <SIZE>", "16KiB"),
        ("--max-headers <N>", "100"),
        ("--write-high-water <SIZE>", "1MiB"),
        ("--write-low-water <SIZE>", "256KiB"),
        ("--max-write-queue <SIZE>", "64MiB"),
        ("--max-read-per-turn <SIZE>", "256KiB"),
        ("--read-buffer-len <SIZE>", "256KiB"),
        ("--handshake-timeout <DURATION>", "10s"),
        ("--idle-timeout <DURATION>", "30s"),
        ("--pong-timeout <DURATION>", "20s"),
        ("--close-timeout <DURATION>", "5s"),
    ] {
        let (_, about) = stdout
            .split_once(&format!(" {flag} "))
            .or_else(|| stdout.split_once(&format!(" {flag}\n")))
            .unwrap();
        let about = about.split_once(']').unwrap().0;
        assert!(about.ends_with(&format!("[default: {default}")), "{flag}: {about}");
        assert!(!about.contains(" --"), "{flag} has no default of its own: {about}");
    }
    for words in ["SIZE is", "DURATION is", "WS_PORT=8080", "new WebSocket(\"ws://localhost:9999\")"] {
        assert!(stdout.contains(words), "{words}");
    }
}

#[test]
fn version() {
    let Ended { code, stdout, .. } = run(&mut ws_cli(&["--version"]));
    assert_eq!((code, stdout), (Some(0), format!("ws-cli {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_taken_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let Ended { code, stdout, stderr } = run(&mut ws_cli(&["--port", &port]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(
        stderr,
        format!(
            "ws-cli: cannot listen on 127.0.0.1:{port}: the port is taken by another program (try --port 0, or another \
             --port)\n"
        )
    );
}

#[test]
fn an_address_of_another_machine() {
    let Ended { code, stderr, .. } = run(&mut ws_cli(&["--port", "0", "--bind", "192.0.2.1"]));
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        "ws-cli: cannot listen on 192.0.2.1:0: this machine does not have that address (try another --bind)\n"
    );
}

#[test]
fn the_exit_code_is_the_same_if_nobody_can_be_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (flags, expect) in [(format!("--port {port}"), Some(1)), ("--port abc".to_owned(), Some(2))] {
        assert_eq!(run(&mut shell(&format!("exec \"$0\" {flags} 2>&-"))).code, expect, "{flags}");
    }
}

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
        (&["--bind", "*"], &["--bind", "for every address, 0.0.0.0 or ::"]),
        (&["--workers", "0"], &["--workers", "1..=1024"]),
        (
            &["--metrics", "9998"],
            &["--metrics", "9998", "such as localhost:9998", "for every address, :9998"],
        ),
        (&["--metrics", "*:9998"], &["--metrics", "for every address, :9998"]),
        (&["--metrics", "localhost"], &["--metrics", "such as localhost:9998"]),
        (&["--log-format", "xml"], &["--log-format", "text, json, off"]),
        (&["--origin", "example.com"], &["--origin", "example.com"]),
        (&["--origin", "*"], &["'*' for '--origin <ORIGINS>'", "write any"]),
        (&["--origin", "https://*"], &["--origin", "write any"]),
        (&["--origin", "same-origin,https://a"], &["--origin", "same-origin", "not in a list"]),
        (&["--host", "*"], &["'*' for '--host <HOSTS>'", "write any"]),
        (&["--host", "any,a"], &["--host", "not in a list"]),
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
    check_usage_error(&[], &[("WSCLI_PORT", "abc")], &["'abc' for 'WSCLI_PORT'"]);
    check_usage_error(&[], &[("WSCLI_BIND", "127.0.0.1,x")], &["'x' for 'WSCLI_BIND'"]);
    check_usage_error(&[], &[("WSCLI_IDLE_TIMEOUT", "5")], &["'5' for 'WSCLI_IDLE_TIMEOUT'"]);
    // The flag is looked at first, whatever the variables have.
    check_usage_error(&["--port", "abc"], &[("WSCLI_PORT", "abc")], &["'abc' for '--port <PORT>'"]);
    check_usage_error(&["--port", "abc"], &[("WSCLI_WORKERS", "x")], &["'abc' for '--port <PORT>'"]);
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
        &[("WSCLI_MAX_MESSAGE_SIZE", "1GiB")],
        &["--max-message-size (1GiB) is above --max-write-queue (64MiB)"],
    );
    check_usage_error(
        &["--log-format", "off"],
        &[("WSCLI_LOG_MESSAGES", "true")],
        &["--log-messages asks for lines that --log-format off leaves out"],
    );
    check_usage_error(
        &["--log-level", "warn", "--log-messages"],
        &[],
        &["--log-messages asks for lines that --log-level leaves out"],
    );
}

#[test]
fn variables_stand_for_flags_and_flags_win() {
    let server = Server::spawn(ws_cli(&[]).env("WSCLI_PORT", "0").env("WSCLI_BIND", "127.0.0.1"));
    let port = server.port;
    assert!(server.announcement.contains(&format!("ws://127.0.0.1:{port} ")), "{}", server.announcement);

    let server = Server::spawn(ws_cli(&["--port", "0"]).env("WSCLI_PORT", "abc"));
    server.open();
}

/// A Kubernetes Service called `ws` sets these in every container of its namespace.
#[test]
fn variables_of_others_are_not_ours() {
    let server = Server::spawn(ws_cli(&["--port", "0"]).envs([
        ("WS_PORT", "tcp://10.152.183.7:9999"),
        ("WS_HOST", "0.0.0.0"),
        ("WS_SERVICE_HOST", "10.152.183.7"),
        ("WS_BIND", "192.0.2.1"),
        ("WS_LOG_FORMAT", "json"),
    ]));
    server.open();
    assert!(server.announcement.starts_with("ws-cli listening on "), "{}", server.announcement);
}

#[test]
fn an_empty_variable_counts_for_nothing() {
    let help = run(&mut ws_cli(&["--help"])).stdout;
    let flags = help.lines().filter_map(|line| line.split_once("--")?.1.split([' ', ',']).next());
    let names: Vec<String> =
        flags.map(|flag| format!("WSCLI_{}", flag.to_ascii_uppercase().replace('-', "_"))).collect();
    assert!(names.len() > 20, "{names:?}");
    let server = Server::spawn(ws_cli(&["--port", "0"]).envs(names.iter().map(|name| (name, ""))));
    server.open();
}

#[test]
fn a_switch_by_a_variable() {
    for (value, expect) in
        [("1", true), ("true", true), ("yes", true), ("0", false), ("no", false), ("false", false)]
    {
        let mut server = Server::spawn(ws_cli(&["--port", "0"]).env("WSCLI_LOG_MESSAGES", value));
        let mut client = server.open();
        client.send(0x81, b"a");
        client.receive();
        client.send(0x88, b"\x03\xe8");
        let lines = server.lines_until(|line| line.contains(" close "));
        assert_eq!(lines.iter().any(|line| line.contains(" message ")), expect, "{value}: {lines:#?}");
    }
    check_usage_error(&[], &[("WSCLI_LOG_MESSAGES", "maybe")], &["'maybe' for 'WSCLI_LOG_MESSAGES'"]);
}

#[test]
fn help_tells_unit_and_default_of_every_flag() {
    let Ended { code, stdout, stderr } = run(&mut ws_cli(&["--help"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for (flag, default) in [
        ("-p, --port <PORT>", "9999"),
        ("--bind <ADDR>", "localhost"),
        ("--workers <N>", "one per core"),
        ("--log-format <FORMAT>", "text"),
        ("--metrics <ADDR:PORT>", "none"),
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
    for words in ["SIZE is", "DURATION is", "WSCLI_PORT=8080", "new WebSocket(\"ws://localhost:9999\")"] {
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

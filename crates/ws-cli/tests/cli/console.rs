//! The program as a browser sees it before there is a WebSocket: its page.

use crate::support::{Client, Server, upgrade_request};

const PAGE: &str = include_str!("../../src/console/page.html");
const STYLE: &str = include_str!("../../src/console/style.css");
const SCRIPT: &str = include_str!("../../src/console/script.js");

/// The parts of the console: the path, the media type and the content of each.
const PARTS: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", PAGE),
    ("/console.css", "text/css; charset=utf-8", STYLE),
    ("/console.js", "text/javascript; charset=utf-8", SCRIPT),
];

fn get(server: &Server, target: &str) -> (String, String) {
    let response = server.http(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_root_is_the_console() {
    let server = Server::start(&[]);
    for target in ["/", "/?room=1", "http://localhost/"] {
        let (head, body) = get(&server, target);
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        assert!(body == PAGE, "{target}: {body}");
    }
}

/// With `nosniff`, a browser applies a style and runs a script only if it is called one.
#[test]
fn each_part_of_the_console_has_its_type() {
    let server = Server::start(&[]);
    for (target, content_type, content) in PARTS {
        let (head, body) = get(&server, target);
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        let field = format!("Content-Type: {content_type}");
        assert!(head.lines().any(|line| line == field), "{target}: {head}");
        assert!(body == content, "{target}: {body}");
    }
}

/// A path of the console is its own for pages alone.
#[test]
fn the_paths_of_the_console_take_a_websocket() {
    let server = Server::start(&[]);
    for (target, ..) in PARTS {
        let request = upgrade_request("").replacen("/chat", target, 1);
        Client::open_with(server.connect(), &request);
    }
}

#[test]
fn the_console_is_sealed() {
    let server = Server::start(&[]);
    for (target, ..) in PARTS {
        is_sealed(&get(&server, target).0);
    }
}

#[track_caller]
fn is_sealed(head: &str) {
    for header in [
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cache-Control: no-store",
    ] {
        assert!(head.lines().any(|line| line == header), "{header}: {head}");
    }
    let policy = head.lines().find_map(|line| line.strip_prefix("Content-Security-Policy: ")).unwrap();
    let directives: Vec<_> = policy.split("; ").collect();
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self' ws: wss:",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(directives.contains(&directive), "{directive}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
}

/// `connect-src ws: wss:` is there for Safari 14.1 to 15.3: the page must not fail there for other
/// reasons.
#[test]
fn the_console_runs_in_safari_14() {
    for newer in [
        ".at(",
        ".findLast",
        ".hasOwn(",
        ".replaceAll(",
        ".requestSubmit(",
        ".showModal(",
        ".structuredClone(",
        ".toReversed(",
        ".toSorted(",
        ".toSpliced(",
        ".with(",
        ":has(",
        "(?<",
        "/v;",
    ] {
        for (target, _, content) in PARTS {
            assert!(!content.contains(newer), "{target}: {newer} is newer than Safari 14.1");
        }
    }
}

#[test]
fn other_paths_have_no_page_but_take_a_websocket() {
    let server = Server::start(&[]);
    for target in ["/favicon.ico", "/chat", "/chat?room=1", "//"] {
        let (head, body) = get(&server, target);
        assert!(head.starts_with("HTTP/1.1 404 "), "{target}: {head}");
        assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{target}: {head}");
        assert!(body.contains("The console is at /"), "{target}: {body}");
    }
    assert!(upgrade_request("").starts_with("GET /chat "));
    server.open();
}

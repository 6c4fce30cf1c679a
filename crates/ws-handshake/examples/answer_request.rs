//! Answers the request on standard input on standard output, as a server would that speaks the subprotocol
//! `chat`.
//!
//! ```text
//! printf 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' | cargo run -p ws-handshake --example answer_request
//! ```
//!
//! The exit code is 0 if the answer is a 101, 1 if it is a refusal, and 2 if the input ends before the
//! request does.

use std::{
    io::{self, Read, Write},
    process::ExitCode,
};

use ws_handshake::{Accept, EMPTY_HEADER, HeadScanner, OriginPolicy, Request, Response};

const MAX_REQUEST_LEN: usize = 8192;
const MAX_HEADERS: usize = 64;

fn main() -> io::Result<ExitCode> {
    let (mut scanner, mut received) = (HeadScanner::new(), Vec::new());
    let mut out = Vec::new();
    let accepted = loop {
        match scanner.scan(&received, MAX_REQUEST_LEN) {
            Ok(Some(head_len)) => break accept(&received[..head_len], &mut out),
            Ok(None) if !read_more(&mut received)? => return Ok(ExitCode::from(2)),
            Ok(None) => {}
            Err(error) => break Err(error.response()),
        }
    };
    if let Err(refusal) = &accepted {
        refusal.encode(&mut out);
    }
    io::stdout().write_all(&out)?;
    Ok(if accepted.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Appends the 101 that answers `head`.
fn accept(head: &[u8], out: &mut Vec<u8>) -> Result<(), Response> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let request = Request::parse(head, &mut headers)?;
    let upgrade = request.upgrade()?;
    if !OriginPolicy::SameOrigin.allows(&request) {
        return Err(Response::text(403, "this origin is not allowed\n"));
    }
    let accept = Accept::new().with_subprotocol(upgrade.select_subprotocol(&["chat"]));
    #[expect(clippy::expect_used, reason = "the subprotocol was selected among the offered ones")]
    accept.encode(&upgrade, out).expect("what was selected was offered");
    Ok(())
}

/// Appends what standard input has; `false` at its end.
fn read_more(received: &mut Vec<u8>) -> io::Result<bool> {
    let mut segment = [0; 1024];
    let len = io::stdin().read(&mut segment)?;
    received.extend_from_slice(&segment[..len]);
    Ok(len > 0)
}

//! A WebSocket server that does what the path says, and not what is right.

use crate::Outcome;
use crate::raw::{CLOSE, TEXT};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use ws_handshake::{Accept, EMPTY_HEADER, HeadScanner, Request};

/// What a page must show as text. As HTML, it would make an element and run a script.
pub(super) const MARKUP: &str = "<img src=x onerror=alert(1)><b>bold</b>";

/// How long a connection is held, at most.
const TIMEOUT: Duration = Duration::from_secs(60);

const MAX_HEAD_LEN: usize = 16 * 1024;

/// How many connections to `/flaky` are dropped before one is held.
const FLAKY_DROPS: usize = 2;

/// The server, which runs until the process ends.
pub(super) struct Peer {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    dropped: AtomicUsize,
    flaky: AtomicUsize,
}

impl Peer {
    /// Listens on a free port of this machine.
    pub(super) fn start() -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&shared);
                thread::spawn(move || {
                    // A browser may end a connection at any time; the page's log is what is checked.
                    let _ = serve(stream, &counts);
                });
            }
        });
        Ok(Self { address, counts })
    }

    /// The WebSocket URL of a path:
    ///
    /// - `/drop` ends the stream without a Close frame;
    /// - `/close` closes with 4001 and markup as the reason;
    /// - `/flaky` drops at first, and then holds;
    /// - `/deaf` holds, and reads nothing;
    /// - `/refuse` answers the handshake with 403;
    /// - any other sends a message of markup, and holds.
    pub(super) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// How many connections to `/drop` have come so far.
    pub(super) fn dropped(&self) -> usize {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, counts: &Counts) -> Outcome {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let path = upgrade(&mut stream)?;
    match path.as_str() {
        "/drop" => {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        "/flaky" if counts.flaky.fetch_add(1, Ordering::Relaxed) < FLAKY_DROPS => {}
        "/deaf" => thread::sleep(TIMEOUT),
        "/close" => {
            let mut payload = 4001_u16.to_be_bytes().to_vec();
            payload.extend_from_slice(MARKUP.as_bytes());
            write_frame(&mut stream, CLOSE, &payload)?;
            hold(&mut stream)?;
        }
        _ => {
            write_frame(&mut stream, TEXT, MARKUP.as_bytes())?;
            hold(&mut stream)?;
            write_frame(&mut stream, CLOSE, &1000_u16.to_be_bytes())?;
        }
    }
    Ok(())
}

/// Answers the opening handshake, and gives its path.
fn upgrade(stream: &mut TcpStream) -> Outcome<String> {
    let mut head = Vec::new();
    let mut scanner = HeadScanner::new();
    let len = loop {
        if let Some(len) = scanner.scan(&head, MAX_HEAD_LEN)? {
            break len;
        }
        let mut bytes = [0; 1024];
        let len = stream.read(&mut bytes)?;
        if len == 0 {
            return Err("the browser ended the stream in its handshake".into());
        }
        head.extend_from_slice(&bytes[..len]);
    };
    let mut headers = [EMPTY_HEADER; 64];
    let request = Request::parse(&head[..len], &mut headers)?;
    let path = request.path().to_owned();
    let mut answer = Vec::new();
    if path == "/refuse" {
        answer.extend_from_slice(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else {
        Accept::new().encode(&request.upgrade()?, &mut answer)?;
    }
    stream.write_all(&answer)?;
    Ok(path)
}

/// Writes one short frame, unmasked (RFC 6455 §5.2).
fn write_frame(stream: &mut TcpStream, first: u8, payload: &[u8]) -> Outcome {
    let mut frame = vec![first, u8::try_from(payload.len())?];
    frame.extend_from_slice(payload);
    Ok(stream.write_all(&frame)?)
}

/// Reads until the browser ends the stream, or sends a Close frame.
fn hold(stream: &mut TcpStream) -> Outcome {
    let mut bytes = [0; 4096];
    while let len @ 1.. = stream.read(&mut bytes)? {
        if bytes[..len].starts_with(&[CLOSE]) {
            break;
        }
    }
    Ok(())
}

//! Connections, from their first packet to the end of their opening handshake.

use crate::window::PATIENCE;
use crate::{Options, Outcome};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

/// How many connections open at once where that is no matter.
pub(crate) const AT_ONCE: usize = 16;

/// RFC 6455 §1.3: the key of the example, and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Connections that are open. Each is registered with `poll` under its index.
pub(crate) struct Connections {
    pub(crate) poll: Poll,
    pub(crate) streams: Vec<TcpStream>,
    /// What the server has agreed to, in its words.
    pub(crate) extensions: String,
}

/// A connection that is being opened.
struct Opening {
    stream: TcpStream,
    sent: bool,
    received: Vec<u8>,
}

/// Opens all the connections, `at_once` of them at a time. A raw server sends the request back, and that opens them.
pub(crate) fn open(options: &Options, at_once: usize, extensions: Option<&str>) -> Outcome<Connections> {
    let request = request(options.port, extensions);
    let mut connections = Connections { poll: Poll::new()?, streams: Vec::new(), extensions: String::new() };
    let mut openings: Vec<Option<Opening>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut open = 0;
    while open < options.connections() {
        while openings.len() < options.connections() && openings.len() - open < at_once {
            openings.push(Some(Opening::start(options.addr(), openings.len(), &connections.poll)?));
        }
        connections.poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err(format!("no answer to a handshake, after {open} of them").into());
        }
        for event in &events {
            let Some(opening) = &mut openings[event.token().0] else { continue };
            if !opening.go_on(event, &request)? {
                continue;
            }
            let head_is_whole = if options.raw {
                opening.received == request
            } else {
                opening.received.ends_with(b"\r\n\r\n")
            };
            if head_is_whole {
                if !options.raw {
                    connections.extensions = check(&opening.received)?;
                }
                open += 1;
            }
        }
    }
    connections.streams = openings.into_iter().flatten().map(|opening| opening.stream).collect();
    Ok(connections)
}

impl Opening {
    fn start(addr: SocketAddr, index: usize, poll: &Poll) -> Outcome<Self> {
        let mut stream = TcpStream::connect(addr)?;
        poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, sent: false, received: Vec::new() })
    }

    /// Sends the request, and reads what has come; `false` if that was nothing.
    fn go_on(&mut self, event: &Event, request: &[u8]) -> Outcome<bool> {
        if !self.sent && event.is_writable() {
            self.stream.set_nodelay(true)?;
            if self.stream.write(request)? != request.len() {
                return Err("a request was not taken in one piece".into());
            }
            self.sent = true;
        }
        let mut buffer = [0; 2048];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err("the server has ended a connection in its handshake".into()),
            Ok(len) => {
                self.received.extend_from_slice(&buffer[..len]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                Ok(false)
            }
            Err(error) => Err(format!("a handshake failed: {error}").into()),
        }
    }
}

fn request(port: u16, extensions: Option<&str>) -> Vec<u8> {
    let extensions =
        extensions.map_or(String::new(), |offer| format!("Sec-WebSocket-Extensions: {offer}\r\n"));
    format!(
        "GET / HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    )
    .into_bytes()
}

/// Checks a response, and gives the extensions that it agrees to.
fn check(response: &[u8]) -> Outcome<String> {
    let text = String::from_utf8_lossy(response);
    let field = |wanted: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned()))
    };
    if !text.starts_with("HTTP/1.1 101") || field("sec-websocket-accept").as_deref() != Some(ACCEPT) {
        return Err(format!("the handshake was answered with {text:?}").into());
    }
    Ok(field("sec-websocket-extensions").unwrap_or_default())
}

/// Waits for events; none at all in all that time is an error.
pub(crate) fn wait(poll: &mut Poll, events: &mut Events) -> Outcome<Instant> {
    poll.poll(events, Some(PATIENCE))?;
    if events.is_empty() {
        return Err("the server says nothing any more".into());
    }
    Ok(Instant::now())
}

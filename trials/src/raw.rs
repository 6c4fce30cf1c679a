//! A peer that sends what it likes. Where [`Client`](crate::client::Client) keeps to the RFC, this one need not: it is a
//! socket, and the bytes to send.

use crate::Outcome;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the server may take for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// How many addresses connections come from. One alone runs out of ports when many come and go, as each port rests for a
/// minute.
const SOURCES: u32 = 16;

/// Longest answer to an opening request, in bytes.
const MAX_ANSWER_LEN: u64 = 1 << 20;

/// The first byte of a whole frame: FIN and the opcode (RFC 6455 §5.2).
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;

/// The first byte of a text message's first fragment, and of those that follow, but for the last (RFC 6455 §5.4).
pub(crate) const FIRST_FRAGMENT: u8 = 0x01;
pub(crate) const CONTINUATION: u8 = 0x00;

/// An opening request, as in RFC 6455 §1.3.
pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Connects to a port of this machine.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    connect_with(port, |_| Ok(()))
}

/// Connects a socket that was set up before.
pub(crate) fn connect_with(
    port: u16,
    set_up: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<TcpStream> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % SOURCES;
    connect_from(Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + next), port, set_up)
}

/// The same, from this address of the machine's. Those of 127.0.1.0/24 are used by nobody else.
pub(crate) fn connect_from(
    source: Ipv4Addr,
    port: u16,
    set_up: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    // A message is one write: waiting to join it with the next one only makes it late.
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    set_up(&socket)?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket.into())
}

/// Connects, and does the opening handshake.
pub(crate) fn open(port: u16) -> Outcome<TcpStream> {
    upgrade(connect(port)?)
}

/// Does the opening handshake.
pub(crate) fn upgrade(stream: TcpStream) -> Outcome<TcpStream> {
    upgrade_with(stream, REQUEST.as_bytes())
}

/// Does the rest of an opening handshake, of which these bytes of the request are left to send.
pub(crate) fn upgrade_with(mut stream: TcpStream, rest: &[u8]) -> Outcome<TcpStream> {
    stream.write_all(rest)?;
    let mut head = Vec::new();
    let mut byte = [0];
    // The first frame may follow at once, and is not to be read here.
    while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    match status(&head) {
        Some(101) => Ok(stream),
        _ => Err(format!("no upgrade: {}", String::from_utf8_lossy(&head)).into()),
    }
}

/// Asks for a page; gives its status and its text.
pub(crate) fn get(port: u16, path: &str) -> Outcome<(u16, String)> {
    let mut stream = connect(port)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    answer(&mut stream)
}

/// Reads an answer that ends with its connection; gives its status and its text.
pub(crate) fn answer(stream: &mut TcpStream) -> Outcome<(u16, String)> {
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_LEN).read_to_end(&mut answer)?;
    let status = status(&answer).ok_or("no HTTP response")?;
    let text = String::from_utf8_lossy(&answer);
    Ok((status, text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()))
}

/// A frame as a client sends it, with this first byte. Its masking key is zero: the payload stands in it as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload);
    frame
}

/// The header of such a frame: what it declares need not follow.
pub(crate) fn header(first: u8, payload_len: u64) -> Vec<u8> {
    let mut header = unmasked(first, payload_len);
    header[1] |= 0x80;
    header.extend([0; 4]);
    header
}

/// A frame's header as a server sends it.
pub(crate) fn unmasked(first: u8, payload_len: u64) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(len @ ..=125), _) => header.push(len),
        (_, Ok(len)) => {
            header.push(126);
            header.extend(len.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend(payload_len.to_be_bytes());
        }
    }
    header
}

/// A close frame with this code.
pub(crate) fn close(code: u16) -> Vec<u8> {
    frame(CLOSE, &code.to_be_bytes())
}

/// Waits for the code of the server's close frame, and passes over what comes before. `None`: the connection ended
/// without one, 1005: it has none.
pub(crate) fn close_code(stream: &mut TcpStream) -> Outcome<Option<u16>> {
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        match next_frame(stream) {
            Ok((CLOSE, payload)) => {
                return Ok(Some(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))));
            }
            Ok(_) => {}
            Err(error) if has_ended(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Err("no close frame in time".into())
}

/// Reads a frame of the server's: its first byte and its payload.
pub(crate) fn next_frame(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    stream.read_exact(&mut start)?;
    let len = match start[1] {
        126 => {
            let mut len = [0; 2];
            stream.read_exact(&mut len)?;
            u64::from(u16::from_be_bytes(len))
        }
        127 => {
            let mut len = [0; 8];
            stream.read_exact(&mut len)?;
            u64::from_be_bytes(len)
        }
        len => u64::from(len),
    };
    let mut payload = Vec::new();
    if stream.take(len).read_to_end(&mut payload)? as u64 != len {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok((start[0], payload))
}

/// Ends a connection with a reset: neither side hears of what was under way.
pub(crate) fn reset(stream: TcpStream) {
    // It fails for a connection that the server has reset, which is as good.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

/// Whether this is how the end of a connection shows.
pub(crate) fn has_ended(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

fn status(response: &[u8]) -> Option<u16> {
    let code = response.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    str::from_utf8(code).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_length() {
        for (len, expect) in [
            (0, vec![0x82, 0x80, 0, 0, 0, 0]),
            (125, vec![0x82, 0xfd, 0, 0, 0, 0]),
            (126, vec![0x82, 0xfe, 0, 126, 0, 0, 0, 0]),
            (65_535, vec![0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]),
            (65_536, vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(header(BINARY, len), expect, "{len}");
        }
        assert_eq!(close(1000), [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    }

    #[test]
    fn statuses() {
        for (response, expect) in
            [("HTTP/1.1 408 Request Timeout\r\n", Some(408)), ("HTTP/1.1 4", None), ("", None)]
        {
            assert_eq!(status(response.as_bytes()), expect, "{response}");
        }
    }
}

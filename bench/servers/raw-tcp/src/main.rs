//! An echo of bytes: what any server of messages has to do at the least, with one read and one write a wake-up.
#![forbid(unsafe_code)]

use bench_options::{Options, announce};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

/// What a plain echo program would have. With more it is cheaper for large messages, up to half as much: then the ratios of
/// all other servers are greater, and the marks in `docs/performance.md` were not set by those.
const BUFFER_LEN: usize = 32 * 1024;

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    /// What the socket has not taken yet. Nothing is read meanwhile.
    unsent: Vec<u8>,
}

fn main() -> io::Result<()> {
    let options = Options::from_process();
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(listener.local_addr()?.port())?;

    let mut connections: Slab<Connection> = Slab::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let entry = connections.vacant_entry();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(entry.key()), interest)?;
                    entry.insert(Connection { stream, unsent: Vec::new() });
                }
                continue;
            }
            let Token(key) = event.token();
            let Some(connection) = connections.get_mut(key) else { continue };
            if !connection.serve(&mut buffer).unwrap_or(false) {
                connections.remove(key);
            }
        }
    }
}

impl Connection {
    /// Sends back what there is to read; `false` at the end of the stream.
    fn serve(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let len = written(self.stream.write(&self.unsent))?;
            self.unsent.drain(..len);
        }
        while self.unsent.is_empty() {
            let len = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            let sent = written(self.stream.write(&buffer[..len]))?;
            self.unsent.extend_from_slice(&buffer[sent..len]);
            // A short read has emptied the socket, and the next bytes are another event.
            if len < buffer.len() {
                break;
            }
        }
        Ok(true)
    }
}

fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

//! The accepting thread: new sockets, handed to the workers in turn.

use crate::mailbox::Remote;
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use std::{
    io::{self, ErrorKind},
    time::Duration,
};

/// The token of the waker; every other is the index of a listener.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// How long accepting rests when the system cannot give a socket, for lack of descriptors or memory.
const REST: Duration = Duration::from_millis(100);

/// Accepts connections until the server stops.
pub(crate) fn run(poll: &mut Poll, listeners: &mut [TcpListener], remote: &Remote) -> io::Result<()> {
    for (index, listener) in listeners.iter_mut().enumerate() {
        poll.registry().register(listener, Token(index), Interest::READABLE)?;
    }
    let mut events = Events::with_capacity(16);
    let mut workers = remote.mailboxes().iter().cycle();
    let mut rest = None;
    while !remote.is_stopping() {
        match poll.poll(&mut events, rest) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        // After a rest, every listener may have something that it has already told of.
        let rested = rest.take().is_some();
        for (index, listener) in listeners.iter().enumerate() {
            if !rested && !events.iter().any(|event| event.token() == Token(index)) {
                continue;
            }
            loop {
                match listener.accept() {
                    Ok((socket, remote_addr)) => {
                        // Without it, a small answer may wait for the acknowledgement of the one before. A socket
                        // that cannot have it works all the same.
                        let _ = socket.set_nodelay(true);
                        if let Some(mailbox) = workers.next() {
                            mailbox.socket(socket, remote_addr);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The peer was gone before it was accepted.
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => {
                        rest = Some(REST);
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

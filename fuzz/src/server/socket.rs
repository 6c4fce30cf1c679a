//! A socket whose every call may go wrong.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    mem,
    rc::Rc,
};

/// What happens to a call, once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It goes well.
    None,
    /// It takes or gives this many bytes at most.
    Short(usize),
    /// It would block, whatever is there.
    Block,
    /// It is interrupted by a signal.
    Interrupt,
    /// It fails, as does every call after it.
    Reset,
}

/// Both ends of a socket.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) to_server: VecDeque<u8>,
    pub(super) to_client: Vec<u8>,
    /// What happens to the next calls.
    pub(super) faults: VecDeque<Fault>,
    /// How many more bytes the socket takes before it would block; `None`: all.
    pub(super) room: Option<usize>,
    /// It did not take all that was written: it has to say when it takes more.
    is_full: bool,
    /// What the system tells the server at its next wake-up. As with epoll's edges, it does not tell it again.
    pub(super) becomes_readable: bool,
    pub(super) becomes_writable: bool,
    /// The client has ended its direction.
    pub(super) ended_by_client: bool,
    pub(super) reset: bool,
    /// The server has ended its direction.
    pub(super) ended_by_server: bool,
    /// The server has closed the socket.
    pub(super) dropped: bool,
}

impl Wire {
    pub(super) fn reset(&mut self) {
        (self.reset, self.becomes_readable, self.becomes_writable) = (true, true, true);
    }

    pub(super) fn make_room(&mut self, room: Option<usize>) {
        self.room = room;
        if room != Some(0) {
            self.becomes_writable |= mem::take(&mut self.is_full);
        }
    }

    /// What happens to the next call.
    fn next_fault(&mut self) -> io::Result<Fault> {
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            _ if self.reset => Err(ErrorKind::ConnectionReset.into()),
            Fault::Interrupt => Err(ErrorKind::Interrupted.into()),
            Fault::Reset => {
                self.reset();
                Err(ErrorKind::ConnectionReset.into())
            }
            fault => Ok(fault),
        }
    }
}

/// The server's end.
#[derive(Debug)]
pub(super) struct Socket(pub(super) Rc<RefCell<Wire>>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        let max_len = match wire.next_fault()? {
            Fault::Block => 0,
            Fault::Short(max_len) => max_len,
            _ => usize::MAX,
        };
        let is_end = wire.to_server.is_empty() && wire.ended_by_client;
        let len = max_len.min(buffer.len()).min(wire.to_server.len());
        // What the fault holds back comes a moment later.
        wire.becomes_readable |= len == max_len && (is_end || len < wire.to_server.len());
        if len == 0 {
            return if is_end && max_len > 0 { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        for (to, from) in buffer.iter_mut().zip(wire.to_server.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        assert!(!wire.ended_by_server, "nothing is written after the end");
        let max_len = match wire.next_fault()? {
            Fault::Block => 0,
            Fault::Short(max_len) => max_len,
            _ => usize::MAX,
        };
        let len = max_len.min(bytes.len()).min(wire.room.unwrap_or(usize::MAX));
        if len == 0 {
            if max_len == 0 {
                wire.becomes_writable = true;
            } else {
                wire.is_full = true;
            }
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.room = wire.room.map(|room| room - len);
        wire.to_client.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ws_server::Socket for Socket {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().ended_by_server = true;
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
    }
}

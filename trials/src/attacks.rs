//! What hostile clients do, once or for a while.

use crate::Outcome;
use crate::random::Random;
use crate::raw::{self, BINARY, CONTINUATION, FIRST_FRAGMENT, PING, REQUEST, TEXT};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// What a flood sends with one write at most, in bytes.
const WAVE_LEN: usize = 64 << 10;

/// Frames that cost their sender next to nothing, as many as go through.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flood {
    Pings,
    Fragments,
    EmptyFragments,
    EmptyMessages,
}

impl Flood {
    pub(crate) const ALL: [Self; 4] =
        [Self::Pings, Self::Fragments, Self::EmptyFragments, Self::EmptyMessages];

    /// The frame that is sent again and again.
    pub(crate) fn frame(self) -> Vec<u8> {
        match self {
            Self::Pings => raw::frame(PING, b"ping"),
            Self::Fragments => raw::frame(CONTINUATION, b"a"),
            Self::EmptyFragments => raw::frame(CONTINUATION, b""),
            Self::EmptyMessages => raw::frame(TEXT, b""),
        }
    }

    /// What comes before them.
    fn first(self) -> Vec<u8> {
        match self {
            Self::Fragments | Self::EmptyFragments => raw::frame(FIRST_FRAGMENT, b""),
            Self::Pings | Self::EmptyMessages => Vec::new(),
        }
    }

    /// Floods a connection until the server has had enough of it, or it is `deadline`. Gives how many bytes were sent.
    /// The answers pile up unless it `reads` them.
    pub(crate) fn pour(self, stream: TcpStream, reads: bool, deadline: Instant) -> u64 {
        let frame = self.frame();
        let mut torrent = Torrent::new(frame.repeat(WAVE_LEN / frame.len()));
        // That the server ends the connection is one of the ways in which a flood ends.
        let _ = self.pour_into(stream, &mut torrent, reads, deadline);
        torrent.sent_len()
    }

    fn pour_into(
        self,
        mut stream: TcpStream,
        torrent: &mut Torrent,
        reads: bool,
        deadline: Instant,
    ) -> io::Result<()> {
        let mut answers = [0; WAVE_LEN];
        stream.write_all(&self.first())?;
        stream.set_nonblocking(true)?;
        while Instant::now() < deadline {
            let mut is_idle = !torrent.send(&stream, torrent.sent_len() + WAVE_LEN as u64)?;
            if reads {
                match stream.read(&mut answers) {
                    Ok(0) => return Ok(()),
                    Ok(_) => is_idle = false,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            if is_idle {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }
}

/// The same bytes, sent again and again to sockets that do not block.
pub(crate) struct Torrent {
    bytes: Vec<u8>,
    sent_len: u64,
}

impl Torrent {
    /// Sends these bytes in an endless row.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sent_len: 0 }
    }

    /// Sends what a socket that does not block takes at once, up to `max_len` in all. Gives whether it took anything.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub(crate) fn send(&mut self, mut stream: &TcpStream, max_len: u64) -> io::Result<bool> {
        let before = self.sent_len;
        while self.sent_len < max_len {
            let at = usize::try_from(self.sent_len % self.bytes.len() as u64).unwrap_or(0);
            match stream.write(&self.bytes[at..]) {
                Ok(len) => self.sent_len += len as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.sent_len > before)
    }

    /// How many bytes the socket has taken.
    pub(crate) fn sent_len(&self) -> u64 {
        self.sent_len
    }
}

/// Opens a connection and resets it at one of many moments: which one, `index` says.
///
/// # Errors
///
/// The server was the first to end it.
pub(crate) fn reset_at(index: usize, port: u16, random: &mut Random) -> Outcome {
    let request = REQUEST.as_bytes();
    let mut part = |bytes: Vec<u8>| bytes[..random.within(1..bytes.len())].to_vec();
    let (upgrade, bytes) = match index % 10 {
        0 => (false, Vec::new()),
        1 => (false, part(request.to_vec())),
        2 => (false, request.to_vec()),
        3 => (true, Vec::new()),
        // In the middle of a header, a payload, a message, a control frame.
        4 => (true, part(raw::header(BINARY, 1 << 20))),
        5 => (true, part(raw::frame(BINARY, &[0x5a; 70_000]))),
        6 => (true, raw::frame(FIRST_FRAGMENT, b"a")),
        7 => (true, part(raw::frame(PING, &[0x5a; 125]))),
        // While it is written to: the echo is more than its socket takes.
        8 => (true, raw::frame(BINARY, &vec![0x5a; 1 << 20])),
        _ => (true, raw::close(1000)),
    };
    let mut stream = if upgrade { raw::open(port)? } else { raw::connect(port)? };
    stream.write_all(&bytes)?;
    if random.once_in(2) {
        // The server may have acted on it by then.
        thread::sleep(Duration::from_micros(random.next() % 1_000));
    }
    raw::reset(stream);
    Ok(())
}

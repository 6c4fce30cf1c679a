//! Clients that let the server wait, and that it keeps things for.

use super::visit::Visit;
use crate::Outcome;
use crate::attacks::Torrent;
use crate::raw::{self, BINARY, PING, REQUEST, TEXT};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// As large as a message may be.
const MAX_MESSAGE_LEN: usize = 1 << 20;

/// Its request and a message, a byte at a time: slow, but right.
pub(super) fn sends_byte_by_byte(visit: &mut Visit<'_>) -> Outcome {
    let mut stream = raw::connect(visit.port)?;
    let payload = b"one by one";
    let send = |mut stream: &TcpStream, bytes: &[u8]| -> Outcome {
        for byte in bytes {
            stream.write_all(&[*byte])?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    let (most, rest) = REQUEST.as_bytes().split_at(REQUEST.len() - 4);
    send(&stream, most)?;
    stream = raw::upgrade_with(stream, rest)?;
    send(&stream, &raw::frame(TEXT, payload))?;
    if raw::next_frame(&mut stream)? == (TEXT, payload.to_vec()) {
        Ok(())
    } else {
        Err("an echo is not what was sent".into())
    }
}

/// Asks for much, and takes it in small bites.
pub(super) fn reads_slowly(visit: &mut Visit<'_>) -> Outcome {
    let mut stream = raw::open(visit.port)?;
    stream.set_nonblocking(true)?;
    let mut torrent = Torrent::new(raw::frame(BINARY, &[0x5a; 100_000]));
    let until = visit.within(4_000);
    let mut bite = [0; 20_000];
    while Instant::now() < until {
        // The budget may have ended it.
        if torrent.send(&stream, u64::MAX).is_err() {
            break;
        }
        match stream.read(&mut bite) {
            Ok(len) if len > 0 => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Sends as much as it can and takes nothing, until it leaves or is cut.
pub(super) fn never_reads(visit: &mut Visit<'_>) -> Outcome {
    let stream = raw::open(visit.port)?;
    stream.set_nonblocking(true)?;
    let mut torrent = Torrent::new(raw::frame(BINARY, &[0x5a; 100_000]));
    let until = visit.within(6_000);
    while Instant::now() < until && torrent.send(&stream, u64::MAX).is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
    if visit.random.once_in(2) {
        raw::reset(stream);
    }
    Ok(())
}

/// Begins many messages of the largest size on as many connections, and ends none.
pub(super) fn begins_messages(visit: &mut Visit<'_>) -> Outcome {
    let mut part = raw::frame(BINARY, &vec![0x5a; MAX_MESSAGE_LEN]);
    part.pop();
    let until = visit.within(3_000);
    let mut streams = Vec::new();
    for _ in 0..visit.random.within(1..20) {
        if visit.is_over() {
            break;
        }
        let mut stream = raw::open(visit.port)?;
        // The budget may have ended it.
        if stream.write_all(&part).is_ok() {
            streams.push(stream);
        }
    }
    thread::sleep(until.saturating_duration_since(Instant::now()));
    Ok(())
}

/// Connects and waits for the end, which comes without a response: nothing was asked.
pub(super) fn says_nothing(visit: &mut Visit<'_>) -> Outcome {
    let mut stream = raw::connect(visit.port)?;
    match stream.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err("its silence was answered".into()),
        Err(error) if raw::has_ended(&error) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads, but answers no ping, and is told 1011.
pub(super) fn answers_no_ping(visit: &mut Visit<'_>) -> Outcome {
    let mut stream = raw::open(visit.port)?;
    if raw::next_frame(&mut stream)? != (PING, Vec::new()) {
        return Err("it was sent something else than a ping".into());
    }
    match raw::close_code(&mut stream)? {
        Some(1011) => Ok(()),
        code => Err(format!("it was closed with {code:?}").into()),
    }
}

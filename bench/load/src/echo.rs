//! Messages that come back: each connection has so many of them on their way.

use crate::connect::{self, AT_ONCE, Connections};
use crate::cycle::{Cycle, Frames};
use crate::latency::Latencies;
use crate::replies::{Progress, Replies};
use crate::window::Window;
use crate::{Options, Outcome, Payload};
use mio::Events;
use mio::net::TcpStream;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::time::Instant;

/// What is read at once, at the most.
const MAX_READ_LEN: usize = 4 << 20;

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) progress: Progress,
    /// How many messages may be sent now.
    pub(crate) credit: usize,
    /// The number of the message that is sent next.
    next: u64,
    /// The frames of which the socket has not taken all.
    unsent: Range<usize>,
    /// A message whose answer is timed, and when it was sent.
    timed: Option<(u64, Instant)>,
}

/// Loads the server with echoes.
pub(crate) fn run(options: &Options) -> Outcome<Value> {
    let offer = (options.payload == Payload::Json && !options.raw).then_some("permessage-deflate");
    let Connections { mut poll, streams, extensions } = connect::open(options, AT_ONCE, offer)?;
    let (requests, mut replies) = messages(options, &extensions)?;
    let mut connections: Vec<_> =
        streams.into_iter().enumerate().map(|(index, stream)| Connection::new(index, stream)).collect();
    let mut buffer = buffer(options);
    let mut events = Events::with_capacity(1024);
    let mut latencies = Latencies::new();
    let mut window = Window::new(options);
    let mut messages = 0;

    for connection in &mut connections {
        connection.credit = options.depth();
        connection.send(&requests)?;
    }
    let mut now = connect::wait(&mut poll, &mut events)?;
    while !window.tick(now, messages)? {
        if !window.is_open() {
            replies.forget();
        }
        for event in &events {
            let connection = &mut connections[event.token().0];
            if event.is_readable() {
                let answered = connection.receive(&mut buffer, &mut replies)?;
                messages += answered;
                connection.credit += answered as usize;
                if let Some(latency) = connection.round_trip(now)
                    && window.is_open()
                {
                    latencies.record(latency);
                }
            }
            connection.send(&requests)?;
        }
        now = connect::wait(&mut poll, &mut events)?;
    }

    let mut result = window.result()?;
    result["p50_us"] = json!(latencies.quantile(0.5));
    result["p99_us"] = json!(latencies.quantile(0.99));
    if let Replies::Compressed { received, takeover, .. } = &replies {
        result["ratio"] = json!(received.inflated as f64 / received.compressed as f64);
        result["takeover"] = json!(takeover);
    }
    Ok(result)
}

/// What is sent, and what has to come back.
fn messages(options: &Options, extensions: &str) -> Outcome<(Frames, Replies)> {
    let depth = options.depth();
    let cycle = Cycle::new(options.payload, options.payload_len(), depth);
    if options.raw {
        return Ok((cycle.requests(depth), Replies::verbatim(cycle.requests(0))));
    }
    if !extensions.contains("permessage-deflate") {
        return Ok((cycle.requests(depth), Replies::verbatim(cycle.replies())));
    }
    // RFC 7692 §7.1.1
    let client_takeover = !extensions.contains("client_no_context_takeover");
    let server_takeover = !extensions.contains("server_no_context_takeover");
    let requests = cycle.compressed_requests(depth, client_takeover)?;
    Ok((requests, Replies::compressed(cycle, server_takeover)))
}

/// Where replies are read: all that can be on their way to a connection, so that a short read has emptied its socket.
pub(crate) fn buffer(options: &Options) -> Vec<u8> {
    let on_their_way = (options.payload_len() + 64) * (options.depth() + 1);
    vec![0; on_their_way.clamp(64 * 1024, MAX_READ_LEN)]
}

impl Connection {
    pub(crate) fn new(index: usize, stream: TcpStream) -> Self {
        Self { stream, progress: Progress::new(index), credit: 0, next: 0, unsent: 0..0, timed: None }
    }

    /// Reads once, and gives how many messages that has completed.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], replies: &mut Replies) -> Outcome<u64> {
        let before = self.progress.messages;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err("the server has ended a connection".into()),
                Ok(len) => {
                    replies.check(&mut self.progress, &buffer[..len])?;
                    // There may be more, of which no event will tell.
                    if len == buffer.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            return Ok(self.progress.messages - before);
        }
    }

    /// Writes once: the rest of what was not taken, or else all that may be sent.
    pub(crate) fn send(&mut self, requests: &Frames) -> Outcome {
        if self.unsent.is_empty() {
            if self.credit == 0 {
                return Ok(());
            }
            self.unsent = requests.range(self.next, self.credit);
            self.next += self.credit as u64;
            self.credit = 0;
            if self.timed.is_none() {
                self.timed = Some((self.next, Instant::now()));
            }
        }
        match self.stream.write(requests.bytes(self.unsent.clone())) {
            Ok(len) => self.unsent.start += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// How long the timed message and its answer took, once that is here.
    fn round_trip(&mut self, now: Instant) -> Option<std::time::Duration> {
        let (message, sent) = self.timed?;
        if self.progress.messages < message {
            return None;
        }
        self.timed = None;
        Some(now - sent)
    }
}

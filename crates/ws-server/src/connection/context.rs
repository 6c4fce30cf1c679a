//! What a connection needs of its worker while it is served, and what it takes of the worker's memory.

use crate::{
    Config, Peer, PeerInfo, Transport,
    connection::{command::Outbox, compression::Budget},
    metrics::Counters,
    socket::stream::Stream,
};
use std::time::{Duration, Instant};
use ws_protocol::{Output, Sender, Server};

/// What is held for a peer, or for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// In bytes.
    pub(crate) len: usize,
    /// The part of it that waits to be written, in bytes.
    pub(crate) queued_len: usize,
}

/// What a connection needs of its worker while it is served.
pub(crate) struct Context<'a, H> {
    pub(crate) handler: &'a mut H,
    pub(crate) config: &'a Config,
    /// Filled while a connection is served, and empty again when it has been.
    pub(crate) out: &'a mut Output,
    /// See [`Peer::input_len`].
    pub(crate) input_len: usize,
    /// What connections with a compressor of their own take of this worker's memory.
    pub(crate) budget: &'a mut Budget,
    pub(crate) now: Instant,
    /// How many seconds of input may come within one: more than 1 where nobody was read from before.
    pub(crate) seconds_of_input: u32,
    /// The server shuts down: it has pages to show, and opens no connection.
    pub(crate) draining: bool,
    pub(crate) counters: &'a Counters,
    /// Commands of the handler for this worker's connections.
    pub(crate) outbox: &'a Outbox,
}

impl<H> Context<'_, H> {
    /// The peer, as the handler sees it, and beside it the handler.
    #[inline]
    pub(crate) fn peer<'p>(
        &'p mut self,
        info: &'p PeerInfo,
        sender: &'p mut Sender<Server>,
        stream: &'p mut Stream<impl Transport>,
    ) -> (Peer<'p>, &'p mut H) {
        let Self { config, counters, now, input_len, .. } = *self;
        let queued = stream.queued_len();
        (Peer { info, sender, stream, queued, input_len, config, counters, now, out: self.out }, self.handler)
    }
}

/// Appends `more`, unless the system has no memory for it: how much there is, the peer decides.
pub(crate) fn extend(bytes: &mut Vec<u8>, more: &[u8]) -> bool {
    let has_room = bytes.try_reserve_exact(more.len()).is_ok();
    if has_room {
        bytes.extend_from_slice(more);
    }
    has_room
}

/// Messages of a second.
#[derive(Debug)]
pub(crate) struct Pace {
    began: Instant,
    messages: u32,
}

/// Counts a message, and gives how many there were in its second.
pub(crate) fn count(pace: &mut Option<Box<Pace>>, now: Instant) -> u32 {
    let pace = pace.get_or_insert_with(|| Box::new(Pace { began: now, messages: 0 }));
    if now.saturating_duration_since(pace.began) >= Duration::from_secs(1) {
        **pace = Pace { began: now, messages: 0 };
    }
    pace.messages = pace.messages.saturating_add(1);
    pace.messages
}

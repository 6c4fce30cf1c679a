//! The worker's part in serving a connection, and the connection's part in the worker's memory.

use crate::{
    Config, Remote,
    connection::{command::Outbox, compression::Budget},
    metrics::Counters,
    socket::shared::SharedFrames,
};
use std::time::Instant;
use ws_protocol::Output;

/// The memory that is held for a peer, or for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// In bytes.
    pub(crate) len: usize,
    /// The part of it that waits to be written, in bytes.
    pub(crate) queued_len: usize,
}

/// The worker, as a connection sees it while it is served.
pub(crate) struct Context<'a, H> {
    pub(crate) handler: &'a mut H,
    pub(crate) config: &'a Config,
    pub(crate) remote: &'a Remote,
    /// Filled while a connection is served, and empty again when it has been.
    pub(crate) out: &'a mut Output,
    /// The memory of compressors that single connections own.
    pub(crate) budget: &'a mut Budget,
    pub(crate) now: Instant,
    /// The seconds of input that may come within one: more than 1 where nobody was read from before.
    pub(crate) seconds_of_input: u32,
    /// The server shuts down: it has pages to show, and opens no connection.
    pub(crate) draining: bool,
    pub(crate) counters: &'a Counters,
    /// The frames that wait in the queues of several connections.
    pub(crate) shared: &'a mut SharedFrames,
    /// Commands of the handler for this worker's connections.
    pub(crate) outbox: &'a Outbox,
}

/// Appends `more`, unless the system has no memory for it: how much there is, the peer decides.
pub(crate) fn extend(bytes: &mut Vec<u8>, more: &[u8]) -> bool {
    let has_room = bytes.try_reserve_exact(more.len()).is_ok();
    if has_room {
        bytes.extend_from_slice(more);
    }
    has_room
}

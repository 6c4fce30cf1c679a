//! Every limit and every deadline of a server.

use crate::memory;
use std::time::Duration;
use ws_handshake::{HostPolicy, OriginPolicy};
use ws_protocol::Limits;

#[cfg(feature = "deflate")]
use crate::Compression;

/// What a longer deadline counts as: beyond any use, and far from where a clock's arithmetic overflows.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What happens to a message for a peer whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The message is not sent, and the connection is closed with 1008.
    #[default]
    Close,
    /// Messages of others that wait for the peer are dropped, the oldest first, until it fits; if none can be dropped, it
    /// is not sent.
    DropOldest,
    /// The message is not sent.
    DropNewest,
    /// What others send takes the place of all that others have sent and that still waits, whether the queue is full or
    /// not: for states, of which only the last one matters.
    LatestOnly,
}

/// What a server allows and how long it waits. [`Default`] is meant for a server that faces the internet.
///
/// A limit of 0 that would let nothing happen at all counts as 1, a deadline of over a year as a year.
///
/// ```
/// let mut config = ws_server::Config::default();
/// config.idle_timeout = std::time::Duration::from_secs(300);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How many threads serve connections; the number of cores by default. At least 1.
    pub workers: usize,
    /// Which origins a browser may connect from; by default only pages of this server's own host.
    pub origins: OriginPolicy,
    /// Which values of `Host` are ours. By default, `None`: a [`Server`](crate::Server) that listens on loopback addresses
    /// alone takes [`HostPolicy::Loopback`], so that no page can reach it by a name that its own name server points at
    /// this machine (DNS rebinding); any other one takes [`HostPolicy::Any`]. A proxy on this machine that passes on the
    /// `Host` of the browser needs that name here.
    pub hosts: Option<HostPolicy>,

    /// The most connections at once; 100,000 by default. One more gets a 503.
    pub max_connections: usize,
    /// The most connections at once from one address, where the /64 of an IPv6 address counts as one; 20,000 by default.
    /// One more gets a 429.
    pub max_connections_per_address: usize,
    /// The most connections that are accepted in a second; 10,000 by default. More wait until the next one.
    pub max_accepts_per_second: usize,
    /// The most new connections that a worker takes before those that it has have their turn; 64 by default. Likewise the
    /// most that are accepted at one address before the other addresses have their turn.
    pub max_accepts_per_turn: usize,
    /// The most messages that a peer may send in a second; any number by default. With one more, its connection is
    /// closed with 1008.
    pub max_messages_per_second: Option<u32>,
    /// The most bytes of an opening request; 16 KiB by default. More is refused with 431.
    pub max_request_len: usize,
    /// The most header fields of an opening request; 100 by default. More are refused with 431.
    pub max_headers: usize,
    /// What a peer may make a connection keep: the size of a message, and its fragments.
    pub limits: Limits,
    /// Whether and how messages are compressed (RFC 7692); not by default.
    #[cfg(feature = "deflate")]
    pub compression: Option<Compression>,
    /// Queued bytes above which nothing more is read from a peer; 1 MiB by default.
    pub write_high_water: usize,
    /// Queued bytes at or below which reading from a peer goes on; 256 KiB by default.
    pub write_low_water: usize,
    /// The most bytes that are queued for a peer; 64 MiB by default. By default, a message that would go beyond
    /// it is not sent, and the connection is closed with 1008: the peer does not keep up.
    pub max_write_queue: usize,
    /// What happens to a message that would go beyond that. What others send (commands of a
    /// [`Remote`](crate::Remote)) may be dropped from the queue; what the handler sends while it serves the connection is
    /// not sent, or is. A message that is compressed with context takeover cannot be dropped once it is queued.
    pub slow_consumer: SlowConsumer,
    /// The most bytes that all connections together hold: of unfinished messages, write queues, compression. By default a
    /// quarter of the machine's memory, or of what its control group may have. Each worker has an equal share; beyond
    /// it, the connections that hold the most are closed with 1013. A quarter is kept for what the allocator needs beside
    /// what it is asked for.
    pub memory_budget: usize,
    /// The most commands of [`Remote`](crate::Remote)s that wait for one worker; 65,536 by default.
    pub max_mailbox: usize,
    /// The most bytes that are read from one connection before the others have their turn; 256 KiB by default.
    pub max_read_per_turn: usize,
    /// How many bytes one read takes at most, the size of each worker's read buffer; 256 KiB by default.
    pub read_buffer_len: usize,

    /// How long a peer may take for its opening request; 10 s by default. Then it is refused with 408.
    pub handshake_timeout: Duration,
    /// After how much silence a peer is sent a ping; 30 s by default.
    pub idle_timeout: Duration,
    /// How long a peer may take to answer that ping, or to send anything else; 20 s by default. Then the connection is
    /// closed with 1011.
    pub pong_timeout: Duration,
    /// How long a peer may take nothing of what is queued for it; 30 s by default. Then the connection is cut. A peer that
    /// takes something, however slowly, is waited for, also after a close frame.
    pub write_timeout: Duration,
    /// How long a peer may take to end a connection after it has taken our close frame; 5 s by default. Then it is cut.
    pub close_timeout: Duration,
    /// Over how long a shutdown spreads the closing of the connections, so that their clients do not all come back at
    /// once; 1 s by default.
    pub drain_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            origins: OriginPolicy::SameOrigin,
            hosts: None,
            max_connections: 100_000,
            max_connections_per_address: 20_000,
            max_accepts_per_second: 10_000,
            max_accepts_per_turn: 64,
            max_messages_per_second: None,
            max_request_len: 16 << 10,
            max_headers: 100,
            limits: Limits::default(),
            #[cfg(feature = "deflate")]
            compression: None,
            write_high_water: 1 << 20,
            write_low_water: 256 << 10,
            max_write_queue: 64 << 20,
            slow_consumer: SlowConsumer::Close,
            memory_budget: (memory::available() / 4) >> 20 << 20, // in whole MiB
            max_mailbox: 65_536,
            max_read_per_turn: 256 << 10,
            read_buffer_len: 256 << 10,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            drain_window: Duration::from_secs(1),
        }
    }
}

//! Every limit and every deadline of a server.

use crate::memory;
use std::time::Duration;
#[cfg(feature = "deflate")]
use ws_handshake::WindowBits;
use ws_handshake::{HostPolicy, OriginPolicy};
use ws_protocol::Limits;

/// What a longer deadline counts as: beyond any use, and far from where a clock's arithmetic overflows.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The most descriptors that are kept for other purposes than connections.
const MAX_KEPT_DESCRIPTORS: usize = 1_024;

/// See [`Compression::takeover`].
#[cfg(feature = "deflate")]
const TAKEOVER_WINDOW_BITS: u8 = 12;

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

    /// The most connections at once; 100,000 by default, and never more than the limit on open files allows, less a few
    /// that are kept for other purposes. One more gets a 503.
    pub max_connections: usize,
    /// The most connections at once from one address, where the /64 of an IPv6 address counts as one; 20,000 by default.
    /// One more gets a 429.
    pub max_connections_per_address: usize,
    /// The most connections at once from one address whose opening handshake is not done; 15,000 by default. One more gets
    /// a 429.
    pub max_handshakes_per_address: usize,
    /// The most connections that are accepted in a second, in equal parts of 10 ms; 10,000 by default. More wait, and
    /// the addresses that they come from take turns: an address that connects too often does not delay the others. If 16,384
    /// wait (or as many as descriptors allow), further ones of an address that has more than a sixteenth of them are reset.
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
    /// The most bytes that all connections together hold: unfinished messages, write queues, compression, sessions (see
    /// [`Handler::session_len`](crate::Handler::session_len)), and commands of [`Remote`](crate::Remote)s that wait.
    /// `None`, the default, is a quarter of the memory that this process can have, by the least limit of the machine, of
    /// its control groups and of its resource limits.
    ///
    /// Each worker has an equal share, of which a quarter is kept for the allocator's overhead, and up to another one for the
    /// message that is being served and the answers to it. Over the rest, the address whose connections hold the most loses
    /// its largest ones, with 1013. A share must hold two messages of the largest
    /// size, one that is received and the answer to it: otherwise [`Server::bind`](crate::Server::bind) fails, or starts
    /// fewer [`workers`](Self::workers) if the budget is the default.
    pub memory_budget: Option<u64>,
    /// The most commands of [`Remote`](crate::Remote)s that wait for one worker; 1,048,576 by default.
    pub max_mailbox_commands: usize,
    /// The most bytes of those commands, with their messages; 64 MiB by default, and never more than an eighth of what
    /// the worker may hold. A single command may be larger.
    pub max_mailbox_len: usize,
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
            max_handshakes_per_address: 15_000,
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
            memory_budget: None,
            max_mailbox_commands: 1 << 20,
            max_mailbox_len: 64 << 20,
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

/// How messages are compressed, with clients that offer it.
///
/// By default one compressor serves all connections of a worker, and an idle connection keeps nothing: neither side's
/// messages refer to earlier ones. Context [`takeover`](Self::takeover) compresses small messages better, and costs
/// memory for each connection: `docs/limits.md` has the figures.
#[cfg(feature = "deflate")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compression {
    /// Whether what is sent may refer to earlier messages: each such connection has a compressor of its own, of 250 KB and
    /// more. Not by default.
    pub server_takeover: bool,
    /// Whether what is received may refer to earlier messages: each such connection keeps the last bytes of what it
    /// received, up to the client's window. Not by default. There are clients that refer to them whatever is agreed
    /// (Tornado, Mojolicious), and are closed with 1007 then.
    pub client_takeover: bool,
    /// The largest window that is used for what is sent; by default 15 bits, 32 KiB. A client that asks for a smaller
    /// one and has no compressor to itself gets 9 bits, so that a broadcast is compressed twice at most. Clients are not told: what they
    /// have inflates it all the same, and some fail if they are told what they have not asked for.
    pub server_max_window_bits: WindowBits,
    /// The largest window that clients may use, as far as they can be told; by default 15 bits, 32 KiB. Those that are
    /// asked for 8 are asked for 9.
    pub client_max_window_bits: WindowBits,
    /// How many bytes a worker may spend on compressors of single connections; 64 MiB by default. Beyond it, new
    /// connections share one, as if [`server_takeover`](Self::server_takeover) were off.
    pub max_compressors_len: usize,
    /// Messages of fewer bytes are sent as they are; 128 by default. So are those of over 2 MiB: to compress them
    /// would hold up the worker.
    pub min_len: usize,
    /// The compression level for messages of up to 8 KiB: 1, the fastest, to 9; 6 by default. Longer messages are
    /// compressed at level 6 at most, and those of over 64 KiB at level 1.
    pub level: u8,
}

#[cfg(feature = "deflate")]
impl Default for Compression {
    fn default() -> Self {
        Self {
            server_takeover: false,
            client_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
            max_compressors_len: 64 << 20,
            min_len: 128,
            level: 6,
        }
    }
}

#[cfg(feature = "deflate")]
impl Compression {
    /// With context takeover in both directions, and windows of 12 bits, 4 KiB. That is a few messages back, where small
    /// ones find most of what they repeat; a larger window is one that the processor's caches do not hold for many
    /// connections, and costs up to three times as much time.
    pub fn takeover() -> Self {
        let window_bits = WindowBits::new(TAKEOVER_WINDOW_BITS).unwrap_or(WindowBits::MAX);
        Self {
            server_takeover: true,
            client_takeover: true,
            server_max_window_bits: window_bits,
            client_max_window_bits: window_bits,
            ..Self::default()
        }
    }
}

/// Settings that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A worker's share of [`memory_budget`](Config::memory_budget) does not hold two messages of the largest size.
    #[error(
        "memory_budget ({memory_budget} bytes) is too small for max_message_size ({max_message_size} bytes): each of the \
         workers ({workers}) must be able to hold two messages of that size"
    )]
    MemoryBudget {
        /// The budget, in bytes. Half of the memory, if none was configured.
        memory_budget: u64,
        /// The largest message, in bytes.
        max_message_size: usize,
        /// The number of workers.
        workers: usize,
    },
}

impl Config {
    /// Whether a server can run with these settings on this machine.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the settings that contradict each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.clone().resolved(memory::available()).map(drop)
    }

    /// The settings that are in force for a process that can have this much memory.
    pub(crate) fn resolved(mut self, memory_len: u64) -> Result<Self, ConfigError> {
        self.workers = self.workers.clamp(1, usize::from(u16::MAX));
        let max_message_size = self.limits.max_message_size;
        let needed_len = (max_message_size as u64).saturating_mul(2).max(1);
        let memory_budget = match self.memory_budget {
            Some(memory_budget) => memory_budget,
            None => {
                // In whole MiB. More than a quarter only where that would not even do for one worker.
                let quarter = (memory_len / 4) >> 20 << 20;
                let memory_budget = quarter.max(needed_len.min(memory_len / 2));
                let affordable = usize::try_from(memory_budget / needed_len).unwrap_or(usize::MAX);
                self.workers = self.workers.min(affordable.max(1));
                memory_budget
            }
        };
        if memory_budget / (self.workers as u64) < needed_len {
            let workers = self.workers;
            return Err(ConfigError::MemoryBudget { memory_budget, max_message_size, workers });
        }
        self.memory_budget = Some(memory_budget);
        Ok(self)
    }

    /// The most bytes that one worker may hold for its connections.
    ///
    /// A quarter of its share is for the allocator, which takes more than it is asked for. Up to a quarter of the rest is
    /// for the connection that is being served: the message in progress, and what is sent before it can be queued.
    pub(crate) fn max_held_len(&self) -> usize {
        let memory_budget = self.memory_budget.unwrap_or_else(|| memory::available() / 4);
        let share = memory_budget / (self.workers.max(1) as u64);
        let len = usize::try_from(share / 4 * 3).unwrap_or(usize::MAX);
        let served_len = self.limits.max_message_size.saturating_add(self.max_write_queue);
        len - served_len.min(len / 4)
    }

    /// The most bytes of commands that may wait for one worker: in its mailbox, and as many again of its own handler. At
    /// most twice as many are carried out meanwhile, so half of what a worker may hold is left for its connections.
    pub(crate) fn max_waiting_len(&self) -> usize {
        self.max_mailbox_len.min(self.max_held_len() / 8)
    }

    /// Lowers the number of connections to what the limit on open files allows, and gives the number of descriptors that
    /// are kept for other purposes: probes and pages while all connections are taken, sockets that wait to be accepted, a
    /// listener of metrics, the application.
    pub(crate) fn limit_descriptors(&mut self, max_descriptors: u64, open_descriptors: usize) -> usize {
        let max_descriptors = usize::try_from(max_descriptors).unwrap_or(usize::MAX);
        let free = max_descriptors.saturating_sub(open_descriptors);
        let kept = (free / 4).min(MAX_KEPT_DESCRIPTORS);
        self.max_connections = self.max_connections.min(free - kept).max(1);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_can_hold_two_of_the_largest_messages() {
        const MIB: u64 = 1 << 20;
        let refused = |memory_budget, workers| {
            let max_message_size = 16 << 20;
            Err(ConfigError::MemoryBudget { memory_budget: memory_budget * MIB, max_message_size, workers })
        };
        // memory and budget in MiB, workers -> budget in MiB and workers
        for (memory, budget, workers, expect) in [
            (16_384, None, 8, Ok((4_096, 8))),
            (1_024, None, 8, Ok((256, 8))),
            (2_048, None, 64, Ok((512, 16))),
            (256, None, 8, Ok((64, 2))),
            (100, None, 8, Ok((32, 1))),
            (64, None, 1, Ok((32, 1))),
            (60, None, 1, refused(30, 1)),
            (16_384, Some(64), 4, refused(64, 4)),
            (16_384, Some(127), 4, refused(127, 4)),
            (16_384, Some(128), 4, Ok((128, 4))),
            (16_384, Some(16), 1, refused(16, 1)),
            (64, Some(32), 1, Ok((32, 1))),
            (16_384, Some(64), 0, Ok((64, 1))),
        ] {
            let config = Config { memory_budget: budget.map(|it| it * MIB), workers, ..Config::default() };
            let resolved = config.resolved(memory * MIB);
            let resolved = resolved.map(|it| (it.memory_budget.unwrap() / MIB, it.workers));
            assert_eq!(resolved, expect, "{memory} MiB, {budget:?}, {workers} workers");
        }
    }

    #[test]
    fn a_contradiction_names_both_settings() {
        let config = Config { memory_budget: Some(1 << 20), workers: 1, ..Config::default() };
        let message = config.check().unwrap_err().to_string();
        for part in ["memory_budget (1048576 bytes)", "max_message_size (16777216 bytes)", "workers (1)"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn connections_leave_descriptors_for_others() {
        for (max_descriptors, open, expect) in
            [(1 << 20, 10, 100_000), (1_024, 24, 750), (128, 12, 87), (40, 20, 15), (12, 12, 1), (8, 12, 1)]
        {
            let mut config = Config::default();
            config.limit_descriptors(max_descriptors, open);
            assert_eq!(config.max_connections, expect, "{max_descriptors} descriptors, {open} open");
        }
    }
}

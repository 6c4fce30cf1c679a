//! The configuration of a server: access, limits, flow control, deadlines, compression.

use crate::memory;
use std::{num::NonZeroUsize, thread, time::Duration};
use ws_handshake::{HostPolicy, OriginPolicy};

#[cfg(feature = "deflate")]
use ws_protocol::{CompressionLevel, WindowBits};

/// The longest deadline. A longer one is cut to this, which is far from where a clock's arithmetic
/// overflows.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The most descriptors that are kept for other purposes than connections.
const MAX_KEPT_DESCRIPTORS: usize = 1_024;

/// The window of [`Compression::takeover`], as its base-2 logarithm.
#[cfg(feature = "deflate")]
const TAKEOVER_WINDOW_BITS: u8 = 12;

/// The settings of a server. The defaults suit a server that faces the internet.
///
/// [`Server::bind`](crate::Server::bind) checks that no two settings contradict each other. A limit of 0
/// counts as 1 where 0 would let nothing happen, and a deadline of over a year counts as a year.
///
/// End a struct expression with `..`, as later versions may have more fields:
///
/// ```
/// use std::time::Duration;
/// use ws_server::{Config, Deadlines, Limits};
///
/// let config = Config {
///     limits: Limits { max_connections: 1_000, ..Limits::default() },
///     deadlines: Deadlines { idle_timeout: Duration::from_secs(300), ..Deadlines::default() },
///     ..Config::default()
/// };
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The number of threads that serve connections. `None`, the default, is the number of cores, or
    /// fewer where the default memory budget does not suffice for as many.
    pub workers: Option<usize>,
    /// The clients that may connect.
    pub access: Access,
    /// The most that clients may have the server keep or do.
    pub limits: Limits,
    /// The flow control between clients and their connections.
    pub flow: Flow,
    /// The times that clients have.
    pub deadlines: Deadlines,
    /// The compression of messages (RFC 7692); `None`, the default, compresses nothing.
    #[cfg(feature = "deflate")]
    pub compression: Option<Compression>,
}

/// The policies that decide who may connect.
#[derive(Clone, Debug)]
pub struct Access {
    /// The origins that a browser may connect from; by default only pages of this server's own host.
    pub origins: OriginPolicy,
    /// The values of `Host` that are served. `None`, the default, is [`HostPolicy::Loopback`] for a
    /// [`Server`](crate::Server) that listens on loopback addresses alone, so that no page can reach it by
    /// a name that its own name server points at this machine (DNS rebinding); for any other server it is
    /// [`HostPolicy::Any`]. A proxy on this machine that passes on the `Host` of the browser needs that
    /// name here.
    pub hosts: Option<HostPolicy>,
}

/// The most that clients may have a server keep or do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most connections at once; 100,000 by default, and never more than the limit on open files
    /// allows, less a few descriptors for other purposes. One more gets a 503.
    pub max_connections: usize,
    /// The most connections at once from one address, where the /64 of an IPv6 address counts as one;
    /// 20,000 by default. One more gets a 429.
    pub max_connections_per_address: usize,
    /// The most connections at once from one address whose opening handshake is not done; 15,000 by
    /// default. One more gets a 429.
    pub max_handshakes_per_address: usize,
    /// The most connections that are accepted in a second, in equal parts of 10 ms; 10,000 by default.
    /// More wait, and the addresses that they come from take turns: an address that connects too often
    /// does not delay the others. If 16,384 wait (or as many as descriptors allow), further ones of an
    /// address that has more than a sixteenth of them are reset.
    pub max_accepts_per_second: usize,
    /// The most messages that a client may send in a second; `None`, the default, is any number. One more
    /// closes its connection with 1008.
    pub max_messages_per_second: Option<u32>,
    /// The longest opening request, in bytes; 16 KiB by default. A longer one is refused with 431.
    pub max_request_len: usize,
    /// The most header fields of an opening request; 100 by default. More are refused with 431.
    pub max_headers: usize,
    /// The longest message, its fragments together, in bytes; 16 MiB by default. A frame whose length
    /// goes beyond it is refused with 1009 by its header alone. Of a compressed message, this is the
    /// length after inflating; its frames may be a seventh and 64 bytes longer, which is the most that
    /// DEFLATE adds.
    pub max_message_len: usize,
    /// The most frames of a message; 131,072 by default. One more closes the connection with 1008. In a
    /// compressed message, each DEFLATE block with BFINAL set but the first counts as a frame, too.
    pub max_fragments: u32,
    /// The most bytes that are queued for a client; 64 MiB by default. The message that goes beyond it
    /// is not sent, and [`Flow::slow_consumer`] says what happens to the connection.
    pub max_write_queue_len: usize,
    /// The most commands of [`Remote`](crate::Remote)s that wait for one worker; 1,048,576 by default.
    pub max_mailbox_commands: usize,
    /// The most bytes of those commands, with their messages; 64 MiB by default, and never more than an
    /// eighth of what the worker may hold. A single command may be larger.
    pub max_mailbox_len: usize,
    /// The most bytes that all connections together hold: unfinished messages, write queues,
    /// compression, sessions (see [`Handler::session_len`](crate::Handler::session_len)), and commands of
    /// [`Remote`](crate::Remote)s that wait. `None`, the default, is a quarter of the memory that this
    /// process can have, by the least limit of the machine, of its control groups and of its resource
    /// limits.
    ///
    /// Each worker has an equal share. A quarter of the share is kept for the allocator's overhead, and up
    /// to another quarter for the message that is being served and the answers to it. Over the rest, the
    /// address whose connections hold the most loses its largest ones, with 1013. A share must hold two
    /// messages of the largest size, one that is received and the answer to it: otherwise
    /// [`Server::bind`](crate::Server::bind) fails, or starts fewer workers if the budget is the
    /// default.
    pub memory_budget: Option<u64>,
}

/// The flow control between clients and their connections.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The queued bytes above which nothing more is read from a client; 1 MiB by default.
    pub high_water_len: usize,
    /// The queued bytes at or below which reading from a client goes on; 256 KiB by default.
    pub low_water_len: usize,
    /// The treatment of a client whose queue is full; by default its connection is closed.
    pub slow_consumer: SlowConsumer,
    /// The most bytes that are read from one connection before the others have their turn; 256 KiB by
    /// default.
    pub max_read_per_turn: usize,
    /// The size of each worker's read buffer, and so the most bytes of one read; 256 KiB by default.
    pub read_buffer_len: usize,
    /// The most new connections that a worker takes before those that it has have their turn; 64 by
    /// default. Likewise the most that are accepted at one address before the other addresses have their
    /// turn.
    pub max_accepts_per_turn: usize,
}

/// The treatment of a message for a client whose queue is full.
///
/// Messages that others send (through a [`Remote`](crate::Remote)) can be dropped from the queue. Messages
/// that the handler sends to the connection that it is serving are refused or queued whole, and never
/// dropped later. Neither are messages that were compressed with context takeover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The message is not sent, and the connection is closed with 1008.
    #[default]
    Close,
    /// The oldest queued messages from others are dropped until the message fits. If none can be dropped,
    /// the message is not sent.
    DropOldest,
    /// The message is not sent.
    DropNewest,
    /// A new message from others replaces all earlier ones that are still queued, even if there is room:
    /// for state updates, where only the latest counts.
    LatestOnly,
}

/// The times that clients have.
#[derive(Clone, Debug)]
pub struct Deadlines {
    /// The time for the opening request; 10 s by default. Then the client is refused with 408.
    pub handshake_timeout: Duration,
    /// The silence after which a client is sent a ping; 30 s by default.
    pub idle_timeout: Duration,
    /// The time to answer that ping, or to send anything else; 20 s by default. Then the connection is
    /// closed with 1011.
    pub pong_timeout: Duration,
    /// The time in which a client may take nothing of what is queued for it; 30 s by default. Then the
    /// connection is cut. A client that takes something, however slowly, is waited for, also after a close
    /// frame.
    pub write_timeout: Duration,
    /// The time to end a connection after the client has taken our close frame; 5 s by default. Then the
    /// connection is cut.
    pub close_timeout: Duration,
    /// The time over which a shutdown spreads the closing of the connections, so that their clients do
    /// not all come back at once; 1 s by default.
    pub drain_window: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self { origins: OriginPolicy::SameOrigin, hosts: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_connections_per_address: 20_000,
            max_handshakes_per_address: 15_000,
            max_accepts_per_second: 10_000,
            max_messages_per_second: None,
            max_request_len: 16 << 10,
            max_headers: 100,
            max_message_len: 16 << 20,
            max_fragments: 1 << 17,
            max_write_queue_len: 64 << 20,
            max_mailbox_commands: 1 << 20,
            max_mailbox_len: 64 << 20,
            memory_budget: None,
        }
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            high_water_len: 1 << 20,
            low_water_len: 256 << 10,
            slow_consumer: SlowConsumer::Close,
            max_read_per_turn: 256 << 10,
            read_buffer_len: 256 << 10,
            max_accepts_per_turn: 64,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            drain_window: Duration::from_secs(1),
        }
    }
}

/// The compression of messages, with clients that offer it.
///
/// By default one compressor serves all connections of a worker, and an idle connection keeps nothing:
/// neither side's messages refer to earlier ones. Context [`takeover`](Self::takeover) compresses small
/// messages better, and costs memory for each connection: `docs/limits.md` has the figures.
#[cfg(feature = "deflate")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Whether sent messages may refer to earlier ones; `false` by default. Each such connection has a
    /// compressor of its own, of 250 KB and more.
    pub server_context_takeover: bool,
    /// Whether received messages may refer to earlier ones; `false` by default. Each such connection
    /// keeps the last bytes that it received, up to the client's window. Some clients refer to earlier
    /// messages whatever is agreed (Tornado, Mojolicious); without takeover they are closed with 1007.
    pub client_context_takeover: bool,
    /// The largest window for sent messages; 15 bits, 32 KiB, by default. A client that asks for a smaller
    /// one and shares a compressor gets 9 bits, so that a broadcast is compressed twice at most. Clients
    /// are not told about it: they can inflate such messages all the same, and some fail if they are told
    /// about a window that they have not asked for.
    pub server_max_window_bits: WindowBits,
    /// The largest window for received messages, for clients that can be told about it; 15 bits, 32 KiB,
    /// by default. Clients are asked for 9 bits in place of 8.
    pub client_max_window_bits: WindowBits,
    /// The most bytes that a worker spends on compressors of single connections; 64 MiB by default. Over
    /// it, new connections share a compressor, as without
    /// [`server_context_takeover`](Self::server_context_takeover).
    pub max_compressors_len: usize,
    /// The length from which messages are compressed, in bytes; 128 by default. Messages of over 2 MiB are
    /// not compressed, as that would hold up the worker.
    pub min_len: usize,
    /// The compression level for messages of up to 8 KiB; 6 by default. Longer messages are compressed at
    /// level 6 at most, and those of over 64 KiB at level 1.
    pub level: CompressionLevel,
}

#[cfg(feature = "deflate")]
impl Default for Compression {
    fn default() -> Self {
        Self {
            server_context_takeover: false,
            client_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
            max_compressors_len: 64 << 20,
            min_len: 128,
            level: CompressionLevel::default(),
        }
    }
}

#[cfg(feature = "deflate")]
impl Compression {
    /// Context takeover in both directions, with windows of 12 bits, 4 KiB.
    ///
    /// Such a window reaches a few messages back, where small ones find most of what they repeat. With a
    /// larger window, many connections need more memory than the processor's caches have, and compressing
    /// takes up to three times as long.
    pub fn takeover() -> Self {
        let window_bits = WindowBits::new(TAKEOVER_WINDOW_BITS).unwrap_or(WindowBits::MAX);
        Self {
            server_context_takeover: true,
            client_context_takeover: true,
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
    /// A setting is above another one that bounds it.
    #[error("{field} ({value}) is above {bound} ({bound_value}): {consequence}")]
    Above {
        /// The setting, as in `flow.low_water_len`.
        field: &'static str,
        /// Its value, in bytes.
        value: usize,
        /// The setting that bounds it.
        bound: &'static str,
        /// Its value, in bytes.
        bound_value: usize,
        /// The consequence that this would have.
        consequence: &'static str,
    },
    /// A worker's share of [`memory_budget`](Limits::memory_budget) does not hold two messages of the
    /// largest size.
    #[error(
        "limits.memory_budget ({memory_budget} bytes) is too small for limits.max_message_len ({max_message_len} bytes): \
         each of the workers ({workers}) must be able to hold two messages of that size"
    )]
    MemoryBudget {
        /// The budget, in bytes. Half of the memory, if none was configured.
        memory_budget: u64,
        /// The longest message, in bytes.
        max_message_len: usize,
        /// The number of workers.
        workers: usize,
    },
}

impl Config {
    /// Checks whether a server can run with these settings on this machine.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the settings that contradict each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.clone().resolved(memory::available()).map(drop)
    }

    /// The number of workers: of a server that is bound, the one in force.
    pub(crate) fn worker_count(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.workers.unwrap_or_else(cores).clamp(1, usize::from(u16::MAX))
    }

    /// The limits of a connection's messages.
    pub(crate) fn message_limits(&self) -> ws_protocol::MessageLimits {
        let Limits { max_message_len, max_fragments, .. } = self.limits;
        ws_protocol::MessageLimits { max_message_len, max_fragments }
    }

    /// The settings in force, for a process that can have this much memory.
    pub(crate) fn resolved(mut self, memory_len: u64) -> Result<Self, ConfigError> {
        self.check_order()?;
        let mut workers = self.worker_count();
        let max_message_len = self.limits.max_message_len;
        let needed_len = (max_message_len as u64).saturating_mul(2).max(1);
        let memory_budget = match self.limits.memory_budget {
            Some(memory_budget) => memory_budget,
            None => {
                // In whole MiB. More than a quarter only where that would not even do for one worker.
                let quarter = (memory_len / 4) >> 20 << 20;
                let memory_budget = quarter.max(needed_len.min(memory_len / 2));
                let affordable = usize::try_from(memory_budget / needed_len).unwrap_or(usize::MAX);
                workers = workers.min(affordable.max(1));
                memory_budget
            }
        };
        if memory_budget / (workers as u64) < needed_len {
            return Err(ConfigError::MemoryBudget { memory_budget, max_message_len, workers });
        }
        self.workers = Some(workers);
        self.limits.memory_budget = Some(memory_budget);
        Ok(self)
    }

    /// Checks the settings that bound each other.
    fn check_order(&self) -> Result<(), ConfigError> {
        let low_water = ("flow.low_water_len", self.flow.low_water_len);
        let high_water = ("flow.high_water_len", self.flow.high_water_len);
        let write_queue = ("limits.max_write_queue_len", self.limits.max_write_queue_len);
        let message = ("limits.max_message_len", self.limits.max_message_len);
        let read_buffer = ("flow.read_buffer_len", self.flow.read_buffer_len);
        let turn = ("flow.max_read_per_turn", self.flow.max_read_per_turn);
        for ((field, value), (bound, bound_value), consequence) in [
            (low_water, high_water, "a client would have caught up while it still lags"),
            (high_water, write_queue, "a slow client would be closed before it is given time"),
            (message, write_queue, "the largest message could not be sent back"),
            (read_buffer, turn, "one read would be more than a turn"),
        ] {
            if value > bound_value {
                return Err(ConfigError::Above { field, value, bound, bound_value, consequence });
            }
        }
        Ok(())
    }

    /// The most bytes that one worker may hold for its connections.
    ///
    /// A quarter of its share is for the allocator's overhead. Up to a quarter of the rest is for the
    /// connection that is being served: the message in progress, and what is sent before it can be queued.
    pub(crate) fn max_held_len(&self) -> usize {
        let memory_budget = self.limits.memory_budget.unwrap_or_else(|| memory::available() / 4);
        let share = memory_budget / (self.worker_count() as u64);
        let len = usize::try_from(share / 4 * 3).unwrap_or(usize::MAX);
        let served_len = self.limits.max_message_len.saturating_add(self.limits.max_write_queue_len);
        len - served_len.min(len / 4)
    }

    /// The most bytes of commands that may wait for one worker: in its mailbox, and as many again of its
    /// own handler. At most twice as many are carried out meanwhile, so half of what a worker may hold is
    /// left for its connections.
    pub(crate) fn max_waiting_len(&self) -> usize {
        self.limits.max_mailbox_len.min(self.max_held_len() / 8)
    }

    /// Lowers the number of connections to what the limit on open files allows, and gives the number of
    /// descriptors that are kept for other purposes: probes and pages while all connections are taken,
    /// sockets that wait to be accepted, a listener of metrics, the application.
    pub(crate) fn limit_descriptors(&mut self, max_descriptors: u64, open_descriptors: usize) -> usize {
        let max_descriptors = usize::try_from(max_descriptors).unwrap_or(usize::MAX);
        let free = max_descriptors.saturating_sub(open_descriptors);
        let kept = (free / 4).min(MAX_KEPT_DESCRIPTORS);
        self.limits.max_connections = self.limits.max_connections.min(free - kept).max(1);
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
            let max_message_len = 16 << 20;
            Err(ConfigError::MemoryBudget { memory_budget: memory_budget * MIB, max_message_len, workers })
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
            let limits = Limits { memory_budget: budget.map(|it| it * MIB), ..Limits::default() };
            let config = Config { workers: Some(workers), limits, ..Config::default() };
            let resolved = config.resolved(memory * MIB);
            let resolved = resolved.map(|it| (it.limits.memory_budget.unwrap() / MIB, it.workers.unwrap()));
            assert_eq!(resolved, expect, "{memory} MiB, {budget:?}, {workers} workers");
        }
    }

    #[test]
    fn a_contradiction_names_both_settings() {
        let limits = Limits { memory_budget: Some(1 << 20), ..Limits::default() };
        let small_budget = Config { workers: Some(1), limits, ..Config::default() };
        let flow = |flow| Config { flow, ..Config::default() };
        let limits = |limits| Config { limits, ..Config::default() };
        for (config, parts) in [
            (
                small_budget,
                vec!["memory_budget (1048576 bytes)", "max_message_len (16777216 bytes)", "workers (1)"],
            ),
            (
                flow(Flow { low_water_len: (1 << 20) + 1, ..Flow::default() }),
                vec!["flow.low_water_len (1048577)", "flow.high_water_len (1048576)"],
            ),
            (
                flow(Flow { high_water_len: 65 << 20, ..Flow::default() }),
                vec!["flow.high_water_len (68157440)", "limits.max_write_queue_len (67108864)"],
            ),
            (
                limits(Limits { max_write_queue_len: 8 << 20, ..Limits::default() }),
                vec!["limits.max_message_len (16777216)", "limits.max_write_queue_len (8388608)"],
            ),
            (
                flow(Flow { max_read_per_turn: 1, ..Flow::default() }),
                vec!["flow.read_buffer_len (262144)", "flow.max_read_per_turn (1)"],
            ),
        ] {
            let message = config.check().unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
    }

    #[test]
    fn connections_leave_descriptors_for_others() {
        for (max_descriptors, open, expect) in
            [(1 << 20, 10, 100_000), (1_024, 24, 750), (128, 12, 87), (40, 20, 15), (12, 12, 1), (8, 12, 1)]
        {
            let mut config = Config::default();
            config.limit_descriptors(max_descriptors, open);
            assert_eq!(config.limits.max_connections, expect, "{max_descriptors} descriptors, {open} open");
        }
    }
}

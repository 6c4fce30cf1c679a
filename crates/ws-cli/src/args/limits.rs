//! The flags about limits.

use super::values::count;
use crate::units::Size;
use ws_server::{Flow, Limits};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Maximum number of connections; further ones get a 503
    #[arg(long, env = "WSCLI_MAX_CONNECTIONS", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = Limits::default().max_connections)]
    max_connections: usize,

    /// Maximum number of connections from one address or IPv6 /64; further ones get a 429
    #[arg(long, env = "WSCLI_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = Limits::default().max_connections_per_address)]
    max_connections_per_address: usize,

    /// Maximum number of unfinished opening handshakes from one address; further ones get a 429
    #[arg(long, env = "WSCLI_MAX_HANDSHAKES_PER_ADDRESS", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = Limits::default().max_handshakes_per_address)]
    max_handshakes_per_address: usize,

    /// Maximum number of connections accepted per second; further ones wait, and addresses take
    /// turns
    #[arg(long, env = "WSCLI_MAX_ACCEPTS_PER_SECOND", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = Limits::default().max_accepts_per_second)]
    max_accepts_per_second: usize,

    /// Maximum number of new connections that a worker accepts before it serves open ones
    #[arg(long, env = "WSCLI_MAX_ACCEPTS_PER_TURN", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = Flow::default().max_accepts_per_turn)]
    pub(super) max_accepts_per_turn: usize,

    /// Maximum number of messages from a client per second; a client that sends more is closed with
    /// 1008 [default: no limit]
    #[arg(long, env = "WSCLI_MAX_MESSAGES_PER_SECOND", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_messages_per_second: Option<u32>,

    /// Maximum size of a message after inflating; a client that sends a larger one is closed with
    /// 1009
    #[arg(long, env = "WSCLI_MAX_MESSAGE_SIZE", value_name = "SIZE")]
    #[arg(default_value_t = Size(Limits::default().max_message_len))]
    max_message_size: Size,

    /// Maximum number of frames and of final DEFLATE blocks in a message; a client that sends more
    /// is closed with 1008
    #[arg(long, env = "WSCLI_MAX_FRAGMENTS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(default_value_t = Limits::default().max_fragments)]
    max_fragments: u32,

    /// Maximum memory for all clients: unfinished messages, unsent bytes, compression, log entries.
    /// Over it, the largest connections of the address that holds the most are closed with 1013.
    /// Each worker must be able to hold two messages of the maximum size [default: a quarter of the
    /// memory]
    #[arg(long, env = "WSCLI_MEMORY_BUDGET", value_name = "SIZE")]
    memory_budget: Option<Size>,

    /// Maximum length of an opening request; a longer one gets a 431
    #[arg(long, env = "WSCLI_MAX_REQUEST_LEN", value_name = "SIZE")]
    #[arg(default_value_t = Size(Limits::default().max_request_len))]
    max_request_len: Size,

    /// Maximum number of header fields in an opening request; more get a 431
    #[arg(long, env = "WSCLI_MAX_HEADERS", value_name = "N", value_parser = count(65_536))]
    #[arg(default_value_t = Limits::default().max_headers)]
    max_headers: usize,
}

impl LimitArgs {
    pub(super) fn limits(&self, max_write_queue_len: usize) -> Limits {
        Limits {
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            max_handshakes_per_address: self.max_handshakes_per_address,
            max_accepts_per_second: self.max_accepts_per_second,
            max_messages_per_second: self.max_messages_per_second,
            max_message_len: self.max_message_size.0,
            max_fragments: self.max_fragments,
            memory_budget: self.memory_budget.map(|Size(len)| len as u64),
            max_request_len: self.max_request_len.0,
            max_headers: self.max_headers,
            max_write_queue_len,
            ..Limits::default()
        }
    }
}

//! The flags about reading and writing.

use crate::units::Size;
use ws_server::{Flow, Limits, SlowConsumer};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reading and writing, for each connection")]
pub(crate) struct FlowArgs {
    /// Unsent bytes above which reading from a client pauses
    #[arg(long, env = "WSCLI_WRITE_HIGH_WATER", value_name = "SIZE")]
    #[arg(default_value_t = Size(Flow::default().high_water_len))]
    write_high_water: Size,

    /// Unsent bytes at or below which reading resumes
    #[arg(long, env = "WSCLI_WRITE_LOW_WATER", value_name = "SIZE")]
    #[arg(default_value_t = Size(Flow::default().low_water_len))]
    write_low_water: Size,

    /// Maximum number of unsent bytes for a client; over it, the slow-consumer policy applies
    #[arg(long, env = "WSCLI_MAX_WRITE_QUEUE", value_name = "SIZE")]
    #[arg(default_value_t = Size(Limits::default().max_write_queue_len))]
    pub(super) max_write_queue: Size,

    /// What to do when a client's send queue is full: close the connection with 1008, or drop the
    /// oldest, the newest, or all but the latest message sent to it by others
    #[arg(long, env = "WSCLI_SLOW_CONSUMER", value_name = "POLICY", default_value = "close")]
    slow_consumer: Policy,

    /// Maximum number of bytes read from a client before other clients are served
    #[arg(long, env = "WSCLI_MAX_READ_PER_TURN", value_name = "SIZE")]
    #[arg(default_value_t = Size(Flow::default().max_read_per_turn))]
    max_read_per_turn: Size,

    /// Size of each worker's read buffer
    #[arg(long, env = "WSCLI_READ_BUFFER_LEN", value_name = "SIZE", value_parser = read_buffer_len)]
    #[arg(default_value_t = Size(Flow::default().read_buffer_len))]
    read_buffer_len: Size,
}

/// The treatment of a client whose queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Policy {
    Close,
    DropOldest,
    DropNewest,
    LatestOnly,
}

impl From<Policy> for SlowConsumer {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Close => Self::Close,
            Policy::DropOldest => Self::DropOldest,
            Policy::DropNewest => Self::DropNewest,
            Policy::LatestOnly => Self::LatestOnly,
        }
    }
}

impl FlowArgs {
    pub(super) fn flow(&self, max_accepts_per_turn: usize) -> Flow {
        Flow {
            high_water_len: self.write_high_water.0,
            low_water_len: self.write_low_water.0,
            slow_consumer: self.slow_consumer.into(),
            max_read_per_turn: self.max_read_per_turn.0,
            read_buffer_len: self.read_buffer_len.0,
            max_accepts_per_turn,
        }
    }
}

/// Reads a size that each worker can have at once.
fn read_buffer_len(text: &str) -> Result<Size, &'static str> {
    match text.parse() {
        Ok(size) if size > Size(64 << 20) => Err("it must be at most 64MiB"),
        result => result,
    }
}

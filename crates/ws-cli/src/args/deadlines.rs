//! The flags about deadlines.

use crate::units::Timeout;
use ws_server::Deadlines;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Deadlines")]
pub(crate) struct DeadlineArgs {
    /// Time for the opening request to arrive; then an unfinished request gets a 408
    #[arg(long, env = "WSCLI_HANDSHAKE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(Deadlines::default().handshake_timeout))]
    handshake_timeout: Timeout,

    /// Silence after which a client is sent a ping
    #[arg(long, env = "WSCLI_IDLE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(Deadlines::default().idle_timeout))]
    idle_timeout: Timeout,

    /// Time to answer that ping; then the connection is closed with 1011
    #[arg(long, env = "WSCLI_PONG_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(Deadlines::default().pong_timeout))]
    pong_timeout: Timeout,

    /// Time in which a client may take none of its queued bytes; then the connection is cut
    #[arg(long, env = "WSCLI_WRITE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(Deadlines::default().write_timeout))]
    write_timeout: Timeout,

    /// Time to answer a close frame; then the connection is cut
    #[arg(long, env = "WSCLI_CLOSE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(Deadlines::default().close_timeout))]
    close_timeout: Timeout,

    /// Time over which a shutdown closes the connections, so that clients do not all reconnect at
    /// once
    #[arg(long, env = "WSCLI_DRAIN_WINDOW", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(Deadlines::default().drain_window))]
    drain_window: Timeout,
}

impl DeadlineArgs {
    pub(super) fn deadlines(&self) -> Deadlines {
        Deadlines {
            handshake_timeout: self.handshake_timeout.0,
            idle_timeout: self.idle_timeout.0,
            pong_timeout: self.pong_timeout.0,
            write_timeout: self.write_timeout.0,
            close_timeout: self.close_timeout.0,
            drain_window: self.drain_window.0,
        }
    }
}

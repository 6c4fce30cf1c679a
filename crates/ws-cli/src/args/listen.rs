//! The flags about listening.

use super::values::count;
use crate::serve::listen::Bind;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct Listening {
    /// TCP port, or 0 for a free one
    #[arg(short, long, env = "WSCLI_PORT", default_value_t = 9999)]
    pub(crate) port: u16,

    /// IP address to listen on; repeat it or use commas for several. localhost is 127.0.0.1 and,
    /// where there is IPv6, ::1. :: includes 0.0.0.0, unless another IPv4 address is given
    #[arg(long, env = "WSCLI_BIND", value_name = "ADDR", value_delimiter = ',', default_value = "localhost")]
    pub(crate) bind: Vec<Bind>,

    /// Threads that serve connections [default: one per core]
    #[arg(long, env = "WSCLI_WORKERS", value_name = "N", value_parser = count(1024))]
    pub(super) workers: Option<usize>,
}

//! The flags about the log and the metrics.

use crate::serve::{
    listen::Place,
    log::{Format, Level},
};
use clap::builder::BoolishValueParser;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logs and metrics")]
pub(crate) struct Logging {
    /// Format of the log on the standard error: text, json (one object per line), or off (errors
    /// only)
    #[arg(long, env = "WSCLI_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: Format,

    /// Least severe lines to log: error (defects such as panics), warn (shortages and lost lines),
    /// info (each connection that opens, closes or is refused), debug (details for finding a
    /// mistake in the server)
    #[arg(long, env = "WSCLI_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: Level,

    /// Maximum number of log lines per second, averaged over 10 s, for each kind: open and close,
    /// refused, message, error, other. Further lines are left out, and their number is logged
    #[arg(long, env = "WSCLI_MAX_LOG_LINES_PER_SECOND", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(default_value_t = 1_000)]
    pub(crate) max_log_lines_per_second: u32,

    /// Log each message with its direction, type and size
    #[arg(long, env = "WSCLI_LOG_MESSAGES", value_parser = BoolishValueParser::new())]
    pub(crate) log_messages: bool,

    /// Address to serve Prometheus metrics on, such as localhost:9998, or :9998 for every address:
    /// /metrics, /healthz and /readyz. Port 0 is a free port [default: none]
    #[arg(long, env = "WSCLI_METRICS", value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<Place>,
}

//! The command line and the environment.

use crate::{
    listen::{Bind, Place},
    log::{Format, Level},
    units::{Size, Timeout},
};
use clap::{
    Arg, CommandFactory, FromArgMatches, Parser,
    builder::{BoolishValueParser, RangedU64ValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};
use ws_server::{
    Compression, CompressionLevel, Config, ConfigError, Flow, HostPolicy, OriginPolicy, SlowConsumer,
    WindowBits,
};

const AFTER_HELP: &str = "\
SIZE is a number of bytes, or of KiB, MiB or GiB, such as 64KiB.
DURATION is a number with its unit (ms, s, m, h), such as 10s. Deadlines are
looked at once a second.

Each flag is an environment variable, too: WSCLI_PORT=8080 is --port 8080, and
WSCLI_MAX_MESSAGE_SIZE=1MiB is --max-message-size 1MiB. The flag wins, and an
empty variable counts for nothing.

Examples:
  ws-cli                     Listen on ws://localhost:9999, for this machine
  ws-cli --port 0            Take a free port, and tell which
  ws-cli --bind 0.0.0.0,::   Listen for the whole network

Then open http://localhost:9999, or paste this into the console of a browser:
  socket = new WebSocket(\"ws://localhost:9999\")
  socket.onmessage = ({ data }) => console.log(data)
  socket.onopen = () => socket.send(\"Hello\")";

/// A WebSocket server (RFC 6455) that sends every message back, with a console for the browser
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 120)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) listening: Listening,
    #[command(flatten)]
    pub(crate) logging: Logging,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    compression: CompressionArgs,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    deadlines: Deadlines,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct Listening {
    /// TCP port, or 0 for a free one
    #[arg(short, long, env = "WSCLI_PORT", default_value_t = 9999)]
    pub(crate) port: u16,

    /// IP address to listen on; for several, repeat it or use commas. localhost is 127.0.0.1 and ::1, if this machine
    /// has it; :: is 0.0.0.0, too, unless an IPv4 address stands beside it
    #[arg(long, env = "WSCLI_BIND", value_name = "ADDR", value_delimiter = ',', default_value = "localhost")]
    pub(crate) bind: Vec<Bind>,

    /// Threads that serve connections [default: one for each core]
    #[arg(long, env = "WSCLI_WORKERS", value_name = "N", value_parser = count(1024))]
    workers: Option<usize>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logs and metrics")]
pub(crate) struct Logging {
    /// Log to the standard error: as text, as one JSON object a line, or nothing but errors
    #[arg(long, env = "WSCLI_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: Format,

    /// Which lines to log: error for defects, such as panics; warn for shortages and lost lines, too; info for each
    /// connection that opens, closes or is refused, too; debug for what helps to find a mistake in the server, too
    #[arg(long, env = "WSCLI_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: Level,

    /// Most log lines in a second, averaged over 10 s, for each sort: open and close, refused, message, error, other;
    /// more are left out, and their number is logged
    #[arg(long, env = "WSCLI_MAX_LOG_LINES_PER_SECOND", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(default_value_t = 1_000)]
    pub(crate) max_log_lines_per_second: u32,

    /// Log each message, too: its direction, its type and its size
    #[arg(long, env = "WSCLI_LOG_MESSAGES", value_parser = BoolishValueParser::new())]
    pub(crate) log_messages: bool,

    /// Where to tell metrics, such as localhost:9998, or :9998 for every address: /metrics in the Prometheus text format,
    /// /healthz, /readyz. Port 0 takes a free one [default: nowhere]
    #[arg(long, env = "WSCLI_METRICS", value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<Place>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who may connect")]
#[allow(rustdoc::bare_urls, reason = "the text is for a terminal")]
struct Access {
    /// Pages that may connect: any; same-origin, whose Origin has the host and port that Host has; or a list such as
    /// https://example.com,http://localhost:*,moz-extension://*,file://,null. The echo reaches nothing and tells nothing,
    /// so any page may have it
    #[arg(long, env = "WSCLI_ORIGIN", value_name = "ORIGINS", default_value = "any")]
    origin: OriginPolicy,

    /// Host header fields that are served, as a proxy passes them on: any; loopback, for localhost and its addresses; or
    /// a list such as example.com,localhost:9999
    #[arg(long, env = "WSCLI_HOST", value_name = "HOSTS", default_value = "any")]
    host: HostPolicy,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Most connections at once; one more gets a 503
    #[arg(long, env = "WSCLI_MAX_CONNECTIONS", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = ws_server::Limits::default().max_connections)]
    max_connections: usize,

    /// Most of them from one address, or from one IPv6 /64; one more gets a 429
    #[arg(long, env = "WSCLI_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = ws_server::Limits::default().max_connections_per_address)]
    max_connections_per_address: usize,

    /// Most connections at once from one address whose opening request is not answered; one more gets a 429
    #[arg(long, env = "WSCLI_MAX_HANDSHAKES_PER_ADDRESS", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = ws_server::Limits::default().max_handshakes_per_address)]
    max_handshakes_per_address: usize,

    /// Most connections accepted in a second; more wait, and addresses take turns
    #[arg(long, env = "WSCLI_MAX_ACCEPTS_PER_SECOND", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = ws_server::Limits::default().max_accepts_per_second)]
    max_accepts_per_second: usize,

    /// Most new connections before the others have their turn
    #[arg(long, env = "WSCLI_MAX_ACCEPTS_PER_TURN", value_name = "N", value_parser = count(1 << 32))]
    #[arg(default_value_t = Flow::default().max_accepts_per_turn)]
    max_accepts_per_turn: usize,

    /// Most messages from a client in a second; more are closed with 1008 [default: any number]
    #[arg(long, env = "WSCLI_MAX_MESSAGES_PER_SECOND", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_messages_per_second: Option<u32>,

    /// Largest message, after inflating; a larger one is closed with 1009
    #[arg(long, env = "WSCLI_MAX_MESSAGE_SIZE", value_name = "SIZE")]
    #[arg(default_value_t = Size(ws_server::Limits::default().max_message_len))]
    max_message_size: Size,

    /// Most frames in a message, and final DEFLATE blocks; more are closed with 1008
    #[arg(long, env = "WSCLI_MAX_FRAGMENTS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(default_value_t = ws_server::Limits::default().max_fragments)]
    max_fragments: u32,

    /// Most memory for all clients together: unfinished messages, unsent bytes, compression, what is logged of them; beyond
    /// it, the address that holds the most loses its largest connections, with 1013. Each worker must be able to hold two
    /// messages of the largest size [default: a quarter of the memory]
    #[arg(long, env = "WSCLI_MEMORY_BUDGET", value_name = "SIZE")]
    memory_budget: Option<Size>,

    /// Longest opening request; a longer one gets a 431
    #[arg(long, env = "WSCLI_MAX_REQUEST_LEN", value_name = "SIZE")]
    #[arg(default_value_t = Size(ws_server::Limits::default().max_request_len))]
    max_request_len: Size,

    /// Most header fields in that request; more get a 431
    #[arg(long, env = "WSCLI_MAX_HEADERS", value_name = "N", value_parser = count(65_536))]
    #[arg(default_value_t = ws_server::Limits::default().max_headers)]
    max_headers: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compression (permessage-deflate, with clients that offer it)")]
struct CompressionArgs {
    /// Compress with one compressor for all, which keeps nothing for a connection; with one for each, which is better at
    /// small messages and takes 265 KB; or not at all
    #[arg(long, env = "WSCLI_COMPRESSION", value_name = "MODE", default_value = "shared")]
    compression: Mode,

    /// Compression level of short messages: 1, the fastest, to 9. At most 6 over 8 KiB, 1 over 64 KiB, and over 2 MiB a
    /// message is not compressed
    #[arg(long, env = "WSCLI_COMPRESSION_LEVEL", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    #[arg(default_value_t = Compression::default().level.get())]
    compression_level: u8,

    /// Smaller messages are sent as they are
    #[arg(long, env = "WSCLI_COMPRESSION_MIN_LEN", value_name = "SIZE")]
    #[arg(default_value_t = Size(Compression::default().min_len))]
    compression_min_len: Size,

    /// Most that each worker takes for the compressors of single connections; later ones share
    #[arg(long, env = "WSCLI_MAX_COMPRESSORS_LEN", value_name = "SIZE")]
    #[arg(default_value_t = Size(Compression::default().max_compressors_len))]
    max_compressors_len: Size,

    /// Largest window for what is sent: 8 to 15 bits [default: 15, or 12 with takeover]
    #[arg(long, env = "WSCLI_SERVER_MAX_WINDOW_BITS", value_name = "BITS", value_parser = window_bits)]
    server_max_window_bits: Option<WindowBits>,

    /// Largest window for what clients send, as far as they can be told, which is 9 bits at least [default: 15, or 12
    /// with takeover]
    #[arg(long, env = "WSCLI_CLIENT_MAX_WINDOW_BITS", value_name = "BITS", value_parser = window_bits)]
    client_max_window_bits: Option<WindowBits>,
}

/// What happens to a client that does not read what it is sent.
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

/// Whose the compressors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    Shared,
    Takeover,
    Off,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reading and writing, for each connection")]
struct Pace {
    /// Unsent bytes above which a client is not read from
    #[arg(long, env = "WSCLI_WRITE_HIGH_WATER", value_name = "SIZE")]
    #[arg(default_value_t = Size(Flow::default().high_water_len))]
    write_high_water: Size,

    /// Unsent bytes at which it is read from again
    #[arg(long, env = "WSCLI_WRITE_LOW_WATER", value_name = "SIZE")]
    #[arg(default_value_t = Size(Flow::default().low_water_len))]
    write_low_water: Size,

    /// Most unsent bytes; more are closed with 1008
    #[arg(long, env = "WSCLI_MAX_WRITE_QUEUE", value_name = "SIZE")]
    #[arg(default_value_t = Size(ws_server::Limits::default().max_write_queue_len))]
    max_write_queue: Size,

    /// What a client misses whose unsent bytes are at their most: nothing, as it is closed; the oldest of what others send
    /// it; the newest; or all but the last
    #[arg(long, env = "WSCLI_SLOW_CONSUMER", value_name = "POLICY", default_value = "close")]
    slow_consumer: Policy,

    /// Most bytes read before the others have their turn
    #[arg(long, env = "WSCLI_MAX_READ_PER_TURN", value_name = "SIZE")]
    #[arg(default_value_t = Size(Flow::default().max_read_per_turn))]
    max_read_per_turn: Size,

    /// Most bytes taken by one read: each worker's buffer
    #[arg(long, env = "WSCLI_READ_BUFFER_LEN", value_name = "SIZE", value_parser = read_buffer_len)]
    #[arg(default_value_t = Size(Flow::default().read_buffer_len))]
    read_buffer_len: Size,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Deadlines")]
struct Deadlines {
    /// Time for the opening request; then it gets a 408
    #[arg(long, env = "WSCLI_HANDSHAKE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(ws_server::Deadlines::default().handshake_timeout))]
    handshake_timeout: Timeout,

    /// Silence after which a client is sent a ping
    #[arg(long, env = "WSCLI_IDLE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(ws_server::Deadlines::default().idle_timeout))]
    idle_timeout: Timeout,

    /// Time to answer that ping; then it is closed with 1011
    #[arg(long, env = "WSCLI_PONG_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(ws_server::Deadlines::default().pong_timeout))]
    pong_timeout: Timeout,

    /// Time in which a client takes nothing of what is queued for it; then the connection is cut
    #[arg(long, env = "WSCLI_WRITE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(ws_server::Deadlines::default().write_timeout))]
    write_timeout: Timeout,

    /// Time to answer a close; then the connection is cut
    #[arg(long, env = "WSCLI_CLOSE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(ws_server::Deadlines::default().close_timeout))]
    close_timeout: Timeout,

    /// Time over which a stop spreads the closing of the connections, so that clients do not all come back at once
    #[arg(long, env = "WSCLI_DRAIN_WINDOW", value_name = "DURATION")]
    #[arg(default_value_t = Timeout(ws_server::Deadlines::default().drain_window))]
    drain_window: Timeout,
}

impl Args {
    /// What this process was started with. On `--help`, `--version` and mistakes, the process ends here.
    pub(crate) fn from_process() -> Self {
        let words: Vec<_> = std::env::args_os().collect();
        let matches = command().try_get_matches_from(&words).map_err(|error| {
            // What is wrong without the environment, too, is wrong on the command line.
            match command_without_environment().try_get_matches_from(&words) {
                Err(same) if same.to_string() == error.to_string() => error,
                _ => name_variable(error),
            }
        });
        let args = matches.and_then(|matches| Self::from_arg_matches(&matches));
        args.and_then(Self::checked).unwrap_or_else(|error| error.exit())
    }

    /// What the server allows, and how long it waits.
    pub(crate) fn config(&self) -> Config {
        let Self { listening, access, limits, compression, pace, deadlines, logging: _ } = self;
        let mut config = Config { workers: listening.workers, ..Config::default() };
        config.access.origins = access.origin.clone();
        config.access.hosts = Some(access.host.clone());
        config.limits.max_connections = limits.max_connections;
        config.limits.max_connections_per_address = limits.max_connections_per_address;
        config.limits.max_handshakes_per_address = limits.max_handshakes_per_address;
        config.limits.max_accepts_per_second = limits.max_accepts_per_second;
        config.flow.max_accepts_per_turn = limits.max_accepts_per_turn;
        config.limits.max_messages_per_second = limits.max_messages_per_second;
        config.limits.max_message_len = limits.max_message_size.0;
        config.limits.max_fragments = limits.max_fragments;
        config.limits.memory_budget = limits.memory_budget.map(|Size(len)| len as u64);
        config.limits.max_request_len = limits.max_request_len.0;
        config.limits.max_headers = limits.max_headers;
        config.compression = compression.compression();
        config.flow.high_water_len = pace.write_high_water.0;
        config.flow.low_water_len = pace.write_low_water.0;
        config.limits.max_write_queue_len = pace.max_write_queue.0;
        config.flow.slow_consumer = pace.slow_consumer.into();
        config.flow.max_read_per_turn = pace.max_read_per_turn.0;
        config.flow.read_buffer_len = pace.read_buffer_len.0;
        config.deadlines.handshake_timeout = deadlines.handshake_timeout.0;
        config.deadlines.idle_timeout = deadlines.idle_timeout.0;
        config.deadlines.pong_timeout = deadlines.pong_timeout.0;
        config.deadlines.write_timeout = deadlines.write_timeout.0;
        config.deadlines.close_timeout = deadlines.close_timeout.0;
        config.deadlines.drain_window = deadlines.drain_window.0;
        config
    }

    /// Refuses flags that contradict each other.
    fn checked(self) -> Result<Self, clap::Error> {
        for (flag, leaves_out) in [
            ("--log-format off", self.logging.log_format == Format::Off),
            ("--log-level", self.logging.log_level < Level::Info),
        ] {
            if self.logging.log_messages && leaves_out {
                let contradiction = format!("--log-messages asks for lines that {flag} leaves out");
                return Err(command().error(ErrorKind::ArgumentConflict, contradiction));
            }
        }
        if let Err(error) = self.config().check() {
            return Err(command().error(ErrorKind::ArgumentConflict, contradiction(error)));
        }
        Ok(self)
    }
}

impl CompressionArgs {
    fn compression(&self) -> Option<Compression> {
        if self.compression == Mode::Off {
            return None;
        }
        let mut compression = match self.compression {
            Mode::Takeover => Compression::takeover(),
            Mode::Shared | Mode::Off => Compression::default(),
        };
        let Compression { server_max_window_bits: server, client_max_window_bits: client, .. } = compression;
        compression.server_max_window_bits = self.server_max_window_bits.unwrap_or(server);
        compression.client_max_window_bits = self.client_max_window_bits.unwrap_or(client);
        compression.max_compressors_len = self.max_compressors_len.0;
        compression.min_len = self.compression_min_len.0;
        compression.level = CompressionLevel::new(self.compression_level).unwrap_or_default();
        Some(compression)
    }
}

/// The settings that contradict each other, as flags.
fn contradiction(error: ConfigError) -> String {
    match error {
        ConfigError::Above { field, value, bound, bound_value, consequence } => {
            let (field, bound) = (flag(field), flag(bound));
            format!("{field} ({}) is above {bound} ({}): {consequence}", Size(value), Size(bound_value))
        }
        ConfigError::MemoryBudget { memory_budget, max_message_len, workers } => {
            let size = |len: u64| Size(usize::try_from(len).unwrap_or(usize::MAX));
            let needed = size((max_message_len as u64).saturating_mul(2).saturating_mul(workers as u64));
            format!(
                "--memory-budget ({}) is too small for --max-message-size ({}): each worker (--workers, {workers}) must \
                 be able to hold two messages of that size, {needed} in all",
                size(memory_budget),
                Size(max_message_len),
            )
        }
        error => error.to_string(),
    }
}

/// The flag of a setting.
fn flag(field: &str) -> &str {
    match field {
        "flow.low_water_len" => "--write-low-water",
        "flow.high_water_len" => "--write-high-water",
        "limits.max_write_queue_len" => "--max-write-queue",
        "limits.max_message_len" => "--max-message-size",
        "flow.read_buffer_len" => "--read-buffer-len",
        "flow.max_read_per_turn" => "--max-read-per-turn",
        field => field,
    }
}

/// Reads the size of a window, in bits.
fn window_bits(text: &str) -> Result<WindowBits, &'static str> {
    text.parse().ok().and_then(WindowBits::new).ok_or("it must be from 8 to 15")
}

/// Reads a number from 1 to `max`.
fn count(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}

/// Reads a size that each worker can have at once.
fn read_buffer_len(text: &str) -> Result<Size, &'static str> {
    match text.parse() {
        Ok(size) if size > Size(64 << 20) => Err("it must be at most 64MiB"),
        result => result,
    }
}

/// The environment variables are told of once, in the end, and not with every flag.
fn command() -> clap::Command {
    Args::command().mut_args(|arg| {
        // `WSCLI_PORT=` is how a variable is cleared, where it cannot be unset.
        let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        let arg = if is_empty { arg.env(None::<&str>) } else { arg };
        arg.hide_env(true)
    })
}

fn command_without_environment() -> clap::Command {
    command().mut_args(|arg| arg.env(None::<&str>))
}

/// Puts the environment variable in the place of the flag, as the one with the bad value.
fn name_variable(mut error: clap::Error) -> clap::Error {
    let mut command = command();
    command.build();
    let variable = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => {
            command.get_arguments().find(|arg| arg.to_string() == *flag).and_then(Arg::get_env)
        }
        _ => None,
    };
    if let Some(variable) = variable {
        let variable = ContextValue::String(variable.to_string_lossy().into_owned());
        error.insert(ContextKind::InvalidArg, variable);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::{AFTER_HELP, Args, command, command_without_environment};
    use clap::FromArgMatches;
    use std::collections::BTreeSet;
    use ws_server::{Compression, Config};

    fn parse(flags: &[&str]) -> Result<Args, clap::Error> {
        let matches = command_without_environment().try_get_matches_from([&["ws-cli"], flags].concat())?;
        Args::from_arg_matches(&matches)?.checked()
    }

    fn config(flags: &[&str]) -> Config {
        parse(flags).unwrap().config()
    }

    /// Every field of a configuration and its value, one a line.
    fn fields(config: &Config) -> BTreeSet<String> {
        format!("{config:#?}").lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn every_field_of_the_configuration_has_its_flag() {
        let flags = [
            ("--workers", "3", "3,"),
            ("--origin", "same-origin", "origins: SameOrigin,"),
            ("--host", "example.com", "hosts: Some("),
            ("--max-connections", "21", "max_connections: 21,"),
            ("--max-connections-per-address", "22", "max_connections_per_address: 22,"),
            ("--max-handshakes-per-address", "27", "max_handshakes_per_address: 27,"),
            ("--max-accepts-per-second", "23", "max_accepts_per_second: 23,"),
            ("--max-accepts-per-turn", "26", "max_accepts_per_turn: 26,"),
            ("--max-messages-per-second", "24", "24,"),
            ("--max-message-size", "4KiB", "max_message_len: 4096,"),
            ("--max-fragments", "5", "max_fragments: 5,"),
            ("--memory-budget", "25MiB", "26214400,"),
            ("--max-request-len", "6KiB", "max_request_len: 6144,"),
            ("--max-headers", "7", "max_headers: 7,"),
            ("--compression", "takeover", "server_context_takeover: true,"),
            ("--compression", "takeover", "client_context_takeover: true,"),
            ("--compression-level", "7", "7,"),
            ("--compression-min-len", "3KiB", "min_len: 3072,"),
            ("--max-compressors-len", "1MiB", "max_compressors_len: 1048576,"),
            ("--server-max-window-bits", "9", "9,"),
            ("--client-max-window-bits", "10", "10,"),
            ("--write-high-water", "8KiB", "high_water_len: 8192,"),
            ("--write-low-water", "1B", "low_water_len: 1,"),
            ("--max-write-queue", "9KiB", "max_write_queue_len: 9216,"),
            ("--slow-consumer", "drop-oldest", "slow_consumer: DropOldest,"),
            ("--max-read-per-turn", "10KiB", "max_read_per_turn: 10240,"),
            ("--read-buffer-len", "2KiB", "read_buffer_len: 2048,"),
            ("--handshake-timeout", "11s", "handshake_timeout: 11s,"),
            ("--idle-timeout", "12m", "idle_timeout: 720s,"),
            ("--pong-timeout", "13ms", "pong_timeout: 13ms,"),
            ("--write-timeout", "15s", "write_timeout: 15s,"),
            ("--drain-window", "16s", "drain_window: 16s,"),
            ("--close-timeout", "14h", "close_timeout: 50400s,"),
        ];
        let arguments: BTreeSet<_> = flags.iter().map(|(flag, value, _)| format!("{flag}={value}")).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let changed = fields(&config(&arguments));
        for (flag, value, field) in flags {
            assert!(changed.contains(field), "{flag} {value} gives {field}: {changed:#?}");
        }
        let mut default = Config::default();
        default.access.origins = "any".parse().unwrap();
        default.compression = Some(Compression::default());
        // Nobody sends commands to the echo's connections, so how many may wait is no matter.
        let untouched = [
            format!("max_mailbox_commands: {},", default.limits.max_mailbox_commands),
            format!("max_mailbox_len: {},", default.limits.max_mailbox_len),
        ];
        let values = |fields: BTreeSet<String>| {
            fields.into_iter().filter(|line| line.contains(": ") && line.ends_with(','))
        };
        let shared: Vec<_> = values(fields(&default)).filter(|field| changed.contains(field)).collect();
        assert_eq!(shared, untouched, "what no flag has changed");
    }

    #[test]
    fn the_defaults_are_those_of_the_server_but_for_who_may_connect_and_compression() {
        let mut expect = Config::default();
        expect.access.origins = "any".parse().unwrap();
        expect.access.hosts = Some("any".parse().unwrap());
        expect.compression = Some(Compression::default());
        assert_eq!(fields(&config(&[])), fields(&expect));
        expect.compression = Some(Compression::takeover());
        assert_eq!(fields(&config(&["--compression", "takeover"])), fields(&expect));
    }

    #[test]
    fn contradictions_name_both_flags() {
        for (flags, first, second) in [
            (["--write-low-water", "2MiB"], "--write-low-water (2MiB)", "--write-high-water (1MiB)"),
            (["--write-high-water", "1KiB"], "--write-low-water (256KiB)", "--write-high-water (1KiB)"),
            (["--write-high-water", "65MiB"], "--write-high-water (65MiB)", "--max-write-queue (64MiB)"),
            (["--max-message-size", "1GiB"], "--max-message-size (1GiB)", "--max-write-queue (64MiB)"),
            (["--read-buffer-len", "2MiB"], "--read-buffer-len (2MiB)", "--max-read-per-turn (256KiB)"),
        ] {
            let error = parse(&flags).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flags:?}");
            assert!(error.to_string().contains(&format!("{first} is above {second}")), "{flags:?}: {error}");
        }
    }

    #[test]
    fn a_budget_below_two_messages_a_worker_is_refused() {
        for (flags, expect) in [
            (&["--memory-budget", "64MiB", "--workers", "2"][..], None),
            (&["--memory-budget", "16MiB", "--workers", "2", "--max-message-size", "4MiB"], None),
            (
                &["--memory-budget", "64MiB", "--workers", "4"],
                Some("--memory-budget (64MiB) is too small for --max-message-size (16MiB)"),
            ),
            (&["--memory-budget", "64MiB", "--workers", "4"], Some("(--workers, 4)")),
            (&["--memory-budget", "64MiB", "--workers", "4"], Some("128MiB in all")),
        ] {
            let error = parse(flags).err();
            assert_eq!(error.as_ref().map(clap::Error::exit_code), expect.map(|_| 2), "{flags:?}");
            let message = error.map(|error| error.to_string()).unwrap_or_default();
            // The text is wrapped to the terminal.
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(message.contains(expect.unwrap_or_default()), "{flags:?}: {message}");
        }
    }

    #[test]
    fn limits_may_meet() {
        config(&[
            "--write-low-water",
            "1MiB",
            "--max-message-size",
            "64MiB",
            "--max-read-per-turn",
            "512KiB",
            "--read-buffer-len",
            "512KiB",
        ]);
    }

    #[test]
    fn every_flag_has_the_variable_of_its_name() {
        for arg in command().get_arguments() {
            let flag = arg.get_long().unwrap();
            let variable = format!("WSCLI_{}", flag.to_ascii_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "--{flag}");
        }
    }

    #[test]
    fn what_follows_the_flags_fits_80_columns() {
        for line in AFTER_HELP.lines() {
            assert!(line.len() <= 80, "{line}");
        }
    }
}

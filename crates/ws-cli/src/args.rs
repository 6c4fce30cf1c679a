//! The command line and the environment.

mod access;
mod compression;
mod deadlines;
mod flow;
mod limits;
mod listen;
mod log;
mod values;

use crate::{
    serve::log::{Format, Level},
    units::Size,
};
use access::AccessArgs;
use clap::{
    Arg, CommandFactory, FromArgMatches, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use compression::CompressionArgs;
use deadlines::DeadlineArgs;
use flow::FlowArgs;
use limits::LimitArgs;
use listen::Listening;
use log::Logging;
use ws_server::{Config, ConfigError};

const AFTER_HELP: &str = "\
SIZE is a number of bytes, or of KiB, MiB or GiB, such as 64KiB.
DURATION is a number with its unit (ms, s, m, h), such as 10s. Deadlines are
checked once a second.

Each flag can be set by an environment variable: WSCLI_PORT=8080 is --port
8080, and WSCLI_MAX_MESSAGE_SIZE=1MiB is --max-message-size 1MiB. A flag
overrides its variable, and an empty variable is ignored.

Examples:
  ws-cli                     Listen on ws://localhost:9999, for this machine
  ws-cli --port 0            Take a free port, and print it
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
    access: AccessArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    compression: CompressionArgs,
    #[command(flatten)]
    flow: FlowArgs,
    #[command(flatten)]
    deadlines: DeadlineArgs,
}

impl Args {
    /// The arguments of this process. `--help`, `--version` and mistakes end the process.
    pub(crate) fn from_process() -> Self {
        let words: Vec<_> = std::env::args_os().collect();
        let matches = command().try_get_matches_from(&words).map_err(|error| {
            // A mistake that stays without the environment is on the command line.
            match command_without_environment().try_get_matches_from(&words) {
                Err(same) if same.to_string() == error.to_string() => error,
                _ => name_variable(error),
            }
        });
        let args = matches.and_then(|matches| Self::from_arg_matches(&matches));
        args.and_then(Self::checked).unwrap_or_else(|error| error.exit())
    }

    /// The configuration of the server.
    pub(crate) fn config(&self) -> Config {
        let Self { listening, access, limits, compression, flow, deadlines, logging: _ } = self;
        Config {
            workers: listening.workers,
            access: access.access(),
            limits: limits.limits(flow.max_write_queue.0),
            flow: flow.flow(limits.max_accepts_per_turn),
            deadlines: deadlines.deadlines(),
            compression: compression.compression(),
        }
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

/// The message for settings that contradict each other, with their flags.
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

/// The command. The text after the flags explains the environment variables once, in place of each
/// flag.
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

/// Names the environment variable with the bad value in place of its flag.
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

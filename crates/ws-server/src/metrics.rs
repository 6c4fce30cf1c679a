//! Counters, for eyes on a running server.
//!
//! Each worker writes counters of its own, plainly; they are added up when somebody asks.

use crate::RefusalReason;
use std::{
    fmt, mem,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use ws_protocol::CloseCode;

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        // One writer: no need for a locked instruction.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something that happens again and again is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The number of times that something has happened since it was last logged.
#[derive(Debug, Default)]
pub(crate) struct Unlogged {
    count: u64,
    logged_at: Option<Instant>,
}

impl Unlogged {
    /// Counts, and gives what there is to be logged, once a second.
    pub(crate) fn add(&mut self, count: u64, now: Instant) -> Option<u64> {
        self.count = self.count.saturating_add(count);
        let is_due = self.logged_at.is_none_or(|at| now.saturating_duration_since(at) >= LOG_INTERVAL);
        is_due.then(|| {
            self.logged_at = Some(now);
            mem::take(&mut self.count)
        })
    }
}

/// The statuses that are told apart; any other counts as `other`.
const STATUSES: [u16; 15] = [101, 200, 204, 400, 401, 403, 404, 405, 408, 426, 429, 431, 500, 503, 505];

/// The first close code, and how many are told apart from there on; those of applications count together.
const FIRST_CODE: u16 = 1000;
const CODES: usize = 16;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $kind:literal, $help:literal;)*) => {
        /// What one thread counts.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            handshakes: [Counter; STATUSES.len() + 1],
            closes: [Counter; CODES + 1],
            refusals: [Counter; RefusalReason::ALL.len()],
        }

        /// What a server has counted since it started.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Metrics {
            $($(#[$doc])* pub $name: u64,)*
            /// Answers to opening requests, by HTTP status; 101 is a connection, 0 any status that is not told apart.
            pub handshakes: Vec<(u16, u64)>,
            /// Connections that ended, by close code; 0 stands for all the codes of applications.
            pub closes: Vec<(u16, u64)>,
            /// Requests and sockets that were refused, by reason.
            pub refusals: Vec<(&'static str, u64)>,
        }

        impl Metrics {
            /// Adds up what these have counted.
            pub(crate) fn sum<'c>(all: impl Iterator<Item = &'c Counters>) -> Self {
                let mut sum = Self {
                    handshakes: STATUSES.into_iter().chain([0]).map(|status| (status, 0)).collect(),
                    closes: (FIRST_CODE..).take(CODES).chain([0]).map(|code| (code, 0)).collect(),
                    refusals: RefusalReason::ALL.iter().map(|reason| (reason.name(), 0)).collect(),
                    ..Self::default()
                };
                for counters in all {
                    $(sum.$name = sum.$name.wrapping_add(counters.$name.value());)*
                    for ((_, total), counter) in sum.handshakes.iter_mut().zip(&counters.handshakes) {
                        *total += counter.value();
                    }
                    for ((_, total), counter) in sum.closes.iter_mut().zip(&counters.closes) {
                        *total += counter.value();
                    }
                    for ((_, total), counter) in sum.refusals.iter_mut().zip(&counters.refusals) {
                        *total += counter.value();
                    }
                }
                sum
            }

            fn scalars(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> {
                [$((stringify!($name), $kind, $help, self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Sockets that were accepted.
    connections_accepted: "counter", "Sockets accepted.";
    /// Connections that are open now.
    connections_open: "gauge", "Connections open now.";
    /// Messages received.
    messages_received: "counter", "Messages received.";
    /// Messages sent, of which some may wait to be written.
    messages_sent: "counter", "Messages sent or queued.";
    /// Bytes received, of whatever kind.
    bytes_received: "counter", "Bytes received.";
    /// Bytes that sockets have taken.
    bytes_sent: "counter", "Bytes sent.";
    /// Bytes that are held for connections now: unfinished messages, write queues, compression.
    held_bytes: "gauge", "Bytes held for connections now.";
    /// Bytes that wait to be written now.
    queued_bytes: "gauge", "Bytes that wait to be written now.";
    /// Bytes that were queued when their connection was cut, and that its socket has never taken.
    unsent_bytes: "counter", "Bytes that were queued for clients that were cut, and never sent.";
    /// How often a peer began to lag, and was no longer read from.
    read_pauses: "counter", "Times that reading from a lagging client paused.";
    /// Messages that were not sent, because the queue of their peer was full.
    messages_dropped: "counter", "Messages not sent, because the queue of their client was full.";
    /// Connections that were ended because the memory budget was spent.
    connections_evicted: "counter", "Connections ended because the memory budget was spent.";
    /// Bytes of commands of `Remote`s that wait for their workers now.
    mailbox_bytes: "gauge", "Bytes of commands from other threads that wait for their workers now.";
    /// How often a connection missed a command of a `Remote`, because too many waited for its worker.
    commands_missed: "counter", "Times that a connection missed a command, because too many waited for its worker.";
    /// Handlers' panics.
    handler_panics: "counter", "Panics of the handler.";
    /// Turns of the workers' loops.
    turns: "counter", "Turns of the workers' loops.";
    /// How long the workers were busy, in nanoseconds; over the time that has passed, it is their saturation.
    busy_nanoseconds: "counter", "Time that workers were busy.";
}

impl Counters {
    /// A handshake was answered with this status.
    pub(crate) fn handshake(&self, status: u16) {
        let index = STATUSES.iter().position(|it| *it == status).unwrap_or(STATUSES.len());
        if let Some(counter) = self.handshakes.get(index) {
            counter.add(1);
        }
    }

    /// Somebody was not let in.
    pub(crate) fn refusal(&self, reason: RefusalReason) {
        if let Some(counter) = self.refusals.get(reason as usize) {
            counter.add(1);
        }
    }

    /// A connection was closed with this code.
    pub(crate) fn close(&self, code: CloseCode) {
        let index = usize::from(code.value().wrapping_sub(FIRST_CODE)).min(CODES);
        if let Some(counter) = self.closes.get(index) {
            counter.add(1);
        }
    }
}

/// The Prometheus text format.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, kind, help, value) in self.scalars() {
            let (name, value) = match name {
                "busy_nanoseconds" => ("worker_busy_seconds", Seconds(value).to_string()),
                name => (name, value.to_string()),
            };
            let suffix = if kind == "counter" { "_total" } else { "" };
            writeln!(
                f,
                "# HELP ws_{name}{suffix} {help}\n# TYPE ws_{name}{suffix} {kind}\nws_{name}{suffix} {value}"
            )?;
        }
        let numbers = |values: &[(u16, u64)]| -> Vec<(String, u64)> {
            let name = |key: u16| if key == 0 { "other".to_owned() } else { key.to_string() };
            values.iter().map(|(key, value)| (name(*key), *value)).collect()
        };
        let refusals = self.refusals.iter().map(|(reason, value)| ((*reason).to_owned(), *value)).collect();
        for (name, label, help, values) in [
            (
                "handshakes",
                "status",
                "Answers to opening requests, by HTTP status.",
                numbers(&self.handshakes),
            ),
            ("connections_closed", "code", "Connections that ended, by close code.", numbers(&self.closes)),
            ("refusals", "reason", "Requests and sockets that were refused, by reason.", refusals),
        ] {
            writeln!(f, "# HELP ws_{name}_total {help}\n# TYPE ws_{name}_total counter")?;
            for (key, value) in values {
                writeln!(f, "ws_{name}_total{{{label}=\"{key}\"}} {value}")?;
            }
        }
        Ok(())
    }
}

/// Nanoseconds, shown as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_again_and_again_is_logged_once_a_second() {
        let (mut unlogged, start) = (Unlogged::default(), Instant::now());
        for (millis, count, expect) in
            [(0, 1, Some(1)), (10, 2, None), (999, 3, None), (1_000, 1, Some(6)), (5_000, 2, Some(2))]
        {
            assert_eq!(
                unlogged.add(count, start + Duration::from_millis(millis)),
                expect,
                "after {millis} ms"
            );
        }
    }

    #[test]
    fn what_threads_count_is_added_up_and_shown() {
        let workers = [Counters::default(), Counters::default()];
        for worker in &workers {
            worker.messages_received.add(3);
            worker.busy_nanoseconds.add(1_500_000_000);
            worker.handshake(101);
            worker.handshake(418);
            worker.refusal(RefusalReason::MaxConnectionsPerAddress);
            for code in [1000, 1015, 1016, 4999, 0] {
                worker.close(CloseCode::new(code));
            }
        }
        workers[0].connections_open.set(5);
        let metrics = Metrics::sum(workers.iter());
        assert_eq!((metrics.messages_received, metrics.connections_open), (6, 5));
        let text = metrics.to_string();
        for line in [
            "# TYPE ws_messages_received_total counter",
            "ws_messages_received_total 6",
            "# TYPE ws_connections_open gauge",
            "ws_connections_open 5",
            "ws_worker_busy_seconds_total 3.000000000",
            "ws_handshakes_total{status=\"101\"} 2",
            "ws_handshakes_total{status=\"other\"} 2",
            "ws_handshakes_total{status=\"404\"} 0",
            "ws_connections_closed_total{code=\"1000\"} 2",
            "ws_connections_closed_total{code=\"1015\"} 2",
            "ws_connections_closed_total{code=\"other\"} 6",
            "ws_refusals_total{reason=\"malformed\"} 0",
            "ws_refusals_total{reason=\"max_connections_per_address\"} 2",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(
            text.lines()
                .all(|line| line.is_empty() || line.starts_with("# ") || line.split(' ').count() == 2)
        );
    }
}

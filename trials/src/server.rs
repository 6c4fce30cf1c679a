//! `ws-cli` as an operator runs it, to be measured and mistreated.

use crate::process::{Process, url};
use crate::programs::poll;
use crate::resources::Usage;
use crate::{Outcome, raw};
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// How long the server gets to let go of its connections.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server that listens.
pub(crate) struct Server {
    process: Process,
    port: u16,
}

impl Server {
    /// Starts this `ws-cli` with these flags, on a free port.
    pub(crate) fn start(program: &Path, flags: &[&str]) -> Outcome<Self> {
        Self::of(Command::new(program).args(["--port", "0"]).args(flags))
    }

    /// Lets it have so many descriptors at most from now on.
    pub(crate) fn limit_descriptors(&self, max: u64) -> Outcome {
        let id = self.process.id().try_into()?;
        rlimit::prlimit(id, rlimit::Resource::NOFILE, Some((max, max)), None)?;
        Ok(())
    }

    /// The same, from a shell that has run `prologue` before, such as `ulimit -n 64`.
    pub(crate) fn start_after(prologue: &str, program: &Path, flags: &[&str]) -> Outcome<Self> {
        Self::of(after(prologue, program).args(["--port", "0"]).args(flags))
    }

    /// The same, on this port, where what the server prints goes elsewhere.
    pub(crate) fn start_unseen(prologue: &str, program: &Path, port: u16, flags: &[&str]) -> Outcome<Self> {
        let process =
            Process::start(after(prologue, program).args(["--port", &port.to_string()]).args(flags))?;
        poll(TIMEOUT, "the server does not listen", || Ok(raw::connect(port).ok()))?;
        Ok(Self { process, port })
    }

    fn of(command: &mut Command) -> Outcome<Self> {
        let process = Process::start(command)?;
        let port = port(&process.find_in_lines(|line| url(line, "ws://"))?)?;
        Ok(Self { process, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it tells its metrics, if it was started with `--metrics`.
    pub(crate) fn metrics_port(&self) -> Outcome<u16> {
        port(
            &self
                .process
                .find_in_lines(|line| url(line, "http://").filter(|url| url.ends_with("/metrics")))?,
        )
    }

    /// What it holds.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        Usage::of(&self.process)
    }

    /// The lines that it has printed since it was last asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Waits until it has no more descriptors than before, and gives what it holds then.
    pub(crate) fn settled(&self, descriptors: usize) -> Outcome<Usage> {
        let mut usage = self.usage()?;
        let left = poll(TIMEOUT, "the server still holds descriptors of closed connections", || {
            usage = self.usage()?;
            Ok((usage.descriptors <= descriptors).then_some(()))
        });
        match left {
            Ok(()) => Ok(usage),
            Err(error) => Err(format!("{error}: {} instead of {descriptors}", usage.descriptors).into()),
        }
    }

    /// Sends it a signal: `INT`, `TERM`.
    pub(crate) fn signal(&self, name: &str) -> Outcome {
        let kill =
            Command::new("sh").args(["-c", &format!("kill -{name} {}", self.process.id())]).status()?;
        if kill.success() { Ok(()) } else { Err(format!("cannot send SIG{name}").into()) }
    }

    /// Waits for its end, after a signal.
    pub(crate) fn wait_for_end(&mut self) -> Outcome<ExitStatus> {
        self.process.wait_for_end()
    }

    /// Sees that it is well, and ends it with SIGTERM, to which it has to obey with success. Gives what is left of its
    /// lines.
    pub(crate) fn end(mut self) -> Outcome<Vec<String>> {
        for page in ["/healthz", "/readyz"] {
            match raw::get(self.port, page)? {
                (200, _) => {}
                (status, text) => return Err(format!("{page} says {status}: {text}").into()),
            }
        }
        self.signal("TERM")?;
        match self.process.wait_for_end_and_lines()? {
            (status, lines) if status.success() => Ok(lines),
            (status, _) => Err(format!("SIGTERM ended it with {status}").into()),
        }
    }
}

fn after(prologue: &str, program: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{prologue} && exec \"$0\" \"$@\"")]).arg(program);
    shell
}

/// What a server has counted, by the names of its metrics.
pub(crate) struct Metrics(HashMap<String, u64>);

impl Metrics {
    /// Asks for them.
    pub(crate) fn of(metrics_port: u16) -> Outcome<Self> {
        match raw::get(metrics_port, "/metrics")? {
            (200, text) => Ok(Self::parse(&text)),
            (status, text) => Err(format!("/metrics says {status}: {text}").into()),
        }
    }

    /// One of them.
    pub(crate) fn value(&self, name: &str) -> Outcome<u64> {
        Ok(*self.0.get(name).ok_or_else(|| format!("there is no metric {name}"))?)
    }

    /// The sum of all that have labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        let labelled = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        self.0.iter().filter(|(key, _)| labelled(key)).map(|(_, value)| value).sum()
    }

    fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            // What is no whole number is a time, which nobody asks for.
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }
}

fn port(url: &str) -> Outcome<u16> {
    let authority = url.split("://").nth(1).unwrap_or("").split('/').next().unwrap_or("");
    let port = authority.rsplit(':').next().unwrap_or("");
    port.parse().map_err(|_| format!("no port in {url}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read() {
        let text = "# TYPE ws_connections_open gauge\nws_connections_open 5\nws_worker_busy_seconds_total 1.5\n\
                    ws_connections_closed_total{code=\"1000\"} 2\nws_connections_closed_total{code=\"other\"} 3\nws_connections_closed_total_of 9\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.value("ws_connections_open").unwrap(), 5);
        assert_eq!(metrics.value("ws_connections_closed_total{code=\"1000\"}").unwrap(), 2);
        assert_eq!(metrics.sum("ws_connections_closed_total"), 5);
        assert!(metrics.value("ws_shut").is_err());
    }

    #[test]
    fn ports_are_found_in_urls() {
        for (url, expect) in
            [("ws://localhost:9999", Some(9999)), ("http://127.0.0.1:80/metrics", Some(80)), ("ws://a", None)]
        {
            assert_eq!(port(url).ok(), expect, "{url}");
        }
    }
}

//! The frame of most rows: a fresh server with a healthy client, before, meanwhile and afterwards.

use super::report::{Findings, mib};
use crate::Outcome;
use crate::canary::Canary;
use crate::raw;
use crate::resources::Usage;
use crate::server::Server;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How long the healthy client is listened to in peace.
const CALM: Duration = Duration::from_secs(1);

/// An echo that takes longer than that never came.
const ECHO_LIMIT: Duration = Duration::from_secs(2);

/// How many connections come and go before anything is measured, so that the first of everything has been.
const WARM_UP: usize = 100;

/// A server that something is about to happen to.
pub(super) struct Trial {
    pub(super) server: Server,
    canary: Canary,
    findings: Findings,
}

impl Trial {
    /// Starts a server with one worker, and these flags.
    pub(super) fn start(program: &Path, flags: &[&str]) -> Outcome<Self> {
        Self::of(Server::start(program, &[&["--workers", "1"], flags].concat())?)
    }

    /// With a server that is just started.
    pub(super) fn of(server: Server) -> Outcome<Self> {
        let bare = server.usage()?.descriptors;
        for _ in 0..WARM_UP {
            let mut stream = raw::open(server.port())?;
            stream.write_all(&raw::close(1000))?;
            raw::close_code(&mut stream)?;
        }
        server.settled(bare)?;
        let canary = Canary::start(server.port(), ECHO_LIMIT)?;
        thread::sleep(CALM);
        let calm = Some(canary.take_echo_times());
        let findings = Findings { before: Some(server.usage()?), calm, ..Findings::default() };
        Ok(Self { server, canary, findings })
    }

    /// What the server held before, in bytes of resident memory.
    pub(super) fn memory_before(&self) -> u64 {
        self.findings.before.map_or(0, |before| before.resident_len)
    }

    /// Waits until the server has no descriptor more than before, and gives what it holds then.
    pub(super) fn settled(&self) -> Outcome<Usage> {
        self.server.settled(self.findings.before.map_or(0, |before| before.descriptors))
    }

    /// Takes note of what was seen, and whether it is as it has to be.
    pub(super) fn demand(&mut self, is_good: bool, text: impl Into<String>) {
        self.findings.demand(is_good, text);
    }

    /// The server never had more resident memory than at the start and so much.
    pub(super) fn demand_peak(&mut self, max_growth: u64) -> Outcome {
        let grown = self.server.usage()?.peak_len.saturating_sub(self.memory_before());
        let text = format!("peak {:.1} MiB above the start, of {:.0} at most", mib(grown), mib(max_growth));
        self.demand(grown <= max_growth, text);
        Ok(())
    }

    /// Until now, 99 of 100 echoes of the healthy client came in this time.
    pub(super) fn demand_echoes_within(&mut self, limit: Duration) {
        let echoes = self.canary.take_echo_times();
        let text = format!("{} healthy echoes, 99 % within {} ms", echoes.count(), limit.as_millis());
        self.demand(echoes.count() > 0 && echoes.percentile(99) <= limit, text);
        self.findings.meanwhile = Some(echoes);
    }

    /// Sees what is left behind, that the server is well, and ends it.
    pub(super) fn finish(mut self) -> Outcome<Findings> {
        match self.settled() {
            Ok(usage) => self.findings.after = Some(usage),
            Err(error) => {
                self.findings.after = Some(self.server.usage()?);
                self.demand(false, error.to_string());
            }
        }
        if let Err(error) = self.canary.stop() {
            self.findings.demand(false, error.to_string());
        }
        if let Err(error) = self.server.end() {
            self.findings.demand(false, error.to_string());
        }
        Ok(self.findings)
    }
}

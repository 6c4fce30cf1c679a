//! `cargo xtask soak`: a mixed crowd for a long time, and what it leaves behind.
//!
//! Rounds of load: well-behaved, slow, hostile and restless clients, chosen at random from a seed. After each round all
//! of them are gone and the server is looked at: its descriptors have to be exactly those of the beginning, its memory may
//! not grow from round to round. All the time a canary has its messages echoed; one that is wrong or late ends the soak.
//! `ws-cli` is as shipped, with a worker for each core, but for limits and deadlines that are small enough to be reached.
//!
//! Linux only: descriptors and memory are read where Linux shows them, and the clients come from many addresses.

mod growth;
mod hostile;
mod kinds;
mod logged;
mod slow;
mod visit;
mod well_behaved;

use crate::Outcome;
use crate::build::build_ws_cli;
use crate::canary::Canary;
use crate::programs::poll;
use crate::random::Random;
use crate::server::{Metrics, Server};
use kinds::KINDS;
use logged::Logged;
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use visit::Visit;

/// How the server is started: what it does at its limits is part of the soak.
const FLAGS: &str = "--log-format json --max-log-lines-per-second 1000000 --metrics 127.0.0.1:0 \
    --max-message-size 1MiB --memory-budget 32MiB \
    --handshake-timeout 2s --idle-timeout 2s --pong-timeout 1s --write-timeout 2s --close-timeout 1s";

/// How many clients there are at a time.
const CROWD: u64 = 24;

/// How long a round lasts, without the quiet after it.
const ROUND: Duration = Duration::from_secs(18);

/// How long the quiet after a round lasts.
const QUIET: Duration = Duration::from_secs(1);

/// When an echo is late. The crowd and the server share what is often two cores with everything else on the machine: where
/// others build programs, the scheduler alone has made an echo wait for 320 ms.
const ECHO_LIMIT: Duration = Duration::from_secs(1);

/// When the echoes of a round are late, all but one in a hundred of them: several times what they take on such a machine.
const MOST_ECHOES_LIMIT: Duration = Duration::from_millis(100);

/// How long the last ones of a crowd may take to be gone.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,

    /// Repeats the choices of an earlier soak.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs rounds until the time is over, or something is wrong.
pub(crate) fn run(options: &Options) -> Outcome {
    if !cfg!(target_os = "linux") {
        return Err("`soak` counts descriptors as Linux shows them, and runs there only".into());
    }
    let seed = match options.seed {
        Some(seed) => seed,
        None => getrandom::u64()?,
    };
    let program = build_ws_cli("--release")?;
    println!("rounds of {} s for {} min, --seed {seed}", ROUND.as_secs(), options.minutes);
    println!(
        "{:>5} {:>8} {:>8} {:>24} {:>9} {:>11} {:>9}",
        "round", "visits", "echoes", "ms: p50 / p99 / max", "resident", "descriptors", "evictions"
    );
    let end = Instant::now() + Duration::from_secs(options.minutes * 60);
    let mut soak = Soak::start(&program, seed)?;
    let mut round = 0;
    while Instant::now() < end && !soak.canary.has_ended() {
        round += 1;
        soak.round(round).map_err(|error| format!("round {round}, --seed {seed}: {error}"))?;
    }
    soak.finish()?;
    println!("\nsoak: passed, {round} rounds, --seed {seed}");
    Ok(())
}

/// A server that is soaked, and what it has come to so far.
struct Soak {
    server: Server,
    metrics_port: u16,
    canary: Canary,
    /// Those that the server has beside the crowd's.
    descriptors: usize,
    seed: u64,
    /// How often each kind of client has come.
    visits: BTreeMap<&'static str, usize>,
    /// How many echoes the canary has had, and how long it has waited for one.
    echoes: usize,
    slowest: Duration,
    /// Resident memory after each round, in bytes.
    resident_lens: Vec<u64>,
    logged: Logged,
}

impl Soak {
    fn start(program: &Path, seed: u64) -> Outcome<Self> {
        let flags: Vec<&str> = FLAGS.split_whitespace().collect();
        let server = Server::start(program, &flags)?;
        let metrics_port = server.metrics_port()?;
        let canary = Canary::start(server.port(), ECHO_LIMIT)?;
        let descriptors = server.usage()?.descriptors;
        Ok(Self {
            server,
            metrics_port,
            canary,
            descriptors,
            seed,
            visits: BTreeMap::new(),
            echoes: 0,
            slowest: Duration::ZERO,
            resident_lens: Vec::new(),
            logged: Logged::default(),
        })
    }

    /// Has the crowd come and go, looks at what it leaves behind, and tells.
    fn round(&mut self, round: u64) -> Outcome {
        let visits = self.crowd(round)?;
        if self.canary.has_ended() {
            return Ok(());
        }
        thread::sleep(QUIET);
        let usage = self.server.settled(self.descriptors)?;
        let evictions = Metrics::of(self.metrics_port)?.value("ws_connections_evicted_total")?;
        let echoes = self.canary.take_echo_times();
        println!(
            "{round:>5} {visits:>8} {:>8} {:>24} {:>5} KiB {:>11} {evictions:>9}",
            echoes.count(),
            echoes.to_string(),
            usage.resident_len / 1024,
            usage.descriptors,
        );
        if echoes.percentile(99) > MOST_ECHOES_LIMIT {
            return Err(format!(
                "one in a hundred echoes took more than {} ms",
                MOST_ECHOES_LIMIT.as_millis()
            )
            .into());
        }
        self.echoes += echoes.count();
        self.slowest = self.slowest.max(echoes.percentile(100));
        self.resident_lens.push(usage.resident_len);
        self.logged.take(&self.server.lines())
    }

    /// Has the crowd come and go until the round is over. Gives how many visits it paid.
    fn crowd(&mut self, round: u64) -> Outcome<usize> {
        let until = Instant::now() + ROUND;
        let (port, seed) = (self.server.port(), self.seed);
        let visited: Vec<Result<Vec<&'static str>, String>> = thread::scope(|scope| {
            let members: Vec<_> = (0..CROWD)
                .map(|member| {
                    let random = Random::of(seed, round * CROWD + member);
                    scope.spawn(move || visit_until(until, port, random))
                })
                .collect();
            let join = |member: thread::ScopedJoinHandle<'_, _>| member.join();
            members
                .into_iter()
                .map(|member| join(member).unwrap_or(Err("a client panicked".into())))
                .collect()
        });
        let mut count = 0;
        for names in visited {
            for name in names? {
                *self.visits.entry(name).or_default() += 1;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Ends the canary and the server, and judges the whole.
    fn finish(mut self) -> Outcome {
        self.canary.stop()?;
        let mut counted = Counted::of(self.metrics_port)?;
        // The canary's end is counted when the server has seen it.
        let settled = poll(TIMEOUT, "not as many closes as openings are counted", || {
            counted = Counted::of(self.metrics_port)?;
            Ok((counted.open == 0 && counted.opened == counted.closed).then_some(()))
        });
        settled.map_err(|error| format!("{error}: {counted:?}"))?;
        self.logged.take(&self.server.lines())?;
        self.logged.take(&self.server.end()?)?;

        let visits: Vec<_> = self.visits.iter().map(|(name, count)| format!("{name} {count}")).collect();
        println!("\nvisits: {}", visits.join(", "));
        println!("connections: {} opened, {} closed", counted.opened, counted.closed);
        println!("canary: {} echoes, the slowest in {} ms", self.echoes, self.slowest.as_millis());
        println!("log: {}", self.logged.verdict(counted.opened)?);
        println!("memory: {}", growth::verdict(&self.resident_lens)?);
        Ok(())
    }
}

/// One after the other, pays the visits that are chosen at random. Gives their names.
fn visit_until(until: Instant, port: u16, mut random: Random) -> Result<Vec<&'static str>, String> {
    let mut visits = Vec::new();
    while Instant::now() < until {
        let kind = kinds::choose(KINDS, &mut random);
        (kind.visit)(&mut Visit { port, until, random: &mut random })
            .map_err(|error| format!("a client that {}: {error}", kind.name))?;
        visits.push(kind.name);
    }
    Ok(visits)
}

/// What the server has counted.
#[derive(Debug)]
struct Counted {
    opened: u64,
    closed: u64,
    open: u64,
}

impl Counted {
    fn of(metrics_port: u16) -> Outcome<Self> {
        let metrics = Metrics::of(metrics_port)?;
        Ok(Self {
            opened: metrics.value("ws_handshakes_total{status=\"101\"}")?,
            closed: metrics.sum("ws_connections_closed_total"),
            open: metrics.value("ws_connections_open")?,
        })
    }
}

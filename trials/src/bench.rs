//! `cargo xtask bench`: ws-cli beside the servers that people would pick instead, by the CPU time that each spends on a
//! message. See `docs/performance.md` for the method.

mod isolation;
mod report;
mod servers;
mod syscalls;
mod workloads;

use crate::Outcome;
use crate::cargo::{self, run as run_command};
use crate::process::lines_of;
use isolation::{Cores, on_cores};
use report::{Report, Run};
use serde_json::Value;
use servers::{OURS, Programs, RAW, Running, SERVERS, Server};
use std::path::PathBuf;
use std::time::Duration;
use workloads::{WORKLOADS, Workload};

/// How long a load may take beyond what it was asked for: to connect, and to see that a server does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The workload that shows whether workers share anything.
const SCALING: &str = "20b-c100-d16";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A first impression in a minute: one round, short, and only what has a mark.
    #[arg(long)]
    quick: bool,
    /// Print the figures as JSON, with each round's.
    #[arg(long)]
    json: bool,
    /// How often each server is measured with each workload [default: 9, or 1 if quick].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// The workloads to measure, by their names [default: all].
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD")]
    only: Vec<String>,
    /// The servers to measure, by their names; raw-tcp always is [default: all].
    #[arg(long, value_delimiter = ',', value_name = "SERVER")]
    servers: Vec<String>,
    /// Folders with builds of ws-cli of other commits (and of bench-ws-server, for the broadcast), to be measured beside
    /// this one: what a change has made faster.
    #[arg(long, value_delimiter = ',', value_name = "FOLDER")]
    builds: Vec<PathBuf>,
    /// List the workloads and the servers, and measure nothing.
    #[arg(long)]
    list: bool,
    /// See instead whether two workers of ws-cli carry twice what one does.
    #[arg(long)]
    scaling: bool,
    /// Count instead the system calls of ws-cli, or of the servers that are named, with `strace`.
    #[arg(long, conflicts_with_all = ["scaling", "codec"])]
    syscalls: bool,
    /// Measure the parts of the cores by themselves instead: headers, masks, UTF-8, DEFLATE.
    #[arg(long, conflicts_with = "scaling")]
    codec: bool,
    /// We run in a namespace of our own already.
    #[arg(long, hide = true)]
    isolated: bool,
}

/// Builds, measures, and prints the tables.
pub(crate) fn run(options: &Options) -> Outcome {
    if options.list {
        println!("workloads: {}", names(WORKLOADS.iter().map(|workload| workload.name)));
        println!("servers: {}", names(SERVERS.iter().map(|server| server.name)));
        return Ok(());
    }
    if options.codec {
        return run_command(&mut cargo::bench("bench --locked --package bench-codec"));
    }
    if !cfg!(target_os = "linux") {
        return Err("`bench` reads CPU times as Linux shows them, and runs there only".into());
    }
    let workloads = chosen(WORKLOADS, &options.only, |workload| workload.name)?;
    let mut servers = chosen(&SERVERS, &options.servers, |server| server.name)?;
    for folder in &options.builds {
        servers.push(Box::leak(Box::new(Server::build(folder)?)));
    }
    // First outside, where Cargo reaches the registry. Inside, everything is there.
    let programs = Programs::build()?;
    let network = if options.isolated {
        isolation::set_up()?;
        "a network namespace of its own"
    } else {
        match isolation::again_inside() {
            Ok(mut again) => return run_command(&mut again),
            Err(why) => eprintln!("\n!!! NOT ISOLATED: no network namespace of its own: {why}"),
        }
        "the machine's own network"
    };
    rlimit::increase_nofile_limit(u64::MAX)?;
    if options.scaling {
        return scaling(options, &programs);
    }
    let workloads = workloads
        .into_iter()
        .filter(|workload| !options.quick || !options.only.is_empty() || workload.has_mark());
    if options.syscalls {
        let is_named = |server: &&Server| !options.servers.is_empty() || server.name == OURS;
        let servers: Vec<&Server> = servers.into_iter().filter(is_named).collect();
        return syscalls::count(&programs, workloads, &servers, pace(options));
    }
    let network = format!("{network}, TCP {}", isolation::congestion_control());
    let mut report = Report::new(network, pace(options))?;
    let cores = Cores::apart()?;
    for workload in workloads {
        compare(options, &programs, workload, &servers, &cores, &mut report)?;
    }
    if options.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.markdown());
    }
    Ok(())
}

/// Has each server do a workload, in rounds that are interleaved.
fn compare(
    options: &Options,
    programs: &Programs,
    workload: &'static Workload,
    servers: &[&'static Server],
    cores: &Cores,
    report: &mut Report,
) -> Outcome {
    let raw = SERVERS.iter().filter(|server| server.name == RAW);
    let others = servers.iter().copied().filter(|server| server.name != RAW);
    let mut able: Vec<&Server> = raw.chain(others).collect();
    able.retain(|server| programs.can(server, workload.task));
    for round in 1..=workload.rounds(pace(options).rounds) {
        eprintln!("{}, round {round}: {}", workload.name, names(able.iter().map(|server| server.name)));
        let mut failed = Vec::new();
        for server in &able {
            match measure(programs, server, workload, 1, cores, pace(options)) {
                Ok(measured) => report.add(workload, server, measured),
                Err(error) if server.name == OURS || server.name == RAW => {
                    return Err(format!("{} with {}: {error}", server.name, workload.name).into());
                }
                Err(error) => {
                    eprintln!("\n!!! LEFT OUT: {} with {}: {error}", server.name, workload.name);
                    failed.push(server.name);
                }
            }
        }
        able.retain(|server| !failed.contains(&server.name));
    }
    Ok(())
}

/// How often and how long. Many short rounds, as a machine is slow for seconds at a time: then it is for all servers.
fn pace(options: &Options) -> Run {
    let (rounds, warm_up, measure) = if options.quick { (1, 100, 300) } else { (9, 200, 250) };
    Run { rounds: options.rounds.unwrap_or(rounds), warm_up, measure }
}

/// Has a server do a workload once, and gives what the load has seen.
fn measure(
    programs: &Programs,
    server: &Server,
    workload: &Workload,
    workers: usize,
    cores: &Cores,
    pace: Run,
) -> Outcome<Value> {
    let running = programs.start(server, workload.task, workers, &cores.server)?;
    load(programs, server, &running, workload, cores, pace)
}

/// Loads a server that runs, and gives what the load has seen.
fn load(
    programs: &Programs,
    server: &Server,
    running: &Running,
    workload: &Workload,
    cores: &Cores,
    pace: Run,
) -> Outcome<Value> {
    let mut load = on_cores(&cores.load, programs.load()?);
    load.args(workload.load.split_whitespace());
    load.args(["--pid", &running.id().to_string(), "--port", &running.port.to_string()]);
    load.args(["--warm-up", &pace.warm_up.to_string(), "--measure", &pace.measure.to_string()]);
    if server.name == RAW {
        load.arg("--raw");
    }
    let timeout = PATIENCE + Duration::from_millis(pace.warm_up + pace.measure);
    let lines = lines_of(&mut load, timeout)?;
    Ok(serde_json::from_str(lines.last().map_or("", String::as_str))?)
}

/// Compares what a message costs two workers with what it costs one, where both have all cores: if workers share nothing,
/// it costs the same, and as many cores carry as many times as much.
fn scaling(options: &Options, programs: &Programs) -> Outcome {
    let workload = WORKLOADS.iter().find(|workload| workload.name == SCALING).ok_or("no such workload")?;
    let server = SERVERS.iter().find(|server| server.name == OURS).ok_or("no such server")?;
    let cores = Cores::shared()?;
    let mut ratios = Vec::new();
    println!("| round | 1 worker, µs | 2 workers, µs | ratio |");
    println!("| --- | --- | --- | --- |");
    for round in 1..=pace(options).rounds {
        let cost = |workers| -> Outcome<f64> {
            let measured = measure(programs, server, workload, workers, &cores, pace(options))?;
            Ok(measured["cpu_ns_per_message"].as_f64().ok_or("the load tells no CPU time")? / 1000.0)
        };
        let (one, two) = (cost(1)?, cost(2)?);
        println!("| {round} | {one:.3} | {two:.3} | {:.2} |", two / one);
        ratios.push(two / one);
    }
    let median = report::Spread::of(&ratios).median;
    println!("\nA message costs two workers {median:.2} times what it costs one (at most 1.05 is wanted).");
    Ok(())
}

/// Those of these names, in their own order; all, if there are none.
fn chosen<T>(
    all: &'static [T],
    names_of: &[String],
    name: fn(&T) -> &'static str,
) -> Outcome<Vec<&'static T>> {
    if let Some(unknown) = names_of.iter().find(|wanted| !all.iter().any(|it| name(it) == **wanted)) {
        return Err(format!("there is no `{unknown}`, only: {}", names(all.iter().map(name))).into());
    }
    Ok(all
        .iter()
        .filter(|it| names_of.is_empty() || names_of.iter().any(|wanted| wanted == name(it)))
        .collect())
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

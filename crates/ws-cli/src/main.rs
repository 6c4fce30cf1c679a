//! `ws-cli`: a WebSocket server to run. It sends every message back, and serves a console page for
//! the browser.

#![forbid(unsafe_code)]

mod args;
mod console;
mod modes;
mod serve;
mod units;

use args::Args;
use modes::echo::Echo;
use serve::{
    access_log::AccessLog,
    events,
    listen::{self, Flags},
    log::Log,
    metrics,
    mode::Serving,
    panics, signals,
};
use signal_hook::iterator::Signals;
use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};
use units::Size;
use ws_server::Limits;

fn main() -> ExitCode {
    let args = Args::from_process();
    let (signals, log) = match start(&args) {
        Ok(started) => started,
        Err(error) => {
            // Writing fails where the standard error is closed. Nothing can be done about that.
            let _ = writeln!(
                io::stderr(),
                "ws-cli: cannot catch signals or start the thread of the log: {error}"
            );
            return ExitCode::FAILURE;
        }
    };
    panics::log_to(log.clone());
    // After a panic, the last lines are still to be written.
    let served = catch_unwind(AssertUnwindSafe(|| run(&args, signals, &log)));
    if let Ok(Err(error)) = &served {
        log.say(&format!("ws-cli: {error}"));
    }
    log.finish();
    match served {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

/// Catches the signals and starts the log.
fn start(args: &Args) -> io::Result<(Signals, Log)> {
    let signals = signals::catch()?;
    let logging = &args.logging;
    let log = Log::start(logging.log_format, logging.log_level, logging.max_log_lines_per_second)?;
    Ok((signals, log))
}

/// Serves until a signal ends the server.
fn run(args: &Args, signals: Signals, log: &Log) -> Result<(), Box<dyn Error>> {
    events::log_to(log.clone())?;
    // Each connection is an open file. If the limit cannot be raised, the server lowers
    // `max_connections`.
    let max_files = rlimit::increase_nofile_limit(u64::MAX);
    let (listening, config) = (&args.listening, args.config());
    let flags = Flags { port: "--port 0, or another --port", addr: "another --bind", own_port: None };
    let server = listen::bind(&listening.bind, listening.port, &config, flags)?;
    let own_port = server.local_addrs().first().map(SocketAddr::port);
    let metrics = match args.logging.metrics {
        Some(place) => Some((place, metrics::bind(place, own_port)?)),
        None => None,
    };
    let remote = server.remote();
    let close_timeout = config.deadlines.drain_window.saturating_add(config.deadlines.close_timeout);
    signals::watch(signals, remote.clone(), close_timeout, log.clone())?;
    log.say(&listen::announcement(&listening.bind, server.local_addrs()));
    let workers = server.config().workers.unwrap_or_default();
    let Limits { memory_budget, max_connections, .. } = server.config().limits;
    let memory_budget = usize::try_from(memory_budget.unwrap_or_default()).unwrap_or(usize::MAX);
    let shortage = max_files.ok().and_then(|max| listen::shortage_of_files(&config, server.config(), max));
    log.say(&format!(
        "ws-cli keeps at most {} for its clients (--memory-budget), in {workers} {}, and serves at most \
         {max_connections} at once (--max-connections){}",
        Size(memory_budget),
        if workers == 1 { "worker" } else { "workers" },
        shortage.unwrap_or_default(),
    ));
    if let Some((place, metrics)) = metrics {
        log.say(&metrics::announcement(place, &metrics));
        metrics::serve(metrics, remote.clone(), log.clone())?;
    }
    let access_log = AccessLog::new(log.clone(), args.logging.log_messages);
    server.run(|_worker| Serving::new(Echo, remote.clone(), access_log.clone()))?;
    Ok(())
}

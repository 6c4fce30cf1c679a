//! Signals. SIGINT (Ctrl-C) and SIGTERM: the first closes the connections and ends the server, the
//! second ends it at once. SIGHUP, SIGUSR1 and SIGUSR2 only write a line to the log, and SIGXFSZ is
//! a failed write of the log.

use crate::{serve::log::Log, units::Timeout};
use nix::sys::signal::SigSet;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::signal_name,
};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};
use ws_server::Remote;

/// Catches the signals that would otherwise end the program, and unblocks all signals that the
/// parent process blocked.
///
/// # Errors
///
/// The system refuses to catch a signal.
pub(crate) fn catch() -> io::Result<Signals> {
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2])?;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the first signal finds the flag down and raises it, and the second
        // finds it up. The signal handler itself does this, so the second signal ends the program
        // even if all threads hang.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stopping))?;
        flag::register(signal, Arc::clone(&stopping))?;
    }
    // A write beyond RLIMIT_FSIZE raises it. Since it is caught, the write fails, and the log
    // counts the lost lines.
    flag::register(SIGXFSZ, Arc::default())?;
    // The mask of blocked signals survives exec. Threads that start later inherit the mask set
    // here.
    SigSet::empty().thread_set_mask()?;
    Ok(signals)
}

/// Shuts the server down on SIGINT and SIGTERM, and logs signals without an effect.
///
/// # Errors
///
/// The system refuses the thread.
pub(crate) fn watch(
    mut signals: Signals,
    remote: Remote,
    close_timeout: Duration,
    log: Log,
) -> io::Result<()> {
    thread::Builder::new().name("ws-signals".to_owned()).spawn(move || {
        let follow = || {
            for signal in signals.forever() {
                if [SIGINT, SIGTERM].contains(&signal) {
                    let open = remote.metrics().connections_open;
                    remote.shutdown();
                    if open > 0 {
                        log.say(&farewell(open, Timeout(close_timeout)));
                    }
                } else {
                    log.say(&no_effect(signal));
                }
            }
        };
        // After a panic here, no signal could shut the server down, so it shuts down now.
        if catch_unwind(AssertUnwindSafe(follow)).is_err() {
            remote.shutdown();
        }
    })?;
    Ok(())
}

fn no_effect(signal: i32) -> String {
    let name = signal_name(signal).unwrap_or("this signal");
    let why = if signal == SIGHUP { "there is nothing to reload" } else { "it has no effect" };
    format!("ws-cli goes on after {name}: {why}")
}

fn farewell(open: u64, close_timeout: Timeout) -> String {
    let connections = if open == 1 { "connection" } else { "connections" };
    format!("ws-cli closing {open} {connections}, for up to {close_timeout} (a second Ctrl-C stops at once)")
}

#[cfg(test)]
mod tests {
    use super::{Timeout, farewell};
    use std::time::Duration;

    #[test]
    fn one_connection_or_several() {
        let close_timeout = Timeout(Duration::from_secs(5));
        assert_eq!(
            farewell(1, close_timeout),
            "ws-cli closing 1 connection, for up to 5s (a second Ctrl-C stops at once)"
        );
        assert_eq!(
            farewell(10_000, close_timeout),
            "ws-cli closing 10000 connections, for up to 5s (a second Ctrl-C stops at once)"
        );
    }
}

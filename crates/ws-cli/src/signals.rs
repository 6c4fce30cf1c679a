//! SIGINT (Ctrl-C) and SIGTERM: the first closes the connections and ends the server, the second ends it at once.

use crate::{echo::OpenConnections, log::Log, units::Timeout};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    iterator::Signals,
};
use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};
use ws_server::Remote;

/// Shuts the server down when a signal asks for it.
///
/// # Errors
///
/// The system's, if it does not let us have the signals or a thread.
pub(crate) fn watch(
    remote: Remote,
    open: OpenConnections,
    close_timeout: Duration,
    log: Log,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and raises it, the second finds it up. This is done by
        // the signal handler itself, so nothing that hangs can keep it from ending the program.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stopping))?;
        flag::register(signal, Arc::clone(&stopping))?;
    }
    thread::Builder::new().name("ws-signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            let open = open.count();
            remote.shutdown();
            if open > 0 {
                log.say(&farewell(open, Timeout(close_timeout)));
            }
        }
    })?;
    Ok(())
}

fn farewell(open: usize, close_timeout: Timeout) -> String {
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

//! Panics, as lines of the log.
//!
//! Rust's own hook writes to the standard error on the thread that panics. If nobody reads the
//! standard error, that write would block a worker for ever.

use crate::serve::log::Log;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{self, PanicHookInfo},
    thread,
};

/// Installs a hook that logs the panics of all threads.
pub(crate) fn log_to(log: Log) {
    panic::set_hook(Box::new(move |panic| report(&log, panic)));
}

/// Logs the message, the location and the thread of a panic, and its backtrace if `RUST_BACKTRACE`
/// asks for one.
fn report(log: &Log, panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let is_logged = log.event("error", |line| {
        line.text("message", "a panic");
        line.text("panic", panic.payload_as_str().unwrap_or("(not a text)"));
        if let Some(location) = panic.location() {
            line.text("location", &location.to_string());
        }
        line.text("thread", thread.name().unwrap_or("(unnamed)"));
    });
    if !is_logged {
        return;
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        for frame in backtrace.to_string().lines() {
            log.event("error", |line| {
                line.text("backtrace", frame.trim());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::log::{Format, Level};

    #[test]
    fn a_panic_is_a_line_and_waits_for_nobody() {
        const PANICKING: &str = "panicking";
        // Nobody writes what this log holds, as where the standard error is not read.
        let log = Log::new(Format::Off, Level::Error, 10_000);
        let (hook, previous) = (log.clone(), panic::take_hook());
        // The other tests of this process may panic, too.
        panic::set_hook(Box::new(move |info| match thread::current().name() {
            Some(PANICKING) => report(&hook, info),
            _ => previous(info),
        }));
        let thread = thread::Builder::new().name(PANICKING.to_owned());
        let panicking = thread.spawn(|| {
            assert!(panic::catch_unwind(|| panic!("a\n\u{1b}[31m{}", 1)).is_err());
            for _ in 0..20_000 {
                assert!(panic::catch_unwind(|| panic::panic_any(7)).is_err());
            }
        });
        panicking.unwrap().join().unwrap();
        let lines = log.take(None);
        let line = lines.lines().next().unwrap();
        let (start, end) = line.split_once(" location=").unwrap();
        assert!(start.ends_with(r#" error message="a panic" panic="a\u000a\u001b[31m1""#), "{line}");
        assert!(end.contains("panics.rs:") && end.ends_with(r#" thread="panicking""#), "{line}");
        assert!(lines.contains(r#"panic="(not a text)""#));
        assert!(lines.len() < 2 << 20);
    }
}

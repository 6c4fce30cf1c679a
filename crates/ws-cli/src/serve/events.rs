//! The library's events of `tracing`, as lines of the log.

use crate::serve::{
    log::{self, Line, Log},
    refusals,
};
use std::fmt::Debug;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::{SetGlobalDefaultError, set_global_default},
};

/// Installs the log as the subscriber of all events.
///
/// # Errors
///
/// Another subscriber is installed already.
pub(crate) fn log_to(log: Log) -> Result<(), SetGlobalDefaultError> {
    let level = match log.level() {
        log::Level::Error => LevelFilter::ERROR,
        log::Level::Warn => LevelFilter::WARN,
        log::Level::Info => LevelFilter::INFO,
        log::Level::Debug => LevelFilter::DEBUG,
    };
    set_global_default(Events { log, level })
}

/// The subscriber. It ignores spans, as the library has none.
struct Events {
    log: Log,
    level: LevelFilter,
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The handler logs refusals itself, with all their fields.
        *metadata.level() <= self.level && metadata.target() != refusals::TARGET
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let name = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            _ => "debug",
        };
        self.log.event(name, |line| event.record(&mut Fields(line)));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a mut Line);

impl Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.value(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.text(field.name(), &format!("{value:?}"));
    }
}

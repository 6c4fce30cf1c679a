//! What the library tells through `tracing`, as lines of the log.

use crate::{
    log::{Line, Log},
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

/// The least that is logged.
const LEVEL: LevelFilter = LevelFilter::INFO;

/// Logs every event from here on.
///
/// # Errors
///
/// Somebody else has them already.
pub(crate) fn log_to(log: Log) -> Result<(), SetGlobalDefaultError> {
    set_global_default(Events(log))
}

/// The library has no spans: only events are looked at.
struct Events(Log);

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The handler logs a refusal, with more care.
        *metadata.level() <= LEVEL && metadata.target() != refusals::TARGET
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LEVEL)
    }

    fn event(&self, event: &Event<'_>) {
        let name = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            _ => "info",
        };
        self.0.event(name, |line| event.record(&mut Fields(line)));
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

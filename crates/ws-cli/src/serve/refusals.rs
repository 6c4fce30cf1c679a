//! The log line of a request or a socket that was refused.

use crate::serve::log::Log;
use ws_server::Refusal;

/// The target of the library's event for a refusal, which has the same fields.
pub(crate) const TARGET: &str = "ws_server::refusal";

/// Logs a refusal.
pub(crate) fn log(log: &Log, refusal: &Refusal<'_>) {
    log.event("refused", |line| {
        line.word("address", refusal.addr).word("reason", refusal.reason);
        match refusal.status {
            Some(status) => line.value("status", status),
            // Closed without a response.
            None => line.optional_text("status", None),
        };
        line.text("detail", refusal.detail);
        line.optional_text("host", refusal.host).optional_text("origin", refusal.origin);
        line.optional_text("path", refusal.path).optional_text("user_agent", refusal.user_agent);
    });
}

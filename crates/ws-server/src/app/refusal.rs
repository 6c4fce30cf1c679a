//! Refusals: who was not let in, and why.

use crate::PeerAddr;
use std::fmt;

/// A request or a socket that was refused, as [`Handler::on_refused`](crate::Handler::on_refused) is told.
///
/// What comes from the peer is cut after 200 characters, and is otherwise as it was sent: escape it before it is shown.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// The peer's address.
    pub addr: PeerAddr,
    /// The reason, as it is counted.
    pub reason: RefusalReason,
    /// The HTTP status of the response; `None` if the socket was closed without one, as the peer had sent nothing.
    pub status: Option<u16>,
    /// What was wrong, in a few words of printable ASCII. Where two values were compared, it names both.
    pub detail: &'a str,
    /// The `Host`; `None` here and below if there was none, or too little of the request had come.
    pub host: Option<&'a str>,
    /// The `Origin`.
    pub origin: Option<&'a str>,
    /// The path without the query, which may hold a secret.
    pub path: Option<&'a str>,
    /// The `User-Agent`.
    pub user_agent: Option<&'a str>,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a request or a socket was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum RefusalReason {
            $($(#[$doc])* $variant,)*
        }

        impl RefusalReason {
            /// Every reason, in the order of the metrics.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that metrics and logs have for the reason, such as `max_connections`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// The request breaks a rule of HTTP or of RFC 6455 §4.2.1.
    Malformed = "malformed",
    /// The peer speaks TLS, and this port does not.
    Tls = "tls",
    /// The request's head is too long, or has too many fields.
    TooLong = "too_long",
    /// The request is not whole by its deadline, or has not begun.
    Timeout = "timeout",
    /// The request has a method that is not served.
    Method = "method",
    /// The request asks for a page where there is none.
    NoUpgrade = "no_upgrade",
    /// The request asks for another version of HTTP or of the protocol.
    Version = "version",
    /// The [`hosts`](crate::Access::hosts) do not have the host that is asked for.
    Host = "host",
    /// The [`origins`](crate::Access::origins) do not have the origin of the request.
    Origin = "origin",
    /// The handler refused it.
    Application = "application",
    /// A panic while the request was answered, or an answer of the handler that is not valid.
    HandlerFailed = "handler_failed",
    /// The server shuts down.
    ShuttingDown = "shutting_down",
    /// There are [`max_connections`](crate::Limits::max_connections).
    MaxConnections = "max_connections",
    /// There are [`max_connections_per_address`](crate::Limits::max_connections_per_address).
    MaxConnectionsPerAddress = "max_connections_per_address",
    /// There are [`max_handshakes_per_address`](crate::Limits::max_handshakes_per_address).
    MaxHandshakesPerAddress = "max_handshakes_per_address",
    /// The address floods the server with connections, beyond
    /// [`max_accepts_per_second`](crate::Limits::max_accepts_per_second). They are reset.
    AcceptRate = "accept_rate",
    /// The system gives no memory for the request.
    OutOfMemory = "out_of_memory",
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Refusal<'_> {
    /// Reports the refusal as an event of `tracing`, with the target `ws_server::refusal`.
    pub(crate) fn trace(&self) {
        let Self { addr, reason, status, detail, host, origin, path, user_agent } = *self;
        tracing::info!(
            target: "ws_server::refusal",
            address = %addr, reason = reason.name(), status, detail, host, origin, path, user_agent,
            "refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_name() {
        for (index, reason) in RefusalReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "{reason}");
        }
        let mut names: Vec<_> = RefusalReason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RefusalReason::ALL.len());
    }
}

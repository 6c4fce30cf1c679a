//! One connection. Nothing here waits, and nothing here names the system's sockets.

pub(crate) mod admission;
pub(crate) mod command;
#[cfg(feature = "deflate")]
pub(crate) mod compression;
#[cfg(not(feature = "deflate"))]
#[path = "connection/no_compression.rs"]
pub(crate) mod compression;
#[expect(clippy::module_inception, reason = "the wing has the name of its main type")]
pub(crate) mod connection;
pub(crate) mod context;
pub(crate) mod delivery;
pub(crate) mod handshake;
pub(crate) mod linger;
pub(crate) mod link;
pub(crate) mod open;
pub(crate) mod refused;

#[cfg(test)]
mod tests {
    use super::connection::Connection;
    use crate::{Handler, Message, Peer};
    use mio::net::TcpStream;

    struct WithoutSessions;

    impl Handler for WithoutSessions {
        type Session = ();

        fn on_message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) {}
    }

    /// A million idle connections are a million of these: a field more is measured before it is added.
    #[test]
    #[cfg(all(target_pointer_width = "64", target_os = "linux"))]
    fn an_idle_connection_takes_272_bytes_at_most() {
        assert!(size_of::<Connection<WithoutSessions, TcpStream>>() <= 272);
    }
}

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

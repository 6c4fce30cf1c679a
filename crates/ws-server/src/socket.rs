//! The bytes of a connection, on their way from and to a socket.

pub(crate) mod shared;
pub(crate) mod stream;
pub(crate) mod transport;
pub(crate) mod write_queue;

//! The identity of a connection and of its peer.

use std::fmt;

/// Names a connection among all that a server ever has: an id is not used twice, so one that is kept too long names
/// nobody, and never a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub(crate) worker: u16,
    pub(crate) slot: u32,
    /// Counts the connections of the worker.
    pub(crate) generation: u64,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker, self.generation)
    }
}

//! The identity of a connection and of its peer.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// The name of a connection among all that a server ever has.
///
/// An id is not used twice, so one that outlives its connection names nobody, and never a stranger. Ids
/// of one worker are ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(crate) worker: u16,
    /// The number of connections that the worker had before.
    pub(crate) generation: u64,
    pub(crate) slot: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker, self.generation)
    }
}

/// The peer of a connection: its id and its address.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The connection's id, for a [`Remote`](crate::Remote).
    pub id: ConnectionId,
    /// The peer's address.
    pub addr: PeerAddr,
}

/// The address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PeerAddr {
    /// An IP address and a port.
    Ip(SocketAddr),
}

impl PeerAddr {
    /// The IP address, if the peer has one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(addr) => Some(addr.ip()),
        }
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
        }
    }
}

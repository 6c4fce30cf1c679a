//! How a connection ended.

use crate::PeerInfo;
use std::io;
use ws_protocol::{CloseCode, ProtocolError};

/// The end of a connection, for [`Handler::on_close`](crate::Handler::on_close).
#[derive(Debug)]
#[non_exhaustive]
pub struct Disconnect<'a> {
    /// The peer. The id names nobody any more.
    pub peer: &'a PeerInfo,
    /// The code of the peer's close frame (RFC 6455 §7.1.5): 1005 if it had none, 1006 if there was no close frame. If
    /// this side failed the connection, the code that the peer was told.
    pub code: CloseCode,
    /// The reason in the peer's close frame; empty if there was none.
    pub reason: &'a str,
    /// What went wrong; `None` after a closing handshake, whoever began it.
    pub error: Option<&'a DisconnectError>,
    /// How many bytes were queued for the peer and never taken by its socket: messages, their headers, and the close
    /// frame. 0 unless the connection was cut.
    pub unsent_len: usize,
}

/// What ended a connection before, or instead of, its closing handshake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectError {
    /// The peer broke the protocol, or sent more than it may.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The peer ended the stream without a close frame.
    #[error("the peer ended the stream without a close frame")]
    EndOfStream,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
    /// The peer was silent for [`idle_timeout`](crate::Deadlines::idle_timeout), and then did not answer a ping.
    #[error("the peer did not answer a ping in time")]
    PongTimeout,
    /// The peer took nothing of what was queued for it for [`write_timeout`](crate::Deadlines::write_timeout).
    #[error("the peer did not read what it was sent in time")]
    WriteTimeout,
    /// The peer sent more than [`max_messages_per_second`](crate::Limits::max_messages_per_second).
    #[error("the peer sends more than {max_messages_per_second} messages a second")]
    TooManyMessages {
        /// The limit.
        max_messages_per_second: u32,
    },
    /// All connections of the worker together held more than their share of
    /// [`memory_budget`](crate::Limits::memory_budget), and this one was among those that held the most.
    #[error("the server is out of memory for this connection")]
    OverBudget,
    /// The system gave no memory for this connection.
    #[error("the system has no memory left for this connection")]
    OutOfMemory,
    /// The peer did not answer our close frame.
    #[error("the peer did not answer the close frame in time")]
    CloseTimeout,
    /// A panic while this connection was served: in the handler, or in this library, which would be a bug to report.
    #[error("a panic while this connection was served")]
    Panicked,
    /// The worker ended, with this connection still open.
    #[error("the worker ended")]
    WorkerEnded,
}

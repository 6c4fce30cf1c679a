//! # ws-server
//!
//! A WebSocket server: sockets, workers, deadlines, backpressure and the [`Handler`] that is the application. It is
//! as many workers as there are cores, each a [mio] event loop over the sans-IO crates `ws-handshake` and `ws-protocol`;
//! the first of them accepts for all.
//!
//! It is **not** an HTTP server, though it can answer a plain GET or HEAD ([`Handler::on_http`]), and it is not an async
//! runtime: a handler runs in its worker's loop and must not block. Other threads, and async code, reach connections
//! through a [`Remote`].
//!
//! ```no_run
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! # How it goes
//!
//! ```text
//!   Acceptor ── socket ──> Worker (poll, one read buffer, one write buffer)
//!                             │
//!                             v
//!                         Connections ── on_request, on_http ──> Handler
//!                          │       ^──── on_open, on_message ──>    │
//!                          │       └──── Peer::send, close <────────┘
//!                          └ Connection: handshake, then frames, then the end
//! ```
//!
//! The usual wake-up is three system calls, however many messages it brings: wait, read, write. A connection that is
//! idle owns no buffer. What a socket does not take becomes its connection's own queue; over
//! [`high_water_len`](Flow::high_water_len) nothing more is read from that peer until it has caught up.
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod app;
mod config;
mod connection;
mod memory;
mod metrics;
mod server;
mod socket;
#[expect(clippy::panic, reason = "a test that goes wrong panics")]
pub mod testing;
mod worker;

pub use app::{
    disconnect::{Disconnect, DisconnectError},
    handler::{Accepted, Handler},
    id::{ConnectionId, PeerAddr, PeerInfo},
    message::OwnedMessage,
    peer::{Peer, SendStatus},
    refusal::{Refusal, RefusalReason},
    remote::{Remote, RemoteError},
};
#[cfg(feature = "deflate")]
pub use config::Compression;
pub use config::{Access, Config, ConfigError, Deadlines, Flow, Limits, SlowConsumer};
pub use metrics::Metrics;
pub use server::{BindError, Server};
// The loop without the waiting, for our own tests and fuzzing. Nothing else may rely on it.
pub use ws_handshake::{HostPolicy, OriginPolicy, Request, Response, Upgrade};
pub use ws_protocol::{AsMessage, CloseCode, Message, Prepared};
#[cfg(feature = "deflate")]
pub use ws_protocol::{CompressionLevel, WindowBits};
#[doc(hidden)]
pub use {
    connection::command::Command,
    socket::transport::{Received, Socket, Transport},
    worker::connections::{Connections, Readiness},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

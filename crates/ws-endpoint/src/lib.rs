//! # ws-endpoint
//!
//! One WebSocket connection from its first byte to its last, in either role: the opening handshake (RFC 6455 §4), then
//! messages (§5 to §7), compressed if both sides agree (RFC 7692).
//!
//! It is **not** a server, a client or a runtime: it opens no socket, starts no timer, asks no clock and draws no random
//! number. Bytes go in as a slice and come out in a buffer, both the caller's. It is the one place that knows both
//! `ws-handshake` and `ws-protocol`: a caller with phases of its own takes [`ServerHandshake`] and then a
//! [`Protocol`].
//!
//! ```text
//!   socket ──read──> Input ──> ServerEndpoint::receive ──> Request ──> accept or respond
//!                                       │              └─> Message, Ping, Pong, Close (lent)
//!                          101, pong, close (by itself)        │ Sender::send
//!                                       v                      v
//!   socket <──write────────────────── Output <─────────────────┘
//! ```
//!
//! # Drive it yourself
#![doc = include_str!("../drive-it-yourself.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate alloc;

mod client;
mod config;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod head;
mod server;

pub use client::{ClientEndpoint, ClientEvent};
pub use config::EndpointConfig;
#[cfg(feature = "deflate")]
pub use deflate::{DeflateAgreement, DeflateError, DeflateOffer};
pub use error::EndpointError;
pub use head::HeadError;
pub use server::{PendingRequest, ServerEndpoint, ServerEvent, ServerHandshake};
pub use ws_handshake::{Accept, ClientRequest, Established, Request, Response, Upgrade};
pub use ws_protocol::{
    AsMessage, ClientRole, CloseCode, CloseFrame, Input, Message, MessageLimits, Output, Prepared, Protocol,
    SendError, Sender, ServerRole,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! # ws-protocol
//!
//! One WebSocket connection after its opening handshake (RFC 6455 §5.4 to §7), in either role: frames in, messages
//! out, and back. It joins fragments, checks text as it arrives, answers pings, conducts the closing handshake and
//! holds the peer to its limits.
//!
//! It is **not** a socket, a runtime or an HTTP server: it reads nothing, writes nothing, starts no thread, asks no
//! clock and makes no random number. Bytes go in as a slice and come out in a buffer, both the caller's. `ws-endpoint`
//! puts the opening handshake before it, and `ws-server` drives both with mio.
//!
//! ```text
//!   socket ──read──> Input ──> Protocol::receive ──> Event (lent)
//!                                    │                  │
//!                             pong, close (by itself)   │ Sender::send ...
//!                                    v                  v
//!   socket <──write──────────────── Output <─────────────┘
//! ```
//!
//! # The loop
//!
//! Call [`Protocol::receive`] until it gives `None`, then write `out`. Payloads are unmasked in place and lent: they
//! are copied only when a message did not arrive in one piece. The sending half is lent beside the event, so a message
//! can be answered while it is still borrowed.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use ws_protocol::{Event, Input, MessageLimits, Output, Protocol};
//!
//! /// Serves one connection after its handshake: sends back what it gets.
//! fn echo(socket: &mut (impl Read + Write)) -> io::Result<()> {
//!     let mut protocol = Protocol::server(MessageLimits::default());
//!     let (mut buffer, mut out) = ([0; 4096], Output::new());
//!     loop {
//!         let len = socket.read(&mut buffer)?;
//!         if len == 0 {
//!             return Ok(()); // the end; `protocol.receive_eof()` says how
//!         }
//!         let mut input = Input::new(&mut buffer[..len]);
//!         let result = loop {
//!             match protocol.receive(&mut input, &mut out) {
//!                 Ok(Some((Event::Message(message), sender))) => {
//!                     // Fails only once a close frame has been sent.
//!                     let _ = sender.send(message, &mut out);
//!                 }
//!                 Ok(Some(_)) => {} // ping, pong, close: for information
//!                 Ok(None) => break Ok(()),
//!                 Err(error) => break Err(error),
//!             }
//!         };
//!         socket.write_all(out.as_bytes())?; // on an error too: it holds the close frame
//!         out.clear();
//!         if result.is_err() || protocol.is_finished() {
//!             return Ok(());
//!         }
//!     }
//! }
//! # // A masked "Hello", then a masked close with 1000; the echo, then the answer to the close.
//! # struct Fake(&'static [u8], Vec<u8>);
//! # impl Read for Fake { fn read(&mut self, b: &mut [u8]) -> io::Result<usize> { self.0.read(b) } }
//! # impl Write for Fake {
//! #     fn write(&mut self, b: &[u8]) -> io::Result<usize> { self.1.write(b) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # let mut socket = Fake(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x82\0\0\0\0\x03\xe8", Vec::new());
//! # echo(&mut socket).unwrap();
//! # assert_eq!(socket.1, b"\x81\x05Hello\x88\x02\x03\xe8");
//! ```
//!
//! # Who is to blame
//!
//! What the peer did wrong is a [`ProtocolError`], what the caller did wrong is a [`SendError`]. A close, whatever its
//! code, is an event and never an error.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate alloc;

mod assembly;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod deflate;
#[cfg(feature = "deflate")]
mod deflate_config;
mod error;
mod event;
mod input;
mod limits;
mod output;
mod prepared;
mod protocol;
mod receiver;
mod role;
mod sender;

#[cfg(feature = "deflate")]
pub use deflate_config::{CompressionLevel, DeflateConfig, WindowBits};
pub use error::{ProtocolError, SendError};
pub use event::{AsMessage, Event, Message};
pub use input::Input;
pub use limits::MessageLimits;
pub use output::Output;
pub use prepared::Prepared;
pub use protocol::Protocol;
pub use role::{ClientRole, Role, ServerRole};
pub use sender::Sender;
pub use ws_frame::{CloseCode, CloseFrame};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

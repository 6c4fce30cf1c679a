//! The WebSocket opening handshake (RFC 6455 §4), for both sides.
//!
//! This is not a server and not a client: it opens no socket, starts no timer, draws no random number and
//! knows no frame. It turns bytes into a request that is right or into the reason why it is not, and writes
//! the bytes of the answer. What comes after the head, and what to do about time, is the caller's.
//!
//! ```text
//!   server    bytes -> HeadScanner -> Request -+-> Upgrade -> Accept::encode    -> 101, then frames
//!                                              +-> (a page)   Response::encode  -> 200, then the end
//!                      HandshakeError ----------> response()  Response::encode  -> 4xx, then the end
//!
//!   client    ClientRequest::encode -> bytes
//!             bytes -> HeadScanner -> ResponseHead -> check -> Established, then frames
//! ```
//!
//! # A server
//!
//! ```
//! use ws_handshake::{Accept, EMPTY_HEADER, HeadScanner, OriginPolicy, Request, Response};
//!
//! /// Answers a complete head, or returns the response that refuses it.
//! fn answer(head: &[u8], out: &mut Vec<u8>) -> Result<(), Response> {
//!     let mut headers = [EMPTY_HEADER; 64];
//!     let request = Request::parse(head, &mut headers)?;
//!     // A server that has pages serves them here, if `!request.is_upgrade()`.
//!     let upgrade = request.upgrade()?;
//!     if !OriginPolicy::SameOrigin.allows(&request) {
//!         return Err(Response::text(403, "this origin is not allowed\n"));
//!     }
//!     let accept = Accept::new().with_subprotocol(upgrade.select_subprotocol(&["chat"]));
//!     accept.encode(&upgrade, out).expect("what was selected is what was offered");
//!     Ok(())
//! }
//!
//! let wire = b"GET /chat HTTP/1.1\r\n\
//!     Host: server.example.com\r\n\
//!     Upgrade: websocket\r\n\
//!     Connection: Upgrade\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!     Origin: http://server.example.com\r\n\
//!     Sec-WebSocket-Protocol: chat, superchat\r\n\
//!     Sec-WebSocket-Version: 13\r\n\r\n\
//!     \x81\x80\0\0\0\0";
//!
//! let (mut scanner, mut received, mut out) = (HeadScanner::new(), Vec::new(), Vec::new());
//! for segment in wire.chunks(100) {
//!     received.extend_from_slice(segment);
//!     match scanner.scan(&received, 8192) {
//!         Ok(None) => continue,
//!         Ok(Some(head_len)) => {
//!             if let Err(refusal) = answer(&received[..head_len], &mut out) {
//!                 refusal.encode(&mut out);
//!             }
//!             assert_eq!(&received[head_len..], b"\x81\x80\0\0\0\0"); // the first frame
//!         }
//!         Err(error) => error.response().encode(&mut out),
//!     }
//!     break;
//! }
//! assert_eq!(
//!     out,
//!     b"HTTP/1.1 101 Switching Protocols\r\n\
//!     Upgrade: websocket\r\n\
//!     Connection: Upgrade\r\n\
//!     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
//!     Sec-WebSocket-Protocol: chat\r\n\r\n"
//! );
//! ```
//!
//! # A client
//!
//! ```
//! use ws_handshake::{ClientRequest, EMPTY_HEADER, HeadScanner, ResponseHead};
//!
//! let nonce = *b"the sample nonce"; // has to be 16 random bytes
//! let request = ClientRequest::new("server.example.com", "/chat", nonce)?.with_subprotocols(&["chat"])?;
//! let mut out = Vec::new();
//! request.encode(&mut out);
//! // Here `out` is sent, and the answer is read.
//! let received = b"HTTP/1.1 101 Switching Protocols\r\n\
//!     Upgrade: websocket\r\n\
//!     Connection: Upgrade\r\n\
//!     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
//!     Sec-WebSocket-Protocol: chat\r\n\r\n";
//!
//! let head_len = HeadScanner::new().scan(received, 8192)?.expect("all of it is there");
//! let mut headers = [EMPTY_HEADER; 64];
//! let established = ResponseHead::parse(&received[..head_len], &mut headers)?.check(&request)?;
//! assert_eq!(established.subprotocol(), Some("chat"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Extensions
//!
//! [`Upgrade::extensions`] and [`Established::extensions`] are the grammar, which knows no extension. The
//! negotiation of permessage-deflate (RFC 7692 §7) is in the crate `ws-endpoint`.
//!
//! # What is refused
//!
//! More than the RFCs demand, where leniency would let two parsers on the way see two different messages:
//! line ends other than CR LF, control characters, white space before a colon, folded lines, a body. Each
//! refusal is a [`HandshakeError`], which has a status and can be written as a response; none of them repeats
//! what the peer sent.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accept;
mod authority;
mod client;
mod date;
mod encode_error;
mod error;
mod extension;
mod fields;
mod head;
mod key;
mod origin;
mod policy;
mod request;
mod response;
mod target;
mod upgrade;

pub use httparse::{EMPTY_HEADER, Header};

pub use accept::Accept;
pub use client::{ClientRequest, Established, ResponseHead};
pub use encode_error::EncodeError;
pub use error::{ClientError, HandshakeError};
pub use extension::Extension;
pub use fields::with_fields;
pub use head::HeadScanner;
pub use key::accept_key;
pub use policy::{
    host::{HostPattern, HostPolicy},
    origin::{OriginPattern, OriginPolicy},
    pattern::PatternError,
};
pub use request::Request;
pub use response::Response;
pub use upgrade::Upgrade;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

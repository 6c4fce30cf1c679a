//! # ws-frame
//!
//! The octets of WebSocket frames (RFC 6455 §5.2, §5.3, §5.5.1, §7.4, §8.1): frame headers, masking, close codes and
//! incremental UTF-8. Stateless where it can be, `no_std`, and it never allocates.
//!
//! It is **not** a WebSocket connection: it does not know which side is which, does not join fragments and answers
//! nothing. That is `ws-protocol`, which is built on this crate.
//!
//! ```text
//!   bytes -> FrameHeader::decode -> header, header_len
//!                                      |
//!   bytes[header_len..][..payload_len] -> Masker::apply (in place) -> payload
//!                                      |
//!                 Text -> Utf8Validator     Close -> CloseFrame::decode     anything else: as it is
//! ```
//!
//! A frame taken out of a buffer and a frame written into one:
//!
//! ```
//! use ws_frame::{FrameHeader, Masker, Opcode};
//!
//! // RFC 6455 §5.7: a single-frame masked text message that contains "Hello".
//! let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//!
//! let Some((header, header_len)) = FrameHeader::decode(&bytes)? else {
//!     panic!("the header is cut: read more bytes");
//! };
//! assert_eq!((header.opcode(), header.is_final(), header.payload_len()), (Opcode::Text, true, 5));
//!
//! let payload = &mut bytes[header_len..];
//! if let Some(key) = header.masking_key() {
//!     Masker::new(key).apply(payload);
//! }
//! assert_eq!(payload, b"Hello");
//!
//! let answer = FrameHeader::new(Opcode::Text, 5)?.encode();
//! assert_eq!(answer.as_ref(), [0x81, 0x05]);
//! # Ok::<(), ws_frame::FrameError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod close;
mod header;
mod mask;
mod opcode;
mod utf8;

pub use close::{CloseCode, CloseFrame, CloseFrameError, EncodedClose};
pub use header::{EncodedHeader, FrameError, FrameHeader, MAX_CONTROL_PAYLOAD_LEN, MAX_HEADER_LEN};
pub use mask::Masker;
pub use opcode::Opcode;
pub use utf8::{InvalidUtf8, Utf8Validator, Validated, from_utf8};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

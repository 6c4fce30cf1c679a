//! The payload of a close frame (RFC 6455 §5.5.1) and its codes (§7.4).

use crate::MAX_CONTROL_PAYLOAD_LEN;
use core::fmt;

/// Why a connection ends (RFC 6455 §7.4): the number in a close frame, or one of those that stand for its absence.
///
/// Any number can be a `CloseCode`; whether it may be on the wire is [`is_allowed_on_wire`](Self::is_allowed_on_wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a protocol error.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that the endpoint cannot take, such as binary where only text is understood.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the close frame had no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the content of a message does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message, or the peer's conduct, violates the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: a client needs an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the endpoint met a condition that kept it from going on.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got no valid answer from upstream (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// The code with this number.
    #[inline]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The number.
    #[inline]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Whether the code may stand in a close frame: 1000 to 1003, 1007 to 1014 and 3000 to 4999.
    ///
    /// RFC 6455 §7.4.1 keeps 1005, 1006 and 1015 off the wire and reserves 1004; §7.4.2 leaves 3000 to 4999 to
    /// libraries and applications. 1012 to 1014 were registered since.
    #[inline]
    pub const fn is_allowed_on_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame says: a code, and a reason that is for logs and not for people (RFC 6455 §5.5.1, §7.1.5, §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why; [`CloseCode::NO_STATUS`] stands for an empty payload.
    pub code: CloseCode,
    /// At most 123 bytes.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// 1000 without a reason: the connection has fulfilled its purpose.
    pub const NORMAL: Self = Self { code: CloseCode::NORMAL, reason: "" };

    /// Reads the payload of a close frame.
    ///
    /// # Errors
    ///
    /// The rule of §5.5.1 or §7.4 that it breaks.
    pub fn decode(payload: &'a [u8]) -> Result<Self, CloseFrameError> {
        // RFC 6455 §7.1.5: "If this Close control frame contains no status code, _The WebSocket Connection Close Code_
        // is considered to be 1005."
        if payload.is_empty() {
            return Ok(Self { code: CloseCode::NO_STATUS, reason: "" });
        }
        // RFC 6455 §5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
        let Some((code, reason)) = payload.split_first_chunk() else {
            return Err(CloseFrameError::CodeCut);
        };
        let code = CloseCode::new(u16::from_be_bytes(*code));
        if !code.is_allowed_on_wire() {
            return Err(CloseFrameError::CodeNotAllowed(code));
        }
        // RFC 6455 §5.5.1: "the body MAY contain UTF-8-encoded data".
        let reason = core::str::from_utf8(reason).map_err(|_| CloseFrameError::ReasonNotUtf8)?;
        Ok(Self { code, reason })
    }

    /// The payload of a close frame that says this; empty for [`CloseCode::NO_STATUS`] without a reason.
    ///
    /// # Errors
    ///
    /// [`CloseFrameError::CodeNotAllowed`] for a code that may not be on the wire, [`CloseFrameError::ReasonTooLong`]
    /// for a reason of over 123 bytes.
    pub fn encode(&self) -> Result<EncodedClose, CloseFrameError> {
        let mut bytes = [0; MAX_CONTROL_PAYLOAD_LEN];
        if self.code == CloseCode::NO_STATUS && self.reason.is_empty() {
            return Ok(EncodedClose { bytes, len: 0 });
        }
        if !self.code.is_allowed_on_wire() {
            return Err(CloseFrameError::CodeNotAllowed(self.code));
        }
        let len = 2 + self.reason.len();
        let Some(body) = bytes.get_mut(2..len) else { return Err(CloseFrameError::ReasonTooLong) };
        body.copy_from_slice(self.reason.as_bytes());
        bytes[..2].copy_from_slice(&self.code.value().to_be_bytes());
        Ok(EncodedClose { bytes, len })
    }
}

/// The payload of a close frame as bytes.
#[derive(Clone, Copy, Debug)]
pub struct EncodedClose {
    bytes: [u8; MAX_CONTROL_PAYLOAD_LEN],
    len: usize,
}

impl AsRef<[u8]> for EncodedClose {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What is wrong with a close frame's payload, received or about to be sent (RFC 6455 §5.5.1, §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseFrameError {
    /// A payload of one byte: a code takes two.
    #[error("the close code is cut off")]
    CodeCut,
    /// A code that must not be on the wire.
    #[error("close code {0} is not allowed on the wire")]
    CodeNotAllowed(CloseCode),
    /// A reason that is not UTF-8.
    #[error("the close reason is not UTF-8")]
    ReasonNotUtf8,
    /// A reason of over 123 bytes: with its code it has to fit a control frame.
    #[error("the close reason has over 123 bytes")]
    ReasonTooLong,
}

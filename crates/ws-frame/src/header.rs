//! The header of a frame (RFC 6455 §5.2): between 2 and 14 bytes before each payload.

use crate::Opcode;

/// The longest header there is: two bytes, a 64-bit length, a masking key.
pub const MAX_HEADER_LEN: usize = 14;

/// The most bytes that the payload of a close, ping or pong may have (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD_LEN: usize = 125;

/// The header of a frame (RFC 6455 §5.2). One that exists can be sent as it is: it breaks no rule that a single header
/// can break.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-------+-+-------------+-------------------------------+
/// |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
/// |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
/// |N|V|V|V|       |S|             |   (if payload len==126/127)   |
/// | |1|2|3|       |K|             |                               |
/// +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
/// |     Extended payload length continued, if payload len == 127  |
/// + - - - - - - - - - - - - - - - +-------------------------------+
/// |                               |Masking-key, if MASK set to 1  |
/// +-------------------------------+-------------------------------+
/// | Masking-key (continued)       |          Payload Data         |
/// +-------------------------------- - - - - - - - - - - - - - - - +
/// ```
///
/// Which side must mask (§5.1) and what RSV1 means are not decided here but by the connection: they depend on the role
/// and on the extensions that were agreed. RSV2 and RSV3 are meant by no registered extension and are always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    fin: bool,
    rsv1: bool,
    opcode: Opcode,
    masking_key: Option<[u8; 4]>,
    payload_len: u64,
}

impl FrameHeader {
    /// The header of a final, unmasked frame with RSV1 clear.
    ///
    /// # Errors
    ///
    /// [`FrameError::ControlTooLong`] for a control frame of over 125 bytes, [`FrameError::LengthOverflow`] for a
    /// payload of 2^63 bytes or more.
    #[inline]
    pub const fn new(opcode: Opcode, payload_len: u64) -> Result<Self, FrameError> {
        // RFC 6455 §5.5: "All control frames MUST have a payload length of 125 bytes or less".
        if opcode.is_control() && payload_len > MAX_CONTROL_PAYLOAD_LEN as u64 {
            return Err(FrameError::ControlTooLong);
        }
        // RFC 6455 §5.2: "the most significant bit MUST be 0".
        if payload_len > i64::MAX as u64 {
            return Err(FrameError::LengthOverflow);
        }
        Ok(Self { fin: true, rsv1: false, opcode, masking_key: None, payload_len })
    }

    /// The same header for a frame that is not the last of its message.
    ///
    /// # Errors
    ///
    /// [`FrameError::FragmentedControl`] for a control frame.
    #[inline]
    pub const fn not_final(self) -> Result<Self, FrameError> {
        // RFC 6455 §5.5: control frames "MUST NOT be fragmented".
        if self.opcode.is_control() {
            return Err(FrameError::FragmentedControl);
        }
        Ok(Self { fin: false, ..self })
    }

    /// The same header with this masking key; its payload has to go through a [`Masker`](crate::Masker) with that key.
    #[inline]
    #[must_use]
    pub const fn masked(self, key: [u8; 4]) -> Self {
        Self { masking_key: Some(key), ..self }
    }

    /// The same header with RSV1 set, which an extension has to give a meaning (permessage-deflate: compressed).
    #[inline]
    #[must_use]
    pub const fn with_rsv1(self) -> Self {
        Self { rsv1: true, ..self }
    }

    /// Takes the header at the start of `bytes`, and says how many bytes it takes: the payload begins there.
    /// `None` if more bytes are needed to tell.
    ///
    /// # Errors
    ///
    /// The first rule of §5.2 or §5.5 that `bytes` break, in the order of the bytes. Whatever is wrong in the first
    /// byte is found with that byte alone.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        // RFC 6455 §5.2: RSV1, RSV2, RSV3 "MUST be 0 unless an extension is negotiated that defines meanings".
        if first & 0x30 != 0 {
            return Err(FrameError::ReservedBit);
        }
        let (fin, rsv1) = (first & 0x80 != 0, first & 0x40 != 0);
        // RFC 6455 §5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."
        let Some(opcode) = Opcode::from_value(first & 0x0f) else {
            return Err(FrameError::ReservedOpcode(first & 0x0f));
        };
        if opcode.is_control() && !fin {
            return Err(FrameError::FragmentedControl);
        }

        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let (payload_len, rest) = match second & 0x7f {
            // RFC 6455 §5.5: the 16-bit and 64-bit forms mean over 125 bytes, whatever number follows.
            126 | 127 if opcode.is_control() => return Err(FrameError::ControlTooLong),
            126 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u64::from(u16::from_be_bytes(*len));
                // RFC 6455 §5.2: "the minimal number of bytes MUST be used to encode the length".
                if len < 126 {
                    return Err(FrameError::NonMinimalLength);
                }
                (len, rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u64::from_be_bytes(*len);
                if len > i64::MAX as u64 {
                    return Err(FrameError::LengthOverflow);
                }
                if len <= u64::from(u16::MAX) {
                    return Err(FrameError::NonMinimalLength);
                }
                (len, rest)
            }
            len => (u64::from(len), rest),
        };

        let (masking_key, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(*key), rest)
        };
        Ok(Some((Self { fin, rsv1, opcode, masking_key, payload_len }, bytes.len() - rest.len())))
    }

    /// The header as bytes, with the length in its shortest form.
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        let mut bytes = [0; MAX_HEADER_LEN];
        bytes[0] = self.first_byte();
        let masked = u8::from(self.masking_key.is_some()) << 7;
        let [.., l6, l7] = self.payload_len.to_be_bytes();
        let mut len = match self.payload_len {
            0..=125 => {
                bytes[1] = masked | l7;
                2
            }
            126..=0xffff => {
                bytes[1] = masked | 126;
                bytes[2..4].copy_from_slice(&[l6, l7]);
                4
            }
            _ => {
                bytes[1] = masked | 127;
                bytes[2..10].copy_from_slice(&self.payload_len.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.masking_key {
            bytes[len..len + 4].copy_from_slice(&key);
            len += 4;
        }
        EncodedHeader { bytes, len }
    }

    /// The same for the shortest header there is, of an unmasked payload of up to 125 bytes: its length is known, which
    /// makes it cheaper to copy.
    #[inline]
    pub fn encode_short(&self) -> Option<[u8; 2]> {
        match (self.payload_len, self.masking_key) {
            (0..=125, None) => Some([self.first_byte(), self.payload_len.to_be_bytes()[7]]),
            _ => None,
        }
    }

    #[inline]
    fn first_byte(&self) -> u8 {
        u8::from(self.fin) << 7 | u8::from(self.rsv1) << 6 | self.opcode.value()
    }

    /// FIN: whether this is the last frame of its message. Always so for control frames.
    #[inline]
    pub const fn is_final(&self) -> bool {
        self.fin
    }

    /// RSV1, which only means something where an extension says so.
    #[inline]
    pub const fn rsv1(&self) -> bool {
        self.rsv1
    }

    /// What the payload means.
    #[inline]
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The key that the payload is masked with (§5.3); `None` if it is not masked.
    #[inline]
    pub const fn masking_key(&self) -> Option<[u8; 4]> {
        self.masking_key
    }

    /// How many bytes of payload follow; under 2^63. It is what the sender claims: nothing to allocate by.
    #[inline]
    pub const fn payload_len(&self) -> u64 {
        self.payload_len
    }
}

/// A [`FrameHeader`] as bytes, ready to be written before its payload.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    bytes: [u8; MAX_HEADER_LEN],
    len: usize,
}

impl AsRef<[u8]> for EncodedHeader {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A rule of RFC 6455 §5.2 or §5.5 that a frame header breaks. The connection ends with 1002.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// RSV2 or RSV3 is set, which no registered extension gives a meaning.
    #[error("a reserved bit (RSV2 or RSV3) is set")]
    ReservedBit,
    /// The opcode, given here, is one of those kept for later.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpcode(u8),
    /// A close, ping or pong without FIN.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A close, ping or pong of over 125 bytes.
    #[error("a control frame has over 125 bytes of payload")]
    ControlTooLong,
    /// The payload length would fit a shorter form.
    #[error("the payload length is not in its shortest form")]
    NonMinimalLength,
    /// The payload length is 2^63 or more.
    #[error("the payload length has its top bit set")]
    LengthOverflow,
}

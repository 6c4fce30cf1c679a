//! The opcode of a frame: what its payload means (RFC 6455 §5.2, §11.8).

/// What the payload of a frame means (RFC 6455 §5.2).
///
/// The set is closed: opcodes 0x3 to 0x7 and 0xB to 0xF are reserved, and no extension has ever been given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// 0x0: the next fragment of the message that is under way.
    Continuation = 0x0,
    /// 0x1: a text message, or its first fragment.
    Text = 0x1,
    /// 0x2: a binary message, or its first fragment.
    Binary = 0x2,
    /// 0x8: the closing handshake.
    Close = 0x8,
    /// 0x9: a ping, which the other side answers.
    Ping = 0x9,
    /// 0xA: the answer to a ping, or an unsolicited heartbeat.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode with this value, the low four bits of a frame's first byte; `None` if it is reserved.
    #[inline]
    pub const fn from_value(value: u8) -> Option<Self> {
        match value {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// The value on the wire, in the low four bits of a frame's first byte.
    #[inline]
    pub const fn value(self) -> u8 {
        self as u8
    }

    /// Whether this is a control frame: close, ping or pong.
    #[inline]
    pub const fn is_control(self) -> bool {
        // RFC 6455 §5.5: "Control frames are identified by opcodes where the most significant bit of the opcode is 1."
        self as u8 & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_are_those_of_the_registry() {
        for value in 0..=u8::MAX {
            let opcode = Opcode::from_value(value);
            assert_eq!(opcode.is_some(), matches!(value, 0..=2 | 8..=10), "opcode {value:#x}");
            if let Some(opcode) = opcode {
                assert_eq!(opcode.value(), value);
                assert_eq!(opcode.is_control(), value >= 8, "opcode {value:#x}");
            }
        }
    }
}

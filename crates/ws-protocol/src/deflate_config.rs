//! The parameters of permessage-deflate (RFC 7692 §7.1), as one side of a connection sees them.

/// The longest message that is compressed at a level above 6, in bytes. Level 9 takes up to 1.2 µs a byte.
const MAX_HIGH_LEVEL_LEN: usize = 8 << 10;

/// The longest message that is compressed at a level above 1, in bytes. Level 6 takes up to 0.1 µs a byte.
const MAX_LEVEL_LEN: usize = 64 << 10;

/// The size of a compression window, as its base-2 logarithm: 8 is 256 bytes, 15 is 32,768 bytes (RFC 7692 §7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 8, the smallest that can be agreed on.
    pub const MIN: Self = Self(8);
    /// 15, the largest.
    pub const MAX: Self = Self(15);

    /// The smallest that a compressor works with.
    pub(crate) const MIN_COMPRESSOR: Self = Self(9);

    /// The size, if it is from 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        if Self::MIN.0 <= bits && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// From 8 to 15.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The window, in bytes.
    pub(crate) const fn window_len(self) -> usize {
        1 << self.0
    }
}

/// How hard a compressor tries: 1, the fastest, to 9; 6 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompressionLevel(u8);

impl CompressionLevel {
    /// 1, the fastest.
    pub const MIN: Self = Self(1);
    /// 9, the smallest messages.
    pub const MAX: Self = Self(9);

    /// The level, if it is from 1 to 9.
    pub const fn new(level: u8) -> Option<Self> {
        if Self::MIN.0 <= level && level <= Self::MAX.0 { Some(Self(level)) } else { None }
    }

    /// From 1 to 9.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The level for a message of this length: lower for a longer one, so that the time that it takes is bounded.
    pub(crate) fn for_len(self, len: usize) -> Self {
        let highest = if len <= MAX_HIGH_LEVEL_LEN {
            Self::MAX
        } else if len <= MAX_LEVEL_LEN {
            Self(6)
        } else {
            Self::MIN
        };
        self.min(highest)
    }
}

impl Default for CompressionLevel {
    fn default() -> Self {
        Self(6)
    }
}

/// What was agreed on permessage-deflate (RFC 7692 §7.1), as this side sees it, and how this side makes use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// What is sent may refer to messages before it: this connection has a compressor of its own. Not so by default:
    /// those that share an [`Output`](crate::Output) share its compressor.
    pub send_context_takeover: bool,
    /// The window that the peer has for what is sent; by default 15 bits.
    pub send_window_bits: WindowBits,
    /// What is received may refer to messages before it: their last bytes are kept, a window at most. Not so by
    /// default.
    pub receive_context_takeover: bool,
    /// The window that the peer needs for what it sends; by default 15 bits.
    pub receive_window_bits: WindowBits,
    /// Messages of fewer bytes are sent as they are; 128 by default. So are those of over 2 MiB: to compress them
    /// would take too long.
    pub min_len: usize,
    /// The compression level for messages of up to 8 KiB. Longer messages are compressed at level 6 at most, and those
    /// of over 64 KiB at level 1.
    pub level: CompressionLevel,
}

impl DeflateConfig {
    /// About how many bytes a compressor takes that a connection has to itself, with
    /// [`send_context_takeover`](Self::send_context_takeover): 250 KB, and four times its window. 0 without.
    pub const fn own_compressor_len(&self) -> usize {
        if self.send_context_takeover { compressor_len(self.send_window_bits) } else { 0 }
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            send_context_takeover: false,
            send_window_bits: WindowBits::MAX,
            receive_context_takeover: false,
            receive_window_bits: WindowBits::MAX,
            min_len: 128,
            level: CompressionLevel::default(),
        }
    }
}

pub(crate) const fn compressor_len(window_bits: WindowBits) -> usize {
    249_000 + 4 * window_bits.window_len()
}

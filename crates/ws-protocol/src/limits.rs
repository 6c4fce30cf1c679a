//! How much a peer may make this side keep.

/// What a peer may make a connection keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// The most bytes a message may have, its fragments together; 16 MiB by default. A frame whose length goes beyond
    /// it is refused with 1009 by its header alone, before its payload is received. Of a compressed message, this is the
    /// length after inflating; its frames may be a seventh and 64 bytes longer, as much as DEFLATE adds at worst.
    pub max_message_len: usize,
    /// The most frames a message may come in; 131,072 by default. One more is refused with 1008. So is one more DEFLATE
    /// block with BFINAL set inside a compressed message: each but the first counts as a frame.
    pub max_fragments: u32,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self { max_message_len: 16 << 20, max_fragments: 1 << 17 }
    }
}

//! How much a peer may make this side keep.

/// What a peer may make a connection keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes a message may have, its fragments together; 16 MiB by default. A frame whose length goes beyond
    /// it is refused with 1009 by its header alone, before its payload is received.
    pub max_message_size: usize,
    /// The most frames a message may come in; 131,072 by default. One more is refused with 1008.
    pub max_fragments: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message_size: 16 << 20, max_fragments: 1 << 17 }
    }
}

//! Masking (RFC 6455 §5.3): what a client does to every payload, and a server undoes.

/// From this many octets on, the widest vectors of this processor are worth asking for.
const LONG: usize = 512;

/// Masks or unmasks the payload of one frame in place, in as many pieces as it comes in (RFC 6455 §5.3).
///
/// Masking is its own inverse: octet `i` of the payload is XORed with octet `i % 4` of the key. The masker keeps its
/// phase, so the pieces may be cut anywhere.
///
/// ```
/// let mut payload = *b"Hello";
/// let (first, second) = payload.split_at_mut(2);
/// let mut masker = ws_frame::Masker::new([0x37, 0xfa, 0x21, 0x3d]);
/// masker.apply(first);
/// masker.apply(second);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masker {
    /// The key, turned so that its first octet is the one for the next octet of the payload.
    key: [u8; 4],
}

impl Masker {
    /// A masker at the start of a payload.
    #[inline]
    pub const fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// Masks or unmasks the next `payload` octets of the frame.
    #[inline]
    pub fn apply(&mut self, payload: &mut [u8]) {
        let key = u32::from_ne_bytes(self.key);
        let is_long = payload.len() >= LONG;
        let (words, rest) = payload.as_chunks_mut::<8>();
        if is_long {
            apply_long(words, key);
        } else {
            apply_words(words, key);
        }
        let (halves, rest) = rest.as_chunks_mut::<4>();
        for octets in halves {
            *octets = (u32::from_ne_bytes(*octets) ^ key).to_ne_bytes();
        }
        for (octet, key) in rest.iter_mut().zip(self.key) {
            *octet ^= key;
        }
        // A whole number of keys leaves the phase as it was.
        self.key.rotate_left(rest.len());
    }
}

/// The loop over words of a fixed size is what the compiler turns into vector instructions.
#[inline(always)]
fn apply_words(words: &mut [[u8; 8]], key: u32) {
    let key = u64::from(key) << 32 | u64::from(key);
    for octets in words {
        *octets = (u64::from_ne_bytes(*octets) ^ key).to_ne_bytes();
    }
}

/// The same loop, compiled for each width of vectors that a processor may have.
#[cfg(feature = "simd")]
#[inline(never)]
fn apply_long(words: &mut [[u8; 8]], key: u32) {
    fearless_simd::dispatch!(fearless_simd::Level::new(), _ => apply_words(words, key));
}

#[cfg(not(feature = "simd"))]
use apply_words as apply_long;

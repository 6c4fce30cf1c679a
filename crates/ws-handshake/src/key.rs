//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 §1.3, §4.2.2).

use base64::{
    Engine as _, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};
use sha1::{Digest as _, Sha1};

/// The GUID that RFC 6455 §1.3 appends to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 as RFC 4648 §4 has it, with its padding. It also lets a decoder refuse bits behind the last byte
/// that are not zero; we do not, as the key that RFC 6455 §4.1 shows as an example,
/// `AQIDBAUGBwgJCgsMDQ4PEC==`, has such bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The value of `Sec-WebSocket-Accept` that answers `key`, which is the value of `Sec-WebSocket-Key` as it
/// was sent.
///
/// ```
/// assert_eq!(&ws_handshake::accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    // RFC 6455 §4.2.2: "concatenating /key/ [...] with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
    // taking the SHA-1 hash of this concatenated value to obtain a 20-byte value and base64-encoding [...]
    // this 20-byte hash."
    let hash: [u8; 20] = Sha1::new().chain_update(key).chain_update(GUID).finalize().into();
    base64(hash)
}

/// The value of `Sec-WebSocket-Key` for a nonce.
pub(crate) fn encode_key(nonce: [u8; 16]) -> [u8; 24] {
    base64(nonce)
}

/// Whether this is a value that `Sec-WebSocket-Key` may have.
pub(crate) fn is_key(key: &[u8]) -> bool {
    // RFC 6455 §4.2.1: "a base64-encoded [...] value that, when decoded, is 16 bytes in length."
    // 18 bytes are what the decoder asks for before it has looked at the padding.
    BASE64.decode_slice(key, &mut [0; 18]) == Ok(16)
}

/// `bytes` in base64; `OUT` has to be the length that this takes.
fn base64<const IN: usize, const OUT: usize>(bytes: [u8; IN]) -> [u8; OUT] {
    const { assert!(OUT == IN.div_ceil(3) * 4, "base64 takes four characters for each three bytes") };
    let mut text = [0; OUT];
    #[expect(clippy::expect_used, reason = "the length is checked when this is compiled")]
    BASE64.encode_slice(bytes, &mut text).expect("the text has the length that base64 takes");
    text
}

#[cfg(test)]
mod tests {
    use super::{accept_key, encode_key, is_key};

    #[test]
    fn accept_key_of_the_rfc() {
        // RFC 6455 §1.3
        assert_eq!(&accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_of_the_rfc() {
        // RFC 6455 §1.3
        assert_eq!(&encode_key(*b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
        // RFC 6455 §4.1, which has `EC` where an encoder has `EA`.
        let nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(&encode_key(nonce), b"AQIDBAUGBwgJCgsMDQ4PEA==");
    }

    #[test]
    fn only_16_bytes_in_base64_are_a_key() {
        for (rule, key, expect) in [
            ("16 bytes", &b"dGhlIHNhbXBsZSBub25jZQ=="[..], true),
            ("16 zero bytes", b"AAAAAAAAAAAAAAAAAAAAAA==", true),
            ("nothing", b"", false),
            ("15 bytes", b"AAAAAAAAAAAAAAAAAAAA", false),
            ("17 bytes", b"AAAAAAAAAAAAAAAAAAAAAAA=", false),
            ("18 bytes, as many characters as a key", b"AAAAAAAAAAAAAAAAAAAAAAAA", false),
            ("19 bytes", b"AAAAAAAAAAAAAAAAAAAAAAAAAA==", false),
            ("no padding", b"AAAAAAAAAAAAAAAAAAAAAA", false),
            ("half of the padding", b"AAAAAAAAAAAAAAAAAAAAAA=", false),
            ("too much padding", b"AAAAAAAAAAAAAAAAAAAAAA===", false),
            ("bits behind the last byte, as in RFC 6455 §4.1", b"AQIDBAUGBwgJCgsMDQ4PEC==", true),
            ("the alphabet of URLs", b"-_AAAAAAAAAAAAAAAAAAAA==", false),
            ("a space inside", b"AAAAAAAAAAA AAAAAAAAAA==", false),
            ("not base64", b"!!!!!!!!!!!!!!!!!!!!!!==", false),
            ("not ASCII", b"\xff\xffAAAAAAAAAAAAAAAAAAAA==", false),
        ] {
            assert_eq!(is_key(key), expect, "{rule}");
        }
    }
}

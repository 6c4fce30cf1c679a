//! RFC 6455 §8.1 and RFC 3629: text that is UTF-8, text that is not, and where that can first be known.

use proptest::prelude::*;
use ws_frame::{InvalidUtf8, Utf8Validator};

/// What the validator makes of these pieces: the text, or how many bytes it took before it refused one.
fn validate<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<String, usize> {
    let mut validator = Utf8Validator::new();
    let mut text = String::new();
    let mut taken = 0;
    for piece in pieces {
        let validated = validator.push(piece).map_err(|InvalidUtf8| taken)?;
        text.extend(validated.completed);
        text.push_str(validated.rest);
        taken += piece.len();
    }
    validator.finish().map_err(|InvalidUtf8| taken)?;
    Ok(text)
}

#[test]
fn text_that_is_utf8_wherever_it_is_cut() {
    for text in
        ["", "plain", "κόσμε", "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}", "a\u{d7ff}\u{e000}z"]
    {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let bytes = text.as_bytes();
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(validate(pieces).as_deref(), Ok(text), "cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn text_that_is_not_utf8_fails_at_the_first_byte_that_cannot_be_right() {
    // The bytes, and how many of them could still become a text.
    let rows: [(&str, &[u8], usize); 14] = [
        ("a lone continuation byte", b"a\x80", 1),
        ("a byte that is never used", b"ab\xff", 2),
        ("overlong, two bytes", b"\xc0\xaf", 0),
        ("overlong, three bytes", b"\xe0\x80\xaf", 1),
        ("overlong, four bytes", b"\xf0\x80\x80\xaf", 1),
        ("the largest overlong of three", b"\xe0\x9f\xbf", 1),
        ("the largest overlong of four", b"\xf0\x8f\xbf\xbf", 1),
        ("the first surrogate", b"\xed\xa0\x80", 1),
        ("the last surrogate", b"\xed\xbf\xbf", 1),
        ("above U+10FFFF", b"\xf4\x90\x80\x80", 1),
        ("far above U+10FFFF", b"\xf5\x80\x80\x80", 0),
        ("a sequence broken off", b"\xe1\xbd-", 2),
        ("a sequence of four broken off", b"\xf0\x9f\x98-", 3),
        ("Autobahn 6.4", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80", 12),
    ];
    for (name, bytes, valid) in rows {
        assert_eq!(validate(bytes.chunks(1)), Err(valid), "{name}, byte by byte");
        for cut in 0..=bytes.len() {
            let expect = if cut > valid { 0 } else { cut };
            assert_eq!(validate([&bytes[..cut], &bytes[cut..]]), Err(expect), "{name}, cut at {cut}");
        }
    }
}

#[test]
fn text_that_ends_within_a_character() {
    for bytes in [&b"\xce"[..], b"\xe1\xbd", b"\xf0\x9f\x98", b"ok\xf4\x8f"] {
        assert_eq!(validate([bytes]), Err(bytes.len()), "{bytes:x?}");
        assert_eq!(validate(bytes.chunks(1)), Err(bytes.len()), "{bytes:x?}, byte by byte");
    }
}

proptest! {
    #[test]
    fn agrees_with_the_standard_library(
        pieces in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(0xe2), Just(0x82), Just(0xac), Just(0xf0), Just(0x90), any::<u8>()], 0..5), 0..5),
        text in ".{0,6}",
        at in 0..5_usize,
    ) {
        let mut pieces = pieces;
        pieces.insert(at.min(pieces.len()), text.into_bytes());
        let whole = String::from_utf8(pieces.concat());
        let ours = validate(pieces.iter().map(Vec::as_slice));
        prop_assert_eq!(ours.ok(), whole.ok());
    }
}

//! Frame headers: what is decoded is encoded as the same bytes, wherever the bytes are cut the answer is the same, and
//! another implementation reads the same.

use std::io::Cursor;
use ws_frame::{FrameHeader, MAX_HEADER_LEN, Opcode};

/// The input is a header and what follows it.
pub fn check(input: &[u8]) {
    let whole = FrameHeader::decode(input);
    match &whole {
        Ok(Some((header, len))) => {
            let bytes = &input[..*len];
            assert_eq!(header.encode().as_ref(), bytes, "what is decoded is encoded as the same bytes");
            assert_eq!(rebuilt(header), *header, "what is legal can be built");
            check_against_tungstenite(header, bytes);
        }
        Ok(None) => assert!(input.len() < MAX_HEADER_LEN, "no header is longer than {MAX_HEADER_LEN} bytes"),
        Err(_) => {}
    }
    // The header is there with its last byte and not before, and an error stays the same whatever follows.
    let mut decided = false;
    for len in 0..=input.len().min(MAX_HEADER_LEN) {
        let cut = FrameHeader::decode(&input[..len]);
        decided |= cut != Ok(None);
        assert_eq!(cut, if decided { whole } else { Ok(None) }, "with {len} bytes");
        if let Ok(Some((_, header_len))) = whole {
            assert_eq!(decided, len >= header_len, "with {len} bytes");
        }
    }
    assert_eq!(decided, whole != Ok(None));
}

/// The same header, made from its parts.
fn rebuilt(header: &FrameHeader) -> FrameHeader {
    let mut built = FrameHeader::new(header.opcode(), header.payload_len()).expect("a legal length");
    if !header.is_final() {
        built = built.not_final().expect("a data frame");
    }
    if header.rsv1() {
        built = built.with_rsv1();
    }
    header.masking_key().map_or(built, |key| built.masked(key))
}

fn check_against_tungstenite(ours: &FrameHeader, bytes: &[u8]) {
    use tungstenite::protocol::frame::FrameHeader as Theirs;
    let (theirs, payload_len) = Theirs::parse(&mut Cursor::new(bytes)).expect("legal").expect("whole");
    assert_eq!(payload_len, ours.payload_len());
    assert_eq!(
        (theirs.is_final, theirs.rsv1, theirs.rsv2, theirs.rsv3, u8::from(theirs.opcode), theirs.mask),
        (ours.is_final(), ours.rsv1(), false, false, Opcode::value(ours.opcode()), ours.masking_key())
    );
}

//! RFC 6455 §5.2 and §5.5: headers, byte for byte.

use proptest::prelude::*;
use ws_frame::{FrameError, FrameHeader, MAX_HEADER_LEN, Opcode};

/// What stands in a row: FIN, RSV1, opcode, masking key, payload length, header length.
type Fields = (bool, bool, Opcode, Option<[u8; 4]>, u64, usize);

const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

fn bytes_of(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
}

/// The header decodes to these fields, encodes to the same bytes, and is not there before its last byte is.
fn check(name: &str, hex: &str, expect: Fields) {
    let bytes = bytes_of(hex);
    let (header, header_len) = FrameHeader::decode(&bytes).unwrap().unwrap_or_else(|| panic!("{name}: cut"));
    let fields = (
        header.is_final(),
        header.rsv1(),
        header.opcode(),
        header.masking_key(),
        header.payload_len(),
        header_len,
    );
    assert_eq!(fields, expect, "{name}");
    assert_eq!(header.encode().as_ref(), &bytes[..header_len], "{name}");
    for cut in 0..header_len {
        assert_eq!(FrameHeader::decode(&bytes[..cut]), Ok(None), "{name}, cut at {cut}");
    }
}

#[test]
fn headers_of_every_form() {
    let rows: [(&str, &str, Fields); 16] = [
        ("§5.7 unmasked text", "81 05 48 65 6c 6c 6f", (true, false, Opcode::Text, None, 5, 2)),
        ("§5.7 masked text", "81 85 37 fa 21 3d 7f 9f", (true, false, Opcode::Text, KEY, 5, 6)),
        ("§5.7 first fragment", "01 03 48 65 6c", (false, false, Opcode::Text, None, 3, 2)),
        ("§5.7 last fragment", "80 02 6c 6f", (true, false, Opcode::Continuation, None, 2, 2)),
        ("middle fragment", "00 02", (false, false, Opcode::Continuation, None, 2, 2)),
        ("§5.7 ping", "89 05 48", (true, false, Opcode::Ping, None, 5, 2)),
        ("§5.7 masked pong", "8a 85 37 fa 21 3d", (true, false, Opcode::Pong, KEY, 5, 6)),
        ("§5.7 256 bytes", "82 7e 01 00", (true, false, Opcode::Binary, None, 256, 4)),
        ("§5.7 64 KiB", "82 7f 00 00 00 00 00 01 00 00", (true, false, Opcode::Binary, None, 65_536, 10)),
        ("RSV1", "c1 00", (true, true, Opcode::Text, None, 0, 2)),
        ("7 bits, most", "82 7d", (true, false, Opcode::Binary, None, 125, 2)),
        ("16 bits, least", "82 7e 00 7e", (true, false, Opcode::Binary, None, 126, 4)),
        ("16 bits, most", "82 fe ff ff 37 fa 21 3d", (true, false, Opcode::Binary, KEY, 65_535, 8)),
        (
            "64 bits, most",
            "82 ff 7f ff ff ff ff ff ff ff 37 fa 21 3d",
            (true, false, Opcode::Binary, KEY, u64::MAX >> 1, MAX_HEADER_LEN),
        ),
        ("empty close", "88 00", (true, false, Opcode::Close, None, 0, 2)),
        ("longest close", "88 7d", (true, false, Opcode::Close, None, 125, 2)),
    ];
    for (name, hex, expect) in rows {
        check(name, hex, expect);
    }
}

#[test]
fn headers_that_break_a_rule() {
    let rows = [
        ("RSV2", "a1", FrameError::ReservedBit),
        ("RSV3", "91", FrameError::ReservedBit),
        ("data opcode 3", "83", FrameError::ReservedOpcode(3)),
        ("data opcode 7", "87", FrameError::ReservedOpcode(7)),
        ("control opcode b", "8b", FrameError::ReservedOpcode(11)),
        ("control opcode f", "8f", FrameError::ReservedOpcode(15)),
        ("fragmented close", "08", FrameError::FragmentedControl),
        ("fragmented ping", "09", FrameError::FragmentedControl),
        ("fragmented pong", "0a", FrameError::FragmentedControl),
        ("ping, 16-bit length", "89 7e", FrameError::ControlTooLong),
        ("close, masked, 64-bit length", "88 ff", FrameError::ControlTooLong),
        ("125 in 16 bits", "82 7e 00 7d", FrameError::NonMinimalLength),
        ("0 in 16 bits", "82 fe 00 00", FrameError::NonMinimalLength),
        ("65535 in 64 bits", "82 7f 00 00 00 00 00 00 ff ff", FrameError::NonMinimalLength),
        ("top bit", "82 7f 80 00 00 00 00 00 00 00", FrameError::LengthOverflow),
    ];
    for (name, hex, expect) in rows {
        let bytes = bytes_of(hex);
        assert_eq!(FrameHeader::decode(&bytes), Err(expect), "{name}");
        // Nothing before the byte that is wrong is, and nothing after it helps.
        for cut in 0..bytes.len() {
            assert_eq!(FrameHeader::decode(&bytes[..cut]), Ok(None), "{name}, cut at {cut}");
        }
        assert_eq!(FrameHeader::decode(&[&bytes[..], &[0; 12]].concat()), Err(expect), "{name}, and more");
    }
}

#[test]
fn headers_that_cannot_be_made() {
    for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
        assert_eq!(FrameHeader::new(opcode, 126), Err(FrameError::ControlTooLong));
        assert_eq!(FrameHeader::new(opcode, 125).unwrap().not_final(), Err(FrameError::FragmentedControl));
    }
    assert!(FrameHeader::new(Opcode::Binary, u64::MAX >> 1).is_ok());
    assert_eq!(FrameHeader::new(Opcode::Binary, 1 << 63), Err(FrameError::LengthOverflow));
}

fn any_header() -> impl Strategy<Value = FrameHeader> {
    let opcode = prop::sample::select(vec![
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ]);
    let payload_len = prop_oneof![0..=130_u64, 65_530..=65_540_u64, 0..=u64::MAX >> 1];
    (opcode, payload_len, any::<bool>(), any::<bool>(), any::<Option<[u8; 4]>>()).prop_map(
        |(opcode, payload_len, fin, rsv1, key)| {
            let payload_len = if opcode.is_control() { payload_len % 126 } else { payload_len };
            let mut header = FrameHeader::new(opcode, payload_len).unwrap();
            if !fin && !opcode.is_control() {
                header = header.not_final().unwrap();
            }
            if rsv1 {
                header = header.with_rsv1();
            }
            key.map_or(header, |key| header.masked(key))
        },
    )
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(header in any_header(), payload in any::<[u8; 3]>()) {
        let encoded = header.encode();
        let is_short = encoded.as_ref().len() == 2;
        let short = header.encode_short().map(|bytes| bytes.to_vec());
        prop_assert_eq!(short, is_short.then(|| encoded.as_ref().to_vec()));
        let bytes = [encoded.as_ref(), &payload].concat();
        prop_assert_eq!(FrameHeader::decode(&bytes), Ok(Some((header, encoded.as_ref().len()))));
    }

    #[test]
    fn what_is_decoded_encodes_to_itself(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
        if let Ok(Some((header, header_len))) = FrameHeader::decode(&bytes) {
            let encoded = header.encode();
            prop_assert_eq!(encoded.as_ref(), &bytes[..header_len]);
        }
    }
}

//! What a peer may send, mostly within the rules.

use proptest::prelude::*;
use ws_frame::{FrameHeader, Opcode};

/// A message in fragments with control frames between them, among whole ones.
pub fn any_conversation() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let legal = prop::collection::vec("[a-zé€]{0,8}", 1..5).prop_map(|texts| {
        let last = texts.len() - 1;
        let mut frames = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let opcode = if i == 0 { Opcode::Text } else { Opcode::Continuation };
            let mut header = FrameHeader::new(opcode, text.len() as u64).unwrap();
            if i < last {
                header = header.not_final().unwrap();
            }
            frames.push([header.encode().as_ref(), text.as_bytes()].concat());
            frames.push(b"\x89\x04ping".to_vec());
        }
        frames
    });
    prop::collection::vec(prop_oneof![legal, any_frame().prop_map(|frame| vec![frame])], 1..8)
        .prop_map(|parts| parts.concat())
}

/// A frame of the peer's, unmasked: mostly legal, so that conversations go on for a while.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        "[a-zé€😀]{0,20}".prop_map(String::into_bytes),
        (100..400_usize).prop_map(|len| vec![b'x'; len]),
    ];
    let opcode = prop_oneof![
        8 => Just(Opcode::Continuation),
        6 => Just(Opcode::Text),
        4 => Just(Opcode::Binary),
        4 => Just(Opcode::Ping),
        2 => Just(Opcode::Pong),
        1 => Just(Opcode::Close),
    ];
    (opcode, payload, any::<bool>(), 0..40_u8).prop_map(|(opcode, mut payload, fin, oddity)| {
        if opcode == Opcode::Close && fin {
            payload.splice(..0, [0x03, 0xe8 + oddity % 16]); // mostly a code that is allowed
        }
        if opcode.is_control() {
            payload.truncate(125);
        }
        let mut header = FrameHeader::new(opcode, payload.len() as u64).unwrap();
        if !fin && !opcode.is_control() {
            header = header.not_final().unwrap();
        }
        if oddity == 1 {
            header = header.with_rsv1();
        }
        let mut frame = [header.encode().as_ref(), &payload].concat();
        if oddity == 0 {
            frame[0] ^= 0x03; // most likely a reserved opcode
        }
        frame
    })
}

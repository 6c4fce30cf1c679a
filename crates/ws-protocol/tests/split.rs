//! Split invariance: every way of cutting the input gives the same events and the same output.

mod common;

use common::{Side, from_peer_of, run};
use proptest::prelude::*;
use ws_frame::{FrameHeader, Opcode};
use ws_protocol::Limits;

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

/// A message in fragments with control frames between them, among whole ones.
fn any_conversation() -> impl Strategy<Value = Vec<Vec<u8>>> {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_cuts_of_any_conversation(
        frames in any_conversation(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        echo: bool,
    ) {
        for side in [Side::Server, Side::Client] {
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| from_peer_of(side, frame)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let whole = run(side, Limits::default(), &[&bytes], echo);
            prop_assert_eq!(run(side, Limits::default(), &pieces, echo), whole.clone());
            let octets: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(run(side, Limits::default(), &octets, echo), whole);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for side in [Side::Server, Side::Client] {
            // What it sends parses as legal frames: `run` sees to that.
            let outcome = run(side, Limits::default(), &pieces, false);
            prop_assert_eq!(outcome, run(side, Limits::default(), &[&pieces.concat()], false));
        }
    }
}

//! RFC 6455 §5.3: masking, wherever the payload is cut.

use proptest::prelude::*;
use ws_frame::Masker;

/// The rule as the RFC writes it: "transformed-octet-i = original-octet-i XOR masking-key-octet-j, j = i MOD 4".
fn mask_by_the_letter(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    payload.iter().enumerate().map(|(i, octet)| octet ^ key[i % 4]).collect()
}

#[test]
fn every_length_and_every_cut_of_it() {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let payload: Vec<u8> = (0..=255).cycle().take(70).collect();
    for len in 0..payload.len() {
        let expect = mask_by_the_letter(key, &payload[..len]);
        for cut in 0..=len {
            let mut masked = payload[..len].to_vec();
            let mut masker = Masker::new(key);
            let (first, second) = masked.split_at_mut(cut);
            masker.apply(first);
            masker.apply(second);
            assert_eq!(masked, expect, "{len} bytes cut at {cut}");
        }
    }
}

#[test]
fn long_payloads() {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let payload: Vec<u8> = (0..=250).cycle().take(5_000).collect();
    for len in (500..=650).chain([1_023, 1_024, 4_095, 5_000]) {
        for cut in [0, 1, 2, 3, 511, 512, 513, len].into_iter().filter(|cut| *cut <= len) {
            let mut masked = payload[..len].to_vec();
            let mut masker = Masker::new(key);
            let (first, second) = masked.split_at_mut(cut);
            masker.apply(first);
            masker.apply(second);
            assert!(masked == mask_by_the_letter(key, &payload[..len]), "{len} bytes cut at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn any_cuts(key: [u8; 4], mut pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12)) {
        let expect = mask_by_the_letter(key, &pieces.concat());
        let mut masker = Masker::new(key);
        for piece in &mut pieces {
            masker.apply(piece);
        }
        prop_assert_eq!(pieces.concat(), expect);
    }
}

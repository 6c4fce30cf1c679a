//! Split invariance: every way of cutting the input gives the same events and the same output.

mod common;

use common::{Side, conversation::any_conversation, from_peer_of, run};
use proptest::prelude::*;
use ws_protocol::MessageLimits;

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
            let whole = run(side, MessageLimits::default(), &[&bytes], echo);
            prop_assert_eq!(run(side, MessageLimits::default(), &pieces, echo), whole.clone());
            let octets: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(run(side, MessageLimits::default(), &octets, echo), whole);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for side in [Side::Server, Side::Client] {
            // What it sends parses as legal frames: `run` sees to that.
            let outcome = run(side, MessageLimits::default(), &pieces, false);
            prop_assert_eq!(outcome, run(side, MessageLimits::default(), &[&pieces.concat()], false));
        }
    }
}

//! The kinds of clients, and how often each comes.

use super::visit::Visit;
use super::{hostile, slow, well_behaved};
use crate::Outcome;
use crate::random::Random;

/// A kind of client: what it does, how often it comes compared to the others, and how.
pub(super) struct Kind {
    pub(super) name: &'static str,
    share: usize,
    /// Pays one visit. An error is the server's fault.
    pub(super) visit: fn(&mut Visit<'_>) -> Outcome,
}

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "talks", share: 12, visit: well_behaved::talks },
    Kind { name: "comes again and again", share: 6, visit: well_behaved::comes_again },
    Kind { name: "stops sending first", share: 3, visit: well_behaved::stops_sending_first },
    Kind { name: "sends byte by byte", share: 3, visit: slow::sends_byte_by_byte },
    Kind { name: "reads slowly", share: 3, visit: slow::reads_slowly },
    Kind { name: "never reads", share: 4, visit: slow::never_reads },
    Kind { name: "begins messages", share: 4, visit: slow::begins_messages },
    Kind { name: "says nothing", share: 1, visit: slow::says_nothing },
    Kind { name: "answers no ping", share: 1, visit: slow::answers_no_ping },
    Kind { name: "breaks a rule", share: 12, visit: hostile::breaks_a_rule },
    Kind { name: "sends garbage", share: 6, visit: hostile::sends_garbage },
    Kind { name: "resets", share: 6, visit: hostile::resets },
    Kind { name: "floods", share: 3, visit: hostile::floods },
    Kind { name: "sends a bomb", share: 3, visit: hostile::sends_a_bomb },
];

/// One of these, at random by their shares.
///
/// # Panics
///
/// There are none.
pub(super) fn choose<'k>(kinds: &'k [Kind], random: &mut Random) -> &'k Kind {
    let mut at = random.within(0..kinds.iter().map(|kind| kind.share).sum());
    let chosen = kinds.iter().find(|kind| {
        let is_chosen = at < kind.share;
        at = at.saturating_sub(kind.share);
        is_chosen
    });
    chosen.unwrap_or(&kinds[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_by_their_shares() {
        let mut random = Random::new(7);
        let all: usize = KINDS.iter().map(|kind| kind.share).sum();
        let mut counts = vec![0; KINDS.len()];
        for _ in 0..all * 1_000 {
            let chosen = choose(KINDS, &mut random).name;
            counts[KINDS.iter().position(|kind| kind.name == chosen).unwrap()] += 1;
        }
        for (kind, count) in KINDS.iter().zip(counts) {
            let expect = kind.share * 1_000;
            assert!(count > expect * 8 / 10 && count < expect * 12 / 10, "{} came {count} times", kind.name);
        }
    }
}

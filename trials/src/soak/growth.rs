//! Whether memory grows.
//!
//! What an allocator keeps depends on who came last, so one sample says little. The first rounds are left out, in which
//! buffers reach the size that they keep. Of the others, the median of the last third is held against that of the first
//! third: single peaks do not matter, and what is lost with each connection adds up over a third of all rounds at least.

use crate::Outcome;

/// The share of the rounds that is warm-up: one in so many.
const WARM_UP: usize = 4;

/// The fewest rounds that say something.
const MIN_ROUNDS: usize = 8;

/// How much more is no growth, in bytes.
const TOLERANCE: u64 = 8 << 20;

/// Judges the resident memory after each round, in bytes.
///
/// # Errors
///
/// It has grown.
pub(super) fn verdict(samples: &[u64]) -> Outcome<String> {
    if samples.len() < MIN_ROUNDS {
        return Ok(format!("not judged, as that takes {MIN_ROUNDS} rounds"));
    }
    let judged = &samples[samples.len() / WARM_UP..];
    let third = judged.len() / 3;
    let first = median(&judged[..third]);
    let last = median(&judged[judged.len() - third..]);
    let seen = format!(
        "{} KiB after the first rounds, {} KiB after the last ones (medians of {third})",
        first / 1024,
        last / 1024
    );
    if last.saturating_sub(first) > TOLERANCE {
        Err(format!("memory grows: {seen}").into())
    } else {
        Ok(seen)
    }
}

/// Zero if there are none.
fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_from_noise() {
        const MIB: u64 = 1 << 20;
        let check = |samples: &[u64], grows: bool| {
            let samples: Vec<u64> = samples.iter().map(|sample| sample * MIB).collect();
            assert_eq!(verdict(&samples).is_err(), grows, "{samples:?}");
        };
        check(&[], false);
        // Too few, whatever they are.
        check(&[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000], false);
        check(&[20; 9], false);
        // Warm-up, and peaks of single rounds.
        check(&[1, 5, 30, 31, 30, 31, 30, 31, 30], false);
        check(&[20, 20, 20, 21, 20, 20, 90, 20, 20, 90, 20, 21], false);
        // 2 MiB a round.
        check(&[20, 22, 24, 26, 28, 30, 32, 34, 36], true);
        check(&(0..27).map(|round| 20 + round).collect::<Vec<_>>(), true);
        // A step that stays.
        check(&[20, 20, 20, 20, 20, 20, 50, 50, 50], true);
    }
}

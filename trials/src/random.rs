//! Random choices that a seed repeats: what happened once can be made to happen again.

use std::ops::Range;

/// A source of choices.
pub(crate) struct Random(fastrand::Rng);

impl Random {
    /// The choices of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The choices of the `index`th thing that this seed decides on, whatever the others take of theirs.
    pub(crate) fn of(seed: u64, index: u64) -> Self {
        let mut seeds = Self::new(seed ^ index.wrapping_mul(0xA24B_AED4_963E_E407));
        Self::new(seeds.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number in the range, or its start if it is empty.
    pub(crate) fn within(&mut self, range: Range<usize>) -> usize {
        if range.is_empty() { range.start } else { self.0.usize(range) }
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.within(0..times) == 0
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// There are none.
    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.within(0..choices.len())]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_repeats_its_choices() {
        assert_eq!(Random::of(1, 2).next(), Random::of(1, 2).next());
        assert_ne!(Random::of(1, 2).next(), Random::of(1, 3).next());
        assert_ne!(Random::of(1, 2).next(), Random::of(2, 2).next());
    }

    #[test]
    fn choices_are_within_their_range() {
        let mut random = Random::new(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.within(3..8) - 3] = true;
        }
        assert_eq!((seen, random.within(3..3)), ([true; 5], 3));
    }
}

//! Random choices that a seed repeats: what happened once can be made to happen again.

use std::ops::Range;

/// `SplitMix64`: good enough to choose with, and eight lines long.
pub(crate) struct Random(u64);

impl Random {
    /// The choices of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The choices of the `index`th thing that this seed decides on, whatever the others take of theirs.
    pub(crate) fn of(seed: u64, index: u64) -> Self {
        let mut seeds = Self(seed ^ index.wrapping_mul(0xA24B_AED4_963E_E407));
        Self(seeds.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in the range, or its start if it is empty.
    pub(crate) fn within(&mut self, range: Range<usize>) -> usize {
        // A remainder is not quite fair, which does not matter to what is chosen here.
        let choices = u64::try_from(range.len()).unwrap_or(u64::MAX).max(1);
        range.start + usize::try_from(self.next() % choices).unwrap_or(0)
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
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_repeats_its_choices() {
        // The first numbers of Vigna's SplitMix64 for this seed.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
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
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.within(3..3), 3);
        for len in [0, 1, 8, 17] {
            assert_eq!(random.bytes(len).len(), len);
        }
    }
}

//! Values of several flags.

use clap::builder::RangedU64ValueParser;

/// Reads a number from 1 to `max`.
pub(super) fn count(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}

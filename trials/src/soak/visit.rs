//! A client's visit.

use crate::random::Random;
use std::{
    thread,
    time::{Duration, Instant},
};

/// What a client knows on its visit.
pub(super) struct Visit<'a> {
    pub(super) port: u16,
    /// The end of the round.
    pub(super) until: Instant,
    pub(super) random: &'a mut Random,
}

impl Visit<'_> {
    /// Whether the client should come to its end.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Waits for up to so many milliseconds.
    pub(super) fn pause(&mut self, max_millis: usize) {
        let millis = self.random.within(0..max_millis);
        thread::sleep(Duration::from_millis(millis as u64));
    }

    /// The end of something that lasts for up to so many milliseconds, but not beyond the round.
    pub(super) fn within(&mut self, max_millis: usize) -> Instant {
        let millis = self.random.within(0..max_millis);
        self.until.min(Instant::now() + Duration::from_millis(millis as u64))
    }
}

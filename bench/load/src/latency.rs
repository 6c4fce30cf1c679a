//! How long answers take, in a histogram whose steps are an eighth of an octave.

use std::time::Duration;

/// Steps in an octave.
const STEPS: usize = 8;

/// Counts of round trips by their duration.
pub(crate) struct Latencies {
    counts: [u64; 64 * STEPS],
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { counts: [0; 64 * STEPS] }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(STEPS as u64);
        let octave = nanoseconds.ilog2();
        let step = (nanoseconds >> (octave - STEPS.ilog2())) as usize % STEPS;
        self.counts[octave as usize * STEPS + step] += 1;
    }

    /// The duration in microseconds that this share of the round trips does not exceed, to an eighth.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        let Some(bucket) = bucket else { return 0.0 };
        let (octave, step) = (bucket / STEPS, bucket % STEPS);

        2f64.powi(octave as i32) * (1.0 + (step + 1) as f64 / STEPS as f64) / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::Latencies;
    use std::time::Duration;

    #[test]
    fn quantiles_are_within_a_step() {
        let mut latencies = Latencies::new();
        for microseconds in 1..=1000 {
            latencies.record(Duration::from_micros(microseconds));
        }
        for (share, expect) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let quantile = latencies.quantile(share);
            assert!((expect..=expect * 1.13).contains(&quantile), "{share}: {quantile}");
        }
    }

    #[test]
    fn nothing_recorded_is_zero() {
        assert_eq!(Latencies::new().quantile(0.5), 0.0);
    }
}

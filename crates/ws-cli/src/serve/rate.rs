//! The limit on log lines per second, for each sort of line.

use std::time::{Duration, Instant};

/// The time over which the rate is averaged. A burst may have as many lines as this time allows.
const BURST: Duration = Duration::from_secs(10);

/// The interval between reports of lines left out.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The sorts of lines. Each sort has a rate of its own, so that a flood of one sort hides no line
/// of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Error,
    /// All other events of the library.
    Warning,
    /// Connections that open and close.
    Connection,
    Refusal,
    Message,
}

impl Sort {
    /// All of them, in their order.
    const ALL: [Self; 5] = [Self::Error, Self::Warning, Self::Connection, Self::Refusal, Self::Message];

    /// The sort of the lines with this event.
    pub(crate) fn of(event: &str) -> Self {
        match event {
            "error" => Self::Error,
            "open" | "close" => Self::Connection,
            "refused" => Self::Refusal,
            "message" => Self::Message,
            _ => Self::Warning,
        }
    }

    /// The events of these lines.
    fn events(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warn, info, debug",
            Self::Connection => "open, close",
            Self::Refusal => "refused",
            Self::Message => "message",
        }
    }
}

/// The rates of all sorts, and the number of lines left out.
#[derive(Debug)]
pub(crate) struct Rates {
    /// The time that one line uses of the rate.
    interval: Duration,
    /// For each sort, the time until which admitted lines use up the rate.
    busy_until: [Option<Instant>; Sort::ALL.len()],
    left_out: [u64; Sort::ALL.len()],
    /// The time of the last report.
    reported: Option<Instant>,
}

impl Rates {
    pub(crate) fn new(max_lines_per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / max_lines_per_second.max(1);
        let (busy_until, left_out, reported) = Default::default();
        Self { interval, busy_until, left_out, reported }
    }

    /// Whether a line may be logged. If not, it counts as left out.
    pub(crate) fn admit(&mut self, sort: Sort, now: Instant) -> bool {
        let busy_until = &mut self.busy_until[sort as usize];
        let start = busy_until.map_or(now, |busy_until| busy_until.max(now));
        let admitted = start - now + self.interval <= BURST;
        if admitted {
            *busy_until = Some(start + self.interval);
        } else {
            self.left_out[sort as usize] += 1;
        }
        admitted
    }

    /// The number of lines left out and not reported yet.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.iter().sum()
    }

    /// The time of the next report; `None` if no lines were left out.
    pub(crate) fn next_report(&self, now: Instant) -> Option<Instant> {
        let next = self.reported.map_or(now, |reported| reported + REPORT_INTERVAL);
        (self.left_out() > 0).then_some(next)
    }

    /// Takes the report: the events of each sort with lines left out, and the number of these
    /// lines.
    pub(crate) fn take_report(&mut self, now: Instant) -> Vec<(&'static str, u64)> {
        self.reported = Some(now);
        let left_out = std::mem::take(&mut self.left_out);
        let report = Sort::ALL.map(Sort::events).into_iter().zip(left_out);
        report.filter(|(_, lines)| *lines > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_ten_seconds_and_then_the_rate() {
        for rate in [1, 3, 1_000] {
            let mut now = Instant::now();
            let mut rates = Rates::new(rate);
            let mut admitted = |now, tries| (0..tries).filter(|_| rates.admit(Sort::Refusal, now)).count();
            let burst = 10 * rate as usize;
            assert_eq!(admitted(now, 2 * burst), burst, "{rate}");
            for second in 1..5 {
                now += Duration::from_secs(1);
                assert_eq!(admitted(now, 2 * burst), rate as usize, "{rate}: second {second}");
            }
            now += Duration::from_secs(3_600);
            assert_eq!(admitted(now, 2 * burst), burst, "{rate}: after an hour of rest");
        }
    }

    #[test]
    fn a_flood_of_one_sort_leaves_the_others_alone() {
        let now = Instant::now();
        let mut rates = Rates::new(1);
        for event in ["refused", "message", "warn", "error"] {
            assert_eq!((0..30).filter(|_| rates.admit(Sort::of(event), now)).count(), 10, "{event}");
        }
        assert!(rates.admit(Sort::of("open"), now) && rates.admit(Sort::of("close"), now));
    }

    #[test]
    fn lines_left_out_are_reported_once_a_second() {
        let now = Instant::now();
        let mut rates = Rates::new(1);
        let flood = |rates: &mut Rates, now| (0..30).filter(|_| !rates.admit(Sort::Refusal, now)).count();
        assert_eq!(rates.next_report(now), None);
        let _ = flood(&mut rates, now);
        assert_eq!(rates.next_report(now), Some(now));
        assert_eq!(rates.take_report(now), [("refused", 20)]);
        assert_eq!(rates.next_report(now), None);
        let _ = flood(&mut rates, now);
        rates.left_out[Sort::Connection as usize] = 7;
        assert_eq!(rates.next_report(now), Some(now + REPORT_INTERVAL));
        assert_eq!(rates.take_report(now), [("open, close", 7), ("refused", 30)]);
    }
}

//! A client that everybody would like to be: it sends a small message every few milliseconds, checks each echo, and
//! takes the time. How it fares tells how the server treats its clients while others do what they do.

use crate::Outcome;
use crate::random::Random;
use crate::raw::{BINARY, TEXT, close, close_code, frame, open, unmasked};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The time between an echo and the next message.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest message in bytes: more than the shortest form of a frame's header can tell.
const MAX_LEN: usize = 300;

/// A connection whose messages are echoed by now, on a thread of its own.
pub(crate) struct Canary {
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    echo_times: Mutex<Vec<Duration>>,
}

impl Canary {
    /// Connects and begins. It ends itself when an echo is wrong, or later than `limit`.
    pub(crate) fn start(port: u16, limit: Duration) -> Outcome<Self> {
        let stream = open(port)?;
        stream.set_read_timeout(Some(limit))?;
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("canary".to_owned()).spawn(move || sing(stream, limit, &shared))?
        };
        Ok(Self { shared, thread })
    }

    /// Whether it has ended itself; [`Canary::stop`] tells why.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// How long the echoes took since this was last asked.
    pub(crate) fn take_echo_times(&self) -> EchoTimes {
        EchoTimes::new(std::mem::take(&mut *self.shared.lock()))
    }

    /// Ends it with a closing handshake.
    ///
    /// # Errors
    ///
    /// An echo was wrong or late, or the server has ended the connection.
    pub(crate) fn stop(self) -> Outcome {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let sung = self.thread.join().map_err(|_| "the canary panicked")?;
        sung.map_err(|error| format!("the canary: {error}").into())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.echo_times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sing(mut stream: TcpStream, limit: Duration, shared: &Shared) -> io::Result<()> {
    let mut random = Random::new(0);
    while !shared.stopped.load(Ordering::Relaxed) {
        let (kind, payload) = match random.once_in(2) {
            true => (BINARY, random.bytes(MAX_LEN)),
            false => (TEXT, vec![b'a'; MAX_LEN]),
        };
        let payload = &payload[..random.within(1..MAX_LEN + 1)];
        let mut expected = unmasked(kind, payload.len() as u64);
        expected.extend(payload);

        let start = Instant::now();
        stream.write_all(&frame(kind, payload))?;
        let mut echo = vec![0; expected.len()];
        let received = stream.read_exact(&mut echo);
        let elapsed = start.elapsed();
        if elapsed >= limit {
            return Err(io::Error::other(format!(
                "an echo took {} ms, which is its limit",
                limit.as_millis()
            )));
        }
        received?;
        if echo != expected {
            return Err(io::Error::other("an echo is not what was sent"));
        }
        shared.lock().push(elapsed);
        thread::sleep(PAUSE);
    }
    stream.write_all(&close(1000))?;
    match close_code(&mut stream) {
        Ok(Some(1000)) => Ok(()),
        other => Err(io::Error::other(format!("its close was answered by {other:?}"))),
    }
}

/// How long echoes took, the shortest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EchoTimes(Vec<Duration>);

impl EchoTimes {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time in which this share of the echoes came, in percent. Zero if there were none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// In milliseconds: the median, the 99th percentile, the longest.
impl fmt::Display for EchoTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [50, 99, 100].map(|percent| self.percentile(percent).as_secs_f64() * 1e3);
        write!(f, "{p50:.2} / {p99:.2} / {max:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times =
            |millis: &[u64]| EchoTimes::new(millis.iter().copied().map(Duration::from_millis).collect());
        let all: Vec<u64> = (1..=200).rev().collect();
        for (times, percent, expect) in [
            (times(&[]), 50, 0),
            (times(&[7]), 50, 7),
            (times(&[7]), 99, 7),
            (times(&[3, 1, 2]), 50, 2),
            (times(&[3, 1, 2]), 100, 3),
            (times(&all), 50, 100),
            (times(&all), 99, 198),
        ] {
            assert_eq!(times.percentile(percent), Duration::from_millis(expect), "{times:?} {percent}");
        }
        assert_eq!(times(&[1, 2, 30]).to_string(), "2.00 / 30.00 / 30.0");
    }
}

//! What the server's log says, which has to be what happened.

use crate::Outcome;
use serde_json::Value;

/// What has been logged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Logged {
    opened: u64,
    closed: u64,
    /// Lines that nobody could take in time, and that the log dropped.
    dropped: u64,
}

impl Logged {
    /// Takes note of these lines.
    ///
    /// # Errors
    ///
    /// One tells of a failure of the server's own, or is no JSON.
    pub(super) fn take(&mut self, lines: &[String]) -> Outcome {
        for line in lines {
            if line.starts_with("ws-cli ") {
                continue;
            }
            let event: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            match event["event"].as_str() {
                Some("open") => self.opened += 1,
                Some("close") => self.closed += 1,
                Some("error") => return Err(format!("the server says: {line}").into()),
                _ => self.dropped += event["lines"].as_u64().unwrap_or(0),
            }
        }
        Ok(())
    }

    /// Whether so many connections were logged, each when it opened and when it closed.
    pub(super) fn verdict(&self, opened: u64) -> Outcome<String> {
        let summary = format!(
            "{} times open, {} times close, {} lines dropped",
            self.opened, self.closed, self.dropped
        );
        let is_complete = self.opened == opened && self.closed == opened;
        if is_complete || self.dropped > 0 {
            Ok(summary)
        } else {
            Err(format!("the log has {summary}").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        let line = |event: &str| format!("{{\"event\":\"{event}\",\"lines\":3}}");
        let mut logged = Logged::default();
        logged.take(&["ws-cli listening".to_owned(), line("open"), line("open"), line("close")]).unwrap();
        assert_eq!(logged, Logged { opened: 2, closed: 1, dropped: 0 });
        assert!(logged.verdict(2).is_err());
        logged.take(&[line("close")]).unwrap();
        assert!(logged.verdict(2).is_ok());
        assert!(logged.verdict(3).is_err());
        logged.take(&[line("warn")]).unwrap();
        assert!(logged.verdict(3).is_ok(), "what was dropped cannot be counted");

        assert!(logged.take(&[line("error")]).is_err());
        assert!(logged.take(&["thread 'ws-worker-0' panicked".to_owned()]).is_err());
    }
}

//! The measured process, as Linux shows it.

use crate::Outcome;
use std::path::PathBuf;
use std::time::Duration;

/// A process that is measured.
pub(crate) struct Server {
    process: PathBuf,
}

impl Server {
    pub(crate) fn new(pid: u32) -> Self {
        Self { process: PathBuf::from(format!("/proc/{pid}")) }
    }

    /// The time that all its threads have spent on a core.
    ///
    /// # Errors
    ///
    /// It has ended, or this kernel keeps no such account.
    pub(crate) fn cpu_time(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for task in self.process.join("task").read_dir()? {
            let account = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let first = account.split_whitespace().next().unwrap_or("");
            nanoseconds += first.parse::<u64>().map_err(|_| format!("no time in schedstat: {account:?}"))?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    ///
    /// It has ended, or this kernel keeps no such account.
    pub(crate) fn resident_len(&self) -> Outcome<u64> {
        // The one in `status` is a sum of per-core counters that may be hundreds of kilobytes late.
        let rollup = std::fs::read_to_string(self.process.join("smaps_rollup"))?;
        let kibibytes = rollup.lines().find_map(|line| line.strip_prefix("Rss:")?.strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes.unwrap_or("").trim().parse().map_err(|_| "no Rss in smaps_rollup")?;
        Ok(kibibytes * 1024)
    }
}

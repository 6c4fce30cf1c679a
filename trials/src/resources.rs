//! What a process holds of the machine, as Linux shows it, and how much of it one may hold.

use crate::Outcome;
use crate::process::Process;
use std::time::Duration;

/// How long a tick of `/proc/PID/stat` is, on every architecture that Linux runs Rust programs on.
const TICK: Duration = Duration::from_millis(10);

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    /// Resident memory in bytes.
    pub(crate) resident_len: u64,
    /// The most resident memory that it ever had, in bytes.
    pub(crate) peak_len: u64,
    /// How long it has kept a core busy.
    pub(crate) busy: Duration,
}

impl Usage {
    /// What it holds now.
    pub(crate) fn of(process: &Process) -> Outcome<Self> {
        let folder = format!("/proc/{}", process.id());
        let status = std::fs::read_to_string(format!("{folder}/status"))?;
        let stat = std::fs::read_to_string(format!("{folder}/stat"))?;
        Ok(Self {
            descriptors: std::fs::read_dir(format!("{folder}/fd"))?.count(),
            resident_len: memory(&status, "VmRSS:")?,
            peak_len: memory(&status, "VmHWM:")?,
            busy: busy(&stat).ok_or("/proc/PID/stat has no times")?,
        })
    }
}

/// Raises how many descriptors this process may have, and so the programs that it starts.
pub(crate) fn raise_descriptor_limit(needed: usize) -> Outcome {
    let needed = u64::try_from(needed)?;
    let limit = rlimit::increase_nofile_limit(needed)?;
    if limit < needed {
        return Err(format!("{needed} descriptors are needed, and {limit} allowed (`ulimit -Hn`)").into());
    }
    Ok(())
}

/// A field of `/proc/PID/status`, in bytes.
fn memory(status: &str, field: &str) -> Outcome<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes: u64 = line.unwrap_or("").trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

/// The user's and the system's part of `/proc/PID/stat`, its 14th and 15th field. The second one is the program's name,
/// which may contain white space.
fn busy(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks: Vec<u32> = ticks.collect::<Result<_, _>>().ok()?;
    (ticks.len() == 2).then(|| TICK * ticks.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells() {
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(memory(status, "VmRSS:").unwrap(), 1 << 20);
        assert_eq!(memory(status, "VmHWM:").unwrap(), 2 << 20);
        assert!(memory(status, "VmSwap:").is_err());

        let stat = "7 (a b) 1) S 1 7 7 0 -1 4194304 99 0 0 0 150 50 0 0 20 0 4 0 12 100 200";
        assert_eq!(busy(stat), Some(Duration::from_secs(2)));
        assert_eq!(busy("7 (a) S 1"), None);
        assert_eq!(busy(""), None);
    }
}

//! How much memory there is.

use std::fs;

/// What is assumed where the system does not tell, in bytes.
const UNKNOWN: usize = 4 << 30;

/// The memory that this process can have, in bytes: the machine's, or what its control group may have if that is less.
pub(crate) fn available() -> usize {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total(&text));
    let group =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    [machine, group].into_iter().flatten().min().unwrap_or(UNKNOWN)
}

/// Reads `MemTotal` out of Linux's `meminfo`.
fn mem_total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells() {
        let meminfo = "MemTotal:       24592068 kB\nMemFree:        20000000 kB\n";
        assert_eq!(mem_total(meminfo), Some(24_592_068 * 1024));
        for text in ["", "MemTotal: x kB", "MemTotal: 5", "MemFree: 5 kB"] {
            assert_eq!(mem_total(text), None, "{text}");
        }
        assert!(available() > 1 << 20);
    }
}

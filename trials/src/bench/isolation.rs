//! A place where nothing else disturbs: a network of its own, and a core for each side.

use crate::Outcome;
use crate::programs::find_program;
use std::path::Path;
use std::process::{Command, Stdio};

/// The flag by which we know ourselves inside.
const FLAG: &str = "--isolated";

const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// This program again, with the same arguments, in a network namespace of its own.
///
/// # Errors
///
/// Why there can be none.
pub(super) fn again_inside() -> Result<Command, &'static str> {
    let unshare = find_program(&["unshare"]).ok_or("there is no `unshare`")?;
    let this = std::env::current_exe().map_err(|_| "this program cannot be found")?;
    for flags in [&["--net"][..], &["--net", "--map-root-user"]] {
        let mut attempt = Command::new(&unshare);
        attempt.args(flags).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        if attempt.status().is_ok_and(|status| status.success()) {
            let mut again = Command::new(&unshare);
            again.args(flags).arg("--").arg(this).args(std::env::args_os().skip(1)).arg(FLAG);
            return Ok(again);
        }
    }
    Err("this user may not make one")
}

/// Brings up the loopback of a new namespace, without pacing.
pub(super) fn set_up() -> Outcome {
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if !up.is_ok_and(|status| status.success()) {
        return Err("`ip link set lo up` failed in the new namespace (package iproute2)".into());
    }
    // bbr paces even a loopback. Where this cannot be written, the report says what it was.
    let _ = std::fs::write(CONGESTION_CONTROL, "reno");
    Ok(())
}

/// The congestion control of TCP here.
pub(super) fn congestion_control() -> String {
    std::fs::read_to_string(CONGESTION_CONTROL).unwrap_or_default().trim().to_owned()
}

/// Cores for the server and for the load.
pub(super) struct Cores {
    pub(super) server: String,
    pub(super) load: String,
}

impl Cores {
    /// One core for each side.
    ///
    /// # Errors
    ///
    /// There is one core only, or no `taskset`.
    pub(super) fn apart() -> Outcome<Self> {
        match allowed()?[..] {
            [first, .., last] => Ok(Self { server: first.to_string(), load: last.to_string() }),
            _ => Err("one core for the server and one for the load are needed".into()),
        }
    }

    /// All cores for both.
    pub(super) fn shared() -> Outcome<Self> {
        let all = allowed()?.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        Ok(Self { server: all.clone(), load: all })
    }
}

/// A program that will run on these cores only.
pub(super) fn on_cores(cores: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", cores]).arg(program);
    command
}

/// The cores that this process may use.
fn allowed() -> Outcome<Vec<u32>> {
    if find_program(&["taskset"]).is_none() {
        return Err("`taskset` is missing (package util-linux)".into());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("");
    cores(list.trim())
}

/// The numbers in a list such as `0-2,4`.
fn cores(list: &str) -> Outcome<Vec<u32>> {
    let mut cores = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend(first.parse::<u32>()?..=last.parse()?);
    }
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use super::cores;

    #[test]
    fn lists_of_cores_are_read() {
        for (list, expect) in [("0", &[0][..]), ("0-1", &[0, 1]), ("0-2,4", &[0, 1, 2, 4]), ("1,3", &[1, 3])]
        {
            assert_eq!(cores(list).unwrap(), expect, "{list}");
        }
        assert!(cores("").is_err());
    }
}

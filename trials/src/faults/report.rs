//! What was seen in a row, for the eye and for the page.

use crate::canary::EchoTimes;
use crate::resources::Usage;
use std::fmt;
use std::fmt::Write;

const MIB: f64 = 1024.0 * 1024.0;

/// What was seen in a row.
#[derive(Default)]
pub(super) struct Findings {
    /// What the server held before.
    pub(super) before: Option<Usage>,
    /// What it held when all was over.
    pub(super) after: Option<Usage>,
    /// A healthy client's echo times before.
    pub(super) calm: Option<EchoTimes>,
    /// The same while the row was provoked.
    pub(super) meanwhile: Option<EchoTimes>,
    pub(super) seen: Vec<Seen>,
}

/// Something that was seen, and whether it is as it has to be.
pub(super) struct Seen {
    text: String,
    is_good: bool,
}

impl Findings {
    /// A row that could not be seen through.
    pub(super) fn failed(error: &str) -> Self {
        let mut findings = Self::default();
        findings.demand(false, error);
        findings
    }

    /// Takes note of what was seen, and whether it is as it has to be.
    pub(super) fn demand(&mut self, is_good: bool, text: impl Into<String>) {
        self.seen.push(Seen { text: text.into(), is_good });
    }

    /// Whether everything is as it has to be.
    pub(super) fn are_good(&self) -> bool {
        self.seen.iter().all(|seen| seen.is_good)
    }
}

/// One line for each thing.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for seen in &self.seen {
            writeln!(f, "  {}{}", if seen.is_good { "" } else { "NOT AS IT HAS TO BE: " }, seen.text)?;
        }
        let Cells { memory, descriptors, calm, meanwhile } = Cells::of(self);
        writeln!(
            f,
            "  memory {memory} MiB, descriptors {descriptors}, echoes {calm} ms, meanwhile {meanwhile} ms"
        )
    }
}

/// The rows as a table in Markdown.
pub(super) fn table(rows: &[(&str, &str, Findings)]) -> String {
    let mut table =
        "| row | what is done | memory in MiB: before / peak / after | descriptors: before / after | \
                     echoes in ms: median / 99 % / longest | meanwhile | seen | as it has to be |\n\
                     | --- | --- | --: | --: | --: | --: | --- | --- |\n"
            .to_owned();
    for (name, does, findings) in rows {
        let Cells { memory, descriptors, calm, meanwhile } = Cells::of(findings);
        let seen: Vec<_> = findings.seen.iter().map(|seen| seen.text.replace('|', "\\|")).collect();
        let good = if findings.are_good() { "yes" } else { "**no**" };
        // A `String` takes everything.
        let _ = writeln!(
            table,
            "| `{name}` | {does} | {memory} | {descriptors} | {calm} | {meanwhile} | {} | {good} |",
            seen.join("; ")
        );
    }
    table
}

/// This build and the machine that it runs on.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{}, {cores} cores ({model}), Linux {}", env!("CARGO_PKG_VERSION"), kernel.trim())
}

/// What the table says of the server and of its healthy client; a dash stands for what was not measured.
struct Cells {
    memory: String,
    descriptors: String,
    calm: String,
    meanwhile: String,
}

impl Cells {
    fn of(findings: &Findings) -> Self {
        let echoes = |times: &Option<EchoTimes>| times.as_ref().map_or("–".to_owned(), ToString::to_string);
        let (memory, descriptors) = match (&findings.before, &findings.after) {
            (Some(before), Some(after)) => (
                format!(
                    "{:.1} / {:.1} / {:.1}",
                    mib(before.resident_len),
                    mib(after.peak_len),
                    mib(after.resident_len)
                ),
                format!("{} / {}", before.descriptors, after.descriptors),
            ),
            _ => ("–".to_owned(), "–".to_owned()),
        };
        Self { memory, descriptors, calm: echoes(&findings.calm), meanwhile: echoes(&findings.meanwhile) }
    }
}

/// Bytes as MiB, for people.
#[allow(clippy::cast_precision_loss, reason = "one place behind the point is shown")]
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_seen_becomes_a_row() {
        let usage = |descriptors, resident_len| Usage {
            descriptors,
            resident_len,
            peak_len: 3 << 20,
            busy: Duration::ZERO,
        };
        let mut findings = Findings { before: Some(usage(9, 1 << 20)), ..Findings::default() };
        findings.after = Some(usage(10, 5 << 19));
        findings.demand(true, "one");
        findings.demand(true, "a|b");
        assert!(findings.are_good());
        findings.demand(false, "three");
        assert!(!findings.are_good());
        let table = table(&[("name", "this", findings), ("other", "that", Findings::failed("broken"))]);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `name` | this | 1.0 / 3.0 / 2.5 | 9 / 10 | – | – | one; a\\|b; three | **no** |",
                "| `other` | that | – | – | – | – | broken | **no** |"
            ]
        );
    }
}

//! `cargo xtask faults`: what a server has to bear, one row at a time, each against a fresh `ws-cli`.
//!
//! A row provokes one thing and says what has to hold meanwhile and afterwards. The marks are those of a machine that is
//! not quiet; the figures beside them tell how far away they were. `docs/faults.md` is what came of it.
//!
//! Linux only: descriptors and memory are read where Linux shows them, and the clients come from many addresses.

mod ending;
mod floods;
mod logs;
mod memory;
mod pace;
mod report;
mod sockets;
mod start_up;
mod trial;

use crate::build::build_ws_cli;
use crate::{Outcome, document};
use report::{Findings, table};
use std::path::{Path, PathBuf};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Provoke these rows only: names, or how they begin (`floods`).
    #[arg(value_name = "ROW")]
    rows: Vec<String>,

    /// Provoke them in this ws-cli, such as an older one, instead of a release build of this tree.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,

    /// Write the results to docs/faults.md.
    #[arg(long, conflicts_with_all = ["rows", "program"])]
    write: bool,
}

/// A row: its name, what it does, and how.
struct Row {
    name: &'static str,
    does: &'static str,
    provoke: fn(&Path) -> Outcome<Findings>,
}

const ROWS: &[Row] = &[
    Row {
        name: "never-reads",
        does: "a client sends up to 1 GiB to the echo and reads nothing",
        provoke: memory::never_reads,
    },
    Row {
        name: "never-reads-thousandfold",
        does: "1,000 clients do so at once, with messages of 64 KiB",
        provoke: memory::never_reads_thousandfold,
    },
    Row {
        name: "unfinished",
        does: "1,000 messages of 16 MiB are begun, with a budget of 256 MiB",
        provoke: memory::unfinished,
    },
    Row {
        name: "memory-limits",
        does: "the server has 256 MiB, by control groups of either version; 512 MiB, by `ulimit -v`",
        provoke: memory::limits,
    },
    Row {
        name: "crowd-of-small-holders",
        does: "one address begins 1,200 messages of 200 KiB again and again, with a budget of 256 MiB",
        provoke: memory::crowd_of_small_holders,
    },
    Row {
        name: "slow-steady-reader",
        does: "two clients read 16 MiB at 100 KiB/s, beyond every deadline; one has sent its Close before",
        provoke: pace::slow_steady_reader,
    },
    Row {
        name: "stop-and-resume",
        does: "SIGSTOP for three times as long as each deadline, then SIGCONT",
        provoke: pace::stop_and_resume,
    },
    Row {
        name: "floods-of-pings",
        does: "two clients send pings as fast as they can, one of them never reads",
        provoke: floods::pings,
    },
    Row {
        name: "floods-of-fragments",
        does: "the same with fragments of one byte",
        provoke: floods::fragments,
    },
    Row {
        name: "floods-of-empty-fragments",
        does: "the same with empty fragments",
        provoke: floods::empty_fragments,
    },
    Row {
        name: "floods-of-empty-messages",
        does: "the same with empty messages",
        provoke: floods::empty_messages,
    },
    Row {
        name: "silent",
        does: "5,000 sockets say nothing and 5,000 send a byte of their request a second",
        provoke: sockets::silent,
    },
    Row {
        name: "descriptors",
        does: "100 clients come to a server whose descriptors are cut to 64",
        provoke: sockets::descriptors,
    },
    Row {
        name: "connect-flood",
        does: "one address opens and resets connections as fast as it can",
        provoke: sockets::connect_flood,
    },
    Row {
        name: "resets",
        does: "10,000 connections are reset at every kind of moment",
        provoke: sockets::resets,
    },
    Row { name: "cycles", does: "20,000 connections are opened and closed", provoke: sockets::cycles },
    Row {
        name: "drain",
        does: "SIGTERM under 1,000 connections, with a window of 5 s",
        provoke: ending::drain,
    },
    Row {
        name: "second-signal",
        does: "SIGTERM, and SIGTERM again, under 100 clients that answer no close",
        provoke: ending::second_signal,
    },
    Row {
        name: "log-at-its-limit",
        does: "the log's file reaches `ulimit -f`, and is emptied; the log's disk is full",
        provoke: logs::at_its_limit,
    },
    Row {
        name: "panics-unread",
        does: "2,000 times the handler panics, and nobody reads the standard error",
        provoke: logs::panics_unread,
    },
    Row {
        name: "start-up",
        does: "the port is taken; the address is not ours; a flag is wrong",
        provoke: start_up::refusals,
    },
];

/// Provokes the rows in order, all of them, and prints what was seen as the rows of a table.
pub(crate) fn run(options: &Options) -> Outcome {
    if !cfg!(target_os = "linux") {
        return Err("`faults` counts descriptors as Linux shows them, and runs there only".into());
    }
    let rows = chosen(&options.rows)?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build_ws_cli("--release")?,
    };
    let mut all = Vec::new();
    let mut unmet = Vec::new();
    for row in rows {
        eprintln!("\n==> {}: {}", row.name, row.does);
        let findings = (row.provoke)(&program).unwrap_or_else(|error| Findings::failed(&error.to_string()));
        eprint!("{findings}");
        if !findings.are_good() {
            unmet.push(row.name);
        }
        all.push((row.name, row.does, findings));
    }
    let report = format!("{}: ws-cli {}.\n\n{}", document::today(), report::machine(), table(&all));
    println!("\n{report}");
    if !unmet.is_empty() {
        return Err(format!("not as it has to be: {}", unmet.join(", ")).into());
    }
    if options.write {
        document::write(document::FAULTS, "faults", &report)?;
    }
    Ok(())
}

/// The rows of these names, or all.
fn chosen(names: &[String]) -> Outcome<Vec<&'static Row>> {
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| row.name.starts_with(*name))) {
        let all: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("there is no row {unknown}, only {}", all.join(", ")).into());
    }
    let is_chosen = |row: &&Row| names.is_empty() || names.iter().any(|name| row.name.starts_with(name));
    Ok(ROWS.iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_name_or_beginning() {
        for (names, expect) in [
            (&[][..], Some(ROWS.len())),
            (&["drain"], Some(1)),
            (&["floods", "silent"], Some(5)),
            (&["floods", "floods-of-pings"], Some(4)),
            (&["never-reads"], Some(2)),
            (&["drain", "draining"], None),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(chosen(&names).ok().map(|rows| rows.len()), expect, "{names:?}");
        }
    }

    #[test]
    fn every_row_is_on_its_page() {
        let page = std::fs::read_to_string(crate::cargo::root().join(document::FAULTS)).unwrap();
        for row in ROWS {
            assert!(
                page.contains(&format!("| `{}` |", row.name)),
                "{} is not in {}",
                row.name,
                document::FAULTS
            );
        }
    }
}

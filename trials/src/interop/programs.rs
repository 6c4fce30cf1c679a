//! Programs that stand in front of a server, probe it or load it, as they are installed.

use super::check::{Check, Finding};
use crate::Outcome;
use crate::process::lines_of;
use crate::programs::find_program;
use crate::server::Server;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// A program, and what it does with our server.
pub(super) struct Program {
    /// What people call it.
    pub(super) name: &'static str,
    /// The executable.
    pub(super) executable: &'static str,
    /// The argument that prints its version, and the word before the version.
    pub(super) version: (&'static str, &'static str),
    /// Does its checks.
    pub(super) run: fn(&Bench<'_>) -> Vec<Check>,
}

/// What a check works with.
pub(super) struct Bench<'a> {
    /// The program's executable.
    pub(super) executable: &'a Path,
    pub(super) ws_cli: &'a Path,
}

/// What has come of one program.
pub(super) struct Report {
    /// Its name and version.
    program: String,
    checks: Vec<Check>,
}

impl Bench<'_> {
    /// Does one check.
    pub(super) fn check(&self, name: &str, run: impl FnOnce(&Self) -> Outcome) -> Check {
        match run(self) {
            Ok(()) => Check { name: name.to_owned(), finding: Finding::Good },
            Err(error) => Check::failed(name, error.to_string()),
        }
    }

    /// A server of our own, with metrics and with these flags.
    pub(super) fn server(&self, flags: &[&str]) -> Outcome<Server> {
        Server::start(self.ws_cli, &[&["--metrics", "127.0.0.1:0"], flags].concat())
    }
}

/// Runs the checks of those of the programs that are installed, and names those that are not.
pub(super) fn run(
    programs: &[&Program],
    ws_cli: &Path,
    wanted: impl Fn(&str) -> bool,
) -> (Vec<Report>, Vec<String>) {
    let (mut reports, mut left_out) = (Vec::new(), Vec::new());
    for program in programs.iter().filter(|program| wanted(program.name)) {
        eprintln!("==> {}", program.name);
        match find_program(&[program.executable]) {
            Some(executable) => reports.push(program.report(&Bench { executable: &executable, ws_cli })),
            None => left_out.push(format!("{}: there is no {}", program.name, program.executable)),
        }
    }
    (reports, left_out)
}

impl Program {
    fn report(&self, bench: &Bench<'_>) -> Report {
        let (argument, before) = self.version;
        let version = lines_of(Command::new(bench.executable).arg(argument), VERSION_TIMEOUT)
            .ok()
            .and_then(|lines| lines.iter().find_map(|line| word_after(line, before)));
        Report {
            program: format!("{} {}", self.name, version.as_deref().unwrap_or("of unknown version")),
            checks: (self.run)(bench),
        }
    }
}

/// The results as Markdown, a row a check.
pub(super) fn table(reports: &[Report]) -> String {
    let rows = reports.iter().flat_map(|report| {
        report.checks.iter().map(move |check| {
            let word = if check.finding == Finding::Good { "ok" } else { "FAILED" };
            format!("| {} | {} | {word} |\n", report.program, check.name)
        })
    });
    "| program | check | |\n| --- | --- | --- |\n".to_owned() + &rows.collect::<String>()
}

/// What went wrong.
pub(super) fn faults(reports: &[Report]) -> impl Iterator<Item = String> {
    reports.iter().flat_map(|report| {
        report.checks.iter().filter_map(|check| match &check.finding {
            Finding::Fault(seen) => Some(format!("ws-cli and {}, {}: {seen}", report.program, check.name)),
            Finding::Good | Finding::Impossible => None,
        })
    })
}

/// The word that follows these characters: a version is `1.2.3` in `nginx version: nginx/1.2.3`.
fn word_after(line: &str, before: &str) -> Option<String> {
    let (_, rest) = line.split_once(before)?;
    let word = rest.split(|c: char| c.is_whitespace() || c == '-').next()?;
    (!word.is_empty()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Check, Finding, Report, faults, table, word_after};

    #[test]
    fn versions_are_found() {
        for (line, before, expect) in [
            ("nginx version: nginx/1.22.1", "nginx/", Some("1.22.1")),
            ("HAProxy version 2.6.12-1+deb12u4 2026/10/17", "version ", Some("2.6.12")),
            ("2.6.2", "", Some("2.6.2")),
            ("usage: nginx", "nginx/", None),
            ("nginx/", "nginx/", None),
        ] {
            assert_eq!(word_after(line, before).as_deref(), expect, "{line}");
        }
    }

    #[test]
    fn results_are_rows() {
        let checks = vec![
            Check { name: "pages".to_owned(), finding: Finding::Good },
            Check::failed("drain", "it is cut".to_owned()),
        ];
        let reports = [Report { program: "a 1".to_owned(), checks }];
        assert_eq!(
            table(&reports),
            "| program | check | |\n| --- | --- | --- |\n| a 1 | pages | ok |\n| a 1 | drain | FAILED |\n"
        );
        assert_eq!(faults(&reports).collect::<Vec<_>>(), ["ws-cli and a 1, drain: it is cut"]);
    }
}

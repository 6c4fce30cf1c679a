//! `cargo xtask interop`: our server and other people's clients, our client role and other people's servers.
//!
//! Every pair does the same checks three times: without compression, with permessage-deflate as it is agreed on by
//! default, and with context takeover. Each peer is installed by its own package manager below Cargo's target folder;
//! one that cannot be installed is left out, and that is said. So is one of the programs that are used as they are on the
//! machine: proxies, clients of plain HTTP and the JDK.

mod check;
mod clients;
mod ours;
mod peers;
mod programs;
mod proxies;

use crate::browser::{Chromium, DevTools, find_chromium};
use crate::build::{build_ws_cli, target_folder};
use crate::process::{Process, url};
use crate::{Outcome, document};
use check::{Check, Compression, Finding};
use peers::Peer;
use programs::Program;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What each client does with our server: see its script.
const CLIENT_CHECKS: &[&str] = &[
    "compression",
    "text",
    "binary",
    "16 MiB",
    "16 MiB and a byte: 1009",
    "fragments",
    "ping",
    "close with 1000",
    "close with 4001",
    "broken frame: 1002",
    "broken text: 1007",
    "subprotocol",
];

/// The programs that are used as they are on the machine.
const PROGRAMS: [&Program; 6] =
    [&clients::CURL, &clients::AB, &clients::JDK, &proxies::NGINX, &proxies::HAPROXY, &proxies::CADDY];

/// The client that is a page in a browser.
const PAGE: &str = include_str!("interop/page.js");

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the results to docs/conformance.md.
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// Only these: python, npm, Chromium, curl, ab, JDK, nginx, HAProxy, Caddy.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
}

/// One peer's results in one role.
struct Column {
    peer: String,
    /// The checks of each run, in the order of [`Compression::ALL`].
    runs: [Vec<Check>; 3],
}

/// Runs every check with every peer that there is.
pub(crate) fn run(options: &Options) -> Outcome {
    let folder = target_folder()?.join("interop");
    let ws_cli = build_ws_cli("--release")?;
    let wanted =
        |name: &str| options.only.is_empty() || options.only.iter().any(|only| name.starts_with(only));
    let (mut clients, mut servers, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for (name, install) in peers::SCRIPTS.into_iter().filter(|(name, _)| wanted(name)) {
        eprintln!("==> {name}");
        match install(&folder) {
            Ok(peer) => {
                clients
                    .push(Column::of(&peer.name, |compression| script_client(&peer, &ws_cli, compression)));
                servers.push(Column::of(&peer.name, |compression| {
                    let (_process, address) = peer.server(compression)?;
                    Ok(ours::checks(&address, compression))
                }));
            }
            Err(error) => left_out.push(format!("{name}: {error}")),
        }
    }
    if wanted("Chromium") {
        eprintln!("==> Chromium");
        match find_chromium() {
            Ok(chromium) => clients.push(browser_client(&chromium, &ws_cli)?),
            Err(error) => left_out.push(format!("Chromium: {error}")),
        }
    }
    let (programs, absent) = programs::run(&PROGRAMS, &ws_cli, wanted);
    left_out.extend(absent);

    let report = format!(
        "{}, ws-cli {}. Each cell: without compression / with it / with context takeover.\n\n\
         Clients, and ws-cli as the server:\n\n{}\n\
         Servers, and our client role (`ws-handshake` and `ws-protocol`) as the client:\n\n{}\n\
         Programs, and ws-cli as it is shipped:\n\n{}",
        document::today(),
        env!("CARGO_PKG_VERSION"),
        table(CLIENT_CHECKS, &clients),
        table(&ours::names(), &servers),
        programs::table(&programs),
    );
    println!("\n{report}");
    for peer in &left_out {
        eprintln!("!!! NOT CHECKED: {peer}");
    }
    let faults: Vec<String> = faults(CLIENT_CHECKS, &clients, "ws-cli and its client")
        .chain(faults(&ours::names(), &servers, "our client and the server"))
        .chain(programs::faults(&programs))
        .collect();
    if !faults.is_empty() {
        return Err(format!("{} checks failed\n  {}", faults.len(), faults.join("\n  ")).into());
    }
    if clients.is_empty() && programs.is_empty() {
        return Err("there was nobody to talk to".into());
    }
    if options.write {
        if !left_out.is_empty() {
            return Err("not written: it would leave out what was not checked".into());
        }
        document::write(document::CONFORMANCE, "interop", &report)?;
    }
    Ok(())
}

/// What the script that is a client says of our server.
fn script_client(peer: &Peer, ws_cli: &Path, compression: Compression) -> Outcome<Vec<Check>> {
    // Without compression because the client does not ask for it, of a server that would.
    let mode = if compression == Compression::Takeover { "takeover" } else { "shared" };
    let (_server, ws, _) = server(ws_cli, mode)?;
    Ok(peer.client(&ws, compression)?.iter().filter_map(|line| Check::read(line)).collect())
}

/// What a page in a browser says of our server.
fn browser_client(chromium: &Path, ws_cli: &Path) -> Outcome<Column> {
    let browser = Chromium::start(chromium)?;
    let mut devtools = DevTools::connect(browser.devtools_url())?;
    let mut name = "Chromium".to_owned();
    let mut column = Column::of("", |compression| {
        // A page always asks for it.
        let mode = match compression {
            Compression::Off => "off",
            Compression::Deflate => "shared",
            Compression::Takeover => "takeover",
        };
        let (_server, ws, http) = server(ws_cli, mode)?;
        let mut page = devtools.open(&http)?;
        let agent = page.evaluate("navigator.userAgent.match(/Chrome\\/(\\d+)/)?.[1]")?;
        name = format!("Chromium {}", agent.as_str().unwrap_or("of unknown version"));
        page.evaluate(&format!("{PAGE}\ninterop({ws:?}, {:?}); 0", compression.word()))?;
        page.wait_until("window.interopLines !== undefined")?;
        let lines = page.evaluate("window.interopLines")?;
        page.complaints()?;
        let lines = lines.as_array().into_iter().flatten();
        Ok(lines.filter_map(|line| Check::read(line.as_str()?)).collect())
    });
    devtools.end()?;
    browser.wait_for_end()?;
    column.peer = name;
    Ok(column)
}

/// A server that compresses in this mode, and its two URLs.
fn server(ws_cli: &Path, mode: &str) -> Outcome<(Process, String, String)> {
    let server = Process::start(Command::new(ws_cli).args(["--port", "0", "--compression", mode]))?;
    let (ws, http) = server.find_in_lines(|line| url(line, "ws://").zip(url(line, "http://")))?;
    Ok((server, ws, http))
}

impl Column {
    fn of(peer: &str, mut run: impl FnMut(Compression) -> Outcome<Vec<Check>>) -> Self {
        let runs = Compression::ALL.map(|compression| {
            run(compression).unwrap_or_else(|error| vec![Check::failed("the run", error.to_string())])
        });
        Self { peer: peer.to_owned(), runs }
    }

    /// What a check has come to in each run; `None` where it was not done.
    fn findings(&self, name: &str) -> [Option<&Finding>; 3] {
        self.runs.each_ref().map(|checks| {
            let check = checks.iter().find(|check| check.name == name);
            check.map(|check| &check.finding)
        })
    }
}

/// The results as Markdown, a row a check and a column a peer.
fn table(checks: &[&str], columns: &[Column]) -> String {
    let mut table = "| check |".to_owned();
    for column in columns {
        let _ = write!(table, " {} |", column.peer);
    }
    let _ = writeln!(table, "\n| --- |{}", " --- |".repeat(columns.len()));
    for check in checks {
        let _ = write!(table, "| {check} |");
        for column in columns {
            let words = column.findings(check).map(|finding| match finding {
                Some(Finding::Good) => "ok",
                Some(Finding::Impossible) => "–",
                Some(Finding::Fault(_)) => "FAILED",
                None => "MISSING",
            });
            let _ = write!(table, " {} |", words.join(" / "));
        }
        table.push('\n');
    }
    table
}

/// What went wrong, and what was not done though it should have been.
fn faults<'a>(checks: &[&str], columns: &'a [Column], who: &'a str) -> impl Iterator<Item = String> {
    let mut faults = Vec::new();
    for column in columns {
        for (compression, run) in Compression::ALL.iter().zip(&column.runs) {
            let at = format!("{who} {}, compression {}", column.peer, compression.word());
            for Check { name, finding } in run {
                if let Finding::Fault(seen) = finding {
                    faults.push(format!("{at}, {name}: {seen}"));
                }
            }
            let is_done = |name: &str| run.iter().any(|check| check.name == name);
            let missing = checks.iter().filter(|name| !is_done(name));
            faults.extend(missing.map(|name| format!("{at}, {name}: was not done")));
        }
    }
    faults.into_iter()
}

#[cfg(test)]
mod tests {
    use super::{Check, Column, Finding, faults, table};

    fn column() -> Column {
        let read = |lines: &[&str]| lines.iter().filter_map(|line| Check::read(line)).collect();
        let runs =
            [read(&["text\tok", "ping\t-", "noise"]), read(&["text\t1006", "ping\tok"]), read(&["ping\tok"])];
        Column { peer: "a 1.0".to_owned(), runs }
    }

    #[test]
    fn a_line_is_a_check() {
        for (line, expect) in [
            ("text\tok", Some(("text", Finding::Good))),
            ("ping\t-", Some(("ping", Finding::Impossible))),
            ("text\tok and more", Some(("text", Finding::Fault("ok and more".to_owned())))),
            ("a warning", None),
        ] {
            let check = Check::read(line).map(|check| (check.name, check.finding));
            assert_eq!(check, expect.map(|(name, finding)| (name.to_owned(), finding)), "{line}");
        }
    }

    #[test]
    fn results_are_a_table() {
        assert_eq!(
            table(&["text", "ping"], &[column()]),
            "| check | a 1.0 |\n| --- | --- |\n\
             | text | ok / FAILED / MISSING |\n| ping | – / ok / ok |\n"
        );
    }

    #[test]
    fn what_is_missing_is_a_fault_too() {
        let faults: Vec<String> = faults(&["text", "ping"], &[column()], "we and").collect();
        assert_eq!(
            faults,
            [
                "we and a 1.0, compression deflate, text: 1006",
                "we and a 1.0, compression takeover, text: was not done"
            ]
        );
    }
}

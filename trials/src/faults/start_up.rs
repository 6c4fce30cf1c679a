//! Servers that cannot start, and have to say why.

use super::report::Findings;
use crate::Outcome;
use crate::process::Process;
use crate::server::Server;
use std::path::Path;
use std::process::Command;

/// An address that is nobody's (RFC 5737).
const FOREIGN: &str = "192.0.2.1";

/// What keeps a server from starting, each with its exit code; the two that are not about the command line are told in one
/// line that names what cannot be had.
pub(super) fn refusals(program: &Path) -> Outcome<Findings> {
    let running = Server::start(program, &["--workers", "1"])?;
    let taken = running.port().to_string();
    let mut findings = Findings::default();
    for (flags, code, named) in [
        (&["--port", &taken][..], 1, Some(&*taken)),
        (&["--port", "0", "--bind", FOREIGN], 1, Some(FOREIGN)),
        (&["--no-such-flag"], 2, None),
        (&["--max-message-size", "much"], 2, None),
    ] {
        let (status, lines) = Process::start(Command::new(program).args(flags))?.wait_for_end_and_lines()?;
        let is_told = named.is_none_or(|named| lines.len() == 1 && lines[0].contains(named));
        let said = lines.first().map_or("", String::as_str);
        findings.demand(
            status.code() == Some(code) && is_told,
            format!("{}: {status}, {said:?}", flags.join(" ")),
        );
    }
    running.end()?;
    Ok(findings)
}

//! Clients that are programs: curl, ab and the JDK.

use super::check::Check;
use super::programs::{Bench, Program};
use crate::Outcome;
use crate::process::{Process, ScratchFolder, lines_of};
use crate::server::Server;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest that curl takes for a request, in seconds.
const CURL_SECONDS: &str = "10";

/// A body for which curl asks first (`Expect: 100-continue`), and which no socket's buffer holds.
const LARGE_BODY_LEN: usize = 8 << 20;

/// How many requests ab makes.
const REQUESTS: &str = "500";

pub(super) const CURL: Program =
    Program { name: "curl", executable: "curl", version: ("--version", "curl "), run: curl };

pub(super) const AB: Program = Program { name: "ab", executable: "ab", version: ("-V", "Version "), run: ab };

pub(super) const JDK: Program =
    Program { name: "JDK", executable: "java", version: ("--version", "openjdk "), run: jdk };

/// The script of its two clients, and the checks that it does.
const JDK_SCRIPT: &str = include_str!("Jdk.java");
const JDK_CHECKS: [&str; 7] = [
    "GET with its offer of h2c",
    "HEAD",
    "POST: 405",
    "WebSocket: text",
    "WebSocket: 400,000 characters in 50 fragments",
    "WebSocket: ping",
    "WebSocket: close with 4001",
];

/// What a response has to be.
struct Expected {
    status: u16,
    has_content: bool,
    /// A field with its value, or the beginning of both.
    field: &'static str,
}

const PAGE: Expected = Expected { status: 200, has_content: true, field: "Content-Length: " };
const HEAD: Expected = Expected { has_content: false, ..PAGE };
const METHODS: Expected = Expected { status: 204, has_content: false, field: "Allow: GET, HEAD" };
const NOT_ALLOWED: Expected = Expected { status: 405, has_content: true, field: "Allow: GET, HEAD" };

fn curl(bench: &Bench<'_>) -> Vec<Check> {
    let mut checks: Vec<Check> = [
        ("GET", &[][..], PAGE),
        ("GET over HTTP/1.0", &["--http1.0"], PAGE),
        ("`--http2`: an offer of h2c", &["--http2"], PAGE),
        ("`-I`: HEAD", &["--head"], HEAD),
        ("OPTIONS", &["--request", "OPTIONS"], METHODS),
        ("POST: 405", &["--data", "x"], NOT_ALLOWED),
    ]
    .iter()
    .map(|(name, flags, expected)| bench.check(name, |bench| pages(bench, flags, expected)))
    .collect();
    checks.push(bench.check("POST of 8 MiB: 405", |bench| {
        let folder = ScratchFolder::new()?;
        let body = folder.path().join("body");
        std::fs::write(&body, vec![b'x'; LARGE_BODY_LEN])?;
        pages(bench, &["--data-binary", &format!("@{}", body.display())], &NOT_ALLOWED)
    }));
    for (name, flags, scheme) in [
        ("`--http2-prior-knowledge`: refused and logged", &["--http2-prior-knowledge"][..], "http"),
        ("https on the plain port: refused and logged", &[], "https"),
    ] {
        checks.push(bench.check(name, |bench| refused(bench, flags, scheme)));
    }
    checks
}

/// Asks for every page.
fn pages(bench: &Bench<'_>, flags: &[&str], expected: &Expected) -> Outcome {
    let server = bench.server(&[])?;
    for url in urls(&server)? {
        let lines = lines_of(&mut curl_command(bench.executable, flags, &url), TIMEOUT)?;
        // An informational response (100 Continue) may stand before the one that counts.
        let start = lines.iter().rposition(|line| line.starts_with("HTTP/1.1 ")).ok_or("no response")?;
        let mut response = lines[start..].iter().map(|line| line.trim_end());
        let status = response.next().unwrap_or("");
        let head: Vec<&str> = response.by_ref().take_while(|line| !line.is_empty()).collect();
        let has_content = response.next().is_some();
        let is_right = status.starts_with(&format!("HTTP/1.1 {} ", expected.status))
            && has_content == expected.has_content
            && [expected.field, "Date: ", "Connection: close"]
                .iter()
                .all(|field| head.iter().any(|line| line.starts_with(field)));
        if !is_right {
            return Err(format!("{url}: {status} {head:?}, content: {has_content}").into());
        }
    }
    server.end()?;
    Ok(())
}

/// Speaks what the port does not: the client fails soon, and the server logs why.
fn refused(bench: &Bench<'_>, flags: &[&str], scheme: &str) -> Outcome {
    let server = bench.server(&[])?;
    let url = format!("{scheme}://127.0.0.1:{}/", server.port());
    let mut client = Process::start(&mut curl_command(bench.executable, flags, &url))?;
    if client.wait_for_end()?.success() {
        return Err("curl has got a response".into());
    }
    let lines = server.end()?;
    if lines.iter().any(|line| line.contains("refused")) {
        Ok(())
    } else {
        Err(format!("no line about it, only {lines:?}").into())
    }
}

fn curl_command(executable: &Path, flags: &[&str], url: &str) -> Command {
    let mut command = Command::new(executable);
    // No file of the user's has a say, and no proxy of the environment is asked.
    command.args(["--disable", "--noproxy", "*", "--silent", "--show-error", "--include"]);
    command.args(["--max-time", CURL_SECONDS]).args(flags).arg(url);
    command
}

fn ab(bench: &Bench<'_>) -> Vec<Check> {
    [("GET", &[][..]), ("GET with `-k`, keep-alive", &["-k"]), ("`-i`: HEAD", &["-i"])]
        .iter()
        .map(|(name, flags)| bench.check(name, |bench| load(bench, flags)))
        .collect()
}

/// Asks for every page again and again, ten at a time.
fn load(bench: &Bench<'_>, flags: &[&str]) -> Outcome {
    let server = bench.server(&["--log-format", "off"])?;
    for url in urls(&server)? {
        let mut command = Command::new(bench.executable);
        // -l: the length of the metrics varies, and is no failure.
        command.args(["-q", "-l", "-n", REQUESTS, "-c", "10", "-s", "10"]).args(flags).arg(&url);
        let lines = lines_of(&mut command, TIMEOUT)?;
        let value = |name: &str| lines.iter().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        let seen = ["Complete requests:", "Failed requests:", "Non-2xx responses:"].map(value);
        if seen != [Some(REQUESTS), Some("0"), None] {
            return Err(format!("{url}: complete, failed, other than 2xx: {seen:?}").into());
        }
    }
    server.end()?;
    Ok(())
}

/// Runs all checks of the JDK in one go: a start of it takes a second and more.
fn jdk(bench: &Bench<'_>) -> Vec<Check> {
    let outcome = || -> Outcome<Vec<Check>> {
        let server = bench.server(&[])?;
        let folder = ScratchFolder::new()?;
        let script = folder.path().join("Jdk.java");
        std::fs::write(&script, JDK_SCRIPT)?;
        let mut command = Command::new(bench.executable);
        command.args(["-Xmx256m", "-Dfile.encoding=UTF-8"]).arg(script);
        command.arg(format!("ws://127.0.0.1:{}/", server.port())).args(urls(&server)?);
        let lines = lines_of(&mut command, TIMEOUT)?;
        server.end()?;
        Ok(lines.iter().filter_map(|line| Check::read(line)).collect())
    };
    let seen = outcome().unwrap_or_else(|error| vec![Check::failed("the run", error.to_string())]);
    with_missing(seen, &JDK_CHECKS)
}

/// Adds a fault for each check that was not done.
fn with_missing(mut seen: Vec<Check>, names: &[&str]) -> Vec<Check> {
    for name in names {
        if !seen.iter().any(|check| check.name == *name) {
            seen.push(Check::failed(name, "was not done".to_owned()));
        }
    }
    seen
}

/// Every page of a server and of its metrics.
fn urls(server: &Server) -> Outcome<[String; 6]> {
    let (port, metrics_port) = (server.port(), server.metrics_port()?);
    Ok([
        (port, "/"),
        (port, "/healthz"),
        (port, "/readyz"),
        (metrics_port, "/metrics"),
        (metrics_port, "/healthz"),
        (metrics_port, "/readyz"),
    ]
    .map(|(port, path)| format!("http://127.0.0.1:{port}{path}")))
}

#[cfg(test)]
mod tests {
    use super::super::check::Finding;
    use super::{Check, JDK_CHECKS, JDK_SCRIPT, with_missing};

    #[test]
    fn a_check_that_was_not_done_is_a_fault() {
        let seen = with_missing(vec![Check { name: "a".to_owned(), finding: Finding::Good }], &["a", "b"]);
        let faults: Vec<_> = seen.iter().map(|check| (check.name.as_str(), &check.finding)).collect();
        let missing = Finding::Fault("was not done".to_owned());
        assert_eq!(faults, [("a", &Finding::Good), ("b", &missing)]);
    }

    #[test]
    fn the_script_has_every_check() {
        for name in JDK_CHECKS {
            assert!(JDK_SCRIPT.contains(&format!("check(\"{name}\", ")), "{name}");
        }
        assert_eq!(JDK_SCRIPT.matches("        check(\"").count(), JDK_CHECKS.len());
    }
}

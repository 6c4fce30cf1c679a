//! `cargo xtask conformance`: the Autobahn testsuite's fuzzing client against the server, as it is without any flag.
//!
//! The suite is a program of its own, in a container or wherever `--runner` finds one. Its verdicts are read from the
//! report that it leaves; what they come to is decided here, and a case that is missing is a case that failed.

mod cases;
mod results;

use crate::build::{build_ws_cli, target_folder};
use crate::process::{Process, url};
use crate::programs::{find_program, status_of};
use crate::{Outcome, document};
use results::Results;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The suite's usual container image.
const IMAGE: &str = "crossbario/autobahn-testsuite:25.10.1";

/// What starts containers, the first that there is.
const ENGINES: &[&str] = &["docker", "podman"];

/// How the suite's specification is called in its folder.
const SPECIFICATION: &str = "fuzzingclient.json";

/// How long all cases may take together. A server that answers nothing could take hours.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run the suite with this command, its words parted by white space, in the place of its container image. To them are
    /// added: ws://127.0.0.1:PORT --out DIR, then --cases and --exclude if they are given. It leaves the suite's
    /// `index.json` in DIR.
    #[arg(long, value_name = "CMD")]
    runner: Option<String>,

    /// Run these cases only, such as 6.4.1 or '12.*'.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    cases: Vec<String>,

    /// Leave out these cases.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    exclude: Vec<String>,

    /// Write the results to docs/conformance.md.
    #[arg(long, conflicts_with_all = ["cases", "exclude"])]
    write: bool,
}

/// Starts the server, runs the suite, and judges each case.
pub(crate) fn run(options: &Options) -> Outcome {
    let (expected, left_out): (Vec<String>, Vec<String>) = cases::all().partition(|id| options.include(id));
    if expected.is_empty() {
        return Err("the suite has no such case".into());
    }
    let folder = target_folder()?.join("conformance");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;

    let server = Process::start(Command::new(build_ws_cli("--release")?).args(["--port", "0"]))?;
    let announced = server.find_in_lines(|line| url(line, "ws://"))?;
    let target = announced.replace("localhost", "127.0.0.1");
    let mut suite = match &options.runner {
        Some(runner) => options.command(runner, &target, &folder)?,
        None => {
            std::fs::write(folder.join(SPECIFICATION), options.specification(&target).to_string())?;
            let engine = find_program(ENGINES).ok_or_else(|| {
                format!("there is no {}: give a command with --runner", ENGINES.join(" and no "))
            })?;
            container(&engine, &folder)
        }
    };
    let start = Instant::now();
    let status = status_of(&mut suite, TIMEOUT)?;
    let results = Results::read(&folder)
        .map_err(|error| format!("the suite ended with {status} and left no report: {error}"))?;

    eprintln!("the suite took {} s", start.elapsed().as_secs());

    let summary = format!(
        "{}: {} against ws-cli {}, {} of {} cases.",
        document::today(),
        results.suite,
        env!("CARGO_PKG_VERSION"),
        results.len(),
        cases::all().count(),
    );
    let report = format!("{summary}\n\n{}", results.table());
    println!("\n{report}");
    if !left_out.is_empty() {
        eprintln!("!!! NOT RUN: {} cases: {}", left_out.len(), cases::by_group(&left_out));
    }
    let faults = results.faults(&expected);
    if !faults.is_empty() {
        let count = faults.len();
        return Err(format!("{count} cases are not as they have to be\n  {}", faults.join("\n  ")).into());
    }
    if !status.success() {
        return Err(format!("every case is as it has to be, but the suite ended with {status}").into());
    }
    if options.write {
        document::write(document::CONFORMANCE, "conformance", &report)?;
    }
    Ok(())
}

impl Options {
    fn include(&self, id: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| cases::matches(pattern, id));
        (self.cases.is_empty() || any(&self.cases)) && !any(&self.exclude)
    }

    /// The runner's words, and what it is to do.
    fn command(&self, runner: &str, target: &str, folder: &Path) -> Outcome<Command> {
        let mut words = runner.split_whitespace();
        let mut command = Command::new(words.next().ok_or("--runner is empty")?);
        command.args(words).arg(target).arg("--out").arg(folder);
        for (flag, patterns) in [("--cases", &self.cases), ("--exclude", &self.exclude)] {
            if !patterns.is_empty() {
                command.arg(flag).args(patterns);
            }
        }
        Ok(command)
    }

    /// The same in the suite's own words, for the container.
    fn specification(&self, target: &str) -> Value {
        let all = ["*".to_owned()];
        json!({
            "outdir": "/reports",
            "servers": [{ "agent": "ws-cli", "url": target }],
            "cases": if self.cases.is_empty() { &all[..] } else { &self.cases },
            "exclude-cases": self.exclude,
            "exclude-agent-cases": {},
        })
    }
}

/// The suite in its container, on the network of this machine, which is where the server is.
fn container(engine: &Path, folder: &Path) -> Command {
    let mut command = Command::new(engine);
    command.args(["run", "--rm", "--network", "host", "--volume"]);
    command.arg(format!("{}:/reports", folder.display()));
    command.args([IMAGE, "wstest", "--mode", "fuzzingclient", "--spec"]);
    command.arg(format!("/reports/{SPECIFICATION}"));
    command
}

#[cfg(test)]
mod tests {
    use super::{Options, container};
    use serde_json::json;
    use std::path::Path;
    use std::process::Command;

    const TARGET: &str = "ws://127.0.0.1:9999";

    fn options(cases: &[&str], exclude: &[&str]) -> Options {
        let owned = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Options { runner: None, cases: owned(cases), exclude: owned(exclude), write: false }
    }

    fn words(command: &Command) -> String {
        let words = [command.get_program()].into_iter().chain(command.get_args());
        words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_runner_is_told_what_to_do() {
        for (cases, exclude, expect) in [
            (&[][..], &[][..], "run --jobs 2 ws://127.0.0.1:9999 --out target/out"),
            (
                &["1.*", "2.1"],
                &["1.1.*"],
                "run --jobs 2 ws://127.0.0.1:9999 --out target/out --cases 1.* 2.1 --exclude 1.1.*",
            ),
        ] {
            let options = options(cases, exclude);
            let command = options.command(" run  --jobs 2", TARGET, Path::new("target/out")).unwrap();
            assert_eq!(words(&command), expect);
        }
        assert!(options(&[], &[]).command(" ", TARGET, Path::new("out")).is_err());
    }

    #[test]
    fn the_container_has_the_folder_and_the_network_of_the_machine() {
        assert_eq!(
            words(&container(Path::new("docker"), Path::new("target/out"))),
            "docker run --rm --network host --volume target/out:/reports \
             crossbario/autobahn-testsuite:25.10.1 \
             wstest --mode fuzzingclient --spec /reports/fuzzingclient.json"
        );
    }

    #[test]
    fn the_specification_is_in_the_words_of_the_suite() {
        let expect = |cases: &[&str], exclude: &[&str]| {
            json!({
                "outdir": "/reports",
                "servers": [{ "agent": "ws-cli", "url": TARGET }],
                "cases": cases,
                "exclude-cases": exclude,
                "exclude-agent-cases": {},
            })
        };
        assert_eq!(options(&[], &[]).specification(TARGET), expect(&["*"], &[]));
        assert_eq!(
            options(&["1.*", "2.1"], &["1.1.*"]).specification(TARGET),
            expect(&["1.*", "2.1"], &["1.1.*"])
        );
    }

    #[test]
    fn cases_are_chosen_by_pattern() {
        for (cases, exclude, id, expect) in [
            (&[][..], &[][..], "1.1.1", true),
            (&["2.*"], &[], "1.1.1", false),
            (&["1.*"], &["1.1.1"], "1.1.1", false),
            (&["1.*"], &["1.1.1"], "1.1.2", true),
        ] {
            assert_eq!(options(cases, exclude).include(id), expect, "{cases:?} {exclude:?} {id}");
        }
    }
}

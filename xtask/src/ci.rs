//! `cargo xtask ci`: all the checks there are, here and in CI.

use crate::{
    Outcome,
    cargo::{bench, cargo, metadata, output, run as run_command},
    programs::{find_program, status_of},
    trial::trial,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// The crates that are `no_std`.
const CORES: &str = "--package ws-endpoint --package ws-frame --package ws-handshake --package ws-protocol";

/// The manifests of all workspaces.
const MANIFESTS: [&str; 3] = ["Cargo.toml", "bench/Cargo.toml", "fuzz/Cargo.toml"];

/// How long the database of advisories may take to come.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// What makes `git log` print nothing if the database is not new. It changes several times a week.
const DATABASE_IS_NEW: &str = "--since=14.days";

/// A check.
struct Step {
    name: &'static str,
    /// What it finds out.
    about: &'static str,
    run: fn() -> Outcome<Vec<LeftOut>>,
}

/// Something that a step could not check, and the reason.
type LeftOut = String;

/// All checks, in order: what is fast and fails often comes first.
const STEPS: &[Step] = &[
    Step { name: "format", about: "the sources of all workspaces are formatted", run: format },
    Step { name: "tidy", about: "the invariants hold that the sources show", run: tidy },
    Step { name: "clippy", about: "no lint complains", run: clippy },
    Step { name: "tests", about: "every test and every example of the documentation passes", run: tests },
    Step {
        name: "documentation",
        about: "the documentation, also the private one, has no broken link",
        run: documentation,
    },
    Step {
        name: "libraries",
        about: "each library compiles alone, with and without its features",
        run: alone,
    },
    Step { name: "fuzz", about: "the fuzz targets compile", run: fuzz },
    Step { name: "bench", about: "the benchmark and the servers in it compile", run: benchmark },
    Step {
        name: "bare-metal",
        about: "the cores compile where there is no operating system",
        run: bare_metal,
    },
    Step { name: "32-bit", about: "the programs compile for 32 bits", run: programs_of_32_bits },
    Step {
        name: "dependencies",
        about: "licences, sources and advisories of the dependencies",
        run: dependencies,
    },
    Step { name: "browser", about: "the console page works in a real browser", run: browser },
    Step { name: "connections", about: "10,000 connections at once leave nothing behind", run: connections },
];

/// The steps that need a browser or a release build.
const SLOW: &[&str] = &["browser", "connections"];

/// What to run.
#[derive(clap::Args)]
#[command(after_help = steps_for_help())]
pub(crate) struct Options {
    /// The steps to run, by their names; all by default.
    #[arg(value_name = "STEP", value_parser = clap::builder::PossibleValuesParser::new(STEPS.iter().map(|step| step.name)), hide_possible_values = true)]
    steps: Vec<String>,
    /// Leave out what needs a browser or a release build: for the time while one writes.
    #[arg(long)]
    quick: bool,
}

fn steps_for_help() -> String {
    let steps = STEPS.iter().map(|step| format!("\n  {:14} {}", step.name, step.about));
    format!("Steps:{}", steps.collect::<String>())
}

/// Runs the steps in order, up to the first that fails.
pub(crate) fn run(options: &Options) -> Outcome {
    let start = Instant::now();
    let mut left_out = Vec::new();
    let is_wanted =
        |step: &&Step| options.steps.is_empty() || options.steps.iter().any(|name| name == step.name);
    let mut passed = Vec::new();
    for step in STEPS.iter().filter(is_wanted) {
        let Step { name, .. } = step;
        if options.quick && SLOW.contains(name) {
            left_out.push(format!("{name}: left out by --quick"));
            continue;
        }
        eprintln!("\n==> {name}");
        let step_start = Instant::now();
        match (step.run)() {
            Ok(more) => left_out.extend(more.into_iter().map(|reason| format!("{name}: {reason}"))),
            Err(error) => return Err(failed(name, &passed, &*error).into()),
        }
        let seconds = step_start.elapsed().as_secs_f64();
        eprintln!("==> {name}: passed in {seconds:.1} s");
        passed.push(format!("{name} ({seconds:.0} s)"));
    }
    for check in &left_out {
        eprintln!("\n!!! NOT CHECKED: {check}");
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("\npassed: {}", passed.join(", "));
    eprintln!("ci: passed in {seconds:.0} s, {} checks left out", left_out.len());
    Ok(())
}

/// The report of a step that failed: which one, and how to repeat it alone.
fn failed(name: &str, passed: &[String], error: &dyn std::error::Error) -> String {
    let before = if passed.is_empty() { "nothing".to_owned() } else { passed.join(", ") };
    format!(
        "the step `{name}` failed: {error}\n  passed before: {before}\n  to repeat it alone: cargo xtask ci {name}"
    )
}

fn format() -> Outcome<Vec<LeftOut>> {
    run_command(&mut cargo("fmt --all --check"))?;
    run_command(&mut bench("fmt --all --check"))?;
    Ok(vec![])
}

fn tidy() -> Outcome<Vec<LeftOut>> {
    run_command(&mut cargo("test --quiet --locked --package xtask --test tidy"))?;
    Ok(vec![])
}

fn clippy() -> Outcome<Vec<LeftOut>> {
    run_command(&mut cargo("clippy --workspace --all-targets --all-features --locked -- -D warnings"))?;
    Ok(vec![])
}

fn tests() -> Outcome<Vec<LeftOut>> {
    run_command(&mut cargo("test --workspace --all-features --locked"))?;
    Ok(vec![])
}

fn documentation() -> Outcome<Vec<LeftOut>> {
    for flags in ["", " --document-private-items"] {
        let mut doc = cargo(&format!("doc --workspace --no-deps --all-features --locked{flags}"));
        run_command(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(vec![])
}

fn alone() -> Outcome<Vec<LeftOut>> {
    for library in libraries()? {
        run_command(&mut cargo(&format!("check --locked --package {library}")))?;
        let smallest = format!("clippy --locked --package {library} --no-default-features");
        run_command(&mut cargo(&format!("{smallest} -- -D warnings")))?;
    }
    Ok(vec![])
}

fn fuzz() -> Outcome<Vec<LeftOut>> {
    run_command(&mut cargo("check --locked --manifest-path fuzz/Cargo.toml --all-targets"))?;
    Ok(vec![])
}

fn benchmark() -> Outcome<Vec<LeftOut>> {
    // Its server in C++ is built by a build script, which needs a compiler.
    let has_compiler = find_program(&["c++", "g++", "clang++"]).is_some();
    let except = if has_compiler { "" } else { " --exclude bench-uwebsockets" };
    run_command(&mut bench(&format!("check --locked --workspace --all-targets{except}")))?;
    let reason = "there is no C++ compiler to build uWebSockets with";
    Ok(if has_compiler { vec![] } else { vec![reason.to_owned()] })
}

fn bare_metal() -> Outcome<Vec<LeftOut>> {
    let targets = installed_targets()?;
    let Some(target) = targets.iter().find(|target| target.contains("-none")) else {
        return Ok(vec!["no such target is installed (`rustup target list`)".to_owned()]);
    };
    run_command(&mut cargo(&format!("check --locked {CORES} --no-default-features --target {target}")))?;
    Ok(vec![])
}

fn programs_of_32_bits() -> Outcome<Vec<LeftOut>> {
    let targets = installed_targets()?;
    let Some(target) = targets.iter().find(|target| is_32_bit(target)) else {
        return Ok(vec!["no such target is installed (`rustup target list`)".to_owned()]);
    };
    run_command(&mut cargo(&format!("check --locked --package ws-cli --target {target}")))?;
    Ok(vec![])
}

fn dependencies() -> Outcome<Vec<LeftOut>> {
    if find_program(&["cargo-deny"]).is_none() {
        return Ok(vec!["there is no cargo-deny (`cargo install --locked cargo-deny`)".to_owned()]);
    }
    check_dependencies()
}

fn browser() -> Outcome<Vec<LeftOut>> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    if std::env::var_os("CHROMIUM").is_none() && find_program(&names).is_none() {
        return Ok(vec!["there is no Chromium on the PATH or in $CHROMIUM".to_owned()]);
    }
    run_command(&mut trial("browser"))?;
    Ok(vec![])
}

fn connections() -> Outcome<Vec<LeftOut>> {
    if cfg!(not(target_os = "linux")) {
        return Ok(vec!["counts descriptors as Linux shows them".to_owned()]);
    }
    run_command(&mut trial("connections"))?;
    Ok(vec![])
}

/// The workspace's crates that have a library.
fn libraries() -> Outcome<Vec<String>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let libraries = packages.filter(|package| {
        let mut targets = package["targets"].as_array().into_iter().flatten();
        targets.any(|target| target["kind"][0] == "lib")
    });
    Ok(libraries.filter_map(|package| package["name"].as_str().map(str::to_owned)).collect())
}

/// Has cargo-deny check the lock file of each workspace against `deny.toml`, and gives what could not be checked.
fn check_dependencies() -> Outcome<Vec<LeftOut>> {
    let mut left_out = Vec::new();
    let mut fetched = Vec::new();
    for manifest in MANIFESTS {
        // Licences stand in the sources, those for other systems included.
        match run_command(&mut cargo(&format!("fetch --quiet --locked --manifest-path {manifest}"))) {
            Ok(()) => fetched.push(manifest),
            Err(error) => left_out.push(format!("dependencies of {manifest}: {error}")),
        }
    }
    let deny = |manifest: &str, checks: &str| {
        let deny = "deny --locked --offline --config deny.toml --manifest-path";
        run_command(&mut cargo(&format!("{deny} {manifest} check {checks}")))
    };
    for manifest in &fetched {
        deny(manifest, "licenses bans sources")?;
    }
    // It succeeds where there is an old database, so only the database's age tells. Without any, nothing comes of it.
    let _ = status_of(&mut cargo("deny --config deny.toml fetch db"), FETCH_TIMEOUT);
    let Some(database) = advisory_database() else {
        left_out.push("advisories: their database could not be fetched".to_owned());
        return Ok(left_out);
    };
    for manifest in &fetched {
        deny(manifest, "advisories")?;
    }
    let last_commit = |flags: &str| {
        let mut git = Command::new("git");
        output(
            git.arg("-C").arg(&database).args(["log", "-1", "--format=%cs"]).args(flags.split_whitespace()),
        )
    };
    if last_commit(DATABASE_IS_NEW)?.is_empty() {
        let date = last_commit("")?;
        left_out.push(format!("advisories after {}: their database could not be fetched", date.trim()));
    }
    Ok(left_out)
}

/// The folder in which cargo-deny keeps the database that it has fetched, if it ever has.
fn advisory_database() -> Option<PathBuf> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    let mut entries = cargo_home.join("advisory-dbs").read_dir().ok()?.filter_map(Result::ok);
    entries.find_map(|entry| entry.path().join(".git").exists().then(|| entry.path()))
}

/// Whether a target has 32 bits and the standard library of an operating system that mio knows.
fn is_32_bit(target: &str) -> bool {
    let has_32_bits = ["i686-", "i586-", "arm-", "armv7-", "mips-", "mipsel-", "powerpc-"];
    target.contains("-linux-") && has_32_bits.iter().any(|prefix| target.starts_with(prefix))
}

/// The targets that are installed. On one that has no `std`, a core that names it cannot be built.
fn installed_targets() -> Outcome<Vec<String>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = output(Command::new(rustc).args(["--print", "sysroot"]))?;
    let mut targets = Vec::new();
    for entry in Path::new(sysroot.trim()).join("lib/rustlib").read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // `etc` and `components` stand beside them.
        if !name.starts_with("manifest-") && name.contains('-') {
            targets.push(name);
        }
    }
    Ok(targets)
}

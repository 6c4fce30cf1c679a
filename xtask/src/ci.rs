//! `cargo xtask ci`: all the checks there are, here and in CI.

use crate::cargo::{bench, cargo, libraries, output, run as run_command};
use crate::process::{find_program, status_of};
use crate::{Outcome, browser, connections};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The crates that are `no_std`.
const CORES: &str = "--package ws-frame --package ws-handshake --package ws-protocol";

/// The manifests of all workspaces.
const MANIFESTS: [&str; 3] = ["Cargo.toml", "bench/Cargo.toml", "fuzz/Cargo.toml"];

/// How long the database of advisories may take to come.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// What makes `git log` print nothing if the database is not new. It changes several times a week.
const DATABASE_IS_NEW: &str = "--since=14.days";

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out what needs a browser or a release build: for the time while one writes.
    #[arg(long)]
    quick: bool,
}

/// Runs the checks in order, up to the first that fails.
pub(crate) fn run(options: &Options) -> Outcome {
    let start = Instant::now();
    let mut left_out = Vec::new();

    step("format", || {
        run_command(&mut cargo("fmt --all --check"))?;
        run_command(&mut bench("fmt --all --check"))
    })?;
    step("clippy", || {
        run_command(&mut cargo("clippy --workspace --all-targets --all-features --locked -- -D warnings"))
    })?;
    step("documentation", || {
        let mut doc = cargo("doc --workspace --no-deps --all-features --locked");
        run_command(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    step("tests", || run_command(&mut cargo("test --workspace --all-features --locked")))?;
    for library in libraries()? {
        step(&format!("{library} alone"), || {
            run_command(&mut cargo(&format!("check --locked --package {library}")))?;
            let smallest = format!("clippy --locked --package {library} --no-default-features");
            run_command(&mut cargo(&format!("{smallest} -- -D warnings")))
        })?;
    }
    let targets = installed_targets()?;
    match targets.iter().find(|target| target.contains("-none")) {
        Some(target) => step(&format!("cores on {target}"), || {
            run_command(&mut cargo(&format!(
                "check --locked {CORES} --no-default-features --target {target}"
            )))
        })?,
        None => {
            left_out.push("cores without std: no such target is installed (`rustup target list`)".to_owned());
        }
    }
    match targets.iter().find(|target| is_32_bit(target)) {
        Some(target) => step(&format!("programs on {target}, of 32 bits"), || {
            run_command(&mut cargo(&format!("check --locked --package ws-cli --target {target}")))
        })?,
        None => left_out.push("32 bits: no such target is installed (`rustup target list`)".to_owned()),
    }
    match find_program(&["cargo-deny"]) {
        Some(_) => step("dependencies", || {
            left_out.extend(check_dependencies()?);
            Ok(())
        })?,
        None => left_out.push(
            "licences, sources and advisories of the dependencies: there is no cargo-deny \
             (`cargo install --locked cargo-deny`)"
                .to_owned(),
        ),
    }
    if options.quick {
        left_out.push("browser and connections: left out by --quick".to_owned());
    } else {
        match browser::find_chromium() {
            Ok(_) => step("browser", || browser::run(&browser::Options::default()))?,
            Err(absent) => left_out.push(format!("browser: {absent}")),
        }
        if cfg!(target_os = "linux") {
            step("connections", || connections::run(&connections::Options::default()))?;
        } else {
            left_out.push("connections: counts descriptors as Linux shows them".to_owned());
        }
    }

    for check in &left_out {
        eprintln!("\n!!! NOT CHECKED: {check}");
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("\nci: passed in {seconds:.0} s, {} checks left out", left_out.len());
    Ok(())
}

/// Announces a check, runs it, and says how long it took.
fn step(name: &str, check: impl FnOnce() -> Outcome) -> Outcome {
    eprintln!("\n==> {name}");
    let start = Instant::now();
    check().map_err(|error| format!("ci stopped at `{name}`: {error}"))?;
    eprintln!("==> {name}: passed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Has cargo-deny check the lock file of each workspace against `deny.toml`, and gives what could not be checked.
fn check_dependencies() -> Outcome<Vec<String>> {
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

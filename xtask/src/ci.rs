//! `cargo xtask ci`: all the checks there are, here and in CI.

use crate::cargo::{bench, cargo, libraries, output, run as run_command};
use crate::{Outcome, browser, connections};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The crates that are `no_std`.
const CORES: &str = "--package ws-frame --package ws-handshake --package ws-protocol";

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

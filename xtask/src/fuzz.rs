//! `cargo xtask fuzz`: the targets in `fuzz/`, each for a while, as many at a time as there are cores.

use crate::Outcome;
use crate::cargo::{cargo, output, root, run as run_command};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// The sanitizers need a nightly toolchain, and look for what safe Rust cannot do.
const SANITIZER: &str = "--sanitizer none";

/// What libFuzzer is told, beside for how long: more memory or more time than that for one input is a find.
const LIMITS: &str = "-rss_limit_mb=2048 -timeout=30";

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The targets to run; all by default.
    #[arg(long = "target")]
    targets: Vec<String>,
}

/// Builds the targets and runs them. What they find new to run goes to `fuzz/found`, from where the next run goes on.
pub(crate) fn run(options: &Options) -> Outcome {
    let is_installed =
        cargo("fuzz --version").stdout(Stdio::null()).stderr(Stdio::null()).status()?.success();
    if !is_installed {
        return Err("cargo-fuzz is missing; to install it: cargo install cargo-fuzz --locked".into());
    }
    let all = output(&mut cargo("fuzz list"))?;
    let mut targets: Vec<&str> = all.lines().collect();
    if let Some(unknown) = options.targets.iter().find(|target| !targets.contains(&target.as_str())) {
        return Err(format!("there is no target `{unknown}`, only: {}", targets.join(", ")).into());
    }
    targets.retain(|target| options.targets.is_empty() || options.targets.iter().any(|it| it == target));
    run_command(&mut cargo(&format!("fuzz build {SANITIZER}")))?;

    let cores = thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(targets.iter().copied());
    let failed = Mutex::new(Vec::<&str>::new());
    thread::scope(|scope| {
        for _ in 0..cores.min(targets.len()) {
            scope.spawn(|| {
                while let Some(target) = lock(&waiting).next() {
                    if let Err(error) = fuzz(target, options.seconds) {
                        eprintln!("{target}: {error}");
                        lock(&failed).push(target);
                    }
                }
            });
        }
    });
    let failed = lock(&failed);
    if failed.is_empty() { Ok(()) } else { Err(format!("not passed: {}", failed.join(", ")).into()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one target to the end of its time, or to what it finds.
fn fuzz(target: &str, seconds: u64) -> io::Result<()> {
    let folder = root().join("fuzz");
    let found = folder.join("found").join(target);
    std::fs::create_dir_all(&found)?;
    let log = folder.join("found").join(format!("{target}.log"));
    let file = File::create(&log)?;
    eprintln!("{target}: runs for {seconds} s");
    let status = cargo(&format!(
        "fuzz run {SANITIZER} {target} fuzz/found/{target} fuzz/corpus/{target} -- \
         -max_total_time={seconds} {LIMITS}"
    ))
    .stdin(Stdio::null())
    .stdout(file.try_clone()?)
    .stderr(file)
    .status()?;
    let said = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    if status.success() {
        let runs = said.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("no runs were counted");
        eprintln!("{target}: {runs}");
        return Ok(());
    }
    Err(io::Error::other(report(target, &said, &log)))
}

/// What was found, and how to see it again.
fn report(target: &str, said: &str, log: &Path) -> String {
    let artifact = said.lines().find_map(|line| line.split("Test unit written to ").nth(1));
    let reproduce = match artifact {
        Some(artifact) => {
            let artifact = Path::new(artifact);
            let artifact = artifact.strip_prefix(root()).unwrap_or(artifact).display();
            format!(
                "cargo fuzz run {SANITIZER} {target} {artifact}\n  to keep it: make it smaller (`cargo fuzz tmin`), \
                 add it to fuzz/corpus/{target}, and name a test after it"
            )
        }
        None => format!("see {}", log.display()),
    };
    let panic = said.lines().skip_while(|line| !line.contains("panicked at"));
    let panic: Vec<_> = panic.take_while(|line| *line != "stack backtrace:").take(20).collect();
    format!("found something\n{}\n  to see it again: {reproduce}", panic.join("\n"))
}

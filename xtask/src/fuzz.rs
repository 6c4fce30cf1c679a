//! `cargo xtask fuzz`: the targets in `fuzz/`, each for a while, as many at a time as there are cores.

use crate::Outcome;
use crate::cargo::{cargo, output, root, run as run_command};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// What libFuzzer is told in addition to the time: more memory or more time than that for one input is a find. By itself,
/// it would make no input longer than 4 KiB, which do not fill the larger windows of compression.
const LIMITS: &str = "-rss_limit_mb=2048 -timeout=30 -max_len=65536";

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds. (The panic that was the hardest to find took 140.)
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The targets to run; all by default.
    #[arg(long = "target")]
    targets: Vec<String>,
    /// What to look for beyond panics. `address` finds what unsafe code of our dependencies does wrong, needs a nightly
    /// toolchain, and makes each run slower.
    #[arg(long, value_enum, default_value_t = Sanitizer::None)]
    sanitizer: Sanitizer,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sanitizer {
    None,
    Address,
}

impl Sanitizer {
    fn name(self) -> &'static str {
        if self == Self::Address { "address" } else { "none" }
    }

    /// What stands for `cargo` in a command line.
    fn cargo_name(self) -> &'static str {
        if self == Self::Address { "cargo +nightly" } else { "cargo" }
    }

    /// `cargo fuzz` with this subcommand and these arguments.
    fn fuzz(self, subcommand: &str, arguments: &str) -> Command {
        let arguments = format!("fuzz {subcommand} --sanitizer {} {arguments}", self.name());
        if self == Self::None {
            return cargo(&arguments);
        }
        // The Cargo that runs us is the stable one: rustup has to choose the other.
        let mut command = Command::new("cargo");
        command.args(arguments.split_whitespace()).current_dir(root());
        command.env_remove("CARGO").env("RUSTUP_TOOLCHAIN", "nightly");
        command
    }
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
    let sanitizer = options.sanitizer;
    run_command(&mut sanitizer.fuzz("build", ""))?;

    let cores = thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(targets.iter().copied());
    let failed = Mutex::new(Vec::<&str>::new());
    thread::scope(|scope| {
        for _ in 0..cores.min(targets.len()) {
            scope.spawn(|| {
                while let Some(target) = lock(&waiting).next() {
                    if let Err(error) = fuzz(target, sanitizer, options.seconds) {
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
fn fuzz(target: &str, sanitizer: Sanitizer, seconds: u64) -> io::Result<()> {
    let folder = root().join("fuzz");
    let found = folder.join("found").join(target);
    std::fs::create_dir_all(&found)?;
    let log = folder.join("found").join(format!("{target}.log"));
    let file = File::create(&log)?;
    eprintln!("{target}: runs for {seconds} s");
    let arguments =
        format!("{target} fuzz/found/{target} fuzz/corpus/{target} -- -max_total_time={seconds} {LIMITS}");
    let status = sanitizer
        .fuzz("run", &arguments)
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
    Err(io::Error::other(report(target, sanitizer, &said, &log)))
}

/// What was found, and how to see it again.
fn report(target: &str, sanitizer: Sanitizer, said: &str, log: &Path) -> String {
    let artifact = said.lines().find_map(|line| line.split("Test unit written to ").nth(1));
    let reproduce = match artifact {
        Some(artifact) => {
            let artifact = Path::new(artifact);
            let artifact = artifact.strip_prefix(root()).unwrap_or(artifact).display();
            format!(
                "{} fuzz run --sanitizer {} {target} {artifact}\n  to keep it: make it smaller (`cargo fuzz tmin`), \
                 add it to fuzz/corpus/{target}, and name a test after it",
                sanitizer.cargo_name(),
                sanitizer.name(),
            )
        }
        None => format!("see {}", log.display()),
    };
    let panic = said.lines().skip_while(|line| !line.contains("panicked at"));
    let panic: Vec<_> = panic.take_while(|line| *line != "stack backtrace:").take(20).collect();
    format!("found something\n{}\n  to see it again: {reproduce}", panic.join("\n"))
}

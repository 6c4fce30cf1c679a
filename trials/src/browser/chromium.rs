//! Chromium: where it is, and a run of it.

use crate::Outcome;
use crate::process::{Process, ScratchFolder, url};
use crate::programs::find_program;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// The browser to use: what `CHROMIUM` names, or else the first that the `PATH` has.
///
/// # Errors
///
/// With what to do about it, when there is none.
pub(crate) fn find() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return Ok(path.into());
    }
    find_program(NAMES).ok_or_else(|| {
        "there is no Chromium: install one (`apt-get install chromium`), or set CHROMIUM to its path".into()
    })
}

/// A browser without a window, with a profile of its own.
pub(crate) struct Chromium {
    // Ends before its folder is removed: fields are dropped in order.
    process: Process,
    _profile: ScratchFolder,
    devtools_url: String,
}

impl Chromium {
    /// Starts the browser, and waits until it can be driven.
    pub(crate) fn start(program: &Path) -> Outcome<Self> {
        let profile = ScratchFolder::new()?;
        let process = Process::start(
            Command::new(program)
                .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
                .args([
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--remote-debugging-port=0",
                ])
                // Chromium lets a page that is not itself on loopback reach loopback only if its user agrees, and
                // `about:blank` not at all. Nobody is here to be asked.
                .arg("--disable-features=LocalNetworkAccessChecks")
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .arg("about:blank"),
        )?;
        let devtools_url = process.find_in_lines(|line| url(line, "ws://"))?;
        Ok(Self { process, _profile: profile, devtools_url })
    }

    /// Where it is driven from.
    pub(crate) fn devtools_url(&self) -> &str {
        &self.devtools_url
    }

    /// Waits until the browser, told to end, has done so.
    pub(crate) fn wait_for_end(mut self) -> Outcome {
        self.process.wait_for_end().map(drop)
    }
}

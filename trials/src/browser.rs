//! `cargo xtask browser`: the server as a real browser sees it.
//!
//! The browser is driven over its DevTools protocol, which is spoken over a WebSocket: so our client role talks to
//! somebody else's server here, while somebody else's client talks to ours.

mod chromium;
mod console;
mod devtools;
mod peer;

use crate::Outcome;
use crate::build::build_ws_cli;
use crate::process::{Process, url};
pub(crate) use chromium::{Chromium, find as find_chromium};
pub(crate) use devtools::{DevTools, Page};
use std::path::PathBuf;
use std::process::Command;

/// What a beginner pastes into the console of whatever page is open.
const SNIPPET: &str = r#"ss = new WebSocket("ws://localhost:9999")
ss.onmessage = function (event) { console.log(event.data); };
ss.onopen = function () { ss.send('I have high ground'); };
"#;

/// What to run.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Save pictures of the console page in this folder.
    #[arg(long, value_name = "DIR")]
    screenshot: Option<PathBuf>,
}

/// Starts the server and the browser, and checks what the one shows of the other.
pub(crate) fn run(options: &Options) -> Outcome {
    let chromium = find_chromium()?;
    let server = Process::start(Command::new(build_ws_cli("")?).args(["--port", "0"]))?;
    let (mut ws, mut http) = (None, None);
    let (ws, http) = server.find_in_lines(|line| {
        ws = ws.take().or_else(|| url(line, "ws://"));
        http = http.take().or_else(|| url(line, "http://"));
        ws.clone().zip(http.clone())
    })?;

    let browser = Chromium::start(&chromium)?;
    let mut devtools = DevTools::connect(browser.devtools_url())?;
    console::check(&mut devtools, &http, options.screenshot.as_deref())?;
    eprintln!("the console page at {http} works");
    check_snippet(&mut devtools.open("about:blank")?, &ws)?;
    eprintln!("a page of another origin gets its echo from {ws}");
    devtools.end()?;
    browser.wait_for_end()
}

/// Runs the snippet in a page that the server has nothing to do with.
fn check_snippet(page: &mut Page<'_>, ws: &str) -> Outcome {
    let snippet = SNIPPET.replace("ws://localhost:9999", ws.trim_end_matches('/'));
    page.evaluate(&snippet)?;
    page.wait_for_console("I have high ground")?;
    page.complaints()
}

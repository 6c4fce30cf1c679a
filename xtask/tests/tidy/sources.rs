//! Checks of one file at a time: `(path, text)` to the faults in it.

use crate::code::{lines_with, without_comments_and_literals, without_tests};

/// The crates that are `no_std` and do no I/O.
const CORES: &[&str] =
    &["crates/ws-endpoint/", "crates/ws-frame/", "crates/ws-handshake/", "crates/ws-protocol/"];

/// What a core may not name. `std` alone would do; the rest is there for what a dependency might bring.
const NOT_IN_CORES: &[&str] =
    &["std", "TcpStream", "UdpSocket", "Instant", "SystemTime", "thread", "rand", "getrandom"];

/// What means that something is left to do. Taken apart, because this file is checked as well.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Macros that mean the same.
const UNFINISHED_MACROS: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// Folders that exist on one machine.
const MACHINE: &[&str] = &[concat!("/wo", "rk"), concat!("/ro", "ot")];

/// Scratch space of one machine, which tests may name.
const SCRATCH: &str = concat!("/t", "mp");

/// The one registry that the lock file may name.
const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

const MAX_LINES: usize = 700;

/// The file begins with `//!`, after a shebang and inner attributes at most.
pub(crate) fn module_doc_faults(_path: &str, text: &str) -> Vec<String> {
    let mut in_attribute = false;
    let first = text.lines().find(|line| {
        let passed_over = in_attribute || line.starts_with("#!") || line.trim().is_empty();
        in_attribute = (in_attribute || line.starts_with("#![")) && !line.ends_with(']');
        !passed_over
    });
    if first.is_some_and(|line| line.starts_with("//!")) {
        Vec::new()
    } else {
        vec!["has no `//!`".to_owned()]
    }
}

/// A server that is measured beside ours, and is written in C++.
const FOREIGN: &str = "bench/servers/uwebsockets/";

/// No code is unsafe, and the root of a crate forbids it.
pub(crate) fn unsafe_faults(path: &str, text: &str) -> Vec<String> {
    if path.starts_with(FOREIGN) {
        return Vec::new();
    }
    let code = without_comments_and_literals(text);
    let mut faults = word_faults(&code, &["unsafe"]);
    let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    if is_root && !code.contains("#![forbid(unsafe_code)]") {
        faults.push("has no `#![forbid(unsafe_code)]`".to_owned());
    }
    faults
}

/// A core is `no_std`, and names nothing that does I/O or tells the time, outside its tests.
pub(crate) fn core_faults(path: &str, text: &str) -> Vec<String> {
    let Some(file) = CORES.iter().find_map(|core| path.strip_prefix(core)?.strip_prefix("src/")) else {
        return Vec::new();
    };
    if file.ends_with("tests.rs") || file.contains("tests/") {
        return Vec::new();
    }
    let code = without_tests(&without_comments_and_literals(text));
    let mut faults = word_faults(&code, NOT_IN_CORES);
    if file == "lib.rs" && !code.contains("#![no_std]") {
        faults.push("has no `#![no_std]`".to_owned());
    }
    faults
}

/// The server looks at no opcode and knows no frame.
pub(crate) fn server_faults(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("crates/ws-server/src/") {
        return Vec::new();
    }
    word_faults(&without_comments_and_literals(text), &["Opcode", "ws_frame"])
}

/// Nothing says that it is not finished.
pub(crate) fn unfinished_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !path.ends_with(".md") {
        faults.extend(word_faults(text, UNFINISHED));
    }
    if path.ends_with(".rs") {
        faults.extend(word_faults(&without_comments_and_literals(text), UNFINISHED_MACROS));
    }
    faults
}

/// No tabs in Rust, no white space at the end of a line, one newline at the end of the file.
pub(crate) fn white_space_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.ends_with(char::is_whitespace) {
            faults.push(format!("line {number}: ends in white space"));
        }
        if path.ends_with(".rs") && line.contains('\t') {
            faults.push(format!("line {number}: a tab"));
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        faults.push("does not end in one newline".to_owned());
    }
    faults
}

/// A file is short enough to be one room.
pub(crate) fn length_faults(_path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines > MAX_LINES { vec![format!("{lines} lines, of {MAX_LINES} at most")] } else { Vec::new() }
}

/// No folder of one machine, scratch space in tests only, and no registry but the public one.
pub(crate) fn machine_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults: Vec<String> = MACHINE.iter().flat_map(|name| path_faults(text, name)).collect();
    let is_test = path.contains("tests/") || path.ends_with("tests.rs");
    if !is_test {
        let code = if path.ends_with(".rs") { without_tests(text) } else { text.to_owned() };
        faults.extend(path_faults(&code, SCRATCH));
    }
    if path.ends_with("Cargo.lock") {
        let foreign = text.lines().filter(|line| line.starts_with("source = ") && *line != REGISTRY);
        faults.extend(foreign.map(str::to_owned));
    }
    if path.ends_with(".cargo/config.toml") && text.contains("[source") {
        faults.push("replaces the registry".to_owned());
    }
    faults
}

fn word_faults(code: &str, words: &[&str]) -> Vec<String> {
    let faults = words.iter().flat_map(|word| {
        lines_with(code, word).into_iter().map(move |number| format!("line {number}: `{word}`"))
    });
    faults.collect()
}

/// The lines in which `name` is the beginning of a path, and not a part of a relative one.
fn path_faults(text: &str, name: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}');
    let begins_in = |line: &str| {
        line.match_indices(name).any(|(at, _)| {
            !line[..at].ends_with(is_part) && !line[at + name.len()..].starts_with(char::is_alphanumeric)
        })
    };
    let lines = (1..).zip(text.lines()).filter(|(_, line)| begins_in(line));
    lines.map(|(number, _)| format!("line {number}: `{name}`")).collect()
}

#[test]
fn each_check_refuses_what_it_should() {
    type Check = fn(&str, &str) -> Vec<String>;
    let rows: &[(&str, Check, &str, &str, &[&str])] = &[
        ("doc", module_doc_faults, "a.rs", "#![forbid(\n    a\n)]\n\n//! Doc.\n", &[]),
        ("doc after shebang", module_doc_faults, "a.rs", "#!/bin/x\n//! Doc.\n", &[]),
        ("no doc", module_doc_faults, "a.rs", "#![no_std]\nuse a;\n//! Late.\n", &["has no `//!`"]),
        ("empty file", module_doc_faults, "a.rs", "", &["has no `//!`"]),
        ("forbidden", unsafe_faults, "src/lib.rs", "#![forbid(unsafe_code)]\n// unsafe\n", &[]),
        ("not forbidden", unsafe_faults, "src/main.rs", "", &["has no `#![forbid(unsafe_code)]`"]),
        (
            "in a comment only",
            unsafe_faults,
            "src/lib.rs",
            "// #![forbid(unsafe_code)]",
            &["has no `#![forbid(unsafe_code)]`"],
        ),
        ("unsafe", unsafe_faults, "src/a.rs", "\nunsafe { a() }", &["line 2: `unsafe`"]),
        ("foreign", unsafe_faults, "bench/servers/uwebsockets/src/main.rs", "unsafe { a() }", &[]),
        ("core", core_faults, "crates/ws-frame/src/lib.rs", "#![no_std]\n#[cfg(test)]\nuse std::a;", &[]),
        ("core's tests", core_faults, "crates/ws-frame/tests/a.rs", "use std::net::TcpStream;", &[]),
        (
            "std in a core",
            core_faults,
            "crates/ws-protocol/src/lib.rs",
            "use std::a;",
            &["line 1: `std`", "has no `#![no_std]`"],
        ),
        (
            "clock in a core",
            core_faults,
            "crates/ws-handshake/src/a.rs",
            "b: Instant",
            &["line 1: `Instant`"],
        ),
        ("server", server_faults, "crates/ws-server/src/a.rs", "/// Sees no `Opcode`.", &[]),
        ("frames elsewhere", server_faults, "crates/ws-protocol/src/a.rs", "use ws_frame::Opcode;", &[]),
        (
            "opcode in the server",
            server_faults,
            "crates/ws-server/src/a.rs",
            "Opcode::Ping",
            &["line 1: `Opcode`"],
        ),
        ("finished", unfinished_faults, "a.rs", "let todo = \"todo!()\";", &[]),
        ("macro", unfinished_faults, "a.rs", "\ntodo!()", &["line 2: `todo!`"]),
        ("remark", unfinished_faults, "a.toml", UNFINISHED[1], &[concat!("line 1: `FIX", "ME`")]),
        ("clean", white_space_faults, "a.rs", "a\n\n    b\n", &[]),
        ("trailing", white_space_faults, "a.md", "a  \nb\n", &["line 1: ends in white space"]),
        ("carriage return", white_space_faults, "a.md", "a\r\n", &["line 1: ends in white space"]),
        ("tab", white_space_faults, "a.rs", "\ta\n", &["line 1: a tab"]),
        ("no newline", white_space_faults, "a.rs", "a", &["does not end in one newline"]),
        ("two newlines", white_space_faults, "a.rs", "a\n\n", &["does not end in one newline"]),
        ("a room", length_faults, "a.rs", &"\n".repeat(MAX_LINES), &[]),
        ("a hall", length_faults, "a.rs", &"\n".repeat(MAX_LINES + 1), &["701 lines, of 700 at most"]),
        ("relative", machine_faults, "a.rs", concat!("a/wo", "rk /wo", "rker /wo", "rkspace"), &[]),
        ("machine", machine_faults, "a.md", concat!("see /wo", "rk/a"), &[concat!("line 1: `/wo", "rk`")]),
        ("scratch in a test", machine_faults, "a.rs", concat!("#[cfg(test)] mod b { \"/t", "mp\" }"), &[]),
        ("scratch", machine_faults, "a.rs", concat!("\"/t", "mp/a\""), &[concat!("line 1: `/t", "mp`")]),
        ("registry", machine_faults, "Cargo.lock", REGISTRY, &[]),
        ("mirror", machine_faults, "Cargo.lock", "source = \"registry+a\"", &["source = \"registry+a\""]),
        (
            "mirror set",
            machine_faults,
            ".cargo/config.toml",
            "[source.crates-io]",
            &["replaces the registry"],
        ),
    ];
    for (name, check, path, text, faults) in rows {
        assert_eq!(check(path, text), *faults, "{name}");
    }
}

//! The corpus in `fuzz/corpus`, given to the same checks as the fuzzer's inputs, without a fuzzer.
#![forbid(unsafe_code)]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a crate of its own in `fuzz/`")]
mod fuzz;

use std::path::Path;

type Check = fn(&[u8]);

const TARGETS: &[(&str, Check)] = &[
    ("extension", fuzz::extension::check),
    ("header", fuzz::header::check),
    ("inflate", fuzz::inflate::check),
    ("pair", fuzz::pair::check),
    ("receiver", fuzz::receiver::check),
    ("request", fuzz::request::check),
    ("server", fuzz::server::check),
];

#[test]
fn every_input_of_the_corpus_passes_its_check() {
    for (target, check) in TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for (name, input) in inputs {
            println!("fuzz/corpus/{target}/{name}"); // shown if the check panics
            check(&input);
        }
    }
}

#[test]
fn every_target_is_replayed() {
    let mut names = names(&fuzz_folder().join("fuzz_targets"));
    names.sort_unstable();
    let expected: Vec<String> = TARGETS.iter().map(|(target, _)| format!("{target}.rs")).collect();
    assert_eq!(names, expected);
}

#[test]
fn any_bytes_are_an_input() {
    for (target, check) in TARGETS {
        println!("{target}");
        check(b"");
        for byte in 0..=u8::MAX {
            check(&[byte]);
            check(&[byte; 40]);
        }
    }
}

/// The inputs of a target, with their names.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(target);
    let read = |name: String| (name.clone(), std::fs::read(folder.join(name)).unwrap());
    names(&folder).into_iter().map(read).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn fuzz_folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

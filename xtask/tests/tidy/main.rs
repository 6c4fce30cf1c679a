//! Tidy: the invariants of this workspace that a machine can see, one test for each.
//!
//! A check is a plain function from a file's path and text to the faults in it, so that the tables at the end can
//! show each of them a file that it must refuse.
#![forbid(unsafe_code)]

mod code;
mod documents;
mod imports;
mod layers;
mod sources;
mod tree;

use tree::{RUST, TEXT};

#[test]
fn crates_depend_only_downwards() {
    hold("move the code to the layer that may know it", &layers::edge_faults(&tree::dependencies(".")));
}

/// Another tree can be looked at, too: `TIDY_TREE=../other cargo test -p xtask --test tidy imports`.
#[test]
fn imports_between_the_files_of_a_crate_form_no_ring() {
    let faults: Vec<String> =
        tree::crate_roots().iter().flat_map(|root| imports::cycle_faults(root)).collect();
    hold("move what both need to a file below both", &faults);
}

#[test]
fn every_dependency_has_its_reason_in_the_decisions() {
    let decisions = tree::read("docs/decisions.md");
    let dependencies = [tree::dependencies("."), tree::dependencies("bench")].concat();
    hold(
        "say in docs/decisions.md, its name in backticks, what it does, what it costs and who keeps it",
        &layers::unexplained(&dependencies, &decisions),
    );
}

#[test]
fn every_limit_is_on_its_page() {
    hold(
        "keep docs/limits.md in step with the configuration and the command line",
        &documents::limit_faults(
            &tree::read("docs/limits.md"),
            &[tree::read("crates/ws-server/src/config.rs")],
            &tree::each_text("crates/ws-cli/src/args/"),
        ),
    );
}

#[test]
fn every_source_file_is_in_the_tree_of_the_architecture() {
    let page = tree::read("docs/ARCHITECTURE.md");
    hold(
        "add its line to the code map in docs/ARCHITECTURE.md",
        &tree::each_file(RUST, |path, _| documents::map_faults(&page, path)),
    );
}

#[test]
fn every_source_file_says_what_it_is() {
    hold("begin the file with a `//!` line", &tree::each_file(RUST, sources::module_doc_faults));
}

#[test]
fn no_code_is_unsafe() {
    hold("write it in safe Rust, and forbid the rest", &tree::each_file(RUST, sources::unsafe_faults));
}

#[test]
fn cores_name_no_socket_clock_thread_or_random_source() {
    hold(
        "make it an argument: buffers, keys and time come from the caller",
        &tree::each_file(RUST, sources::core_faults),
    );
}

#[test]
fn server_contains_no_protocol_rule() {
    hold("move the rule to ws-protocol", &tree::each_file(RUST, sources::server_faults));
}

#[test]
fn nothing_is_left_to_do() {
    hold("finish it or leave it out", &tree::each_file(TEXT, sources::unfinished_faults));
}

#[test]
fn files_are_clean() {
    let remedy = "let the editor strip white space and end files in one newline";
    hold(remedy, &tree::each_file(TEXT, sources::white_space_faults));
}

#[test]
fn source_files_are_rooms() {
    hold("split the file by concern", &tree::each_file(RUST, sources::length_faults));
}

#[test]
fn no_file_names_one_machine() {
    hold(
        "name it relative to the workspace, or make it an argument",
        &tree::each_file(&[], sources::machine_faults),
    );
}

#[test]
fn lock_files_are_tracked() {
    hold("run `git add` for it", &tree::lock_file_faults());
}

#[test]
fn requirements_are_traced_to_tests() {
    hold(
        "name the test that shows the requirement held, as `path/to/file.rs::test_name`",
        &documents::trace_faults(&tree::read("docs/rfc6455.md"), tree::read_source),
    );
}

#[test]
fn incidents_have_their_tests() {
    hold(
        "name the test that shows the answer to the incident, as `path/to/file.rs::test_name`",
        &documents::incident_faults(&tree::read("docs/incidents.md"), tree::read_source),
    );
}

#[test]
fn links_lead_to_files() {
    hold(
        "correct the link",
        &tree::each_file(&["md"], |path, text| documents::link_faults(path, text, tree::exists)),
    );
}

/// Panics with the faults, and with what to do about them, unless there are none.
fn hold(remedy: &str, faults: &[String]) {
    assert!(faults.is_empty(), "to do: {remedy}\n  {}\n", faults.join("\n  "));
}

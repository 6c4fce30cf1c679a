//! The examples on tokio: the server, and the client against it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds an example, and gives a command that runs it: the program itself, so that it can be ended.
fn example(name: &str) -> Command {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "ws-endpoint", "--example", name, "--message-format=json"])
        .output()
        .unwrap();
    let messages = String::from_utf8(build.stdout).unwrap();
    let suffix = format!("/examples/{name}");
    Command::new(messages.split('"').find(|word| word.ends_with(&suffix)).unwrap())
}

#[test]
fn the_client_is_answered_by_the_server() {
    let mut server =
        Running(example("tokio_echo").arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on ").unwrap();
    let client = example("tokio_client").args([addr, "I have", "high ground"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&client.stdout), "I have\nhigh ground\n", "{client:?}");
    assert!(client.status.success(), "{client:?}");
}

#[test]
fn the_examples_are_short() {
    for (source, max_lines) in
        [(include_str!("../examples/tokio_echo.rs"), 25), (include_str!("../examples/tokio_client.rs"), 30)]
    {
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let lines = source.lines().filter(is_code).count();
        assert!(lines <= max_lines, "{lines} lines");
    }
}

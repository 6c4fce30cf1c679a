//! The example serves, as a program of its own.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};
use tungstenite::Message;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn echo() {
    // Built first, so that the child is the example itself and can be ended.
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "ws-server", "--example", "echo", "--message-format=json"])
        .output()
        .unwrap();
    let messages = String::from_utf8(build.stdout).unwrap();
    let program = messages.split('"').find(|word| word.ends_with("/examples/echo")).unwrap();
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut example = Running(Command::new(program).arg(addr.to_string()).spawn().unwrap());
    let started = Instant::now();
    let stream = loop {
        match TcpStream::connect(addr) {
            Ok(stream) => break stream,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error}"),
        }
        assert!(example.0.try_wait().unwrap().is_none(), "it has ended: is the port taken?");
        thread::yield_now();
    };
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (mut client, _) = tungstenite::client("ws://localhost:9999/", stream).unwrap();
    client.send(Message::text("I have high ground")).unwrap();
    assert_eq!(client.read().unwrap(), Message::text("I have high ground"));
}

//! The example serves, as a program of its own.

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tungstenite::{Message, client::IntoClientRequest};

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
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut example = Running(command.spawn().unwrap());
    let mut stdout = BufReader::new(example.0.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let addr: SocketAddr = line.trim().strip_prefix("listening on ws://").unwrap().parse().unwrap();
    for (origin, is_allowed) in [
        (None, true),
        (Some("http://localhost:3000"), true),
        (Some("http://127.0.0.1:8080"), true),
        (Some("http://[::1]:8080"), true),
        (Some("http://example.com"), false),
    ] {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request = "ws://localhost:9999/".into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", origin.parse().unwrap());
        }
        let Ok((mut client, _)) = tungstenite::client(request, stream) else {
            assert!(!is_allowed, "{origin:?}");
            continue;
        };
        assert!(is_allowed, "{origin:?}");
        client.send(Message::text("I have high ground")).unwrap();
        assert_eq!(client.read().unwrap(), Message::text("I have high ground"));
    }
    example.0.kill().unwrap();
    let mut refused = String::new();
    example.0.stderr.take().unwrap().read_to_string(&mut refused).unwrap();
    assert!(refused.starts_with("refused 127.0.0.1:") && refused.lines().count() == 1, "{refused}");
    assert!(
        refused.contains(": the origin http://example.com is not allowed, only http://localhost:*"),
        "{refused}"
    );
}

//! The examples serve, each as a program of its own.

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

/// Starts an example, and returns it with its address.
fn start(name: &str, args: &[&str]) -> (Running, SocketAddr) {
    // Built first, so that the child is the example itself and can be ended.
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "ws-server", "--example", name, "--message-format=json"])
        .output()
        .unwrap();
    let messages = String::from_utf8(build.stdout).unwrap();
    let suffix = format!("/examples/{name}");
    let program = messages.split('"').find(|word| word.ends_with(&suffix)).unwrap();
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut example = Running(command.spawn().unwrap());
    let mut stdout = BufReader::new(example.0.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on ws://").unwrap().parse().unwrap();
    (example, addr)
}

#[test]
fn chat() {
    let (_example, addr) = start("chat", &[]);
    let connect = |target: &str| {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let client = tungstenite::client(format!("ws://{addr}{target}"), stream);
        client.map(|(client, _)| client).map_err(|error| error.to_string())
    };
    let [mut ann, mut bob, mut eve] = ["/rooms/a?name=Ann", "/rooms/a?name=B%C3%B6b", "/rooms/b?name=Eve"]
        .map(|target| connect(target).unwrap());
    bob.send(Message::text("hello")).unwrap();
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.read().unwrap(), Message::text("Böb: hello"));
    }
    eve.send(Message::text("alone")).unwrap();
    assert_eq!(eve.read().unwrap(), Message::text("Eve: alone"));
    for (target, status) in [("/", 404), ("/rooms/", 404), ("/rooms/a", 400)] {
        let error = connect(target).unwrap_err();
        assert!(error.contains(&status.to_string()), "{target}: {error}");
    }
}

/// A thousand members get all of a hundred messages that one of them sends at once.
#[test]
fn chat_of_a_thousand() {
    const MEMBERS: usize = 1_000;
    const MESSAGES: usize = 100;
    rlimit::increase_nofile_limit(8_192).unwrap();
    for workers in ["1", "2"] {
        let (_example, addr) = start("chat", &[workers]);
        let mut members: Vec<_> = (0..MEMBERS)
            .map(|number| {
                let stream = TcpStream::connect(addr).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                tungstenite::client(format!("ws://{addr}/rooms/lobby?name={number}"), stream).unwrap().0
            })
            .collect();
        // Everybody is in the room once the last one's message has come back to the first.
        members[MEMBERS - 1].send(Message::text("here")).unwrap();
        for member in &mut members {
            assert_eq!(member.read().unwrap(), Message::text(format!("{}: here", MEMBERS - 1)));
        }
        for number in 0..MESSAGES {
            members[0].write(Message::text(format!("message {number}"))).unwrap();
        }
        members[0].flush().unwrap();
        let received: usize = std::thread::scope(|scope| {
            let readers: Vec<_> = members
                .chunks_mut(MEMBERS / 4)
                .map(|members| {
                    scope.spawn(move || {
                        let mut received = 0;
                        for member in members {
                            for number in 0..MESSAGES {
                                let message = member.read().unwrap();
                                assert_eq!(message, Message::text(format!("0: message {number}")));
                                received += 1;
                            }
                        }
                        received
                    })
                })
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).sum()
        });
        assert_eq!(received, MEMBERS * MESSAGES, "{workers} workers");
    }
}

#[test]
fn echo() {
    let (mut example, addr) = start("echo", &[]);
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

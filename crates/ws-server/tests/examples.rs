//! The examples serve, each as a program of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tungstenite::{Message, WebSocket, client::IntoClientRequest, protocol::frame::coding::CloseCode};

/// The time after which a test gives up to read or write.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an example, and returns it with its address.
fn start(name: &str, args: &[&str]) -> (Running, SocketAddr) {
    start_with(name, args, &[])
}

/// Starts an example with these environment variables, too.
fn start_with(name: &str, args: &[&str], variables: &[(&str, &str)]) -> (Running, SocketAddr) {
    // Built first, so that the child is the example itself and can be ended.
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "ws-server", "--example", name, "--message-format=json"])
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let messages = String::from_utf8(build.stdout).unwrap();
    let suffix = format!("/examples/{name}");
    let program = messages.split('"').find(|word| word.ends_with(&suffix)).unwrap();
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0").args(args).envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut example = Running(command.spawn().unwrap());
    let mut stdout = BufReader::new(example.0.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on ws://").unwrap().parse().unwrap();
    (example, addr)
}

/// Connects a client, whose request has these header fields, too; or the status and the head of the
/// response that refuses it.
fn connect(
    addr: SocketAddr,
    host: &str,
    fields: &[(&'static str, &str)],
) -> Result<WebSocket<TcpStream>, (u16, String)> {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!("ws://{host}/").into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match tungstenite::client(request, stream) {
        Ok((client, _)) => Ok(client),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            Err((response.status().as_u16(), format!("{:?}", response.headers())))
        }
        Err(error) => panic!("{error}"),
    }
}

/// The code with which the server closes the connection, after whatever it sends before.
fn close_code(client: &mut WebSocket<TcpStream>) -> CloseCode {
    loop {
        if let Message::Close(frame) = client.read().unwrap() {
            return frame.unwrap().code;
        }
    }
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

#[test]
fn token() {
    const ANN: &str = "0123456789abcdefghijkl";
    const BOB: &str = "0123456789abcdefghijkm";
    let tokens = format!("ann={ANN} bob={BOB}");
    let (_example, addr) = start_with("token", &[], &[("TOKENS", &tokens)]);
    let host = addr.to_string();
    let (bearer, any_case) = (format!("Bearer {ANN}"), format!("bEARER {BOB}"));
    let (cookie, origin) = (format!("theme=dark; token={BOB}"), format!("http://{host}"));
    for (fields, name) in [
        (&[("Authorization", &*bearer)][..], "ann"),
        (&[("Authorization", &any_case)], "bob"),
        (&[("Cookie", &cookie), ("Origin", &origin)], "bob"),
    ] {
        let mut client = connect(addr, &host, fields).unwrap();
        client.send(Message::text("hi")).unwrap();
        assert_eq!(client.read().unwrap(), Message::text(format!("{name}: hi")), "{fields:?}");
    }
    let (basic, longer) = (format!("Basic {ANN}"), format!("Bearer {ANN}0"));
    let shorter = format!("Bearer {}", &ANN[1..]);
    for fields in [
        &[][..],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "Bearer 0123456789abcdefghijkn")],
        &[("Authorization", &*basic)],
        &[("Authorization", &longer)],
        &[("Authorization", &shorter)],
        &[("Cookie", "token=")],
    ] {
        let (status, head) = connect(addr, &host, fields).unwrap_err();
        assert!(status == 401 && head.contains("\"www-authenticate\": \"Bearer\""), "{fields:?}: {head}");
    }
    // The cookie alone does not let a page of another site in.
    let (status, _) =
        connect(addr, &host, &[("Cookie", &cookie), ("Origin", "http://example.com")]).unwrap_err();
    assert_eq!(status, 403);
}

#[test]
fn ticker() {
    /// The number of a tick, and the milliseconds after which it was sent.
    fn tick(client: &mut WebSocket<TcpStream>) -> (u64, u64) {
        let text = client.read().unwrap().into_text().unwrap();
        let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
        let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
        assert_eq!(*text, *format!(r#"{{"tick":{},"at_ms":{}}}"#, numbers[0], numbers[1]));
        (numbers[0], numbers[1])
    }
    const TICKS: u64 = 50;
    let (_example, addr) = start("ticker", &[]);
    let mut clients = [(); 2].map(|()| connect(addr, &addr.to_string(), &[]).unwrap());
    for client in &mut clients {
        let (first, first_ms) = tick(client);
        let mut last_ms = first_ms;
        for number in first + 1..=first + TICKS {
            let (this, this_ms) = tick(client);
            assert_eq!(this, number);
            last_ms = this_ms;
        }
        // No tick is early. A late first tick takes up to 10 ms from the time of all, and rounding
        // takes 1 ms.
        assert!(last_ms - first_ms >= (TICKS - 1) * 10 - 1, "{TICKS} ticks in {} ms", last_ms - first_ms);
    }
    let [mut one, mut other] = clients;
    one.send(Message::text("hi")).unwrap();
    assert_eq!(close_code(&mut one), CloseCode::Policy);
    other.send(Message::binary(vec![0; 1_025])).unwrap();
    assert_eq!(close_code(&mut other), CloseCode::Size);
}

/// A burst of 10,000 messages is answered whole and in order, though the queue has 256 places.
#[test]
fn tokio_bridge() {
    const MESSAGES: usize = 10_000;
    let (_example, addr) = start("tokio_bridge", &[]);
    let mut clients = [(); 2].map(|()| connect(addr, &addr.to_string(), &[]).unwrap());
    std::thread::scope(|scope| {
        for (index, client) in clients.iter_mut().enumerate() {
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    client.write(Message::text(format!("client {index} message {number}"))).unwrap();
                }
                client.flush().unwrap();
                for number in 0..MESSAGES {
                    let expect = format!("CLIENT {index} MESSAGE {number}");
                    assert_eq!(client.read().unwrap(), Message::text(expect));
                }
            });
        }
    });
}

#[test]
fn metrics() {
    let (_example, addr) = start("metrics", &[]);
    let mut client = connect(addr, &addr.to_string(), &[]).unwrap();
    for text in ["one two three", "", " four  five "] {
        client.send(Message::text(text)).unwrap();
        let words = text.split_whitespace().count();
        assert_eq!(client.read().unwrap(), Message::text(format!("{words} words")));
    }
    for (path, status, lines) in [
        (
            "/metrics",
            "200",
            &["words_received_total 5", "ws_messages_received_total 3", "ws_connections_open 1"][..],
        ),
        ("/", "426", &[]),
    ] {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert_eq!(page.split(' ').nth(1), Some(status), "{path}");
        for line in lines {
            assert!(page.lines().any(|it| it == *line), "{line}\n{page}");
        }
    }
}

#[test]
fn behind_nginx() {
    let (_example, addr) = start("behind_nginx", &["ws.example.org"]);
    for (host, fields, expect) in [
        ("ws.example.org", &[][..], Ok("hello 127.0.0.1")),
        ("ws.example.org", &[("X-Forwarded-For", "203.0.113.7")], Ok("hello 203.0.113.7")),
        ("ws.example.org:8080", &[("X-Forwarded-For", "1.2.3.4, 2001:db8::7")], Ok("hello 2001:db8::7")),
        ("ws.example.org:8080", &[("Origin", "https://ws.example.org:8080")], Ok("hello 127.0.0.1")),
        ("ws.example.org:8080", &[("Origin", "https://ws.example.org")], Err(403)),
        ("example.org", &[], Err(403)),
        ("localhost", &[], Err(403)),
    ] {
        let greeting = connect(addr, host, fields).map(|mut client| client.read().unwrap());
        let greeting = greeting.map_err(|(status, _)| status);
        assert_eq!(greeting, expect.map(Message::text), "{host} {fields:?}");
    }
}

#[test]
fn handler_test() {
    let (_example, addr) = start("handler_test", &[]);
    let mut clients = [(); 2].map(|()| connect(addr, &addr.to_string(), &[]).unwrap());
    // The second client is open once its own message has come back.
    clients[1].send(Message::text("40")).unwrap();
    assert_eq!(clients[1].read().unwrap(), Message::text("40"));
    clients[0].send(Message::text("2")).unwrap();
    assert_eq!(clients[1].read().unwrap(), Message::text("42"));
    clients[0].send(Message::text("two")).unwrap();
    assert_eq!(close_code(&mut clients[0]), CloseCode::Invalid);
}

#[test]
fn every_example_has_a_test_and_is_in_the_guide() {
    let guide = include_str!("../../../docs/guide.md");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names: Vec<String> =
        paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        assert!(include_str!("examples.rs").contains(&format!("\nfn {name}() {{")), "{name} has no test");
        assert!(guide.contains(&format!("/examples/{name}.rs)")), "the guide does not show {name}");
    }
}

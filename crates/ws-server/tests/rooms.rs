//! Rooms: a handler that sends to the members, on its own worker and on others, through a `Remote`.

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tungstenite::{Message as Theirs, WebSocket};
use ws_server::{Config, ConnectionId, Handler, Message, Peer, Remote, RemoteError, Server};

const PATIENCE: Duration = Duration::from_secs(60);

/// All who are in the room, on whatever worker.
type Members = Arc<Mutex<Vec<ConnectionId>>>;

/// Does what a member asks for: `send N` sends N messages to every member, one by one, in one call.
struct Room {
    remote: Remote,
    members: Members,
    told: mpsc::Sender<Vec<RemoteError>>,
}

impl Handler for Room {
    type Session = ();

    fn on_open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.members.lock().unwrap().push(peer.id());
        peer.send("welcome");
    }

    fn on_message(&mut self, (): &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        let Message::Text(text) = message else {
            for id in &*self.members.lock().unwrap() {
                self.remote.send(*id, vec![7; 1_000]).unwrap();
            }
            return;
        };
        let (word, count) = text.split_once(' ').unwrap();
        let count: usize = count.parse().unwrap();
        let mut errors = Vec::new();
        match word {
            "send" => {
                for number in 0..count {
                    for id in &*self.members.lock().unwrap() {
                        errors.extend(self.remote.send(*id, number.to_string()).err());
                    }
                }
            }
            "broadcast" => {
                let message = vec![7; count];
                errors.extend((0..4).filter_map(|_| self.remote.broadcast(message.clone()).err()));
            }
            // This worker is busy, and another thread sends to it.
            _ => {
                let (remote, id, message) = (self.remote.clone(), peer.id(), vec![7; count]);
                let others = thread::spawn(move || {
                    (0..4).filter_map(|_| remote.send(id, message.clone()).err()).collect::<Vec<_>>()
                });
                errors = others.join().unwrap();
            }
        }
        self.told.send(errors).unwrap();
    }
}

struct Running {
    addr: SocketAddr,
    remote: Remote,
    told: mpsc::Receiver<Vec<RemoteError>>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(workers: usize, config: impl FnOnce(&mut Config)) -> Self {
        let mut settings = Config { workers: Some(workers), ..Config::default() };
        settings.deadlines.drain_window = Duration::ZERO;
        settings.deadlines.close_timeout = Duration::from_millis(100);
        config(&mut settings);
        let server = Server::bind("127.0.0.1:0", settings).unwrap();
        let (addr, remote, (tell, told)) = (server.local_addrs()[0], server.remote(), mpsc::channel());
        let (members, for_handlers) = (Members::default(), remote.clone());
        let thread = thread::spawn(move || {
            server.run(|_| Room {
                remote: for_handlers.clone(),
                members: members.clone(),
                told: tell.clone(),
            })
        });
        Self { addr, remote, told, thread }
    }

    fn member(&self) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut client, _) = tungstenite::client(format!("ws://{}/", self.addr), stream).unwrap();
        assert_eq!(client.read().unwrap(), Theirs::text("welcome"));
        client
    }

    fn stop(self) {
        self.remote.shutdown();
        self.thread.join().unwrap().unwrap();
    }
}

#[test]
fn a_hundred_thousand_messages_that_one_call_sends_arrive() {
    // The limit on open files is 1,024 on many machines, and each member has two here.
    const MEMBERS: usize = 400;
    const MESSAGES: usize = 250;
    for workers in [1, 2] {
        let server = Running::start(workers, |_| {});
        let mut members: Vec<_> = (0..MEMBERS).map(|_| server.member()).collect();
        members[0].send(Theirs::text(format!("send {MESSAGES}"))).unwrap();
        assert_eq!(server.told.recv_timeout(PATIENCE).unwrap().len(), 0, "{workers} workers");
        for member in &mut members {
            for number in 0..MESSAGES {
                assert_eq!(member.read().unwrap(), Theirs::text(number.to_string()), "{workers} workers");
            }
        }
        assert_eq!(server.remote.metrics().commands_missed, 0);
        server.stop();
    }
}

#[test]
fn what_a_flood_makes_a_handler_send_is_carried_out_before_more_is_read() {
    const MEMBERS: usize = 20;
    const MESSAGES: usize = 1_000;
    for workers in [1, 2] {
        // 2 MiB may wait for each worker, and 20 MB are asked for with the 7 KB of one read.
        let server =
            Running::start(workers, |config| config.limits.memory_budget = Some(32 << 20 << (workers - 1)));
        let mut members: Vec<_> = (0..MEMBERS).map(|_| server.member()).collect();
        // Empty binary messages, masked with zeros (RFC 6455 §5.2).
        members[0].get_mut().write_all(&[0x82, 0x80, 0, 0, 0, 0].repeat(MESSAGES)).unwrap();
        let readers: Vec<_> = members
            .into_iter()
            .map(|mut member| {
                thread::spawn(move || {
                    for number in 0..MESSAGES {
                        assert_eq!(member.read().unwrap().len(), 1_000, "{number}");
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(server.remote.metrics().commands_missed, 0, "{workers} workers");
        server.stop();
    }
}

#[test]
fn a_mailbox_that_is_full_tells_how_many_miss_the_message() {
    // An eighth of what a worker may hold is 2 MiB; the first command may always wait.
    let budget = |config: &mut Config| config.limits.memory_budget = Some(32 << 20);
    let server = Running::start(1, budget);
    let mut members: Vec<_> = (0..3).map(|_| server.member()).collect();
    for (ask, missed) in [("broadcast 2000000", 3), ("others 2000000", 1)] {
        members[0].send(Theirs::text(ask)).unwrap();
        let errors = server.told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(errors, [RemoteError::Full { missed }; 3], "{ask}");
        assert_eq!(members[0].read().unwrap().len(), 2_000_000, "the first");
    }
    let metrics = server.remote.metrics();
    assert_eq!(metrics.commands_missed, 9 + 3);
    assert_eq!(metrics.mailbox_bytes, 0);
    // A single message may be larger than everything that may wait.
    members[0].send(Theirs::text("others 8000000")).unwrap();
    assert_eq!(server.told.recv_timeout(PATIENCE).unwrap().len(), 3);
    assert_eq!(members[0].read().unwrap().len(), 8_000_000);
    server.stop();
}

/// Sends to the member on the other worker, which is busy, and asks for more of it than that one can take.
struct Congested {
    remote: Remote,
    members: Members,
}

impl Handler for Congested {
    type Session = ();

    fn on_open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.members.lock().unwrap().push(peer.id());
        peer.send("welcome");
    }

    fn on_message(&mut self, (): &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        let busy = self.members.lock().unwrap()[0];
        match message {
            Message::Text("sleep") => thread::sleep(Duration::from_secs(6)),
            Message::Text("fill") => {
                // Over half of what may wait, in one command.
                self.remote.send(busy, vec![7; 40 << 20]).unwrap();
                peer.send("filled");
            }
            Message::Text(text) => {
                peer.send(text);
            }
            Message::Binary(_) => self.remote.send(busy, Vec::new()).unwrap(),
        }
    }
}

#[test]
fn nobody_is_judged_before_being_read_from_while_another_worker_is_outpaced() {
    let mut config = Config { workers: Some(2), ..Config::default() };
    config.limits.memory_budget = Some(4 << 30);
    (config.deadlines.drain_window, config.deadlines.close_timeout) =
        (Duration::ZERO, Duration::from_millis(100));
    (config.deadlines.idle_timeout, config.deadlines.pong_timeout) =
        (Duration::from_secs(1), Duration::from_secs(1));
    let server = Server::bind("127.0.0.1:0", config).unwrap();
    let (addr, remote, members) = (server.local_addrs()[0], server.remote(), Members::default());
    let for_handlers = remote.clone();
    let thread = thread::spawn(move || {
        server.run(|_| Congested { remote: for_handlers.clone(), members: members.clone() })
    });
    let member = || {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut client, _) = tungstenite::client(format!("ws://{addr}/"), stream).unwrap();
        assert_eq!(client.read().unwrap(), Theirs::text("welcome"));
        client
    };
    // Workers take turns: every other member is of the worker that is busy. One flood is served alone, the other only when
    // deadlines are looked at, and then before the one who answers.
    let [mut busy, mut flood, _of_busy, mut starved, _of_busy_too, mut answers] = [(); 6].map(|()| member());
    busy.send(Theirs::text("sleep")).unwrap();
    flood.send(Theirs::text("fill")).unwrap();
    assert_eq!(flood.read().unwrap(), Theirs::text("filled"));
    for flood in [&mut flood, &mut starved] {
        flood.get_mut().write_all(&[0x82, 0x80, 0, 0, 0, 0].repeat(20_000)).unwrap();
    }
    // It answers each ping as soon as it comes, and says something at the end.
    let began = Instant::now();
    answers.get_mut().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while began.elapsed() < Duration::from_secs(5) {
        match answers.read() {
            Ok(Theirs::Ping(_)) => answers.flush().unwrap(),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?} after {:?}", began.elapsed()),
        }
    }
    assert_eq!(remote.metrics().commands_missed, 0);
    drop((busy, flood, starved, answers));
    remote.shutdown();
    thread.join().unwrap().unwrap();
}

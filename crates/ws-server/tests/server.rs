//! The whole server on real sockets, with tungstenite as the client.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tungstenite::{
    Message as Theirs, WebSocket,
    protocol::{CloseFrame, frame::coding::CloseCode as TheirCode},
};
use ws_server::{
    BindError, CloseCode, Config, ConnectionId, Disconnect, Handler, HostPolicy, Message, Peer, Remote,
    RemoteError, Server,
};

/// Echoes, and tells who came and how they went.
struct Echo(mpsc::Sender<Told>);

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Open(ConnectionId),
    Close(u16),
}

impl Handler for Echo {
    type Session = ();

    fn on_open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.0.send(Told::Open(peer.id())).unwrap();
    }

    fn on_message(&mut self, (): &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }

    fn on_close(&mut self, (): (), disconnect: &Disconnect<'_>) {
        self.0.send(Told::Close(disconnect.code.value())).unwrap();
    }
}

struct Running {
    addr: SocketAddr,
    remote: Remote,
    told: mpsc::Receiver<Told>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(workers: usize) -> Self {
        let mut config = Config { workers: Some(workers), ..Config::default() };
        config.flow.max_accepts_per_turn = 1;
        config.deadlines.close_timeout = Duration::from_secs(1);
        config.deadlines.drain_window = Duration::from_millis(100);
        Self::bind("127.0.0.1", config)
    }

    fn bind(ip: &str, config: Config) -> Self {
        let server = Server::bind((ip, 0), config).unwrap();
        let (addr, remote, (tell, told)) = (server.local_addrs()[0], server.remote(), mpsc::channel());
        let thread = thread::spawn(move || server.run(|_| Echo(tell.clone())));
        Self { addr, remote, told, thread }
    }

    fn connect(&self) -> (WebSocket<TcpStream>, ConnectionId) {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (client, _) = tungstenite::client(format!("ws://{}/", self.addr), stream).unwrap();
        match self.told() {
            Told::Open(id) => (client, id),
            Told::Close(code) => panic!("closed with {code}"),
        }
    }

    fn told(&self) -> Told {
        self.told.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    fn stop(self) {
        self.remote.shutdown();
        self.thread.join().unwrap().unwrap();
    }
}

#[test]
fn messages_of_every_size_come_back() {
    let server = Running::start(1);
    let (mut client, _) = server.connect();
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 15 << 20] {
        let message = Theirs::binary(vec![7; len]);
        client.send(message.clone()).unwrap();
        assert!(client.read().unwrap() == message, "{len} bytes");
    }
    client.send(Theirs::text("grüße")).unwrap();
    assert_eq!(client.read().unwrap(), Theirs::text("grüße"));
    client.close(Some(CloseFrame { code: TheirCode::Library(4000), reason: "bye".into() })).unwrap();
    while client.read().is_ok() {}
    assert_eq!(server.told(), Told::Close(4000));
    server.stop();
}

#[test]
fn many_that_come_at_once_are_all_taken_turn_by_turn() {
    let server = Running::start(1);
    let streams: Vec<_> = (0..100).map(|_| TcpStream::connect(server.addr).unwrap()).collect();
    for stream in streams {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tungstenite::client(format!("ws://{}/", server.addr), stream).unwrap();
    }
    server.stop();
}

#[test]
fn a_client_that_writes_much_before_it_reads() {
    let server = Running::start(1);
    let (mut client, _) = server.connect();
    // More than sockets and queues hold together, so that both sides have to pause and go on.
    const COUNT: usize = 4_000;
    let mut writer = WebSocket::from_raw_socket(
        client.get_ref().try_clone().unwrap(),
        tungstenite::protocol::Role::Client,
        None,
    );
    let writing = thread::spawn(move || {
        for i in 0..COUNT {
            writer.send(Theirs::binary(vec![u8::try_from(i % 251).unwrap(); 10_000])).unwrap();
        }
    });
    for i in 0..COUNT {
        assert!(
            client.read().unwrap() == Theirs::binary(vec![u8::try_from(i % 251).unwrap(); 10_000]),
            "{i}"
        );
    }
    writing.join().unwrap();
    server.stop();
}

#[test]
fn other_threads_reach_connections_on_any_worker() {
    let server = Running::start(3);
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for (i, (client, id)) in clients.iter_mut().enumerate() {
        server.remote.send(*id, format!("for {i}")).unwrap();
        assert_eq!(client.read().unwrap(), Theirs::text(format!("for {i}")));
    }
    server.remote.broadcast("for all").unwrap();
    for (client, _) in &mut clients {
        assert_eq!(client.read().unwrap(), Theirs::text("for all"));
    }
    let (mut first, id) = clients.remove(0);
    server.remote.close(id, CloseCode::new(4001), "you").unwrap();
    let close = CloseFrame { code: TheirCode::Library(4001), reason: "you".into() };
    assert_eq!(first.read().unwrap(), Theirs::Close(Some(close)));
    while first.read().is_ok() {}
    assert_eq!(server.told(), Told::Close(4001));
    server.stop();
}

#[test]
fn a_shutdown_ends_every_connection_with_1001_and_then_the_server() {
    let server = Running::start(2);
    let (mut polite, _) = server.connect();
    let (_silent, _) = server.connect();
    server.remote.shutdown();
    let Theirs::Close(Some(close)) = polite.read().unwrap() else { panic!("not a close") };
    assert_eq!(close.code, TheirCode::Away);
    while polite.read().is_ok() {}
    let mut told = [server.told(), server.told()];
    told.sort_by_key(|told| if let Told::Close(code) = told { *code } else { 0 });
    assert_eq!(told, [Told::Close(1001), Told::Close(1006)], "the silent one was cut after close_timeout");
    let (remote, addr) = (server.remote.clone(), server.addr);
    server.stop();
    assert!(TcpStream::connect(addr).is_err(), "nobody listens");
    assert_eq!(remote.broadcast("too late"), Err(RemoteError::Stopping));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = TcpListener::bind(taken).unwrap();
    let error = Server::bind(holder.local_addr().unwrap(), Config::default()).unwrap_err();
    assert!(matches!(error, BindError::Listen { addr, .. } if addr == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn one_free_port_for_every_address() {
    let addrs = [SocketAddr::from(([127, 0, 0, 1], 0)), SocketAddr::from(([127, 0, 0, 2], 0))];
    let server = Server::bind(&addrs[..], Config::default()).unwrap();
    let [first, second] = server.local_addrs() else { panic!("two addresses") };
    assert!(first.port() != 0 && first.port() == second.port());
}

/// The status that a handshake with this `Host` is answered with.
fn status(addr: SocketAddr, host: &str) -> String {
    let mut stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, addr.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = [0; 12];
    stream.read_exact(&mut response).unwrap();
    String::from_utf8_lossy(&response[9..]).into_owned()
}

#[test]
fn names_from_elsewhere_do_not_reach_a_loopback_address_unless_they_are_configured() {
    let hosts = |text: &str| text.parse::<HostPolicy>().map(Some).unwrap();
    for (ip, configured, host, expect) in [
        ("127.0.0.1", None, "localhost:9999", "101"),
        ("127.0.0.1", None, "localhost.", "101"),
        ("127.0.0.1", None, "127.0.0.1", "101"),
        ("127.0.0.1", None, "[::1]:80", "101"),
        ("127.0.0.1", None, "rebound.example", "403"),
        ("127.0.0.1", None, "localhost.rebound.example", "403"),
        ("127.0.0.1", hosts("any"), "example.com", "101"),
        ("127.0.0.1", hosts("example.com"), "example.com", "101"),
        ("127.0.0.1", hosts("example.com"), "localhost", "403"),
        ("0.0.0.0", None, "example.com", "101"),
        ("0.0.0.0", hosts("loopback"), "example.com", "403"),
    ] {
        let mut config = Config::default();
        (config.workers, config.access.hosts) = (Some(1), configured.clone());
        let server = Running::bind(ip, config);
        assert_eq!(status(server.addr, host), expect, "{ip}, {configured:?}, {host}");
        server.stop();
    }
}

#[test]
fn listeners_that_others_have_made() {
    let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let addrs = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let server = Server::from_listeners(listeners, Config::default()).unwrap();
    assert_eq!(server.local_addrs(), addrs);
    let remote = server.remote();
    let running = std::thread::spawn(move || server.run(|_| NoSessions));
    for addr in addrs {
        let stream = std::net::TcpStream::connect(addr).unwrap();
        let (mut client, _) = tungstenite::client(format!("ws://{addr}/"), stream).unwrap();
        client.send(tungstenite::Message::text("hello")).unwrap();
        assert_eq!(client.read().unwrap().into_text().unwrap(), "hello");
    }
    remote.shutdown();
    running.join().unwrap().unwrap();
    assert!(Server::from_listeners([], Config::default()).is_err());
}

struct NoSessions;

impl ws_server::Handler for NoSessions {
    type Session = ();

    fn on_message(&mut self, (): &mut (), peer: &mut ws_server::Peer<'_>, message: ws_server::Message<'_>) {
        peer.send(message);
    }
}

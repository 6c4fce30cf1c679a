//! Pages for sockets beyond the limits, on real sockets.

use socket2::{Domain, Socket, Type};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};
use ws_server::{Config, Handler, Message, Peer, PeerInfo, Refusal, Remote, Request, Response, Server};

const PATIENCE: Duration = Duration::from_secs(20);

const PROBE: &str = "GET /healthz HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n";

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

struct Pages(mpsc::Sender<String>);

impl Handler for Pages {
    type Session = ();

    fn on_probe(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        (request.path() == "/healthz").then(|| Response::text(200, "ok\n"))
    }

    fn on_http(&mut self, _: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        Some(Response::text(200, "a page\n"))
    }

    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        self.0.send(format!("{} {:?} {:?}", refusal.reason, refusal.status, refusal.path)).unwrap();
    }

    fn on_message(&mut self, (): &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }
}

struct Running {
    addr: SocketAddr,
    remote: Remote,
    told: mpsc::Receiver<String>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { workers: Some(2), ..Config::default() };
        config.access.hosts = Some("localhost".parse().unwrap());
        config.deadlines.drain_window = Duration::from_millis(1);
        change(&mut config);
        let server = Server::bind("127.0.0.1:0", config).unwrap();
        let (addr, remote, (tell, told)) = (server.local_addrs()[0], server.remote(), mpsc::channel());
        let thread = thread::spawn(move || server.run(|_| Pages(tell.clone())));
        Self { addr, remote, told, thread }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Everything that comes back for this request.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        rest(stream)
    }

    /// An open connection.
    fn open(&self) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(UPGRADE.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 101");
        stream
    }

    fn told(&self) -> String {
        self.told.recv_timeout(PATIENCE).unwrap()
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_full_server_answers_probes_and_pages_and_refuses_handshakes() {
    for (change, reason, status) in [
        ((|config| config.limits.max_connections = 1) as fn(&mut Config), "max_connections", 503),
        (|config| config.limits.max_connections_per_address = 1, "max_connections_per_address", 429),
    ] {
        let server = Running::start(change);
        let _open = server.open();
        for request in [PROBE, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            let response = server.ask(request);
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{request}: {response}");
        }
        let response = server.ask(UPGRADE);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.contains("\r\nDate: "), "{response}");
        assert_eq!(server.told(), format!("{reason} Some({status}) Some(\"/chat\")"));
        assert!(server.told.try_recv().is_err(), "a page is no refusal");
    }
}

#[test]
fn silent_sockets_give_way_to_a_probe() {
    let server = Running::start(|config| {
        config.limits.max_connections = 1;
        config.deadlines.handshake_timeout = Duration::from_secs(3600);
    });
    let _open = server.open();
    let mut half = server.connect();
    half.write_all(b"GET /half HTTP/1.1\r\n").unwrap();
    // More of them than the reserve has places.
    let mut silent: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for _ in 0..3 {
        let response = server.ask(PROBE);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    }
    assert!(rest(half).starts_with("HTTP/1.1 503 "), "a request was begun");
    let last = silent.pop().unwrap();
    assert_eq!(rest(silent.remove(0)), "", "the oldest is closed without a response");
    assert_eq!(rest(last), "", "the newest has two seconds, and not an hour");
    let mut told: Vec<_> = std::iter::from_fn(|| server.told.try_recv().ok()).collect();
    told.sort();
    assert_eq!(told.first().unwrap(), "max_connections None None");
    assert!(told.contains(&"max_connections Some(503) Some(\"/half\")".to_owned()), "{told:?}");
}

#[cfg(target_os = "linux")] // where all of 127.0.0.0/8 is this machine
#[test]
fn a_flood_from_one_address_gives_way_to_itself() {
    let server = Running::start(|config| config.limits.max_connections = 1);
    let _open = server.open();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&server.addr.into()).unwrap();
    let mut slow = TcpStream::from(socket);
    slow.write_all(&PROBE.as_bytes()[..20]).unwrap();
    let _flood: Vec<_> = (0..100).map(|_| server.connect()).collect();
    let response = server.ask(PROBE);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    slow.write_all(&PROBE.as_bytes()[20..]).unwrap();
    let response = rest(slow);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
}

#[test]
fn a_place_that_is_free_again_is_no_reserve() {
    let server = Running::start(|config| config.limits.max_connections = 1);
    drop(server.open());
    // The end of the first connection may not have been seen yet.
    let opens = || {
        let mut stream = server.connect();
        stream.write_all(UPGRADE.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        start == *b"HTTP/1.1 101"
    };
    assert!((0..1_000).any(|_| opens()));
}

#[test]
fn probes_are_answered_until_the_very_end_of_a_shutdown() {
    let server = Running::start(|config| {
        (config.workers, config.limits.max_connections) = (Some(1), 2);
        config.deadlines.close_timeout = Duration::from_secs(1);
    });
    let (first, second) = (server.open(), server.open());
    server.remote.shutdown();
    for _ in 0..3 {
        let response = server.ask(PROBE);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    }
    drop(first);
    let response = server.ask(PROBE);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    // A request that is half received when the last connection ends.
    let mut half = server.connect();
    half.write_all(b"GET /half HTTP/1.1\r\n").unwrap();
    let response = server.ask(PROBE);
    assert!(
        response.starts_with("HTTP/1.1 200 OK\r\n"),
        "the half request was read before this one: {response}"
    );
    drop(second);
    assert!(rest(half).starts_with("HTTP/1.1 503 "), "it is told so");
    server.thread.join().unwrap().unwrap();
}

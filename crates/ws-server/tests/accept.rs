//! Who connects how fast, on real sockets.

use socket2::{Domain, Socket, Type};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};
use ws_server::{Config, Handler, Message, Peer, Server};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

struct Nothing;

impl Handler for Nothing {
    type Session = ();

    fn on_message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) {}
}

/// Connects from this address of the loopback network.
fn connect_from(ip: [u8; 4], to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// The status of the answer to an opening request.
fn status(stream: &mut TcpStream) -> String {
    let mut answer = [0; 12];
    stream.write_all(REQUEST).unwrap();
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_connects_too_often_delays_no_other() {
    const FLOOD: usize = 3_000;
    let mut config = Config { workers: Some(1), ..Config::default() };
    config.limits.max_accepts_per_second = 100;
    // As many may wait, and a few more.
    config.limits.max_connections = 500;
    config.deadlines.drain_window = Duration::ZERO;
    config.deadlines.close_timeout = Duration::from_millis(100);
    let server = Server::bind("127.0.0.1:0", config).unwrap();
    let (addr, remote) = (server.local_addrs()[0], server.remote());
    let thread = thread::spawn(move || server.run(|_| Nothing));

    // Each goes at once, so that it takes descriptors of the server's alone. In turn, they would take half a minute.
    (0..FLOOD).for_each(|_| drop(connect_from([127, 0, 9, 2], addr)));
    let start = Instant::now();
    let mut honest: Vec<_> = (0..10).map(|_| connect_from([127, 0, 0, 1], addr).unwrap()).collect();
    for stream in &mut honest {
        assert_eq!(status(stream), "101");
    }
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
    let metrics = remote.metrics();
    let refusals =
        |reason| metrics.refusals.iter().find(|(it, _)| *it == reason).map_or(0, |(_, count)| *count);
    assert!(refusals("accept_rate") > 1_000, "{metrics:?}");
    remote.shutdown();
    thread.join().unwrap().unwrap();
}

#[test]
fn unfinished_handshakes_of_an_address_are_limited() {
    let mut config = Config { workers: Some(1), ..Config::default() };
    config.limits.max_handshakes_per_address = 3;
    config.deadlines.drain_window = Duration::ZERO;
    config.deadlines.close_timeout = Duration::from_millis(100);
    let server = Server::bind("127.0.0.1:0", config).unwrap();
    let (addr, remote) = (server.local_addrs()[0], server.remote());
    let thread = thread::spawn(move || server.run(|_| Nothing));

    let connect = || {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let mut open = connect();
    assert_eq!(status(&mut open), "101");
    let mut silent: Vec<_> = (0..3).map(|_| connect()).collect();
    assert_eq!(status(&mut connect()), "429");
    assert_eq!(status(&mut silent[0]), "101", "it is open now");
    assert_eq!(status(&mut connect()), "101");
    let metrics = remote.metrics();
    assert!(metrics.refusals.contains(&("max_handshakes_per_address", 1)), "{metrics:?}");
    remote.shutdown();
    thread.join().unwrap().unwrap();
}

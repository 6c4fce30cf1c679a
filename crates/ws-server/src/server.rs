//! Listening, and running the threads.

use crate::{
    Config, ConfigError, Handler, HostPolicy, Limits, Remote,
    connection::admission::Admission,
    memory,
    worker::{
        acceptor::Acceptor,
        mailbox::Mailbox,
        worker::{self, Wait},
    },
};
use mio::{Poll, Waker, net::TcpListener};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    thread,
};

/// How many connections the system keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// The number of free ports that are tried for several addresses that are to have the same one.
const MAX_FREE_PORT_TRIES: usize = 16;

/// A server that listens; [`run`](Self::run) makes it serve.
#[derive(Debug)]
pub struct Server {
    /// What is in force.
    config: Config,
    /// The workers and connections that were asked for.
    asked: (usize, usize),
    acceptor: Acceptor,
    local_addrs: Vec<SocketAddr>,
    workers: Vec<Poll>,
    /// How they wait.
    wait: Wait,
    remote: Remote,
}

impl Server {
    /// Listens on every one of these addresses. Port 0 stands for a free port, the same for all of them, as for
    /// `localhost:0`, which may be two addresses. `[::]` is for IPv6 alone; for both families, name `0.0.0.0`, too.
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the address that cannot be had, or the settings that contradict each other.
    pub fn bind(addrs: impl ToSocketAddrs, config: Config) -> Result<Self, BindError> {
        config.check()?;
        let addrs: Vec<SocketAddr> = addrs.to_socket_addrs().map_err(BindError::Resolve)?.collect();
        let has_free_port = addrs.iter().any(|addr| addr.port() == 0);
        let mut tries = if has_free_port { MAX_FREE_PORT_TRIES } else { 1 };
        let listeners = loop {
            tries -= 1;
            match listen_on(&addrs) {
                // The port was free on the first address, but not on another.
                Err(BindError::Listen { source, .. })
                    if source.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                listeners => break listeners?,
            }
        };
        Self::from_listeners(listeners, config)
    }

    /// Serves on these listeners, which another program may have made: a service manager, or a process before this one.
    /// They need not be non-blocking.
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the settings that contradict each other, or says that there is no listener.
    pub fn from_listeners(
        listeners: impl IntoIterator<Item = std::net::TcpListener>,
        config: Config,
    ) -> Result<Self, BindError> {
        let asked = (config.worker_count(), config.limits.max_connections);
        let mut config = config.resolved(memory::available())?;
        let (mut all, mut local_addrs) = (Vec::new(), Vec::new());
        for listener in listeners {
            listener.set_nonblocking(true).map_err(BindError::System)?;
            local_addrs.push(listener.local_addr().map_err(BindError::System)?);
            all.push(TcpListener::from_std(listener));
        }
        let listeners = all;
        if listeners.is_empty() {
            return Err(BindError::Resolve(io::ErrorKind::AddrNotAvailable.into()));
        }
        let is_loopback = local_addrs.iter().all(|addr| addr.ip().is_loopback());
        config.access.hosts.get_or_insert(if is_loopback { HostPolicy::Loopback } else { HostPolicy::Any });
        let mut workers = Vec::new();
        let mut mailboxes = Vec::new();
        for _ in 0..config.worker_count() {
            let poll = Poll::new().map_err(BindError::System)?;
            let waker = Waker::new(poll.registry(), worker::WAKER).map_err(BindError::System)?;
            mailboxes.push(Mailbox::new(Some(waker), &config));
            workers.push(poll);
        }
        let mut kept_descriptors = usize::MAX;
        if let (Some(max), Some(open)) = (memory::max_descriptors(), memory::open_descriptors()) {
            kept_descriptors = config.limit_descriptors(max, open);
        }
        let acceptor = Acceptor::new(listeners, workers[0].registry(), &config, kept_descriptors / 4);
        let acceptor = acceptor.map_err(BindError::System)?;
        let remote = Remote::new(mailboxes, Admission::new(&config, kept_descriptors));
        Ok(Self { config, asked, acceptor, local_addrs, workers, wait: Poll::poll, remote })
    }

    /// The settings that are in force: what depends on this machine is resolved.
    ///
    /// [`memory_budget`](Limits::memory_budget) and [`hosts`](crate::Access::hosts) are set,
    /// [`workers`](Config::workers) are as many as the default budget can serve, and
    /// [`max_connections`](Limits::max_connections) leaves descriptors for other purposes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The addresses that it listens on, with their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// The way in for other threads.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Serves until [`Remote::shutdown`]. Each worker has the handler that `make_handler` makes for its number, in its
    /// own thread.
    ///
    /// # Errors
    ///
    /// The system's, if a thread cannot be started or cannot wait for its sockets. A worker that cannot wait ends at once,
    /// and [`on_close`](Handler::on_close) tells its connections [`WorkerEnded`](crate::DisconnectError::WorkerEnded);
    /// everything else stops as after [`Remote::shutdown`], and then the first error is returned. The same happens if
    /// a worker ends by a panic, such as one of `make_handler`: the error is of the kind
    /// [`Other`](io::ErrorKind::Other) then.
    pub fn run<H: Handler>(self, make_handler: impl Fn(usize) -> H + Sync) -> io::Result<()> {
        self.report();
        let Self { config, acceptor, workers, wait, remote, .. } = self;
        thread::scope(|scope| {
            let mut threads = Vec::new();
            // The first worker accepts.
            let mut acceptor = Some(acceptor);
            let mut result = Ok(());
            for (number, (poll, mailbox)) in (0..).zip(workers.into_iter().zip(remote.mailboxes())) {
                let (make_handler, config, remote) = (&make_handler, config.clone(), &remote);
                let acceptor = acceptor.take();
                let thread = thread::Builder::new().name(format!("ws-worker-{number}")).spawn_scoped(
                    scope,
                    move || {
                        let _ending = Ending { remote, mailbox };
                        let handler = make_handler(usize::from(number));
                        worker::run(number, poll, wait, acceptor, remote, handler, config)
                    },
                );
                match thread {
                    Ok(thread) => threads.push(thread),
                    Err(error) => result = Err(error),
                }
            }
            if result.is_err() {
                remote.shutdown();
            }
            for thread in threads {
                result =
                    result.and(thread.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked"))));
            }
            result
        })
    }
}

impl Server {
    /// Logs what is in force, and warns of what is less than was asked for.
    fn report(&self) {
        let workers = self.config.worker_count();
        let Limits { max_connections, memory_budget, .. } = self.config.limits;
        let ((asked_workers, asked_connections), memory_budget) =
            (self.asked, memory_budget.unwrap_or_default());
        tracing::debug!(workers, max_connections, memory_budget, "the server starts");
        if workers < asked_workers {
            tracing::warn!(
                workers,
                asked = asked_workers,
                memory_budget,
                "there are fewer workers, as each needs memory for two messages of max_message_len"
            );
        }
        let memory_len = memory::available();
        if memory_budget > memory_len {
            tracing::warn!(memory_budget, memory_len, "memory_budget is more than this process can have");
        }
        // The default is meant as no limit for most machines.
        if max_connections < asked_connections && asked_connections != Limits::default().max_connections {
            tracing::warn!(
                max_connections,
                asked = asked_connections,
                "the limit on open files allows fewer connections than max_connections"
            );
        }
    }
}

/// A worker that ends by itself, be it by a panic, takes the server with it.
struct Ending<'a> {
    remote: &'a Remote,
    mailbox: &'a Mailbox,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.remote.shutdown();
        self.mailbox.end();
    }
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Settings contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The name of an address means nothing.
    #[error("the address cannot be resolved: {0}")]
    Resolve(#[source] io::Error),
    /// This address is taken, or is none of ours.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not give what a server needs.
    #[error("cannot wait for sockets: {0}")]
    System(#[source] io::Error),
}

/// Listens on these addresses. Those with port 0 get the free port of the first.
fn listen_on(addrs: &[SocketAddr]) -> Result<Vec<std::net::TcpListener>, BindError> {
    let (mut listeners, mut free_port) = (Vec::new(), None);
    for addr in addrs {
        let mut addr = *addr;
        if addr.port() == 0 {
            addr.set_port(free_port.unwrap_or_default());
        }
        let failed = |source| BindError::Listen { addr, source };
        let listener = listen(addr).map_err(failed)?;
        free_port = free_port.or(Some(listener.local_addr().map_err(failed)?.port()));
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last server has just ended can be had again at once. (Elsewhere than on Unix, this would let two
    // servers have the same port.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        // `[::]` is for IPv6 alone, so that it can stand beside `0.0.0.0`.
        socket.set_only_v6(true)?;
    }
    // Every socket that is accepted has it from here (on Linux; `accept` sees to the other systems).
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Disconnect, Message, Metrics, Peer, RemoteError};
    use std::{cell::Cell, net::TcpStream, sync::mpsc, time::Duration};
    use tungstenite::{Message as Theirs, WebSocket};

    const PATIENCE: Duration = Duration::from_secs(20);

    thread_local! {
        /// Whether this worker cannot wait any more.
        static IS_BROKEN: Cell<bool> = const { Cell::new(false) };
    }

    /// Tells who came and how they went. Whoever sends a message breaks the worker.
    struct Breaking(mpsc::Sender<String>);

    impl Handler for Breaking {
        type Session = ();

        fn on_open(&mut self, (): &mut (), _: &mut Peer<'_>) {
            self.0.send("open".to_owned()).unwrap();
        }

        fn on_message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) {
            IS_BROKEN.set(true);
        }

        fn on_close(&mut self, (): (), disconnect: &Disconnect<'_>) {
            let error = disconnect.error.map_or("ok".to_owned(), ToString::to_string);
            self.0.send(format!("close {} {error}", disconnect.code)).unwrap();
        }
    }

    fn server() -> Server {
        let mut config = Config::default();
        (config.workers, config.deadlines.drain_window) = (Some(2), Duration::from_millis(50));
        Server::bind("127.0.0.1:0", config).unwrap()
    }

    /// Runs the server in a thread of its own, and gives what it ends with, once it does.
    fn start<H: Handler>(
        server: Server,
        make_handler: impl Fn(usize) -> H + Sync + Send + 'static,
    ) -> mpsc::Receiver<io::Result<()>> {
        let (end, ended) = mpsc::channel();
        thread::spawn(move || end.send(server.run(make_handler)));
        ended
    }

    fn connect(addr: SocketAddr) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        tungstenite::client(format!("ws://{addr}/"), stream).unwrap().0
    }

    #[test]
    fn a_worker_that_cannot_wait_ends_its_connections_and_then_the_server() {
        let mut server = server();
        server.wait = |poll, events, timeout| match IS_BROKEN.get() {
            true => Err(io::Error::other("the sockets cannot be waited for")),
            false => poll.poll(events, timeout),
        };
        let (addr, remote, (tell, told)) = (server.local_addrs()[0], server.remote(), mpsc::channel());
        let ended = start(server, move |_| Breaking(tell.clone()));
        // The workers take turns: the first and the third are on one, the second is on the other.
        let [mut first, mut second, mut third] = [(); 3].map(|()| {
            let client = connect(addr);
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "open");
            client
        });

        first.send(Theirs::text("break")).unwrap();
        for client in [&mut first, &mut third] {
            assert!(client.read().is_err(), "the stream ends");
        }
        let Theirs::Close(Some(close)) = second.read().unwrap() else { panic!("not a close") };
        assert_eq!(u16::from(close.code), 1001, "the other worker shuts down in order");
        while second.read().is_ok() {}
        drop(second);
        let result = ended.recv_timeout(PATIENCE).unwrap();
        assert_eq!(result.unwrap_err().to_string(), "the sockets cannot be waited for");

        let mut told: Vec<String> = told.iter().collect();
        told.sort();
        assert_eq!(told, ["close 1001 ok", "close 1006 the worker ended", "close 1006 the worker ended"]);
        let Metrics { connections_open: open, held_bytes, closes, .. } = remote.metrics();
        assert_eq!((open, held_bytes), (0, 0));
        assert!(closes.contains(&(1001, 1)) && closes.contains(&(1006, 2)), "{closes:?}");
        assert_eq!(remote.broadcast("too late"), Err(RemoteError::Stopping));
        assert!(TcpStream::connect(addr).is_err(), "nobody listens");
    }

    #[test]
    fn a_worker_that_panics_ends_the_server() {
        let (tell, _told) = mpsc::channel();
        let ended = start(server(), move |number| {
            assert!(number != 1, "asked for");
            Breaking(tell.clone())
        });
        let result = ended.recv_timeout(PATIENCE).unwrap();
        assert_eq!(result.unwrap_err().to_string(), "a worker panicked");
    }
}

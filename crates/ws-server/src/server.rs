//! Listening, and running the threads.

use crate::{Config, Handler, Remote, accept, admission::Admission, mailbox::Mailbox, worker};
use mio::{Poll, Waker, net::TcpListener};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    thread,
};

/// How many connections the system keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// A server that listens; [`run`](Self::run) makes it serve.
#[derive(Debug)]
pub struct Server {
    config: Config,
    acceptor: Poll,
    listeners: Vec<TcpListener>,
    local_addrs: Vec<SocketAddr>,
    workers: Vec<Poll>,
    remote: Remote,
}

impl Server {
    /// Listens on every one of these addresses. Port 0 stands for a free port, the same for all of them.
    ///
    /// # Errors
    ///
    /// [`BindError`], which names the address that cannot be had.
    pub fn bind(addrs: impl ToSocketAddrs, config: Config) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        let mut local_addrs: Vec<SocketAddr> = Vec::new();
        for mut addr in addrs.to_socket_addrs().map_err(BindError::Resolve)? {
            if let (0, Some(first)) = (addr.port(), local_addrs.first()) {
                addr.set_port(first.port());
            }
            let (listener, local_addr) = listen(addr).map_err(|source| BindError::Listen { addr, source })?;
            listeners.push(listener);
            local_addrs.push(local_addr);
        }
        if listeners.is_empty() {
            return Err(BindError::Resolve(io::ErrorKind::AddrNotAvailable.into()));
        }
        let acceptor = Poll::new().map_err(BindError::System)?;
        let mut workers = Vec::new();
        let mut mailboxes = Vec::new();
        for _ in 0..config.workers.clamp(1, usize::from(u16::MAX)) {
            let poll = Poll::new().map_err(BindError::System)?;
            let waker = Waker::new(poll.registry(), worker::WAKER).map_err(BindError::System)?;
            mailboxes.push(Mailbox::new(waker, config.max_mailbox));
            workers.push(poll);
        }
        let waker = Waker::new(acceptor.registry(), accept::WAKER).map_err(BindError::System)?;
        let remote = Remote::new(waker, mailboxes, Admission::new(&config));
        Ok(Self { config, acceptor, listeners, local_addrs, workers, remote })
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
    /// The system's, if a thread cannot be started or cannot wait for its sockets. All the others stop then.
    pub fn run<H: Handler>(self, make_handler: impl Fn(usize) -> H + Sync) -> io::Result<()> {
        let Self { config, mut acceptor, mut listeners, workers, remote, .. } = self;
        thread::scope(|scope| {
            let mut threads = Vec::new();
            let mut result = Ok(());
            for (number, (poll, mailbox)) in (0..).zip(workers.into_iter().zip(remote.mailboxes())) {
                let (make_handler, config, remote) = (&make_handler, config.clone(), &remote);
                let thread = thread::Builder::new().name(format!("ws-worker-{number}")).spawn_scoped(
                    scope,
                    move || {
                        let _ending = Ending { remote, mailbox };
                        let handler = make_handler(usize::from(number));
                        worker::run(number, poll, remote, mailbox, handler, config)
                    },
                );
                match thread {
                    Ok(thread) => threads.push(thread),
                    Err(error) => result = Err(error),
                }
            }
            if result.is_ok() {
                result = accept::run(&mut acceptor, &mut listeners, &remote, &config);
            }
            // No new connections from here on.
            drop(listeners);
            remote.shutdown();
            for thread in threads {
                result =
                    result.and(thread.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked"))));
            }
            result
        })
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
        self.remote.worker_ended(self.mailbox);
    }
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
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

fn listen(addr: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last server has just ended can be had again at once. (Elsewhere than on Unix, this would let two
    // servers have the same port.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        // `[::]` is for IPv6 alone, so that it can stand beside `0.0.0.0`.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into());
    let local_addr = listener.local_addr()?;
    Ok((listener, local_addr))
}

//! The echo: every message goes back to where it came from.

use crate::console;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use ws_server::{Accept, Disconnect, Handler, Message, Peer, Remote, Request, Response, Upgrade};

/// What every worker runs.
pub(crate) struct Echo {
    open: OpenConnections,
    remote: Remote,
}

/// How many connections are open, in all workers together.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenConnections(Arc<AtomicUsize>);

impl Echo {
    pub(crate) fn new(open: OpenConnections, remote: Remote) -> Self {
        Self { open, remote }
    }
}

impl OpenConnections {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Handler for Echo {
    type Session = ();

    fn on_request(&mut self, upgrade: &Upgrade<'_, '_>, _: SocketAddr) -> Result<Accept<()>, Response> {
        // A browser that offers subprotocols fails the connection if none of them is accepted, and an echo speaks them
        // all.
        Ok(Accept::new(()).with_subprotocol(upgrade.subprotocols().next()))
    }

    fn on_http(&mut self, request: &Request<'_, '_>) -> Option<Response> {
        Some(console::answer(request.path(), self.remote.is_stopping()))
    }

    fn on_open(&mut self, _: &mut (), _: &mut Peer<'_>) {
        self.open.0.fetch_add(1, Ordering::Relaxed);
    }

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }

    fn on_close(&mut self, (): (), _: &Disconnect<'_>) {
        self.open.0.fetch_sub(1, Ordering::Relaxed);
    }
}

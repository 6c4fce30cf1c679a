//! The echo: every message goes back to the client that sent it.

use crate::serve::{
    access_log::{Client, Entry, Logged},
    mode::Mode,
};
use ws_server::{Accepted, Message, PeerInfo, Response, Upgrade};

/// The echo of a worker.
pub(crate) struct Echo;

impl Mode for Echo {
    type Session = ();

    fn on_request(
        &mut self,
        request: &Upgrade<'_, '_>,
        _: &PeerInfo,
        entry: Entry,
    ) -> Result<Accepted<Logged<()>>, Response> {
        // A browser that offers subprotocols fails the connection if none of them is accepted, and
        // an echo speaks them all.
        Ok(Accepted::new(entry.with(())).with_subprotocol(request.subprotocols().next()))
    }

    #[inline]
    fn on_message(&mut self, (): &mut (), client: &mut Client<'_, '_>, message: Message<'_>) {
        assert!(!cfg!(feature = "provoked-panics") || message.as_bytes() != b"panic", "provoked");
        client.send(message);
    }

    fn session_len(&self, (): &()) -> usize {
        0
    }
}

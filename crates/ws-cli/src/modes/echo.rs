//! The echo: every message goes back to where it came from.

use crate::{
    console,
    serve::{
        log::{self, Line, Log},
        probes, refusals,
    },
};
use std::time::Instant;
use ws_server::{
    Accepted, Disconnect, Handler, Message, Peer, PeerAddr, PeerInfo, Refusal, Remote, Request, Response,
    SendStatus, Upgrade,
};

/// What every worker runs.
pub(crate) struct Echo {
    remote: Remote,
    log: Log,
    logs_messages: bool,
}

/// What the log tells of a connection.
pub(crate) struct Logged {
    opened: Instant,
    /// Without its query, which may have a secret, and cut as the log cuts it.
    path: Box<str>,
    received: Traffic,
    sent: Traffic,
}

/// What went one way: messages, and their bytes before they are compressed and framed.
#[derive(Default)]
struct Traffic {
    messages: u64,
    bytes: u64,
}

impl Echo {
    pub(crate) fn new(remote: Remote, log: Log, logs_messages: bool) -> Self {
        Self { remote, log, logs_messages }
    }

    /// Logs a message, if that was asked for.
    #[inline]
    fn log_message(&self, address: PeerAddr, direction: &str, message: Message<'_>) {
        if self.logs_messages {
            let kind = match message {
                Message::Text(_) => "text",
                Message::Binary(_) => "binary",
            };
            self.log.event("message", |line| {
                line.word("address", address).word("direction", direction);
                line.word("type", kind).value("bytes", message.as_bytes().len());
            });
        }
    }
}

impl Traffic {
    #[inline]
    fn add(&mut self, message: Message<'_>) {
        self.messages += 1;
        self.bytes += message.as_bytes().len() as u64;
    }
}

impl Handler for Echo {
    /// Nothing, unless it is logged.
    type Session = Option<Box<Logged>>;

    fn on_request(
        &mut self,
        upgrade: &Upgrade<'_, '_>,
        _: &PeerInfo,
    ) -> Result<Accepted<Self::Session>, Response> {
        let logged = self.log.is_on().then(|| Box::new(Logged::new(upgrade.request().path())));
        // A browser that offers subprotocols fails the connection if none of them is accepted, and an echo speaks them
        // all.
        Ok(Accepted::new(logged).with_subprotocol(upgrade.subprotocols().next()))
    }

    fn on_http(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        Some(console::answer(request.path()).unwrap_or_else(no_page))
    }

    fn on_probe(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        probes::answer(request.path(), self.remote.is_stopping())
    }

    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        refusals::log(&self.log, refusal);
    }

    fn on_open(&mut self, logged: &mut Self::Session, peer: &mut Peer<'_>) {
        if let Some(logged) = logged {
            self.log.event("open", |line| logged.name(line, peer.addr()));
        }
    }

    fn on_message(&mut self, logged: &mut Self::Session, peer: &mut Peer<'_>, message: Message<'_>) {
        assert!(!cfg!(feature = "provoked-panics") || message.as_bytes() != b"panic", "provoked");
        let status = peer.send(message);
        if let Some(logged) = logged {
            logged.received.add(message);
            self.log_message(peer.addr(), "in", message);
            if matches!(status, SendStatus::Sent | SendStatus::Lagging) {
                logged.sent.add(message);
                self.log_message(peer.addr(), "out", message);
            }
        }
    }

    fn session_len(&self, logged: &Self::Session) -> usize {
        logged.as_ref().map_or(0, |logged| size_of::<Logged>() + logged.path.len())
    }

    fn on_close(&mut self, logged: Self::Session, disconnect: &Disconnect<'_>) {
        if let Some(logged) = logged {
            self.log.event("close", |line| {
                logged.name(line, disconnect.peer.addr);
                logged.sum_up(line, disconnect);
            });
        }
    }
}

fn no_page() -> Response {
    Response::text(404, "There is no page here. The console is at /, and every path takes a WebSocket.\n")
}

impl Logged {
    fn new(path: &str) -> Self {
        let (received, sent) = Default::default();
        Self { opened: Instant::now(), path: log::kept(path).into(), received, sent }
    }

    fn name(&self, line: &mut Line, address: PeerAddr) {
        line.word("address", address).text("path", &self.path);
    }

    fn sum_up(&self, line: &mut Line, disconnect: &Disconnect<'_>) {
        let error = disconnect.error.map(ToString::to_string);
        line.value("code", disconnect.code.value()).text("reason", disconnect.reason);
        line.optional_text("error", error.as_deref());
        line.value("seconds", format_args!("{:.3}", self.opened.elapsed().as_secs_f64()));
        line.value("messages_in", self.received.messages).value("bytes_in", self.received.bytes);
        line.value("messages_out", self.sent.messages).value("bytes_out", self.sent.bytes);
        // Messages that the socket never took are among those out, so the log has to say how much of them was lost.
        line.value("unsent_bytes", disconnect.unsent_len);
    }
}

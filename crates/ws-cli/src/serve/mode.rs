//! The modes of the executable, and the handler that serves each of them.

use crate::{
    console,
    serve::{
        access_log::{AccessLog, Client, Entry, Logged},
        probes, refusals,
    },
};
use ws_server::{
    Accepted, Disconnect, Handler, Message, Peer, PeerInfo, Refusal, Remote, Request, Response, Upgrade,
};

/// A mode: the part of a server that decides which connections to accept and how to answer their
/// messages. [`Serving`] does everything else.
pub(crate) trait Mode {
    /// The state of one connection.
    type Session: 'static;

    /// Accepts a connection with `entry.with(session)`, or refuses it.
    ///
    /// # Errors
    ///
    /// The response that refuses it.
    fn on_request(
        &mut self,
        request: &Upgrade<'_, '_>,
        peer: &PeerInfo,
        entry: Entry,
    ) -> Result<Accepted<Logged<Self::Session>>, Response>;

    /// A message arrived.
    fn on_message(&mut self, session: &mut Self::Session, client: &mut Client<'_, '_>, message: Message<'_>);

    /// The memory that a session has allocated, in bytes.
    fn session_len(&self, session: &Self::Session) -> usize;
}

/// The handler of a mode. It adds the console, the probes, the access log and the log of refusals.
pub(crate) struct Serving<M> {
    mode: M,
    remote: Remote,
    access_log: AccessLog,
}

impl<M: Mode> Serving<M> {
    /// Serves `mode` on the server of `remote`.
    pub(crate) fn new(mode: M, remote: Remote, access_log: AccessLog) -> Self {
        Self { mode, remote, access_log }
    }
}

impl<M: Mode> Handler for Serving<M> {
    type Session = Logged<M::Session>;

    fn on_request(
        &mut self,
        request: &Upgrade<'_, '_>,
        peer: &PeerInfo,
    ) -> Result<Accepted<Self::Session>, Response> {
        let entry = self.access_log.begin(request.request().path());
        self.mode.on_request(request, peer, entry)
    }

    fn on_http(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        Some(console::answer(request.path()).unwrap_or_else(no_page))
    }

    fn on_probe(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        probes::answer(request.path(), self.remote.is_stopping())
    }

    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        refusals::log(self.access_log.log(), refusal);
    }

    fn on_open(&mut self, logged: &mut Self::Session, peer: &mut Peer<'_>) {
        self.access_log.opened(&logged.entry, peer.addr());
    }

    fn on_message(&mut self, logged: &mut Self::Session, peer: &mut Peer<'_>, message: Message<'_>) {
        let Logged { session, entry } = logged;
        self.access_log.received(entry, peer.addr(), message);
        self.mode.on_message(session, &mut Client::new(peer, &self.access_log, entry), message);
    }

    fn session_len(&self, logged: &Self::Session) -> usize {
        logged.entry.allocated_len() + self.mode.session_len(&logged.session)
    }

    fn on_close(&mut self, logged: Self::Session, disconnect: &Disconnect<'_>) {
        self.access_log.closed(&logged.entry, disconnect);
    }
}

fn no_page() -> Response {
    Response::text(404, "There is no page here. The console is at /, and every path takes a WebSocket.\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::log::{Format, Level, Log};
    use std::time::Duration;
    use ws_server::{CloseCode, Config, testing};

    /// Answers each message twice, and refuses `/no`.
    struct Twice;

    impl Mode for Twice {
        type Session = [u8; 7];

        fn on_request(
            &mut self,
            request: &Upgrade<'_, '_>,
            _: &PeerInfo,
            entry: Entry,
        ) -> Result<Accepted<Logged<Self::Session>>, Response> {
            match request.request().path() {
                "/no" => Err(Response::text(403, "no\n")),
                _ => Ok(Accepted::new(entry.with([0; 7]))),
            }
        }

        fn on_message(&mut self, _: &mut [u8; 7], client: &mut Client<'_, '_>, message: Message<'_>) {
            client.send(message);
            client.send(message);
        }

        fn session_len(&self, _: &[u8; 7]) -> usize {
            1_000
        }
    }

    /// Talks to a server of this mode; its log without times and addresses, one line each.
    fn log_of(level: Level, logs_messages: bool) -> Vec<String> {
        let log = Log::new(Format::Text, level, 1_000);
        let bound = ws_server::Server::bind("127.0.0.1:0", Config::default()).unwrap();
        let access_log = AccessLog::new(log.clone(), logs_messages);
        let server = testing::Server::new(Serving::new(Twice, bound.remote(), access_log));
        assert!(server.connect("/no?secret").is_err());
        let mut client = server.connect("/a/path?secret").unwrap_or_else(|_| panic!("refused"));
        client.send("12345");
        assert_eq!(client.next(), Some(testing::Received::Text("12345".into())));
        client.close(CloseCode::NORMAL, "bye");
        drop(client);
        drop(server);
        let lines = log.take(Some(Duration::ZERO));
        let shown = |line: &str| {
            let fields = line.split(' ').skip(1).filter(|it| !it.is_empty() && !it.starts_with("address="));
            fields.filter(|it| !it.starts_with("seconds=")).collect::<Vec<_>>().join(" ")
        };
        lines.lines().map(shown).collect()
    }

    #[test]
    fn any_mode_has_an_access_log() {
        let lines = log_of(Level::Info, true);
        let [refused, rest @ ..] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(refused.starts_with("refused ") && refused.contains("path=\"/no\""), "{refused}");
        assert_eq!(
            rest,
            [
                "open path=\"/a/path\"",
                "message direction=in type=text bytes=5",
                "message direction=out type=text bytes=5",
                "message direction=out type=text bytes=5",
                "close path=\"/a/path\" code=1000 reason=\"bye\" messages_in=1 bytes_in=5 messages_out=2 \
                 bytes_out=10 unsent_bytes=0",
            ]
        );
    }

    #[test]
    fn messages_are_logged_only_if_asked_for() {
        let events = |lines: Vec<String>| -> Vec<String> {
            lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        };
        assert_eq!(events(log_of(Level::Info, false)), ["refused", "open", "close"]);
        assert_eq!(events(log_of(Level::Error, false)), [""; 0]);
    }

    /// The memory budget sees the session of the mode and the entry of the log.
    #[test]
    fn the_session_and_its_entry_are_measured() {
        let bound = ws_server::Server::bind("127.0.0.1:0", Config::default()).unwrap();
        for (level, path_len) in [(Level::Info, "/a/path".len()), (Level::Error, 0)] {
            let access_log = AccessLog::new(Log::new(Format::Text, level, 1_000), false);
            let entry = access_log.begin("/a/path");
            let allocated_len = entry.allocated_len();
            assert_eq!(allocated_len > path_len, path_len > 0);
            let serving = Serving::new(Twice, bound.remote(), access_log);
            assert_eq!(serving.session_len(&entry.with([0; 7])), 1_000 + allocated_len);
        }
    }
}

//! A handler with its unit tests: clients in memory, no sockets, and a clock that a test moves.
//! `cargo test -p ws-server --example handler_test`
//!
//! Everybody adds to one total, and everybody gets it.

use std::error::Error;
use ws_server::{CloseCode, Config, ConnectionId, Disconnect, Handler, Message, Peer, Prepared, Server};

/// The total of one worker, and its clients.
#[derive(Default)]
struct Total {
    total: i64,
    clients: Vec<ConnectionId>,
}

impl Handler for Total {
    type Session = ();

    fn on_open(&mut self, _: &mut (), peer: &mut Peer<'_>) {
        self.clients.push(peer.id());
    }

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        let Some(amount) = message.as_text().and_then(|text| text.parse().ok()) else {
            peer.close(CloseCode::INVALID_PAYLOAD, "that is not a number");
            return;
        };
        self.total = self.total.saturating_add(amount);
        let total = Prepared::from(self.total.to_string());
        for id in &self.clients {
            // It fails if far too much waits for the worker: the next total makes up for this one.
            let _ = peer.remote().send(*id, &total);
        }
    }

    fn on_close(&mut self, (): (), disconnect: &Disconnect<'_>) {
        self.clients.retain(|id| *id != disconnect.peer.id);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    let server = Server::bind(addr, Config { workers: Some(1), ..Config::default() })?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    Ok(server.run(|_worker| Total::default())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use ws_server::testing::{self, Received};

    fn text(text: &str) -> Option<Received> {
        Some(Received::Text(text.to_owned()))
    }

    #[test]
    fn everybody_gets_the_total() {
        let server = testing::Server::new(Total::default());
        let mut ann = server.connect("/").unwrap();
        let mut bob = server.connect("/").unwrap();
        ann.send("2");
        bob.send("-5");
        for client in [&mut ann, &mut bob] {
            assert_eq!((client.next(), client.next(), client.next()), (text("2"), text("-3"), None));
        }
        bob.vanish();
        assert_eq!(server.handler().clients, [ann.id()]);
    }

    #[test]
    fn what_is_not_a_number_closes_the_connection() {
        let mut client = testing::connect(Total::default(), "/");
        client.send("two");
        let reason = "that is not a number".to_owned();
        assert_eq!(client.next(), Some(Received::Close(CloseCode::INVALID_PAYLOAD, reason)));
    }

    #[test]
    fn a_client_is_pinged_after_silence() {
        let mut client = testing::connect(Total::default(), "/");
        client.server().advance(Duration::from_secs(29));
        assert_eq!(client.next(), None);
        client.server().advance(Duration::from_secs(2));
        assert_eq!(client.next(), Some(Received::Ping(Vec::new())));
    }
}

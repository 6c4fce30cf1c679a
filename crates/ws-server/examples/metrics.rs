//! Metrics: the server's and the application's own, for Prometheus at `/metrics`.
//!
//! Whoever reaches the port can read them. Behind a proxy, serve that path to nobody else than
//! Prometheus.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use ws_server::{Config, Handler, Message, Peer, PeerInfo, Remote, Request, Response, Server};

/// The counters of the application, for all workers.
#[derive(Default)]
struct Counters {
    words: AtomicU64,
}

/// Counts words.
struct WordCount {
    counters: Arc<Counters>,
    remote: Remote,
}

impl Handler for WordCount {
    type Session = ();

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        let words = message.as_text().unwrap_or_default().split_whitespace().count();
        self.counters.words.fetch_add(words as u64, Ordering::Relaxed);
        peer.send(format!("{words} words"));
    }

    fn on_http(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        (request.path() == "/metrics").then(|| {
            let words = self.counters.words.load(Ordering::Relaxed);
            // The server's names begin with `ws_`, so the application's must not.
            Response::text(
                200,
                format!(
                    "{}# HELP words_received_total Words in text messages.\n\
                     # TYPE words_received_total counter\n\
                     words_received_total {words}\n",
                    self.remote.metrics()
                ),
            )
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    let server = Server::bind(addr, Config::default())?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    let (counters, remote) = (Arc::<Counters>::default(), server.remote());
    Ok(server.run(|_worker| WordCount { counters: counters.clone(), remote: remote.clone() })?)
}

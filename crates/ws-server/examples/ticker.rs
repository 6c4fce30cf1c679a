//! A ticker: a thread that sends a message to every client, every 10 ms.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};
use ws_server::{
    CloseCode, Config, Flow, Handler, Limits, Message, Peer, Remote, RemoteError, Server, SlowConsumer,
};

const INTERVAL: Duration = Duration::from_millis(10);

/// Clients that listen. They have nothing to say.
struct Listeners;

impl Handler for Listeners {
    type Session = ();

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, _: Message<'_>) {
        peer.close(CloseCode::POLICY_VIOLATION, "this server only sends");
    }
}

/// Sends a tick every [`INTERVAL`], until the server stops.
fn tick(remote: &Remote) {
    let start = Instant::now();
    let mut next = start;
    for number in 0_u64.. {
        let at_ms = start.elapsed().as_millis();
        match remote.broadcast(format!(r#"{{"tick":{number},"at_ms":{at_ms}}}"#)) {
            // A worker that is outpaced: its clients miss this tick, and get a later one.
            Ok(()) | Err(RemoteError::Full { .. }) => {}
            Err(_) => return,
        }
        // The next tick is due at its own time, not 10 ms after this one was sent: delays do not
        // add up. After a delay of more than a tick, the ticks that it has swallowed are left out.
        next = (next + INTERVAL).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    let config = Config {
        // Only the latest tick counts: a client that does not keep up misses earlier ones, and
        // stays.
        flow: Flow { slow_consumer: SlowConsumer::LatestOnly, ..Flow::default() },
        // A client has nothing to send, so a long message is refused by its header.
        limits: Limits { max_message_len: 1_024, ..Limits::default() },
        ..Config::default()
    };
    let server = Server::bind(addr, config)?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    let remote = server.remote();
    let ticker = thread::spawn(move || tick(&remote));
    server.run(|_worker| Listeners)?;
    ticker.join().map_err(|_| "the ticker panicked".into())
}

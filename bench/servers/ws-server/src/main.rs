//! A broadcast on ws-server: what a connection says goes to all of them, itself among them. (ws-cli has the echo.)
#![forbid(unsafe_code)]

use bench_options::{Options, announce};
use std::error::Error;
use std::net::Ipv4Addr;
use ws_server::{Config, Handler, Message, OwnedMessage, Peer, Remote, Server};

struct Broadcast {
    remote: Remote,
}

impl Handler for Broadcast {
    type Session = ();

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        let message = match message {
            Message::Text(text) => OwnedMessage::Text(text.into()),
            Message::Binary(bytes) => OwnedMessage::Binary(bytes.into()),
        };
        // Fails only when the server stops, or is asked for more than it has time for.
        if let Err(error) = self.remote.broadcast(message) {
            eprintln!("{}: not broadcast: {error}", peer.addr());
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_process();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut config = Config::default();
    config.workers = Some(1);
    let server = Server::bind((Ipv4Addr::LOCALHOST, options.port), config)?;
    announce(server.local_addrs().first().ok_or("nothing is listened on")?.port())?;
    let remote = server.remote();
    Ok(server.run(|_worker| Broadcast { remote: remote.clone() })?)
}

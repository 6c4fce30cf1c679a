//! An echo server: what it is sent, it sends back.

use std::{error::Error, net::SocketAddr};
use ws_server::{Accept, Config, Handler, Message, Peer, Response, Server, Upgrade};

struct Echo;

impl Handler for Echo {
    type Session = ();

    fn on_request(&mut self, _: &Upgrade<'_, '_>, _: SocketAddr) -> Result<Accept<()>, Response> {
        Ok(Accept::new(()))
    }

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    Ok(Server::bind(addr, Config::default())?.run(|_worker| Echo)?)
}

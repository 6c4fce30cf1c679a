//! An echo server: what it is sent, it sends back.

use std::{error::Error, net::SocketAddr};
use ws_server::{Accept, Config, Handler, Message, Peer, Refusal, Response, Server, Upgrade};

struct Echo;

impl Handler for Echo {
    type Session = ();

    fn on_request(&mut self, _: &Upgrade<'_, '_>, _: SocketAddr) -> Result<Accept<()>, Response> {
        Ok(Accept::new(()))
    }

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }

    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        eprintln!("refused {}: {}", refusal.remote_addr, refusal.detail);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    let mut config = Config::default();
    // By default, a page may only connect to the host and port that it comes from. These come from this machine, from any
    // port: that of a development server, too.
    config.access.origins = "http://localhost:*, http://127.0.0.1:*, http://[::1]:*".parse()?;
    let server = Server::bind(addr, config)?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    Ok(server.run(|_worker| Echo)?)
}

//! An echo server: what it is sent, it sends back.

use std::error::Error;
use ws_server::{Access, Config, Handler, Message, Peer, Refusal, Server};

struct Echo;

impl Handler for Echo {
    type Session = ();

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }

    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        eprintln!("refused {}: {}", refusal.addr, refusal.detail);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    // By default, a page may only connect to the host and port that it comes from. These pages come
    // from this machine, from any port: that of a development server, too.
    let origins = "http://localhost:*, http://127.0.0.1:*, http://[::1]:*".parse()?;
    let config = Config { access: Access { origins, ..Access::default() }, ..Config::default() };
    let server = Server::bind(addr, config)?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    Ok(server.run(|_worker| Echo)?)
}

//! A server behind nginx on the same machine, with the block of `docs/proxies.md`.
//!
//! The second argument is the name that browsers know, `ws.example.com` if there is none.

use std::{error::Error, net::IpAddr};
use ws_server::{
    Accepted, Access, Config, Handler, Limits, Message, Peer, PeerInfo, Request, Response, Server, Upgrade,
};

/// An echo that knows its clients' addresses.
struct Echo;

/// The address of the client. Only nginx may name another one than that of the peer, and nginx is
/// on this machine: anybody else could send the field, too.
fn client_addr(peer: Option<IpAddr>, forwarded_for: Option<&str>) -> Option<IpAddr> {
    // nginx adds the address that it sees at the end. Everything before that is what the client has
    // sent.
    let named = forwarded_for.and_then(|addrs| addrs.rsplit(',').next()?.trim().parse().ok());
    match peer {
        Some(peer) if peer.is_loopback() => named.or(Some(peer)),
        _ => peer,
    }
}

/// The value of the last `X-Forwarded-For`.
fn forwarded_for<'a>(request: &'a Request<'_, '_>) -> Option<&'a str> {
    let fields = request.headers().filter(|field| field.name.eq_ignore_ascii_case("X-Forwarded-For"));
    fields.last().and_then(|field| str::from_utf8(field.value).ok())
}

impl Handler for Echo {
    type Session = Option<IpAddr>;

    fn on_request(
        &mut self,
        request: &Upgrade<'_, '_>,
        peer: &PeerInfo,
    ) -> Result<Accepted<Option<IpAddr>>, Response> {
        Ok(Accepted::new(client_addr(peer.addr.ip(), forwarded_for(request.request()))))
    }

    fn on_open(&mut self, client: &mut Option<IpAddr>, peer: &mut Peer<'_>) {
        let client = client.map_or("somewhere".to_owned(), |addr| addr.to_string());
        peer.send(format!("hello {client}"));
    }

    fn on_message(&mut self, _: &mut Option<IpAddr>, peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or("127.0.0.1:9999".into());
    let name = args.next().unwrap_or("ws.example.com".into());
    let limits = Limits::default();
    let config = Config {
        // nginx passes on the Host of the browser (`proxy_set_header Host $http_host`). A server
        // that listens on loopback addresses alone serves only their names, unless told otherwise.
        // The origins are those of that host, by default.
        access: Access { hosts: Some(name.parse()?), ..Access::default() },
        // All connections come from nginx's address. nginx limits those of a client (`limit_conn`).
        limits: Limits {
            max_connections_per_address: limits.max_connections,
            max_handshakes_per_address: limits.max_connections,
            ..limits
        },
        ..Config::default()
    };
    let server = Server::bind(addr, config)?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    Ok(server.run(|_worker| Echo)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_on_this_machine_names_clients() {
        for (peer, forwarded_for, expect) in [
            ("127.0.0.1", None, "127.0.0.1"),
            ("127.0.0.1", Some("203.0.113.7"), "203.0.113.7"),
            ("127.0.0.1", Some("10.0.0.1, 203.0.113.7"), "203.0.113.7"),
            ("127.0.0.1", Some("203.0.113.7, unknown"), "127.0.0.1"),
            ("::1", Some("2001:db8::7"), "2001:db8::7"),
            ("198.51.100.1", Some("203.0.113.7"), "198.51.100.1"),
            ("198.51.100.1", Some("127.0.0.1"), "198.51.100.1"),
        ] {
            let addr = client_addr(peer.parse().ok(), forwarded_for);
            assert_eq!(addr, expect.parse().ok(), "{forwarded_for:?} from {peer}");
        }
    }
}

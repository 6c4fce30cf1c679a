//! A bearer token, or a cookie with it: `Authorization: Bearer TOKEN` from programs, and the cookie
//! `token` from pages, which cannot set that field.
//!
//! The environment variable `TOKENS` has the users: `TOKENS="ann=TOKEN bob=TOKEN"`. An argument
//! would show the tokens to everybody who lists the processes of the machine.

use std::{error::Error, hint::black_box, sync::Arc};
use ws_server::{Accepted, Config, Handler, Message, Peer, PeerInfo, Request, Response, Server, Upgrade};

/// The shortest token, in bytes: 22 characters of base64 have 128 random bits.
const MIN_TOKEN_LEN: usize = 22;

/// A user, and the token that proves it.
struct User {
    name: String,
    token: String,
}

/// An echo for users alone.
struct Guarded {
    users: Arc<[User]>,
    /// The response to everybody else.
    unauthorized: Response,
}

impl Guarded {
    /// The user with this token. Every token is compared, wherever the right one is in the list.
    fn user(&self, token: &str) -> Option<&User> {
        let mut found = None;
        for user in self.users.iter() {
            if is_equal(user.token.as_bytes(), token.as_bytes()) {
                found = Some(user);
            }
        }
        found
    }
}

/// Compares in a time that depends on the lengths alone. A comparison that ends at the first
/// difference lets a client guess a token byte by byte.
fn is_equal(known: &[u8], shown: &[u8]) -> bool {
    let pairs = known.iter().zip(shown);
    let differences = pairs.fold(0, |differences, (known, shown)| black_box(differences | (known ^ shown)));
    known.len() == shown.len() && differences == 0
}

/// The token in `Authorization`. The name of a scheme may be in any case (RFC 9110 §11.1).
fn bearer_token<'a>(request: &Request<'a, '_>) -> Option<&'a str> {
    let (scheme, token) = request.header("Authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Handler for Guarded {
    type Session = String;

    fn on_request(&mut self, request: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<String>, Response> {
        let request = request.request();
        // A browser sends the cookie whatever page connects. Only pages of this server's own host
        // get here, as `Access::origins` is same-origin by default.
        let token = bearer_token(request).map(Into::into).or_else(|| request.cookie("token"));
        match token.and_then(|token| self.user(&token)) {
            Some(user) => Ok(Accepted::new(user.name.clone())),
            None => Err(self.unauthorized.clone()),
        }
    }

    fn on_message(&mut self, name: &mut String, peer: &mut Peer<'_>, message: Message<'_>) {
        if let Some(text) = message.as_text() {
            peer.send(format!("{name}: {text}"));
        }
    }

    fn session_len(&self, name: &String) -> usize {
        name.capacity()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    let mut users = Vec::new();
    for pair in std::env::var("TOKENS")?.split_whitespace() {
        let (name, token) = pair.split_once('=').ok_or("TOKENS has NAME=TOKEN for each user")?;
        if token.len() < MIN_TOKEN_LEN {
            return Err(format!("the token of {name} has fewer than {MIN_TOKEN_LEN} characters").into());
        }
        users.push(User { name: name.to_owned(), token: token.to_owned() });
    }
    let users: Arc<[User]> = users.into();
    // RFC 9110 §11.6.1: a 401 names the scheme that it asks for.
    let unauthorized = Response::text(401, "show a token\n").with_header("WWW-Authenticate", "Bearer")?;
    let server = Server::bind(addr, Config::default())?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    Ok(server.run(|_worker| Guarded { users: users.clone(), unauthorized: unauthorized.clone() })?)
}

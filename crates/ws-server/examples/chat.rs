//! A chat: rooms by path, members by name. `ws://127.0.0.1:9999/rooms/lobby?name=Ann`
//!
//! The second argument is the number of workers. Rooms are the same for all of them.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};
use ws_server::{
    Accepted, Config, ConnectionId, Disconnect, Handler, Message, Peer, PeerInfo, Prepared, RemoteError,
    Response, Server, Upgrade,
};

/// The most rooms at once: visitors make them.
const MAX_ROOMS: usize = 1_000;

/// The members of each room, on whatever worker they are.
type Rooms = Arc<Mutex<HashMap<String, Vec<ConnectionId>>>>;

/// One worker's part of the chat.
struct Chat(Rooms);

/// One member.
struct Member {
    room: String,
    name: String,
}

impl Chat {
    fn rooms(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<ConnectionId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a text to all members of a room: encoded once, and held in memory once.
    fn tell(&self, room: &str, peer: &Peer<'_>, text: String) {
        let (text, mut missed) = (Prepared::from(text), 0);
        for id in self.rooms().get(room).into_iter().flatten() {
            // A worker that is outpaced: its members miss this one. (A server that stops needs no telling.)
            if let Err(RemoteError::Full { missed: more }) = peer.remote().send(*id, &text) {
                missed += more;
            }
        }
        if missed > 0 {
            eprintln!("{missed} members of {room} missed a message");
        }
    }
}

impl Handler for Chat {
    type Session = Member;

    fn on_request(&mut self, request: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<Member>, Response> {
        let request = request.request();
        let room =
            request.path().strip_prefix("/rooms/").filter(|room| !room.is_empty() && room.len() <= 100);
        let Some(room) = room else { return Err(Response::text(404, "the rooms are at /rooms/NAME\n")) };
        let mut pairs = request.query_pairs();
        let name =
            pairs.find_map(|(key, value)| (key == "name" && value.len() <= 100).then(|| value.into_owned()));
        let Some(name) = name else { return Err(Response::text(400, "what is your ?name=\n")) };
        let rooms = self.rooms();
        if rooms.len() >= MAX_ROOMS && !rooms.contains_key(room) {
            return Err(Response::text(503, "there are too many rooms\n"));
        }
        Ok(Accepted::new(Member { room: room.to_owned(), name }))
    }

    fn on_open(&mut self, member: &mut Member, peer: &mut Peer<'_>) {
        self.rooms().entry(member.room.clone()).or_default().push(peer.id());
    }

    fn on_message(&mut self, member: &mut Member, peer: &mut Peer<'_>, message: Message<'_>) {
        if let Some(text) = message.as_text() {
            self.tell(&member.room, peer, format!("{}: {text}", member.name));
        }
    }

    fn on_close(&mut self, member: Member, disconnect: &Disconnect<'_>) {
        let mut rooms = self.rooms();
        if let Some(members) = rooms.get_mut(&member.room) {
            members.retain(|id| *id != disconnect.peer.id);
            if members.is_empty() {
                rooms.remove(&member.room);
            }
        }
    }

    fn session_len(&self, member: &Member) -> usize {
        member.room.capacity() + member.name.capacity()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or("127.0.0.1:9999".into());
    let workers = args.next().map(|workers| workers.parse()).transpose()?;
    let server = Server::bind(addr, Config { workers, ..Config::default() })?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    let rooms = Rooms::default();
    Ok(server.run(|_worker| Chat(rooms.clone()))?)
}

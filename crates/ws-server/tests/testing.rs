//! The API of handlers and remotes, by clients in memory.

use std::time::Duration;
use ws_server::{
    Accepted, CloseCode, ConnectionId, Disconnect, Handler, Message, Peer, PeerInfo, Prepared, Remote,
    Response, Upgrade,
    testing::{self, Received, Server},
};

/// A room: what one says, all others hear. `?name=` names its members, and there is none without.
#[derive(Default)]
struct Room {
    members: Vec<ConnectionId>,
    left: Vec<String>,
}

impl Handler for Room {
    type Session = String;

    fn on_request(&mut self, request: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<String>, Response> {
        let name = request.request().query().and_then(|query| query.strip_prefix("name="));
        name.map(|name| Accepted::new(name.to_owned())).ok_or_else(|| Response::text(401, "who are you?\n"))
    }

    fn on_open(&mut self, _: &mut String, peer: &mut Peer<'_>) {
        self.members.push(peer.id());
    }

    fn on_message(&mut self, name: &mut String, peer: &mut Peer<'_>, message: Message<'_>) {
        let text = message.as_text().unwrap_or_default();
        match text {
            "pause" => return peer.pause(),
            "leave" => {
                peer.close(CloseCode::NORMAL, "bye");
                return;
            }
            _ => {}
        }
        let said = Prepared::from(format!("{name}: {text}"));
        for id in self.members.iter().filter(|id| **id != peer.id()) {
            peer.remote().send(*id, &said).unwrap();
        }
    }

    fn on_close(&mut self, name: String, disconnect: &Disconnect<'_>) {
        self.members.retain(|id| *id != disconnect.peer.id);
        self.left.push(format!("{name} {}", disconnect.code));
    }
}

fn text(text: &str) -> Option<Received> {
    Some(Received::Text(text.to_owned()))
}

#[test]
fn members_hear_each_other_and_leave() {
    let server = Server::new(Room::default());
    let [mut ann, mut bob] = ["/?name=ann", "/?name=bob"].map(|target| server.connect(target).unwrap());
    let refused = server.connect("/").err().unwrap();
    assert_eq!((refused.status, &*refused.body), (401, "who are you?\n"));

    ann.send("hello");
    assert_eq!((bob.next(), bob.next(), ann.next()), (text("ann: hello"), None, None));
    bob.send("leave");
    assert_eq!(bob.next(), Some(Received::Close(CloseCode::NORMAL, "bye".to_owned())));
    ann.vanish();
    assert_eq!(server.handler().left, ["bob 1000", "ann 1006"]);
    assert!(server.handler().members.is_empty());
}

#[test]
fn what_a_paused_client_sends_waits_and_is_not_lost() {
    let server = Server::new(Room::default());
    let [mut ann, mut bob] = ["/?name=ann", "/?name=bob"].map(|target| server.connect(target).unwrap());
    ann.send("one");
    ann.send("pause");
    for i in 0..1_000 {
        ann.send(format!("message {i}"));
    }
    assert_eq!((bob.next(), bob.next()), (text("ann: one"), None));
    // Silence is no fault of a client that is not read, however long.
    for _ in 0..100 {
        server.advance(Duration::from_secs(31));
        assert_eq!(
            (bob.next(), ann.next()),
            (Some(Received::Ping(vec![])), None),
            "only who is read is pinged"
        );
    }
    server.remote().resume(ann.id()).unwrap();
    ann.ping(b"");
    for i in 0..1_000 {
        assert_eq!(bob.next(), text(&format!("ann: message {i}")));
    }
    assert_eq!((bob.next(), ann.next()), (None, Some(Received::Pong(vec![]))));

    // A client that is paused from elsewhere is closed all the same, and its answer is read.
    server.remote().pause(ann.id()).unwrap();
    ann.next();
    ann.send("into the void");
    assert_eq!(bob.next(), None);
    server.remote().close(ann.id(), CloseCode::GOING_AWAY, "enough").unwrap();
    assert_eq!(ann.next(), Some(Received::Close(CloseCode::GOING_AWAY, "enough".to_owned())));
    ann.next();
    assert_eq!(server.handler().left, ["ann 1001"]);
    assert_eq!(bob.next(), text("ann: into the void"), "it was sent before the close");
}

#[test]
fn a_remote_knows_who_is_there() {
    let server = Server::new(Room::default());
    let remote = server.remote();
    let ann = server.connect("/?name=ann").unwrap();
    let id = ann.id();
    assert!(remote.is_open(id));
    ann.vanish();
    assert!(!remote.is_open(id));
    let bob = server.connect("/?name=bob").unwrap();
    assert!(remote.is_open(bob.id()) && !remote.is_open(id), "another one in its place");
    drop(server);
    drop(bob);
    assert!(!remote.is_open(id));
}

/// Sends back what it gets, in each of the types that a peer takes.
struct Kinds;

impl Handler for Kinds {
    type Session = ();

    fn on_message(&mut self, (): &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        let text = message.as_text().unwrap_or_default().to_owned();
        peer.send("str");
        peer.send(&text);
        peer.send(std::sync::Arc::<str>::from(&*text));
        let (bytes, owned) = (b"bytes".to_vec(), ws_server::OwnedMessage::from(message));
        peer.send(&bytes);
        peer.send(b"array");
        peer.send(&owned);
        peer.send_prepared(&Prepared::from(text));
    }
}

#[test]
fn a_peer_takes_whatever_is_a_message() {
    let mut client = testing::connect(Kinds, "/");
    client.send("a");
    let received: Vec<Received> = std::iter::from_fn(|| client.next()).collect();
    let a = || Received::Text("a".to_owned());
    let expect = [
        Received::Text("str".to_owned()),
        a(),
        a(),
        Received::Binary(b"bytes".to_vec()),
        Received::Binary(b"array".to_vec()),
        a(),
        a(),
    ];
    assert_eq!(received, expect);
}

#[test]
#[should_panic(expected = "refused with 401: who are you?")]
fn a_refusal_that_a_test_does_not_expect() {
    testing::connect(Room::default(), "/");
}

/// A thread that sends more than a mailbox holds waits for room, and gives up after its time.
#[test]
fn a_thread_can_wait_for_room() {
    let mut config = ws_server::Config::default();
    config.limits.max_mailbox_commands = 2;
    let server = Server::with_config(Kinds, config);
    let mut client = server.connect_with("/", &[("Origin", "http://localhost")]).unwrap();
    let (remote, id): (Remote, _) = (server.remote(), client.id());
    for _ in 0..2 {
        remote.send_within(Duration::from_secs(60), id, "fits").unwrap();
    }
    let full = remote.send_within(Duration::from_millis(20), id, "does not fit").unwrap_err();
    assert_eq!(full, ws_server::RemoteError::Full { missed: 1 });
    let waiting = std::thread::spawn({
        let remote = remote.clone();
        move || {
            (0..100)
                .map(|i| remote.send_within(Duration::from_secs(60), id, i.to_string()))
                .all(|sent| sent.is_ok())
        }
    });
    let mut received = Vec::new();
    while received.len() < 102 {
        received.extend(client.next());
    }
    assert!(waiting.join().unwrap());
    assert_eq!(received[101], Received::Text("99".to_owned()));
}

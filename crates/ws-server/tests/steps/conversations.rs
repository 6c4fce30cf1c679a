//! The conversations: together they take a connection through every state that it can be in.

use crate::common::{REQUEST, close, frame, text};
use std::fmt;

/// What happens to the subject in one turn.
#[derive(Clone)]
pub(crate) enum Act {
    /// It sends this.
    Send(Vec<u8>),
    /// It sends this and ends its direction.
    Last(Vec<u8>),
    /// It sends this, and in the same turn another thread sends the news to all.
    SendAndBroadcast(Vec<u8>),
    /// It ends its direction.
    End,
    /// It reads so many bytes of what is on its way; `None`: all there will ever be.
    Room(Option<usize>),
    /// It reads nothing any more.
    Stuck,
    /// Another thread sends it something.
    Remote,
    /// Another thread sends the news to all.
    Broadcast,
    /// Another thread closes it.
    Close,
    /// So many seconds pass.
    Pass(u64),
}

use Act::{Broadcast, Close, End, Last, Pass, Remote, Room, Send, SendAndBroadcast, Stuck};

/// A conversation with the subject, and what its handler has to be told if nothing goes wrong.
#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) name: &'static str,
    pub(crate) acts: Vec<Act>,
    pub(crate) expect: &'static [&'static str],
}

/// Its name tells all that there is to know.
impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.name, f)
    }
}

/// An opening request for this path.
pub(crate) fn request(path: &str) -> Vec<u8> {
    REQUEST.replace("/chat", path).into_bytes()
}

/// A binary message of so many bytes.
pub(crate) fn binary(len: usize) -> Vec<u8> {
    frame(0x82, &vec![7; len])
}

/// All of them.
pub(crate) fn conversations() -> Vec<Conversation> {
    let head = request("/subject");
    let open = || Send(head.clone());
    let mut conversations = vec![
        Conversation {
            name: "every kind of message, and the client closes",
            acts: vec![
                Send(head[..20].to_vec()),
                Send(head[20..].to_vec()),
                Send([text("a"), text("b")].concat()),
                // A fragmented message, cut within its frames, with a ping in the middle.
                Send(frame(0x01, b"frag")[..7].to_vec()),
                Send([&frame(0x01, b"frag")[7..], &frame(0x89, b"p"), &frame(0x80, b"ment")[..3]].concat()),
                Send(frame(0x80, b"ment")[3..].to_vec()),
                Remote,
                // More than a turn's share.
                SendAndBroadcast(binary(800)),
                // Silence, and the server's ping.
                Pass(3),
                Send(frame(0x8a, b"")),
                Send(text("ping")),
                Send(frame(0x8a, b"ours")),
                Send(close(1000)),
                End,
            ],
            expect: &[
                "on_request",
                "on_open",
                "on_message a",
                "on_message b",
                "on_message fragment",
                "on_message 800 bytes",
                "on_pong",
                "on_message ping",
                "on_pong ours",
                "on_close 1000 ok",
            ],
        },
        Conversation {
            name: "the socket takes little, and the client lags until it has caught up",
            acts: vec![
                Room(Some(100)),
                Send([&*head, &text("early")].concat()),
                Room(Some(200)),
                Send(binary(600)),
                Send(binary(600)),
                // Over the high water: this is not read, and what others send waits behind.
                Send(text("later")),
                Remote,
                Broadcast,
                Room(Some(1)),
                Room(Some(900)),
                Room(Some(200)),
                Room(None),
                // Answers much larger than their questions: what is left of the read is kept.
                Room(Some(0)),
                Send(text("500 bytes").repeat(5)),
                Room(Some(1_500)),
                Room(None),
                Last(close(1001)),
            ],
            expect: &[
                "on_request",
                "on_open",
                "on_message early",
                "on_message 600 bytes",
                "on_message 600 bytes",
                "on_drain",
                "on_message later",
                "on_message 500 bytes",
                "on_message 500 bytes",
                "on_drain",
                "on_message 500 bytes",
                "on_message 500 bytes",
                "on_message 500 bytes",
                "on_drain",
                "on_close 1001 ok",
            ],
        },
        Conversation {
            name: "the handler closes",
            acts: vec![
                open(),
                Send([text("close"), text("not echoed")].concat()),
                Send(frame(0x88, b"\x0f\xa0yes")),
                End,
            ],
            expect: &[
                "on_request",
                "on_open",
                "on_message close",
                "on_message not echoed",
                "on_close 4000 ok",
            ],
        },
        Conversation {
            name: "another thread closes while the client lags",
            acts: vec![
                open(),
                Room(Some(0)),
                Send(binary(1_200)),
                Close,
                Room(Some(700)),
                Room(None),
                Send(close(4001)),
                End,
            ],
            expect: &["on_request", "on_open", "on_message 1200 bytes", "on_drain", "on_close 4001 ok"],
        },
        Conversation {
            name: "no answer to a close",
            acts: vec![open(), Close, Send(text("a")), Pass(2)],
            expect: &[
                "on_request",
                "on_open",
                "on_message a",
                "on_close 1006 the peer did not answer the close frame in time",
            ],
        },
        Conversation {
            name: "no answer to a ping",
            acts: vec![open(), Pass(6)],
            expect: &["on_request", "on_open", "on_close 1011 the peer did not answer a ping in time"],
        },
        Conversation {
            name: "the client reads nothing",
            acts: vec![open(), Stuck, Send(binary(1_200)), Remote, Pass(4)],
            expect: &[
                "on_request",
                "on_open",
                "on_message 1200 bytes",
                "on_close 1006 the peer did not read what it was sent in time",
            ],
        },
        Conversation {
            name: "the client breaks the protocol",
            acts: vec![open(), Send([text("a"), b"\x81\x01a".to_vec()].concat()), Send(text("b")), End],
            expect: &[
                "on_request",
                "on_open",
                "on_message a",
                "on_close 1002 a frame from a client is not masked",
            ],
        },
        Conversation {
            name: "a message that is never finished takes more memory than there is",
            acts: vec![open(), Send(text("a")), Send(frame(0x02, &[7; 65_000])), End],
            expect: &[
                "on_request",
                "on_open",
                "on_message a",
                "on_close 1013 the server is out of memory for this connection",
            ],
        },
        Conversation {
            name: "the stream ends with the last message",
            acts: vec![open(), Room(Some(10)), Last([text("a"), text("bye")].concat()), Room(None)],
            expect: &[
                "on_request",
                "on_open",
                "on_message a",
                "on_message bye",
                "on_close 1006 the peer ended the stream without a close frame",
            ],
        },
        Conversation {
            name: "a page",
            acts: vec![
                Room(Some(10)),
                Send(b"GET /subject HT".to_vec()),
                Send(b"TP/1.1\r\nHost: a\r\n\r\n".to_vec()),
                Room(None),
                End,
            ],
            expect: &["on_http"],
        },
        Conversation {
            name: "the handler refuses",
            acts: vec![Send(request("/subject-refused")), End],
            expect: &["on_request"],
        },
        Conversation {
            name: "a request that is never finished",
            acts: vec![Send(head[..20].to_vec()), Pass(3)],
            expect: &[],
        },
    ];
    if cfg!(feature = "deflate") {
        let offer = "Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        conversations.push(Conversation {
            name: "compressed both ways",
            acts: vec![
                Send(String::from_utf8(head.clone()).unwrap().replace("Version: 13\r\n", offer).into_bytes()),
                // "Hello" (RFC 7692 §7.2.3.1), in one frame and in two.
                Send(frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")),
                Send(frame(0x41, b"\xf2\x48\xcd")),
                Send(frame(0x80, b"\xc9\xc9\x07\x00")),
                Room(Some(5)),
                Send(binary(800)),
                Remote,
                Broadcast,
                Room(None),
                Send(close(1000)),
                End,
            ],
            expect: &[
                "on_request",
                "on_open",
                "on_message Hello",
                "on_message Hello",
                "on_message 800 bytes",
                "on_close 1000 ok",
            ],
        });
    }
    conversations
}

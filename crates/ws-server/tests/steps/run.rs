//! One run of a conversation, and what has to hold after it whatever has gone wrong.

use crate::{
    common::{
        self, Client, Step, World, close, config,
        steps::{Call, Steps, silence_panics_asked_for},
        text,
    },
    conversations::{
        Act::{self, Broadcast, Close, End, Last, Pass, Remote, Room, Send, SendAndBroadcast, Stuck},
        Conversation, binary, request,
    },
    handler::Told,
};
use std::{cell::RefCell, rc::Rc, thread, time::Duration};
use ws_server::{CloseCode, Command, Config, Prepared, Readiness};

const EDGE: Readiness = Readiness { readable: true, writable: true, read_closed: false };

/// Says which run it was that failed.
pub(crate) struct Naming(pub(crate) &'static str, pub(crate) Rc<RefCell<Steps>>);

impl Drop for Naming {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("in {:?}, with {:?}", self.0, self.1.borrow().met);
        }
    }
}

/// A worker with the subject between its canaries.
struct Run {
    world: World<Told>,
    told: Told,
    before: Client,
    subject: Client,
    after: Client,
}

/// What has become of the subject.
pub(crate) struct Outcome {
    pub(crate) received: Vec<u8>,
    /// What it received after a 101: the first bytes and the payloads.
    pub(crate) frames: Vec<(u8, Vec<u8>)>,
    /// Its socket took all that there was.
    pub(crate) took_all: bool,
    /// The calls of the handler, with what it was told.
    pub(crate) told: Vec<String>,
    /// The steps.
    pub(crate) calls: Vec<Call>,
    pub(crate) calls_after_failure: usize,
}

/// Plays a conversation, and checks everything that has to hold whatever goes wrong.
pub(crate) fn play(conversation: &Conversation, steps: &Rc<RefCell<Steps>>) -> Outcome {
    silence_panics_asked_for();
    let told = Told { steps: steps.clone(), ..Told::default() };
    let mut world = World::new(told.clone(), small());
    let (before, subject, after) = (world.connect(), world.connect(), world.connect());
    subject.wire.borrow_mut().steps = steps.clone();
    for canary in [&before, &after] {
        world.send(canary, &request("/canary"));
        assert!(canary.take().ends_with(b"\r\n\r\n\x81\x07welcome"));
    }
    let mut run = Run { world, told, before, subject, after };
    for act in &conversation.acts {
        run.act(act);
    }
    // All is over in a while.
    run.act(&Room(None));
    run.act(&Pass(12));
    let outcome = run.outcome();
    let next = run.next_in_its_slot();
    run.end(&next);
    outcome
}

impl Run {
    fn act(&mut self, act: &Act) {
        let Pass(seconds) = act else { return self.turn(Some(act)) };
        for _ in 0..*seconds {
            self.world.now += Duration::from_secs(1);
            self.turn(None);
            self.world.connections.sweep(self.world.now);
            self.serve_ready_again();
        }
    }

    /// One turn: the subject acts, and the canaries beside it are served too, in each of the ways in which a connection
    /// can be: they send more than a turn's share, or are sent the news by others.
    fn turn(&mut self, act: Option<&Act>) {
        let has_news = matches!(act, Some(Broadcast | SendAndBroadcast(_)));
        let canary_len = if has_news { 100 } else { 900 };
        self.canary_sends(&self.before.clone(), canary_len);
        if let Some(readiness) = act.and_then(|act| self.subject_does(act)) {
            self.world.connections.ready(self.subject.slot, readiness, self.world.now);
        }
        self.canary_sends(&self.after.clone(), canary_len);
        if let Some(command) = act.and_then(|act| self.command(act)) {
            self.world.connections.commands(&[command], self.world.now);
        }
        self.world.finish_turns();
        self.serve_ready_again();
        let expect = match has_news {
            true => [b"\x82\x64", &[7; 100][..], b"\x81\x04news"].concat(),
            false => [b"\x82\x7e\x03\x84", &[7; 900][..]].concat(),
        };
        for (which, canary) in [("before", &self.before), ("after", &self.after)] {
            assert!(canary.take() == expect, "the canary {which} the subject notices");
        }
    }

    fn canary_sends(&mut self, canary: &Client, len: usize) {
        canary.wire.borrow_mut().to_server.push_back(Step::Bytes(binary(len)));
        self.world.connections.ready(canary.slot, EDGE, self.world.now);
    }

    /// The subject does its part, and the system tells of it.
    fn subject_does(&self, act: &Act) -> Option<Readiness> {
        let mut wire = self.subject.wire.borrow_mut();
        let is_over = match act {
            Send(_) | SendAndBroadcast(_) | Last(_) | End => wire.silent,
            Room(_) | Stuck => wire.stuck,
            Remote | Broadcast | Close | Pass(_) => true,
        };
        if is_over || wire.dropped {
            return None;
        }
        match act {
            Send(bytes) | SendAndBroadcast(bytes) => wire.to_server.push_back(Step::Bytes(bytes.clone())),
            Last(bytes) => wire.to_server.extend([Step::Bytes(bytes.clone()), Step::End]),
            End => wire.to_server.push_back(Step::End),
            Room(room) => wire.room = *room,
            _ => (wire.room, wire.stuck) = (Some(0), true),
        }
        Some(Readiness {
            readable: !matches!(act, Room(_) | Stuck),
            writable: wire.room != Some(0),
            read_closed: matches!(act, Last(_) | End),
        })
    }

    fn command(&self, act: &Act) -> Option<Command> {
        let id = self.world.connections.id(self.subject.slot);
        match act {
            Remote => Some(Command::Send(id?, Prepared::from("remote"))),
            Close => Some(Command::Close(id?, CloseCode::new(4001), "enough".into())),
            Broadcast | SendAndBroadcast(_) => Some(Command::Broadcast(Prepared::from("news"))),
            _ => None,
        }
    }

    /// A socket that has blocked for a moment is ready again. Then the turn is over, and its memory is accounted for.
    fn serve_ready_again(&mut self) {
        for _ in 0..100 {
            let is_ready_again = std::mem::take(&mut self.subject.wire.borrow_mut().is_ready_again);
            if !is_ready_again || self.subject.is_dropped() {
                let connections = &self.world.connections;
                return assert_eq!(connections.metrics().held_bytes, connections.held_len() as u64);
            }
            self.world.wake(&self.subject, EDGE);
        }
        panic!("it is ready again for ever");
    }

    /// The subject has ended, nothing is left of it, and nothing is lost that it could take.
    fn outcome(&self) -> Outcome {
        assert!(self.subject.is_dropped(), "its socket is closed");
        let connections = &self.world.connections;
        assert_eq!((connections.len(), connections.held_len()), (2, 0), "its slot and its memory are free");
        let metrics = connections.metrics();
        assert_eq!((metrics.connections_open, metrics.held_bytes), (2, 0), "it is not counted any more");

        let steps = self.told.steps.borrow();
        let panics = steps.met.iter().filter(|(_, call, _)| matches!(call, Call::Handler(_))).count();
        assert_eq!(metrics.handler_panics, panics as u64, "none but those that were asked for");
        let told = self.told.subject.take();
        let count = |name| told.iter().filter(|call| call.starts_with(name)).count();
        let (opens, closes) = (count("on_open"), count("on_close"));
        assert!(opens == closes && closes <= 1, "one on_close for one on_open: {told:?}");
        assert!(closes == 0 || told.last().unwrap().starts_with("on_close"), "nothing after it: {told:?}");
        let counted: u64 = metrics.closes.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, closes as u64);

        let received = without_time(self.subject.take());
        let wire = self.subject.wire.borrow();
        let took_all = wire.failed.is_none() && !wire.stuck;
        let frames = check_received(&received, &self.told.sent.take(), took_all);
        let (calls, calls_after_failure) = (steps.calls.clone(), wire.calls_after_failure);
        Outcome { received, frames, took_all, told, calls, calls_after_failure }
    }

    /// Whoever comes next into the slot of the subject finds nothing of it.
    fn next_in_its_slot(&mut self) -> Client {
        let next = self.world.connect();
        assert_eq!(next.slot, self.subject.slot);
        self.world.send(&next, &[request("/canary"), text("hello")].concat());
        assert!(next.take().ends_with(b"\r\n\r\n\x81\x07welcome\x81\x05hello"));
        next
    }

    /// Those who are left close, and nothing else was to be told of them.
    fn end(mut self, next: &Client) {
        for client in [&self.before, next, &self.after] {
            self.world.send(client, &close(1000));
            assert_eq!(client.take(), b"\x88\x02\x03\xe8");
            self.world.end(client);
            assert!(client.is_dropped());
        }
        assert!(self.world.connections.is_empty() && self.world.connections.metrics().connections_open == 0);
        let told = self.told.others.take();
        let closes: Vec<_> = told.iter().filter(|call| call.starts_with("on_close")).collect();
        assert_eq!(closes, ["on_close 1000 ok"; 3]);
    }
}

/// A `Date` shows when a run was; two runs are compared.
fn without_time(mut received: Vec<u8>) -> Vec<u8> {
    if let Some(at) = received.windows(6).position(|it| it == b"Date: ") {
        received.iter_mut().skip(at + 6).take_while(|byte| **byte != b'\r').for_each(|byte| *byte = b'-');
    }
    received
}

/// The messages that the handler sent, whole and in order, as far as the socket took them; beside them, only what others
/// sent, once.
fn check_received(received: &[u8], sent: &[Vec<u8>], took_all: bool) -> Vec<(u8, Vec<u8>)> {
    let head_len = received.windows(4).position(|it| it == b"\r\n\r\n").map_or(0, |at| at + 4);
    assert!(head_len > 0 || received.is_empty() || !took_all, "half a response");
    if head_len == 0 || !received.starts_with(b"HTTP/1.1 101 ") {
        assert!(sent.is_empty() || !took_all, "messages without a connection");
        return Vec::new();
    }
    let (frames, cut) = common::frames(&received[head_len..]);
    let is_of_others = |payload: &[u8]| payload == b"remote" || payload == b"news";
    let messages: Vec<_> =
        frames.iter().filter(|(first, payload)| first & 0x0f < 8 && !is_of_others(payload)).collect();
    for ((first, payload), sent) in messages.iter().zip(sent) {
        let is_compressed = first & 0x40 != 0;
        assert!(is_compressed || payload == sent, "another message than was sent");
    }
    assert!(messages.len() <= sent.len(), "more messages than were sent");
    assert!(!took_all || (cut.is_empty() && messages.len() == sent.len()), "what was accepted is lost");
    for others in ["remote", "news"] {
        let count = frames.iter().filter(|(_, payload)| payload == others.as_bytes()).count();
        assert!(count <= 1, "{others} came {count} times");
    }
    let closes = frames.iter().filter(|(first, _)| *first == 0x88).count();
    let closed_last = frames.last().is_some_and(|(first, _)| *first == 0x88);
    assert!(closes == usize::from(closed_last), "a close is the last frame");
    frames
}

/// Small limits, so that little is needed to reach them.
fn small() -> Config {
    let mut config = config();
    (config.flow.high_water_len, config.flow.low_water_len, config.limits.max_write_queue_len) =
        (1_000, 300, 10_000);
    (config.flow.read_buffer_len, config.flow.max_read_per_turn) = (400, 600);
    config.limits.memory_budget = Some(106_668);
    config.deadlines.handshake_timeout = Duration::from_secs(2);
    config.deadlines.idle_timeout = Duration::from_secs(3);
    config.deadlines.pong_timeout = Duration::from_secs(2);
    config.deadlines.write_timeout = Duration::from_secs(3);
    config.deadlines.close_timeout = Duration::from_secs(1);
    #[cfg(feature = "deflate")]
    {
        config.compression = Some(ws_server::Compression::default());
    }
    config
}

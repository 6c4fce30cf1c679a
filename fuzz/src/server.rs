//! A server's connections under I/O faults, at any step: each that was opened is closed once, every byte that is written
//! belongs to a right response and legal frames, messages come back once and in order, no queue grows beyond its limit, no
//! connection notices what happens to another, and in the end nothing is left.

mod peer;
mod socket;

use super::script::Script;
use peer::{Client, Request};
use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};
use ws_server::{
    CloseCode, Command, Compression, Config, Connections, Disconnect, Handler, Message, OriginPolicy, Peer,
    Prepared,
};

const MAX_STEPS: usize = 64;
const MAX_CLIENTS: usize = 6;
const MAX_WRITE_QUEUE: usize = 300_000;

/// What the server sends by itself, and no client has asked for.
const NEWS: &str = "news for everyone, long enough to be worth compressing, ";

/// How often connections were opened, and closed.
#[derive(Clone, Debug, Default)]
struct Echo {
    opens: Rc<Cell<usize>>,
    closes: Rc<Cell<usize>>,
}

impl Handler for Echo {
    type Session = ();

    fn on_open(&mut self, (): &mut (), _: &mut Peer<'_>) {
        self.opens.set(self.opens.get() + 1);
    }

    fn on_message(&mut self, (): &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        if message == Message::Text("close") {
            peer.close(CloseCode::new(4000), "asked for");
        } else {
            peer.send(message);
        }
    }

    fn on_close(&mut self, (): (), _: &Disconnect<'_>) {
        self.closes.set(self.closes.get() + 1);
    }
}

/// A worker, and those that have connected to it.
struct World {
    connections: Connections<Echo, socket::Socket>,
    now: Instant,
    clients: Vec<Client>,
    /// One to which nothing ever happens.
    canary: Client,
}

/// The input is how messages are compressed, then steps: which client, of what kind, and what the kind needs.
pub fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let mut connections = Connections::new(0, Echo::default(), config(&mut script));
    let now = Instant::now();
    let canary = open_canary(&mut connections, now);
    let mut world = World { connections, now, clients: Vec::new(), canary };
    for _ in 0..MAX_STEPS {
        if script.is_empty() {
            break;
        }
        world.step(&mut script);
        world.check_canary();
        world.check_queues();
        world.check_panics();
    }
    world.settle();
    world.end();
}

fn config(script: &mut Script<'_>) -> Config {
    let mut config = Config::default();
    config.access.origins = OriginPolicy::SameOrigin;
    config.workers = Some(1);
    (config.flow.high_water_len, config.flow.low_water_len) = (100_000, 20_000);
    config.limits.max_write_queue_len = MAX_WRITE_QUEUE;
    (config.flow.read_buffer_len, config.flow.max_read_per_turn) = (10_000, 30_000);
    config.limits.max_message_len = 100_000;
    let flags = script.byte();
    if flags & 1 != 0 {
        let mut compression = Compression::default();
        (compression.server_context_takeover, compression.client_context_takeover) =
            (flags & 2 != 0, flags & 4 != 0);
        compression.max_compressors_len = script.choose(&[64 << 20, 400_000, 0]);
        config.compression = Some(compression);
    }
    config
}

fn open_canary(connections: &mut Connections<Echo, socket::Socket>, now: Instant) -> Client {
    let mut canary = Client::connect(connections, now);
    canary.ask(Request::Upgrade);
    canary.deliver(usize::MAX);
    wake(connections, &canary, now);
    canary.look();
    assert!(canary.is_open(), "the canary is let in");
    canary
}

/// Tells the server what the client's socket has become ready for.
fn wake(connections: &mut Connections<Echo, socket::Socket>, client: &Client, now: Instant) {
    if let Some(readiness) = client.take_readiness() {
        connections.ready(client.slot(), readiness, now);
    }
    finish_turns(connections, now);
}

fn finish_turns(connections: &mut Connections<Echo, socket::Socket>, now: Instant) {
    let mut turns = 0;
    connections.end_turn(now);
    while connections.has_unfinished() {
        connections.end_turn(now);
        turns += 1;
        assert!(turns < 10_000, "the worker comes to rest");
    }
}

impl World {
    fn step(&mut self, script: &mut Script<'_>) {
        let (kind, which) = (script.byte() % 16, usize::from(script.byte()));
        if kind == 0 || self.clients.is_empty() {
            if self.clients.len() < MAX_CLIENTS {
                let mut client = Client::connect(&mut self.connections, self.now);
                client.ask(script.choose(&[
                    Request::Upgrade,
                    Request::UpgradeWithDeflate,
                    Request::Page,
                    Request::UpgradeWithTakeover,
                ]));
                self.clients.push(client);
            }
            return;
        }
        let index = which % self.clients.len();
        let client = &mut self.clients[index];
        match kind {
            1..=3 => client.send(script),
            4 => client.send_garbage(script.take(20)),
            5 => client.close(),
            6 => client.end(),
            7 => client.reset(),
            8 => client.set_room(script.choose(&[None, Some(0), Some(1), Some(3_000), Some(50_000)])),
            9 => client.add_faults(script),
            10 => client.deliver(usize::from(script.byte())),
            11 => client.deliver(usize::MAX),
            12 => return self.command(index, script.byte()),
            13 => return self.pass(u64::from(script.byte() % 40)),
            14 => client.wake_for_nothing(),
            _ => client.send_as_compressed(script),
        }
        wake(&mut self.connections, &self.clients[index], self.now);
        self.clients[index].look();
    }

    fn command(&mut self, index: usize, which: u8) {
        let id = self.connections.id(self.clients[index].slot());
        let is_gone = self.clients[index].is_dropped();
        self.clients.iter_mut().for_each(Client::expect_command);
        let news = Prepared::from(NEWS.repeat(1 + usize::from(which) * 10));
        let command = match (which % 3, id) {
            (0, Some(id)) if !is_gone => Command::Send(id, news),
            (1, Some(id)) if !is_gone => {
                self.clients[index].expect_close();
                Command::Close(id, CloseCode::NORMAL, "enough".into())
            }
            _ => Command::Broadcast(news),
        };
        self.connections.commands(&[command], self.now);
        finish_turns(&mut self.connections, self.now);
        self.clients.iter_mut().for_each(Client::look);
    }

    /// Time passes for the canary too, which may be given up for its silence.
    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.connections.sweep(self.now);
        for client in &mut self.clients {
            client.expect_close();
            client.look();
        }
        self.canary.close();
        self.canary.deliver(usize::MAX);
        self.canary.end();
        wake(&mut self.connections, &self.canary, self.now);
        self.canary = open_canary(&mut self.connections, self.now);
    }

    fn check_canary(&mut self) {
        self.canary.look();
        self.canary.send_text("canary");
        self.canary.deliver(usize::MAX);
        wake(&mut self.connections, &self.canary, self.now);
        self.canary.look();
        assert!(self.canary.is_open() && self.canary.has_all(), "the canary sings");
    }

    fn check_queues(&self) {
        for client in self.clients.iter().filter(|client| !client.is_dropped()) {
            let queued = self.connections.queued_len(client.slot()).expect("a connection in this slot");
            assert!(queued <= MAX_WRITE_QUEUE + 1_000, "{queued} bytes");
        }
    }

    /// A panic is caught where a connection is served, and shows in the metrics alone.
    fn check_panics(&self) {
        assert_eq!(self.connections.metrics().handler_panics, 0, "panics");
    }

    /// There are no more faults: whatever was sent comes back.
    fn settle(&mut self) {
        for client in &mut self.clients {
            client.be_faultless();
        }
        for _ in 0..20 {
            for client in &mut self.clients {
                client.deliver(usize::MAX);
                wake(&mut self.connections, client, self.now);
                client.look();
            }
        }
        for client in self.clients.iter().filter(|client| client.is_blameless()) {
            assert!(client.is_open() && client.has_all(), "let in, and every message comes back");
        }
        for client in self.clients.iter().filter(|client| client.has_ended()) {
            assert!(client.is_dropped(), "one that has ended is let go");
        }
    }

    /// All is over once enough time has passed: nothing waits for ever.
    fn end(mut self) {
        for _ in 0..4 {
            self.now += Duration::from_secs(60);
            self.connections.sweep(self.now);
        }
        self.check_panics();
        assert!(self.connections.is_empty() && self.clients.iter().all(Client::is_dropped));
        let Echo { opens, closes } = self.connections.handler();
        assert_eq!(opens, closes, "each that was opened is closed once");
    }
}

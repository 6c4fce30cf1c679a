//! What is told through `tracing`, and that it is little.

mod common;

use common::{Recorder, World, close, config, frame, text};
use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use ws_server::{Config, Handler, Message, Peer, Server};

/// Keeps every event as its level and its fields.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Events {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = event.metadata().level().to_string();
        event.record(&mut Fields(&mut text));
        self.0.lock().unwrap().push(text);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What is told while `act` runs.
fn events(act: impl FnOnce()) -> Vec<String> {
    let events = Events::default();
    tracing::subscriber::with_default(events.clone(), act);
    events.0.lock().unwrap().clone()
}

#[test]
fn nothing_is_told_of_connections_that_come_and_go() {
    let told = events(|| {
        let mut world = World::new(Recorder::default(), config());
        let client = world.open();
        world.send(&client, &[text("a"), frame(0x82, &[7; 100]), frame(0x89, b"p")].concat());
        world.send(&client, &close(1000));
        let broken = world.open();
        world.send(&broken, &frame(0x83, b""));
        let silent = world.connect();
        world.end(&silent);
    });
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn a_refusal_is_told_with_what_was_asked_for() {
    let told = events(|| {
        let mut world = World::new(Recorder::default(), config());
        let refused = world.connect();
        world.send(&refused, b"GET / HTTP/1.1\r\nOrigin: http://a\r\n\r\n");
    });
    let expect = "INFO message=refused address=127.0.0.1:40000 reason=\"malformed\" status=400 \
                  detail=\"the Host header field is missing\" origin=\"http://a\" path=\"/\"";
    assert_eq!(told, [expect]);
}

#[test]
fn a_panic_of_the_handler_is_told_with_its_connection() {
    let told = events(|| {
        let mut world = World::new(Recorder::default(), config());
        world.open();
        let client = world.open();
        world.send(&client, &text("panic"));
    });
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert!(
        event.starts_with("ERROR message=a panic while this connection was served connection=0-1 address="),
        "{event}"
    );
}

#[test]
fn an_eviction_is_told_with_what_was_held() {
    let told = events(|| {
        let mut config = config();
        config.limits.memory_budget = Some(100_000);
        let mut world = World::new(Recorder::default(), config);
        let client = world.open();
        world.send(&client, &frame(0x02, &[7; 150_000]));
    });
    let [event] = told.as_slice() else { panic!("{told:?}") };
    let start = "WARN message=the memory budget is spent, and this connection ends connection=0-0 address=";
    assert!(event.starts_with(start), "{event}");
    let held: usize = event.rsplit("held_bytes=").next().unwrap().parse().unwrap();
    assert!(held >= 150_000, "{event}");
}

#[test]
fn a_server_that_starts_tells_what_is_less_than_was_asked_for() {
    // Stopped before it runs, it ends at once.
    let start = |change: &dyn Fn(&mut Config)| {
        events(|| {
            let mut config = Config::default();
            change(&mut config);
            let server = Server::bind("127.0.0.1:0", config).unwrap();
            server.remote().shutdown();
            server.run(|_| NoHandler).unwrap();
        })
    };
    let told = start(&|_| {});
    let [summary] = told.as_slice() else { panic!("{told:?}") };
    assert!(summary.starts_with("DEBUG message=the server starts workers="), "{summary}");

    let one = Config { workers: Some(1), ..Config::default() };
    let quarter = Server::bind("127.0.0.1:0", one).unwrap().config().limits.memory_budget.unwrap();
    let told = start(&|config| {
        config.workers = Some(3);
        config.limits.max_message_len = usize::try_from(quarter / 2).unwrap();
        config.limits.max_write_queue_len = config.limits.max_message_len;
    });
    let warning = "WARN message=there are fewer workers, as each needs memory for two messages of max_message_len workers=1";
    assert!(told[1].starts_with(warning), "{told:?}");

    let told = start(&|config| config.limits.memory_budget = Some(u64::MAX));
    assert!(told[1].starts_with("WARN message=memory_budget is more than this process can have"), "{told:?}");

    if cfg!(target_os = "linux") {
        let told = start(&|config| config.limits.max_connections = usize::MAX);
        let warning = "WARN message=the limit on open files allows fewer connections than max_connections";
        assert!(told[1].starts_with(warning), "{told:?}");
    }
}

struct NoHandler;

impl Handler for NoHandler {
    type Session = ();

    fn on_message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) {}
}

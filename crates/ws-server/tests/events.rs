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
        config.memory_budget = 100_000;
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

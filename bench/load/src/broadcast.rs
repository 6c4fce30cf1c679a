//! Messages that go to everybody: one connection publishes, all receive, the one that publishes among them.

use crate::connect::{self, AT_ONCE, Connections};
use crate::cycle::Cycle;
use crate::echo::{Connection, buffer};
use crate::replies::Replies;
use crate::window::Window;
use crate::{Options, Outcome};
use mio::Events;
use serde_json::Value;

/// The connection that publishes.
const PUBLISHER: usize = 0;

/// Loads the server with broadcasts. What is counted are deliveries.
pub(crate) fn run(options: &Options) -> Outcome<Value> {
    let Connections { mut poll, streams, .. } = connect::open(options, AT_ONCE, None)?;
    let cycle = Cycle::new(options.payload, options.payload_len(), options.depth());
    let requests = cycle.requests(options.depth());
    let mut replies = Replies::verbatim(cycle.replies());
    let mut connections: Vec<_> =
        streams.into_iter().enumerate().map(|(index, stream)| Connection::new(index, stream)).collect();
    let mut buffer = buffer(options);
    let mut events = Events::with_capacity(1024);
    let mut window = Window::new(options);
    let mut deliveries = 0;
    // How many connections have got each message of those on their way, and the number of the first of these.
    let mut delivered = vec![0; options.depth()];
    let mut first = 0;

    connections[PUBLISHER].credit = options.depth();
    connections[PUBLISHER].send(&requests)?;
    let mut now = connect::wait(&mut poll, &mut events)?;
    while !window.tick(now, deliveries)? {
        for event in &events {
            let connection = &mut connections[event.token().0];
            if event.is_readable() {
                let received = connection.receive(&mut buffer, &mut replies)?;
                deliveries += received;
                let next = connection.progress.messages;
                for message in next - received..next {
                    delivered[message as usize % options.depth()] += 1;
                }
            }
        }
        while delivered[first % options.depth()] == connections.len() {
            delivered[first % options.depth()] = 0;
            first += 1;
            connections[PUBLISHER].credit += 1;
        }
        connections[PUBLISHER].send(&requests)?;
        now = connect::wait(&mut poll, &mut events)?;
    }
    window.result()
}

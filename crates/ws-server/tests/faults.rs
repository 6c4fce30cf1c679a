//! Whatever happens to some connections, in whatever order: each that opened is closed once, and no other notices.
//!
//! The faults are random; `steps.rs` has each by itself, at each step. A failure prints its seed, and
//! `PROPTEST_RNG_SEED=<seed> cargo test -p ws-server --test faults` repeats it.

mod common;

use common::{Client, Recorder, World, close, config, frame, steps::silence_panics_asked_for, text};
use proptest::prelude::*;
use std::{io::ErrorKind, time::Duration};
use ws_server::{CloseCode, Command, Config, Prepared, Readiness};

#[derive(Clone, Debug)]
enum Fault {
    Connect,
    Request,
    Send(Vec<u8>),
    /// The bytes come in these pieces, with a wake-up each.
    Trickle(Vec<u8>),
    End,
    Reset,
    WriteError,
    Room(Option<usize>),
    SpuriousWake,
    Command,
    Broadcast,
    CloseCommand,
    Pass(u64),
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(text("hello")),
        Just(text("close")),
        Just(text("panic")),
        Just(text("100 KB").repeat(3)),
        Just(frame(0x89, b"p").repeat(10)),
        Just(frame(0x82, &[7; 70_000])),
        Just(frame(0x01, b"unfinished")),
        Just(close(1000)),
        Just(b"\x81\x05hello".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Connect),
        6 => Just(Fault::Request),
        8 => any_bytes().prop_map(Fault::Send),
        2 => any_bytes().prop_map(Fault::Trickle),
        1 => Just(Fault::End),
        1 => Just(Fault::Reset),
        1 => Just(Fault::WriteError),
        3 => prop_oneof![Just(None), (0..200_000_usize).prop_map(Some)].prop_map(Fault::Room),
        1 => Just(Fault::SpuriousWake),
        2 => Just(Fault::Command),
        1 => Just(Fault::Broadcast),
        1 => Just(Fault::CloseCommand),
        2 => (1..40_u64).prop_map(Fault::Pass),
    ]
}

fn small() -> Config {
    let mut config = config();
    (config.flow.high_water_len, config.flow.low_water_len, config.limits.max_write_queue_len) =
        (100_000, 20_000, 300_000);
    (config.flow.read_buffer_len, config.flow.max_read_per_turn) = (10_000, 30_000);
    config
}

fn apply(world: &mut World<Recorder>, clients: &mut Vec<Client>, which: prop::sample::Index, fault: Fault) {
    if let Fault::Connect = fault {
        let client = world.connect();
        client.wire.borrow_mut().room = Some(500);
        return clients.push(client);
    }
    let Some(client) = clients.get(which.index(clients.len().max(1))).cloned() else { return };
    if client.is_dropped() {
        return; // its slot may be another's
    }
    match fault {
        Fault::Connect => {}
        Fault::Request => world.send(&client, common::REQUEST.as_bytes()),
        Fault::Send(bytes) if bytes.is_empty() => {}
        Fault::Send(bytes) => world.send(&client, &bytes),
        Fault::Trickle(bytes) => {
            for byte in bytes.chunks(1).take(20) {
                if !client.is_dropped() {
                    world.send(&client, byte);
                }
            }
        }
        Fault::End => world.end(&client),
        Fault::Reset => world.reset(&client),
        Fault::WriteError => client.wire.borrow_mut().write_error = Some(ErrorKind::ConnectionReset),
        Fault::Room(room) => world.make_room(&client, room),
        Fault::SpuriousWake => {
            world.wake(&client, Readiness { readable: true, writable: true, read_closed: false });
        }
        Fault::Command | Fault::CloseCommand => {
            let Some(id) = world.connections.id(client.slot) else { return };
            let command = match fault {
                Fault::Command => Command::Send(id, Prepared::from(vec![7; 50_000])),
                _ => Command::Close(id, CloseCode::NORMAL, "enough".into()),
            };
            world.connections.commands(&[command], world.now);
            world.finish_turns();
        }
        Fault::Broadcast => {
            let message = Prepared::from("news");
            world.connections.commands(&[Command::Broadcast(message)], world.now);
            world.finish_turns();
        }
        Fault::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
    }
}

proptest! {
    #![proptest_config(common::random(400))]
    #[test]
    fn each_open_has_one_close_and_the_others_go_on(
        faults in prop::collection::vec((any::<prop::sample::Index>(), any_fault()), 1..60),
    ) {
        silence_panics_asked_for();
        let mut world = World::new(Recorder::default(), small());
        let handler = world.connections.handler().clone();
        let mut clients = Vec::new();
        let mut canary = world.open();
        for (which, fault) in faults {
            let may_close_canary = matches!(fault, Fault::Pass(_));
            apply(&mut world, &mut clients, which, fault);
            if may_close_canary {
                // Time has passed for it too, and it may have been given up for its silence.
                world.send(&canary, &close(1000));
                canary = world.open();
            }
            canary.take();
            world.send(&canary, &text("canary"));
            prop_assert_eq!(canary.take(), b"\x81\x06canary");
            for client in &clients {
                if let Some(queued) = (!client.is_dropped()).then(|| world.connections.queued_len(client.slot)) {
                    prop_assert!(queued.unwrap() <= 300_000 + 10_000, "{:?}", queued);
                }
            }
        }
        // All is over once enough time has passed: nothing waits for ever. A scripted socket gives one piece a read, and
        // says nothing of those behind it, so that each of a trickle is found before the next verdict.
        for _ in 0..60 {
            world.pass(Duration::from_secs(60));
        }
        prop_assert!(world.connections.is_empty());
        prop_assert!(clients.iter().all(Client::is_dropped));
        let calls = handler.take();
        let opens = calls.iter().filter(|call| call.starts_with("open")).count();
        let closes = calls.iter().filter(|call| call.starts_with("close")).count();
        prop_assert_eq!(opens, closes);
    }
}

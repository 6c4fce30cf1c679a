//! Every fault at every step of whole conversations: each read, write and shutdown of a socket fails, blocks, is cut
//! short or interrupted, and each call of the handler panics.
//!
//! A conversation is played once without a fault, which numbers its steps, and then once for each step and each fault
//! that its call can meet. Beside the subject are two canaries, one served before it and one after it in every turn:
//! whatever befalls the subject, they get their echoes, byte by byte, and nothing else.
//!
//! A failure names the conversation, the steps and what went wrong in each. Only the last test is random: it prints its
//! seed, and `PROPTEST_RNG_SEED=<seed> cargo test -p ws-server --test steps` repeats it. `fn call` in `handler.rs` and
//! `Wire::step` in `common` are where a breakpoint sees each step.

#[path = "../common/mod.rs"]
mod common;
mod conversations;
mod handler;
mod run;

use common::steps::{Call, Fault, Steps};
use conversations::{
    Act::{Broadcast, Remote, SendAndBroadcast},
    Conversation, conversations,
};
use proptest::prelude::*;
use run::{Naming, Outcome, play};

#[test]
fn every_fault_at_every_step() {
    let conversations = conversations();
    let runs: usize = conversations.iter().map(every_fault).sum();
    println!("{runs} runs of {} conversations", conversations.len());
}

proptest! {
    #![proptest_config(common::random(2_000))]
    #[test]
    fn several_faults_at_random_steps(
        conversation in prop::sample::select(conversations()),
        plan in prop::collection::vec((0..80_usize, 0..60_usize), 2..6),
    ) {
        let steps = Steps::with_faults(&plan);
        let _naming = Naming(conversation.name, steps.clone());
        play(&conversation, &steps);
    }
}

/// Plays a conversation with every fault at every step, and says how often it was played.
fn every_fault(conversation: &Conversation) -> usize {
    let reference = no_fault(conversation);
    let steps = reference.calls.iter().enumerate();
    let faults = steps.flat_map(|(step, call)| (0..call.faults().len()).map(move |number| (step, number)));
    faults.map(|fault| one_fault(conversation, &reference, fault)).sum()
}

/// The conversation as it is meant to be.
fn no_fault(conversation: &Conversation) -> Outcome {
    let steps = Steps::with_faults(&[]);
    let _naming = Naming(conversation.name, steps.clone());
    let outcome = play(conversation, &steps);
    assert_eq!(outcome.told, conversation.expect);
    let of_others =
        conversation.acts.iter().filter(|it| matches!(it, Remote | Broadcast | SendAndBroadcast(_)));
    let came = outcome.frames.iter().filter(|(_, payload)| payload == b"remote" || payload == b"news");
    assert!(came.count() == of_others.count() || !outcome.took_all, "what others sent is lost");
    outcome
}

/// The first byte of a ping (RFC 6455 §5.2).
const PING: u8 = 0x89;

/// The conversation with one fault, and once more with the `on_close` that follows from it panicking.
fn one_fault(conversation: &Conversation, reference: &Outcome, (step, number): (usize, usize)) -> usize {
    let steps = Steps::with_faults(&[(step, number)]);
    let naming = Naming(conversation.name, steps.clone());
    let outcome = play(conversation, &steps);
    assert_eq!(outcome.calls[..=step], reference.calls[..=step], "the same up to the fault");
    let [(_, call, fault)] = steps.borrow().met[..] else { panic!("the fault is met") };
    match fault {
        Fault::Interrupt | Fault::Block | Fault::OneByte => check_unharmed(&outcome, reference),
        fault => check_end(&outcome, reference, step, call, fault),
    }
    drop(naming);
    let on_close = outcome.calls.iter().position(|call| *call == Call::Handler("on_close"));
    let Some(on_close) = on_close.filter(|on_close| *on_close > step) else { return 1 };
    let steps = Steps::with_faults(&[(step, number), (on_close, 0)]);
    let _naming = Naming(conversation.name, steps.clone());
    play(conversation, &steps);
    2
}

/// The fault has changed nothing that the client or the handler could see.
fn check_unharmed(outcome: &Outcome, reference: &Outcome) {
    // Whoever blocks may lag meanwhile.
    let told = |outcome: &Outcome| {
        outcome.told.iter().filter(|call| *call != "on_drain").cloned().collect::<Vec<_>>()
    };
    assert_eq!(told(outcome), told(reference));
    // The close for want of memory is the one thing that does not wait for the socket.
    if told(reference).concat().contains("out of memory") {
        assert!(reference.received.starts_with(&outcome.received), "other bytes");
    } else if reference.frames.iter().any(|(first, _)| *first == PING) {
        // A socket that takes a ping late has shown a sign of life: there may be one ping more.
        let others = |outcome: &Outcome| {
            outcome.frames.iter().filter(|(first, _)| *first != PING).cloned().collect::<Vec<_>>()
        };
        assert!(others(reference) == others(outcome), "other frames");
    } else {
        assert!(reference.received == outcome.received, "other bytes");
    }
}

/// The fault has ended the connection, if there was one that had not ended, and everyone is told why.
fn check_end(outcome: &Outcome, reference: &Outcome, step: usize, call: Call, fault: Fault) {
    assert_eq!(outcome.calls_after_failure, 0, "a socket that has failed is not used again");
    let had_closed = outcome.calls[..=step].contains(&Call::Handler("on_close"));
    let cause = match fault {
        _ if had_closed => reference.told.last().unwrap(),
        Fault::Fail(_) | Fault::TakeNothing => "on_close 1006 the socket failed",
        Fault::End => "on_close 1006 the peer ended the stream without a close frame",
        Fault::PanicBefore | Fault::PanicAfter => "on_close 1011 a panic while this connection was served",
        // A deadline sees to it, if the conversation does not end before.
        _ => "on_close",
    };
    let has_opened = outcome.calls.contains(&Call::Handler("on_open"));
    let told = outcome.told.last().map_or("", String::as_str);
    // A session that had ended keeps its code while its queue is written, and its error, if it had one.
    let as_ever = reference.told.last().map_or("", String::as_str);
    let ended = as_ever.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let is_told_late =
        call != Call::Read && (told == as_ever || told.starts_with(&format!("{ended} the socket failed")));
    assert!(told.starts_with(cause) || is_told_late || !has_opened, "{told}");
    if let (Call::Handler(name), true) = (call, outcome.took_all) {
        let has_last_words = match name {
            "on_request" | "on_http" => outcome.received.starts_with(b"HTTP/1.1 500 "),
            _ => outcome.frames.last().is_some_and(|(first, _)| *first == 0x88),
        };
        assert!(has_last_words || had_closed, "the client is told of the panic");
    }
}

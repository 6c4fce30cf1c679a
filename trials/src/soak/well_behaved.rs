//! Clients that keep to the rules, and have to get what is theirs.

use super::visit::Visit;
use crate::Outcome;
use crate::client::{Client, Offer, Received};
use crate::random::Random;
use crate::raw::{self, BINARY, TEXT};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Instant;
use ws_endpoint::DeflateOffer;
use ws_protocol::{CloseCode, Message};

/// Where the length of a frame or the way through the server changes.
const LENGTHS: &[usize] = &[0, 1, 125, 126, 1_000, 10_000, 65_535, 65_536, 200_000];

/// Characters of one to four bytes.
const CHARACTERS: &[char] = &['a', ' ', '7', 'ü', '世', '👋'];

/// Sends messages of all kinds, compressed or not, whole or in fragments, and checks each echo.
pub(super) fn talks(visit: &mut Visit<'_>) -> Outcome {
    let deflate = visit.random.once_in(2).then(DeflateOffer::default);
    let offer = Offer { deflate, ..Offer::default() };
    let mut client = Client::upgrade(raw::connect(visit.port)?, "localhost", "/soak", &offer)?;
    for _ in 0..visit.random.within(1..40) {
        if visit.is_over() {
            break;
        }
        let message = message(visit.random);
        send(&mut client, &message, visit.random)?;
        expect(&mut client, &message)?;
        if visit.random.once_in(4) {
            client.ping(b"are you there?")?;
            expect(&mut client, &Received::Pong(b"are you there?".to_vec()))?;
        }
        visit.pause(20);
    }
    if visit.random.once_in(3) { Ok(()) } else { client.close(CloseCode::NORMAL) }
}

/// Connects, says a little, and is gone: with a close, without a word, or with a reset.
pub(super) fn comes_again(visit: &mut Visit<'_>) -> Outcome {
    for _ in 0..visit.random.within(1..100) {
        if visit.is_over() {
            break;
        }
        let mut stream = raw::open(visit.port)?;
        for _ in 0..visit.random.within(0..4) {
            let payload = visit.random.bytes(50);
            stream.write_all(&raw::frame(BINARY, &payload))?;
            if raw::next_frame(&mut stream)? != (BINARY, payload) {
                return Err("an echo is not what was sent".into());
            }
        }
        match visit.random.within(0..3) {
            0 => drop(stream),
            1 => raw::reset(stream),
            _ => {
                stream.write_all(&raw::close(1000))?;
                if raw::close_code(&mut stream)? != Some(1000) {
                    return Err("its close was not answered with the same code".into());
                }
            }
        }
    }
    Ok(())
}

/// Sends messages, ends its direction of the stream, and then gets all the echoes.
pub(super) fn stops_sending_first(visit: &mut Visit<'_>) -> Outcome {
    let mut stream = raw::open(visit.port)?;
    let mut expected = Vec::new();
    let mut sent = Vec::new();
    for _ in 0..visit.random.within(1..20) {
        let payload = vec![b'a'; visit.random.within(0..2_000)];
        expected.extend(raw::unmasked(TEXT, payload.len() as u64));
        expected.extend(&payload);
        sent.extend(raw::frame(TEXT, &payload));
    }
    stream.write_all(&sent)?;
    stream.shutdown(Shutdown::Write)?;
    let mut received = Vec::new();
    stream.take(expected.len() as u64 + 1_000).read_to_end(&mut received)?;
    // A close frame may follow.
    if received.starts_with(&expected) { Ok(()) } else { Err("not all of what it had sent came back".into()) }
}

fn message(random: &mut Random) -> Received {
    let len = *random.one_of(LENGTHS);
    if random.once_in(2) {
        return Received::Binary(random.bytes(len));
    }
    let mut text = String::new();
    while text.len() < len {
        text.push(*random.one_of(CHARACTERS));
    }
    Received::Text(text)
}

/// In one frame, or in fragments.
fn send(client: &mut Client, message: &Received, random: &mut Random) -> Outcome {
    let in_fragments = random.once_in(3);
    match message {
        Received::Text(text) if in_fragments => {
            let mut at = random.within(0..text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let (first, second) = text.split_at(at);
            client.send_fragments(&[Message::Text(first), Message::Text(second)])
        }
        Received::Binary(bytes) if in_fragments => {
            let (first, second) = bytes.split_at(random.within(0..bytes.len()));
            client.send_fragments(&[Message::Binary(first), Message::Binary(b""), Message::Binary(second)])
        }
        Received::Text(text) => client.send_text(text),
        Received::Binary(bytes) | Received::Pong(bytes) => client.send(Message::Binary(bytes)),
    }
}

fn expect(client: &mut Client, expected: &Received) -> Outcome {
    if client.receive(Instant::now() + raw::TIMEOUT)? == *expected {
        Ok(())
    } else {
        Err("an echo is not what was sent".into())
    }
}

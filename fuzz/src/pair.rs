//! A client and a server that talk through random cuts, twice, as the two servers share a compressor: every message arrives
//! once, in order and as it was, every ping is answered, what cannot be sent leaves no trace, and both see the close.

use super::{
    connection::{Happening, client, deflate, feed, mirrored, with},
    script::Script,
};
use std::{collections::VecDeque, mem};
use ws_protocol::{
    CloseCode, CloseFrame, DeflateConfig, Message, MessageLimits, Output, Prepared, Protocol, Role, Sender,
    ServerRole,
};

const MAX_STEPS: usize = 64;

/// One end of a connection, and the bytes on their way to it.
struct End<R> {
    protocol: Protocol<R>,
    wire: Vec<u8>,
    /// What the other end has to see, in order.
    promised: VecDeque<Happening>,
    /// The fragments so far of the message that this end has begun.
    begun: Option<Happening>,
    closed: bool,
    saw_close: bool,
    echo: bool,
}

impl<R: Role> End<R> {
    fn new(protocol: Protocol<R>, echo: bool) -> Self {
        let (wire, promised) = (Vec::new(), VecDeque::new());
        Self { protocol, wire, promised, begun: None, closed: false, saw_close: false, echo }
    }
}

struct Pair<S, C> {
    server: End<S>,
    client: End<C>,
    /// The client's; the server's is shared.
    out: Output,
}

/// The input is what was agreed on compression and whether the servers echo, then steps: whose it is and of what kind, and
/// what the kind needs.
pub fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let echo = script.byte();
    let configs = [deflate(&mut script), deflate(&mut script)];
    let mut pairs = configs.map(|config| pair(config.as_ref(), echo));
    let mut server_out = Output::new();
    for _ in 0..MAX_STEPS {
        if script.is_empty() {
            break;
        }
        let byte = script.byte();
        if byte & 0x3f == 0x3f {
            broadcast(&mut pairs, &mut script, &mut server_out);
            continue;
        }
        let Pair { server, client, out } = &mut pairs[usize::from(byte >> 7)];
        if byte & 0x40 == 0 {
            step(server, client, byte & 0x3f, &mut script, &mut server_out);
        } else {
            step(client, server, byte & 0x3f, &mut script, out);
        }
    }
    for Pair { server, client, out } in &mut pairs {
        settle(server, client, &mut server_out, out);
        if !client.closed {
            close(client, CloseCode::GOING_AWAY, "", out);
            server.wire.extend_from_slice(out.as_bytes());
            out.clear();
            settle(server, client, &mut server_out, out);
        }
        for (saw_close, finished, promised) in [
            (server.saw_close, server.protocol.is_finished(), &server.promised),
            (client.saw_close, client.protocol.is_finished(), &client.promised),
        ] {
            assert!(saw_close && finished, "both see the close");
            assert!(promised.is_empty(), "all of it arrives: {promised:?}");
        }
    }
}

fn pair(config: Option<&DeflateConfig>, echo: u8) -> Pair<ServerRole, impl Role + use<>> {
    let limits = MessageLimits::default();
    let theirs = config.map(mirrored);
    Pair {
        server: End::new(with(Protocol::server(limits), config), echo & 1 != 0),
        client: End::new(with(client(limits), theirs.as_ref()), false),
        out: Output::new(),
    }
}

/// One end does something, or gets some of the bytes that are on their way to it.
fn step<R: Role, P: Role>(
    end: &mut End<R>,
    other: &mut End<P>,
    kind: u8,
    script: &mut Script<'_>,
    out: &mut Output,
) {
    match kind % 10 {
        0 | 1 => {
            let content = content(script);
            let message = content.message().expect("a message");
            let sent = send(end, message, out, |sender, out| sender.send(message, out).is_ok());
            if sent {
                end.promised.push_back(content);
            }
        }
        2 => {
            let content = content(script);
            let message = content.message().expect("a message");
            let sent = send(end, message, out, |sender, out| sender.send_uncompressed(message, out).is_ok());
            if sent {
                end.promised.push_back(content);
            }
        }
        3 => fragment(end, script, out),
        4 | 5 => {
            let payload_len = script.choose(&[0, 5, 125, 126]);
            let payload = vec![script.byte(); payload_len];
            let start = out.len();
            let sender = end.protocol.sender();
            let result = if kind % 10 == 4 { sender.ping(&payload, out) } else { sender.pong(&payload, out) };
            assert_eq!(result.is_ok(), !end.closed && payload_len <= 125);
            if result.is_err() {
                assert_eq!(out.len(), start, "what is refused leaves no trace");
            } else if kind % 10 == 4 {
                end.promised.push_back(Happening::Ping(payload));
            } else {
                end.promised.push_back(Happening::Pong(payload));
            }
        }
        6 => {
            let code = script.choose(&[1000, 1005, 1001, 3000, 4999, 999, 1006, 5000]);
            let reason_len = script.choose(&[0, 3, 123, 124]);
            close(end, CloseCode::new(code), &"r".repeat(reason_len), out);
        }
        7 => deliver(end, other, usize::from(script.byte()), out),
        8 => deliver(end, other, usize::from(script.word()), out),
        _ => deliver(end, other, usize::MAX, out),
    }
    other.wire.extend_from_slice(out.as_bytes());
    out.clear();
}

/// A message: text or binary, of some length, easy or hard to compress.
fn content(script: &mut Script<'_>) -> Happening {
    const LENS: &[usize] =
        &[0, 1, 5, 20, 125, 126, 127, 128, 256, 257, 1_000, 20_000, 65_535, 65_536, 70_000];
    let flags = script.byte();
    let len = script.choose(LENS);
    if flags & 1 == 0 {
        let piece = ["a", "grüße, ", "€", "😀 and so on "][usize::from(flags >> 1 & 3)];
        return Happening::Text(piece.repeat(len / piece.len()));
    }
    let mut state = u32::from(flags) | 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        state.to_be_bytes()[0]
    });
    if flags & 2 == 0 {
        return Happening::Binary(noise.take(len).collect());
    }
    // Noise that comes again, at a distance within some windows and beyond others.
    let period = script.choose(&[1, 200, 300, 600, 5_000, 30_000]);
    let noise: Vec<u8> = noise.take(period).collect();
    Happening::Binary(noise.into_iter().cycle().take(len).collect())
}

/// Sends a message by `how`, and gives whether it was sent, which it is whenever it may be.
fn send<R: Role>(
    end: &mut End<R>,
    message: Message<'_>,
    out: &mut Output,
    how: impl FnOnce(&mut Sender<R>, &mut Output) -> bool,
) -> bool {
    let start = out.len();
    let sent = how(end.protocol.sender(), out);
    assert_eq!(sent, !end.closed && end.begun.is_none(), "{} bytes", message.as_bytes().len());
    assert_eq!(out.len() > start, sent, "what is refused leaves no trace");
    sent
}

/// Sends a fragment of the message that is under way, or begins one.
fn fragment<R: Role>(end: &mut End<R>, script: &mut Script<'_>, out: &mut Output) {
    let last = script.byte() & 1 != 0;
    let piece = content(script);
    let message = piece.message().expect("a message");
    let start = out.len();
    let is_mixed = matches!(
        (&end.begun, message),
        (Some(Happening::Text(_)), Message::Binary(_)) | (Some(Happening::Binary(_)), Message::Text(_))
    );
    let result = end.protocol.sender().send_fragment(message, last, out);
    assert_eq!(result.is_ok(), !end.closed && !is_mixed);
    if result.is_err() {
        assert_eq!(out.len(), start, "what is refused leaves no trace");
        return;
    }
    match (&mut end.begun, message) {
        (Some(Happening::Text(begun)), Message::Text(text)) => begun.push_str(text),
        (Some(Happening::Binary(begun)), message) => begun.extend_from_slice(message.as_bytes()),
        (begun, message) => *begun = Some(message.into()),
    }
    if last {
        end.promised.extend(end.begun.take());
    }
}

fn close<R: Role>(end: &mut End<R>, code: CloseCode, reason: &str, out: &mut Output) {
    let start = out.len();
    let is_legal =
        reason.len() <= 123 && code.is_allowed_on_wire() || reason.is_empty() && code == CloseCode::NO_STATUS;
    let result = end.protocol.sender().close(CloseFrame { code, reason }, out);
    assert_eq!(result.is_ok(), is_legal && !end.closed, "{result:?}");
    if result.is_err() {
        assert_eq!(out.len(), start, "what is refused leaves no trace");
        return;
    }
    end.closed = true;
    end.promised.push_back(Happening::Close(code, reason.to_owned()));
}

/// Gives an end the next bytes that are on their way to it.
fn deliver<R: Role, P: Role>(end: &mut End<R>, other: &mut End<P>, max_len: usize, out: &mut Output) {
    let rest = end.wire.split_off(max_len.min(end.wire.len()));
    let piece = mem::replace(&mut end.wire, rest);
    let End { protocol, promised, begun, closed, saw_close, echo, .. } = end;
    feed(protocol, &piece, out, |happening, sender, out| {
        assert_eq!(Some(&happening), other.promised.front(), "once, in order, and as it was");
        other.promised.pop_front();
        match &happening {
            Happening::Ping(payload) if !*closed => promised.push_back(Happening::Pong(payload.clone())),
            Happening::Close(code, reason) => {
                if !*closed {
                    promised.push_back(Happening::Close(*code, reason.clone()));
                }
                (*closed, *saw_close) = (true, true);
            }
            _ => {}
        }
        if let (Some(message), true) = (happening.message(), *echo) {
            let sent = sender.send(message, out).is_ok();
            assert_eq!(sent, !*closed && begun.is_none());
            if sent {
                promised.push_back(happening);
            }
        }
    });
    assert_eq!(protocol.close_expected(), *closed);
}

/// Both servers send a message that is encoded once for all that can share it.
fn broadcast<C: Role>(pairs: &mut [Pair<ServerRole, C>; 2], script: &mut Script<'_>, out: &mut Output) {
    let content = content(script);
    let message = content.message().expect("a message");
    let prepared = Prepared::new(message);
    for Pair { server, client, .. } in pairs {
        let sent = send(server, message, out, |sender, out| sender.send_prepared(&prepared, out).is_ok());
        if sent {
            server.promised.push_back(content.clone());
        }
        client.wire.extend_from_slice(out.as_bytes());
        out.clear();
    }
}

/// Delivers everything, and what is answered to it.
fn settle<S: Role, C: Role>(
    server: &mut End<S>,
    client: &mut End<C>,
    server_out: &mut Output,
    client_out: &mut Output,
) {
    while !server.wire.is_empty() || !client.wire.is_empty() {
        deliver(server, client, usize::MAX, server_out);
        client.wire.extend_from_slice(server_out.as_bytes());
        server_out.clear();
        deliver(client, server, usize::MAX, client_out);
        server.wire.extend_from_slice(client_out.as_bytes());
        client_out.clear();
    }
}

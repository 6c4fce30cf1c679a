//! Connections as the targets set them up, feed them, and write down what happens.

use super::script::Script;
use ws_protocol::{
    ClientRole, CloseCode, CloseFrame, CompressionLevel, DeflateConfig, Event, Input, Message, MessageLimits,
    Output, Protocol, ProtocolError, Role, Sender, WindowBits,
};

/// What a connection gives its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseCode, String),
    Failure(ProtocolError),
}

impl Happening {
    /// The message, if it is one.
    pub(crate) fn message(&self) -> Option<Message<'_>> {
        match self {
            Self::Text(text) => Some(Message::Text(text)),
            Self::Binary(bytes) => Some(Message::Binary(bytes)),
            _ => None,
        }
    }
}

impl From<Message<'_>> for Happening {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
        }
    }
}

impl From<Event<'_>> for Happening {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(message) => message.into(),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(CloseFrame { code, reason }) => Self::Close(code, reason.to_owned()),
            other => panic!("a kind of event that this does not know: {other:?}"),
        }
    }
}

/// Gives a connection the next piece of its input. `on` is told what happens, with the sending half.
pub(crate) fn feed<R: Role>(
    protocol: &mut Protocol<R>,
    piece: &[u8],
    out: &mut Output,
    mut on: impl FnMut(Happening, &mut Sender<R>, &mut Output),
) {
    let mut bytes = piece.to_vec();
    let mut input = Input::new(&mut bytes);
    loop {
        let was_finished = protocol.is_finished();
        match protocol.receive(&mut input, out) {
            Ok(None) => break,
            Ok(Some((event, sender))) => {
                assert!(!was_finished, "nothing happens once all is over");
                on(event.into(), sender, out);
            }
            Err(error) => {
                assert!(!was_finished, "a connection fails once");
                on(Happening::Failure(error), protocol.sender(), out);
                assert!(protocol.is_finished() && protocol.close_expected(), "a failure is the end");
            }
        }
    }
    assert_eq!(input.remaining(), b"", "input is always used up");
}

/// A client with masking keys that are all different.
pub(crate) fn client(limits: MessageLimits) -> Protocol<ClientRole<impl FnMut() -> [u8; 4] + use<>>> {
    let mut key = 0_u32;
    Protocol::client(limits, move || {
        key = key.wrapping_add(0x9e37_79b9);
        key.to_be_bytes()
    })
}

/// What was agreed on compression, if anything was.
pub(crate) fn deflate(script: &mut Script<'_>) -> Option<DeflateConfig> {
    let flags = script.byte();
    if flags & 1 == 0 {
        return None;
    }
    let mut config = DeflateConfig::default();
    config.send_context_takeover = flags & 2 != 0;
    config.receive_context_takeover = flags & 4 != 0;
    config.send_window_bits = window_bits(15 - (flags >> 3 & 7));
    config.receive_window_bits = window_bits(15 - script.byte() % 8);
    config.min_len = script.choose(&[0, 1, 20, 128]);
    config.level = level(script.choose(&[6, 1, 9, 3]));
    Some(config)
}

/// From 8 to 15.
pub(crate) fn window_bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("a window that can be agreed on")
}

/// From 1 to 9.
pub(crate) fn level(level: u8) -> CompressionLevel {
    CompressionLevel::new(level).expect("a level that there is")
}

/// The same agreement, as the other side sees it.
pub(crate) fn mirrored(config: &DeflateConfig) -> DeflateConfig {
    let mut mirrored = *config;
    (mirrored.send_context_takeover, mirrored.receive_context_takeover) =
        (config.receive_context_takeover, config.send_context_takeover);
    (mirrored.send_window_bits, mirrored.receive_window_bits) =
        (config.receive_window_bits, config.send_window_bits);
    mirrored
}

/// With compression, if that was agreed.
pub(crate) fn with<R: Role>(protocol: Protocol<R>, deflate: Option<&DeflateConfig>) -> Protocol<R> {
    match deflate {
        Some(config) => protocol.with_deflate(config),
        None => protocol,
    }
}

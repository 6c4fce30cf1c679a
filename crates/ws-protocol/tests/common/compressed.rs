//! Compressed messages, and connections that have agreed on them (RFC 7692).

use super::{KEY, Setup};
use flate2::{Compress, Compression, FlushCompress};
use ws_frame::{FrameHeader, Opcode};
use ws_protocol::{
    CompressionLevel, DeflateConfig, Event, Input, Message, MessageLimits, Output, Protocol, WindowBits,
};

/// Agreed, with or without context takeover, and everything compressed that may be.
pub fn deflate(takeover: bool) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    (config.send_context_takeover, config.receive_context_takeover, config.min_len) = (takeover, takeover, 0);
    config
}

pub fn setup(takeover: bool) -> Setup {
    Setup { deflate: Some(deflate(takeover)), ..Setup::default() }
}

/// A message as zlib's other implementation compresses it.
pub fn compressed_by_oracle(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 1_000);
    Compress::new(Compression::best(), false).compress_vec(message, &mut bytes, FlushCompress::Sync).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes
}

pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader::new(Opcode::Binary, payload.len() as u64).unwrap().encode();
    [&[first], &header.as_ref()[1..], payload].concat()
}

/// Bytes that do not get smaller.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

pub fn compressed_with(level: i32, strategy: zlib_rs::Strategy, message: &[u8]) -> Vec<u8> {
    let mut config = zlib_rs::DeflateConfig::new(level);
    (config.window_bits, config.strategy) = (-15, strategy);
    let mut deflate = zlib_rs::Deflate::new_with_config(config);
    let mut payload = vec![0; message.len() * 2 + 100];
    deflate.compress(message, &mut payload, zlib_rs::DeflateFlush::SyncFlush).unwrap();
    payload.truncate(usize::try_from(deflate.total_out()).unwrap() - 4);
    payload
}

/// A message as zlib compresses it after others that end with these bytes.
pub fn compressed_after(before: &[u8], message: &[u8]) -> Vec<u8> {
    let mut deflate = zlib_rs::Deflate::new(9, false, 15);
    if !before.is_empty() {
        deflate.set_dictionary(before).unwrap();
    }
    let mut payload = vec![0; message.len() + 1_000];
    deflate.compress(message, &mut payload, zlib_rs::DeflateFlush::SyncFlush).unwrap();
    payload.truncate(usize::try_from(deflate.total_out()).unwrap() - 4);
    payload
}

/// Text of four letters, as in a genome.
pub fn letters(len: usize) -> Vec<u8> {
    noise(len).iter().map(|byte| b"acgt"[usize::from(byte >> 6)]).collect()
}

/// A server and a client that have agreed on this, and what each has to write.
pub fn round_trip(server: &DeflateConfig, client: &DeflateConfig, messages: &[Vec<u8>], piece_len: usize) {
    let mut sender = Protocol::client(MessageLimits::default(), || KEY).with_deflate(client);
    let mut receiver = Protocol::server(MessageLimits::default()).with_deflate(server);
    let (mut shared, mut echoes) = (Output::new(), Output::new());
    for message in messages {
        shared.clear();
        sender.sender().send(as_text(message), &mut shared).unwrap();
        let mut bytes = shared.as_bytes().to_vec();
        echoes.clear();
        let mut received = 0;
        for piece in bytes.chunks_mut(piece_len) {
            let mut input = Input::new(piece);
            while let Some((event, sender)) = receiver.receive(&mut input, &mut echoes).unwrap() {
                let Event::Message(echo) = event else { panic!("{event:?}") };
                assert!(echo.as_bytes() == message);
                sender.send(echo, &mut echoes).unwrap();
                received += 1;
            }
        }
        assert_eq!(received, 1);
        // What was lent is let go with the next call.
        assert!(receiver.receive(&mut Input::new(&mut []), &mut echoes).unwrap().is_none());
        let most = if server.receive_context_takeover { 1 << server.receive_window_bits.get() } else { 0 };
        let held = receiver.held_len();
        assert!(held <= most, "{held} bytes are kept of messages that may refer {most} back");
        let mut bytes = echoes.as_bytes().to_vec();
        let mut input = Input::new(&mut bytes);
        let (event, _) = sender.receive(&mut input, &mut shared).unwrap().unwrap();
        assert!(event == Event::Message(as_text(message)));
    }
}

/// As text, if it is.
pub fn as_text(message: &[u8]) -> Message<'_> {
    str::from_utf8(message).map_or(Message::Binary(message), Message::Text)
}

/// The two sides' views of one agreement.
pub fn agreement(
    takeover: (bool, bool),
    window_bits: (WindowBits, WindowBits),
    min_len: usize,
    level: CompressionLevel,
) -> (DeflateConfig, DeflateConfig) {
    let mut server = DeflateConfig::default();
    (server.send_context_takeover, server.receive_context_takeover) = takeover;
    (server.send_window_bits, server.receive_window_bits) = window_bits;
    (server.min_len, server.level) = (min_len, level);
    let mut client = server;
    (client.send_context_takeover, client.receive_context_takeover) = (takeover.1, takeover.0);
    (client.send_window_bits, client.receive_window_bits) = (window_bits.1, window_bits.0);
    (server, client)
}

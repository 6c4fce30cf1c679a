//! permessage-deflate, as a connection does it: with its frames, each message by itself or with takeover.
#![forbid(unsafe_code)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use std::fmt::Write;
use ws_protocol::{DeflateConfig, Input, Message, MessageLimits, Output, Protocol};

/// All messages together: twice what a window holds, so that none refers to itself the next time round.
const CYCLE_LEN: usize = 64 << 10;

const LENS: [usize; 3] = [256, 1 << 10, 16 << 10];

fn main() {
    divan::main();
}

#[divan::bench(args = LENS, consts = [false, true])]
fn deflate<const TAKEOVER: bool>(bencher: Bencher<'_, '_>, len: usize) {
    let (config, messages) = (config(TAKEOVER), messages(len));
    let mut server = Protocol::server(MessageLimits::default()).with_deflate(&config);
    let mut out = Output::new();
    let mut next = messages.iter().cycle();
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        out.clear();
        let message = next.next().map_or("", String::as_str);
        server.sender().send(Message::Text(black_box(message)), &mut out)
    });
}

/// With a copy of the compressed frame, as it is unmasked in place.
#[divan::bench(args = LENS, consts = [false, true])]
fn inflate<const TAKEOVER: bool>(bencher: Bencher<'_, '_>, len: usize) {
    let config = config(TAKEOVER);
    let mut client =
        Protocol::client(MessageLimits::default(), || [0x37, 0xfa, 0x21, 0x3d]).with_deflate(&config);
    let mut frame = |message: &String| {
        let mut out = Output::new();
        client.sender().send(Message::Text(message), &mut out).expect("a connection that is open");
        out.as_bytes().to_vec()
    };
    let messages = messages(len);
    let mut server = Protocol::server(MessageLimits::default()).with_deflate(&config);
    let mut out = Output::new();
    let mut receive = |bytes: &mut [u8]| {
        let mut input = Input::new(bytes);
        let event = server.receive(&mut input, &mut out).expect("frames that are right");
        event.is_some()
    };
    // The first time round, messages refer to less. From the second time on they are the same again and again.
    for frame in messages.iter().map(&mut frame).collect::<Vec<_>>() {
        assert!(receive(&mut frame.clone()));
    }
    let frames: Vec<Vec<u8>> = messages.iter().map(&mut frame).collect();
    let mut next = frames.iter().cycle();
    let mut bytes = Vec::new();
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        bytes.clear();
        bytes.extend_from_slice(next.next().map_or(&[][..], Vec::as_slice));
        receive(black_box(&mut bytes))
    });
}

fn config(takeover: bool) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    (config.send_context_takeover, config.receive_context_takeover) = (takeover, takeover);
    config
}

/// JSON whose fields recur and whose values do not.
fn messages(len: usize) -> Vec<String> {
    let mut number = 0x9e37_79b9_u32;
    let messages = (0..CYCLE_LEN.div_ceil(len)).map(|_| {
        let mut message = String::from("[");
        while message.len() < len {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let _ = write!(
                message,
                "{{\"sensor\":\"roof terrace\",\"serial\":\"{number:08x}\",\"value\":{}.{:03},\"unit\":\"hPa\"}},",
                number % 89,
                number % 997,
            );
        }
        message.truncate(len - 1);
        message + "]"
    });
    messages.collect()
}

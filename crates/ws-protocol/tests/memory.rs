//! Where the system gives no more memory, a message or a compressor goes without, and the process goes on.
#![cfg(target_os = "linux")]

mod common;

use common::{KEY, hex};
use rlimit::Resource;
use ws_protocol::{
    CloseCode, Event, Input, Message, MessageLimits, Output, Protocol, ProtocolError, ServerRole,
};

/// Over what this process has mapped when the test begins.
const ROOM: u64 = 200 << 20;

const MESSAGE_LEN: usize = 15 << 20;

/// The test is alone in its process, as the limit is the process's.
#[test]
fn a_message_that_finds_no_memory_ends_its_connection_and_no_other() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mapped = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let mapped: u64 = mapped.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    let (_, hard) = rlimit::getrlimit(Resource::AS).unwrap();
    rlimit::setrlimit(Resource::AS, mapped * 1024 + ROOM, hard).unwrap();

    for opcode in [1, 2] {
        let mut out = Output::new();
        let mut unfinished: Vec<_> = (0..40).map(|_| Protocol::server(MessageLimits::default())).collect();
        let results: Vec<_> =
            unfinished.iter_mut().map(|it| receive_unfinished(it, opcode, &mut out)).collect();
        let failed = results.iter().filter(|result| **result == Err(ProtocolError::OutOfMemory)).count();
        assert!((5..40).contains(&failed), "{failed} of 40");
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 40 - failed);
        assert_eq!(ProtocolError::OutOfMemory.close_code(), CloseCode::TRY_AGAIN_LATER);
        assert_eq!(out.as_bytes()[..4], [0x88, 0x22, 0x03, 0xf5], "the close frame of the first that failed");
        assert!(echoes(&mut Protocol::server(MessageLimits::default()), &mut out), "others are served");
        drop(unfinished);
    }

    #[cfg(feature = "deflate")]
    {
        // Compressors of 380 KB each. Those who get none send uncompressed, or with a shared one.
        let mut config = ws_protocol::DeflateConfig::default();
        (config.send_context_takeover, config.receive_context_takeover) = (true, true);
        let mut out = Output::new();
        let connect = || Protocol::server(MessageLimits::default()).with_deflate(&config);
        let mut connections: Vec<_> = std::iter::repeat_with(connect).take(1_000).collect();
        assert!(connections.iter_mut().all(|protocol| echoes(protocol, &mut out)));
    }
}

/// All but the last byte of a message.
fn receive_unfinished(
    protocol: &mut Protocol<ServerRole>,
    opcode: u8,
    out: &mut Output,
) -> Result<(), ProtocolError> {
    let mut header = hex("80 ff 00 00 00 00 00 f0 00 00 00 00 00 00");
    header[0] |= opcode;
    let mut piece = vec![0; 64 << 10];
    protocol.receive(&mut Input::new(&mut header), out)?;
    for _ in 0..MESSAGE_LEN / piece.len() - 1 {
        piece.fill(0);
        assert!(protocol.receive(&mut Input::new(&mut piece), out)?.is_none());
    }
    Ok(())
}

/// Whether a message comes back, compressed or not.
fn echoes(protocol: &mut Protocol<ServerRole>, out: &mut Output) -> bool {
    out.clear();
    let mut client = Protocol::client(MessageLimits::default(), || KEY);
    let text = "again and again ".repeat(20);
    client.sender().send(Message::Text(&text), out).unwrap();
    let mut bytes = out.as_bytes().to_vec();
    out.clear();
    let mut input = Input::new(&mut bytes);
    let Ok(Some((Event::Message(message), sender))) = protocol.receive(&mut input, out) else { return false };
    sender.send(message, out).is_ok() && out.as_bytes()[0] & 0x0f == 1
}

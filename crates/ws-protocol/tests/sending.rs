//! RFC 6455 §5.1, §5.4, §6.1: what is sent, byte for byte.

mod common;

use common::{KEY, hex};
use ws_frame::FrameError;
use ws_protocol::{
    CloseCode, CloseFrame, Input, Message, MessageLimits, Output, Prepared, Protocol, SendError,
};

#[test]
fn a_server_sends_unmasked_frames() {
    let mut protocol = Protocol::server(MessageLimits::default());
    let mut out = Output::new();
    protocol.sender().send(Message::Text("Hello"), &mut out).unwrap();
    protocol.sender().send(Message::Binary(&[1, 2]), &mut out).unwrap();
    protocol.sender().ping(b"p", &mut out).unwrap();
    protocol.sender().pong(b"q", &mut out).unwrap();
    assert_eq!(out.as_bytes(), hex("81 05 48 65 6c 6c 6f 82 02 01 02 89 01 70 8a 01 71"));
}

#[test]
fn a_client_masks_each_frame_with_a_key_of_its_own() {
    let mut keys = [KEY, [1, 2, 3, 4], [0; 4]].into_iter();
    let mut protocol = Protocol::client(MessageLimits::default(), || keys.next().unwrap());
    let mut out = Output::new();
    protocol.sender().send(Message::Text("Hello"), &mut out).unwrap();
    protocol.sender().send(Message::Binary(&[1, 1, 1, 1, 1]), &mut out).unwrap();
    protocol.sender().close(CloseFrame { code: CloseCode::NORMAL, reason: "" }, &mut out).unwrap();
    let expect =
        "81 85 37 fa 21 3d 7f 9f 4d 51 58  82 85 01 02 03 04 00 03 02 05 00  88 82 00 00 00 00 03 e8";
    assert_eq!(out.as_bytes(), hex(expect));
}

#[test]
fn a_client_masks_its_answers_too() {
    for (name, frame, answer) in [
        ("a pong", "89 01 70", "8a 81 37 fa 21 3d 47"),
        ("an empty pong", "89 00", "8a 80 37 fa 21 3d"),
        ("a close", "88 02 03 e8", "88 82 37 fa 21 3d 34 12"),
        ("a close with a reason", "88 05 03 e9 62 79 65", "88 85 37 fa 21 3d 34 13 43 44 52"),
        ("an empty close", "88 00", "88 80 37 fa 21 3d"),
    ] {
        let mut protocol = Protocol::client(MessageLimits::default(), || KEY);
        let (mut bytes, mut out) = (hex(frame), Output::new());
        assert!(protocol.receive(&mut Input::new(&mut bytes), &mut out).unwrap().is_some(), "{name}");
        assert_eq!(out.as_bytes(), hex(answer), "{name}");
    }
    let mut protocol = Protocol::client(MessageLimits::default(), || KEY);
    let (mut bytes, mut out) = (hex("83 00"), Output::new());
    assert!(protocol.receive(&mut Input::new(&mut bytes), &mut out).is_err());
    assert_eq!(
        out.as_bytes()[..8],
        hex("88 98 37 fa 21 3d 34 10"),
        "a close with 1002 and a reason of 22 bytes"
    );
}

#[test]
fn a_header_alone_is_that_of_the_whole_frame() {
    for len in [0, 125, 126, 65_535, 65_536] {
        let payload = vec![7; len];
        for message in [Message::Binary(&payload), Message::Text("text")] {
            let (mut protocol, mut out) = (Protocol::server(MessageLimits::default()), Output::new());
            let header = protocol.sender().send_header(message).unwrap().unwrap();
            protocol.sender().send(message, &mut out).unwrap();
            assert_eq!([header.as_ref(), message.as_bytes()].concat(), out.as_bytes(), "{len} bytes");
        }
    }
    let (mut protocol, mut out) = (Protocol::server(MessageLimits::default()), Output::new());
    protocol.sender().close(CloseFrame { code: CloseCode::NORMAL, reason: "" }, &mut out).unwrap();
    assert_eq!(protocol.sender().send_header(Message::Text("no")).unwrap_err(), SendError::Closing);
}

#[test]
fn a_message_in_fragments() {
    let mut protocol = Protocol::server(MessageLimits::default());
    let (sender, mut out) = (protocol.sender(), Output::new());
    sender.send_fragment(Message::Text("a"), false, &mut out).unwrap();
    sender.send_fragment(Message::Text("b"), false, &mut out).unwrap();
    assert_eq!(sender.send(Message::Text("no"), &mut out), Err(SendError::UnfinishedMessage));
    let prepared = Prepared::new(Message::Text("no"));
    assert_eq!(sender.send_prepared(&prepared, &mut out), Err(SendError::UnfinishedMessage));
    assert_eq!(sender.send_header(Message::Text("no")).unwrap_err(), SendError::UnfinishedMessage);
    sender.ping(b"", &mut out).unwrap();
    sender.send_fragment(Message::Text("c"), true, &mut out).unwrap();
    sender.send_fragment(Message::Binary(b"d"), true, &mut out).unwrap();
    assert_eq!(out.as_bytes(), hex("01 01 61  00 01 62  89 00  80 01 63  82 01 64"));
    sender.send(Message::Text("yes"), &mut out).unwrap();
}

#[test]
fn fragments_of_a_message_are_of_one_kind() {
    let mut protocol = Protocol::server(MessageLimits::default());
    let (sender, mut out) = (protocol.sender(), Output::new());
    sender.send_fragment(Message::Text("a"), false, &mut out).unwrap();
    assert_eq!(
        sender.send_fragment(Message::Binary(b"\xff"), true, &mut out),
        Err(SendError::MixedFragments)
    );
    sender.send_fragment(Message::Text("b"), true, &mut out).unwrap();
    sender.send_fragment(Message::Binary(b"\xff"), false, &mut out).unwrap();
    assert_eq!(sender.send_fragment(Message::Text("c"), true, &mut out), Err(SendError::MixedFragments));
    assert_eq!(out.as_bytes(), hex("01 01 61  80 01 62  02 01 ff"));
}

#[test]
fn a_prepared_message_is_the_same_frame() {
    for message in [Message::Text("Hello"), Message::Binary(&[7; 70_000])] {
        let (mut protocol, mut sent) = (Protocol::server(MessageLimits::default()), Output::new());
        protocol.sender().send(message, &mut sent).unwrap();
        let prepared = Prepared::new(message);
        for _ in 0..2 {
            let mut out = Output::new();
            protocol.sender().send_prepared(&prepared, &mut out).unwrap();
            assert!(out.as_bytes() == sent.as_bytes());
        }
    }
}

#[test]
fn what_cannot_be_sent_leaves_nothing_behind() {
    let mut protocol = Protocol::server(MessageLimits::default());
    let (sender, mut out) = (protocol.sender(), Output::new());
    assert_eq!(sender.ping(&[0; 126], &mut out), Err(SendError::Frame(FrameError::ControlTooLong)));
    assert_eq!(sender.pong(&[0; 126], &mut out), Err(SendError::Frame(FrameError::ControlTooLong)));
    for (code, reason) in [(CloseCode::ABNORMAL, ""), (CloseCode::NORMAL, &*"r".repeat(124))] {
        let result = sender.close(CloseFrame { code, reason }, &mut out);
        assert!(matches!(result, Err(SendError::CloseFrame(_))), "{result:?}");
    }
    assert_eq!(out.as_bytes(), b"");
    sender.send(Message::Text(""), &mut out).unwrap();
    assert_eq!(out.as_bytes(), b"\x81\x00");
}

#[test]
fn codes_that_are_not_for_the_wire_are_not_sent() {
    let mut protocol = Protocol::server(MessageLimits::default());
    let (sender, mut out) = (protocol.sender(), Output::new());
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let frame = CloseFrame { code: CloseCode::new(code), reason: "r" };
        assert!(matches!(sender.close(frame, &mut out), Err(SendError::CloseFrame(_))), "{code}");
    }
    assert_eq!(out.as_bytes(), b"");
    sender.close(CloseFrame { code: CloseCode::NO_STATUS, reason: "" }, &mut out).unwrap();
    assert_eq!(out.as_bytes(), hex("88 00"), "§7.4.1: 1005 is that there is no code");
}

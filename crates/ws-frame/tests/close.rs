//! RFC 6455 §5.5.1 and §7.4: the payload of a close frame.

use ws_frame::{CloseCode, CloseFrame, CloseFrameError};

type Expect = Result<(u16, &'static str), CloseFrameError>;

#[test]
fn payloads_of_close_frames() {
    let rows: [(&str, &[u8], Expect); 7] = [
        ("empty: 1005", b"", Ok((1005, ""))),
        ("a code", b"\x03\xe8", Ok((1000, ""))),
        (
            "a code and a reason",
            "\u{3}\u{0}é".as_bytes(),
            Err(CloseFrameError::CodeNotAllowed(CloseCode::new(768))),
        ),
        ("an application's code and a reason", b"\x0f\xa0b\xc3\xa9", Ok((4000, "bé"))),
        ("one byte", b"\x03", Err(CloseFrameError::CodeCut)),
        (
            "a code that is not for the wire",
            b"\x03\xed",
            Err(CloseFrameError::CodeNotAllowed(CloseCode::NO_STATUS)),
        ),
        ("a reason that is not UTF-8", b"\x03\xe8\xc3", Err(CloseFrameError::ReasonNotUtf8)),
    ];
    for (name, payload, expect) in rows {
        let expect = expect.map(|(code, reason)| CloseFrame { code: CloseCode::new(code), reason });
        assert_eq!(CloseFrame::decode(payload), expect, "{name}");
        if let Ok(frame) = expect {
            assert_eq!(frame.encode().unwrap().as_ref(), payload, "{name}");
        }
    }
}

#[test]
fn codes_allowed_on_the_wire() {
    for value in 0..=u16::MAX {
        // The list of the conformance suite (Autobahn 7.7.* and 7.9.*) and of browsers.
        let expect = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
            .contains(&value)
            || (3000..5000).contains(&value);
        assert_eq!(CloseCode::new(value).is_allowed_on_wire(), expect, "{value}");
    }
}

#[test]
fn frames_that_cannot_be_sent() {
    let reason = "r".repeat(124);
    let too_long = CloseFrame { code: CloseCode::NORMAL, reason: &reason };
    assert_eq!(too_long.encode().unwrap_err(), CloseFrameError::ReasonTooLong);
    let longest = CloseFrame { code: CloseCode::NORMAL, reason: &reason[..123] };
    assert_eq!(longest.encode().unwrap().as_ref().len(), 125);
    for (code, reason) in [(CloseCode::NO_STATUS, "a reason needs a code"), (CloseCode::ABNORMAL, "")] {
        assert_eq!(CloseFrame { code, reason }.encode().unwrap_err(), CloseFrameError::CodeNotAllowed(code));
    }
}

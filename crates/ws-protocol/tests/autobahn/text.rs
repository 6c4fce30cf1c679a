//! Group 6: text is UTF-8, and fails where it cannot be any more.

use crate::{
    Frame, INVALID_PAYLOAD, NORMAL, Row, Setup, Side, check, common::hex, encode, ids_of, in_fragments,
    in_words, sent,
};

const GREEK: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
const HELLO: &[u8] = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
const MIDDLE: &[u8] = b"middle frame payload";
/// A surrogate after the Greek.
const SURROGATE: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";

#[rustfmt::skip]
const MESSAGES: &[Row<'_>] = &[
    ("6.1.1", &[(0x81, b"")],                                    &[(0x81, b"")],    NORMAL),
    ("6.1.2", &[(0x01, b""), (0x00, b""), (0x80, b"")],          &[(0x81, b"")],    NORMAL),
    ("6.1.3", &[(0x01, b""), (0x00, MIDDLE), (0x80, b"")],       &[(0x81, MIDDLE)], NORMAL),
    ("6.2.1", &[(0x81, HELLO)],                                  &[(0x81, HELLO)],  NORMAL),
    ("6.2.2", &[(0x01, HELLO_IN_TWO.0), (0x80, HELLO_IN_TWO.1)], &[(0x81, HELLO)],  NORMAL),
    ("6.3.1", &[(0x81, SURROGATE)],                              &[],               INVALID_PAYLOAD),
];

/// Cut between two characters of two bytes.
const HELLO_IN_TWO: (&[u8], &[u8]) = HELLO.split_at(15);

/// Sent in fragments of one byte: whether it is UTF-8 shows only where they are joined.
const IN_FRAGMENTS_OF_ONE: [(&str, bool, &[u8]); 3] =
    [("6.2.3", VALID, HELLO), ("6.2.4", VALID, GREEK), ("6.3.2", INVALID, SURROGATE)];

/// What has come when it is still right, and the piece that makes it wrong: U+110000 after the Greek. The rest of the
/// message is never sent.
const FAIL_FAST: [(&str, In, &[u8], &[u8]); 4] = [
    ("6.4.1", In::Frames, GREEK, b"\xf4\x90\x80\x80"),
    ("6.4.2", In::Frames, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4", b"\x90"),
    ("6.4.3", In::OneFrame, GREEK, b"\xf4\x90\x80\x80"),
    ("6.4.4", In::OneFrame, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4", b"\x90"),
];

#[derive(Clone, Copy, PartialEq)]
enum In {
    /// Each piece is a frame.
    Frames,
    /// The pieces are the beginning of the payload of one frame.
    OneFrame,
}

const VALID: bool = true;
const INVALID: bool = false;

/// Messages in one frame, after Markus Kuhn's UTF-8 decoder stress test.
#[rustfmt::skip]
const SEQUENCES: [(&str, bool, &str); 132] = [
    // Some valid UTF-8 sequences.
    ("6.5.1", VALID, "68 65 6c 6c 6f 24 77 6f 72 6c 64"),
    ("6.5.2", VALID, "68 65 6c 6c 6f c2 a2 77 6f 72 6c 64"),
    ("6.5.3", VALID, "68 65 6c 6c 6f e2 82 ac 77 6f 72 6c 64"),
    ("6.5.4", VALID, "68 65 6c 6c 6f f0 a4 ad a2 77 6f 72 6c 64"),
    ("6.5.5", VALID, "ce ba e1 bd b9 cf 83 ce bc ce b5"),
    // All prefixes of a valid UTF-8 string that contains multi-byte code points.
    ("6.6.1", INVALID, "ce"),
    ("6.6.2", VALID, "ce ba"),
    ("6.6.3", INVALID, "ce ba e1"),
    ("6.6.4", INVALID, "ce ba e1 bd"),
    ("6.6.5", VALID, "ce ba e1 bd b9"),
    ("6.6.6", INVALID, "ce ba e1 bd b9 cf"),
    ("6.6.7", VALID, "ce ba e1 bd b9 cf 83"),
    ("6.6.8", INVALID, "ce ba e1 bd b9 cf 83 ce"),
    ("6.6.9", VALID, "ce ba e1 bd b9 cf 83 ce bc"),
    ("6.6.10", INVALID, "ce ba e1 bd b9 cf 83 ce bc ce"),
    ("6.6.11", VALID, "ce ba e1 bd b9 cf 83 ce bc ce b5"),
    // First possible sequence of a certain length.
    ("6.7.1", VALID, "00"),
    ("6.7.2", VALID, "c2 80"),
    ("6.7.3", VALID, "e0 a0 80"),
    ("6.7.4", VALID, "f0 90 80 80"),
    // First possible sequence length 5/6 (invalid codepoints).
    ("6.8.1", INVALID, "f8 88 80 80 80"),
    ("6.8.2", INVALID, "fc 84 80 80 80 80"),
    // Last possible sequence of a certain length.
    ("6.9.1", VALID, "7f"),
    ("6.9.2", VALID, "df bf"),
    ("6.9.3", VALID, "ef bf bf"),
    ("6.9.4", VALID, "f4 8f bf bf"),
    // Last possible sequence length 4/5/6 (invalid codepoints).
    ("6.10.1", INVALID, "f7 bf bf bf"),
    ("6.10.2", INVALID, "fb bf bf bf bf"),
    ("6.10.3", INVALID, "fd bf bf bf bf bf"),
    // Other boundary conditions.
    ("6.11.1", VALID, "ed 9f bf"),
    ("6.11.2", VALID, "ee 80 80"),
    ("6.11.3", VALID, "ef bf bd"),
    ("6.11.4", VALID, "f4 8f bf bf"),
    ("6.11.5", INVALID, "f4 90 80 80"),
    // Unexpected continuation bytes.
    ("6.12.1", INVALID, "80"),
    ("6.12.2", INVALID, "bf"),
    ("6.12.3", INVALID, "80 bf"),
    ("6.12.4", INVALID, "80 bf 80"),
    ("6.12.5", INVALID, "80 bf 80 bf"),
    ("6.12.6", INVALID, "80 bf 80 bf 80"),
    ("6.12.7", INVALID, "80 bf 80 bf 80 bf"),
    ("6.12.8", INVALID, "80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f 90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 ba bb bc bd be"),
    // Lonely start characters.
    ("6.13.1", INVALID, "c0 20 c1 20 c2 20 c3 20 c4 20 c5 20 c6 20 c7 20 c8 20 c9 20 ca 20 cb 20 cc 20 cd 20 ce 20 cf 20 d0 20 d1 20 d2 20 d3 20 d4 20 d5 20 d6 20 d7 20 d8 20 d9 20 da 20 db 20 dc 20 dd 20 de 20"),
    ("6.13.2", INVALID, "e0 20 e1 20 e2 20 e3 20 e4 20 e5 20 e6 20 e7 20 e8 20 e9 20 ea 20 eb 20 ec 20 ed 20 ee 20"),
    ("6.13.3", INVALID, "f0 20 f1 20 f2 20 f3 20 f4 20 f5 20 f6 20"),
    ("6.13.4", INVALID, "f8 20 f9 20 fa 20"),
    ("6.13.5", INVALID, "fc 20"),
    // Sequences with last continuation byte missing.
    ("6.14.1", INVALID, "c0"),
    ("6.14.2", INVALID, "e0 80"),
    ("6.14.3", INVALID, "f0 80 80"),
    ("6.14.4", INVALID, "f8 80 80 80"),
    ("6.14.5", INVALID, "fc 80 80 80 80"),
    ("6.14.6", INVALID, "df"),
    ("6.14.7", INVALID, "ef bf"),
    ("6.14.8", INVALID, "f7 bf bf"),
    ("6.14.9", INVALID, "fb bf bf bf"),
    ("6.14.10", INVALID, "fd bf bf bf bf"),
    // Concatenation of incomplete sequences.
    ("6.15.1", INVALID, "c0 e0 80 f0 80 80 f8 80 80 80 fc 80 80 80 80 df ef bf f7 bf bf fb bf bf bf fd bf bf bf bf"),
    // Impossible bytes.
    ("6.16.1", INVALID, "fe"),
    ("6.16.2", INVALID, "ff"),
    ("6.16.3", INVALID, "fe fe ff ff"),
    // Examples of an overlong ASCII character.
    ("6.17.1", INVALID, "c0 af"),
    ("6.17.2", INVALID, "e0 80 af"),
    ("6.17.3", INVALID, "f0 80 80 af"),
    ("6.17.4", INVALID, "f8 80 80 80 af"),
    ("6.17.5", INVALID, "fc 80 80 80 80 af"),
    // Maximum overlong sequences.
    ("6.18.1", INVALID, "c1 bf"),
    ("6.18.2", INVALID, "e0 9f bf"),
    ("6.18.3", INVALID, "f0 8f bf bf"),
    ("6.18.4", INVALID, "f8 87 bf bf bf"),
    ("6.18.5", INVALID, "fc 83 bf bf bf bf"),
    // Overlong representation of the NUL character.
    ("6.19.1", INVALID, "c0 80"),
    ("6.19.2", INVALID, "e0 80 80"),
    ("6.19.3", INVALID, "f0 80 80 80"),
    ("6.19.4", INVALID, "f8 80 80 80 80"),
    ("6.19.5", INVALID, "fc 80 80 80 80 80"),
    // Single UTF-16 surrogates.
    ("6.20.1", INVALID, "ed a0 80"),
    ("6.20.2", INVALID, "ed ad bf"),
    ("6.20.3", INVALID, "ed ae 80"),
    ("6.20.4", INVALID, "ed af bf"),
    ("6.20.5", INVALID, "ed b0 80"),
    ("6.20.6", INVALID, "ed be 80"),
    ("6.20.7", INVALID, "ed bf bf"),
    // Paired UTF-16 surrogates.
    ("6.21.1", INVALID, "ed a0 80 ed b0 80"),
    ("6.21.2", INVALID, "ed a0 80 ed bf bf"),
    ("6.21.3", INVALID, "ed ad bf ed b0 80"),
    ("6.21.4", INVALID, "ed ad bf ed bf bf"),
    ("6.21.5", INVALID, "ed ae 80 ed b0 80"),
    ("6.21.6", INVALID, "ed ae 80 ed bf bf"),
    ("6.21.7", INVALID, "ed af bf ed b0 80"),
    ("6.21.8", INVALID, "ed af bf ed bf bf"),
    // Non-character code points (valid UTF-8).
    ("6.22.1", VALID, "ef bf be"),
    ("6.22.2", VALID, "ef bf bf"),
    ("6.22.3", VALID, "f0 9f bf be"),
    ("6.22.4", VALID, "f0 9f bf bf"),
    ("6.22.5", VALID, "f0 af bf be"),
    ("6.22.6", VALID, "f0 af bf bf"),
    ("6.22.7", VALID, "f0 bf bf be"),
    ("6.22.8", VALID, "f0 bf bf bf"),
    ("6.22.9", VALID, "f1 8f bf be"),
    ("6.22.10", VALID, "f1 8f bf bf"),
    ("6.22.11", VALID, "f1 9f bf be"),
    ("6.22.12", VALID, "f1 9f bf bf"),
    ("6.22.13", VALID, "f1 af bf be"),
    ("6.22.14", VALID, "f1 af bf bf"),
    ("6.22.15", VALID, "f1 bf bf be"),
    ("6.22.16", VALID, "f1 bf bf bf"),
    ("6.22.17", VALID, "f2 8f bf be"),
    ("6.22.18", VALID, "f2 8f bf bf"),
    ("6.22.19", VALID, "f2 9f bf be"),
    ("6.22.20", VALID, "f2 9f bf bf"),
    ("6.22.21", VALID, "f2 af bf be"),
    ("6.22.22", VALID, "f2 af bf bf"),
    ("6.22.23", VALID, "f2 bf bf be"),
    ("6.22.24", VALID, "f2 bf bf bf"),
    ("6.22.25", VALID, "f3 8f bf be"),
    ("6.22.26", VALID, "f3 8f bf bf"),
    ("6.22.27", VALID, "f3 9f bf be"),
    ("6.22.28", VALID, "f3 9f bf bf"),
    ("6.22.29", VALID, "f3 af bf be"),
    ("6.22.30", VALID, "f3 af bf bf"),
    ("6.22.31", VALID, "f3 bf bf be"),
    ("6.22.32", VALID, "f3 bf bf bf"),
    ("6.22.33", VALID, "f4 8f bf be"),
    ("6.22.34", VALID, "f4 8f bf bf"),
    // Unicode specials (i.e. replacement char).
    ("6.23.1", VALID, "ef bf b9"),
    ("6.23.2", VALID, "ef bf ba"),
    ("6.23.3", VALID, "ef bf bb"),
    ("6.23.4", VALID, "ef bf bc"),
    ("6.23.5", VALID, "ef bf bd"),
    ("6.23.6", VALID, "ef bf be"),
    ("6.23.7", VALID, "ef bf bf"),
];

pub(crate) fn ids() -> Vec<String> {
    let in_fragments = IN_FRAGMENTS_OF_ONE.map(|(id, ..)| String::from(id));
    let fail_fast = FAIL_FAST.map(|(id, ..)| String::from(id));
    let sequences = SEQUENCES.map(|(id, ..)| String::from(id));
    [&*ids_of(MESSAGES), &in_fragments, &fail_fast, &sequences].concat()
}

#[test]
fn messages() {
    MESSAGES.iter().copied().for_each(check);
}

#[test]
fn sequences() {
    for (id, valid, payload) in SEQUENCES {
        let payload = hex(payload);
        check_text(id, &[(0x81, &payload)], valid, &payload);
    }
}

#[test]
fn in_fragments_of_one_byte() {
    for (id, valid, payload) in IN_FRAGMENTS_OF_ONE {
        check_text(id, &in_fragments(0x81, payload, 1), valid, payload);
    }
}

/// The message in these frames is answered if it is valid, and fails the connection if it is not.
fn check_text(id: &str, frames: &[Frame<'_>], valid: bool, payload: &[u8]) {
    if valid {
        check((id, frames, &[(0x81, payload)], NORMAL));
    } else {
        check((id, frames, &[], INVALID_PAYLOAD));
    }
}

#[test]
fn invalid_text_fails_before_the_rest_has_come() {
    const REST: &[u8] = b"edited";
    for (id, how, right, wrong) in FAIL_FAST {
        for side in [Side::Server, Side::Client] {
            let (first, second) = if how == In::Frames {
                (encode(side, (0x01, right)), encode(side, (0x00, wrong)))
            } else {
                let mut bytes = encode(side, (0x81, &[right, wrong, REST].concat()));
                bytes.truncate(bytes.len() - REST.len());
                let second = bytes.split_off(bytes.len() - wrong.len());
                (bytes, second)
            };
            let setup = Setup::default();
            assert_eq!(sent(side, setup, &[&first]), [""; 0], "case {id}, {side:?}, what is right");
            let failed = in_words([(0x88, &INVALID_PAYLOAD.to_be_bytes()[..])]);
            assert_eq!(sent(side, setup, &[&first, &second]), failed, "case {id}, {side:?}");
            let octets: Vec<&[u8]> = first.chunks(1).chain(second.chunks(1)).collect();
            assert_eq!(sent(side, setup, &octets), failed, "case {id}, {side:?}, byte by byte");
        }
    }
}

//! The ground that the Autobahn testsuite covers with its fuzzing client and server, as tables: what the peer sends,
//! what a connection that echoes its messages has to answer, and the code that it has to close with. Where the suite
//! would also let something lesser pass ("non-strict", "informational"), one outcome is demanded here.
//!
//! The rows bear the suite's numbers. Every one of its 517 cases has a row.

#[path = "../common/mod.rs"]
mod common;

mod closing;
#[cfg(feature = "deflate")]
mod compression;
mod framing;
mod text;
mod volume;

use common::{Setup, Side, echo, from_peer_of};
use std::collections::{BTreeMap, BTreeSet};
use ws_frame::{FrameHeader, Opcode};

/// A frame: its first octet (FIN, RSV1 to RSV3, opcode), and its payload before it is masked.
type Frame<'a> = (u8, &'a [u8]);

/// A row: its numbers, what the peer sends, what is answered, and the code of the close frame after that.
///
/// Cases that differ in nothing but how their bytes are cut share a row: each row is tried with all cuts.
type Row<'a> = (&'a str, &'a [Frame<'a>], &'a [Frame<'a>], u16);

const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const NO_STATUS: u16 = 1005;
const INVALID_PAYLOAD: u16 = 1007;

/// The row holds in both roles, in one piece, frame by frame, in pieces of 997 bytes and byte by byte.
///
/// After what the row says, the peer sends a close frame with 1000, as the suite does: a connection that has not closed
/// by then answers it, and one that has does not read it.
fn check((id, frames, answers, code): Row<'_>) {
    let code_octets = code.to_be_bytes();
    let close: Frame<'_> = (0x88, if code == NO_STATUS { &[] } else { &code_octets });
    let answers = in_words(answers.iter().copied().chain([close]));
    for side in [Side::Server, Side::Client] {
        let frames: Vec<_> = frames.iter().chain(&[CLOSE]).map(|frame| encode(side, *frame)).collect();
        let bytes = frames.concat();
        let cuts: [(&str, Vec<&[u8]>); 4] = [
            ("in one piece", vec![&bytes]),
            ("frame by frame", frames.iter().map(Vec::as_slice).collect()),
            ("in pieces of 997", bytes.chunks(997).collect()),
            ("byte by byte", bytes.chunks(1).collect()),
        ];
        for (cut, pieces) in cuts {
            assert_eq!(sent(side, Setup::default(), &pieces), answers, "case {id}, {side:?}, {cut}");
        }
    }
}

/// The close frame with which the suite ends its cases.
const CLOSE: Frame<'_> = (0x88, &NORMAL.to_be_bytes());

/// A frame as the peer of `side` sends it.
fn encode(side: Side, (first, payload): Frame<'_>) -> Vec<u8> {
    // The opcode is put in by hand, legal or not.
    let header = FrameHeader::new(Opcode::Binary, payload.len() as u64).unwrap().encode();
    from_peer_of(side, &[&[first], &header.as_ref()[1..], payload].concat())
}

/// What has been answered when these pieces have arrived, in words.
fn sent(side: Side, setup: Setup, pieces: &[&[u8]]) -> Vec<String> {
    let frames = echo(side, setup, pieces);
    in_words(frames.iter().map(|frame| {
        assert_eq!(frame.header.masking_key().is_some(), side == Side::Client, "only a client masks");
        (frame.header.encode().as_ref()[0], &*frame.payload)
    }))
}

/// Frames in words: the first octet and the payload. The reason of a close frame is left out: it is for people.
fn in_words<'a>(frames: impl IntoIterator<Item = Frame<'a>>) -> Vec<String> {
    let word = |(first, payload): Frame<'_>| {
        let payload = if first == 0x88 { &payload[..payload.len().min(2)] } else { payload };
        match payload.len() {
            0..200 => format!("{first:02x} {}", payload.escape_ascii()),
            // What is too long to be read is told apart by its hash.
            len => {
                format!("{first:02x} {} ... {len} bytes, {:x}", payload[..8].escape_ascii(), hash(payload))
            }
        }
    };
    frames.into_iter().map(word).collect()
}

fn hash(payload: &[u8]) -> u64 {
    let (words, rest) = payload.as_chunks::<8>();
    let last = rest.iter().fold(1, |last, octet| last << 8 | u64::from(*octet));
    words
        .iter()
        .map(|word| u64::from_be_bytes(*word))
        .chain([last])
        .fold(0, |hash: u64, word| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

/// A message in fragments of this many bytes, as the suite cuts it: where nothing is left over, the last one is empty.
fn in_fragments(first: u8, payload: &[u8], fragment_len: usize) -> Vec<Frame<'_>> {
    if payload.len() <= fragment_len {
        return vec![(first, payload)];
    }
    let (fragments, last) = payload.split_at(payload.len() / fragment_len * fragment_len);
    let mut frames: Vec<_> = fragments.chunks(fragment_len).map(|fragment| (0x00, fragment)).collect();
    frames[0].0 = first & 0x7f;
    frames.push((0x80, last));
    frames
}

#[test]
fn every_case_of_the_suite_has_a_row() {
    let ids: Vec<String> = [
        framing::ids(),
        text::ids(),
        closing::ids(),
        volume::ids(),
        #[cfg(feature = "deflate")]
        compression::ids(),
    ]
    .concat();
    let mut groups: BTreeMap<u8, usize> = BTreeMap::new();
    for id in &ids {
        *groups.entry(id.split('.').next().unwrap().parse().unwrap()).or_default() += 1;
    }
    let mut expect =
        BTreeMap::from([(1, 16), (2, 11), (3, 7), (4, 10), (5, 20), (6, 145), (7, 37), (9, 54), (10, 1)]);
    if cfg!(feature = "deflate") {
        expect.extend([(12, 90), (13, 126)]);
        assert_eq!(ids.len(), 517);
    }
    assert_eq!(groups, expect);

    let distinct: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(distinct.len(), ids.len(), "no number twice");
    for id in &ids {
        let (group, number) = id.rsplit_once('.').unwrap();
        let before = number.parse::<u8>().unwrap() - 1;
        assert!(before == 0 || distinct.contains(&*format!("{group}.{before}")), "none left out before {id}");
    }
}

/// The numbers of these rows.
fn ids_of(rows: &[Row<'_>]) -> Vec<String> {
    rows.iter().flat_map(|(ids, ..)| ids.split_whitespace()).map(Into::into).collect()
}

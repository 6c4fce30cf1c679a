//! Frames as they are on the wire, taken apart without the receiver.

use ws_frame::{FrameHeader, Masker};

/// A frame, its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) payload: Vec<u8>,
}

/// Takes the frames out of `bytes`, all of which are whole and legal, and all or none masked.
pub(crate) fn parse(mut bytes: &[u8], masked: bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, header_len) = FrameHeader::decode(bytes).expect("legal frames").expect("whole frames");
        assert_eq!(header.masking_key().is_some(), masked, "clients mask, servers do not");
        let end = header_len + usize::try_from(header.payload_len()).expect("a length of this machine");
        let mut payload = bytes[header_len..end].to_vec();
        if let Some(key) = header.masking_key() {
            Masker::new(key).apply(&mut payload);
        }
        frames.push(Frame { header, payload });
        bytes = &bytes[end..];
    }
    frames
}

/// A frame's bytes, masked with `key` if there is one.
pub(crate) fn encode(header: FrameHeader, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let header = key.map_or(header, |key| header.masked(key));
    let mut bytes = header.encode().as_ref().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = key {
        Masker::new(key).apply(&mut bytes[start..]);
    }
    bytes
}

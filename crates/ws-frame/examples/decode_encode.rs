//! Takes a frame apart and writes the one that answers it.
//!
//! `cargo run -p ws-frame --example decode_encode 81 85 37 fa 21 3d 7f 9f 4d 51 58`

use std::error::Error;
use ws_frame::{FrameHeader, Masker};

fn main() -> Result<(), Box<dyn Error>> {
    let mut bytes = std::env::args()
        .skip(1)
        .map(|octet| u8::from_str_radix(&octet, 16))
        .collect::<Result<Vec<u8>, _>>()?;

    let (header, header_len) = FrameHeader::decode(&bytes)?.ok_or("the header is cut")?;
    let payload_len = usize::try_from(header.payload_len())?;
    let payload = bytes[header_len..].get_mut(..payload_len).ok_or("the payload is cut")?;
    if let Some(key) = header.masking_key() {
        Masker::new(key).apply(payload);
    }
    println!("{:?}, final: {}, {:?}", header.opcode(), header.is_final(), String::from_utf8_lossy(payload));

    // A server sends unmasked frames (RFC 6455 §5.1).
    let answer = FrameHeader::new(header.opcode(), header.payload_len())?.encode();
    let frame = [answer.as_ref(), payload].concat();
    println!("{}", frame.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" "));
    Ok(())
}

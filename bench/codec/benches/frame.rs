//! Frame headers in both directions, and masking at each size and phase.
#![forbid(unsafe_code)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ws_frame::{FrameHeader, Masker, Opcode};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One for each form of the length (RFC 6455 §5.2): 7, 16 and 64 bits.
const PAYLOAD_LENS: [u64; 3] = [125, 1 << 10, 1 << 20];

const MASKED_LENS: [usize; 7] = [20, 125, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20];

fn main() {
    divan::main();
}

#[divan::bench(args = PAYLOAD_LENS)]
fn header_decode(bencher: Bencher<'_, '_>, payload_len: u64) {
    let header = header(payload_len).masked(KEY).encode();
    bencher.bench_local(|| FrameHeader::decode(black_box(header.as_ref())));
}

#[divan::bench(args = PAYLOAD_LENS)]
fn header_encode(bencher: Bencher<'_, '_>, payload_len: u64) {
    let header = header(payload_len);
    bencher.bench_local(|| black_box(&header).encode());
}

/// `PHASE` bytes of the frame have come before, and the rest lies as many bytes off an alignment of 64.
#[divan::bench(args = MASKED_LENS, consts = [0, 1, 2, 3])]
fn unmask<const PHASE: usize>(bencher: Bencher<'_, '_>, len: usize) {
    let mut bytes = vec![0x5a; len + 128];
    let aligned = bytes.as_ptr().align_offset(64);
    let payload = &mut bytes[aligned + PHASE..][..len];
    let mut started = Masker::new(KEY);
    started.apply(&mut [0; PHASE]);
    bencher.counter(BytesCount::new(len)).bench_local(|| started.clone().apply(black_box(&mut *payload)));
}

fn header(payload_len: u64) -> FrameHeader {
    FrameHeader::new(Opcode::Binary, payload_len).expect("a length that a frame may have")
}

//! The validation of text: ASCII, what is mostly ASCII, and what is hardly ever.
#![forbid(unsafe_code)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ws_frame::Utf8Validator;

const LENS: [usize; 5] = [20, 125, 1 << 10, 16 << 10, 64 << 10];

fn main() {
    divan::main();
}

#[divan::bench(args = LENS)]
fn ascii(bencher: Bencher<'_, '_>, len: usize) {
    validate(bencher, "The quick brown fox jumps over the lazy dog. ", len);
}

#[divan::bench(args = LENS)]
fn mixed(bencher: Bencher<'_, '_>, len: usize) {
    validate(bencher, "Der Fuß des Jägers fällt in die Bäche: 5 € für Öl. ", len);
}

#[divan::bench(args = LENS)]
fn japanese(bencher: Bencher<'_, '_>, len: usize) {
    validate(bencher, "いろはにほへとちりぬるを、わかよたれそつねならむ。", len);
}

fn validate(bencher: Bencher<'_, '_>, sentence: &str, len: usize) {
    let mut text: String = sentence.chars().cycle().take(len).collect();
    text.truncate(text.floor_char_boundary(len));
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
        let mut validator = Utf8Validator::new();
        validator.push(black_box(text.as_bytes())).is_ok_and(|_| validator.finish().is_ok())
    });
}

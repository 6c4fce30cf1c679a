//! Frame headers: see `ws_fuzz::header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws_fuzz::header::check(data));

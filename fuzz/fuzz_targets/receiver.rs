//! The receiver with cuts: see `ws_fuzz::receiver`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws_fuzz::receiver::check(data));

//! The head of an opening request: see `ws_fuzz::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws_fuzz::request::check(data));

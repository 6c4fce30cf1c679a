//! A client and a server that talk: see `ws_fuzz::pair`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws_fuzz::pair::check(data));

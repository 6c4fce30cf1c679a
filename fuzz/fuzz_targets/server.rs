//! A server's connections under I/O faults: see `ws_fuzz::server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws_fuzz::server::check(data));

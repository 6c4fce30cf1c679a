//! The grammar of extensions, and what is agreed on: see `ws_fuzz::extension`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws_fuzz::extension::check(data));

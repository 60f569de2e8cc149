//! `fuzz/run reply`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| captions_fuzz::reply(data));

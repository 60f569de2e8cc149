//! `fuzz/run events`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| captions_fuzz::events(data));

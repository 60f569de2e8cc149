//! `fuzz/run hashtags`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| captions_fuzz::hashtags(data));

//! `fuzz/run bodies`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| captions_fuzz::bodies(data));

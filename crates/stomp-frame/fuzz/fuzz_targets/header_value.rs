//! Calls the check in `src/header_value.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_frame_fuzz::header_value::check(input));

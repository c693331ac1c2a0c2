//! Calls the check in `src/heart_beat.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_frame_fuzz::heart_beat::check(input));

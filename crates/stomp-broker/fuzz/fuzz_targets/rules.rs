//! Calls the check in `src/rules.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_broker_fuzz::rules::check(input));

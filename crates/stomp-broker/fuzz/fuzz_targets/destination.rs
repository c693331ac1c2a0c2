//! Calls the check in `src/destination.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| stomp_broker_fuzz::destination::check(input));

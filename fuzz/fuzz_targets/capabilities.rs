//! The capabilities of an OPEN.
#![no_main]

// The functions are those that the codec's own tests run over the corpus.
#[path = "../../core/bgp-wire/tests/wire/targets.rs"]
#[allow(dead_code, reason = "each fuzzer calls one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::capabilities(data));

//! A byte that says what a peer is able to do, and what it sends: all of it must be found again in files.
#![no_main]

// The functions are those that the crate's own tests run over the corpus.
#[path = "../../core/mrt/tests/mrt/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::mrt(data));

//! A byte that says how it comes, and what an RPKI cache sends.
#![no_main]

// The functions are those that the crate's own tests run over the corpus.
#[path = "../../core/rpki/tests/rtr/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::rtr(data));

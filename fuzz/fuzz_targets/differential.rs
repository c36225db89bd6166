//! A context byte and the body of an UPDATE, read by four codecs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapway_differential::update(data));

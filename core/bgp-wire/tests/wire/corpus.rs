//! The fuzzers' committed corpus.

use crate::replay::{files, run};
use crate::targets;

#[test]
fn messages() {
    run("message", targets::message);
}

#[test]
fn opens() {
    run("open", targets::open);
}

#[test]
fn updates() {
    run("update", targets::update);
}

#[test]
fn capabilities() {
    run("capabilities", targets::capabilities);
}

#[test]
fn attributes() {
    run("attributes", targets::attributes);
}

/// Every shape that a session can have, for each file.
#[test]
fn attributes_in_every_context() {
    for mut data in files("attributes") {
        for bits in 0..=255 {
            data[0] = bits;
            targets::attributes(&data);
        }
    }
}

//! The fuzzers' committed corpus.

use crate::replay::run;
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

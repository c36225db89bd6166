//! The fuzzer's committed corpus.

use crate::replay::run;
use crate::targets;

#[test]
fn nothing_that_a_cache_sends_does_harm() {
    run("rtr", targets::rtr);
}

//! The fuzzer's committed corpus.

use crate::replay::{files, run};
use crate::targets;

#[test]
fn whatever_peers_send_can_be_read_from_the_file() {
    run("mrt", targets::mrt);
    let found: usize = files("mrt").iter().map(|file| targets::routes(file)).sum();
    assert!(found > 30, "{found} routes are hardly any");
}

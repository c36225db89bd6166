//! The committed corpus of UPDATEs, as it is and with seeded damage.

#[path = "../../replay.rs"]
mod replay;

use std::collections::BTreeSet;
use std::sync::Mutex;

use tapway_differential::{clauses, differences};

/// What the codecs differed by.
static SEEN: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

#[test]
fn four_codecs_agree_but_for_known_differences() {
    replay::run("update", |data| match differences(data) {
        Ok(clauses) => SEEN.lock().expect("one thread").extend(clauses),
        Err(what) => panic!("{what}"),
    });
    let seen = SEEN.lock().expect("one thread");
    let never: Vec<&str> = clauses().filter(|clause| !seen.contains(clause)).collect();
    assert!(never.is_empty(), "differences that are none: {never:#?}");
}

//! Several caches: sets of their own, and who is asked.

use CacheState::{Asked, Connecting, Resting, Synced, Waiting};
use RpkiState::{Invalid, NotFound, Valid};

use super::*;

/// Opens all that is asked for; by cache.
fn open_all(bed: &mut Bed) -> BTreeMap<String, ConnId> {
    let mut all = BTreeMap::new();
    for did in bed.acts() {
        if let Did::Connect(conn, cache) = did {
            bed.caches.handle_connected(bed.now, conn);
            all.insert(cache, conn);
        }
    }
    bed.done();
    all
}

#[test]
fn what_one_says_is_not_touched_by_another() {
    let mut bed = Bed::new([config("a", 100), config("b", 100)]);
    let conns = open_all(&mut bed);
    bed.answer(conns["a"], 1, 1, &[(true, vrp(A, 1))]);
    bed.answer(conns["b"], 2, 7, &[(true, vrp(A, 1)), (true, vrp(B, 2))]);
    assert_eq!(bed.judged(), [Valid, Invalid]);
    // What both said stays while one says it.
    bed.pass(3600);
    bed.done();
    bed.answer(conns["a"], 1, 2, &[(false, vrp(A, 1)), (true, vrp(B, 1))]);
    bed.answer(conns["b"], 2, 7, &[]);
    assert_eq!(bed.judged(), [Valid, Valid]);
    // One that is not configured any more takes its own along.
    bed.caches.set(bed.now, vec![config("b", 100)]);
    assert_eq!(bed.acts(), [Did::Close(conns["a"])]);
    assert_eq!(bed.judged(), [Valid, Invalid]);
    bed.caches.set(bed.now, Vec::new());
    assert_eq!(bed.judged(), [NotFound, NotFound]);
    assert_eq!(bed.caches.poll_timeout(), None);
}

#[test]
fn others_are_asked_while_those_that_are_preferred_fail() {
    let mut bed = Bed::new([config("far", 200), config("near", 100)]);
    // By name: far, near.
    assert_eq!(bed.states(), [Resting, Connecting]);
    let Some(Did::Connect(conn, _)) = bed.acts().pop() else {
        panic!("nobody connects");
    };
    bed.caches.handle_connect_failed(bed.now, conn, "refused");
    assert_eq!(bed.states(), [Connecting, Waiting]);
    let far = open_all(&mut bed)["far"];
    bed.answer(far, 1, 1, &[(true, vrp(A, 1))]);
    assert_eq!(bed.judged(), [Valid, NotFound]);
    // The preferred one comes back: the other one is let go when all is said, not before.
    bed.pass(1);
    let near = open_all(&mut bed)["near"];
    assert_eq!(bed.states(), [Synced, Asked]);
    bed.answer(near, 1, 1, &[(true, vrp(B, 1))]);
    let done = bed.done();
    assert!(done.contains(&Did::Close(far)), "{done:?}");
    assert_eq!(bed.states(), [Resting, Synced]);
    assert_eq!(bed.judged(), [NotFound, Valid]);
    // One that rests may be elsewhere now, and rests on.
    let mut elsewhere = config("far", 200);
    elsewhere.server.port = 8282;
    bed.caches
        .set(bed.now, vec![elsewhere, config("near", 100)]);
    assert_eq!(bed.done(), []);
    assert_eq!(bed.states(), [Resting, Synced]);
    // It is lost: what it said counts beside what the other one says.
    bed.caches.handle_closed(bed.now, near, "gone");
    let far = open_all(&mut bed)["far"];
    bed.answer(far, 2, 1, &[(true, vrp(A, 1))]);
    assert_eq!(bed.judged(), [Valid, Valid]);
}

#[test]
fn a_cache_that_is_elsewhere_now_is_asked_there_and_its_old_set_counts_till_then() {
    let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
    let mut moved = config("a", 100);
    moved.server.port = 8282;
    bed.caches.set(bed.now, vec![moved.clone()]);
    let acts = bed.acts();
    let [Did::Close(closed), Did::Connect(next, _)] = acts.as_slice() else {
        panic!("{acts:?}");
    };
    assert_eq!(*closed, conn);
    assert_eq!(bed.judged(), [Valid, NotFound]);
    let next = *next;
    bed.caches.handle_connected(bed.now, next);
    assert_eq!(bed.acts(), [Did::Asked(next, Query::All(1))]);
    bed.answer(next, 1, 1, &[(true, vrp(B, 1))]);
    assert_eq!(bed.judged(), [NotFound, Valid]);
    // The same settings again are nothing.
    bed.caches.set(bed.now, vec![moved]);
    assert_eq!(bed.done(), []);
}

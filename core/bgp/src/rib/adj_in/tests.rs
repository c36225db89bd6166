//! What is kept, what counts, what is stale.

use alloc::string::ToString;

use tapway_bgp_wire::Origin;

use super::*;

const YES: Result<Accepted, Refusal> = Ok(Accepted {
    local_pref: 100,
    med: 0,
    changes: None,
});
const NO: Result<Accepted, Refusal> = Err(Refusal::AsLoop);

fn key(prefix: &str) -> NlriEntry {
    NlriEntry {
        prefix: prefix.parse().unwrap(),
        path_id: 0,
    }
}

fn path(last: u8) -> Arc<Path> {
    Arc::new(Path {
        next_hop: NextHop::V4([192, 0, 2, last].into()),
        attributes: Attributes::default(),
    })
}

#[test]
fn what_counts_changes() {
    let mut rib = AdjIn::default();
    let rows = [
        ("new, refused", path(1), NO, false),
        ("accepted now", path(1), YES, true),
        ("the same", path(1), YES, false),
        ("another path", path(2), YES, true),
        (
            "another preference",
            path(2),
            Ok(Accepted {
                local_pref: 200,
                med: 0,
                changes: None,
            }),
            true,
        ),
        (
            "another path by policy",
            path(2),
            Ok(Accepted {
                local_pref: 200,
                med: 0,
                changes: Some(Box::new(Modifications {
                    prepend: [1].into(),
                    ..Modifications::default()
                })),
            }),
            true,
        ),
        ("refused now", path(2), NO, true),
        ("refused, another path", path(3), NO, false),
    ];
    for (what, path, verdict, changed) in rows {
        assert_eq!(
            rib.insert(key("10.0.0.0/8"), path, verdict),
            changed,
            "{what}"
        );
        assert_eq!(rib.len(), 1);
    }
    assert!(!rib.remove(&key("10.0.0.0/8")));
    rib.insert(key("10.0.0.0/8"), path(1), YES);
    assert!(rib.remove(&key("10.0.0.0/8")));
    assert!(!rib.remove(&key("10.0.0.0/8")));
}

#[test]
fn stale_ones_go_unless_heard_of_again() {
    let mut rib = AdjIn::default();
    for prefix in ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"] {
        rib.insert(key(prefix), path(1), YES);
    }
    assert_eq!(rib.keep_as_stale(), (false, 3));
    assert_eq!(rib.stale_len(), 3);
    rib.insert(key("10.0.0.0/8"), path(1), YES);
    rib.remove(&key("11.0.0.0/8"));
    assert_eq!((rib.len(), rib.stale_len(), rib.accepted_len()), (2, 1, 2));
    // A second restart: what was not heard of in between is not kept once more.
    assert_eq!(rib.keep_as_stale(), (true, 1));
    assert_eq!(rib.remove_stale(), (true, 1));
    assert_eq!(rib.remove_stale(), (false, 0));
    assert_eq!(rib.accepted().count(), 0);
}

#[test]
fn judged_again() {
    let mut rib = AdjIn::default();
    rib.insert(key("10.0.0.0/8"), path(1), NO);
    rib.insert(key("11.0.0.0/8"), path(1), YES);
    assert!(!rib.judge(
        |_: &Prefix| true,
        |k, _| if k.prefix.to_string().starts_with("10") {
            NO
        } else {
            YES
        }
    ));
    assert!(rib.judge(|_: &Prefix| true, |_, _| YES));
    assert_eq!(rib.accepted_len(), 2);
    assert!(rib.judge(|_: &Prefix| true, |_, _| NO));
    assert_eq!((rib.accepted_len(), rib.len()), (0, 2));
    assert!(!rib.judge(|_: &Prefix| true, |_, _| Err(Refusal::FirstAs)));
}

#[test]
fn equal_blocks_share_a_place_and_unused_ones_go() {
    // ORIGIN incomplete, then ORIGIN igp.
    let blocks = [[0x40, 1, 1, 2], [0x40, 1, 1, 0]];
    let hop = |last| NextHop::V4([192, 0, 2, last].into());
    let mut paths = Paths::default();
    let first = paths.intern(RawAttributes::new(&blocks[0]), hop(1));
    assert_eq!(first.attributes.origin, Origin::Incomplete);
    assert!(Arc::ptr_eq(
        &first,
        &paths.intern(RawAttributes::new(&blocks[0]), hop(1))
    ));
    assert!(!Arc::ptr_eq(
        &first,
        &paths.intern(RawAttributes::new(&blocks[0]), hop(2))
    ));
    assert!(!Arc::ptr_eq(
        &first,
        &paths.intern(RawAttributes::new(&blocks[1]), hop(1))
    ));
    for i in 0..100_000u32 {
        let [a, b, c, d] = i.to_be_bytes();
        paths.intern(RawAttributes::new(&[0x80, 4, 4, a, b, c, d]), hop(1));
        assert!(paths.count <= SWEEP_MIN, "unused blocks pile up");
    }
    assert!(Arc::ptr_eq(
        &first,
        &paths.intern(RawAttributes::new(&blocks[0]), hop(1))
    ));
}

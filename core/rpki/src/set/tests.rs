use super::*;

fn vrp(prefix: &str, max_len: u8, asn: u32) -> Vrp {
    Vrp::new(prefix.parse().unwrap(), max_len, asn).unwrap()
}

/// What comes (true) and what goes.
type Answer<'a> = &'a [(bool, Vrp)];

fn changes(all: Answer<'_>) -> Changes {
    let mut changes = Changes::default();
    for (announce, vrp) in all {
        changes.push(vrp, *announce);
    }
    changes
}

#[test]
fn an_answer_is_taken_in_its_order_or_not_at_all() {
    let a = vrp("192.0.2.0/24", 24, 64500);
    let b = vrp("192.0.2.0/24", 25, 64500);
    let c = vrp("2001:db8::/32", 48, 64501);
    let (come, go) = (true, false);
    let ok = |all: &[Vrp]| Ok(all.iter().copied().collect::<VrpSet>());
    let clash = |vrp, announced| Err(Clash { vrp, announced });
    let rows: [(&[Vrp], Answer<'_>, Result<VrpSet, Clash>); 10] = [
        (&[], &[], ok(&[])),
        (&[a], &[], ok(&[a])),
        (&[], &[(come, c), (come, b), (come, a)], ok(&[a, b, c])),
        (&[a, b, c], &[(go, c), (go, a)], ok(&[b])),
        (&[a], &[(come, b), (go, a)], ok(&[b])),
        (&[a], &[(come, a)], clash(a, true)),
        (&[], &[(come, c), (come, c)], clash(c, true)),
        (&[a, c], &[(go, b)], clash(b, false)),
        (&[], &[(come, a), (go, a)], ok(&[])),
        (&[a], &[(go, a), (come, a)], ok(&[a])),
    ];
    for (before, answer, after) in rows {
        let set: VrpSet = before.iter().copied().collect();
        assert_eq!(set.changed(changes(answer)), after, "{before:?} {answer:?}");
    }
}

#[test]
fn rows_are_packed() {
    assert_eq!(size_of::<Row<u32>>(), 12);
    assert_eq!(size_of::<Change<u32>>(), 12);
    assert_eq!(size_of::<Row<u128>>(), 32);
    assert_eq!(size_of::<Change<u128>>(), 32);
}

#[test]
fn a_set_counts_by_family() {
    let all = [
        vrp("192.0.2.0/24", 24, 1),
        vrp("192.0.2.0/24", 24, 1),
        vrp("::/0", 0, 0),
    ];
    let set: VrpSet = all.into_iter().collect();
    assert_eq!(Family::ALL.map(|f| set.len(f)), [1, 1]);
    assert!(!set.is_empty());
    assert!(VrpSet::default().is_empty());
}

use alloc::collections::BTreeSet;
use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn p(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn vrp(prefix: &str, max_len: u8, asn: u32) -> Vrp {
    Vrp::new(p(prefix), max_len, asn).unwrap()
}

fn table(all: impl IntoIterator<Item = Vrp>) -> VrpTable {
    VrpTable::union([&all.into_iter().collect::<VrpSet>()])
}

#[test]
fn states_of_routes() {
    use RpkiState::{Invalid, NotFound, Valid};
    let table = table([
        vrp("192.0.2.0/24", 24, 64500),
        vrp("198.51.100.0/22", 24, 64500),
        vrp("198.51.100.0/24", 24, 64501),
        vrp("198.51.100.0/24", 26, 64502),
        // Nobody may announce it, and it says nothing more where somebody may.
        vrp("203.0.113.0/24", 24, 0),
        vrp("233.252.0.0/24", 32, 0),
        vrp("233.252.0.0/24", 24, 64500),
        vrp("2001:db8::/32", 48, 64500),
        vrp("2001:db8:1::/48", 128, 64501),
    ]);
    let rows = [
        ("192.0.2.0/24", Some(64500), Valid),
        ("192.0.2.0/24", Some(64501), Invalid),
        ("192.0.2.0/25", Some(64500), Invalid),
        ("192.0.2.0/23", Some(64500), NotFound),
        ("192.0.3.0/24", Some(64500), NotFound),
        // The last is a set: no AS is the origin.
        ("192.0.2.0/24", None, Invalid),
        ("192.0.3.0/24", None, NotFound),
        // Any that covers it may allow it, however far up.
        ("198.51.100.0/24", Some(64500), Valid),
        ("198.51.100.0/24", Some(64501), Valid),
        ("198.51.100.0/26", Some(64502), Valid),
        ("198.51.100.0/26", Some(64501), Invalid),
        ("198.51.100.0/27", Some(64502), Invalid),
        ("198.51.101.0/24", Some(64501), Invalid),
        ("198.51.101.0/24", Some(64500), Valid),
        ("203.0.113.0/24", Some(64500), Invalid),
        ("203.0.113.0/24", Some(0), Invalid),
        ("233.252.0.0/24", Some(64500), Valid),
        ("233.252.0.0/24", Some(0), Invalid),
        ("2001:db8::/32", Some(64500), Valid),
        ("2001:db8:2::/48", Some(64500), Valid),
        ("2001:db8:2::/49", Some(64500), Invalid),
        ("2001:db8:1::1/128", Some(64501), Valid),
        ("2001:db8:1::1/128", Some(64500), Invalid),
        ("::/0", Some(64500), NotFound),
        ("0.0.0.0/0", Some(64500), NotFound),
    ];
    for (prefix, origin, state) in rows {
        assert_eq!(
            table.validate(&p(prefix), origin),
            state,
            "{prefix} {origin:?}"
        );
    }
    let empty = VrpTable::default();
    assert_eq!(empty.validate(&p("192.0.2.0/24"), Some(1)), NotFound);
    assert!(empty.is_empty() && !table.is_empty());
}

#[test]
fn what_covers_a_prefix_is_told_longest_first() {
    let table = table([
        vrp("0.0.0.0/0", 0, 1),
        vrp("10.0.0.0/8", 16, 2),
        vrp("10.0.0.0/8", 8, 3),
        vrp("10.1.0.0/16", 16, 4),
        vrp("10.1.1.0/24", 24, 5),
        vrp("10.2.0.0/16", 16, 6),
    ]);
    let texts: Vec<_> = table
        .covering(p("10.1.0.0/20"))
        .map(|v| alloc::format!("{v}"))
        .collect();
    assert_eq!(
        texts,
        [
            "10.1.0.0/16 AS4",
            "10.0.0.0/8 AS3",
            "10.0.0.0/8 le 16 AS2",
            "0.0.0.0/0 AS1"
        ]
    );
}

#[test]
fn a_set_of_two_caches_is_each_vrp_once() {
    let a: VrpSet = [vrp("192.0.2.0/24", 24, 1), vrp("::/0", 0, 2)]
        .into_iter()
        .collect();
    let b: VrpSet = [vrp("192.0.2.0/24", 24, 1), vrp("192.0.2.0/24", 24, 2)]
        .into_iter()
        .collect();
    let both = VrpTable::union([&a, &b]);
    assert_eq!(Family::ALL.map(|f| both.len(f)), [2, 1]);
    assert_eq!(
        both.changed_from(&VrpTable::union([&b, &a])),
        Changed::Prefixes(Vec::new())
    );
    let changed = both.changed_from(&VrpTable::union([&a]));
    assert_eq!(changed, Changed::Prefixes(Vec::from([p("192.0.2.0/24")])));
}

#[test]
fn many_changes_are_not_named() {
    let host = |n: u32| Vrp::new(Prefix::host(Ipv4Addr::from_bits(n).into()), 32, 1).unwrap();
    let named = NAMED as u32;
    let all = table((0..named).map(host));
    match all.changed_from(&VrpTable::default()) {
        Changed::Prefixes(prefixes) => assert_eq!(prefixes.len(), NAMED),
        Changed::Many => panic!("they could all be named"),
    }
    let more = table((0..=named).map(host));
    assert_eq!(more.changed_from(&VrpTable::default()), Changed::Many);
    assert_eq!(VrpTable::default().changed_from(&more), Changed::Many);
}

#[test]
fn nodes_are_packed() {
    assert_eq!(size_of::<Node<u32>>(), 16);
    assert_eq!(size_of::<Node<u128>>(), 32);
    assert_eq!(size_of::<Entry>(), 8);
}

/// Prefixes that often contain each other.
fn prefix() -> impl Strategy<Value = Prefix> {
    let v4 = (any::<u8>(), 0u8..=32).prop_map(|(bits, len)| {
        // Few bits, spread over the address.
        let addr = (u32::from(bits) * 0x0101_0101) & 0xc1_80_03_01;
        Prefix::truncated(Ipv4Addr::from_bits(addr).into(), len)
    });
    let v6 = (any::<u8>(), 0u8..=128).prop_map(|(bits, len)| {
        let addr = (u128::from(bits) << 120) | (u128::from(bits) << 60) | u128::from(bits & 1);
        Prefix::truncated(Ipv6Addr::from_bits(addr).into(), len)
    });
    prop_oneof![v4, v6]
}

fn vrps() -> impl Strategy<Value = BTreeSet<Vrp>> {
    let one = (prefix(), 0u8..=128, 0u32..4).prop_map(|(prefix, more, asn)| {
        let room = prefix.family().bits() - prefix.len();
        let max_len = prefix.len() + more % (room + 1);
        Vrp::new(prefix, max_len, asn).unwrap()
    });
    proptest::collection::btree_set(one, 0..60)
}

/// RFC 6811 §2, word for word.
fn naive(all: &BTreeSet<Vrp>, route: &Prefix, origin: Option<u32>) -> RpkiState {
    let covers = |vrp: &&Vrp| vrp.prefix().contains(route);
    let matches =
        |vrp: &Vrp| route.len() <= vrp.max_len() && vrp.asn() != 0 && Some(vrp.asn()) == origin;
    if all.iter().filter(covers).any(matches) {
        RpkiState::Valid
    } else if all.iter().any(|vrp| covers(&vrp)) {
        RpkiState::Invalid
    } else {
        RpkiState::NotFound
    }
}

proptest! {
    #[test]
    fn the_table_is_what_the_rfc_says(
        all in vrps(),
        routes in proptest::collection::vec((prefix(), proptest::option::of(0u32..4)), 1..40),
    ) {
        let table = table(all.iter().copied());
        for (route, origin) in routes {
            prop_assert_eq!(table.validate(&route, origin), naive(&all, &route, origin));
            let covering: BTreeSet<Vrp> = table.covering(route).collect();
            let wanted: BTreeSet<Vrp> =
                all.iter().filter(|v| v.prefix().contains(&route)).copied().collect();
            prop_assert_eq!(covering, wanted);
        }
    }

    #[test]
    fn what_is_not_changed_is_judged_as_before(old in vrps(), new in vrps(), routes in proptest::collection::vec(prefix(), 1..40)) {
        let (before, after) = (table(old.iter().copied()), table(new.iter().copied()));
        let changed = after.changed_from(&before);
        let differ: BTreeSet<Prefix> = old.symmetric_difference(&new).map(Vrp::prefix).collect();
        for route in routes {
            let covered = differ.iter().any(|d| d.contains(&route));
            prop_assert_eq!(changed.covers(&route), covered, "{}", route);
            if !covered {
                for origin in [None, Some(1), Some(2)] {
                    prop_assert_eq!(before.validate(&route, origin), after.validate(&route, origin));
                }
            }
        }
    }
}

//! What rules change, one after another.

use core::net::IpAddr;

use tapway_bgp_wire::Origin;
use tapway_model::Family;

use super::super::rule::{Change, InstallChange, Prepend, PrependAs, SetNextHop};
use super::*;

fn set(change: impl FnOnce(&mut Set)) -> Set {
    let mut set = Set::default();
    change(&mut set);
    set
}

/// What these sets, one rule each, change about a route from `tor1`.
fn changes(sets: impl IntoIterator<Item = Set>, prefix: &str) -> Modifications {
    let mut rules: Vec<Rule> = sets
        .into_iter()
        .map(|set| rule(Match::default(), set, Verdict::Next))
        .collect();
    rules.push(rule(Match::default(), Set::default(), Verdict::Accept));
    let policies = policies(rules);
    let (tor1, attributes) = (name("tor1"), attributes());
    let route = received(prefix, &tor1, &attributes);
    let outcome = policies
        .named(&policy_name("p"))
        .evaluate(&route, &import(&tor1));
    assert!(outcome.accepted);
    outcome.changes
}

#[test]
fn the_first_decision_counts_and_next_collects() {
    let add = |values: &[u32]| Change {
        add: values.iter().copied().map(Community).collect(),
        ..Change::default()
    };
    let prepend = |count| {
        Some(Prepend {
            count,
            asn: PrependAs::Own,
        })
    };
    let family = |family| Match {
        family: Some(family),
        ..Match::default()
    };
    let first = set(|s| {
        s.med = Some(5);
        s.communities = add(&[2, 1]);
        s.prepend = prepend(1);
    });
    let second = set(|s| {
        s.local_pref = Some(50);
        s.prepend = prepend(2);
    });
    let fourth = set(|s| {
        s.med = Some(6);
        s.communities = add(&[1, 3]);
    });
    let sees_the_first = Match {
        communities: exactly(&[1]),
        ..Match::default()
    };
    let policies = policies([
        rule(Match::default(), first, Verdict::Next),
        rule(sees_the_first, second, Verdict::Next),
        rule(family(Family::Ipv6), Set::default(), Verdict::Reject),
        rule(Match::default(), fourth, Verdict::Accept),
        rule(Match::default(), Set::default(), Verdict::Reject),
    ]);
    let (p, tor1) = (policy_name("p"), name("tor1"));
    let (v4, v6) = (own(), announcement("2001:db8::1/128"));
    let named = policies.named(&p);
    let got = named.evaluate(&RouteView::own(&v4), &export(&tor1));
    let expected = Modifications {
        communities: Some([1, 2, 3].map(Community).into()),
        med: Some(6),
        local_pref: Some(50),
        prepend: [ASN; 3].into(),
        ..Modifications::default()
    };
    assert_eq!(got.changes, expected);
    assert_eq!((got.accepted, got.rule()), (true, Some((&p, 3))));
    let got = named.evaluate(&RouteView::own(&v6), &export(&tor1));
    assert_eq!((got.accepted, got.rule()), (false, Some((&p, 2))));
    assert!(got.changes.is_empty(), "a rejected route has none");
}

#[test]
fn communities_are_replaced_then_removed_then_added() {
    let change = |replace: Option<&[u32]>, remove: &[Pattern], add: &[u32]| {
        let list = |l: &[u32]| l.iter().copied().map(Community).collect::<Vec<_>>();
        set(|s| {
            s.communities = Change {
                replace: replace.map(list),
                remove: remove.into(),
                add: list(add),
            }
        })
    };
    let exactly = |value| Pattern::exactly(Community(value));
    let ours = Pattern::except(Community(64612 << 16), 0xffff);
    type Row<'a> = (&'a str, &'a [Set], Option<&'a [u32]>);
    let rows: [Row<'_>; 9] = [
        ("nothing", &[change(None, &[], &[])], None),
        (
            "add",
            &[change(None, &[], &[7])],
            Some(&[7, 8, 9, 64612 << 16 | 90]),
        ),
        ("add what is there", &[change(None, &[], &[8, 9])], None),
        (
            "remove what is not there",
            &[change(None, &[exactly(1)], &[])],
            None,
        ),
        (
            "remove by pattern",
            &[change(None, &[ours], &[])],
            Some(&[8, 9]),
        ),
        (
            "remove and add",
            &[change(None, &[ours, exactly(9)], &[9])],
            Some(&[8, 9]),
        ),
        (
            "replace",
            &[change(Some(&[2, 1, 2]), &[exactly(2)], &[3])],
            Some(&[1, 3]),
        ),
        ("empty", &[change(Some(&[]), &[], &[])], Some(&[])),
        (
            "one after another",
            &[
                change(Some(&[1, 2]), &[], &[]),
                change(None, &[exactly(1)], &[0]),
            ],
            Some(&[0, 2]),
        ),
    ];
    for (what, sets, expected) in rows {
        let got = changes(sets.iter().cloned(), "10.0.0.0/8");
        let expected = expected.map(|l| l.iter().copied().map(Community).collect::<Vec<_>>());
        assert_eq!(got.communities, expected, "{what}");
    }
}

#[test]
fn large_and_extended_communities() {
    let large = |local2| LargeCommunity {
        global: 64612,
        local1: 1,
        local2,
    };
    let target = |n| ExtendedCommunity([0, 2, 0xfc, 0x64, 0, 0, 0, n]);
    let got = changes(
        [set(|s| {
            s.large_communities = Change {
                remove: [Pattern::exactly(large(1))].into(),
                add: [large(0)].into(),
                ..Change::default()
            };
            s.extended_communities = Change {
                replace: Some([target(7)].into()),
                ..Change::default()
            };
        })],
        "10.0.0.0/8",
    );
    let expected = Modifications {
        large_communities: Some([large(0), large(2), large(3)].into()),
        extended_communities: Some([target(7)].into()),
        ..Modifications::default()
    };
    assert_eq!(got, expected);
}

#[test]
fn what_is_put_in_front_of_the_path() {
    let prepend = |count, asn| set(|s| s.prepend = Some(Prepend { count, asn }));
    let rows: [(&[Set], &[u32]); 5] = [
        (&[prepend(2, PrependAs::Own)], &[ASN, ASN]),
        (&[prepend(1, PrependAs::Last)], &[65000]),
        (&[prepend(1, PrependAs::Number(7))], &[7]),
        (
            &[
                prepend(1, PrependAs::Number(7)),
                prepend(1, PrependAs::Last),
            ],
            &[7, 7],
        ),
        (
            &[prepend(1, PrependAs::Own), prepend(2, PrependAs::Number(7))],
            &[7, 7, ASN],
        ),
    ];
    for (sets, expected) in rows {
        let got = changes(sets.iter().cloned(), "10.0.0.0/8");
        assert_eq!(got.prepend, expected);
    }
    let policies = policies([rule(
        Match::default(),
        prepend(2, PrependAs::Last),
        Verdict::Accept,
    )]);
    let (own, tor1) = (own(), name("tor1"));
    let got = policies
        .named(&policy_name("p"))
        .evaluate(&RouteView::own(&own), &export(&tor1));
    assert_eq!(got.changes.prepend, [ASN, ASN], "an own route has no path");
}

#[test]
fn next_hops() {
    let v4: IpAddr = "192.0.2.7".parse().unwrap();
    let v6: IpAddr = "2001:db8::7".parse().unwrap();
    let both = SetNextHop::Address {
        ipv4: Some("192.0.2.7".parse().unwrap()),
        ipv6: Some("2001:db8::7".parse().unwrap()),
    };
    let only_v6 = SetNextHop::Address {
        ipv4: None,
        ipv6: Some("2001:db8::7".parse().unwrap()),
    };
    let rows: [(&[SetNextHop], &str, Option<NextHopChange>); 7] = [
        (&[], "10.0.0.0/8", None),
        (&[both], "10.0.0.0/8", Some(NextHopChange::Address(v4))),
        (&[both], "::/0", Some(NextHopChange::Address(v6))),
        (&[only_v6], "10.0.0.0/8", None),
        (
            &[SetNextHop::Own, only_v6],
            "10.0.0.0/8",
            Some(NextHopChange::Own),
        ),
        (
            &[both, SetNextHop::Unchanged],
            "::/0",
            Some(NextHopChange::Unchanged),
        ),
        (
            &[SetNextHop::Own, only_v6],
            "::/0",
            Some(NextHopChange::Address(v6)),
        ),
    ];
    for (hops, prefix, expected) in rows {
        let sets = hops.iter().map(|hop| set(|s| s.next_hop = Some(*hop)));
        assert_eq!(
            changes(sets, prefix).next_hop,
            expected,
            "{hops:?} {prefix}"
        );
    }
}

#[test]
fn the_way_into_the_kernel() {
    let install = |enabled, table, metric| {
        set(|s| {
            s.install = InstallChange {
                enabled,
                table,
                metric,
                prefsrc: None,
            }
        })
    };
    let got = changes(
        [
            install(Some(false), Some(90), None),
            install(Some(true), None, Some(5)),
        ],
        "10.0.0.0/8",
    );
    let expected = InstallChange {
        enabled: Some(true),
        table: Some(90),
        metric: Some(5),
        prefsrc: None,
    };
    assert_eq!(got.install, expected);
}

#[test]
fn changes_are_applied_to_attributes() {
    let mut attributes = attributes();
    Modifications::default().apply(&mut attributes);
    assert_eq!(attributes, super::attributes());
    let changes = Modifications {
        local_pref: Some(1),
        med: Some(2),
        origin: Some(Origin::Incomplete),
        prepend: [7, 8].into(),
        communities: Some([Community(1)].into()),
        large_communities: Some(Vec::new()),
        extended_communities: Some(Vec::new()),
        ..Modifications::default()
    };
    changes.apply(&mut attributes);
    let expected = Attributes {
        origin: Origin::Incomplete,
        as_path: AsPath::sequence([7, 8, 65000, 64512]),
        local_pref: Some(1),
        med: Some(2),
        communities: [Community(1)].into(),
        ..Attributes::default()
    };
    assert_eq!(attributes, expected);
}

//! Built-in policies and every condition, for own and received routes in both directions.

use tapway_model::{ClaimKind, Family, NetworkName};
use tapway_rpki::{Vrp, VrpTable};

use super::super::rule::{Lengths, PathMatch};
use super::*;

#[test]
fn built_in_ones() {
    let claim = own();
    let default = announcement("0.0.0.0/0");
    let (tor1, attributes) = (name("tor1"), attributes());
    let from = |prefix| received(prefix, &tor1, &attributes);
    let (import, export) = (import(&tor1), export(&tor1));
    let rows = [
        ("claims", RouteView::own(&claim), export, true),
        ("claims", from("0.0.0.0/0"), import, false),
        ("claims", from("0.0.0.0/0"), export, false),
        ("default-route", from("0.0.0.0/0"), import, true),
        ("default-route", from("::/0"), import, true),
        ("default-route", from("10.0.0.0/8"), import, false),
        ("default-route", from("0.0.0.0/0"), export, false),
        ("default-route", RouteView::own(&claim), export, false),
        ("default-route", RouteView::own(&default), export, true),
        ("all", from("10.0.0.0/8"), import, true),
        ("all", from("10.0.0.0/8"), export, false),
        ("all", RouteView::own(&claim), export, true),
        ("none", from("0.0.0.0/0"), import, false),
        ("none", RouteView::own(&claim), export, false),
        ("not-defined", RouteView::own(&claim), export, false),
    ];
    for (name, route, context, passes) in rows {
        let policies = Policies::default();
        let got = policies
            .named(&policy_name(name))
            .evaluate(&route, &context);
        assert_eq!(got.accepted, passes, "{name} {route:?}");
        assert!(got.changes.is_empty() && got.rule().is_none());
        let by = BuiltIn::named(name).filter(|b| passes || *b == BuiltIn::None);
        assert_eq!(got.by, by.map(By::BuiltIn), "{name}");
    }
    for (i, name) in BuiltIn::NAMES.into_iter().enumerate() {
        let found = BuiltIn::named(name).unwrap();
        assert_eq!((found.name(), found as usize), (name, i));
    }
}

#[test]
fn built_in_names_cannot_be_taken() {
    let mut policies = Policies::default();
    policies.set([policy(
        "none",
        [rule(Match::default(), Set::default(), Verdict::Accept)],
    )]);
    let (own, tor1) = (own(), name("tor1"));
    let got = policies
        .named(&policy_name("none"))
        .evaluate(&RouteView::own(&own), &export(&tor1));
    assert_eq!(got.by, Some(By::BuiltIn(BuiltIn::None)));
}

/// The key of the condition that does not hold; empty: all do.
fn missed(matches: Match, route: &RouteView<'_>, context: &Context<'_>) -> &'static str {
    let policies = policies([rule(matches, Set::default(), Verdict::Accept)]);
    let name = policy_name("p");
    let (outcome, steps) = policies.named(&name).trace(route, context);
    assert_eq!(
        outcome,
        policies.named(&name).evaluate(route, context),
        "a trace changes nothing"
    );
    match steps[..] {
        [
            Step {
                result: StepResult::Missed(key),
                ..
            },
        ] => {
            assert!(!outcome.accepted && outcome.by.is_none());
            key
        }
        [
            Step {
                result: StepResult::Matched(Verdict::Accept),
                rule: 0,
                depth: 0,
                policy,
            },
        ] => {
            assert!(outcome.accepted);
            assert_eq!(outcome.rule(), Some((policy, 0)));
            ""
        }
        ref other => panic!("{other:?}"),
    }
}

fn with(change: impl FnOnce(&mut Match)) -> Match {
    let mut matches = Match::default();
    change(&mut matches);
    matches
}

#[test]
fn of_own_routes() {
    let network = |name: &str| NetworkName::new(name).unwrap();
    let instance = |name: &str| InstanceName::new(name).unwrap();
    let tag = |name: &str| Tag::new(name).unwrap();
    let mut own = own();
    own.next_hop = Some("192.0.2.9".parse().unwrap());
    let tor1 = name("tor1");
    let rows = [
        ("", Match::default()),
        ("", with(|m| m.prefixes = within("203.0.113.0/24", 32, 32))),
        (
            "prefixes",
            with(|m| m.prefixes = within("203.0.113.0/24", 24, 31)),
        ),
        (
            "prefixes",
            with(|m| m.prefixes = within("203.0.112.0/24", 24, 32)),
        ),
        ("", with(|m| m.family = Some(Family::Ipv4))),
        ("family", with(|m| m.family = Some(Family::Ipv6))),
        ("", with(|m| m.kinds = [ClaimKind::Address].into())),
        ("kind", with(|m| m.kinds = [ClaimKind::Anycast].into())),
        (
            "",
            with(|m| m.kinds = [ClaimKind::Anycast, ClaimKind::Address].into()),
        ),
        ("", with(|m| m.instances = [instance("web1")].into())),
        (
            "instance",
            with(|m| m.instances = [instance("web2")].into()),
        ),
        ("", with(|m| m.tags = [tag("x"), tag("dns")].into())),
        ("tag", with(|m| m.tags = [tag("www")].into())),
        ("", with(|m| m.networks = [network("default")].into())),
        ("network", with(|m| m.networks = [network("blue")].into())),
        ("", with(|m| m.peers = [name("tor1")].into())),
        ("peer", with(|m| m.peers = [name("tor2")].into())),
        ("from", with(|m| m.from_peer = true)),
        (
            "received_from",
            with(|m| m.received_from = [name("tor1")].into()),
        ),
        ("", with(|m| m.next_hop = within("192.0.2.0/24", 24, 32))),
        (
            "next_hop",
            with(|m| m.next_hop = within("192.0.3.0/24", 24, 32)),
        ),
        ("communities", with(|m| m.communities = exactly(&[9]))),
        (
            "",
            with(|m| m.as_path.regex = [PathRegex::new("^$").unwrap()].into()),
        ),
        ("as_path.first", with(|m| m.as_path.first = [ASN].into())),
        (
            "",
            with(|m| m.as_path.length = Some(Lengths { ge: 0, le: 0 })),
        ),
        ("", with(|m| m.rpki = [RpkiState::NotFound].into())),
        ("rpki", with(|m| m.rpki = [RpkiState::Valid].into())),
        (
            "tag",
            with(|m| {
                m.family = Some(Family::Ipv4);
                m.tags = [tag("www")].into();
            }),
        ),
    ];
    for (key, matches) in rows {
        let text = alloc::format!("{matches:?}");
        let got = missed(matches, &RouteView::own(&own), &export(&tor1));
        assert_eq!(got, key, "{text}");
    }
    own.next_hop = None;
    let anywhere = with(|m| m.next_hop = within("0.0.0.0/0", 0, 32));
    let got = missed(anywhere, &RouteView::own(&own), &export(&tor1));
    assert_eq!(got, "next_hop", "it has none of its own");
}

#[test]
fn of_received_routes() {
    let path = |change: fn(&mut PathMatch)| {
        with(|m| {
            change(&mut m.as_path);
        })
    };
    let large = |local2| {
        Pattern::exactly(LargeCommunity {
            global: 64612,
            local1: 1,
            local2,
        })
    };
    let target = |n| Pattern::exactly(ExtendedCommunity([0, 2, 0xfc, 0x64, 0, 0, 0, n]));
    let (tor1, attributes) = (name("tor1"), attributes());
    let rows = [
        ("", Match::default()),
        ("", with(|m| m.from_peer = true)),
        ("", with(|m| m.received_from = [name("tor1")].into())),
        (
            "received_from",
            with(|m| m.received_from = [name("tor2")].into()),
        ),
        ("", with(|m| m.peers = [name("tor1")].into())),
        ("peer", with(|m| m.peers = [name("tor2")].into())),
        ("kind", with(|m| m.kinds = [ClaimKind::Address].into())),
        ("tag", with(|m| m.tags = [Tag::new("dns").unwrap()].into())),
        (
            "instance",
            with(|m| m.instances = [InstanceName::new("web1").unwrap()].into()),
        ),
        (
            "network",
            with(|m| m.networks = [NetworkName::new("default").unwrap()].into()),
        ),
        ("", with(|m| m.communities = exactly(&[6, 8]))),
        ("communities", with(|m| m.communities = exactly(&[6, 7]))),
        (
            "",
            with(|m| {
                m.large_communities = AnyOf([[large(9)].into(), [large(2), large(3)].into()].into())
            }),
        ),
        (
            "large_communities",
            with(|m| m.large_communities = AnyOf([[large(1), large(4)].into()].into())),
        ),
        (
            "",
            with(|m| m.extended_communities = AnyOf([[target(3)].into()].into())),
        ),
        (
            "extended_communities",
            with(|m| m.extended_communities = AnyOf([[target(4)].into()].into())),
        ),
        ("", path(|p| p.first = [1, 65000].into())),
        ("as_path.first", path(|p| p.first = [64512].into())),
        ("", path(|p| p.origin = [64512].into())),
        ("as_path.origin", path(|p| p.origin = [65000].into())),
        ("", path(|p| p.contains = [1, 64512].into())),
        ("as_path.contains", path(|p| p.contains = [1].into())),
        ("", path(|p| p.length = Some(Lengths { ge: 2, le: 2 }))),
        (
            "as_path.length",
            path(|p| p.length = Some(Lengths { ge: 3, le: 9 })),
        ),
        (
            "as_path.length",
            path(|p| p.length = Some(Lengths { ge: 0, le: 1 })),
        ),
        (
            "",
            path(|p| {
                p.regex = ["_1_", "_64512$"]
                    .map(|r| PathRegex::new(r).unwrap())
                    .into()
            }),
        ),
        (
            "as_path.regex",
            path(|p| p.regex = [PathRegex::new("^64512_").unwrap()].into()),
        ),
        ("", with(|m| m.next_hop = within("192.0.2.1/32", 32, 32))),
        (
            "next_hop",
            with(|m| m.next_hop = within("192.0.2.2/32", 32, 32)),
        ),
        ("rpki", with(|m| m.rpki = [RpkiState::Valid].into())),
    ];
    for (key, matches) in rows {
        let text = alloc::format!("{matches:?}");
        let route = received("10.0.0.0/8", &tor1, &attributes);
        assert_eq!(missed(matches, &route, &import(&tor1)), key, "{text}");
    }
}

#[test]
fn a_next_hop_of_two_addresses_matches_by_either() {
    let (tor1, attributes) = (name("tor1"), attributes());
    let mut route = received("2001:db8::/32", &tor1, &attributes);
    route.next_hop = Some(NextHop::V6WithLinkLocal {
        global: "2001:db8::1".parse().unwrap(),
        link_local: "fe80::1".parse().unwrap(),
    });
    for (prefix, key) in [
        ("2001:db8::/64", ""),
        ("fe80::/10", ""),
        ("2001:db9::/64", "next_hop"),
    ] {
        let matches = with(|m| m.next_hop = within(prefix, 0, 128));
        assert_eq!(missed(matches, &route, &import(&tor1)), key, "{prefix}");
    }
}

#[test]
fn the_rpki_state_is_compared() {
    let (tor1, attributes) = (name("tor1"), attributes());
    let mut route = received("10.0.0.0/8", &tor1, &attributes);
    for state in RpkiState::ALL {
        route.rpki = Rpki::State(state);
        for wanted in RpkiState::ALL {
            let key = if wanted == state { "" } else { "rpki" };
            let matches = with(|m| m.rpki = [wanted].into());
            assert_eq!(
                missed(matches, &route, &import(&tor1)),
                key,
                "{state} {wanted}"
            );
        }
    }
}

#[test]
fn the_rpki_state_is_looked_up_by_the_end_of_the_path() {
    let (tor1, mut attributes) = (name("tor1"), attributes());
    let vrp = Vrp::new("10.0.0.0/8".parse().unwrap(), 8, 64512).unwrap();
    let table = VrpTable::union([&[vrp].into_iter().collect()]);
    let mine = Vrp::new("10.0.0.0/8".parse().unwrap(), 8, ASN).unwrap();
    let my_table = VrpTable::union([&[mine].into_iter().collect()]);
    let valid = with(|m| m.rpki = [RpkiState::Valid].into());
    let missed_with = |attributes: &Attributes, table| {
        let mut route = received("10.0.0.0/8", &tor1, attributes);
        route.rpki = Rpki::Table(table);
        missed(valid.clone(), &route, &import(&tor1))
    };
    assert_eq!(missed_with(&attributes, &table), "");
    assert_eq!(missed_with(&attributes, &my_table), "rpki");
    // Without a path it comes from our own AS.
    attributes.as_path = AsPath::default();
    assert_eq!(missed_with(&attributes, &table), "rpki");
    assert_eq!(missed_with(&attributes, &my_table), "");
}

#[test]
fn what_one_peer_sent_goes_to_another_only_where_a_rule_says_so() {
    let (tor1, tor2, attributes) = (name("tor1"), name("tor2"), attributes());
    let route = received("10.0.0.0/8", &tor1, &attributes);
    let of_peers = |more: fn(&mut Match)| {
        with(|m| {
            m.from_peer = true;
            more(m);
        })
    };
    for (key, matches) in [
        ("from", Match::default()),
        ("from", with(|m| m.prefixes = within("10.0.0.0/8", 8, 8))),
        ("from", with(|m| m.received_from = [name("tor1")].into())),
        ("", of_peers(|_| ())),
        ("", of_peers(|m| m.peers = [name("tor2")].into())),
        ("peer", of_peers(|m| m.peers = [name("tor1")].into())),
        ("", of_peers(|m| m.received_from = [name("tor1")].into())),
        (
            "received_from",
            of_peers(|m| m.received_from = [name("tor2")].into()),
        ),
    ] {
        let text = alloc::format!("{matches:?}");
        assert_eq!(missed(matches, &route, &export(&tor2)), key, "{text}");
    }
}

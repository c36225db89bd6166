//! Policies, row by row.

use alloc::vec::Vec;

use tapway_bgp_wire::Community;
use tapway_model::{ClaimKind, Family, InstanceName, NetworkName, Tag};

use super::*;
use crate::config::{Match, PrefixMatch, Rule, Set, Verdict};
use crate::rib::own::Announcement;
use crate::speaker::tests::net::{announcement, policy_name};

const NO_RULE: Outcome = Outcome::Rejected { rule: None };

fn own(change: impl FnOnce(&mut Announcement)) -> Announcement {
    let mut own = announcement("203.0.113.7/32");
    own.instances = [InstanceName::new("web1").unwrap()].into();
    own.tags = [Tag::new("dns").unwrap()].into();
    change(&mut own);
    own
}

fn policies(rules: impl Into<Vec<Rule>>) -> Policies {
    let mut policies = Policies::default();
    assert!(policies.set(Policy {
        name: policy_name("p"),
        rules: rules.into()
    }));
    policies
}

fn rule(matches: Match, set: Set, action: Verdict) -> Rule {
    Rule {
        matches,
        set,
        action,
    }
}

fn within(prefix: &str, ge: u8, le: u8) -> PrefixMatch {
    PrefixMatch {
        prefix: prefix.parse().unwrap(),
        ge,
        le,
    }
}

#[test]
fn built_in_ones() {
    let claim = own(|_| {});
    let default = announcement("0.0.0.0/0");
    let received = |prefix: &str| Subject::Received {
        prefix: prefix.parse().unwrap(),
        communities: &[],
    };
    let rows = [
        ("claims", Subject::Own(&claim), true),
        ("claims", received("0.0.0.0/0"), false),
        ("default-route", received("0.0.0.0/0"), true),
        ("default-route", received("::/0"), true),
        ("default-route", received("10.0.0.0/8"), false),
        ("default-route", Subject::Own(&claim), false),
        ("default-route", Subject::Own(&default), true),
        ("all", received("10.0.0.0/8"), true),
        ("all", Subject::Own(&claim), true),
        ("none", received("0.0.0.0/0"), false),
        ("none", Subject::Own(&claim), false),
        ("not-defined", Subject::Own(&claim), false),
    ];
    for (name, subject, passes) in rows {
        let got = Policies::default().evaluate(&policy_name(name), &subject);
        let expected = if passes {
            Outcome::Accepted(Set::default())
        } else {
            NO_RULE
        };
        assert_eq!(got, expected, "{name} {subject:?}");
    }
}

#[test]
fn built_in_names_cannot_be_taken() {
    let mut policies = Policies::default();
    policies.set(Policy {
        name: policy_name("none"),
        rules: [rule(Match::default(), Set::default(), Verdict::Accept)].into(),
    });
    assert_eq!(
        policies.evaluate(&policy_name("none"), &Subject::Own(&own(|_| {}))),
        NO_RULE
    );
}

#[test]
fn conditions() {
    let network = |name: &str| NetworkName::new(name).unwrap();
    let rows: [(&str, Match, bool); 17] = [
        ("anything", Match::default(), true),
        (
            "prefix",
            Match {
                prefixes: [within("203.0.113.0/24", 32, 32)].into(),
                ..Match::default()
            },
            true,
        ),
        (
            "shorter than ge",
            Match {
                prefixes: [within("203.0.113.7/32", 33, 33)].into(),
                ..Match::default()
            },
            false,
        ),
        (
            "longer than le",
            Match {
                prefixes: [within("203.0.113.0/24", 24, 31)].into(),
                ..Match::default()
            },
            false,
        ),
        (
            "other prefix",
            Match {
                prefixes: [within("203.0.112.0/24", 24, 32)].into(),
                ..Match::default()
            },
            false,
        ),
        (
            "one of two",
            Match {
                prefixes: [within("10.0.0.0/8", 8, 32), within("0.0.0.0/0", 0, 32)].into(),
                ..Match::default()
            },
            true,
        ),
        (
            "family",
            Match {
                family: Some(Family::Ipv4),
                ..Match::default()
            },
            true,
        ),
        (
            "other family",
            Match {
                family: Some(Family::Ipv6),
                ..Match::default()
            },
            false,
        ),
        (
            "kind",
            Match {
                kinds: [ClaimKind::Anycast, ClaimKind::Address].into(),
                ..Match::default()
            },
            true,
        ),
        (
            "other kind",
            Match {
                kinds: [ClaimKind::Anycast].into(),
                ..Match::default()
            },
            false,
        ),
        (
            "instance",
            Match {
                instances: [InstanceName::new("web1").unwrap()].into(),
                ..Match::default()
            },
            true,
        ),
        (
            "other instance",
            Match {
                instances: [InstanceName::new("web2").unwrap()].into(),
                ..Match::default()
            },
            false,
        ),
        (
            "tag",
            Match {
                tags: [Tag::new("dns").unwrap()].into(),
                ..Match::default()
            },
            true,
        ),
        (
            "other tag",
            Match {
                tags: [Tag::new("www").unwrap()].into(),
                ..Match::default()
            },
            false,
        ),
        (
            "network",
            Match {
                networks: [network("default")].into(),
                ..Match::default()
            },
            true,
        ),
        (
            "other network",
            Match {
                networks: [network("blue")].into(),
                ..Match::default()
            },
            false,
        ),
        (
            "all must hold",
            Match {
                family: Some(Family::Ipv4),
                tags: [Tag::new("www").unwrap()].into(),
                ..Match::default()
            },
            false,
        ),
    ];
    for (what, matches, holds) in rows {
        let policies = policies([rule(matches, Set::default(), Verdict::Accept)]);
        let got = policies.evaluate(&policy_name("p"), &Subject::Own(&own(|_| {})));
        assert_eq!(got != NO_RULE, holds, "{what}");
    }
}

#[test]
fn conditions_on_claims_never_hold_for_received_routes() {
    let received = Subject::Received {
        prefix: "203.0.113.7/32".parse().unwrap(),
        communities: &[Community(7)],
    };
    let rows = [
        (
            Match {
                kinds: [ClaimKind::Address].into(),
                ..Match::default()
            },
            false,
        ),
        (
            Match {
                tags: [Tag::new("dns").unwrap()].into(),
                ..Match::default()
            },
            false,
        ),
        (
            Match {
                networks: [NetworkName::new("default").unwrap()].into(),
                ..Match::default()
            },
            false,
        ),
        (
            Match {
                instances: [InstanceName::new("web1").unwrap()].into(),
                ..Match::default()
            },
            false,
        ),
        (
            Match {
                communities: [6].into(),
                ..Match::default()
            },
            false,
        ),
        (
            Match {
                communities: [6, 7].into(),
                ..Match::default()
            },
            true,
        ),
    ];
    for (matches, holds) in rows {
        let policies = policies([rule(matches.clone(), Set::default(), Verdict::Accept)]);
        assert_eq!(
            policies.evaluate(&policy_name("p"), &received) != NO_RULE,
            holds,
            "{matches:?}"
        );
    }
}

#[test]
fn the_first_decision_counts_and_next_collects() {
    let all = Match::default;
    let set = |f: fn(&mut Set)| {
        let mut set = Set::default();
        f(&mut set);
        set
    };
    let policies = policies([
        rule(
            all(),
            set(|s| {
                s.med = Some(5);
                s.add_communities = [2, 1].into();
                s.prepend = 1
            }),
            Verdict::Next,
        ),
        rule(
            Match {
                communities: [1].into(),
                ..all()
            },
            set(|s| {
                s.local_pref = Some(50);
                s.prepend = 2
            }),
            Verdict::Next,
        ),
        rule(
            Match {
                family: Some(Family::Ipv6),
                ..all()
            },
            Set::default(),
            Verdict::Reject,
        ),
        rule(
            all(),
            set(|s| {
                s.med = Some(6);
                s.add_communities = [1, 3].into()
            }),
            Verdict::Accept,
        ),
        rule(all(), Set::default(), Verdict::Reject),
    ]);
    let got = policies.evaluate(&policy_name("p"), &Subject::Own(&own(|_| {})));
    let expected = Set {
        communities: Some([1, 2, 3].into()),
        add_communities: Vec::new(),
        med: Some(6),
        local_pref: Some(50),
        prepend: 3,
    };
    assert_eq!(got, Outcome::Accepted(expected));
    let v6 = announcement("2001:db8::1/128");
    assert_eq!(
        policies.evaluate(&policy_name("p"), &Subject::Own(&v6)),
        Outcome::Rejected { rule: Some(2) }
    );
}

#[test]
fn communities_of_received_routes_are_kept_or_replaced() {
    let has = [Community(9), Community(8)];
    let received = Subject::Received {
        prefix: "10.0.0.0/8".parse().unwrap(),
        communities: &has,
    };
    type All = Option<Vec<u32>>;
    let rows: [(All, Vec<u32>, All); 4] = [
        (None, Vec::new(), None),
        (None, [7].into(), Some([7, 8, 9].into())),
        (Some([1].into()), Vec::new(), Some([1].into())),
        (Some(Vec::new()), [7].into(), Some([7].into())),
    ];
    for (communities, add_communities, expected) in rows {
        let set = Set {
            communities,
            add_communities,
            ..Set::default()
        };
        let policies = policies([rule(Match::default(), set, Verdict::Accept)]);
        match policies.evaluate(&policy_name("p"), &received) {
            Outcome::Accepted(set) => assert_eq!(set.communities, expected),
            other => panic!("{other:?}"),
        }
    }
}

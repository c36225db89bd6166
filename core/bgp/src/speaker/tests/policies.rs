//! What policies do to routes on their way in and out.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use tapway_bgp_wire::{Community, ExtendedCommunity, LargeCommunity, Origin};
use tapway_model::Family;

use super::net::*;
use super::several;
use crate::config::{
    Change, InstallChange, Match, Policy, Prepend, PrependAs, Rule, Set, SetNextHop, Verdict,
};
use crate::policy::{AnyOf, Pattern};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn set(change: impl FnOnce(&mut Set)) -> Set {
    let mut set = Set::default();
    change(&mut set);
    set
}

fn rule(matches: Match, set: Set) -> Rule {
    Rule {
        matches,
        set,
        call: None,
        action: Verdict::Accept,
    }
}

fn policy(name: &str, rules: impl Into<Vec<Rule>>) -> Policy {
    Policy {
        name: policy_name(name),
        rules: rules.into(),
    }
}

/// A rule with nothing but a call.
fn calls(name: &str) -> Rule {
    Rule {
        call: Some(policy_name(name)),
        action: Verdict::Next,
        ..rule(Match::default(), Set::default())
    }
}

/// `table metric next-hop interface` of what goes to the kernel.
fn installed(speaker: &Speaker) -> Vec<String> {
    let text = |i: Installable| {
        alloc::format!(
            "{} {:?} {} {}",
            i.install.table,
            i.install.metric,
            i.next_hop,
            i.ifindex
        )
    };
    speaker
        .installable(Family::Ipv4)
        .into_iter()
        .map(text)
        .collect()
}

fn tagged(community: u32) -> Match {
    Match {
        communities: AnyOf([[Pattern::exactly(Community(community))].into()].into()),
        ..Match::default()
    }
}

#[test]
fn communities_choose_the_table() {
    let mut speaker = several::with(1, |_, peer| peer.import = policy_name("in"));
    let to_table = |table| {
        set(|s| {
            s.install = InstallChange {
                table: Some(table),
                metric: Some(7),
                ..InstallChange::default()
            }
        })
    };
    let not_at_all = set(|s| s.install.enabled = Some(false));
    let rules = [
        rule(tagged(90), to_table(90)),
        rule(tagged(91), not_at_all),
        rule(Match::default(), Set::default()),
    ];
    speaker.set_policies(several::NOW, [policy("in", rules)]);
    for (community, expected) in [
        (90, &["90 Some(7) 198.51.100.2 1"][..]),
        (91, &[]),
        (92, &["254 None 198.51.100.2 1"]),
    ] {
        several::send(&mut speaker, 1, "0.0.0.0/0", |a| {
            a.communities = [Community(community)].into();
        });
        assert_eq!(installed(&speaker), expected, "{community}");
        let received = speaker.received(&several::tor(1)).next().unwrap();
        assert_eq!(received.refused, None, "{community}");
    }
}

#[test]
fn an_import_may_set_the_next_hop() {
    let mut speaker = several::with(1, |_, peer| peer.import = policy_name("in"));
    several::send(&mut speaker, 1, "0.0.0.0/0", |_| ());
    let ours = addresses(0).v4.unwrap();
    for (ipv4, expected) in [
        (
            Some([198, 51, 100, 99].into()),
            &["254 None 198.51.100.99 0"][..],
        ),
        (Some(ours), &[]),
        (None, &["254 None 198.51.100.2 1"]),
    ] {
        let set = set(|s| s.next_hop = Some(SetNextHop::Address { ipv4, ipv6: None }));
        let rules = [rule(Match::default(), set)];
        speaker.set_policies(several::NOW, [policy("in", rules)]);
        assert_eq!(installed(&speaker), expected, "{ipv4:?}");
        let received = speaker.received(&several::tor(1)).next().unwrap();
        let own = (ipv4 == Some(ours)).then_some(Refusal::OwnNextHop);
        assert_eq!(received.refused, own);
    }
}

#[test]
fn an_import_may_make_a_route_worse() {
    let mut speaker = several::with(2, |_, peer| peer.import = policy_name("in"));
    let from_tor2 = Match {
        received_from: [several::tor(2)].into(),
        ..Match::default()
    };
    for (worse, both) in [
        (Set::default(), true),
        (
            set(|s| {
                s.prepend = Some(Prepend {
                    count: 1,
                    asn: PrependAs::Last,
                })
            }),
            false,
        ),
        (set(|s| s.origin = Some(Origin::Incomplete)), false),
        (set(|s| s.local_pref = Some(99)), false),
    ] {
        let text = alloc::format!("{worse:?}");
        let rules = [
            rule(from_tor2.clone(), worse),
            rule(Match::default(), Set::default()),
        ];
        speaker.set_policies(several::NOW, [policy("in", rules)]);
        for peer in [1, 2] {
            several::send(&mut speaker, peer, "0.0.0.0/0", |_| ());
        }
        let expected = ["254 None 198.51.100.2 1", "254 None 198.51.100.3 2"];
        let expected = if both { &expected[..] } else { &expected[..1] };
        assert_eq!(installed(&speaker), expected, "{text}");
    }
}

#[test]
fn an_export_sets_what_the_peer_gets() {
    let mut net = established(Transport::V4, |node, _, peer| {
        if node == 1 {
            peer.export = policy_name("out");
        }
    });
    let mut explicit = announcement("203.0.113.1/32");
    explicit.next_hop = Some("198.51.100.77".parse().unwrap());
    let now = net.now;
    net.speaker(1).announce(now, explicit);
    let large = LargeCommunity {
        global: 65002,
        local1: 1,
        local2: 2,
    };
    let target = ExtendedCommunity([0, 2, 0xfd, 0xea, 0, 0, 0, 1]);
    let to = |ipv4: [u8; 4]| SetNextHop::Address {
        ipv4: Some(ipv4.into()),
        ipv6: None,
    };
    for (hop, expected) in [
        (None, "198.51.100.77"),
        (Some(SetNextHop::Unchanged), "198.51.100.77"),
        (Some(SetNextHop::Own), "198.51.100.2"),
        (Some(to([198, 51, 100, 88])), "198.51.100.88"),
    ] {
        let set = set(|s| {
            s.next_hop = hop;
            s.origin = Some(Origin::Incomplete);
            s.prepend = Some(Prepend {
                count: 2,
                asn: PrependAs::Number(65010),
            });
            s.large_communities.add = [large].into();
            s.extended_communities = Change {
                replace: Some([target].into()),
                ..Change::default()
            };
            s.install.table = Some(90);
        });
        let now = net.now;
        let rules = [rule(Match::default(), set)];
        net.speaker(1).set_policies(now, [policy("out", rules)]);
        net.run(SECOND);
        let prefix = "203.0.113.1/32".parse().unwrap();
        let speaker = &net.nodes[0].speaker;
        let (next_hop, attributes) = speaker.received_to(&name("peer"), prefix).next().unwrap();
        assert_eq!(next_hop.to_string(), expected, "{hop:?}");
        assert_eq!(attributes.as_path.to_string(), "65002 65010 65010");
        assert_eq!(attributes.origin, Origin::Incomplete);
        assert_eq!(attributes.large_communities, [large]);
        assert_eq!(attributes.extended_communities, [target]);
    }
    assert_eq!(
        net.peer(0).received.announced,
        3,
        "an equal route is not sent again"
    );
}

#[test]
fn only_peers_whose_policies_differ_are_looked_at_again() {
    let mut speaker = several::with(2, |node, peer| {
        peer.export = policy_name(if node == 1 { "one" } else { "two" });
    });
    let define = |speaker: &mut Speaker, policies: &[Policy]| {
        speaker.set_policies(several::NOW, policies.iter().cloned());
        let pending = |peer| speaker.peer(&several::tor(peer)).unwrap().families[0].pending;
        let all = [pending(1), pending(2)];
        several::drain(speaker);
        all
    };
    speaker.announce(several::NOW, announcement("203.0.113.1/32"));
    several::drain(&mut speaker);
    let shared = |set| policy("shared", [rule(Match::default(), set)]);
    let one = policy("one", [calls("between")]);
    let between = policy("between", [calls("shared")]);
    let two = policy("two", []);
    assert_eq!(define(&mut speaker, &[one.clone(), two.clone()]), [1, 1]);
    assert_eq!(
        define(&mut speaker, &[between.clone(), shared(Set::default())]),
        [1, 0]
    );
    assert_eq!(speaker.advertised(&several::tor(1)).count(), 1);
    assert_eq!(
        define(&mut speaker, &[one, two, between, shared(Set::default())]),
        [0, 0]
    );
    assert_eq!(
        define(&mut speaker, &[shared(set(|s| s.med = Some(5)))]),
        [1, 0]
    );
    assert_eq!(
        speaker.advertised(&several::tor(1)).next().unwrap().med,
        Some(5)
    );
    assert_eq!(define(&mut speaker, &[policy("nobody", [])]), [0, 0]);
    assert!(speaker.remove_policy(several::NOW, &policy_name("shared")));
    several::drain(&mut speaker);
    assert_eq!(speaker.advertised(&several::tor(1)).count(), 0);
}

/// What a peer is told, as `prefix path med communities`.
fn told(speaker: &mut Speaker, node: usize) -> Vec<String> {
    several::drain(speaker);
    let text = |r: AdvertisedRoute| {
        alloc::format!("{} {} {:?} {:?}", r.prefix, r.as_path, r.med, r.communities)
    };
    speaker.advertised(&several::tor(node)).map(text).collect()
}

#[test]
fn what_a_peer_sent_goes_on_where_a_rule_says_so() {
    let mut speaker = several::with(3, |node, peer| {
        peer.import = policy_name("all");
        peer.export = policy_name(["transit", "transit", "all"][node - 1]);
        peer.install = None;
    });
    let from_peer = Match {
        from_peer: true,
        ..Match::default()
    };
    speaker.set_policies(
        several::NOW,
        [policy("transit", [rule(from_peer.clone(), Set::default())])],
    );
    for (prefix, communities) in [
        ("198.18.0.0/24", Vec::new()),
        ("198.18.1.0/24", [Community(7)].into()),
        ("198.18.2.0/24", [Community::NO_EXPORT].into()),
        ("198.18.3.0/24", [Community::NO_ADVERTISE].into()),
    ] {
        several::send(&mut speaker, 1, prefix, |attributes| {
            attributes.communities = communities;
            attributes.med = Some(5);
        });
    }
    let path = alloc::format!("{} {}", asn(0), asn(1));
    let passed = [
        alloc::format!("198.18.0.0/24 {path} None []"),
        alloc::format!("198.18.1.0/24 {path} None [7]"),
    ];
    assert_eq!(told(&mut speaker, 2), passed);
    assert_eq!(
        told(&mut speaker, 1),
        [""; 0],
        "nobody is told what it sent"
    );
    assert_eq!(told(&mut speaker, 3), [""; 0], "all is for our own");

    // Another policy takes effect at once, and back again.
    let tagged = Match {
        from_peer: true,
        ..tagged(7)
    };
    let med = set(|s| s.med = Some(9));
    speaker.set_policies(several::NOW, [policy("transit", [rule(tagged, med)])]);
    let one = [alloc::format!("198.18.1.0/24 {path} Some(9) [7]")];
    assert_eq!(told(&mut speaker, 2), one);
    speaker.set_policies(
        several::NOW,
        [policy("transit", [rule(from_peer, Set::default())])],
    );
    assert_eq!(told(&mut speaker, 2), passed);

    // It stays while its sender restarts, and goes with it.
    speaker.handle_closed(several::NOW, several::conn(1), "gone");
    assert_eq!(told(&mut speaker, 2), passed);
    speaker.disable(several::NOW, &several::tor(1), None);
    assert_eq!(told(&mut speaker, 2), [""; 0]);
}

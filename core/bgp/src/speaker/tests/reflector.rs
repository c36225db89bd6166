//! Route reflection (RFC 4456): who hears what, what stays as it was, what the marks say, what comes back.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{
    AsPath, AttributeCode, AttributeFlags, Attributes, Community, EncodeContext, NextHop,
    UnknownAttribute, UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::several::{self, NOW, conn, tor};
use crate::config::{
    GracefulRestart, Match, NextHopTo, PeerAsn, PeerConfig, Policy, Rule, Set, SetNextHop, Verdict,
};
use crate::*;

/// Nodes 1 and 2 are clients, 3 and 4 other routers of our AS, 5 is in another one.
const CLIENTS: [usize; 2] = [1, 2];
const OTHERS: [usize; 2] = [3, 4];
const EXTERNAL: usize = 5;

fn reflecting(node: usize, peer: &mut PeerConfig) {
    if node != EXTERNAL {
        peer.asn = PeerAsn::Internal;
    }
    peer.client = CLIENTS.contains(&node);
    peer.install = None;
}

fn reflector() -> Speaker {
    several::with(5, reflecting)
}

fn router_id(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, node as u8 + 1)
}

/// A peer announces a prefix, by its own address as an internal one does.
fn tell(speaker: &mut Speaker, node: usize, prefix: &str, change: impl FnOnce(&mut Attributes)) {
    let mut attributes = Attributes::default();
    match node == EXTERNAL {
        true => attributes.as_path = AsPath::sequence([asn(node)]),
        false => attributes.local_pref = Some(100),
    }
    change(&mut attributes);
    let by = NextHop::V4(addresses(node).v4.unwrap());
    let prefix: Prefix = prefix.parse().unwrap();
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, by, [prefix])
        .unwrap();
    speaker.handle_data(NOW, conn(node), &bytes);
}

fn take_back(speaker: &mut Speaker, node: usize, prefix: &str) {
    let prefix: Prefix = prefix.parse().unwrap();
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default()).withdraw([prefix]);
    speaker.handle_data(NOW, conn(node), &bytes);
}

/// What a peer has been told, as `prefix next-hop originator clusters`.
fn told(speaker: &mut Speaker, node: usize) -> Vec<String> {
    rest(speaker);
    let text = |r: AdvertisedRoute| {
        let originator = r.originator_id.map(|id| id.to_string());
        let clusters: Vec<_> = r.cluster_list.iter().map(ToString::to_string).collect();
        format!(
            "{} {} {} {}",
            r.prefix,
            r.next_hop,
            originator.unwrap_or("-".into()),
            clusters.join(" ")
        )
    };
    speaker.advertised(&tor(node)).map(text).collect()
}

/// Everything is done and written.
fn rest(speaker: &mut Speaker) {
    loop {
        several::drain(speaker);
        if speaker.poll_timeout().is_none_or(|at| at > NOW) {
            return;
        }
        speaker.handle_timeout(NOW);
    }
}

fn hears(speaker: &mut Speaker, node: usize) -> usize {
    told(speaker, node).len()
}

#[test]
fn what_goes_to_whom() {
    let all = [1, 2, 3, 4, EXTERNAL];
    for (from, to) in [
        (1, &[2, 3, 4][..]),
        (2, &[1, 3, 4]),
        (3, &[1, 2]),
        (4, &[1, 2]),
        // What another AS sent is no matter of reflection: a rule must say so.
        (EXTERNAL, &[]),
    ] {
        let mut speaker = reflector();
        tell(&mut speaker, from, "203.0.113.0/24", |_| ());
        let mut heard = all.to_vec();
        heard.retain(|n| hears(&mut speaker, *n) > 0);
        assert_eq!(heard, to, "from {from}");
        take_back(&mut speaker, from, "203.0.113.0/24");
        assert!(all.iter().all(|n| hears(&mut speaker, *n) == 0), "{from}");
    }
}

#[test]
fn nothing_but_the_marks_changes() {
    let mut speaker = reflector();
    // The default route of a peer is LOCAL_PREF 0 while we are about to go; what is reflected does not lead through us.
    speaker.set_draining(NOW, true);
    let sent = Attributes {
        as_path: AsPath::sequence([65_100, 65_101]),
        med: Some(7),
        local_pref: Some(250),
        communities: [Community(5), Community::NO_EXPORT].into(),
        unknown: [UnknownAttribute {
            flags: AttributeFlags(0xe0),
            code: AttributeCode(99),
            value: [1, 2, 3].into(),
        }]
        .into(),
        ..Attributes::default()
    };
    let by = NextHop::V4(Ipv4Addr::new(198, 51, 100, 77));
    let prefix: Prefix = "203.0.113.0/24".parse().unwrap();
    let other = Ipv4Addr::new(9, 9, 9, 9);
    let us = router_id(0);
    for (reflected_before, originator, clusters) in [
        (false, router_id(1), [us].to_vec()),
        (true, other, [us, Ipv4Addr::new(8, 8, 8, 8)].to_vec()),
    ] {
        let mut sent = sent.clone();
        if reflected_before {
            sent.originator_id = Some(other);
            sent.cluster_list = clusters[1..].to_vec();
        }
        let mut bytes = Vec::new();
        UpdateBuilder::new(&mut bytes, EncodeContext::default())
            .announce(&sent, by, [prefix])
            .unwrap();
        speaker.handle_data(NOW, conn(1), &bytes);
        let told = several::routes_to(&mut speaker, 2);
        let expected = Attributes {
            originator_id: Some(originator),
            cluster_list: clusters,
            ..sent
        };
        assert_eq!(told, [(prefix, by, expected)]);
    }
}

#[test]
fn what_has_been_here_is_shown_and_not_used() {
    let cluster = Ipv4Addr::new(10, 0, 0, 1);
    let mut speaker = reflector();
    let mut config = speaker.config().clone();
    config.cluster_id = Some(cluster);
    speaker.set_config(NOW, config);
    let originator = |id: Ipv4Addr| move |a: &mut Attributes| a.originator_id = Some(id);
    tell(&mut speaker, 1, "203.0.113.0/32", originator(router_id(0)));
    tell(&mut speaker, 1, "203.0.113.1/32", |a| {
        a.cluster_list = [[7; 4].into(), cluster].into();
    });
    // With a cluster of its own, the router's identifier in the list is another cluster's.
    tell(&mut speaker, 1, "203.0.113.2/32", |a| {
        a.originator_id = Some(router_id(7));
        a.cluster_list = [router_id(0)].into();
    });
    let refused: Vec<_> = speaker.received(&tor(1)).map(|r| r.refused).collect();
    let expected = [
        Some(Refusal::OwnOriginator),
        Some(Refusal::OwnCluster),
        None,
    ];
    assert_eq!(refused, expected);
    let one = format!(
        "203.0.113.2/32 198.51.100.2 {} {cluster} {}",
        router_id(7),
        router_id(0)
    );
    assert_eq!(told(&mut speaker, 2), [one]);

    // Another cluster: what was ours is not, and the other way round.
    let mut config = speaker.config().clone();
    config.cluster_id = None;
    speaker.set_config(NOW, config);
    rest(&mut speaker);
    let refused: Vec<_> = speaker.received(&tor(1)).map(|r| r.refused).collect();
    let expected = [
        Some(Refusal::OwnOriginator),
        None,
        Some(Refusal::OwnCluster),
    ];
    assert_eq!(refused, expected);
    let one = format!(
        "203.0.113.1/32 198.51.100.2 {} {} 7.7.7.7 {cluster}",
        router_id(1),
        router_id(0)
    );
    assert_eq!(told(&mut speaker, 2), [one]);
}

#[test]
fn policies_may_hold_back_or_change_what_is_reflected() {
    let rule = |prefix: Option<&str>, set: Set, action| {
        let prefixes = prefix.map(|text| {
            let prefix: Prefix = text.parse().unwrap();
            let len = prefix.len();
            let (ge, le) = (len, len);
            crate::policy::PrefixMatch { prefix, ge, le }
        });
        Rule {
            matches: Match {
                from_peer: true,
                prefixes: crate::policy::PrefixSet::new(prefixes.into_iter().collect()),
                ..Match::default()
            },
            set,
            call: None,
            action,
        }
    };
    let med = Set {
        med: Some(9),
        ..Set::default()
    };
    let some = Policy {
        name: policy_name("some"),
        rules: [
            rule(Some("203.0.113.1/32"), Set::default(), Verdict::Reject),
            rule(Some("203.0.113.2/32"), med, Verdict::Next),
            // For our own only: nothing that is reflected.
            Rule {
                matches: Match::default(),
                set: Set::default(),
                call: None,
                action: Verdict::Reject,
            },
        ]
        .into(),
    };
    for (export, expected) in [
        (
            "claims",
            &["0.0.0.0/0", "203.0.113.1/32", "203.0.113.2/32"][..],
        ),
        ("all", &["0.0.0.0/0", "203.0.113.1/32", "203.0.113.2/32"]),
        ("default-route", &["0.0.0.0/0"]),
        ("none", &[]),
        ("not-there", &[]),
        ("some", &["0.0.0.0/0", "203.0.113.2/32 Some(9)"]),
    ] {
        let mut speaker = several::with(2, |node, peer| {
            reflecting(node, peer);
            peer.export = policy_name(export);
        });
        speaker.set_policies(NOW, [some.clone()]);
        for prefix in ["0.0.0.0/0", "203.0.113.1/32", "203.0.113.2/32"] {
            tell(&mut speaker, 1, prefix, |_| ());
        }
        rest(&mut speaker);
        let text = |r: AdvertisedRoute| {
            let med = r.med.map(|med| format!(" {:?}", Some(med)));
            format!("{}{}", r.prefix, med.unwrap_or_default())
        };
        let told: Vec<_> = speaker.advertised(&tor(2)).map(text).collect();
        assert_eq!(told, expected, "{export}");
    }
}

#[test]
fn clients_come_and_go_without_a_reset() {
    let mut speaker = reflector();
    tell(&mut speaker, 3, "203.0.113.3/32", |_| ());
    tell(&mut speaker, 1, "203.0.113.1/32", |_| ());
    assert_eq!([1, 2, 3, 4].map(|n| hears(&mut speaker, n)), [1, 2, 1, 1]);
    let change = |speaker: &mut Speaker, node: usize, client: bool| {
        let mut config = speaker.peer_config(&tor(node)).unwrap().clone();
        config.client = client;
        assert_eq!(speaker.set_peer(NOW, config), PeerChange::Applied);
        [1, 2, 3, 4].map(|n| hears(speaker, n))
    };
    // Node 4 hears of 3 as a client, and 3 goes to all when it is one itself.
    assert_eq!(change(&mut speaker, 4, true), [1, 2, 1, 2]);
    assert_eq!(change(&mut speaker, 4, false), [1, 2, 1, 1]);
    assert_eq!(change(&mut speaker, 3, true), [1, 2, 1, 2]);
    // No client but one is left: what 1 sent goes nowhere but to 2.
    assert_eq!(change(&mut speaker, 3, false), [1, 2, 1, 1]);
    assert_eq!(change(&mut speaker, 1, false), [0, 2, 0, 0]);
    assert_eq!(change(&mut speaker, 2, false), [0, 0, 0, 0]);
    let up = |n: &usize| speaker.peer(&tor(*n)).unwrap().established_count == 1;
    assert!([1, 2, 3, 4].iter().all(up));
}

#[test]
fn when_one_of_two_paths_dies_clients_go_over_without_a_gap() {
    let mut speaker = reflector();
    tell(&mut speaker, 3, "203.0.113.1/32", |_| ());
    tell(&mut speaker, 4, "203.0.113.1/32", |_| ());
    let by = |node: usize| {
        format!(
            "203.0.113.1/32 {} {} {}",
            addresses(node).v4.unwrap(),
            router_id(node),
            router_id(0)
        )
    };
    assert_eq!(told(&mut speaker, 1), [by(3)], "the lower identifier");
    speaker.handle_link_down(NOW, 3);
    for client in CLIENTS {
        assert_eq!(told(&mut speaker, client), [by(4)]);
        let sent = speaker.peer(&tor(client)).unwrap().sent;
        assert_eq!((sent.announced, sent.withdrawn), (2, 0));
    }
}

#[test]
fn a_reflector_installs_nothing_and_clients_share_a_group() {
    let mut speaker = reflector();
    for node in [1, 2, 3] {
        tell(&mut speaker, node, "0.0.0.0/0", |_| ());
    }
    assert_eq!(speaker.installable(Family::Ipv4), []);
    // Who asks for the best routes hears of it all the same.
    let default = "0.0.0.0/0".parse().unwrap();
    let best = |speaker: &Speaker| {
        let (page, _) = speaker.in_use_page(Family::Ipv4, None, 10);
        assert_eq!(page, speaker.in_use_at(default));
        assert_eq!(page.len(), speaker.in_use(Family::Ipv4));
        page.into_iter().map(|(peer, _)| peer).collect::<Vec<_>>()
    };
    assert_eq!(best(&speaker), [tor(1)]);
    // Not where our own is better.
    speaker.announce(NOW, announcement("0.0.0.0/0"));
    assert_eq!(best(&speaker), []);
    speaker.withdraw(NOW, &announcement("0.0.0.0/0").id);
    let changed = |speaker: &mut Speaker| {
        let mut actions = core::iter::from_fn(|| speaker.poll_action());
        actions.any(|a| matches!(a, Action::InstallableChanged(_)))
    };
    assert!(!changed(&mut speaker), "nobody is to look at the kernel");
    // Clients, other internal peers, and the external one, in both families.
    assert_eq!(speaker.shared.groups.count(), 3 * 2);
    assert_eq!(OTHERS.map(|n| hears(&mut speaker, n)), [1, 1]);
}

#[test]
fn the_originators_identifier_follows_it() {
    let mut speaker = reflector();
    tell(&mut speaker, 1, "203.0.113.1/32", |_| ());
    assert_eq!(
        told(&mut speaker, 2),
        [format!(
            "203.0.113.1/32 198.51.100.2 {} {}",
            router_id(1),
            router_id(0)
        )]
    );
    // It restarts with another identifier, and its route is kept meanwhile.
    speaker.handle_closed(NOW, conn(1), "gone");
    several::accept(&mut speaker, 1, conn(11), Ipv4Addr::new(5, 5, 5, 5));
    assert_eq!(
        told(&mut speaker, 2),
        [format!(
            "203.0.113.1/32 198.51.100.2 5.5.5.5 {}",
            router_id(0)
        )]
    );
}

#[test]
fn only_a_rule_draws_packets_of_reflected_routes_here() {
    let rule = |next_hop| Rule {
        matches: Match {
            from_peer: true,
            ..Match::default()
        },
        set: Set {
            next_hop,
            ..Set::default()
        },
        call: None,
        action: Verdict::Accept,
    };
    for (next_hop, draws) in [(None, false), (Some(SetNextHop::Own), true)] {
        let mut speaker = several::with(5, |node, peer| {
            reflecting(node, peer);
            peer.export = policy_name("some");
        });
        let policy = Policy {
            name: policy_name("some"),
            rules: [rule(next_hop)].into(),
        };
        speaker.set_policies(NOW, [policy]);
        assert_eq!(speaker.draws_transit(&tor(2), &tor(1)), draws);
        assert_eq!(speaker.draws_transit(&tor(2), &tor(3)), draws);
        assert!(!speaker.draws_transit(&tor(4), &tor(3)), "never told");
        assert!(speaker.draws_transit(&tor(2), &tor(EXTERNAL)));
    }
}

/// RFC 4724 §4.1: what clients have of each other is theirs until the reflector knows it again.
#[test]
fn after_a_restart_end_of_rib_waits_for_those_who_may_come_by_range() {
    let after = |seconds| NOW + Duration::from_secs(seconds);
    let ended = |speaker: &Speaker| {
        let summary = speaker.peer(&tor(1)).unwrap();
        summary.families[0].end_of_rib_sent
    };
    for (client, waits) in [(true, true), (false, false)] {
        let mut speaker = several::with(1, |node, peer| {
            reflecting(node, peer);
            peer.client = client;
            peer.graceful_restart = Some(GracefulRestart {
                time: Duration::from_secs(10),
                notification: false,
                long_lived: None,
            });
        });
        let mut range = speaker.peer_config(&tor(1)).unwrap().clone();
        range.name = name("range");
        speaker.set_start(&warm());
        speaker.set_ranges([range].into());
        speaker.set_restart_done(NOW);
        speaker.handle_closed(NOW, conn(1), "gone");
        several::accept(&mut speaker, 1, conn(11), router_id(1));
        let mut bytes = Vec::new();
        for family in Family::ALL {
            UpdateBuilder::new(&mut bytes, EncodeContext::default()).end_of_rib(family);
        }
        speaker.handle_data(NOW, conn(11), &bytes);
        rest(&mut speaker);
        assert_eq!(ended(&speaker), !waits);
        speaker.handle_timeout(after(9));
        rest(&mut speaker);
        assert_eq!(ended(&speaker), !waits);
        speaker.handle_timeout(after(10));
        rest(&mut speaker);
        assert!(ended(&speaker));
    }
}

#[test]
fn next_hops_of_own_passed_on_and_reflected_routes() {
    let everything = [true, false].map(|from_peer| Rule {
        matches: Match {
            from_peer,
            ..Match::default()
        },
        set: Set::default(),
        call: None,
        action: Verdict::Accept,
    });
    let (own, sent, written) = ("198.51.100.1", "198.51.100.6", "198.51.100.99");
    let reflected = "198.51.100.2";
    for (setting, hops) in [
        (NextHopTo::Own, [own, own, reflected]),
        (NextHopTo::Unchanged, [own, sent, reflected]),
        (
            NextHopTo::Address(written.parse().unwrap()),
            [written, written, reflected],
        ),
    ] {
        let mut speaker = several::with(5, |node, peer| {
            reflecting(node, peer);
            peer.export = policy_name("everything");
            if node == 2 {
                peer.next_hop.ipv4 = setting;
            }
        });
        let policy = Policy {
            name: policy_name("everything"),
            rules: everything.clone().into(),
        };
        speaker.set_policies(NOW, [policy]);
        speaker.announce(NOW, announcement("203.0.113.1/32"));
        tell(&mut speaker, EXTERNAL, "203.0.113.2/32", |_| ());
        tell(&mut speaker, 1, "203.0.113.3/32", |_| ());
        rest(&mut speaker);
        let hop = |r: AdvertisedRoute| r.next_hop.to_string();
        let told: Vec<_> = speaker.advertised(&tor(2)).map(hop).collect();
        assert_eq!(told, hops, "{setting:?}");
        // The others' setting is their own.
        let told: Vec<_> = speaker.advertised(&tor(3)).map(hop).collect();
        assert_eq!(told, [own, own, reflected]);
    }
}

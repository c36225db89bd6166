//! What is sent and what counts of what is received.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::{Domain, Family, NetworkName};

use super::net::*;
use crate::config::{
    Change, Match, PeerAsn, Policy, PrefixLimit, Prepend, PrependAs, Rule, Set, Verdict,
};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// `prefix next-hop [as path]` of what node 0 has received.
fn routes(net: &Net) -> Vec<String> {
    let text = |r: ReceivedRoute| alloc::format!("{} {} [{}]", r.prefix, r.next_hop, r.as_path);
    net.nodes[0]
        .speaker
        .received(&name("peer"))
        .map(text)
        .collect()
}

#[test]
fn both_families_over_each_transport() {
    for transport in [Transport::V4, Transport::V6, Transport::LinkLocal] {
        let mut net = established(transport, |_, _, _| {});
        net.announce(1, "203.0.113.1/32");
        net.announce(1, "2001:db8:1::1/128");
        net.run(SECOND);
        let by_v6 = if transport == Transport::LinkLocal {
            "2001:db8::2 (fe80::2)"
        } else {
            "2001:db8::2"
        };
        let expected = [
            String::from("203.0.113.1/32 198.51.100.2 [65002]"),
            alloc::format!("2001:db8:1::1/128 {by_v6} [65002]"),
        ];
        assert_eq!(routes(&net), expected, "{transport:?}");
        let sent: Vec<String> = net.nodes[1]
            .speaker
            .advertised(&name("peer"))
            .map(|r| r.as_path)
            .collect();
        assert_eq!(sent, ["65002", "65002"]);
        net.withdraw(1, "203.0.113.1/32");
        net.withdraw(1, "2001:db8:1::1/128");
        net.run(SECOND);
        assert!(routes(&net).is_empty());
    }
}

#[test]
fn ipv4_without_an_ipv4_address() {
    // The other side takes IPv6 next hops, or it does not.
    for extended in [true, false] {
        let mut net = pair(Transport::LinkLocal, |_, _, _| {});
        net.nodes[1].addresses.v4 = None;
        net.strip_extended_next_hop = !extended;
        net.link_up(Transport::LinkLocal);
        net.run(SECOND);
        assert_eq!(net.states(), [State::Established; 2]);
        net.announce(1, "203.0.113.1/32");
        net.run(SECOND);
        let why = net.nodes[1]
            .speaker
            .why_not_sent(&name("peer"), &announcement("203.0.113.1/32").id);
        if extended {
            assert_eq!(
                routes(&net),
                ["203.0.113.1/32 2001:db8::2 (fe80::2) [65002]"]
            );
            assert!(matches!(
                why,
                NotSent::Sent(NextHop::V6WithLinkLocal { .. })
            ));
            continue;
        }
        assert!(routes(&net).is_empty());
        assert!(
            matches!(why, NotSent::NoNextHop(text) if text.contains("RFC 8950")),
            "{why:?}"
        );
        // The address comes: announced without another word.
        let (now, conn) = (net.now, net.peer(1).connection.unwrap().0);
        net.speaker(1).set_local_addresses(now, conn, addresses(1));
        net.run(SECOND);
        assert_eq!(routes(&net), ["203.0.113.1/32 198.51.100.2 [65002]"]);
    }
}

#[test]
fn nothing_is_announced_before_our_addresses_are_known() {
    let mut net = pair(Transport::V4, |_, _, _| {});
    net.mute_addresses = true;
    net.announce(1, "203.0.113.1/32");
    net.link_up(Transport::V4);
    net.run(SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    let id = announcement("203.0.113.1/32").id;
    assert_eq!(
        net.nodes[1].speaker.why_not_sent(&name("peer"), &id),
        NotSent::Pending
    );
    assert!(!net.peer(0).families[0].end_of_rib_received);
    let (now, conn) = (net.now, net.peer(1).connection.unwrap().0);
    net.speaker(1).set_local_addresses(now, conn, addresses(1));
    net.run(SECOND);
    assert_eq!(routes(&net).len(), 1);
    assert!(net.peer(0).families[0].end_of_rib_received);
}

#[test]
fn internal_peers_get_local_pref_and_no_as() {
    let mut net = established(Transport::V4, |_, speaker, peer| {
        speaker.asn = 65001;
        peer.asn = PeerAsn::Internal;
    });
    net.announce(1, "203.0.113.1/32");
    net.run(SECOND);
    let route = net.nodes[0].speaker.received(&name("peer")).next().unwrap();
    assert_eq!(
        (route.as_path.as_str(), route.local_pref, route.med),
        ("", Some(100), None)
    );
    assert_eq!(route.origin, Origin::Igp);
    assert!(route.refused.is_none());
}

#[test]
fn large_as_numbers() {
    let mut net = established(Transport::V4, |node, speaker, peer| {
        speaker.asn = 4_200_000_000 + node as u32;
        peer.asn = PeerAsn::Number(4_200_000_001 - node as u32);
    });
    net.announce(1, "203.0.113.1/32");
    net.run(SECOND);
    assert_eq!(routes(&net), ["203.0.113.1/32 198.51.100.2 [4200000001]"]);
}

#[test]
fn explicit_next_hops() {
    let mut net = established(Transport::V4, |node, _, peer| {
        if node == 1 {
            peer.next_hop.ipv4 = config::NextHopTo::Address([198, 51, 100, 99].into());
        }
    });
    let now = net.now;
    net.announce(1, "203.0.113.1/32");
    let own = Announcement {
        next_hop: Some("198.51.100.77".parse().unwrap()),
        ..announcement("203.0.113.2/32")
    };
    net.speaker(1).announce(now, own);
    let wrong = Announcement {
        next_hop: Some("198.51.100.1".parse().unwrap()),
        ..announcement("203.0.113.3/32")
    };
    let wrong_id = wrong.id;
    net.speaker(1).announce(now, wrong);
    net.run(SECOND);
    assert_eq!(
        routes(&net),
        [
            "203.0.113.1/32 198.51.100.99 [65002]",
            "203.0.113.2/32 198.51.100.77 [65002]"
        ]
    );
    let why = net.nodes[1].speaker.why_not_sent(&name("peer"), &wrong_id);
    assert_eq!(why, NotSent::NoNextHop("the next hop is the peer itself"));
}

#[test]
fn networks_name_their_peers() {
    let mut net = established(Transport::V4, |_, _, _| {});
    let now = net.now;
    let blue = NetworkName::new("blue").unwrap();
    let hidden = Announcement {
        peers: Some(Arc::from([name("another")])),
        network: blue.clone(),
        ..announcement("203.0.113.1/32")
    };
    let id = hidden.id;
    net.speaker(1).announce(now, hidden.clone());
    net.run(SECOND);
    assert!(routes(&net).is_empty());
    assert_eq!(
        net.nodes[1].speaker.why_not_sent(&name("peer"), &id),
        NotSent::NotForPeer(blue)
    );
    net.speaker(1).announce(
        now,
        Announcement {
            peers: Some(Arc::from([name("peer")])),
            ..hidden
        },
    );
    net.run(SECOND);
    assert_eq!(routes(&net).len(), 1);
}

#[test]
fn one_prefix_from_two_domains() {
    let mut net = established(Transport::V4, |_, _, _| {});
    let first = announcement("203.0.113.1/32");
    let mut second = announcement("203.0.113.1/32");
    second.id.domain = Domain(90);
    second.next_hop = Some("198.51.100.50".parse().unwrap());
    let now = net.now;
    net.speaker(1).announce(now, first.clone());
    net.speaker(1).announce(now, second.clone());
    net.run(SECOND);
    assert_eq!(routes(&net), ["203.0.113.1/32 198.51.100.2 [65002]"]);
    let why = |net: &Net, id| net.nodes[1].speaker.why_not_sent(&name("peer"), id);
    assert_eq!(why(&net, &second.id), NotSent::Conflict(first.id));
    assert!(matches!(why(&net, &first.id), NotSent::Sent(_)));
    let conflicts: Vec<_> = net
        .take_events(1)
        .into_iter()
        .filter(|e| matches!(e, Event::Conflict { .. }))
        .collect();
    assert_eq!(
        conflicts,
        [Event::Conflict {
            peer: name("peer"),
            kept: first.id,
            refused: second.id
        }]
    );
    // The first goes: the second takes its place, without a withdrawal in between.
    let withdrawn = net.peer(0).received.withdrawn;
    let now = net.now;
    assert!(net.speaker(1).withdraw(now, &first.id));
    net.run(SECOND);
    assert_eq!(routes(&net), ["203.0.113.1/32 198.51.100.50 [65002]"]);
    assert_eq!(net.peer(0).received.withdrawn, withdrawn);
    let now = net.now;
    assert!(!net.speaker(1).withdraw(now, &first.id));
    assert!(net.speaker(1).withdraw(now, &second.id));
    net.run(SECOND);
    assert!(routes(&net).is_empty());
}

#[test]
fn export_policy_sets_attributes_and_changes_at_once() {
    let mut net = established(Transport::V4, |node, _, peer| {
        if node == 1 {
            peer.export = policy_name("out");
        }
    });
    let id = announcement("203.0.113.1/32").id;
    net.announce(1, "203.0.113.1/32");
    net.run(SECOND);
    let why = net.nodes[1].speaker.why_not_sent(&name("peer"), &id);
    assert_eq!(
        why,
        NotSent::Filtered {
            policy: policy_name("out"),
            rule: None
        }
    );
    let set = Set {
        communities: Change {
            replace: Some([(65002 << 16) | 90, 65535 << 16].map(Community).into()),
            ..Change::default()
        },
        med: Some(10),
        local_pref: Some(300),
        prepend: Some(Prepend {
            count: 2,
            asn: PrependAs::Own,
        }),
        ..Set::default()
    };
    let policy = |action| Policy {
        name: policy_name("out"),
        rules: [Rule {
            matches: Match::default(),
            set: set.clone(),
            call: None,
            action,
        }]
        .into(),
    };
    let now = net.now;
    net.speaker(1).set_policies(now, [policy(Verdict::Accept)]);
    net.run(SECOND);
    let route = net.nodes[0].speaker.received(&name("peer")).next().unwrap();
    assert_eq!(route.as_path, "65002 65002 65002");
    assert_eq!(
        (route.med, route.local_pref),
        (Some(10), None),
        "LOCAL_PREF is not for external peers"
    );
    assert_eq!(route.communities, [(65002 << 16) | 90, 65535 << 16]);
    let now = net.now;
    net.speaker(1).set_policies(now, [policy(Verdict::Reject)]);
    net.run(SECOND);
    assert!(routes(&net).is_empty());
    let why = net.nodes[1].speaker.why_not_sent(&name("peer"), &id);
    assert_eq!(
        why,
        NotSent::Filtered {
            policy: policy_name("out"),
            rule: Some(0)
        }
    );
    assert_eq!(net.peer(0).established_count, 1);
}

#[test]
fn import_keeps_all_and_counts_some() {
    let mut net = established(Transport::V4, |_, _, peer| {
        peer.import = policy_name("default-route");
        peer.install = install();
    });
    for prefix in ["0.0.0.0/0", "::/0", "203.0.113.1/32"] {
        net.announce(1, prefix);
    }
    net.run(SECOND);
    let peer = net.peer(0);
    assert_eq!(
        (peer.families[0].received, peer.families[0].accepted),
        (2, 1)
    );
    assert_eq!(
        net.nodes[0]
            .changed
            .iter()
            .filter(|f| **f == Family::Ipv6)
            .count(),
        2,
        "End-of-RIB, route"
    );
    let refused: Vec<_> = net.nodes[0]
        .speaker
        .received(&name("peer"))
        .map(|r| r.refused)
        .collect();
    let policy = Refusal::Policy {
        policy: policy_name("default-route"),
        rule: None,
    };
    assert_eq!(refused, [None, Some(policy), None]);
    let v4 = net.nodes[0].speaker.installable(Family::Ipv4);
    assert_eq!(v4.len(), 1);
    assert_eq!(
        (v4[0].next_hop.to_string().as_str(), v4[0].ifindex),
        ("198.51.100.2", IFINDEX)
    );
    let v6 = net.nodes[0].speaker.installable(Family::Ipv6);
    assert_eq!(v6[0].next_hop.to_string(), "2001:db8::2");
    let mut config = net.nodes[0]
        .speaker
        .peer_config(&name("peer"))
        .unwrap()
        .clone();
    config.import = policy_name("none");
    let now = net.now;
    net.speaker(0).set_peer(now, config);
    assert!(net.nodes[0].speaker.installable(Family::Ipv4).is_empty());
    assert_eq!(net.peer(0).families[0].received, 2);
}

#[test]
fn link_local_sessions_install_by_link_local() {
    let mut net = established(Transport::LinkLocal, |_, _, peer| peer.install = install());
    net.nodes[1].addresses.v4 = None;
    let (now, conn) = (net.now, net.peer(1).connection.unwrap().0);
    let without_v4 = net.nodes[1].addresses;
    net.speaker(1).set_local_addresses(now, conn, without_v4);
    net.announce(1, "0.0.0.0/0");
    net.announce(1, "::/0");
    net.run(SECOND);
    for family in Family::ALL {
        let all = net.nodes[0].speaker.installable(family);
        assert_eq!(
            (all[0].next_hop.to_string().as_str(), all[0].ifindex),
            ("fe80::2", IFINDEX),
            "{family}"
        );
    }
}

#[test]
fn nothing_received_is_sent_on() {
    let mut net = established(Transport::V4, |_, _, peer| {
        peer.import = policy_name("all");
        peer.export = policy_name("all");
    });
    net.announce(1, "203.0.113.1/32");
    net.run(SECOND);
    assert_eq!(routes(&net).len(), 1);
    assert_eq!(net.nodes[0].speaker.advertised(&name("peer")).count(), 0);
    assert!(net.received(1).is_empty());
}

#[test]
fn prefix_limit_ends_the_session_and_keeps_it_away() {
    let mut net = established(Transport::V4, |node, _, peer| {
        if node == 0 {
            peer.prefix_limit = PrefixLimit::new(10);
        }
    });
    for i in 0..10 {
        net.announce(1, &alloc::format!("203.0.113.{i}/32"));
    }
    net.run(SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    net.announce(1, "203.0.113.10/32");
    net.run(SECOND / 10);
    let got = net.peer(1).last_received.unwrap().1;
    assert_eq!((got.code, got.subcode), (6, 1));
    assert!(net.received(0).is_empty());
    let before = net.peer(0).established_count;
    net.run(600 * SECOND);
    let flaps = net.peer(0).established_count - before;
    assert!((2..=12).contains(&flaps), "{flaps} flaps in ten minutes");
}

#[test]
fn blocked_connections_get_nothing_and_one_update_later() {
    let mut net = established(Transport::V4, |_, _, _| {});
    net.nodes[1].stalled = true;
    for _ in 0..100 {
        net.announce(1, "203.0.113.1/32");
        net.run(LATENCY);
        net.withdraw(1, "203.0.113.1/32");
        net.run(LATENCY);
    }
    net.announce(1, "203.0.113.2/32");
    net.run(LATENCY);
    let id = announcement("203.0.113.2/32").id;
    assert_eq!(
        net.nodes[1].speaker.why_not_sent(&name("peer"), &id),
        NotSent::Pending
    );
    let before = net.peer(0).received.update;
    net.unstall(1);
    net.run(SECOND);
    assert_eq!(routes(&net), ["203.0.113.2/32 198.51.100.2 [65002]"]);
    // The first announcement was out already, its withdrawal and the other one follow.
    assert_eq!(net.peer(0).received.update - before, 3);
}

#[test]
fn add_path_is_offered_and_harmless_to_those_without() {
    let mut net = established(Transport::V4, |_, _, peer| peer.add_paths.receive = true);
    assert!(
        net.peer(0).negotiated.unwrap().add_path_receive.is_empty(),
        "nobody sends"
    );
    net.announce(1, "203.0.113.1/32");
    net.run(SECOND);
    assert_eq!(routes(&net).len(), 1);
}

#[test]
fn explain_says_what_is_missing() {
    let mut net = pair(Transport::V4, |node, _, peer| {
        if node == 0 {
            peer.families = [Family::Ipv4].into();
        }
    });
    let id = announcement("2001:db8:1::1/128").id;
    let why = |net: &Net, peer: &str| net.nodes[1].speaker.why_not_sent(&name(peer), &id);
    assert_eq!(why(&net, "nobody"), NotSent::NoSuchPeer);
    assert_eq!(why(&net, "peer"), NotSent::NotAnnounced);
    net.announce(1, "2001:db8:1::1/128");
    assert_eq!(why(&net, "peer"), NotSent::SessionDown(State::Idle));
    net.link_up(Transport::V4);
    net.run(SECOND);
    assert_eq!(
        why(&net, "peer"),
        NotSent::FamilyNotNegotiated(Family::Ipv6)
    );
}

#[test]
fn draining_makes_our_routes_the_last_choice() {
    for external in [true, false] {
        let mut net = established(Transport::V4, |_, speaker, peer| {
            if !external {
                speaker.asn = 65001;
                peer.asn = PeerAsn::Internal;
            }
        });
        net.announce(1, "203.0.113.1/32");
        net.run(SECOND);
        let last_choice = |net: &Net| {
            let speaker = &net.nodes[0].speaker;
            let prefix = "203.0.113.1/32".parse().unwrap();
            let (_, attributes) = speaker.received_to(&name("peer"), prefix).next().unwrap();
            let marked = attributes
                .communities
                .contains(&tapway_bgp_wire::Community::GRACEFUL_SHUTDOWN);
            (marked, attributes.local_pref)
        };
        let usual = (!external).then_some(100);
        assert_eq!(last_choice(&net), (false, usual));
        let now = net.now;
        assert!(net.speaker(1).set_draining(now, true));
        assert!(!net.speaker(1).set_draining(now, true));
        net.run(SECOND);
        assert_eq!(last_choice(&net), (true, (!external).then_some(0)));
        assert!(net.speaker(1).set_draining(now, false));
        net.run(SECOND);
        assert_eq!(last_choice(&net), (false, usual));
    }
}

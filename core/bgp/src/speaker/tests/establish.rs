//! Sessions that come up, and that do not.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::Family;

use super::net::*;
use crate::config::{PeerAsn, PrefixLimit, Reach};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn over_each_transport() {
    for transport in [Transport::V4, Transport::V6, Transport::LinkLocal] {
        let net = established(transport, |_, _, _| {});
        let peer = net.peer(0);
        let negotiated = peer.negotiated.unwrap();
        assert_eq!(
            (negotiated.asn, negotiated.external),
            (asn(1), true),
            "{transport:?}"
        );
        assert_eq!(negotiated.hold_time, 90 * SECOND);
        assert_eq!(negotiated.keepalive, 30 * SECOND);
        assert!(
            negotiated.four_octet_as && negotiated.route_refresh && negotiated.enhanced_refresh
        );
        assert!(negotiated.extended_messages && negotiated.extended_next_hop);
        assert_eq!(negotiated.peer_restart_time, Some(120 * SECOND));
        assert!(
            peer.families
                .iter()
                .all(|f| f.negotiated && f.end_of_rib_sent && f.end_of_rib_received)
        );
        // Up within a few round trips, not after a retry.
        assert!(
            peer.established_since
                .unwrap()
                .since(tapway_model::Instant::from_nanos(1_000_000_000))
                < SECOND
        );
    }
}

#[test]
fn one_side_passive() {
    for passive in 0..2 {
        let net = established(Transport::V4, |node, _, peer| {
            peer.passive = node == passive
        });
        assert!(net.nodes[passive].connects.is_empty());
        assert_eq!(net.nodes[1 - passive].connects.len(), 1);
    }
}

#[test]
fn stays_up_with_keepalives_alone() {
    let mut net = established(Transport::V4, |_, _, _| {});
    net.run(3600 * SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    let peer = net.peer(0);
    assert_eq!(peer.established_count, 1);
    // Every 30 s at most and 22.5 s at least (RFC 4271 §10).
    assert!(
        (119..=165).contains(&peer.received.keepalive),
        "{}",
        peer.received.keepalive
    );
}

#[test]
fn without_hold_time_nothing_is_sent() {
    let mut net = established(Transport::V4, |node, _, peer| {
        if node == 0 {
            peer.hold_time = Duration::ZERO;
        }
    });
    let before = net.peer(0).received.messages();
    net.run(3600 * SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    assert_eq!(net.peer(0).received.messages(), before);
}

#[test]
fn hold_timer_expires_when_the_peer_is_silent() {
    let mut net = established(Transport::V4, |_, _, _| {});
    net.cut = true;
    net.run(89 * SECOND);
    assert_ne!(net.states(), [State::Idle; 2]);
    net.run(40 * SECOND);
    assert_eq!(net.peer(0).last_sent.unwrap().1.text, "Hold Timer Expired");
    net.mend();
    net.run(200 * SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
}

#[test]
fn wrong_settings_are_told_and_do_not_hammer() {
    struct Row {
        what: &'static str,
        change: fn(usize, &mut config::SpeakerConfig, &mut config::PeerConfig),
        sent: (u8, u8),
    }
    let rows = [
        Row {
            what: "as",
            change: |n, _, p| {
                if n == 0 {
                    p.asn = PeerAsn::Number(65099)
                }
            },
            sent: (2, 2),
        },
        Row {
            what: "internal",
            change: |n, _, p| {
                if n == 0 {
                    p.asn = PeerAsn::Internal
                }
            },
            sent: (2, 2),
        },
        Row {
            what: "external",
            change: |n, s, p| {
                s.asn = 65001;
                p.asn = if n == 0 {
                    PeerAsn::External
                } else {
                    PeerAsn::Internal
                };
            },
            sent: (2, 2),
        },
        Row {
            what: "same identifier inside an AS",
            change: |_, s, p| {
                s.asn = 65001;
                s.router_id = [192, 0, 2, 9].into();
                p.asn = PeerAsn::Internal;
            },
            sent: (2, 3),
        },
        Row {
            what: "no common family",
            change: |n, _, p| p.families = [[Family::Ipv4], [Family::Ipv6]][n].to_vec(),
            sent: (2, 7),
        },
    ];
    for Row { what, change, sent } in rows {
        let mut net = pair(Transport::V4, change);
        net.link_up(Transport::V4);
        net.run(60 * SECOND);
        assert!(
            net.states().iter().all(|s| *s < State::Established),
            "{what}"
        );
        let last = net.peer(0).last_sent.unwrap().1;
        assert_eq!((last.code, last.subcode), sent, "{what}");
        assert!(last.detail.is_some(), "{what}: {last}");
        let connects = net.nodes[0].connects.len() + net.nodes[1].connects.len();
        assert!(connects < 30, "{what}: {connects} connections in a minute");
    }
}

#[test]
fn any_external_and_any_internal() {
    established(Transport::V4, |_, _, p| p.asn = PeerAsn::External);
    let net = established(Transport::V4, |_, s, p| {
        s.asn = 4_200_000_001;
        p.asn = PeerAsn::Internal;
    });
    assert!(!net.peer(0).negotiated.unwrap().external);
}

#[test]
fn retries_back_off() {
    let mut net = pair(Transport::V4, |_, _, _| {});
    net.nodes[1].listens = false;
    net.reach(0, Transport::V4);
    net.run(300 * SECOND);
    let times: Vec<u64> = net.nodes[0]
        .connects
        .windows(2)
        .map(|w| w[1].since(w[0]).as_millis() as u64)
        .collect();
    assert!((9..20).contains(&times.len()), "{times:?}");
    for (i, time) in times.iter().enumerate() {
        let full = [5_000, 5_000, 10_000, 20_000]
            .get(i)
            .copied()
            .unwrap_or(30_000);
        assert!((full * 3 / 4..=full + 2).contains(time), "{i}: {times:?}");
    }
    // It is told once that nobody answers, not every time.
    let downs = net.nodes[0]
        .events
        .iter()
        .filter(|e| matches!(e, Event::Down { .. }))
        .count();
    assert_eq!(downs, 1);
    // The link comes back: at once.
    net.nodes[1].listens = true;
    net.link_down(0);
    net.reach(0, Transport::V4);
    net.reach(1, Transport::V4);
    net.run(SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
}

#[test]
fn a_peer_that_closes_at_once_is_not_hammered() {
    let mut net = established(Transport::V4, |node, _, p| {
        p.passive = node == 1;
        p.graceful_restart = None;
    });
    net.nodes[0].connects.clear();
    for _ in 0..200 {
        net.run(SECOND / 4);
        let now = net.now;
        net.speaker(1).reset_hard(now, &name("peer"), None);
    }
    let connects = net.nodes[0].connects.len();
    assert!(
        (3..12).contains(&connects),
        "{connects} connections in 50 s"
    );
}

#[test]
fn link_down_ends_the_session_at_once() {
    let mut net = established(Transport::V4, |_, _, p| p.install = install());
    net.announce(1, "0.0.0.0/0");
    net.run(SECOND);
    assert_eq!(net.nodes[0].speaker.installable(Family::Ipv4).len(), 1);
    net.nodes[0].changed.clear();
    net.link_down(0);
    net.settle();
    let now = net.now;
    net.speaker(0).set_peer_endpoint(now, &name("peer"), None);
    net.settle();
    assert_eq!(net.peer(0).state, State::Idle);
    assert!(last_down(&net, 0).contains("link down"));
    assert!(net.nodes[0].speaker.installable(Family::Ipv4).is_empty());
    assert_eq!(net.nodes[0].changed, [Family::Ipv4]);
    assert!(net.received(0).is_empty());
    assert!(!net.peer(0).reachable);
    let before = net.nodes[0].connects.len();
    net.run(60 * SECOND);
    assert_eq!(net.nodes[0].connects.len(), before);
    assert_eq!(net.peer(0).state, State::Idle);
}

#[test]
fn a_session_over_several_hops_survives_a_lost_link() {
    let mut net = pair(Transport::V4, |_, _, p| p.reach = Reach::Multihop(255));
    net.link_up(Transport::V4);
    net.run(SECOND);
    net.link_down(0);
    let now = net.now;
    net.speaker(0).set_peer_endpoint(now, &name("peer"), None);
    net.run(60 * SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
}

#[test]
fn strangers_are_closed_and_told_once() {
    let mut net = pair(Transport::V4, |_, _, _| {});
    net.reach(0, Transport::V4);
    for _ in 0..5 {
        net.stranger(0, "203.0.113.66:1234".parse().unwrap());
    }
    net.run(11 * SECOND);
    net.stranger(0, "[::ffff:203.0.113.66]:1234".parse().unwrap());
    net.settle();
    let told: Vec<u64> = net
        .take_events(0)
        .into_iter()
        .filter_map(|e| match e {
            Event::UnknownPeer { remote, suppressed } => {
                assert_eq!(remote, "203.0.113.66".parse::<core::net::IpAddr>().unwrap());
                Some(suppressed)
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [0, 4]);
}

#[test]
fn shutdown_is_told_with_its_message() {
    for notification in [false, true] {
        let mut net = established(Transport::V4, |_, _, p| {
            p.graceful_restart.as_mut().unwrap().notification = notification
        });
        net.announce(0, "203.0.113.1/32");
        net.run(SECOND);
        let now = net.now;
        net.speaker(0)
            .shutdown(now, Some(String::from("power off ⚡")));
        net.run(SECOND / 10);
        let got = net.peer(1).last_received.unwrap().1;
        assert_eq!((got.code, got.subcode, got.hard), (6, 2, notification));
        assert_eq!(got.message.as_deref(), Some("power off ⚡"));
        assert!(net.received(1).is_empty());
        net.run(300 * SECOND);
        assert_eq!(net.peer(0).state, State::Idle);
        assert_eq!(net.nodes[0].speaker.announcements().count(), 0);
    }
}

#[test]
fn disable_enable_reset_remove() {
    let mut net = established(Transport::V4, |_, _, _| {});
    let (now, peer) = (net.now, name("peer"));
    assert!(
        net.speaker(0)
            .disable(now, &peer, Some("maintenance".into()))
    );
    net.run(120 * SECOND);
    assert_eq!(net.peer(0).state, State::Idle);
    assert!(net.peer(0).disabled);
    assert_eq!(
        net.peer(1).last_received.unwrap().1.code,
        6,
        "refused or shut down"
    );
    let remote = at(1, Transport::V4, 0).ip();
    assert_eq!(net.nodes[0].speaker.listen_peer_at(remote, 0), None);
    let now = net.now;
    assert!(net.speaker(0).enable(now, &peer));
    net.run(SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    let now = net.now;
    assert!(net.speaker(0).reset_hard(now, &peer, None));
    net.run(5 * SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    assert_eq!(net.peer(0).established_count, 3);
    let now = net.now;
    assert!(net.speaker(0).remove_peer(now, &peer));
    assert!(!net.speaker(0).remove_peer(now, &peer));
    net.run(SECOND);
    let got = net.peer(1).last_received.unwrap().1;
    assert_eq!((got.code, got.subcode), (6, 3));
    assert!(!net.speaker(0).disable(now, &peer, None));
}

#[test]
fn changed_settings_reset_only_if_they_must() {
    type Change = fn(&mut config::PeerConfig);
    let rows: [(&str, Change, PeerChange); 10] = [
        ("nothing", |_| {}, PeerChange::Unchanged),
        (
            "import",
            |p| p.import = policy_name("none"),
            PeerChange::Applied,
        ),
        (
            "export",
            |p| p.export = policy_name("none"),
            PeerChange::Applied,
        ),
        (
            "next hop",
            |p| p.next_hop.ipv4 = config::NextHopTo::Address([192, 0, 2, 77].into()),
            PeerChange::Applied,
        ),
        (
            "limit",
            |p| p.prefix_limit = PrefixLimit::new(5),
            PeerChange::Applied,
        ),
        ("passive", |p| p.passive = true, PeerChange::Applied),
        (
            "retry",
            |p| p.connect_retry = Duration::from_secs(1),
            PeerChange::Applied,
        ),
        (
            "hold time",
            |p| p.hold_time = Duration::from_secs(30),
            PeerChange::Reset,
        ),
        (
            "families",
            |p| p.families = [Family::Ipv4].to_vec(),
            PeerChange::Reset,
        ),
        (
            "password",
            |p| p.password = Some(config::Secret::new("x".into())),
            PeerChange::Reset,
        ),
    ];
    for (what, change, expected) in rows {
        let mut net = established(Transport::V4, |_, _, _| {});
        let mut config = net.nodes[0]
            .speaker
            .peer_config(&name("peer"))
            .unwrap()
            .clone();
        change(&mut config);
        let now = net.now;
        let own = net.speaker(0).config().clone();
        let foreseen = net.speaker(0).resets(&name("peer"), &config, &own);
        assert_eq!(
            !foreseen.is_empty(),
            expected == PeerChange::Reset,
            "{what}"
        );
        assert_eq!(net.speaker(0).set_peer(now, config), expected, "{what}");
        net.run(5 * SECOND);
        assert_eq!(net.states(), [State::Established; 2], "{what}");
        let count = if expected == PeerChange::Reset { 2 } else { 1 };
        assert_eq!(net.peer(0).established_count, count, "{what}");
    }
}

#[test]
fn a_passive_peer_that_may_connect_now_does() {
    let mut net = pair(Transport::V4, |_, _, p| p.passive = true);
    net.link_up(Transport::V4);
    net.run(60 * SECOND);
    assert_eq!(net.states(), [State::Active; 2]);
    let now = net.now;
    net.speaker(0).set_peer(now, peer_config(1, Transport::V4));
    net.run(SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
}

#[test]
fn a_link_that_flaps_unseen_is_no_end() {
    // Nobody says that the endpoint was gone in between; or it is told once more.
    for told in [false, true] {
        let mut net = established(Transport::V4, |_, _, p| p.passive = false);
        net.link_down(0);
        assert_eq!(net.peer(0).state, State::Idle);
        if told {
            net.reach(0, Transport::V4);
            net.run(Duration::from_millis(50));
            assert!(net.nodes[0].connects.len() > 1, "at once");
        }
        net.run(3 * SECOND);
        assert_eq!(net.states(), [State::Established; 2], "told {told}");
    }
}

//! Graceful restart, both roles (RFC 4724, RFC 8538).

use alloc::vec::Vec;
use core::time::Duration;

use tapway_bgp_wire::{AsPath, Attributes, EncodeContext, NextHop, UpdateBuilder};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::several::{self, NOW, conn, tor};
use crate::config::GracefulRestart;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);
const V4: &str = "203.0.113.1/32";
const V4_OTHER: &str = "203.0.113.2/32";
const V6: &str = "2001:db8:1::1/128";

/// Node 1 has announced three routes to node 0, which installs nothing.
fn with_routes() -> Net {
    let mut net = established(Transport::V4, |_, _, _| {});
    for prefix in [V4, V4_OTHER, V6] {
        net.announce(1, prefix);
    }
    net.run(SECOND);
    assert_eq!(net.received(0), [V4, V4_OTHER, V6]);
    net.take_events(0);
    net
}

fn restart(net: &mut Net, start: StartKind) {
    let config = net.nodes[1]
        .speaker
        .peer_config(&name("peer"))
        .unwrap()
        .clone();
    net.replace(1, start, config);
    net.settle();
}

fn done(net: &mut Net) {
    let now = net.now;
    net.speaker(1).set_restart_done(now);
}

#[test]
fn routes_are_kept_then_end_of_rib_removes_the_rest() {
    let mut net = with_routes();
    restart(&mut net, warm());
    net.run(SECOND / 10);
    let stale: Vec<_> = [V4, V4_OTHER, V6]
        .map(|p| alloc::format!("{p} stale"))
        .into();
    assert_eq!(net.received(0), stale);
    assert!(net.peer(0).restarting_until.is_some());

    // The new process announces at once what it knows from before; one route is not claimed any more.
    net.announce(1, V4);
    net.announce(1, V6);
    net.reach(1, Transport::V4);
    net.run(5 * SECOND);
    let peer = net.peer(0);
    assert_eq!(peer.state, State::Established);
    assert!(peer.negotiated.as_ref().unwrap().peer_restarted, "R bit");
    assert!(peer.restarting_until.is_none());
    assert_eq!(
        net.received(0),
        [V4.into(), alloc::format!("{V4_OTHER} stale"), V6.into()]
    );
    assert!(
        !peer.families[0].end_of_rib_received,
        "not before the grace is over"
    );

    done(&mut net);
    net.run(SECOND);
    assert_eq!(net.received(0), [V4, V6]);
    assert!(
        net.peer(0)
            .families
            .iter()
            .all(|f| f.end_of_rib_received && f.stale == 0)
    );
    let removed: Vec<_> = net
        .take_events(0)
        .into_iter()
        .filter(|e| matches!(e, Event::StaleRemoved { .. }))
        .collect();
    assert_eq!(
        removed,
        [Event::StaleRemoved {
            peer: name("peer"),
            family: Family::Ipv4,
            routes: 1
        }]
    );
}

#[test]
fn end_of_rib_follows_the_routes() {
    // Both become ready in one turn: the order on the wire decides.
    let mut net = with_routes();
    restart(&mut net, warm());
    net.announce(1, V4);
    done(&mut net);
    net.reach(1, Transport::V4);
    net.run(SECOND);
    assert_eq!(net.received(0), [V4]);
    let order: Vec<_> = net
        .take_events(0)
        .into_iter()
        .filter_map(|e| match e {
            Event::StaleRemoved { family, routes, .. } => Some((family, routes)),
            _ => None,
        })
        .collect();
    // V4 was never removed: the one that remained was refreshed before End-of-RIB.
    assert_eq!(order, [(Family::Ipv4, 1), (Family::Ipv6, 1)]);
}

#[test]
fn forwarding_bits() {
    let rows: [(&str, StartKind, &[&str]); 3] = [
        ("both preserved", warm(), &[V4, V4_OTHER, V6]),
        (
            "only one",
            StartKind::Warm {
                preserved: [Family::Ipv6].into(),
            },
            &[V6],
        ),
        ("none: a cold start", StartKind::Cold, &[]),
    ];
    for (what, start, kept) in rows {
        let mut net = with_routes();
        restart(&mut net, start);
        net.reach(1, Transport::V4);
        net.run(SECOND / 10);
        assert_eq!(net.peer(0).state, State::Established, "{what}");
        let kept: Vec<_> = kept.iter().map(|p| alloc::format!("{p} stale")).collect();
        assert_eq!(net.received(0), kept, "{what}");
    }
}

#[test]
fn the_restart_time_ends_it() {
    let mut net = with_routes();
    restart(&mut net, warm());
    net.run(119 * SECOND);
    assert_eq!(net.received(0).len(), 3);
    net.run(2 * SECOND);
    assert!(net.received(0).is_empty());
    assert!(net.peer(0).restarting_until.is_none());
}

#[test]
fn a_peer_that_never_ends_its_rib_loses_stale_routes_in_the_end() {
    let mut net = with_routes();
    restart(&mut net, warm());
    net.announce(1, V4);
    net.reach(1, Transport::V4);
    net.run(300 * SECOND);
    assert_eq!(net.received(0).len(), 3);
    net.run(100 * SECOND);
    assert_eq!(net.received(0), [V4]);
}

#[test]
fn a_lost_connection_is_a_restart_with_forwarding_kept() {
    let mut net = with_routes();
    net.break_connections();
    net.run(SECOND / 10);
    assert!(net.received(0).iter().all(|r| r.ends_with("stale")));
    net.run(10 * SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    assert!(
        !net.peer(0).negotiated.unwrap().peer_restarted,
        "R is only for the process"
    );
    assert_eq!(net.received(0), [V4, V4_OTHER, V6]);
    let lost = |e: &Event| matches!(e, Event::StaleRemoved { .. });
    assert!(
        !net.take_events(0).iter().any(lost),
        "nothing was lost in between"
    );
}

#[test]
fn notifications() {
    // N bit on both sides, hard -> kept.
    let rows = [
        (false, false, false),
        (true, false, true),
        (true, true, false),
    ];
    for (n_bit, hard, kept) in rows {
        let mut net = established(Transport::V4, |_, _, peer| {
            peer.graceful_restart = Some(GracefulRestart {
                time: 120 * SECOND,
                notification: n_bit,
                long_lived: None,
            });
        });
        net.announce(1, V4);
        net.announce(0, V6);
        net.run(SECOND);
        let now = net.now;
        if hard {
            net.speaker(1).disable(now, &name("peer"), None);
        } else {
            net.speaker(1).reset_hard(now, &name("peer"), None);
        }
        net.run(SECOND / 10);
        for node in 0..2 {
            let stale = |e: &Event| matches!(e, Event::StaleKept { .. });
            let events = net.take_events(node);
            assert_eq!(
                events.iter().any(stale),
                kept,
                "n {n_bit} hard {hard} node {node}"
            );
        }
    }
}

#[test]
fn off_means_off() {
    let mut net = established(Transport::V4, |node, _, peer| {
        if node == 0 {
            peer.graceful_restart = None;
        }
    });
    net.announce(1, V4);
    net.run(SECOND);
    net.break_connections();
    net.run(SECOND / 10);
    assert!(net.received(0).is_empty());
}

#[test]
fn installed_routes_stay_while_the_peer_restarts() {
    let mut net = established(Transport::V4, |_, _, peer| {
        peer.import = policy_name("default-route");
        peer.install = install();
    });
    net.announce(1, "0.0.0.0/0");
    net.announce(1, V4);
    net.run(SECOND);
    let before = net.nodes[0].speaker.installable(Family::Ipv4);
    assert_eq!(before.len(), 1);
    assert!(!net.nodes[0].speaker.awaits_first_routes(Family::Ipv4));
    restart(&mut net, warm());
    net.run(SECOND / 10);
    let during = net.nodes[0].speaker.installable(Family::Ipv4);
    assert_eq!(
        during,
        [Installable {
            stale: true,
            ..before[0].clone()
        }]
    );
    assert!(net.nodes[1].speaker.awaits_first_routes(Family::Ipv4) || !net.peer(1).reachable);
    net.announce(1, "0.0.0.0/0");
    net.reach(1, Transport::V4);
    assert!(net.nodes[1].speaker.awaits_first_routes(Family::Ipv4));
    net.run(SECOND);
    assert_eq!(net.nodes[0].speaker.installable(Family::Ipv4), before);
    assert!(
        !net.nodes[1].speaker.awaits_first_routes(Family::Ipv4),
        "node 0 sent End-of-RIB"
    );
}

#[test]
fn a_link_that_goes_down_takes_what_was_kept() {
    let mut net = with_routes();
    restart(&mut net, warm());
    net.run(SECOND / 10);
    assert_eq!(net.received(0).len(), 3);
    net.link_down(0);
    assert!(net.received(0).is_empty());
    assert!(net.peer(0).restarting_until.is_none());
}

/// A peer that is back may find us with other addresses: by those it is decided which of its kept routes count.
#[test]
fn kept_routes_are_judged_by_the_new_session() {
    let mut speaker = several::with(1, |_, _| {});
    let before = LocalAddresses {
        v4: Some([198, 51, 100, 200].into()),
        ..addresses(0)
    };
    speaker.set_local_addresses(NOW, conn(1), before);
    let by = NextHop::V4(addresses(0).v4.unwrap());
    let attributes = Attributes {
        as_path: AsPath::sequence([asn(1)]),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    let prefix: Prefix = V4.parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, by, [prefix])
        .unwrap();
    speaker.handle_data(NOW, conn(1), &bytes);
    let kept = |speaker: &Speaker| {
        let route = speaker.received(&tor(1)).next().unwrap();
        (route.stale, route.refused)
    };
    assert_eq!(kept(&speaker), (false, None));
    speaker.handle_closed(NOW, conn(1), "gone");
    assert_eq!(kept(&speaker), (true, None));
    // This one has the address that the route leads to as ours.
    several::accept(&mut speaker, 1, conn(2), [192, 0, 2, 2].into());
    assert_eq!(kept(&speaker), (true, Some(Refusal::OwnNextHop)));
}

//! Two connections with one peer (RFC 4271 §6.8).

use core::time::Duration;

use tapway_model::Instant;

use super::net::*;
use crate::config::{PeerAsn, PeerConfig, SpeakerConfig};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// Which side's connection stayed: the node that opened it.
fn opener(net: &Net) -> usize {
    let ids: alloc::vec::Vec<ConnId> = (0..2).map(|n| net.peer(n).connection.unwrap().0).collect();
    match (ids[0], ids[1]) {
        (ConnId::Outgoing(_), ConnId::Incoming(_)) => 0,
        (ConnId::Incoming(_), ConnId::Outgoing(_)) => 1,
        other => panic!("two ends of different connections: {other:?}"),
    }
}

#[test]
fn the_higher_identifier_wins_on_both_sides() {
    for high in 0..2usize {
        let mut net = pair(Transport::V4, |node, speaker, _| {
            speaker.router_id = [192, 0, 2, if node == high { 200 } else { 100 }].into();
        });
        net.link_up(Transport::V4);
        net.run(SECOND);
        assert_eq!(net.states(), [State::Established; 2]);
        assert_eq!(
            net.nodes[0].connects.len() + net.nodes[1].connects.len(),
            2,
            "both connected"
        );
        assert_eq!(opener(&net), high);
        assert_eq!(net.peer(0).established_count, 1);
        // The one that went is no failure of the session.
        for node in 0..2 {
            assert!(
                net.peer(node).last_down.is_none(),
                "{}",
                last_down(&net, node)
            );
        }
    }
}

#[test]
fn equal_identifiers_are_decided_by_as() {
    for high in 0..2usize {
        let mut net = pair(Transport::V4, |node, speaker, peer| {
            speaker.router_id = [192, 0, 2, 1].into();
            speaker.asn = if node == high { 65200 } else { 65100 };
            peer.asn = PeerAsn::External;
        });
        net.link_up(Transport::V4);
        net.run(SECOND);
        assert_eq!(net.states(), [State::Established; 2]);
        assert_eq!(opener(&net), high);
    }
}

/// The second connection comes a little later, at every point of the first one's life.
#[test]
fn whenever_the_second_comes() {
    for high in 0..2usize {
        for late in 0..40u32 {
            let change = |node: usize, speaker: &mut SpeakerConfig, _: &mut PeerConfig| {
                speaker.router_id = [192, 0, 2, if node == high { 200 } else { 100 }].into();
            };
            let mut net = pair(Transport::V4, change);
            // The one who is late can be connected to already.
            let far = Endpoint {
                remote: at(0, Transport::V4, 179),
                local: None,
                ifindex: IFINDEX,
            };
            let mut passive = peer_config(0, Transport::V4);
            passive.passive = true;
            let now = net.now;
            net.speaker(1).set_peer(now, passive);
            net.speaker(1)
                .set_peer_endpoint(now, &name("peer"), Some(far));
            net.reach(0, Transport::V4);
            net.run(LATENCY * late / 8);
            let mut active = peer_config(0, Transport::V4);
            active.connect_retry = Duration::from_secs(3);
            let now = net.now;
            net.speaker(1).set_peer(now, active);
            net.speaker(1).set_peer_endpoint(now, &name("peer"), None);
            net.speaker(1)
                .set_peer_endpoint(now, &name("peer"), Some(far));
            net.run(20 * SECOND);
            assert_eq!(
                net.states(),
                [State::Established; 2],
                "high {high} late {late}"
            );
            opener(&net);
            net.run(600 * SECOND);
            assert_eq!(
                net.states(),
                [State::Established; 2],
                "high {high} late {late}"
            );
            assert!(
                net.peer(0).established_count <= 2,
                "high {high} late {late}"
            );
        }
    }
}

/// A connection that nobody answers on must not keep the peer's own out.
#[test]
fn a_hanging_attempt_gives_way() {
    let mut net = pair(Transport::V4, |_, _, _| {});
    let remote = at(1, Transport::V4, 179);
    net.nodes[1].listens = false;
    net.hang = true;
    net.reach(0, Transport::V4);
    net.run(SECOND);
    assert_eq!(net.peer(0).state, State::Connect);
    net.hang = false;
    net.nodes[1].listens = true;
    net.reach(1, Transport::V4);
    net.run(SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    assert_eq!(net.peer(1).connection.unwrap().1.local.ip(), remote.ip());
    assert_eq!(opener(&net), 1);
}

/// The old connection is dead, and only the peer knows: without graceful restart the new one is refused
/// until the old one is found dead; with it, the new one takes over.
#[test]
fn a_second_connection_while_established() {
    for graceful in [false, true] {
        let mut net = established(Transport::V4, |_, _, peer| {
            if !graceful {
                peer.graceful_restart = None;
            }
        });
        net.announce(1, "203.0.113.1/32");
        net.run(10 * SECOND);
        let keepalives = net.peer(0).sent.keepalive;
        // A new process at the other side; ours has not been told that the old one is gone.
        let mut config = peer_config(0, Transport::V4);
        if !graceful {
            config.graceful_restart = None;
        }
        net.forget(1, warm(), config);
        net.reach(1, Transport::V4);
        net.run(Duration::from_millis(100));
        if graceful {
            assert_eq!(net.states(), [State::Established; 2]);
            assert_eq!(net.received(0), ["203.0.113.1/32 stale"]);
            assert!(last_down(&net, 0).contains("replaced"));
        } else {
            assert_eq!(net.peer(0).state, State::Established);
            let got = net.peer(1).last_received.unwrap().1;
            assert_eq!((got.code, got.subcode), (6, 7));
            assert!(
                net.peer(0).sent.keepalive > keepalives,
                "the old one is probed"
            );
            net.run(300 * SECOND);
            assert_eq!(
                net.states(),
                [State::Established; 2],
                "the hold timer found it"
            );
        }
    }
}

#[test]
fn a_third_connection_replaces_the_second() {
    let mut net = pair(Transport::V4, |_, _, _| {});
    net.nodes[1].listens = false;
    net.hang = true;
    net.reach(0, Transport::V4);
    for port in 0..3 {
        net.stranger(0, at(1, Transport::V4, 5000 + port));
        net.settle();
    }
    assert_eq!(net.peer(0).state, State::OpenSent);
    assert!(net.peer(0).since > Instant::ZERO);
    let (id, info) = net.peer(0).connection.unwrap();
    assert!(matches!(id, ConnId::Incoming(_)));
    assert_eq!(info.remote.port(), 5002);
}

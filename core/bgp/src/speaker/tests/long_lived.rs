//! Long-lived graceful restart (RFC 9494): routes of a peer that stays away for longer.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use tapway_bgp_wire::Community;
use tapway_model::{Family, Instant};

use super::net::*;
use super::several::{self, NOW, conn, tor};
use crate::config::{GracefulRestart, PeerAsn};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);
const RESTART: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);
const V4: &str = "203.0.113.1/32";
const V4_OTHER: &str = "203.0.113.2/32";

fn for_long(long_lived: Option<Duration>) -> Option<GracefulRestart> {
    Some(GracefulRestart {
        time: RESTART,
        notification: false,
        long_lived,
    })
}

/// Node 1 has announced two routes to node 0; each keeps the other's for that long.
fn with_routes(long: [Option<Duration>; 2]) -> Net {
    let mut net = established(Transport::V4, |node, _, peer| {
        peer.graceful_restart = for_long(long[node]);
    });
    for prefix in [V4, V4_OTHER] {
        net.announce(1, prefix);
    }
    net.run(SECOND);
    assert_eq!(net.received(0), [V4, V4_OTHER]);
    net.take_events(0);
    net
}

/// Node 1 is gone, and comes back only when it is told where node 0 is.
fn leave(net: &mut Net, start: StartKind) {
    let config = net.nodes[1].speaker.peer_config(&name("peer")).unwrap();
    let config = config.clone();
    net.replace(1, start, config);
    net.settle();
}

/// What node 0 has, and since which step it is kept long.
fn stale(net: &mut Net) -> (Vec<String>, Vec<Event>) {
    let told = |e: &Event| matches!(e, Event::StaleKeptLong { .. } | Event::StaleRemoved { .. });
    let events = net.take_events(0).into_iter().filter(told).collect();
    (net.received(0), events)
}

fn both_stale() -> Vec<String> {
    [V4, V4_OTHER]
        .map(|p| alloc::format!("{p} long-lived stale"))
        .into()
}

fn kept_long(time: Duration) -> Event {
    Event::StaleKeptLong {
        peer: name("peer"),
        family: Family::Ipv4,
        routes: 2,
        time,
    }
}

fn removed(routes: usize) -> Event {
    Event::StaleRemoved {
        peer: name("peer"),
        family: Family::Ipv4,
        routes,
    }
}

#[test]
fn routes_stay_for_the_shorter_of_both_times_and_go_then() {
    for long in [[LONG, 2 * LONG], [2 * LONG, LONG]] {
        let mut net = with_routes(long.map(Some));
        leave(&mut net, warm());
        net.run(RESTART - SECOND);
        let (routes, events) = stale(&mut net);
        assert_eq!(routes, [V4, V4_OTHER].map(|p| alloc::format!("{p} stale")));
        assert_eq!(events, []);
        net.run(2 * SECOND);
        assert_eq!(
            stale(&mut net),
            (both_stale(), [kept_long(LONG)].into()),
            "{long:?}"
        );
        let until = net.peer(0).families[0].kept_until;
        net.run(LONG - 3 * SECOND);
        assert_eq!(stale(&mut net), (both_stale(), Vec::new()));
        assert_eq!(net.peer(0).families[0].kept_until, until);
        net.run(3 * SECOND);
        assert_eq!(stale(&mut net), (Vec::new(), [removed(2)].into()));
        assert_eq!(net.peer(0).families[0].kept_until, None);
    }
}

#[test]
fn without_a_time_of_both_nothing_is_kept_for_long() {
    for long in [[Some(LONG), None], [None, Some(LONG)], [None, None]] {
        let mut net = with_routes(long);
        let negotiated = net.peer(0).negotiated.unwrap();
        assert!(negotiated.long_lived, "both understand it: {long:?}");
        leave(&mut net, warm());
        net.run(RESTART + SECOND);
        assert_eq!(
            stale(&mut net),
            (Vec::new(), [removed(2)].into()),
            "{long:?}"
        );
    }
}

#[test]
fn the_end_marker_ends_it() {
    let mut net = with_routes([Some(LONG); 2]);
    leave(&mut net, warm());
    net.run(2 * RESTART);
    net.announce(1, V4);
    net.reach(1, Transport::V4);
    net.run(5 * SECOND);
    let other = alloc::format!("{V4_OTHER} long-lived stale");
    assert_eq!(net.received(0), [String::from(V4), other]);
    let now = net.now;
    net.speaker(1).set_restart_done(now);
    net.run(SECOND);
    let (routes, events) = stale(&mut net);
    assert_eq!(routes, [V4]);
    assert_eq!(events, [kept_long(LONG), removed(1)]);
    net.run(2 * LONG);
    assert_eq!(stale(&mut net), ([V4.into()].into(), Vec::new()));
}

#[test]
fn who_comes_back_without_what_it_forwarded_is_not_waited_for() {
    let mut net = with_routes([Some(LONG); 2]);
    leave(&mut net, StartKind::Cold);
    net.run(2 * RESTART);
    assert_eq!(stale(&mut net).0, both_stale());
    net.reach(1, Transport::V4);
    net.run(5 * SECOND);
    assert_eq!(net.peer(0).state, State::Established);
    assert_eq!(stale(&mut net), (Vec::new(), [removed(2)].into()));
}

#[test]
fn a_session_that_is_lost_before_the_end_marker_does_not_begin_anew() {
    let mut net = with_routes([Some(LONG); 2]);
    let end = net.now + RESTART + LONG;
    leave(&mut net, warm());
    net.run(2 * RESTART);
    net.announce(1, V4);
    net.reach(1, Transport::V4);
    net.run(5 * SECOND);
    leave(&mut net, warm());
    net.run(SECOND);
    let (routes, _) = stale(&mut net);
    let fresh = alloc::format!("{V4} stale");
    let old = alloc::format!("{V4_OTHER} long-lived stale");
    assert_eq!(routes, [fresh, old]);
    net.run(RESTART);
    assert_eq!(stale(&mut net), (both_stale(), Vec::new()));
    let left = end.since(net.now);
    net.run(left - 2 * SECOND);
    assert_eq!(stale(&mut net), (both_stale(), Vec::new()));
    net.run(3 * SECOND);
    assert_eq!(stale(&mut net), (Vec::new(), [removed(2)].into()));
}

#[test]
fn settings_end_what_is_kept() {
    for (long, left) in [(None, 0), (Some(LONG / 2), 2), (Some(2 * LONG), 2)] {
        let mut net = with_routes([Some(LONG); 2]);
        leave(&mut net, warm());
        net.run(2 * RESTART);
        assert_eq!(stale(&mut net).0, both_stale());
        let mut config = net.nodes[0]
            .speaker
            .peer_config(&name("peer"))
            .unwrap()
            .clone();
        config.graceful_restart = for_long(long);
        let now = net.now;
        net.speaker(0).set_peer(now, config);
        net.run(SECOND);
        assert_eq!(stale(&mut net).0.len(), left, "{long:?}");
        net.run(LONG / 2);
        let kept = if long == Some(2 * LONG) { 2 } else { 0 };
        assert_eq!(stale(&mut net).0.len(), kept, "{long:?}");
    }
}

/// A reflector that dies of its own table, again and again.
#[test]
fn who_never_sends_all_is_forgotten_in_the_end() {
    let mut net = with_routes([Some(100 * LONG); 2]);
    leave(&mut net, warm());
    net.run(2 * RESTART);
    assert_eq!(stale(&mut net).0, both_stale());
    for round in 0..260 {
        net.announce(1, V4);
        net.reach(1, Transport::V4);
        net.run(130 * SECOND);
        assert_eq!(net.peer(0).state, State::Established, "round {round}");
        leave(&mut net, warm());
        net.run(2 * RESTART);
        let (routes, _) = stale(&mut net);
        let marked = |route: &String| route.ends_with("long-lived stale");
        assert!(routes.iter().all(marked), "round {round}: {routes:?}");
    }
}

/// `tor1` has sent two routes and is away for longer. What the others are told depends on what they understand.
#[test]
fn what_is_kept_long_is_marked_and_only_for_who_understands_it() {
    let mut speaker = several::with(4, |node, peer| {
        peer.asn = PeerAsn::Internal;
        peer.client = true;
        peer.import = policy_name("all");
        peer.export = policy_name("all");
        peer.install = None;
        peer.graceful_restart = (node != 4).then(|| for_long(Some(LONG))).flatten();
    });
    several::send(&mut speaker, 1, V4, |a| a.as_path = Default::default());
    several::send(&mut speaker, 1, V4_OTHER, |a| {
        a.as_path = Default::default();
        a.communities = [Community::NO_LLGR].into();
    });
    several::drain(&mut speaker);
    let told = |speaker: &Speaker, node| -> Vec<(String, Vec<u32>)> {
        let peer = tor(node);
        let all = speaker.advertised(&peer);
        all.map(|r| (r.prefix.to_string(), r.communities)).collect()
    };
    let no_llgr = Community::NO_LLGR.0;
    let fresh: Vec<(String, Vec<u32>)> =
        [(V4.into(), Vec::new()), (V4_OTHER.into(), [no_llgr].into())].into();
    for node in [2, 3, 4] {
        assert_eq!(told(&speaker, node), fresh, "tor{node}");
    }
    speaker.handle_closed(NOW, conn(1), "gone");
    several::drain(&mut speaker);
    for node in [2, 3, 4] {
        assert_eq!(told(&speaker, node), fresh, "tor{node}, restarting");
    }
    let later = NOW + RESTART;
    speaker.handle_timeout(later);
    drain_at(&mut speaker, later);
    let marked = [(String::from(V4), [Community::LLGR_STALE.0].into())];
    for node in [2, 3] {
        assert_eq!(told(&speaker, node), marked, "tor{node}");
    }
    assert_eq!(told(&speaker, 4), [], "does not understand it");

    // Another's, however much worse, is better.
    several::send(&mut speaker, 2, V4, |a| {
        a.as_path = Default::default();
        a.local_pref = Some(1);
    });
    drain_at(&mut speaker, later);
    let better = [(String::from(V4), Vec::new())];
    for node in [3, 4] {
        assert_eq!(told(&speaker, node), better, "tor{node}");
    }
    // What came with the mark is last as well, and stays with those who understand it.
    several::send(&mut speaker, 2, V4, |a| {
        a.as_path = Default::default();
        a.communities = [Community::LLGR_STALE].into();
    });
    drain_at(&mut speaker, later);
    assert_eq!(told(&speaker, 3), marked);
    assert_eq!(told(&speaker, 4), []);
}

fn drain_at(speaker: &mut Speaker, now: Instant) {
    while speaker.poll_transmit(now).is_some() {}
    while speaker.poll_action().is_some() {}
}

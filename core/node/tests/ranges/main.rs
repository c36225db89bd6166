//! Peers by range: who becomes one, who does not, and for how long; and which sessions other settings end.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../beginning/mod.rs"]
mod beginning;
mod foreseen;
mod world;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tapway_bgp::config::*;
use tapway_bgp::*;
use tapway_bgp_wire::{AsPath, Attributes, EncodeContext, ErrorCode, NextHop, UpdateBuilder};
use tapway_fib::{KernelEvent, Neighbour, Object};
use tapway_model::Prefix;
use tapway_node::{Node, Restored};

use world::*;

#[test]
fn who_is_over_the_limit_is_refused_for_longer_each_time() {
    let mut node = node(vec![edge()]);
    let mut now = NOW;
    let mut waits = Vec::new();
    let mut conn = 1;
    assert_eq!(dial(&mut node, now, conn, "198.51.100.9", ETH0), None);
    for _ in 0..4 {
        assert_eq!(up(&node), ["edge@198.51.100.9"]);
        let told = exceed(&mut node, now, conn, "198.51.100.9");
        assert_eq!(told.error, ErrorCode::CEASE_MAX_PREFIXES);
        let begin = now;
        conn += 1;
        // It tries twice a second.
        while let Some(told) = dial(&mut node, now, conn, "198.51.100.9", ETH0) {
            assert_eq!(told.error, ErrorCode::CEASE_REJECTED);
            now = now + SECOND / 2;
            run_to(&mut node, now);
            conn += 1;
        }
        waits.push(now.since(begin).as_secs_f64());
    }
    // 1, 2, 4, 8 s, each shortened by up to a quarter.
    for (wait, longest) in waits.iter().zip([1.0, 2.0, 4.0, 8.0]) {
        assert!((longest * 0.75..=longest + 0.5).contains(wait), "{waits:?}");
    }
}

#[test]
fn who_was_over_the_limit_is_forgotten_after_a_while() {
    let mut node = node(vec![edge()]);
    dial(&mut node, NOW, 1, "198.51.100.9", ETH0);
    exceed(&mut node, NOW, 1, "198.51.100.9");
    run_to(&mut node, after(599 * SECOND));
    assert_eq!(
        states(&node),
        [("edge@198.51.100.9".to_owned(), State::Active)]
    );
    run_to(&mut node, after(600 * SECOND));
    assert_eq!(states(&node), []);
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn who_is_kept_away_for_longer_is_remembered_for_as_long() {
    let hour = 3600 * SECOND;
    let mut edge = edge();
    edge.prefix_limit.restart = Some(hour);
    let mut node = node(vec![edge]);
    dial(&mut node, NOW, 1, "198.51.100.9", ETH0);
    exceed(&mut node, NOW, 1, "198.51.100.9");
    for (conn, at) in [(2, 601 * SECOND), (3, hour - SECOND)] {
        run_to(&mut node, after(at));
        let told = dial(&mut node, after(at), conn, "198.51.100.9", ETH0).unwrap();
        assert_eq!(told.error, ErrorCode::CEASE_REJECTED);
    }
    run_to(&mut node, after(hour));
    assert_eq!(dial(&mut node, after(hour), 4, "198.51.100.9", ETH0), None);
    assert_eq!(up(&node), ["edge@198.51.100.9"]);
}

/// Whoever has many addresses cannot keep others out, nor fill more memory than the range may.
#[test]
fn those_over_the_limit_make_room_for_others() {
    let edge = range("edge", "198.51.100.0/24", 3, Reach::Direct);
    let mut node = node(vec![edge]);
    let mut conn = 0;
    assert_eq!(dial(&mut node, NOW, 1000, "198.51.100.200", ETH0), None);
    for host in 10..30 {
        conn += 1;
        let remote = format!("198.51.100.{host}");
        assert_eq!(dial(&mut node, NOW, conn, &remote, ETH0), None, "{remote}");
        exceed(&mut node, NOW, conn, &remote);
        assert!(node.members_of(&n("edge")) <= 3);
    }
    for host in 201..203 {
        conn += 1;
        let remote = format!("198.51.100.{host}");
        assert_eq!(dial(&mut node, NOW, conn, &remote, ETH0), None);
    }
    assert_eq!(
        up(&node),
        [200, 201, 202].map(|host| format!("edge@198.51.100.{host}"))
    );
    // All are at work now, so that it is full.
    let told = dial(&mut node, NOW, 2000, "198.51.100.203", ETH0).unwrap();
    assert_eq!(told.error, ErrorCode::CEASE_REJECTED);
    assert_eq!(
        events(&mut node, "peer.range-full"),
        [
            "edge@198.51.100.203 is refused: the range has its 3 peers; raise range_limit if they are all wanted"
        ]
    );
    assert_eq!(node.members_of(&n("edge")), 3);
}

#[test]
fn who_leaves_is_forgotten_at_once() {
    let mut node = node(vec![edge()]);
    dial(&mut node, NOW, 1, "198.51.100.9", ETH0);
    node.handle_closed(NOW, ConnId::Incoming(1), "gone");
    assert_eq!(states(&node), []);
    // The shell could do nothing with the connection, and says no more of it.
    let remote = "198.51.100.9:4000".parse().unwrap();
    node.admit(NOW, remote, ETH0).unwrap();
    node.turn(NOW);
    assert_eq!(states(&node), []);
}

#[test]
fn who_is_written_down_later_comes_before_the_range() {
    let mut node = node(vec![edge()]);
    dial(&mut node, NOW, 1, "198.51.100.9", ETH0);
    dial(&mut node, NOW, 2, "198.51.100.10", ETH0);
    node.set_peer(NOW, peer("tor9", at("198.51.100.9"), Reach::Direct));
    let told = closed(&mut node, NOW);
    let told = notification(&told[&ConnId::Incoming(1)]).unwrap();
    assert_eq!(told.error, ErrorCode::CEASE_DECONFIGURED);
    assert_eq!(up(&node), ["edge@198.51.100.10"]);
    assert_eq!(dial(&mut node, NOW, 3, "198.51.100.9", ETH0), None);
    assert_eq!(up(&node), ["edge@198.51.100.10", "tor9"]);
    // It is the range's again when it is not written down any more.
    node.remove_peer(NOW, &n("tor9"));
    dial(&mut node, NOW, 4, "198.51.100.9", ETH0);
    assert_eq!(up(&node), ["edge@198.51.100.10", "edge@198.51.100.9"]);
}

#[test]
fn a_longer_prefix_later_comes_before_a_shorter_one() {
    let mut node = node(vec![edge()]);
    dial(&mut node, NOW, 1, "198.51.100.9", ETH0);
    dial(&mut node, NOW, 2, "198.51.100.10", ETH0);
    let near = || range("near", "198.51.100.8/31", 10, Reach::Direct);
    node.set_peer(NOW, near());
    assert_eq!(up(&node), ["edge@198.51.100.10"]);
    dial(&mut node, NOW, 3, "198.51.100.9", ETH0);
    assert_eq!(up(&node), ["edge@198.51.100.10", "near@198.51.100.9"]);
    // Disabled, it lets nobody in by the other one.
    node.disable_peer(NOW, &n("near"), None);
    let told = dial(&mut node, NOW, 4, "198.51.100.9", ETH0).unwrap();
    assert_eq!(told.error, ErrorCode::CEASE_ADMIN_SHUTDOWN);
    assert_eq!(up(&node), ["edge@198.51.100.10"]);
}

#[test]
fn an_unnumbered_peer_is_not_let_in_twice() {
    let link_local = || range("edge", "fe80::/10", 10, Reach::Direct);
    let tor = || {
        peer(
            "tor1",
            PeerAddress::Interface(ifname("eth0")),
            Reach::Direct,
        )
    };
    let mut kernel = small_kernel();
    put(&mut kernel, ETH0, "fe80::1", 64);
    let mut node = node_in(&kernel, vec![link_local(), tor()], Restored::default());
    let dial = |node: &mut Node, conn| {
        let scoped = "[fe80::9%2]:4000".parse().unwrap();
        node.admit(NOW, scoped, ETH0).unwrap();
        let local = "[fe80::1%2]:179".parse().unwrap();
        let info = ConnInfo {
            local,
            remote: scoped,
            ifindex: ETH0,
        };
        node.handle_accepted(NOW, ConnId::Incoming(conn), info);
    };
    // Not heard yet, it is a stranger at an address in the range.
    dial(&mut node, 1);
    let names = |node: &Node| states(node).into_iter().map(|s| s.0).collect::<Vec<_>>();
    assert_eq!(names(&node), ["edge@fe80::9@eth0", "tor1"]);
    let heard = Neighbour {
        index: ETH0,
        addr: "fe80::9".parse().unwrap(),
        mac: Some([2, 0, 0, 0, 0, 9]),
        state: 2,
        router: true,
        protocol: 0,
    };
    node.handle_kernel(NOW, [KernelEvent::Present(Object::Neighbour(heard))]);
    assert_eq!(names(&node), ["tor1"]);
    dial(&mut node, 2);
    assert_eq!(names(&node), ["tor1"]);
    assert_ne!(states(&node)[0].1, State::Active, "the connection is its");
}

#[test]
fn a_range_is_not_for_guests() {
    for (reach, address) in [
        (Reach::Multihop(4), "10.3.0.1"),
        (Reach::Multihop(4), "10.77.0.1"),
        (Reach::Direct, "198.51.100.77"),
    ] {
        let any = range("edge", "0.0.0.0/0", 10, reach);
        let mut node = node(vec![any]);
        guest(&mut node);
        let mut port = small_kernel().link(TAP0).unwrap().clone();
        port.master = Some(BR0);
        for way in [TAP0, BR0, 0] {
            if way == BR0 {
                node.handle_kernel(NOW, [KernelEvent::Link(port.clone())]);
            }
            let remote = SocketAddr::new(address.parse().unwrap(), 4000);
            assert_eq!(node.admit(NOW, remote, way), Err(Vec::new()));
            assert_eq!(states(&node), []);
        }
        // Told once, not each time.
        let told = events(&mut node, "peer.range-guest");
        let name = format!("edge@{address} is refused: it came in on tap0, where guests are");
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with(&name), "{told:?}");
        // Nobody else is meant, whatever the address.
        assert_eq!(dial(&mut node, NOW, 1, "198.51.100.77", ETH0), None);
        assert_eq!(up(&node), ["edge@198.51.100.77"]);
        // Nor is a guest let in by the address of a member.
        let remote = SocketAddr::new("198.51.100.77".parse().unwrap(), 4001);
        assert_eq!(node.admit(NOW, remote, TAP0), Err(Vec::new()));
        assert_eq!(node.admit(NOW, remote, ETH0), Ok(()));
    }
}

/// What `Settings::change` does: what differs from the configuration in force is set again.
#[test]
fn a_reload_does_not_let_a_disabled_range_in() {
    let mut node = node(vec![edge()]);
    dial(&mut node, NOW, 1, "198.51.100.9", ETH0);
    node.disable_peer(NOW, &n("edge"), Some("maintenance".into()));
    let told = closed(&mut node, NOW);
    let told = notification(&told[&ConnId::Incoming(1)]).unwrap();
    assert_eq!(told.error, ErrorCode::CEASE_ADMIN_SHUTDOWN);
    assert_eq!(told.message().as_deref(), Some("maintenance"));
    assert_eq!(states(&node), []);
    assert_eq!(node.config().peers.get(&n("edge")), Some(&edge()));
    node.set_peer(NOW, edge());
    let other = PeerConfig {
        prefix_limit: PrefixLimit::new(7),
        ..edge()
    };
    node.set_peer(NOW, other);
    assert!(node.is_range_disabled(&n("edge")));
    let told = dial(&mut node, NOW, 2, "198.51.100.9", ETH0).unwrap();
    assert_eq!(told.error, ErrorCode::CEASE_ADMIN_SHUTDOWN);
    assert_eq!(told.message().as_deref(), Some("maintenance"));
    assert!(node.enable_peer(NOW, &n("edge")));
    dial(&mut node, NOW, 3, "198.51.100.9", ETH0);
    assert_eq!(up(&node), ["edge@198.51.100.9"]);
}

#[test]
fn a_range_is_disabled_as_a_peer_is() {
    let disabled = || PeerConfig {
        disabled: true,
        ..edge()
    };
    let lets_in = |node: &mut Node, conn| dial(node, NOW, conn, "198.51.100.9", ETH0).is_none();
    // By the configuration, until it says otherwise or the operator does.
    let mut by_file = node(vec![disabled()]);
    assert!(!lets_in(&mut by_file, 1));
    by_file.set_peer(NOW, edge());
    assert!(lets_in(&mut by_file, 2));
    by_file.set_peer(NOW, disabled());
    assert_eq!(states(&by_file), []);
    by_file.enable_peer(NOW, &n("edge"));
    assert!(lets_in(&mut by_file, 3));
    // Over a restart.
    let restored = Restored {
        disabled: vec![n("edge")],
        ..Restored::default()
    };
    let mut kept = node_in(&small_kernel(), vec![edge()], restored);
    assert!(!lets_in(&mut kept, 1));
    // Removed and added again, it is a new one.
    kept.remove_peer(NOW, &n("edge"));
    kept.set_peer(NOW, edge());
    assert!(lets_in(&mut kept, 2));
    // Under one name, a peer stays disabled when it becomes a range, and the other way round.
    let tor = || peer("edge", at("198.51.100.9"), Reach::Direct);
    let mut both = node(vec![tor()]);
    both.disable_peer(NOW, &n("edge"), None);
    both.set_peer(NOW, edge());
    assert!(!lets_in(&mut both, 1));
    both.set_peer(NOW, tor());
    assert!(both.speaker().peer(&n("edge")).unwrap().disabled);
    assert!(!both.is_range_disabled(&n("edge")));
}

/// Two links have one subnet; a next hop there is on the link where a direct peer is.
#[test]
fn a_next_hop_is_where_a_member_is() {
    const MEMBER: &str = "198.51.100.9";
    let mut kernel = small_kernel();
    put(&mut kernel, BR0, "198.51.100.2", 24);
    let far = peer("far", at("203.0.113.7"), Reach::Multihop(4));
    let mut node = node_in(&kernel, vec![edge(), far], Restored::default());
    assert_eq!(dial(&mut node, NOW, 1, "203.0.113.7", ETH0), None);
    let attributes = Attributes {
        as_path: AsPath::sequence([65002]),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    let hop = NextHop::V4(MEMBER.parse().unwrap());
    let prefix: Prefix = "10.0.0.0/24".parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, hop, [prefix])
        .unwrap();
    node.handle_data(NOW, ConnId::Incoming(1), &bytes);
    let link = |node: &Node| {
        let found = node.next_hop(&MEMBER.parse().unwrap());
        found.unwrap().as_ref().unwrap().ways[0].index
    };
    assert_eq!(link(&node), BR0);
    assert_eq!(dial(&mut node, NOW, 2, MEMBER, ETH0), None);
    assert_eq!(up(&node).len(), 2);
    assert_eq!(link(&node), ETH0);
    // Members of a range that may be several hops away are looked for like anybody else.
    let wide = range("edge", "198.51.100.0/24", 10, Reach::Multihop(4));
    node.set_peer(NOW, wide);
    assert_eq!(link(&node), BR0);
    node.set_peer(NOW, edge());
    closed(&mut node, NOW);
    assert_eq!(dial(&mut node, NOW, 3, MEMBER, ETH0), None);
    assert_eq!(link(&node), ETH0);
    // And one that leaves is not there any more.
    node.handle_closed(NOW, ConnId::Incoming(3), "closed");
    closed(&mut node, NOW);
    assert_eq!(up(&node), ["far"]);
    assert_eq!(link(&node), BR0);
}

/// A thousand guests' links, and two thousand peers: what one more costs does not grow with the product. When all links were
/// looked at for all peers with each member, the runner ended this as hanging.
#[test]
fn members_cost_the_same_however_many() {
    let taps: Vec<String> = (0..1000).map(|i| format!("tap{i}")).collect();
    let mut kernel = kernel(["eth0"].into_iter().chain(taps.iter().map(String::as_str)));
    put(&mut kernel, ETH0, "10.9.0.1", 16);
    for tap in TAP0..TAP0 + 1000 {
        put(&mut kernel, tap, "169.254.0.1", 32);
    }
    let edge = range("edge", "10.9.0.0/16", 10_000, Reach::Direct);
    let mut node = node_in(&kernel, vec![edge], Restored::default());
    for i in 0..2000_u64 {
        let remote = IpAddr::V4(Ipv4Addr::from(0x0a09_0100 + i as u32));
        let remote = SocketAddr::new(remote, 4000);
        node.admit(NOW, remote, ETH0).unwrap();
        let info = ConnInfo {
            local: "10.9.0.1:179".parse().unwrap(),
            remote,
            ifindex: ETH0,
        };
        node.handle_accepted(NOW, ConnId::Incoming(i), info);
        while node.poll_transmit(NOW).is_some() {}
        while node.poll_action(NOW).is_some() {}
    }
    assert_eq!(node.members_of(&n("edge")), 2000);
}

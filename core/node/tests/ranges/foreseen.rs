//! Which sessions another configuration ends is told before it takes effect, and nothing else ends; resets of ranges.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tapway_bgp::SoftReset;
use tapway_bgp::config::{PeerAddress, PeerConfig, Reach, Secret};
use tapway_bgp_wire::ErrorCode;
use tapway_model::PeerName;
use tapway_node::{Action, Listen, Node, Reset, Restored, RouterSettings};

use crate::world::*;

type Peers = BTreeMap<PeerName, PeerConfig>;

const TOR: &str = "198.51.100.2";
const MEMBERS: [&str; 2] = ["198.51.100.9", "198.51.100.200"];

fn tor() -> PeerConfig {
    PeerConfig {
        passive: true,
        ..peer("tor", at(TOR), Reach::Direct)
    }
}

/// With sessions of `tor` and two members of `edge`.
fn with_sessions() -> Node {
    let mut node = node(vec![tor(), edge()]);
    for (conn, addr) in (1..).zip([TOR].into_iter().chain(MEMBERS)) {
        assert_eq!(dial(&mut node, NOW, conn, addr, ETH0), None, "{addr}");
    }
    assert_eq!(
        up(&node),
        ["edge@198.51.100.200", "edge@198.51.100.9", "tor"]
    );
    node
}

/// Brings a configuration into effect as a reload does.
fn apply(node: &mut Node, peers: &Peers, router: RouterSettings) {
    node.set_router(NOW, router);
    let gone: Vec<_> = node.peer_configs().map(|p| p.name.clone()).collect();
    for name in gone.iter().filter(|name| !peers.contains_key(*name)) {
        node.remove_peer(NOW, name);
    }
    for peer in peers.values() {
        node.set_peer(NOW, peer.clone());
    }
}

#[test]
fn what_ends_is_foreseen_and_nothing_else_ends() {
    type Change = fn(&mut Peers, &mut RouterSettings);
    fn change(peers: &mut Peers, name: &str, change: impl Fn(&mut PeerConfig)) {
        change(peers.get_mut(&n(name)).unwrap());
    }
    const BOTH: [&str; 2] = ["edge@198.51.100.200", "edge@198.51.100.9"];
    let both = |why: &str| BOTH.map(|name| format!("{name}: {why}")).to_vec();
    let one = |text: &str| vec![text.to_owned()];
    let rows: Vec<(&str, Change, Vec<String>)> = vec![
        ("nothing", |_, _| {}, vec![]),
        (
            "what is no matter",
            |peers, router| {
                change(peers, "tor", |p| p.import = policy("none"));
                change(peers, "edge", |p| p.prefix_limit.max = 9);
                router.speaker.cluster_id = Some(Ipv4Addr::new(10, 0, 0, 1));
                router.speaker.decision.ignore_metric = true;
                router.withdraw_without_carrier = false;
                router.next_hop_via_default = true;
                router.listen = Listen::Never;
            },
            vec![],
        ),
        (
            "a peer",
            |peers, _| {
                change(peers, "tor", |p| {
                    p.hold_time = 9 * SECOND;
                    p.password = Some(Secret::new("x".into()));
                });
            },
            one("tor: password differs, hold_time differs, and comes back"),
        ),
        (
            "a range",
            |peers, _| {
                change(peers, "edge", |p| {
                    p.families.push(tapway_model::Family::Ipv6)
                })
            },
            both("families differs, and comes back"),
        ),
        (
            "the router",
            |_, router| router.speaker.router_id = Ipv4Addr::new(192, 0, 2, 77),
            [
                both("router_id of [router] differs, and comes back"),
                one("tor: router_id of [router] differs, and comes back"),
            ]
            .concat(),
        ),
        (
            "a peer goes",
            |peers, _| _ = peers.remove(&n("tor")),
            one("tor: the peer is gone"),
        ),
        (
            "a peer is disabled",
            |peers, _| change(peers, "tor", |p| p.disabled = true),
            one("tor: the peer is disabled"),
        ),
        (
            "a range goes",
            |peers, _| _ = peers.remove(&n("edge")),
            both("range edge is gone"),
        ),
        (
            "a range is disabled",
            |peers, _| change(peers, "edge", |p| p.disabled = true),
            both("range edge is disabled"),
        ),
        (
            "a range is smaller",
            |peers, _| {
                let edge = range("edge", "198.51.100.0/25", 10, Reach::Direct);
                peers.insert(n("edge"), edge);
            },
            one("edge@198.51.100.200: range edge does not have its address any more"),
        ),
        (
            "a part of it is another's",
            |peers, _| {
                let part = range("part", "198.51.100.0/28", 10, Reach::Direct);
                peers.insert(n("part"), part);
            },
            one("edge@198.51.100.9: range part has its address"),
        ),
        (
            "one of it is written down",
            |peers, _| {
                peers.insert(n("nine"), peer("nine", at("198.51.100.9"), Reach::Direct));
            },
            one("edge@198.51.100.9: peer nine is written down there"),
        ),
        (
            "a peer becomes a range",
            |peers, _| {
                change(peers, "tor", |p| {
                    let PeerAddress::Range(range) =
                        range("x", "198.51.100.2/32", 1, Reach::Direct).address
                    else {
                        unreachable!()
                    };
                    p.address = PeerAddress::Range(range);
                })
            },
            one("tor: it becomes a range, and whoever is there must connect to us"),
        ),
    ];
    for (what, change, expected) in rows {
        let mut node = with_sessions();
        let mut peers: Peers = [tor(), edge()].map(|p| (p.name.clone(), p)).into();
        let mut router = beginning_router(&node);
        change(&mut peers, &mut router);
        let foreseen = node.foresee(&peers, &router);
        let texts: Vec<String> = foreseen
            .iter()
            .map(|end| {
                let back = if end.comes_back {
                    ", and comes back"
                } else {
                    ""
                };
                format!("{}: {}{back}", end.peer, end.why)
            })
            .collect();
        assert_eq!(texts, expected, "{what}");
        let before = up(&node);
        apply(&mut node, &peers, router);
        let ended: Vec<String> = foreseen.iter().map(|end| end.peer.to_string()).collect();
        let left: Vec<String> = before
            .into_iter()
            .filter(|name| !ended.contains(name))
            .collect();
        assert_eq!(up(&node), left, "{what}");
        // Without sessions there is nothing to foresee.
        let node = crate::world::node(vec![tor(), edge()]);
        assert_eq!(node.foresee(&peers, &beginning_router(&node)), []);
    }
}

fn beginning_router(node: &Node) -> RouterSettings {
    node.config().router()
}

/// A password of one peer is nothing to the others: their sessions stay, and the key of the one goes to the listener.
#[test]
fn another_password_is_for_its_peer_alone() {
    let mut node = with_sessions();
    let mut tor = tor();
    tor.password = Some(Secret::new("x".into()));
    node.set_peer(NOW, tor);
    assert_eq!(up(&node), ["edge@198.51.100.200", "edge@198.51.100.9"]);
    let keys: Vec<_> = node.listeners().iter().flat_map(|l| &l.keys).collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].from.to_string(), format!("{TOR}/32"));
}

#[test]
fn a_range_is_reset_with_all_that_it_made() {
    let members = ["edge@198.51.100.200", "edge@198.51.100.9"].map(n);
    for way in [SoftReset::In, SoftReset::Out, SoftReset::Both] {
        let mut node = with_sessions();
        let done = node.reset_peer(NOW, &n("edge"), Reset::Soft(way)).unwrap();
        assert_eq!((&done.done[..], up(&node).len()), (&members[..], 3));
        assert!(done.no_session.is_empty() && done.no_refresh.is_empty());
    }
    let mut node = with_sessions();
    let one = node.reset_peer(NOW, &members[1], Reset::Soft(SoftReset::Out));
    assert_eq!(one.unwrap().done, [members[1].clone()]);
    assert_eq!(node.reset_peer(NOW, &n("nobody"), Reset::Hard(None)), None);
    let hard = Reset::Hard(Some("new cables".into()));
    let done = node.reset_peer(NOW, &n("edge"), hard).unwrap();
    assert_eq!(done.done, members);
    for (conn, farewell) in closed(&mut node, NOW) {
        let told = notification(&farewell).unwrap();
        assert_eq!(told.error, ErrorCode::CEASE_ADMIN_RESET, "{conn:?}");
        assert_eq!(&told.data[1..], b"new cables");
    }
    assert_eq!(up(&node), ["tor"]);
    // They may come again at once.
    assert_eq!(dial(&mut node, NOW, 9, MEMBERS[0], ETH0), None);
    assert_eq!(up(&node), ["edge@198.51.100.9", "tor"]);
    // Nobody is there: nothing to reset.
    let mut node = crate::world::node(vec![tor(), edge()]);
    let soft = Reset::Soft(SoftReset::Both);
    let done = node.reset_peer(NOW, &n("edge"), soft.clone()).unwrap();
    assert_eq!(done, tapway_node::ResetDone::default());
    let done = node.reset_peer(NOW, &n("tor"), soft).unwrap();
    assert_eq!(done.no_session, [n("tor")]);
}

#[test]
fn where_to_listen_changes_with_the_settings() {
    let mut node = with_sessions();
    while node.poll_action(NOW).is_some() {}
    let mut router = node.config().router();
    router.listen = Listen::On(vec!["198.51.100.1:1179".parse().unwrap()]);
    node.set_router(NOW, router);
    let told = std::iter::from_fn(|| node.poll_action(NOW)).find_map(|action| match action {
        Action::Listen(listeners) => Some(listeners),
        _ => None,
    });
    let ports: Vec<u16> = told.unwrap().iter().map(|l| l.addr.port()).collect();
    assert_eq!(ports, [1179]);
    assert_eq!(up(&node).len(), 3, "sessions that are there stay");
}

/// A member by itself: disabled it is refused, also by the next run of the daemon, until it is enabled.
#[test]
fn a_member_is_disabled_and_enabled() {
    let member = n("edge@198.51.100.9");
    let mut node = with_sessions();
    assert!(node.disable_peer(NOW, &member, Some("bad cable".into())));
    let (_, farewell) = closed(&mut node, NOW).pop_first().unwrap();
    let told = notification(&farewell).unwrap();
    assert_eq!(told.error, ErrorCode::CEASE_ADMIN_SHUTDOWN);
    assert_eq!(&told.data[1..], b"bad cable");
    let restored = Restored {
        disabled: vec![
            member.clone(),
            n("edge@203.0.113.1"),
            n("other@198.51.100.9"),
        ],
        ..Restored::default()
    };
    let again = node_in(&small_kernel(), vec![tor(), edge()], restored);
    for (mut node, others) in [(node, 2), (again, 0)] {
        assert_eq!(up(&node).len(), others);
        assert_eq!(node.members_of(&n("edge")), 1 + others.saturating_sub(1));
        let told = dial(&mut node, NOW, 11, MEMBERS[0], ETH0).unwrap();
        assert_eq!(told.error, ErrorCode::CEASE_ADMIN_SHUTDOWN);
        // What is written down of the range does not enable it.
        let mut edge = edge();
        edge.prefix_limit.max = 3;
        node.set_peer(NOW, edge);
        assert!(node.speaker().peer(&member).unwrap().disabled);
        assert!(node.enable_peer(NOW, &member));
        assert_eq!(dial(&mut node, NOW, 12, MEMBERS[0], ETH0), None);
        assert_eq!(up(&node).len(), others + 1);
    }
}

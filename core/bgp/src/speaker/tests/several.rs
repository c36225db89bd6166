//! One speaker, several peers: shared default routes, conflicts, turns.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use tapway_bgp_wire::{
    AsPath, Attributes, DecodeContext, EncodeContext, Frame, Message, NextHop, NlriEntry,
    PerFamily, UpdateBuilder, encode_keepalive,
};
use tapway_model::{Domain, Family, Instant, NetworkName, Prefix};

use super::net::*;
use crate::config::{AddPaths, Install, PeerAsn, PeerConfig, PeerRole, SendPaths};
use crate::session::open::{Ourselves, our_open};
use crate::*;

pub(super) const NOW: Instant = Instant::from_nanos(1_000_000_000);

/// A speaker with established sessions to `tor1`, `tor2`, …: nodes 1, 2, …
pub(super) fn with(count: usize, change: impl Fn(usize, &mut PeerConfig)) -> Speaker {
    let mut speaker = Speaker::new(speaker_config(0), 3, StartKind::Cold);
    speaker.set_restart_done(NOW);
    for node in 1..=count {
        let mut peer = PeerConfig {
            name: tor(node),
            passive: true,
            install: install(),
            ..peer_config(node, Transport::V4)
        };
        change(node, &mut peer);
        come(&mut speaker, node, peer);
    }
    drain(&mut speaker);
    speaker
}

/// `node` becomes a peer, and its session comes up.
pub(super) fn come(speaker: &mut Speaker, node: usize, peer: PeerConfig) {
    speaker.set_peer(NOW, peer);
    speaker.set_peer_endpoint(
        NOW,
        &tor(node),
        Some(Endpoint {
            remote: at(node, Transport::V4, 179),
            local: None,
            ifindex: node as u32,
        }),
    );
    let router_id = Ipv4Addr::new(192, 0, 2, node as u8 + 1);
    accept(speaker, node, conn(node), router_id);
    assert_eq!(speaker.peer(&tor(node)).unwrap().state, State::Established);
}

/// The peer connects, with this identifier: AS, add-path, graceful restart and role are as it is told of them.
pub(super) fn accept(speaker: &mut Speaker, node: usize, conn: ConnId, router_id: Ipv4Addr) {
    let info = ConnInfo {
        local: at(0, Transport::V4, 179),
        remote: at(node, Transport::V4, 179),
        ifindex: node as u32,
    };
    speaker.handle_accepted(NOW, conn, info);
    speaker.set_local_addresses(NOW, conn, addresses(0));
    let config = speaker.peer_config(&tor(node)).unwrap();
    let internal = config.asn == PeerAsn::Internal;
    let mut theirs = peer_config(0, Transport::V4);
    theirs.add_paths = AddPaths {
        receive: config.add_paths.send.is_some(),
        send: config.add_paths.receive.then_some(SendPaths::All),
    };
    theirs.graceful_restart = config.graceful_restart;
    theirs.role = config.role.map(|ours| PeerRole {
        role: ours.role.counterpart(),
        strict: false,
    });
    let them = Ourselves {
        asn: asn(if internal { 0 } else { node }),
        router_id,
        restarting: false,
        forwarding: PerFamily::from_fn(|_| true),
    };
    let mut bytes = Vec::new();
    our_open(&them, &theirs).encode(&mut bytes);
    encode_keepalive(&mut bytes);
    speaker.handle_data(NOW, conn, &bytes);
}

/// What a peer reads of all that is written for it now.
pub(super) fn routes_to(speaker: &mut Speaker, node: usize) -> Vec<(Prefix, NextHop, Attributes)> {
    let cx = DecodeContext {
        internal: true,
        ..DecodeContext::default()
    };
    let mut routes = Vec::new();
    while let Some(transmit) = speaker.poll_transmit(NOW) {
        let mut rest = &transmit.bytes[..];
        while transmit.conn == conn(node)
            && let Some((len, frame)) = Frame::next(rest, cx.max_len()).unwrap()
        {
            if let Message::Update(update) = frame.decode(&cx).unwrap() {
                for reach in update.reach() {
                    let attributes = update.attributes().decode();
                    let each = |e: NlriEntry| (e.prefix, reach.next_hop, attributes.clone());
                    routes.extend(reach.nlri.iter().map(each));
                }
            }
            rest = &rest[len..];
        }
    }
    routes
}

pub(super) fn tor(node: usize) -> tapway_model::PeerName {
    name(&alloc::format!("tor{node}"))
}

pub(super) fn conn(node: usize) -> ConnId {
    ConnId::Incoming(node as u64)
}

/// Whom bytes go to, in order.
pub(super) fn drain(speaker: &mut Speaker) -> Vec<ConnId> {
    let mut all = Vec::new();
    while let Some(transmit) = speaker.poll_transmit(NOW) {
        all.push(transmit.conn);
    }
    while speaker.poll_action().is_some() {}
    all
}

pub(super) fn send(
    speaker: &mut Speaker,
    node: usize,
    prefix: &str,
    change: impl FnOnce(&mut Attributes),
) {
    let mut attributes = Attributes {
        as_path: AsPath::sequence([asn(node)]),
        ..Attributes::default()
    };
    change(&mut attributes);
    let next_hop = NextHop::V4(addresses(node).v4.unwrap());
    send_all(speaker, node, prefix, &attributes, next_hop);
}

/// With this next hop.
pub(super) fn send_by(speaker: &mut Speaker, node: usize, prefix: &str, next_hop: NextHop) {
    let attributes = Attributes {
        as_path: AsPath::sequence([asn(node)]),
        ..Attributes::default()
    };
    send_all(speaker, node, prefix, &attributes, next_hop);
}

fn send_all(
    speaker: &mut Speaker,
    node: usize,
    prefix: &str,
    attributes: &Attributes,
    next_hop: NextHop,
) {
    let mut bytes = Vec::new();
    let prefix: Prefix = prefix.parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(attributes, next_hop, [prefix])
        .unwrap();
    speaker.handle_data(NOW, conn(node), &bytes);
}

/// `peer next-hop dev` of the default routes.
fn defaults(speaker: &Speaker) -> Vec<String> {
    let text = |i: Installable| {
        alloc::format!(
            "{} {} {} {}",
            i.install.table,
            i.peer,
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

#[test]
fn equal_default_routes_share_and_better_ones_win() {
    let mut speaker = with(3, |_, _| {});
    send(&mut speaker, 1, "0.0.0.0/0", |_| {});
    assert_eq!(defaults(&speaker), ["254 tor1 198.51.100.2 1"]);
    send(&mut speaker, 2, "0.0.0.0/0", |_| {});
    assert_eq!(
        defaults(&speaker),
        ["254 tor1 198.51.100.2 1", "254 tor2 198.51.100.3 2"]
    );
    // A longer path does not share.
    send(&mut speaker, 3, "0.0.0.0/0", |a| {
        a.as_path.prepend(asn(3), 1)
    });
    assert_eq!(defaults(&speaker).len(), 2);
    speaker.handle_closed(NOW, conn(1), "gone");
    // Kept while the peer restarts: still there.
    assert_eq!(defaults(&speaker).len(), 2);
    speaker.handle_link_down(NOW, 1);
    assert_eq!(defaults(&speaker), ["254 tor2 198.51.100.3 2"]);
    assert!(speaker.remove_peer(NOW, &tor(2)));
    assert_eq!(defaults(&speaker), ["254 tor3 198.51.100.4 3"]);
    let changed: BTreeSet<Family> = core::iter::from_fn(|| speaker.poll_action())
        .filter_map(|a| match a {
            Action::InstallableChanged(family) => Some(family),
            _ => None,
        })
        .collect();
    assert_eq!(changed, [Family::Ipv4].into());
}

/// Of two defaults, the one of a router that is about to go is not used while there is another (RFC 8326).
#[test]
fn who_is_about_to_go_is_the_last_choice() {
    let mut speaker = with(2, |_, _| {});
    send(&mut speaker, 1, "0.0.0.0/0", |_| {});
    send(&mut speaker, 2, "0.0.0.0/0", |_| {});
    let both = defaults(&speaker);
    send(&mut speaker, 1, "0.0.0.0/0", |a| {
        a.communities = [tapway_bgp_wire::Community::GRACEFUL_SHUTDOWN].into();
    });
    let one = defaults(&speaker);
    assert_eq!((both.len(), one.len()), (2, 1), "{both:?} {one:?}");
    assert_eq!(one[0], both[1]);
    send(&mut speaker, 2, "0.0.0.0/0", |a| {
        a.communities = [tapway_bgp_wire::Community::GRACEFUL_SHUTDOWN].into();
    });
    assert_eq!(defaults(&speaker), both);
}

#[test]
fn tables_and_peers_that_install_nothing_are_apart() {
    let mut speaker = with(3, |node, peer| {
        peer.install = match node {
            1 => install(),
            2 => Some(Install {
                table: 90,
                metric: Some(7),
                prefsrc: Some("2001:db8::1".parse().unwrap()),
            }),
            _ => None,
        };
    });
    for node in 1..=3 {
        send(&mut speaker, node, "0.0.0.0/0", |_| {});
    }
    assert_eq!(
        defaults(&speaker),
        ["90 tor2 198.51.100.3 2", "254 tor1 198.51.100.2 1"]
    );
    let settings = &speaker.installable(Family::Ipv4)[0].install;
    assert_eq!(
        (settings.metric, settings.prefsrc),
        (Some(7), None),
        "no IPv6 source for an IPv4 route"
    );
}

#[test]
fn every_peer_gets_its_turn() {
    let mut speaker = with(3, |_, _| {});
    for i in 0..10_000u32 {
        speaker.announce(
            NOW,
            announcement(&alloc::format!(
                "10.{}.{}.{}/32",
                i >> 16,
                (i >> 8) & 255,
                i & 255
            )),
        );
    }
    let turns = drain(&mut speaker);
    assert_eq!(turns.len(), 9, "three batches each");
    for round in turns.chunks(3) {
        assert_eq!(round.iter().collect::<BTreeSet<_>>().len(), 3, "{turns:?}");
    }
    // One that is blocked holds nobody up.
    speaker.handle_blocked(NOW, conn(2));
    speaker.announce(NOW, announcement("203.0.113.1/32"));
    let turns: BTreeSet<ConnId> = drain(&mut speaker).into_iter().collect();
    assert_eq!(turns, [conn(1), conn(3)].into());
}

#[test]
fn a_conflict_is_one_only_towards_peers_that_see_both() {
    let mut speaker = with(2, |_, _| {});
    let seen_by = |peer: usize, domain: u32| Announcement {
        id: AnnouncementId {
            domain: Domain(domain),
            prefix: "203.0.113.1/32".parse().unwrap(),
        },
        network: NetworkName::new(&alloc::format!("net{domain}")).unwrap(),
        peers: Some(Arc::from([tor(peer)])),
        ..announcement("203.0.113.1/32")
    };
    let (first, second) = (seen_by(1, 10), seen_by(2, 20));
    speaker.announce(NOW, first.clone());
    speaker.announce(NOW, second.clone());
    let conflicts = |s: &mut Speaker| {
        core::iter::from_fn(|| s.poll_action())
            .filter(|a| matches!(a, Action::Event(Event::Conflict { .. })))
            .count()
    };
    assert_eq!(conflicts(&mut speaker), 0);
    drain(&mut speaker);
    for (node, sent, hidden) in [(1, &first, &second), (2, &second, &first)] {
        assert!(matches!(
            speaker.why_not_sent(&tor(node), &sent.id),
            NotSent::Sent(_)
        ));
        assert!(matches!(
            speaker.why_not_sent(&tor(node), &hidden.id),
            NotSent::NotForPeer(_)
        ));
    }
    let third = Announcement {
        peers: None,
        ..seen_by(1, 30)
    };
    speaker.announce(NOW, third.clone());
    assert_eq!(conflicts(&mut speaker), 2);
    assert_eq!(
        speaker.why_not_sent(&tor(2), &third.id),
        NotSent::Conflict(second.id)
    );
    assert_eq!(speaker.announcements().count(), 3);
    assert_eq!(first.id.to_string(), "203.0.113.1/32 (table 10)");
}

/// A peer's connection is known by its address, and link-local ones by their link, too.
#[test]
fn link_local_peers_are_told_apart_by_their_link() {
    let mut speaker = Speaker::new(speaker_config(0), 3, StartKind::Cold);
    for link in 1..=2u32 {
        let peer = PeerConfig {
            name: tor(link as usize),
            passive: true,
            ..peer_config(1, Transport::LinkLocal)
        };
        speaker.set_peer(NOW, peer);
        let remote = "[fe80::1]:179".parse().unwrap();
        speaker.set_peer_endpoint(
            NOW,
            &tor(link as usize),
            Some(Endpoint {
                remote,
                local: None,
                ifindex: link,
            }),
        );
    }
    let info = |ifindex| ConnInfo {
        local: "[fe80::2]:179".parse().unwrap(),
        remote: "[fe80::1]:4000".parse().unwrap(),
        ifindex,
    };
    speaker.handle_accepted(NOW, conn(9), info(2));
    let states: Vec<State> = speaker.peers().map(|p| p.state).collect();
    assert_eq!(states, [State::Active, State::OpenSent]);
    speaker.handle_accepted(NOW, conn(10), info(3));
    let closed = core::iter::from_fn(|| speaker.poll_action()).any(|a| {
        a == Action::Close {
            conn: conn(10),
            farewell: Vec::new(),
        }
    });
    assert!(closed);
}

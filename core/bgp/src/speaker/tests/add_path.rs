//! Several paths of a prefix out (RFC 7911): which, by which identifiers, and what becomes of these.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use tapway_bgp_wire::{
    Attributes, DecodeContext, EncodeContext, Frame, Message, NextHop, NlriEntry, PerFamily,
    UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use super::several::{self, NOW, conn, tor};
use crate::config::{AddPaths, PeerAsn, PeerConfig, SendPaths};
use crate::*;

const PREFIX: &str = "203.0.113.0/24";
/// Nodes 1 to 3 are clients that announce; 4 reads all paths, 5 the best two, 6 one, without identifiers.
const ALL: usize = 4;
const TWO: usize = 5;
const ONE: usize = 6;

fn clients(node: usize, peer: &mut PeerConfig) {
    peer.asn = PeerAsn::Internal;
    peer.client = true;
    peer.install = None;
    peer.add_paths = AddPaths {
        receive: node == 1,
        send: match node {
            TWO => Some(SendPaths::Best(2)),
            ONE => None,
            _ => Some(SendPaths::All),
        },
    };
}

/// A reflector, and what its peers have by what was written to them.
struct World {
    speaker: Speaker,
    has: BTreeMap<usize, BTreeMap<(Prefix, u32), NextHop>>,
    /// Routes announced and withdrawn since this was last cleared, by peer.
    said: BTreeMap<usize, (usize, usize)>,
}

impl World {
    fn new() -> World {
        World {
            speaker: several::with(6, clients),
            has: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// A peer announces the prefix by a next hop, with a LOCAL_PREF.
    fn tell(&mut self, node: usize, path_id: u32, by: u8, local_pref: u32) {
        let attributes = Attributes {
            local_pref: Some(local_pref),
            ..Attributes::default()
        };
        let by = NextHop::V4(Ipv4Addr::new(10, 0, 0, by));
        let mut bytes = Vec::new();
        UpdateBuilder::new(&mut bytes, sends(node))
            .announce(&attributes, by, [entry(path_id)])
            .unwrap();
        self.speaker.handle_data(NOW, conn(node), &bytes);
    }

    fn take_back(&mut self, node: usize, path_id: u32) {
        let mut bytes = Vec::new();
        UpdateBuilder::new(&mut bytes, sends(node)).withdraw([entry(path_id)]);
        self.speaker.handle_data(NOW, conn(node), &bytes);
    }

    /// Everything is done, written and read.
    fn rest(&mut self) {
        loop {
            while self.speaker.poll_action().is_some() {}
            while let Some(transmit) = self.speaker.poll_transmit(NOW) {
                self.read(&transmit);
            }
            if self.speaker.poll_timeout().is_none_or(|at| at > NOW) {
                return;
            }
            self.speaker.handle_timeout(NOW);
        }
    }

    fn read(&mut self, transmit: &Transmit) {
        let ConnId::Incoming(number) = transmit.conn else {
            panic!("nobody is connected to");
        };
        // Later connections of a node are numbered by tens.
        let node = (number % 10) as usize;
        let cx = DecodeContext {
            internal: true,
            add_path: PerFamily::from_fn(|_| node != ONE),
            ..DecodeContext::default()
        };
        let has = self.has.entry(node).or_default();
        let (announced, withdrawn) = self.said.entry(node).or_default();
        let mut rest = &transmit.bytes[..];
        while let Some((len, frame)) = Frame::next(rest, cx.max_len()).unwrap() {
            if let Message::Update(update) = frame.decode(&cx).unwrap() {
                for e in update.unreach().flat_map(|n| n.iter()) {
                    has.remove(&(e.prefix, e.path_id));
                    *withdrawn += 1;
                }
                for reach in update.reach() {
                    for e in reach.nlri.iter() {
                        has.insert((e.prefix, e.path_id), reach.next_hop);
                        *announced += 1;
                    }
                }
            }
            rest = &rest[len..];
        }
    }

    /// The identifiers and last octets of next hops that a peer has, as read and as the speaker lists them.
    fn paths(&mut self, node: usize) -> Vec<(u32, u8)> {
        self.rest();
        let last = |hop: &NextHop| match hop {
            NextHop::V4(addr) => addr.octets()[3],
            other => panic!("{other}"),
        };
        let has = self.has.entry(node).or_default();
        let has: Vec<_> = has.iter().map(|((_, id), hop)| (*id, last(hop))).collect();
        let peer = tor(node);
        let told = self.speaker.advertised(&peer);
        let told: Vec<_> = told
            .map(|r| (r.path_id.unwrap_or(0), last(&r.next_hop)))
            .collect();
        assert_eq!(told, has, "peer {node}");
        assert!(node == ONE || has.iter().all(|(id, _)| *id > 0));
        has
    }

    fn hops(&mut self, node: usize) -> Vec<u8> {
        let mut hops: Vec<u8> = self.paths(node).into_iter().map(|(_, hop)| hop).collect();
        hops.sort_unstable();
        hops
    }

    fn said(&mut self, node: usize) -> (usize, usize) {
        self.rest();
        self.said.remove(&node).unwrap_or_default()
    }
}

fn entry(path_id: u32) -> NlriEntry {
    NlriEntry {
        prefix: PREFIX.parse().unwrap(),
        path_id,
    }
}

fn sends(node: usize) -> EncodeContext {
    EncodeContext {
        add_path: PerFamily::from_fn(|_| node == 1),
        ..EncodeContext::default()
    }
}

#[test]
fn so_many_paths_go_out_as_are_wanted() {
    let mut world = World::new();
    for (node, by, local_pref) in [(1, 11, 100), (2, 12, 300), (3, 13, 200)] {
        world.tell(node, 7, by, local_pref);
    }
    assert_eq!(world.hops(ALL), [11, 12, 13]);
    assert_eq!(world.hops(TWO), [12, 13], "the best two");
    assert_eq!(world.hops(ONE), [12]);
    // Who announces is not told its own, and no other in its place.
    assert_eq!(world.hops(2), [11, 13]);

    // Of two paths one dies: the other one stays, and nobody hears of it again.
    world.take_back(2, 7);
    for node in [ALL, TWO, ONE] {
        world.said(node);
    }
    world.speaker.disable(NOW, &tor(3), None);
    assert_eq!(world.hops(ALL), [11]);
    assert_eq!(world.said(ALL), (0, 1), "one withdraw");
    assert_eq!(world.hops(TWO), [11]);
    assert_eq!(world.said(TWO), (0, 1));
    assert_eq!(world.hops(ONE), [11]);
    assert_eq!(world.said(ONE), (1, 0), "in its place, without a withdraw");
}

#[test]
fn a_path_keeps_its_identifier() {
    let mut world = World::new();
    world.tell(1, 7, 11, 100);
    world.tell(1, 9, 12, 100);
    world.tell(2, 0, 13, 100);
    let before = world.paths(ALL);
    assert_eq!(before.len(), 3);
    world.said(ALL);
    // Better, by another way: the same path, and nothing is said of the others.
    world.tell(1, 9, 22, 500);
    let after: Vec<_> = before
        .iter()
        .map(|(id, hop)| (*id, if *hop == 12 { 22 } else { *hop }))
        .collect();
    assert_eq!(world.paths(ALL), after);
    assert_eq!(world.said(ALL), (1, 0));
    // One goes and another comes: the identifiers of those that stay stay, and the new one has none of theirs.
    world.take_back(1, 7);
    world.rest();
    world.tell(3, 0, 14, 100);
    let new = world.paths(ALL);
    assert_eq!(world.said(ALL), (1, 1));
    let id = |paths: &[(u32, u8)], hop| paths.iter().find(|p| p.1 == hop).unwrap().0;
    assert_eq!(
        (id(&new, 22), id(&new, 13)),
        (id(&after, 22), id(&after, 13))
    );
    assert!(id(&new, 14) != id(&new, 22) && id(&new, 14) != id(&new, 13));
    // A restart of its sender changes nothing, as it is kept and comes again.
    world.speaker.handle_closed(NOW, conn(1), "gone");
    assert_eq!(world.paths(ALL), new);
    let accept = |speaker: &mut Speaker| {
        several::accept(
            speaker,
            1,
            ConnId::Incoming(11),
            Ipv4Addr::new(192, 0, 2, 2),
        );
    };
    accept(&mut world.speaker);
    world.rest();
    let attributes = Attributes {
        local_pref: Some(500),
        ..Attributes::default()
    };
    let by = NextHop::V4(Ipv4Addr::new(10, 0, 0, 22));
    let mut bytes = Vec::new();
    let mut update = UpdateBuilder::new(&mut bytes, sends(1));
    update.announce(&attributes, by, [entry(9)]).unwrap();
    update.end_of_rib(Family::Ipv4);
    world.speaker.handle_data(NOW, ConnId::Incoming(11), &bytes);
    assert_eq!(world.paths(ALL), new);
    assert_eq!(world.said(ALL), (0, 0));
}

#[test]
fn all_go_out_again_when_asked_and_once_end_of_rib_is_told() {
    let mut world = World::new();
    world.tell(1, 7, 11, 100);
    world.tell(2, 0, 12, 100);
    let before = world.paths(ALL);
    world.said(ALL);
    let both = SoftReset::Both;
    let outcome = world.speaker.reset_soft(NOW, &tor(ALL), both);
    assert_eq!(outcome, SoftOutcome::Done);
    world.has.clear();
    assert_eq!(world.paths(ALL), before);
    assert_eq!(world.said(ALL), (2, 0));
    let sent = |world: &World| {
        let family = &world.speaker.peer(&tor(ALL)).unwrap().families[0];
        (family.end_of_rib_sent, family.pending)
    };
    assert_eq!(sent(&world), (true, 0));
    // Goodbye takes back each of them.
    world.speaker.shutdown(NOW, None);
    let farewell = core::iter::from_fn(|| world.speaker.poll_action());
    let farewells: Vec<_> = farewell
        .filter_map(|action| match action {
            Action::Close { conn, farewell } => Some(Transmit {
                conn,
                bytes: farewell,
            }),
            _ => None,
        })
        .collect();
    farewells.iter().for_each(|transmit| world.read(transmit));
    assert!(world.has[&ALL].is_empty(), "{:?}", world.has);
}

#[test]
fn what_is_offered_and_what_changes_without_a_reset() {
    let mut world = World::new();
    for node in [1, 2, 3] {
        world.tell(node, 7, 10 + node as u8, 100 + node as u32);
    }
    let negotiated = |world: &World, node| {
        let n = world.speaker.peer(&tor(node)).unwrap().negotiated.unwrap();
        (n.add_path_send, n.add_path_receive)
    };
    let both = Family::ALL.to_vec();
    assert_eq!(negotiated(&world, 1), (both.clone(), both.clone()));
    assert_eq!(negotiated(&world, ALL), (both, Vec::new()));
    assert_eq!(negotiated(&world, ONE), (Vec::new(), Vec::new()));
    for (send, change, hops) in [
        (Some(SendPaths::Best(1)), PeerChange::Applied, &[13][..]),
        (Some(SendPaths::All), PeerChange::Applied, &[11, 12, 13]),
        (Some(SendPaths::Best(2)), PeerChange::Applied, &[12, 13]),
        (None, PeerChange::Reset, &[]),
    ] {
        let mut config = world.speaker.peer_config(&tor(TWO)).unwrap().clone();
        config.add_paths.send = send;
        assert_eq!(world.speaker.set_peer(NOW, config), change, "{send:?}");
        if change == PeerChange::Applied {
            assert_eq!(world.hops(TWO), hops, "{send:?}");
        }
    }
}

#[test]
fn nobody_may_have_paths_without_end() {
    let mut world = World::new();
    let most = tapway_rib::MAX_PATHS as u32;
    world.tell(2, 0, 12, 100);
    for path_id in 0..most + 50 {
        world.tell(1, path_id, 11, 100);
    }
    let told = core::iter::from_fn(|| world.speaker.poll_action()).filter(|action| {
        matches!(action, Action::Event(Event::BadUpdate { text, .. })
            if *text == format!("more than 256 paths of {PREFIX}; those beyond are not kept"))
    });
    assert_eq!(told.count(), 1, "it is told, and not again and again");
    let received = |world: &World| world.speaker.received(&tor(1)).count();
    assert_eq!(received(&world), most as usize);
    // Others have room, and so has who takes one back.
    world.tell(3, 0, 13, 100);
    assert_eq!(world.hops(ALL).len(), most as usize + 2);
    world.take_back(1, 5);
    world.tell(1, most, 99, 100);
    world.tell(1, 6, 98, 100);
    assert_eq!(received(&world), most as usize);
    let hops = world.hops(ALL);
    assert_eq!(hops[hops.len() - 2..], [98, 99]);
    let first = world.speaker.received(&tor(1)).next().unwrap();
    assert_eq!(first.prefix.to_string(), PREFIX);
}

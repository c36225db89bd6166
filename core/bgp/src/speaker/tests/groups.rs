//! Peers that are told the same share what is written; whatever happens, each has what its own export says.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_bgp_wire::{Attributes, DecodeContext, Frame, Message, NextHop};
use tapway_model::{Domain, PeerName, Prefix};

use super::net::*;
use super::several::{self, NOW, conn, tor};
use super::walk::Random;
use crate::config::{Match, Policy, Rule, Set, Verdict};
use crate::policy::{PrefixMatch, PrefixSet};
use crate::*;

const PEERS: usize = 4;
const PREFIXES: u64 = 12;

/// What a peer has been told, as it reads it.
type View = BTreeMap<Prefix, (NextHop, Attributes)>;

struct World {
    speaker: Speaker,
    views: BTreeMap<ConnId, View>,
}

fn names(all: &[usize]) -> Option<Arc<[PeerName]>> {
    Some(all.iter().map(|n| tor(*n)).collect())
}

fn rule(matches: Match, set: Set, action: Verdict) -> Rule {
    Rule {
        matches,
        set,
        call: None,
        action,
    }
}

/// Not for `tor2`, and with this MED for the others.
fn policy(med: u32) -> Policy {
    let tor2 = Match {
        peers: [tor(2)].into(),
        ..Match::default()
    };
    let set = Set {
        med: Some(med),
        ..Set::default()
    };
    Policy {
        name: policy_name("med"),
        rules: [
            rule(tor2, Set::default(), Verdict::Reject),
            rule(Match::default(), set, Verdict::Accept),
        ]
        .into(),
    }
}

impl World {
    fn new() -> World {
        World {
            speaker: several::with(PEERS, |_, _| {}),
            views: BTreeMap::new(),
        }
    }

    /// Writes what there is for one connection. False: nothing.
    fn transmit(&mut self) -> bool {
        while self.speaker.poll_action().is_some() {}
        let Some(transmit) = self.speaker.poll_transmit(NOW) else {
            return false;
        };
        let view = self.views.entry(transmit.conn).or_default();
        let cx = DecodeContext::default();
        let mut rest = &transmit.bytes[..];
        while let Some((len, frame)) = Frame::next(rest, cx.max_len()).unwrap() {
            if let Message::Update(update) = frame.decode(&cx).unwrap() {
                for entry in update.unreach().flat_map(|n| n.iter()) {
                    view.remove(&entry.prefix);
                }
                for reach in update.reach() {
                    let attributes = update.attributes().decode();
                    let route = (reach.next_hop, attributes);
                    view.extend(reach.nlri.iter().map(|e| (e.prefix, route.clone())));
                }
            }
            rest = &rest[len..];
        }
        true
    }

    /// Everything is written and done.
    fn rest(&mut self) {
        loop {
            while self.transmit() {}
            if self.speaker.poll_timeout().is_none_or(|at| at > NOW) {
                return;
            }
            self.speaker.handle_timeout(NOW);
        }
    }

    /// Each peer has what its own export says.
    fn check(&mut self, what: &str) {
        self.rest();
        for node in 1..=PEERS {
            let view = self.views.entry(conn(node)).or_default();
            let mut expected = BTreeMap::new();
            for announcement in self.speaker.announcements() {
                if let NotSent::Sent(next_hop) =
                    self.speaker.why_not_sent(&tor(node), &announcement.id)
                {
                    expected.insert(announcement.id.prefix, next_hop);
                }
            }
            let has: BTreeMap<Prefix, NextHop> =
                view.iter().map(|(p, (hop, _))| (*p, *hop)).collect();
            assert_eq!(has, expected, "{what}, peer {node}");
            let med = |a: &Attributes| (a.med, a.communities.len());
            let meds: Vec<_> = view.iter().map(|(p, (_, a))| (*p, med(a))).collect();
            let tor = tor(node);
            let told = self.speaker.advertised(&tor);
            let told: Vec<_> = told
                .map(|r| (r.prefix, (r.med, r.communities.len())))
                .collect();
            assert_eq!(told, meds, "{what}, peer {node}");
            let summary = self.speaker.peer(&tor).unwrap();
            assert_eq!(summary.families[0].advertised, view.len(), "{what}");
            let by_policy = self.speaker.peer_config(&tor).unwrap().export.to_string() == "med";
            assert!(
                view.values().all(|(_, a)| a.med.is_some() == by_policy),
                "{what}, peer {node}"
            );
        }
    }

    fn export(&mut self, node: usize, name: &str) {
        let mut config = self.speaker.peer_config(&tor(node)).unwrap().clone();
        config.export = policy_name(name);
        self.speaker.set_peer(NOW, config);
    }

    fn step(&mut self, random: &mut Random) {
        let node = 1 + random.below(PEERS as u64) as usize;
        match random.below(20) {
            0..=6 => {
                let prefix = alloc::format!("203.0.113.{}/32", random.below(PREFIXES));
                let mut own = announcement(&prefix);
                own.id.domain = [Domain::MAIN, Domain(90)][random.below(2) as usize];
                own.peers = match random.below(8) {
                    0 => names(&[1]),
                    1 => names(&[1, 2]),
                    2 => names(&[3]),
                    3 => names(&[]),
                    _ => None,
                };
                own.next_hop = match random.below(6) {
                    0 => addresses(node).v4.map(Into::into),
                    1 => Some([198, 51, 100, 99].into()),
                    _ => None,
                };
                self.speaker.announce(NOW, own);
            }
            7..=9 => {
                let own = self.speaker.announcements().map(|a| a.id);
                let all: Vec<_> = own.collect();
                if !all.is_empty() {
                    let id = all[random.below(all.len() as u64) as usize];
                    assert!(self.speaker.withdraw(NOW, &id));
                }
            }
            10 => self.export(node, ["claims", "none", "med"][random.below(3) as usize]),
            11 => {
                let med = random.below(3) as u32;
                self.speaker.set_policies(NOW, [policy(med)]);
            }
            12 => {
                let on = random.below(2) == 0;
                self.speaker.set_draining(NOW, on);
            }
            13 => {
                let mut ours = addresses(0);
                if random.below(2) == 0 {
                    ours.v4 = Some([198, 51, 100, 200].into());
                }
                self.speaker.set_local_addresses(NOW, conn(node), ours);
            }
            14 => _ = self.speaker.reset_soft(NOW, &tor(node), SoftReset::Both),
            15 => self.speaker.handle_blocked(NOW, conn(node)),
            16 => self.speaker.handle_writable(NOW, conn(node)),
            17 => self.speaker.handle_timeout(NOW),
            _ => _ = self.transmit(),
        }
    }
}

#[test]
fn each_peer_has_what_its_own_export_says() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let mut world = World::new();
        world.speaker.set_policies(NOW, [policy(7)]);
        for round in 0..12 {
            for _ in 0..25 {
                world.step(&mut random);
            }
            (1..=PEERS).for_each(|n| world.speaker.handle_writable(NOW, conn(n)));
            world.check(&alloc::format!("seed {seed} round {round}"));
        }
    }
}

/// How many groups there are for IPv4.
fn groups(speaker: &Speaker) -> usize {
    speaker.shared.groups.count() / 2
}

#[test]
fn peers_are_apart_only_where_it_matters() {
    let mut world = World::new();
    assert_eq!(groups(&world.speaker), 1);
    let hidden = Announcement {
        peers: names(&[1]),
        ..announcement("203.0.113.1/32")
    };
    let to_one = Announcement {
        next_hop: addresses(3).v4.map(Into::into),
        ..announcement("203.0.113.2/32")
    };
    let rows = [(hidden, 2), (to_one, 2)];
    for (own, apart) in rows {
        let id = own.id;
        world.speaker.announce(NOW, own);
        assert_eq!(groups(&world.speaker), apart, "{id}");
        world.check("apart");
        world.speaker.withdraw(NOW, &id);
        assert_eq!(groups(&world.speaker), 1, "{id}");
        world.check("together");
    }
    // A policy that names a peer: those that export by it are alone.
    world.speaker.set_policies(NOW, [policy(1)]);
    world.export(1, "med");
    world.export(2, "med");
    assert_eq!(groups(&world.speaker), 3);
    world.export(1, "claims");
    world.export(2, "claims");
    assert_eq!(groups(&world.speaker), 1);
}

#[test]
fn a_peer_alone_hears_only_what_differs() {
    let mut speaker = several::with(1, |_, peer| peer.export = policy_name("some"));
    let first: Prefix = "203.0.113.0/32".parse().unwrap();
    let only = PrefixMatch {
        prefix: first,
        ge: 32,
        le: 32,
    };
    let matches = Match {
        prefixes: PrefixSet::new([only].into()),
        ..Match::default()
    };
    let some = Policy {
        name: policy_name("some"),
        rules: [rule(matches, Set::default(), Verdict::Accept)].into(),
    };
    for i in 0..10 {
        let prefix = alloc::format!("203.0.113.{i}/32");
        speaker.announce(NOW, announcement(&prefix));
    }
    speaker.set_policies(NOW, [some]);
    several::drain(&mut speaker);
    let sent = |speaker: &Speaker| {
        let sent = speaker.peer(&tor(1)).unwrap().sent;
        (sent.announced, sent.withdrawn)
    };
    assert_eq!(sent(&speaker), (1, 0));
    let mut config = speaker.peer_config(&tor(1)).unwrap().clone();
    config.export = policy_name("claims");
    speaker.set_peer(NOW, config.clone());
    several::drain(&mut speaker);
    assert_eq!(sent(&speaker), (10, 0), "the first one is as it was");
    config.export = policy_name("some");
    speaker.set_peer(NOW, config);
    several::drain(&mut speaker);
    assert_eq!(sent(&speaker), (10, 9));
}

/// A speaker with so many own routes that were sent to so many peers.
fn with_routes(count: u32, peers: usize) -> Speaker {
    let mut speaker = several::with(peers, |_, _| ());
    for i in 0..count {
        speaker.announce(
            NOW,
            announcement(&alloc::format!("10.0.{}.{}/32", i / 250, i % 250)),
        );
    }
    rest(&mut speaker);
    speaker
}

/// All that needs no time.
fn rest(speaker: &mut Speaker) {
    loop {
        several::drain(speaker);
        if speaker.poll_timeout().is_none_or(|at| at > NOW) {
            return;
        }
        speaker.handle_timeout(NOW);
    }
}

fn sent_to(speaker: &Speaker, node: usize) -> (u64, u64) {
    let sent = speaker.peer(&tor(node)).unwrap().sent;
    (sent.announced, sent.withdrawn)
}

#[test]
fn a_claim_that_few_may_see_tells_nothing_else() {
    let mut speaker = with_routes(100, 2);
    let only_one = names(&[1]).unwrap();
    speaker.expect_peer_lists(NOW, [only_one.clone()]);
    rest(&mut speaker);
    assert_eq!(groups(&speaker), 2);
    let [one, other] = [1, 2].map(|node| sent_to(&speaker, node));
    let listed = Announcement {
        peers: Some(only_one),
        ..announcement("203.0.113.1/32")
    };
    let id = listed.id;
    speaker.announce(NOW, listed);
    rest(&mut speaker);
    assert_eq!(sent_to(&speaker, 1), (one.0 + 1, one.1));
    speaker.withdraw(NOW, &id);
    rest(&mut speaker);
    assert_eq!(sent_to(&speaker, 1), (one.0 + 1, one.1 + 1));
    assert_eq!(sent_to(&speaker, 2), other);
    speaker.expect_peer_lists(NOW, []);
    rest(&mut speaker);
    assert_eq!(groups(&speaker), 1);
}

#[test]
fn a_withdraw_goes_before_what_is_compared_again() {
    // More than one turn looks at.
    let mut speaker = with_routes(20_000, 1);
    // The last with a list that nobody expected: all are compared again when it goes.
    let listed = Announcement {
        peers: names(&[1]),
        ..announcement("203.0.113.1/32")
    };
    let id = listed.id;
    speaker.announce(NOW, listed);
    rest(&mut speaker);
    // So that the one that goes is the last in turn.
    speaker.announce(NOW, announcement("203.0.113.2/32"));
    rest(&mut speaker);
    let before = sent_to(&speaker, 1);
    speaker.withdraw(NOW, &id);
    assert!(speaker.poll_transmit(NOW).is_some());
    assert_eq!(sent_to(&speaker, 1), (before.0, before.1 + 1));
}

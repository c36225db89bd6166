//! A speaker, its peers, and the model beside it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{PerFamily, encode_keepalive};
use tapway_model::{Instant, Prefix};

use super::super::net::*;
use super::super::several::{NOW, tor};
use super::super::walk::Random;
use super::model::{self, Kind, Model, Peer, RESTART, Up};
use super::peers::{View, one_of};
use super::std;
use crate::config::{
    AddPaths, DECISION, GracefulRestart, NextHopTo, PeerAsn, PeerConfig, PeerNextHop, SendPaths,
    SpeakerConfig,
};
use crate::session::open::{Ourselves, our_open};
use crate::*;

pub(super) const NODES: usize = 4;
/// Until a session is this old, a second connection is refused.
const YOUNG: Duration = Duration::from_secs(5);

pub(super) struct World {
    pub(super) speaker: Speaker,
    pub(super) now: Instant,
    pub(super) model: Model,
    pub(super) views: BTreeMap<ConnId, View>,
    pub(super) blocked: BTreeSet<ConnId>,
    /// A NOTIFICATION is a restart, too (RFC 8538).
    by_word: bool,
    connections: u64,
    seed: u64,
    steps: usize,
    /// What was done, for whoever reads of a failure.
    pub(super) log: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, steps) = (self.seed, self.steps);
            let last = self.log.len().saturating_sub(60);
            self.log[last..].iter().for_each(|s| std::println!("{s}"));
            std::println!(
                "again: TAPWAY_WALK_SEED={seed} TAPWAY_WALK_STEPS={steps} cargo test -p tapway-bgp --lib received_walk"
            );
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, steps: usize, random: &mut Random) -> World {
        let mut speaker = Speaker::new(speaker_config(0), seed, StartKind::Cold);
        speaker.set_restart_done(NOW);
        let reflector = random.below(2) == 0;
        let peer = |node: usize| {
            let kind = match (reflector, node) {
                (true, 2) => Kind::Internal,
                (true, 3 | 4) => Kind::Client,
                _ => Kind::External,
            };
            (node, Peer::new(kind))
        };
        let mut world = World {
            speaker,
            now: NOW,
            model: Model {
                peers: (1..=NODES).map(peer).collect(),
                own: BTreeMap::new(),
                med: None,
                choosy: true,
                draining: false,
                cluster: model::us(),
                decision: DECISION,
            },
            views: BTreeMap::new(),
            blocked: BTreeSet::new(),
            by_word: random.below(2) == 0,
            connections: 0,
            seed,
            steps,
            log: Vec::new(),
        };
        let several = random.below(2) == 0;
        for node in 1..=NODES {
            if several {
                let peer = world.peer_mut(node);
                peer.ids = random.below(2) == 0;
                let all = [None, Some(SendPaths::All), Some(SendPaths::Best(2))];
                peer.several = one_of(random, &all);
            }
            world.add_peer(node);
            world.come(node, random);
        }
        world.define_policies();
        world
    }

    pub(super) fn peer(&self, node: usize) -> &Peer {
        &self.model.peers[&node]
    }

    pub(super) fn peer_mut(&mut self, node: usize) -> &mut Peer {
        self.model.peers.get_mut(&node).unwrap()
    }

    pub(super) fn config(&self, node: usize) -> PeerConfig {
        let peer = self.peer(node);
        PeerConfig {
            name: tor(node),
            passive: true,
            asn: match peer.kind {
                Kind::External => PeerAsn::External,
                _ => PeerAsn::Internal,
            },
            client: peer.kind == Kind::Client,
            import: policy_name(peer.import),
            export: policy_name(peer.export),
            install: if peer.install { install() } else { None },
            next_hop: match peer.unchanged {
                true => PeerNextHop {
                    ipv4: NextHopTo::Unchanged,
                    ipv6: NextHopTo::Unchanged,
                },
                false => PeerNextHop::default(),
            },
            add_paths: AddPaths {
                receive: peer.ids,
                send: peer.several,
            },
            graceful_restart: Some(GracefulRestart {
                time: 4 * RESTART,
                notification: self.by_word,
                long_lived: None,
            }),
            ..peer_config(node, Transport::V4)
        }
    }

    /// Takes the speaker's own settings from the model.
    pub(super) fn configure(&mut self) {
        let config = SpeakerConfig {
            cluster_id: Some(self.model.cluster),
            decision: self.model.decision,
            ..speaker_config(0)
        };
        self.speaker.set_config(self.now, config);
    }

    pub(super) fn set_peer(&mut self, node: usize) {
        let config = self.config(node);
        self.speaker.set_peer(self.now, config);
    }

    pub(super) fn add_peer(&mut self, node: usize) {
        self.set_peer(node);
        self.reach(node, true);
    }

    pub(super) fn reach(&mut self, node: usize, reachable: bool) {
        let endpoint = Endpoint {
            remote: at(node, Transport::V4, 179),
            local: None,
            ifindex: node as u32,
        };
        let endpoint = reachable.then_some(endpoint);
        self.speaker
            .set_peer_endpoint(self.now, &tor(node), endpoint);
    }

    /// The peer connects, maybe while its old session is not known to be dead.
    pub(super) fn come(&mut self, node: usize, random: &mut Random) {
        self.speaker.enable(self.now, &tor(node));
        self.reach(node, true);
        let now = self.now;
        if let Some(up) = self.peer(node).up {
            if up.graceful.is_none() || now.since(up.since) < YOUNG {
                let conn = self.connect(node);
                assert!(!self.is_open(conn), "a second session of tor{node}");
                return;
            }
            self.peer_mut(node).lost(now, false);
        }
        let conn = self.connect(node);
        let preserved = PerFamily::from_fn(|_| random.below(4) > 0);
        let graceful = (random.below(4) > 0).then_some(self.by_word);
        let low = one_of(random, &[9, 29]) - node as u8;
        let router_id = Ipv4Addr::new(192, 0, 2, low);
        let peer = self.peer_mut(node);
        if peer.external() {
            // Where two are of one AS, their MEDs are compared.
            peer.asn = one_of(random, &[asn(node), asn(node), asn(1)]);
        }
        peer.router_id = router_id;
        peer.ours = addresses(0);
        peer.back(
            Up {
                conn,
                since: now,
                graceful,
            },
            preserved,
        );
        self.say_open(node, conn, router_id, graceful.is_some(), preserved);
        assert!(self.established(node), "tor{node}");
    }

    pub(super) fn connect(&mut self, node: usize) -> ConnId {
        self.connections += 1;
        let conn = ConnId::Incoming(self.connections);
        let info = ConnInfo {
            local: at(0, Transport::V4, 179),
            remote: at(node, Transport::V4, 179),
            ifindex: node as u32,
        };
        self.speaker.handle_accepted(self.now, conn, info);
        self.speaker
            .set_local_addresses(self.now, conn, addresses(0));
        conn
    }

    fn say_open(
        &mut self,
        node: usize,
        conn: ConnId,
        router_id: Ipv4Addr,
        graceful: bool,
        preserved: PerFamily<bool>,
    ) {
        let peer = self.peer(node);
        let mut theirs = peer_config(0, Transport::V4);
        theirs.add_paths = AddPaths {
            receive: peer.several.is_some(),
            send: peer.ids.then_some(SendPaths::All),
        };
        theirs.graceful_restart = graceful.then_some(GracefulRestart {
            time: RESTART,
            notification: self.by_word,
            long_lived: None,
        });
        let them = Ourselves {
            asn: peer.asn,
            router_id,
            restarting: false,
            forwarding: preserved,
        };
        let mut bytes = Vec::new();
        our_open(&them, &theirs).encode(&mut bytes);
        encode_keepalive(&mut bytes);
        self.speaker.handle_data(self.now, conn, &bytes);
    }

    pub(super) fn is_open(&self, conn: ConnId) -> bool {
        self.speaker.shared.conns.contains_key(&conn)
    }

    pub(super) fn established(&self, node: usize) -> bool {
        self.speaker.peer(&tor(node)).unwrap().state == State::Established
    }

    pub(super) fn data(&mut self, node: usize, bytes: &[u8]) {
        let conn = self.peer(node).up.unwrap().conn;
        self.speaker.handle_data(self.now, conn, bytes);
    }
}

pub(super) fn own(prefix: Prefix) -> Announcement {
    announcement(&alloc::format!("{prefix}"))
}

//! What happens on the way.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_bgp_wire::{RefreshSubtype, encode_keepalive};

use super::super::net::addresses;
use super::super::several::{NOW, tor};
use super::super::walk::Random;
use super::model::{self, Kind};
use super::peers::{self, one_of};
use super::world::{NODES, World, own};
use crate::config::{Decision, SendPaths};

/// So often peers say that they live.
const KEEPALIVE: Duration = Duration::from_secs(20);

impl World {
    /// Something happens; a peer that has no session says nothing.
    pub(super) fn step(&mut self, random: &mut Random) {
        let node = 1 + random.below(NODES as u64) as usize;
        let what = random.below(64);
        let at = self.now.since(NOW).as_secs();
        self.log
            .push(alloc::format!("{at} s tor{node}: step {what}"));
        match what {
            0..=39 => {
                if self.peer(node).up.is_some() {
                    self.say(node, what, random);
                }
            }
            40..=43 => self.come(node, random),
            44 => {
                self.speaker.handle_link_down(self.now, node as u32);
                self.peer_mut(node).forget();
            }
            45 => {
                self.speaker.disable(self.now, &tor(node), None);
                self.peer_mut(node).forget();
            }
            46 => {
                self.reach(node, false);
                self.peer_mut(node).forget();
            }
            47 => {
                self.speaker.remove_peer(self.now, &tor(node));
                self.peer_mut(node).forget();
                self.add_peer(node);
            }
            48 => {
                self.speaker.reset_hard(self.now, &tor(node), None);
                let now = self.now;
                self.peer_mut(node).lost(now, true);
            }
            49 => {
                _ = self
                    .speaker
                    .reset_soft(self.now, &tor(node), crate::SoftReset::Both)
            }
            50..=52 => self.change(node, random),
            53 => {
                self.model.med = one_of(random, &[None, Some(1), Some(2)]);
                self.model.choosy = random.below(4) > 0;
                self.define_policies();
            }
            54 | 55 => self.announce(random),
            56 => {
                let prefix = peers::any_prefix(random);
                let had = self.model.own.remove(&prefix).is_some();
                let id = own(prefix).id;
                assert_eq!(self.speaker.withdraw(self.now, &id), had);
            }
            57 => {
                self.model.draining = random.below(2) == 0;
                self.speaker.set_draining(self.now, self.model.draining);
            }
            58 => self.wait(Duration::from_secs(random.below(15))),
            59 if random.below(4) == 0 => {
                self.unblock();
                self.wait(Duration::from_secs(random.below(400)));
            }
            60 => self.speaker.handle_timeout(self.now),
            61 => {
                let far = core::net::Ipv4Addr::new(192, 0, 2, 70);
                self.model.cluster = one_of(random, &[model::us(), far]);
                let mut on = || random.below(3) == 0;
                self.model.decision = Decision {
                    always_compare_med: on(),
                    missing_med_is_worst: on(),
                    ignore_as_path: on(),
                    ignore_metric: on(),
                    multipath_same_as: on(),
                    maximum_paths_external: one_of(random, &[1, 2, 256]),
                    maximum_paths_internal: one_of(random, &[1, 2, 256]),
                };
                self.configure();
            }
            _ => _ = self.transmit(),
        }
    }

    /// A peer with a session does something.
    fn say(&mut self, node: usize, what: u64, random: &mut Random) {
        let (now, conn) = (self.now, self.peer(node).up.unwrap().conn);
        let family = peers::any_family(random);
        let entry = tapway_bgp_wire::NlriEntry {
            prefix: peers::any_prefix(random),
            path_id: match self.peer(node).ids {
                true => random.below(3) as u32,
                false => 0,
            },
        };
        let key = (entry.prefix, entry.path_id);
        match what {
            0..=18 => {
                let peer = self.peer(node);
                let route = peers::any_route(node, peer, entry.prefix.family(), random);
                let bytes = peers::announce(peer, &route, entry);
                self.data(node, &bytes);
                let received = model::Received {
                    route,
                    stale: false,
                };
                self.peer_mut(node).routes.insert(key, received);
            }
            19..=23 => {
                let bytes = peers::withdraw(self.peer(node), entry);
                self.data(node, &bytes);
                self.peer_mut(node).routes.remove(&key);
            }
            24 | 25 => {
                self.data(node, &peers::end_of_rib(family));
                self.peer_mut(node).end_of_rib(family);
            }
            26 | 27 => {
                self.data(node, &peers::refresh(family, RefreshSubtype::Begin));
                self.peer_mut(node).refresh_begins(now, family);
            }
            28 | 29 => {
                self.data(node, &peers::refresh(family, RefreshSubtype::End));
                self.peer_mut(node).refresh_ends(family);
            }
            30 | 31 => self.data(node, &peers::refresh(family, RefreshSubtype::Request)),
            32 | 33 => {
                self.speaker.handle_blocked(now, conn);
                self.blocked.insert(conn);
            }
            34 => {
                self.speaker.handle_writable(now, conn);
                self.blocked.remove(&conn);
            }
            35 => {
                let hard = random.below(2) == 0;
                self.data(node, &peers::notification(hard));
                match hard {
                    true => self.peer_mut(node).forget(),
                    false => self.peer_mut(node).lost(now, true),
                }
            }
            36 => {
                let mut ours = addresses(0);
                if random.below(2) == 0 {
                    ours.v4 = Some([198, 51, 100, 200].into());
                }
                self.speaker.set_local_addresses(now, conn, ours);
                self.peer_mut(node).ours = ours;
            }
            _ => {
                self.speaker.handle_closed(now, conn, "gone");
                self.peer_mut(node).lost(now, false);
                if what < 39 {
                    self.come(node, random);
                }
            }
        }
    }

    /// A peer's settings change while its session stays.
    fn change(&mut self, node: usize, random: &mut Random) {
        let peer = self.peer_mut(node);
        match random.below(10) {
            0 | 1 => peer.import = one_of(random, &["all", "picky", "none"]),
            2 => peer.install = !peer.install,
            3 if !peer.external() => {
                peer.kind = one_of(random, &[Kind::Internal, Kind::Client]);
            }
            4 if peer.several.is_some() => {
                let all = [SendPaths::All, SendPaths::Best(1), SendPaths::Best(2)];
                peer.several = Some(one_of(random, &all));
            }
            5 => peer.unchanged = !peer.unchanged,
            _ => peer.export = one_of(random, &["transit", "transit", "choosy", "claims", "none"]),
        }
        self.set_peer(node);
    }

    fn announce(&mut self, random: &mut Random) {
        let prefix = peers::any_prefix(random);
        let lists: [&[usize]; 4] = [&[1, 2], &[3], &[], &[1, 2, 3, 4]];
        let listed = (random.below(2) == 0).then(|| one_of(random, &lists));
        let mut own = own(prefix);
        own.peers = listed.map(|nodes| nodes.iter().map(|n| tor(*n)).collect::<Arc<[_]>>());
        self.speaker.announce(self.now, own);
        self.model.own.insert(prefix, listed.map(Vec::from));
    }

    /// Time passes, and the peers say that they live.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + KEEPALIVE);
            self.speaker.handle_timeout(self.now);
            for node in 1..=NODES {
                let now = self.now;
                self.peer_mut(node).time_passes(now);
                if self.peer(node).up.is_some() {
                    let mut bytes = Vec::new();
                    encode_keepalive(&mut bytes);
                    self.data(node, &bytes);
                }
            }
        }
    }
}

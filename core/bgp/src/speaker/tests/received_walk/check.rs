//! Comparisons at rest.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use tapway_bgp_wire::PerFamily;
use tapway_model::{Family, Prefix};

use super::super::several::tor;
use super::peers::{self, prefixes};
use super::world::{NODES, World, own};
use crate::{ConnId, ReceivedRoute};

impl World {
    /// Writes what there is for one connection. False: nothing.
    pub(super) fn transmit(&mut self) -> bool {
        while self.speaker.poll_action().is_some() {}
        let Some(transmit) = self.speaker.poll_transmit(self.now) else {
            return false;
        };
        assert!(!self.blocked.contains(&transmit.conn), "it is blocked");
        let owner = self.speaker.shared.conns.get(&transmit.conn).unwrap();
        let node = (1..=NODES).find(|n| tor(*n) == *owner).unwrap();
        let view = self.views.entry(transmit.conn).or_default();
        view.read(&self.model.peers[&node], &transmit.bytes);
        true
    }

    pub(super) fn unblock(&mut self) {
        for conn in core::mem::take(&mut self.blocked) {
            self.speaker.handle_writable(self.now, conn);
        }
    }

    /// All that needs no time is done and written.
    fn rest(&mut self) {
        loop {
            while self.transmit() {}
            for family in Family::ALL {
                while self.speaker.take_installable_change(family).is_some() {}
            }
            if self.speaker.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.speaker.handle_timeout(self.now);
        }
    }

    /// At rest: compare.
    pub(super) fn check(&mut self) {
        self.log.push("check".into());
        self.unblock();
        self.rest();
        let live: BTreeSet<ConnId> = self.speaker.shared.conns.keys().copied().collect();
        self.views.retain(|conn, _| live.contains(conn));
        for node in 1..=NODES {
            self.check_received(node);
            let up = self.peer(node).up;
            assert_eq!(self.established(node), up.is_some(), "tor{node}");
            if let Some(up) = up {
                self.check_told(node, up.conn);
            }
        }
        for prefix in prefixes() {
            let legs = self.speaker.installable_to(prefix);
            let peers: BTreeSet<_> = legs.into_iter().map(|leg| leg.peer).collect();
            let expected = self.model.installed(prefix).into_iter().map(tor).collect();
            assert_eq!(peers, expected, "{prefix} in the kernel");
        }
    }

    fn check_received(&self, node: usize) {
        let peer = self.peer(node);
        let expected: Vec<_> = peer
            .routes
            .iter()
            .map(|((prefix, id), r)| {
                let refused = peer.import(self.model.cluster, &r.route).is_none();
                (*prefix, *id, r.route.1.med, r.stale, refused)
            })
            .collect();
        let shown = |r: ReceivedRoute| {
            let id = r.path_id.unwrap_or(0);
            (r.prefix, id, r.med, r.stale, r.refused.is_some())
        };
        let mut received: Vec<_> = self.speaker.received(&tor(node)).map(shown).collect();
        if peer.up.is_none() {
            // Without a session there are no identifiers to show.
            assert_eq!(received.len(), expected.len(), "from tor{node}");
        } else {
            received.sort_unstable_by_key(|(prefix, id, ..)| (*prefix, *id));
            assert_eq!(received, expected, "from tor{node}");
        }
        let summary = self.speaker.peer(&tor(node)).unwrap();
        let stale: usize = summary.families.iter().map(|f| f.stale).sum();
        assert_eq!(stale, peer.stale(), "from tor{node}");
        if peer.up.is_some() {
            let ends = PerFamily::from_fn(|family| {
                let all = &mut summary.families.iter();
                all.any(|f| f.family == family && f.end_of_rib_received)
            });
            assert_eq!(ends, peer.end_of_rib, "End-of-RIB from tor{node}");
        }
    }

    fn check_told(&self, node: usize, conn: ConnId) {
        let mut expected: BTreeMap<Prefix, Vec<String>> = BTreeMap::new();
        for prefix in prefixes() {
            let told = self.model.told(node, prefix);
            let mut told: Vec<String> = told.iter().map(peers::text).collect();
            told.sort();
            if !told.is_empty() {
                expected.insert(prefix, told);
            }
        }
        let view = &self.views[&conn];
        assert_eq!(
            view.table(),
            expected,
            "to tor{node}, a {:?}",
            self.peer(node).kind
        );
        assert!(view.is_complete(), "tor{node}");
        let summary = self.speaker.peer(&tor(node)).unwrap();
        let counted = summary.families.iter().map(|f| f.advertised);
        let routes = expected.values().map(Vec::len).sum();
        assert_eq!(counted.sum::<usize>(), routes, "to tor{node}");
        assert!(summary.families.iter().all(|f| f.pending == 0));
    }

    /// Everything goes, and nothing is left of it.
    pub(super) fn end(&mut self) {
        self.log.push("end".into());
        for prefix in prefixes() {
            self.speaker.withdraw(self.now, &own(prefix).id);
        }
        for node in 1..=NODES {
            self.speaker.remove_peer(self.now, &tor(node));
        }
        self.rest();
        let shared = &self.speaker.shared;
        let left = Family::ALL.map(|f| shared.rib.len(f));
        assert_eq!(left, [0, 0], "prefixes");
        // The block of all own routes stays.
        assert_eq!(shared.rib.blocks(), 1, "attributes");
        assert!(shared.sources.is_empty(), "sources");
        assert_eq!(shared.groups.count(), 0, "groups");
        assert!(shared.conns.is_empty(), "connections");
        assert!(shared.judging.is_empty(), "routes to be judged");
    }
}

//! Own routes, and what is asked about routes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_bgp_wire::{Attributes, NextHop};
use tapway_model::{Family, Instant, PeerName, Prefix};
use tapway_rib::SourceId;

use super::answer::{AdvertisedRoute, Installable, NotPassed, NotSent, ReceivedRoute};
use super::peer::Peer;
use super::reflect::Passing;
use super::{Speaker, install, lists, work};
use crate::own::{Announcement, AnnouncementId, Put};

impl Speaker {
    /// Announces a route, or changes it.
    pub fn announce(&mut self, now: Instant, announcement: Announcement) {
        let id = announcement.id;
        if self.shared.stopped {
            return;
        }
        let put = self.shared.own.set(announcement);
        match put {
            Put::Same => return,
            Put::New(count) => self.shared.place_own(&id, count - 1),
            Put::Changed => self.shared.rib.look_again(id.prefix),
        }
        self.own_changed(now);
        if put == Put::New(1) {
            return;
        }
        if self.shared.own.of_prefix(&id.prefix).len() > 1
            && let Some(announcement) = self.shared.own.get(&id).cloned()
        {
            for peer in self.peers.values() {
                peer.tell_conflict(&mut self.shared, &announcement);
            }
        }
    }

    /// Withdraws a route. False: it was not announced.
    pub fn withdraw(&mut self, now: Instant, id: &AnnouncementId) -> bool {
        let Some(left) = self.shared.own.remove(id) else {
            return false;
        };
        self.shared.remove_own(id);
        if left > 0 {
            self.shared.move_up_own(&id.prefix);
        }
        self.own_changed(now);
        true
    }

    /// Says which lists of peers announcements may have ([`Announcement::peers`]): those that see a network each. One that comes
    /// unexpectedly costs its peers a new comparison of all routes.
    pub fn expect_peer_lists(
        &mut self,
        now: Instant,
        lists: impl IntoIterator<Item = Arc<[PeerName]>>,
    ) {
        self.shared.own.expect_lists(lists.into_iter().collect());
        self.own_changed(now);
    }

    /// Peers that were told the same may have to be told apart, or the other way round.
    fn own_changed(&mut self, now: Instant) {
        if let Some(news) = self.shared.own.take_news() {
            for peer in self.peers.values_mut() {
                if news.lists || news.next_hops.iter().any(|a| peer.session_is_with(*a)) {
                    peer.regroup(&mut self.shared);
                }
            }
        }
        self.work(now, work::SLICE);
    }

    /// All own routes, in order of their prefixes.
    pub fn announcements(&self) -> impl Iterator<Item = &Announcement> {
        self.shared.own.iter()
    }

    /// Own routes to one prefix.
    pub fn announcements_to(&self, prefix: &Prefix) -> &[Announcement] {
        self.shared.own.of_prefix(prefix)
    }

    /// Own routes of a family, from the first one after a prefix on.
    pub fn announcements_after(
        &self,
        family: Family,
        after: Option<Prefix>,
    ) -> impl Iterator<Item = &Announcement> {
        self.shared.own.after(family, after)
    }

    /// What a peer sent; in order. Looked for as it is taken; for long lists there is [`Speaker::received_page`].
    pub fn received(&self, peer: &PeerName) -> impl Iterator<Item = ReceivedRoute> {
        let peer = self.peers.get(peer).into_iter();
        peer.flat_map(|peer| {
            lists::all(|family, after, limit| {
                peer.received_page(&self.shared, family, after, limit)
            })
        })
    }

    /// What a peer sent, of up to `limit` prefixes after `after`; and the last one looked at, when there may be more.
    pub fn received_page(
        &self,
        peer: &PeerName,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (Vec<ReceivedRoute>, Option<Prefix>) {
        let peer = self.peers.get(peer);
        peer.map(|p| p.received_page(&self.shared, family, after, limit))
            .unwrap_or_default()
    }

    /// How many routes [`Speaker::received_page`] would give, and where it would go on; quicker, as none is shown.
    pub fn received_count(
        &self,
        peer: &PeerName,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (usize, Option<Prefix>) {
        let peer = self.peers.get(peer);
        peer.map(|p| p.received_count(&self.shared, family, after, limit))
            .unwrap_or_default()
    }

    /// What a peer sent to one prefix.
    pub fn received_at(&self, peer: &PeerName, prefix: Prefix) -> Vec<ReceivedRoute> {
        let peer = self.peers.get(peer);
        peer.map_or_else(Vec::new, |p| p.received_at(&self.shared, prefix))
    }

    /// What a peer sent to one prefix: next hop and attributes.
    pub fn received_to(
        &self,
        peer: &PeerName,
        prefix: Prefix,
    ) -> impl Iterator<Item = (NextHop, Attributes)> {
        let peer = self.peers.get(peer).into_iter();
        peer.flat_map(move |p| p.received_to(&self.shared, prefix))
    }

    /// What a peer was sent; in order. Looked for as it is taken; for long lists there is [`Speaker::advertised_page`].
    pub fn advertised(&self, peer: &PeerName) -> impl Iterator<Item = AdvertisedRoute> {
        let peer = self.peers.get(peer).into_iter();
        peer.flat_map(|peer| {
            lists::all(|family, after, limit| {
                peer.advertised_page(&self.shared, family, after, limit)
            })
        })
    }

    /// What a peer was sent, of up to `limit` prefixes after `after`; and the last one looked at, when there may be more.
    pub fn advertised_page(
        &self,
        peer: &PeerName,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (Vec<AdvertisedRoute>, Option<Prefix>) {
        let peer = self.peers.get(peer);
        peer.map(|p| p.advertised_page(&self.shared, family, after, limit))
            .unwrap_or_default()
    }

    /// How many routes [`Speaker::advertised_page`] would give, and where it would go on; quicker, as none is shown.
    pub fn advertised_count(
        &self,
        peer: &PeerName,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (usize, Option<Prefix>) {
        let peer = self.peers.get(peer);
        peer.map(|p| p.advertised_count(&self.shared, family, after, limit))
            .unwrap_or_default()
    }

    /// What a peer was sent of one prefix.
    pub fn advertised_at(&self, peer: &PeerName, prefix: Prefix) -> Vec<AdvertisedRoute> {
        let peer = self.peers.get(peer);
        peer.map_or_else(Vec::new, |p| p.advertised_at(&self.shared, prefix))
    }

    /// The received routes in use, of up to `limit` prefixes after `after`; and the last prefix looked at, when there may be more.
    pub fn in_use_page(
        &self,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (Vec<(PeerName, ReceivedRoute)>, Option<Prefix>) {
        let (prefixes, last) = lists::prefixes_with_received(&self.shared, family, after, limit);
        let all = prefixes.into_iter().flat_map(|p| self.in_use_at(p));
        (all.collect(), last)
    }

    /// How many routes [`Speaker::in_use_page`] would give, and where it would go on; quicker, as none is shown. `None` where
    /// peers install routes of this family: then policies have to be asked which.
    pub fn in_use_count(
        &self,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> Option<(usize, Option<Prefix>)> {
        if self.peers.values().any(|p| p.config.install.is_some()) {
            return None;
        }
        let mut count = 0;
        let rib = &self.shared.rib;
        let last = rib.list(family, after, limit, |route| {
            count += usize::from(route.best && route.source != SourceId::LOCAL);
        });
        Some((count, last))
    }

    /// About how many prefixes there are with such routes.
    pub fn in_use(&self, family: Family) -> usize {
        self.shared.rib.received(family)
    }

    /// The received routes to one prefix that are in use: those that should be in the kernel; where there are none, the best one,
    /// if it was received.
    pub fn in_use_at(&self, prefix: Prefix) -> Vec<(PeerName, ReceivedRoute)> {
        let installed = self.installed_at(prefix);
        if !installed.is_empty() {
            return installed;
        }
        let mut best = None;
        self.shared.rib.lookup(prefix, |route| {
            if route.best {
                best = self
                    .shared
                    .sources
                    .get(&route.source)
                    .map(|s| s.peer.clone());
            }
        });
        let of_peer = |peer: PeerName| {
            let all = self.received_at(&peer, prefix).into_iter();
            all.filter(|r| r.best).map(move |r| (peer.clone(), r))
        };
        best.into_iter().flat_map(of_peer).collect()
    }

    fn installed_at(&self, prefix: Prefix) -> Vec<(PeerName, ReceivedRoute)> {
        let mut peers: Vec<PeerName> = Vec::new();
        for leg in self.installable_to(prefix) {
            if !peers.contains(&leg.peer) {
                peers.push(leg.peer);
            }
        }
        let of_peer = |peer: PeerName| {
            let all = self.received_at(&peer, prefix).into_iter();
            let used = all.filter(|r| r.refused.is_none());
            used.map(move |r| (peer.clone(), r))
        };
        peers.into_iter().flat_map(of_peer).collect()
    }

    /// Whether a peer may be told what another one sent, by our own address: then packets come here, and our kernel should know
    /// where to send them.
    pub fn draws_transit(&self, peer: &PeerName, sender: &PeerName) -> bool {
        let enabled = |name| self.peers.get(name).filter(|peer| !peer.disabled);
        let (Some(to), Some(from)) = (enabled(peer), enabled(sender)) else {
            return false;
        };
        let (policies, export) = (&self.shared.policies, &to.config.export);
        let families = &to.config.families;
        let us = self.shared.config.asn;
        let relation = |p: &Peer| p.relation(!p.config.is_internal(us));
        let by_us = match relation(from).passes(relation(to)) {
            Passing::Never => false,
            // A reflected route keeps its next hop unless a rule says otherwise.
            Passing::Reflected => policies.takes_next_hop(export),
            Passing::ByRule => {
                !policies.keeps_next_hop(export)
                    && !families.iter().all(|f| to.config.next_hop.is_unchanged(*f))
            }
        };
        peer != sender && by_us && policies.passes_on(export, from.config.known_as())
    }

    /// Where an announcement stands towards a peer.
    pub fn why_not_sent(&self, peer: &PeerName, id: &AnnouncementId) -> NotSent {
        let Some(peer) = self.peers.get(peer) else {
            return NotSent::NoSuchPeer;
        };
        match self.shared.own.get(id) {
            Some(announcement) => peer.why_not_sent(&self.shared, announcement),
            None => NotSent::NotAnnounced,
        }
    }

    /// Where the best route to a prefix stands towards a peer, if another one sent it; `None`: there is none, or the export to that
    /// peer is not about what others sent.
    pub fn why_not_passed(&self, peer: &PeerName, prefix: Prefix) -> Option<NotPassed> {
        self.peers.get(peer)?.why_not_passed(&self.shared, prefix)
    }

    /// The received routes to one prefix that should be in the kernel: for every table the best equal ones; sorted.
    pub fn installable_to(&self, prefix: Prefix) -> Vec<Installable> {
        install::installable_to(&self.peers, &self.shared, prefix)
    }

    /// A prefix for which [`Speaker::installable_to`] may answer differently now. None: all have been taken; the next one is
    /// told as [`Action::InstallableChanged`](super::Action::InstallableChanged).
    pub fn take_installable_change(&mut self, family: Family) -> Option<Prefix> {
        let changed = self.shared.take_changed(family);
        if changed.is_none() {
            self.follow_installed();
        }
        changed
    }

    /// Follows best routes of families of which some peer installs any. What was in the kernel is taken out before it ends.
    pub(super) fn follow_installed(&mut self) {
        for family in Family::ALL {
            let installs =
                |p: &Peer| p.config.install.is_some() && p.config.families.contains(&family);
            if self.peers.values().any(installs) {
                self.shared.rib.watch(family, true);
            } else if !self.shared.rib.has_changed(family) && !self.shared.has_work() {
                self.shared.rib.watch(family, false);
            }
        }
    }

    /// Whether peers that install routes of this family may still send their first ones: routes that an
    /// earlier run put in the kernel should stay meanwhile. Ends with their End-of-RIB, which is told as
    /// [`Action::InstallableChanged`](super::Action::InstallableChanged). A peer that never comes never ends it: bound the wait.
    pub fn awaits_first_routes(&self, family: Family) -> bool {
        self.peers.values().any(|p| p.awaits_first_routes(family))
    }
}

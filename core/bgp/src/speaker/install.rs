//! Received routes that the kernel should have.
//!
//! A prefix is decided for each kernel table by itself: peers may install into different ones, and a policy may choose one
//! for each route.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp_wire::NextHop;
use tapway_model::{Family, PeerName, Prefix};
use tapway_rib::decide::{Candidate, choose};
use tapway_rib::{RouteView, SourceId};

use super::answer::Installable;
use super::judge::Judge;
use super::peer::Peer;
use super::shared::Shared;
use crate::config::{Install, InstallChange, Reach};

impl Peer {
    /// The way of a route into the kernel; `None`: it does not go there.
    fn installable(&self, shared: &Shared, route: &RouteView<'_>) -> Option<Installable> {
        let install = self.config.install.as_ref()?;
        let used = route.used?;
        let change = Judge::of(shared, self).install(route);
        if change.enabled == Some(false) {
            return None;
        }
        let (next_hop, ifindex) = if used.next_hop == route.received.next_hop {
            self.towards(used.next_hop)
        } else {
            // Where the policy's own next hop is, the kernel knows.
            (used.next_hop.addr(), 0)
        };
        Some(Installable {
            prefix: route.prefix,
            peer: self.config.name.clone(),
            next_hop,
            ifindex,
            install: fitting(install, &change, route.prefix.family()),
            stale: route.stale,
        })
    }

    /// Where a received next hop is: what is behind `ifindex` is on the session's own link.
    fn towards(&self, next_hop: NextHop) -> (IpAddr, u32) {
        let on_link = !matches!(self.config.reach, Reach::Multihop(_));
        let known = self.sender.ifindex;
        let ifindex = if known != 0 {
            known
        } else {
            self.endpoint.map_or(0, |e| e.ifindex)
        };
        match next_hop {
            NextHop::LinkLocal(addr) => (addr.into(), ifindex),
            NextHop::V6WithLinkLocal { link_local, .. } if on_link && ifindex != 0 => {
                (link_local.into(), ifindex)
            }
            other => (other.addr(), if on_link { ifindex } else { 0 }),
        }
    }
}

/// The best equal routes to one prefix, for each table where any go.
pub(crate) fn installable_to(
    peers: &BTreeMap<PeerName, Peer>,
    shared: &Shared,
    prefix: Prefix,
) -> Vec<Installable> {
    let candidates = shared.rib.candidates(prefix);
    let mut found: Vec<(Candidate, Installable)> = Vec::new();
    shared.rib.lookup(prefix, |route| {
        let is_it = |(source, c): &&(SourceId, Candidate)| {
            (*source, c.path_id) == (route.source, route.path_id)
        };
        let peer = shared
            .sources
            .get(&route.source)
            .and_then(|s| peers.get(&s.peer));
        if let Some(peer) = peer
            && let Some((_, candidate)) = candidates.iter().find(is_it)
            && let Some(leg) = peer.installable(shared, &route)
        {
            found.push((*candidate, leg));
        }
    });
    if found.len() < 2 {
        return found.into_iter().map(|(_, leg)| leg).collect();
    }
    let mut tables: BTreeMap<u32, Vec<(Candidate, Installable)>> = BTreeMap::new();
    for (candidate, leg) in found {
        let table = tables.entry(leg.install.table).or_default();
        table.push((candidate, leg));
    }
    let mut all: Vec<Installable> = Vec::new();
    for legs in tables.into_values() {
        let mut chosen: Vec<Candidate> = legs.iter().map(|(candidate, _)| *candidate).collect();
        choose(&mut chosen, &shared.config.decision);
        let is_chosen = |place| chosen.iter().any(|c| c.place == place);
        let mut legs: Vec<Installable> = legs
            .into_iter()
            .filter_map(|(candidate, leg)| is_chosen(candidate.place).then_some(leg))
            .collect();
        // Several paths of one peer may have the same next hop.
        legs.sort();
        legs.dedup_by(|a, b| (a.next_hop, a.ifindex) == (b.next_hop, b.ifindex));
        all.append(&mut legs);
    }
    all
}

/// The peer's settings with what the policy changed, without a preferred source of the other family.
fn fitting(install: &Install, change: &InstallChange, family: Family) -> Install {
    let prefsrc = change.prefsrc.or(install.prefsrc);
    Install {
        table: change.table.unwrap_or(install.table),
        metric: change.metric.or(install.metric),
        prefsrc: prefsrc.filter(|a| Family::of(a) == family),
    }
}
